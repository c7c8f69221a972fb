import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import Testing

/// The administration API and the console with as many virtual servers as a large operator has. What is right is
/// checked here; `Benchmarks/console/measure` prints how long it takes.
@Suite struct ManyServersTests {
    private static let count = 20_000
    private static let hosts = 100
    /// A folder for what the benchmark writes; nil in a run of the tests.
    private static let measures = ProcessInfo.processInfo.environment["CLOUDWRIGHT_MEASURE_CONSOLE"]

    private static func fill(_ live: LiveServer) async {
        let size = VirtualServerFlavor(memory: .mebibytes(128))
        let servers = (0..<count).map { number in
            let instance = InstanceID("shop-\(number)")
            return VirtualServerReport(
                identity: VirtualServerIdentity(
                    cloud: "testcloud", service: "shop", instance: instance, incarnation: 1),
                placement: VirtualServerPlacement(
                    host: PhysicalServerID("host-\(number % hosts)"), name: VirtualServerID("testcloud-shop-\(number)"),
                    uuid: "7f0c6f0e-0000-4000-8000-000000000001", address: "192.0.2.101", flavor: size),
                phase: "running", progress: nil)
        }
        let reports = (0..<hosts).map { number in
            PhysicalServerReport(
                server: PhysicalServer(
                    id: PhysicalServerID("host-\(number)"), hypervisor: "qemu+ssh://host-\(number)/system",
                    capacity: ServerResources(cpuMillicores: 400_000, memory: .mebibytes(65_536))),
                phase: "up", used: ServerResources(cpuMillicores: 200_000, memory: .mebibytes(25_600)),
                virtualServers: count / hosts, version: "9.0.0")
        }
        await live.cloud.setHosts(reports, servers)
    }

    /// The figure of the benchmark: the median of some requests, after a first one.
    private func timed(_ live: LiveServer, _ what: String, _ path: String) async throws -> LiveServer.Answer {
        let answer = try await live.send("GET", path)
        guard Self.measures != nil else { return answer }
        var times: [Duration] = []
        for _ in 0..<9 {
            let begin = ContinuousClock.now
            _ = try await live.send("GET", path)
            times.append(ContinuousClock.now - begin)
        }
        let middle = times.sorted()[4]
        print("\(what): \(Double(middle.components.attoseconds / 1_000_000_000_000) / 1_000) ms")
        return answer
    }

    @Test("20,000 virtual servers are listed, searched and paged through, none twice and none left out")
    func list() async throws {
        try await LiveServer.run { live in
            await Self.fill(live)
            let path = "/api/v1/virtual-servers"
            let page = API.Page<API.VirtualServer>.self
            let first = try await timed(live, "first part of 200", path + "?limit=200").value(page)
            #expect(first.items.count == 200 && first.nextCursor != nil)
            let found = try await timed(live, "search", path + "?search=SHOP-1999&limit=200").value(page)
            #expect(found.items.map(\.instance).count == 11)
            let host = try await timed(live, "those of a host", path + "?host=host-7&limit=200").value(page)
            #expect(host.items.count == 200 && host.nextCursor == nil)
            _ = try await timed(live, "a part in the middle", path + "?cursor=shop-5&limit=200")
            _ = try await timed(live, "physical servers", "/api/v1/physical-servers")
            var names: [String] = []
            var cursor: String?
            repeat {
                let query = "?limit=1000" + (cursor.map { "&cursor=\($0)" } ?? "")
                let part = try await live.send("GET", path + query).value(page)
                names += part.items.map(\.instance)
                cursor = part.nextCursor
            } while cursor != nil
            #expect(names.count == Self.count && Set(names).count == Self.count && names == names.sorted())
            if let folder = Self.measures { try await drive(live, folder) }
        }
    }

    /// Waits while a browser looks at the page; the benchmark runs it.
    private func drive(_ live: LiveServer, _ folder: String) async throws {
        let address = URL(fileURLWithPath: folder).appendingPathComponent("address")
        try Data("\(live.address) \(live.tokens[.administrator] ?? "")".utf8).write(to: address)
        let end = folder + "/end"
        #expect(await eventually(within: .seconds(180)) { FileManager.default.fileExists(atPath: end) })
    }
}

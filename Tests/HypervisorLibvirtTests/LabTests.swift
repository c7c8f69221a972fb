import CloudModel
import CloudPorts
import Foundation
import Synchronization
import Testing

/// With real hypervisors and real guests. Skipped where the lab cannot come up, with the reason.
@Suite(
    .serialized, .lab(hosts: 2), .timeLimit(.minutes(4)),
    .enabled(if: Lab.obstacle == nil, Comment(rawValue: Lab.obstacle ?? "")))
struct LabTests {
    /// A guest takes 4 to 5 s to serve on an idle machine without help of the processor.
    static let bootLimit = Duration.seconds(45)

    /// Waits until the guest serves.
    static func serves(_ address: String) async -> Bool {
        await eventually(within: bootLimit, every: .milliseconds(50)) {
            GuestClient.get(address, "/n", timeoutSeconds: 1) != nil
        }
    }

    static func state(_ name: VirtualServerID, _ hypervisor: any Hypervisor) async throws -> VirtualServerState? {
        try await hypervisor.list().first { $0.name == name }?.state
    }

    @Test func aGuestLivesAndKeepsWhatItHas() async throws {
        let (hypervisor, log) = try await Lab.connected(1)
        let guest = Lab.guest("life", index: 1)
        let address = "10.77.0.101"
        try await hypervisor.define(guest)
        try await hypervisor.define(guest)
        try await hypervisor.start(guest.name, paused: true)
        #expect(try await Self.state(guest.name, hypervisor) == .paused)
        try await hypervisor.resume(guest.name)
        try #require(await Self.serves(address))
        #expect(GuestClient.get(address, "/id", timeoutSeconds: 5) == "life")
        #expect(GuestClient.get(address, "/boots", timeoutSeconds: 5) == "1")
        #expect(try await hypervisor.list().first { $0.name == guest.name }?.identity == guest.identity)

        let used = try #require(try await hypervisor.statistics().virtualServers[guest.name])
        #expect(used.cpuTime > .milliseconds(500))
        #expect(try #require(used.residentMemory) > .mebibytes(32))

        try await hypervisor.resize(
            guest.name, to: ResizeRequest(cpuMillicores: 700, virtualCPUs: 2, memory: .mebibytes(112)))
        #expect(try Lab.virsh(1, "schedinfo", "life").contains(/vcpu_quota *: 35000/))
        #expect(try await hypervisor.list().first { $0.name == guest.name }?.virtualCPUs == 2)
        let fewer = ResizeRequest(virtualCPUs: 1)
        let refused = await refusal { try await hypervisor.resize(guest.name, to: fewer) }
        let canRemove = log.capabilities?.features.contains(.removeVirtualCPUs) == true
        #expect(refused == (canRemove ? nil : .unsupported))

        try await hypervisor.suspend(guest.name)
        #expect(GuestClient.get(address, "/n", timeoutSeconds: 1) == nil)
        try await hypervisor.resume(guest.name)
        try #require(await Self.serves(address))

        // Saved and restored, it goes on where it was; shut down and started, it begins anew.
        let counted = Int(GuestClient.get(address, "/n", timeoutSeconds: 5) ?? "") ?? .max
        try await hypervisor.save(guest.name)
        #expect(try await Self.state(guest.name, hypervisor) == .saved)
        try await hypervisor.start(guest.name, paused: false)
        try #require(await Self.serves(address))
        #expect(Int(GuestClient.get(address, "/n", timeoutSeconds: 5) ?? "") ?? 0 >= counted)
        try await hypervisor.shutDown(guest.name)
        let isOff = await eventually(within: Self.bootLimit) { log.changes(of: guest.name).last == .shutOff }
        try #require(isOff, "\(log.changes(of: guest.name))")
        try await hypervisor.start(guest.name, paused: false)
        try #require(await Self.serves(address))
        #expect(GuestClient.get(address, "/boots", timeoutSeconds: 5) == "2")

        try await hypervisor.destroy(guest.name)
        try await hypervisor.undefine(guest.name, removingDisks: true)
        #expect(!FileManager.default.fileExists(atPath: guest.disks[0].path))
        #expect(FileManager.default.fileExists(atPath: "\(Lab.state)/shared/empty.raw"))
        await hypervisor.close()
    }

    @Test func seesWhatAnOperatorDoesWithVirsh() async throws {
        let (hypervisor, log) = try await Lab.connected(1)
        let guest = Lab.guest("virsh", index: 2)
        try await hypervisor.define(guest)
        for command in ["start", "suspend", "resume", "destroy", "undefine"] { try Lab.virsh(1, command, "virsh") }
        #expect(await eventually { log.changes(of: guest.name).last == .undefined })
        let ordered: [VirtualServerChange] = [.defined, .started, .suspended, .resumed, .destroyed, .undefined]
        let seen = log.changes(of: guest.name)
        // A start is reported as a start, and as a resumption of the processors.
        #expect(seen.filter { $0 != .resumed } == ordered.filter { $0 != .resumed })
        #expect(seen.firstIndex(of: .suspended).map { seen[$0...].contains(.resumed) } == true, "\(seen)")
        await hypervisor.close()
    }

    @Test func nothingIsLeftOfAThousandLostConnections() async throws {
        let (hypervisor, log) = try await Lab.connected(1, firstRetry: .milliseconds(1))
        func lose(_ count: Int) async throws {
            for _ in 0..<count {
                let made = log.connections
                let lost = log.losses
                try #require(ProcessResources.cutConnections(to: "10.77.0.1") > 0)
                try #require(await eventually(every: .milliseconds(1)) { log.losses > lost })
                try #require(await eventually(every: .milliseconds(1)) { log.connections > made })
            }
        }
        try await lose(50)
        let before = ProcessResources.now()
        try await lose(1_000)
        #expect(await eventually { ProcessResources.now().descriptors <= before.descriptors + 1 })
        #expect(await eventually { ProcessResources.now().threads <= before.threads + 1 })
        let growth = ProcessResources.now().residentKibibytes - before.residentKibibytes
        print("a thousand lost connections: \(growth) KiB more resident memory, \(before) before")
        #expect(growth < 3_072)
        _ = try await hypervisor.list()
        await hypervisor.close()
    }

    @Test func aLostHostIsSeenAndComesBack() async throws {
        let (hypervisor, log) = try await Lab.connected(2)
        var begun = ContinuousClock.now
        try Lab.lab("partition", "2")
        #expect(await eventually { log.losses == 1 })
        print("a partition was seen after \(ContinuousClock.now - begun)")
        #expect(ContinuousClock.now - begun < .seconds(6))
        #expect(await refusal { _ = try await hypervisor.list() } == .unreachable)
        try Lab.lab("heal", "2")
        #expect(await eventually(within: .seconds(20)) { log.connections == 2 })
        _ = try await hypervisor.list()

        begun = ContinuousClock.now
        try Lab.lab("crash", "2")
        #expect(await eventually { log.losses == 2 })
        print("a crash was seen after \(ContinuousClock.now - begun), with the time that the command took")
        #expect(ContinuousClock.now - begun < .seconds(3))
        try Lab.lab("restart", "2")
        #expect(await eventually(within: .seconds(20)) { log.connections == 3 })
        _ = try await hypervisor.list()
        await hypervisor.close()
    }
}

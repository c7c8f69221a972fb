import CloudModel
import CloudPorts
import Foundation
import HypervisorLibvirt
import Logging
import Testing

/// Against the hypervisor that libvirt has inside itself for tests: no daemon, no guests, on every machine.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct TestDriverTests {
    static let address = "test:///default"

    static func open(_ address: String = address, firstRetry: Duration = .milliseconds(1)) -> any Hypervisor {
        LibvirtProvider(logger: Logger(label: "test"), firstRetry: firstRetry).open(
            PhysicalServer(
                id: "host-a", hypervisor: address,
                capacity: ServerResources(cpuMillicores: 2_000, memory: .mebibytes(1_024))))
    }

    static func connected(_ address: String = address) async throws -> (any Hypervisor, EventLog) {
        let hypervisor = open(address)
        let log = EventLog(hypervisor)
        try #require(await eventually { log.connections > 0 })
        return (hypervisor, log)
    }

    static func definition(_ name: String, instance: String = "web-1") -> VirtualServerDefinition {
        VirtualServerDefinition(
            name: VirtualServerID(name), uuid: uuid(name),
            identity: VirtualServerIdentity(
                cloud: "it's <ours> & \"no one's\"", service: "web", instance: InstanceID(instance), incarnation: 3),
            flavor: VirtualServerFlavor(
                virtualCPUs: 1, cpuMillicores: 500, memory: .mebibytes(64), maximumVirtualCPUs: 4,
                maximumMemory: .mebibytes(128)))
    }

    /// Of its own for each name.
    static func uuid(_ name: String) -> String {
        let digits = name.utf8.map { String($0, radix: 16) }.joined().suffix(12)
        return "7e570000-0000-4000-8000-" + String(repeating: "0", count: 12 - digits.count) + digits
    }

    @Test func saysWhatItCanDoAndWhatNot() async throws {
        let (hypervisor, log) = try await Self.connected()
        let capabilities = try #require(log.capabilities)
        #expect(capabilities.version.contains("libvirt"))
        #expect(capabilities.features.contains(.saveState))
        #expect(!capabilities.features.contains(.liveMigration))
        #expect(!capabilities.features.contains(.cpuQuota))
        await hypervisor.close()
    }

    @Test func keepsWhoseAVirtualServerIs() async throws {
        let (hypervisor, _) = try await Self.connected()
        let definition = Self.definition("kept")
        try await hypervisor.define(definition)
        try await hypervisor.define(definition)
        let all = try await hypervisor.list()
        let found = try #require(all.first { $0.name == "kept" })
        #expect(found.identity == definition.identity)
        #expect(found.uuid == definition.uuid)
        #expect(found.state == .defined)
        #expect(found.memory == .mebibytes(64))
        // The driver has one of its own, which is nobody's.
        #expect(all.contains { $0.name == "test" && $0.identity == nil && $0.state == .running })
        #expect(all.map(\.name) == all.map(\.name).sorted())
        try await hypervisor.undefine("kept", removingDisks: true)
        try await hypervisor.undefine("kept", removingDisks: true)
        #expect(try await !hypervisor.list().contains { $0.name == "kept" })
        await hypervisor.close()
    }

    @Test func takesNothingThatIsAnothers() async throws {
        let (hypervisor, _) = try await Self.connected()
        // A name that nobody of ours has given; a name with another identity; a uuid under another name.
        #expect(await refusal { try await hypervisor.define(Self.definition("test")) } == .conflict)
        try await hypervisor.define(Self.definition("taken"))
        let other = Self.definition("taken", instance: "web-2")
        #expect(await refusal { try await hypervisor.define(other) } == .conflict)
        var twin = Self.definition("twin")
        twin.uuid = Self.uuid("taken")
        #expect(await refusal { try await hypervisor.define(twin) } == .conflict)
        try await hypervisor.undefine("taken", removingDisks: false)
        await hypervisor.close()
    }

    @Test func livesAndReportsIt() async throws {
        let (hypervisor, log) = try await Self.connected()
        let name: VirtualServerID = "lives"
        try await hypervisor.define(Self.definition("lives"))
        func state() async throws -> VirtualServerState? {
            try await hypervisor.list().first { $0.name == name }?.state
        }
        try await hypervisor.start(name, paused: false)
        try await hypervisor.start(name, paused: false)
        #expect(try await state() == .running)
        #expect(await refusal { try await hypervisor.undefine(name, removingDisks: true) } == .invalidState)
        try await hypervisor.suspend(name)
        try await hypervisor.suspend(name)
        #expect(try await state() == .paused)
        #expect(await refusal { try await hypervisor.start(name, paused: false) } == .invalidState)
        try await hypervisor.resume(name)
        try await hypervisor.save(name)
        try await hypervisor.save(name)
        #expect(try await state() == .saved)
        try await hypervisor.start(name, paused: false)
        #expect(try await state() == .running)
        try await hypervisor.shutDown(name)
        try await hypervisor.shutDown(name)
        #expect(try await state() == .defined)
        try await hypervisor.start(name, paused: false)
        try await hypervisor.destroy(name)
        try await hypervisor.destroy(name)
        try await hypervisor.undefine(name, removingDisks: true)

        let ends: [VirtualServerChange] = [.defined, .started, .suspended, .resumed, .saved, .shutOff, .destroyed]
        #expect(await eventually { log.changes(of: name).last == .undefined })
        let seen = log.changes(of: name)
        var rest = seen[...]
        for change in ends {
            let next = try #require(rest.firstIndex(of: change), "\(change) is missing in \(seen)")
            rest = rest[rest.index(after: next)...]
        }
        await hypervisor.close()
    }

    @Test func seesWhatOthersDo() async throws {
        let (hypervisor, log) = try await Self.connected()
        let (operatorsOwn, _) = try await Self.connected()
        try await operatorsOwn.define(Self.definition("others"))
        try await operatorsOwn.start("others", paused: false)
        try await operatorsOwn.destroy("others")
        try await operatorsOwn.undefine("others", removingDisks: true)
        #expect(await eventually { log.changes(of: "others").last == .undefined })
        #expect(log.changes(of: "others").contains(.destroyed))
        await operatorsOwn.close()
        await hypervisor.close()
    }

    @Test func changesSizeAsFarAsItCan() async throws {
        let (hypervisor, _) = try await Self.connected()
        try await hypervisor.define(Self.definition("sized"))
        try await hypervisor.resize("sized", to: ResizeRequest(virtualCPUs: 2, memory: .mebibytes(96)))
        let found = try #require(try await hypervisor.list().first { $0.name == "sized" })
        #expect(found.virtualCPUs == 2)
        #expect(found.memory == .mebibytes(96))
        try await hypervisor.start("sized", paused: false)
        // Refused as a whole: the memory stays.
        let refused = ResizeRequest(cpuMillicores: 250, memory: .mebibytes(64))
        #expect(await refusal { try await hypervisor.resize("sized", to: refused) } == .unsupported)
        #expect(try await hypervisor.list().first { $0.name == "sized" }?.memory == .mebibytes(96))
        let fewer = ResizeRequest(virtualCPUs: 1)
        #expect(await refusal { try await hypervisor.resize("sized", to: fewer) } == .unsupported)
        try await hypervisor.destroy("sized")
        try await hypervisor.undefine("sized", removingDisks: true)
        await hypervisor.close()
    }

    @Test func refusesWhatItLacks() async throws {
        let (hypervisor, log) = try await Self.connected()
        try await hypervisor.define(Self.definition("stays"))
        try await hypervisor.start("stays", paused: false)
        let other = PhysicalServer(id: "host-b", hypervisor: "test:///other", capacity: .zero)
        let code = await refusal {
            _ = try await hypervisor.migrate("stays", to: other, settings: MigrationSettings()) { _ in }
        }
        #expect(code == .unsupported)
        #expect(try await hypervisor.list().first { $0.name == "stays" }?.state == .running)
        var seeded = Self.definition("seeded")
        seeded.seed = CloudInitSeed(userData: "", metaData: "")
        #expect(await refusal { try await hypervisor.define(seeded) } == .unsupported)
        #expect(await refusal { try await hypervisor.start("nowhere", paused: false) } == .notFound)
        try await hypervisor.destroy("stays")
        try await hypervisor.undefine("stays", removingDisks: true)
        #expect(log.losses == 0)
        await hypervisor.close()
    }

    @Test func isUnreachableWithoutAConnection() async throws {
        // Nothing listens there: 127.0.0.1 port 1 answers at once that it does not.
        let hypervisor = Self.open("qemu+tcp://127.0.0.1:1/system")
        let log = EventLog(hypervisor)
        #expect(await refusal { _ = try await hypervisor.list() } == .unreachable)
        #expect(log.connections == 0)
        await hypervisor.close()
        await hypervisor.close()
    }

    @Test func nothingIsLeftOfAThousandConnections() async throws {
        func round() async throws {
            let (hypervisor, _) = try await Self.connected()
            _ = try await hypervisor.list()
            await hypervisor.close()
        }
        for _ in 0..<100 { try await round() }
        let before = ProcessResources.now()
        for _ in 0..<1_000 { try await round() }
        #expect(await eventually { ProcessResources.now().descriptors <= before.descriptors })
        #expect(await eventually { ProcessResources.now().threads <= before.threads })
        let growth = ProcessResources.now().residentKibibytes - before.residentKibibytes
        print("a thousand connections: \(growth) KiB more resident memory, \(before) before")
        // A connection of this driver takes 40 KiB and more; 1,000 that leaked would show many times over.
        #expect(growth < 8_192)
    }
}

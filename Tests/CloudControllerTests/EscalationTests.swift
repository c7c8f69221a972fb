import CloudController
import CloudModel
import Testing
import VirtualInfrastructure

/// The load of a service on virtual servers rises: what is done, in which order, and back.
@Suite struct ServerEscalationTests {
    private static let base = 400
    private static let capabilities = HypervisorCapabilities(
        version: "1", cpuModel: "same", features: Set(HypervisorCapabilities.Feature.allCases))

    private static func service(maximum: Int = 1_600) -> CloudService {
        CloudService(
            id: "web", routes: [Route(pathPrefix: "/")],
            instances: .virtualServer(
                VirtualServerTemplate(
                    flavor: VirtualServerFlavor(
                        virtualCPUs: 2, cpuMillicores: base, memory: .mebibytes(128), maximumCpuMillicores: maximum),
                    directBoot: DirectBoot(kernel: "/boot/vmlinuz"),
                    addresses: AddressRange(first: 0x0A00_000A, last: 0x0A00_0013, prefixLength: 24), port: 8080)),
            constraints: WorkloadConstraints(minimumInstances: 1, maximumInstances: 2),
            scaling: ScalingSettings(targetConcurrency: 2))
    }

    /// The first takes the one instance that there is at first.
    private func cloud(millicores: [Int]) throws -> Bench {
        var bench = Bench()
        let hosts = zip(["a", "b"], millicores).map { name, size in
            PhysicalServer(
                id: PhysicalServerID(name), hypervisor: "test:///\(name)",
                capacity: ServerResources(cpuMillicores: size, memory: .mebibytes(512)),
                fencing: .command(["/fence", "{host}"]))
        }
        bench.command(.configure(CloudConfiguration(services: [], physicalServers: hosts)))
        for host in hosts {
            bench.send(.infrastructure(.connected(host.id, Self.capabilities)))
            bench.send(.infrastructure(.listed(host.id, [])))
        }
        var first = hosts
        first[1].maintenance = true
        bench.command(.configure(CloudConfiguration(services: [], physicalServers: first)))
        bench.command(.configure(CloudConfiguration(services: [Self.service()], physicalServers: first)))
        answer(&bench)
        bench.command(.configure(CloudConfiguration(services: [Self.service()], physicalServers: hosts)))
        bench.pass(.seconds(5))
        bench.effects = bench.effects.filter { if case .hypervisor = $0 { false } else { true } }
        return bench
    }

    private func answer(_ bench: inout Bench) {
        bench.answerHypervisors()
        bench.pass(.seconds(1))
    }

    private func hold(_ bench: inout Bench, _ span: TimeSpan, inFlight: Int) {
        let end = bench.now + span
        while bench.now < end {
            bench.load(inFlight: inFlight)
            answer(&bench)
        }
    }

    private func size(_ bench: Bench, _ id: InstanceID = "web-1") -> Int? {
        bench[id]?.virtualServer?.flavor.cpuMillicores
    }

    private func host(_ bench: Bench) -> PhysicalServerID? { bench["web-1"]?.virtualServer?.host }

    @Test("its host has room: it grows where it is, is billed for that, and shrinks again after the window")
    func inPlace() throws {
        var bench = try cloud(millicores: [2_000, 2_000])
        hold(&bench, .seconds(5), inFlight: 6)
        #expect(size(bench) == 3 * Self.base)
        #expect(host(bench) == "a")
        #expect(bench.controller.instances.count == 1)
        let resized = try #require(bench.lifecycle.last)
        #expect(resized.kind == .resize)
        #expect(resized.resources.cpuMillicores == 3 * Self.base)
        // A short fall changes nothing; the window's end does, once.
        hold(&bench, .seconds(60), inFlight: 1)
        #expect(size(bench) == 3 * Self.base)
        hold(&bench, .seconds(300), inFlight: 1)
        #expect(size(bench) == Self.base)
        hold(&bench, .seconds(60), inFlight: 1)
        #expect(bench.lifecycle.count { $0.kind == .resize } == 2)
        #expect(bench.lifecycle.last?.resources.cpuMillicores == Self.base)
    }

    @Test("its host is used by others: it is moved live to one with room and grows there, step by step in the timeline")
    func relocates() throws {
        var bench = try cloud(millicores: [500, 2_000])
        #expect(host(bench) == "a")
        hold(&bench, .seconds(5), inFlight: 6)
        #expect(host(bench) == "b")
        #expect(size(bench) == 3 * Self.base)
        #expect(bench.controller.instances.count == 1)
        let steps = bench.events.filter { $0.step?.mechanism == .liveMigration }
        #expect(steps.compactMap(\.step?.number) == ["1", "2", "3", "4", "5"])
        #expect(steps.first?.summary.contains("the workload of web rises") == true)
        #expect(steps.dropFirst().first?.summary.contains("no more than 500 millicores on a") == true)
        let used = bench.controller.infrastructure
        #expect(used.usage(of: "a").cpuMillicores == 0)
        #expect(used.usage(of: "b").cpuMillicores == 3 * Self.base)
        hold(&bench, .seconds(320), inFlight: 0)
        #expect(size(bench) == Self.base)
        #expect(host(bench) == "b")
    }

    @Test("no host has room for a larger one: there are more instances, then somebody is told, once")
    func outAndNotify() throws {
        var bench = try cloud(millicores: [500, 500])
        hold(&bench, .seconds(5), inFlight: 4)
        #expect(bench.controller.instances.count == 2)
        #expect(size(bench) == Self.base)
        hold(&bench, .seconds(30), inFlight: 12)
        #expect(bench.controller.instances.count == 2)
        #expect(bench.notifications.count { $0.kind == "scaling-exhausted" } == 1)
    }

    @Test("a hypervisor that refuses leaves the size as it was, and instances are added instead")
    func refused() throws {
        var bench = try cloud(millicores: [2_000, 2_000])
        bench.load(inFlight: 4)
        let asked = bench.effects.compactMap { effect -> (PhysicalServerID, HypervisorCommand)? in
            if case .hypervisor(let host, .resize(let name, let request)) = effect {
                (host, .resize(name, request))
            } else {
                nil
            }
        }
        let (host, command) = try #require(asked.first)
        bench.send(
            .infrastructure(.commandEnded(host, command, failure: HypervisorError(.unsupported, "no quota here"))))
        bench.effects = bench.effects.filter { if case .hypervisor = $0 { false } else { true } }
        #expect(size(bench) == Self.base)
        #expect(bench.controller.infrastructure.usage(of: "a").cpuMillicores == Self.base)
        hold(&bench, .seconds(8), inFlight: 4)
        #expect(bench.controller.instances.count == 2)
    }

    @Test("a size that was told to nobody before a restart is told again")
    func recovers() throws {
        var bench = try cloud(millicores: [2_000, 2_000])
        bench.load(inFlight: 6)
        #expect(size(bench) == 3 * Self.base)
        let placement = try #require(bench["web-1"]?.virtualServer)
        let stored = bench.stored
        bench.controller = CloudController()
        bench.effects = []
        bench.send(.recovered(stored))
        bench.send(.adoptionCompleted)
        let observed = ObservedVirtualServer(
            name: placement.name, uuid: placement.uuid,
            identity: VirtualServerIdentity(cloud: "cloud", service: "web", instance: "web-1", incarnation: 1),
            state: .running, virtualCPUs: 2, memory: .mebibytes(128))
        for id in ["a", "b"] as [PhysicalServerID] {
            bench.send(.infrastructure(.connected(id, Self.capabilities)))
            bench.send(.infrastructure(.listed(id, id == placement.host ? [observed] : [])))
        }
        let resizes = bench.effects.compactMap { effect -> Int? in
            if case .hypervisor(_, .resize(_, let request)) = effect { request.cpuMillicores } else { nil }
        }
        #expect(resizes == [3 * Self.base])
        #expect(bench.controller.infrastructure.usage(of: placement.host).cpuMillicores == 3 * Self.base)
    }
}

import CloudController
import CloudModel
import Testing
import VirtualInfrastructure

/// A service whose instances are virtual servers: what the controller asks of the hypervisors, and what it makes of
/// their answers.
@Suite struct VirtualServerTests {
    private static let service = CloudService(
        id: "web", routes: [Route(pathPrefix: "/")],
        instances: .virtualServer(
            VirtualServerTemplate(
                flavor: VirtualServerFlavor(cpuMillicores: 500, memory: .mebibytes(128)),
                directBoot: DirectBoot(kernel: "/boot/vmlinuz", commandLine: "ip={address}"),
                addresses: AddressRange(first: 0x0A00_000A, last: 0x0A00_0013, prefixLength: 24), port: 8080)),
        constraints: WorkloadConstraints(minimumInstances: 1, maximumInstances: 3))

    private static func host(_ name: String) -> PhysicalServer {
        PhysicalServer(
            id: PhysicalServerID(name), hypervisor: "test:///\(name)",
            capacity: ServerResources(cpuMillicores: 1_000, memory: .mebibytes(512)),
            fencing: .command(["/fence", "{host}"]))
    }

    private static let capabilities = HypervisorCapabilities(
        version: "1", cpuModel: "same", features: Set(HypervisorCapabilities.Feature.allCases))

    /// Two hosts that answer and one service.
    private func cloud() -> Bench {
        var bench = Bench()
        bench.command(
            .configure(CloudConfiguration(services: [], physicalServers: [Self.host("a"), Self.host("b")])))
        for host in ["a", "b"] as [PhysicalServerID] {
            bench.send(.infrastructure(.connected(host, Self.capabilities)))
            bench.send(.infrastructure(.listed(host, [])))
        }
        bench.command(
            .configure(CloudConfiguration(services: [Self.service], physicalServers: [Self.host("a"), Self.host("b")])))
        bench.pass(.zero)
        return bench
    }

    /// The newest command to run a virtual server, answered as done.
    private func run(_ bench: inout Bench) throws -> (host: PhysicalServerID, definition: VirtualServerDefinition) {
        let found = bench.effects.reversed().lazy.compactMap { effect in
            if case .hypervisor(let host, .run(let definition)) = effect { (host, definition) } else { nil }
        }.first
        let (host, definition) = try #require(found)
        bench.send(.infrastructure(.commandEnded(host, .run(definition), failure: nil)))
        bench.pass(.seconds(1))
        return (host, definition)
    }

    private func lifecycle(_ bench: Bench) -> [LifecycleEvent] {
        bench.effects.compactMap { if case .lifecycle(let event) = $0 { event } else { nil } }
    }

    @Test("where an instance is to be is stored before its hypervisor is asked for it")
    func intentBeforeAction() throws {
        let bench = cloud()
        let step = try #require(
            bench.effects.firstIndex { if case .hypervisor(_, .run) = $0 { true } else { false } })
        let stored = bench.effects[..<step].contains { effect in
            if case .persist(let instance) = effect { instance.virtualServer != nil } else { false }
        }
        #expect(stored)
    }

    @Test("an instance on a virtual server starts, is balanced over and is metered as any other")
    func serves() throws {
        var bench = cloud()
        let started = try run(&bench)
        #expect(started.definition.directBoot?.commandLine == "ip=10.0.0.10")
        let instance = try #require(bench.controller.instances.first)
        #expect(instance.phase == .running)
        #expect(instance.operational == .up)
        #expect(instance.endpoint == Endpoint(address: "10.0.0.10", port: 8080))
        #expect(bench.controller.snapshot.services.first?.backends.map(\.instance) == ["web-1"])
        let books = lifecycle(bench)
        #expect(books.map(\.kind) == [.start])
        #expect(books.first?.resources == ResourceLimits(cpuMillicores: 500, memory: .mebibytes(128)))
        #expect(bench.controller.infrastructure.running == ["web-1"])
    }

    @Test("what ran on a host that died is started on another, once it is fenced, and billed until it was last heard")
    func hostDies() throws {
        var bench = cloud()
        let first = try run(&bench)
        let diedAt = bench.now
        bench.failing["web-1"] = "timed out"
        bench.send(.infrastructure(.disconnected(first.host, reason: "gone")))
        bench.pass(.seconds(10))
        let fence = bench.effects.contains { if case .fence(first.host, _) = $0 { true } else { false } }
        #expect(fence)
        let runsBefore = bench.effects.count { if case .hypervisor(_, .run) = $0 { true } else { false } }
        #expect(runsBefore == 1)
        bench.send(.infrastructure(.fencingEnded(first.host, failure: nil)))
        bench.failing = [:]
        bench.pass(.seconds(2))
        let second = try run(&bench)
        #expect(second.host != first.host)
        let instance = try #require(bench.controller.instances.first)
        #expect(instance.operational == .up)
        #expect(instance.virtualServer?.host == second.host)
        let stop = try #require(lifecycle(bench).first { $0.kind == .stop })
        #expect(stop.inferred)
        #expect(stop.at <= diedAt + .seconds(1))
    }

    @Test(
        "where only the minimum asks, nothing is started in the stead of one that is on its way",
        arguments: [nil, 1_000])
    func noStandIn(growsTo: Int?) throws {
        var bench = Bench()
        let hosts = [Self.host("a"), Self.host("b")]
        var service = Self.service
        guard case .virtualServer(var template) = service.instances else { return }
        template.flavor.maximumCpuMillicores = growsTo
        service.instances = .virtualServer(template)
        service.scaling.targetConcurrency = 2
        bench.command(.configure(CloudConfiguration(services: [service], physicalServers: hosts)))
        // No host has answered yet, so no start can succeed; consumers ask for nothing.
        for _ in 0..<4 {
            bench.load()
            bench.pass(.seconds(1))
        }
        #expect(bench.events.contains { $0.kind == "instance.start-failed" })
        #expect(bench.controller.instances.count == 1)
        for host in hosts {
            bench.send(.infrastructure(.connected(host.id, Self.capabilities)))
            bench.send(.infrastructure(.listed(host.id, [])))
        }
        bench.pass(.seconds(60))
        _ = try run(&bench)
        // The same where it has failed and is being recovered.
        let instance = try #require(bench.controller.instances.first { $0.operational == .up }?.id)
        bench.failing[instance] = "connection refused"
        for _ in 0..<20 {
            bench.load()
            bench.pass(.seconds(1))
        }
        #expect(bench.events.contains { $0.kind == "instance.failed" })
        #expect(bench.controller.instances.count == 1)
    }

    @Test("with its host's connection lost, one check that fails is enough, and its host is fenced after two seconds")
    func doubts() throws {
        var bench = cloud()
        let first = try run(&bench)
        bench.failing["web-1"] = "connection refused"
        let lostAt = bench.now
        bench.send(.infrastructure(.disconnected(first.host, reason: "gone")))
        bench.pass(.milliseconds(10))
        #expect(bench.events.contains { $0.kind == "instance.failed" })
        bench.pass(lostAt + .milliseconds(1_990) - bench.now)
        func isFenced() -> Bool { bench.effects.contains { if case .fence = $0 { true } else { false } } }
        #expect(!isFenced())
        bench.pass(.milliseconds(20))
        #expect(isFenced())
        // The pause before it is started again has passed meanwhile.
        bench.send(.infrastructure(.fencingEnded(first.host, failure: nil)))
        bench.pass(.milliseconds(10))
        #expect(bench.controller.instances.first?.incarnation == 2)
    }

    @Test("a host whose connection is lost and whose services answer is left alone")
    func leavesAlone() throws {
        var bench = cloud()
        let first = try run(&bench)
        bench.send(.infrastructure(.disconnected(first.host, reason: "its daemon is restarted")))
        bench.pass(.seconds(60))
        #expect(!bench.effects.contains { if case .fence = $0 { true } else { false } })
        #expect(!bench.events.contains { $0.kind == "instance.failed" })
    }

    @Test("a restarted control plane takes over what its hosts report")
    func recovers() throws {
        var bench = cloud()
        let started = try run(&bench)
        let stored = bench.stored
        bench.controller = CloudController()
        bench.effects = []
        bench.send(.recovered(stored))
        bench.send(.adoptionCompleted)
        let observed = ObservedVirtualServer(
            name: started.definition.name, uuid: started.definition.uuid, identity: started.definition.identity,
            state: .running, virtualCPUs: 1, memory: .mebibytes(128))
        for host in ["a", "b"] as [PhysicalServerID] {
            bench.send(.infrastructure(.connected(host, Self.capabilities)))
            bench.send(.infrastructure(.listed(host, host == started.host ? [observed] : [])))
        }
        bench.pass(.seconds(5))
        #expect(lifecycle(bench).isEmpty)
        #expect(bench.controller.instances.map(\.phase) == [.running])
        let runs = bench.effects.count { if case .hypervisor(_, .run) = $0 { true } else { false } }
        #expect(runs == 0)
    }

    @Test("a physical server with virtual servers on it is not forgotten")
    func refusesForgetting() throws {
        var bench = cloud()
        let started = try run(&bench)
        let left = CloudConfiguration(
            services: [Self.service], physicalServers: ["a", "b"].map(Self.host).filter { $0.id != started.host })
        #expect(bench.controller.refusal(of: .configure(left)) != nil)
    }

    @Test("a suspended instance is given no work and is not taken for failed; resumed it works again")
    func suspends() throws {
        var bench = cloud()
        let started = try run(&bench)
        bench.command(.suspend("web-1", operation: "op-1"))
        let (name, uuid) = (started.definition.name, started.definition.uuid)
        bench.failing["web-1"] = "timed out"
        bench.send(.infrastructure(.changed(started.host, name, uuid: uuid, .suspended)))
        bench.pass(.seconds(30))
        #expect(bench.controller.snapshot.services.first?.backends.isEmpty == true)
        // Another is started in its stead, since it does not count towards those that work.
        #expect(bench.controller.instances.first?.phase == .running)
        #expect(bench.controller.instances.first?.incarnation == 1)
        bench.failing = [:]
        bench.command(.resume("web-1", operation: "op-2"))
        bench.send(.infrastructure(.changed(started.host, name, uuid: uuid, .resumed)))
        bench.pass(.seconds(5))
        #expect(bench.controller.instances.first?.operational == .up)
        #expect(lifecycle(bench).map(\.kind) == [.start, .suspend, .resume])
    }

    @Test("a drained host stays closed across a restart and a file that is applied, until it is activated")
    func drains() throws {
        var bench = cloud()
        let started = try run(&bench)
        let host = started.host
        bench.command(.drainHost(host, DrainSettings(), operation: "op-1"))
        let isMigrating = bench.effects.contains { if case .hypervisor(host, .migrate) = $0 { true } else { false } }
        #expect(isMigrating)
        func isClosed() -> Bool? { bench.controller.configuration.physicalServers.first { $0.id == host }?.closed }
        #expect(isClosed() == true)
        #expect(bench.operation("op-1")?.progress == OperationProgress(done: 0, total: 1))
        // A file says nothing of it.
        bench.command(
            .configure(
                CloudConfiguration(services: [Self.service], physicalServers: [Self.host("a"), Self.host("b")])))
        #expect(isClosed() == true)
        let stored = bench.stored
        bench.controller = CloudController()
        bench.send(.recovered(stored))
        bench.send(.adoptionCompleted)
        #expect(isClosed() == true)
        #expect(bench.controller.infrastructure.hosts.first { $0.server.id == host }?.drain?.operation.id == "op-1")
        // It arrived meanwhile.
        let observed = ObservedVirtualServer(
            name: started.definition.name, uuid: started.definition.uuid, identity: started.definition.identity,
            state: .running, virtualCPUs: 1, memory: .mebibytes(128))
        for id in ["a", "b"] as [PhysicalServerID] {
            bench.send(.infrastructure(.connected(id, Self.capabilities)))
            bench.send(.infrastructure(.listed(id, id == host ? [] : [observed])))
        }
        bench.pass(.seconds(15))
        #expect(bench.operation("op-1")?.state == .succeeded)
        bench.command(.activateHost(host))
        #expect(isClosed() == false)
        #expect(bench.events.contains { $0.kind == "physical-server.activated" })
    }
}

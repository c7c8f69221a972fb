import CloudController
import CloudModel
import Testing
import VirtualInfrastructure

/// Standbys on virtual servers, that wait without running.
@Suite struct StandbyServerTests {
    private static let capabilities = HypervisorCapabilities(
        version: "1", cpuModel: "same", features: Set(HypervisorCapabilities.Feature.allCases))

    private static let service = CloudService(
        id: "web", routes: [Route(pathPrefix: "/")],
        instances: .virtualServer(
            VirtualServerTemplate(
                flavor: VirtualServerFlavor(cpuMillicores: 400, memory: .mebibytes(128)),
                directBoot: DirectBoot(kernel: "/boot/vmlinuz"),
                addresses: AddressRange(first: 0x0A00_000A, last: 0x0A00_0013, prefixLength: 24), port: 8080,
                placement: PlacementRule(affinity: .strictlyApart))),
        constraints: WorkloadConstraints(minimumInstances: 1, maximumInstances: 2))

    private static let hosts = ["a", "b", "c"].map { name in
        PhysicalServer(
            id: PhysicalServerID(name), hypervisor: "test:///\(name)",
            capacity: ServerResources(cpuMillicores: 1_000, memory: .mebibytes(512)),
            fencing: .command(["/fence", "{host}"]))
    }

    /// An active one and a standby that has proven to work.
    private func cloud(_ readiness: FailoverGroup.StandbyReadiness) throws -> Bench {
        var bench = Bench()
        bench.command(.configure(CloudConfiguration(services: [], physicalServers: Self.hosts)))
        for host in Self.hosts {
            bench.send(.infrastructure(.connected(host.id, Self.capabilities)))
            bench.send(.infrastructure(.listed(host.id, [])))
        }
        let group = FailoverGroup(
            id: "web", service: "web", mode: .activePassive, standbys: 1, standbyReadiness: readiness)
        bench.command(
            .configure(
                CloudConfiguration(
                    services: [Self.service], failoverGroups: [group], physicalServers: Self.hosts)))
        for _ in 0..<30 {
            answer(&bench)
            bench.pass(.seconds(1))
        }
        return bench
    }

    /// Carries out what the hypervisors were asked; returns the commands to virtual servers.
    @discardableResult
    private func answer(_ bench: inout Bench) -> [HypervisorCommand] {
        var carried: [HypervisorCommand] = []
        let asked = bench.effects.compactMap { effect -> (PhysicalServerID, HypervisorCommand)? in
            if case .hypervisor(let host, let command) = effect { (host, command) } else { nil }
        }
        bench.effects = bench.effects.filter { if case .hypervisor = $0 { false } else { true } }
        for (host, command) in asked {
            let change: VirtualServerChange?
            let server: VirtualServerID?
            switch command {
            case .suspend(let name): (server, change) = (name, .suspended)
            case .save(let name): (server, change) = (name, .saved)
            case .resume(let name): (server, change) = (name, .resumed)
            case .restore(let name): (server, change) = (name, .started)
            case .destroy(let name): (server, change) = (name, .destroyed)
            case .run: (server, change) = (nil, nil)
            default: continue
            }
            carried.append(command)
            let uuid = bench.controller.infrastructure.servers.values.first { $0.placement.name == server }?.placement
                .uuid
            if let server, let change, let uuid {
                bench.send(.infrastructure(.changed(host, server, uuid: uuid, change)))
            }
            bench.send(.infrastructure(.commandEnded(host, command, failure: nil)))
        }
        return carried
    }

    private func phase(_ bench: Bench, _ id: InstanceID) -> SupervisedServer.Phase? {
        bench.controller.infrastructure.servers[id]?.phase
    }

    @Test(
        "a standby that has proven to work waits without running, is not checked, and does not count as failed",
        arguments: [(FailoverGroup.StandbyReadiness.hot, ParkedState.paused), (.warm, .saved)])
    func parks(readiness: FailoverGroup.StandbyReadiness, state: ParkedState) throws {
        var bench = try cloud(readiness)
        #expect(phase(bench, "web-1") == .running)
        #expect(phase(bench, "web-2") == (state == .paused ? .suspended : .saved))
        #expect(bench["web-2"]?.virtualServer?.parked == state)
        #expect(bench["web-1"]?.virtualServer?.host != bench["web-2"]?.virtualServer?.host)
        #expect(bench.backends == ["web-1"])
        // Its checks would fail, if there were any.
        bench.failing["web-2"] = "timed out"
        bench.effects = []
        bench.pass(.minutes(5))
        #expect(bench.notifications.isEmpty)
        #expect(!bench.effects.contains { if case .probe("web-2", _, _, _) = $0 { true } else { false } })
        #expect(bench.controller.instances.count == 2)
        #expect(bench.controller.infrastructure.running == ["web-1", "web-2"])
    }

    /// The time that the newest check of the instance was given.
    private func timeout(_ bench: Bench, _ id: InstanceID) -> TimeSpan? {
        let given = bench.effects.compactMap { effect -> TimeSpan? in
            if case .probe(id, _, _, let check) = effect { check.timeout } else { nil }
        }
        return given.last
    }

    /// The active one's checks take so long from now on; none is under way.
    private func slow(_ bench: inout Bench, _ span: TimeSpan) {
        bench.answersChecks = false
        bench.effects = []
        while timeout(bench, "web-1") == nil, let next = bench.controller.nextDeadline {
            bench.now = max(bench.now, next)
            bench.send(.deadline)
        }
        bench.now = bench.now + span
        bench.send(.probeCompleted("web-1", incarnation: 1, failure: nil))
        bench.effects = []
    }

    @Test(
        "a check of one whose host is not heard may take several times of what it takes usually, not the whole timeout",
        arguments: [(Int64(1), Int64(500)), (200, 800), (400, 1_000)])
    func checksInDoubtAreShort(usual: Int64, given: Int64) throws {
        var bench = try cloud(.hot)
        slow(&bench, .milliseconds(usual))
        let host = try #require(bench["web-1"]?.virtualServer?.host)
        bench.send(.infrastructure(.disconnected(host, reason: "the other side closed the connection")))
        bench.pass(.milliseconds(1))
        #expect(timeout(bench, "web-1") == .milliseconds(given))
        // Its failure is the second evidence: the standby is woken at once.
        bench.send(.probeCompleted("web-1", incarnation: 1, failure: "timed out after \(given) ms"))
        #expect(answer(&bench).contains { if case .resume = $0 { true } else { false } })
    }

    @Test("a check that is under way when the host falls silent is not given more time than one begun then")
    func checksUnderWayAreCutShort() throws {
        var bench = try cloud(.hot)
        slow(&bench, .milliseconds(1))
        while timeout(bench, "web-1") == nil { bench.pass(.milliseconds(100)) }
        #expect(timeout(bench, "web-1") == .seconds(1))
        let host = try #require(bench["web-1"]?.virtualServer?.host)
        bench.send(.infrastructure(.disconnected(host, reason: "the other side closed the connection")))
        bench.pass(.milliseconds(490))
        #expect(bench["web-1"]?.role == .active)
        bench.pass(.milliseconds(10))
        #expect(bench["web-2"]?.role == .active)
    }

    @Test("a standby on storage leaves a host that is emptied: made anew on another, with both lives in the books")
    func leavesADrainedHost() throws {
        var bench = try cloud(.warm)
        let host = try #require(bench["web-2"]?.virtualServer?.host)
        bench.effects = []
        bench.command(.drainHost(host, DrainSettings(), operation: "op-1"))
        var kinds: [String] = []
        var books: [LifecycleEvent.Kind] = []
        for _ in 0..<60 {
            for effect in bench.effects {
                if case .record(let event) = effect { kinds.append(event.kind) }
                if case .lifecycle(let event) = effect, event.instance == "web-2" { books.append(event.kind) }
            }
            bench.effects = bench.effects.filter { if case .hypervisor = $0 { true } else { false } }
            answer(&bench)
            bench.pass(.seconds(1))
        }
        #expect(kinds.contains("physical-server.drained"))
        #expect(!kinds.contains("instance.failed"))
        #expect(phase(bench, "web-2") == .saved)
        #expect(bench["web-2"]?.virtualServer?.host != host)
        #expect(bench["web-2"]?.virtualServer?.parked == .saved)
        #expect(books == [.stop, .start, .suspend])
        #expect(bench.notifications.isEmpty)
        #expect(bench.backends == ["web-1"])
    }

    @Test(
        "it is woken in the step that finds the active one failed, and given the work when it answers",
        arguments: [FailoverGroup.StandbyReadiness.hot, .warm])
    func activates(readiness: FailoverGroup.StandbyReadiness) throws {
        var bench = try cloud(readiness)
        bench.failing["web-1"] = "timed out"
        let host = try #require(bench["web-1"]?.virtualServer?.host)
        bench.send(.infrastructure(.disconnected(host, reason: "gone")))
        bench.effects = []
        let end = bench.now + .seconds(30)
        while bench["web-2"]?.role != .active, bench.now < end { bench.pass(.milliseconds(100)) }
        #expect(bench["web-2"]?.role == .active)
        #expect(bench.backends.isEmpty)
        let commands = answer(&bench)
        let isWoken = commands.contains { command in
            switch command {
            case .resume: readiness == .hot
            case .restore: readiness == .warm
            default: false
            }
        }
        #expect(isWoken)
        bench.pass(.milliseconds(100))
        #expect(bench.backends == ["web-2"])
        let redirected = try #require(bench.events.first { $0.kind == "workload.redirected" })
        #expect(redirected.step?.number == "3")
        #expect(redirected.details["activationMilliseconds"] != nil)
        // The failed one is started anew once its host is proven off, and becomes the standby.
        bench.pass(.seconds(10))
        bench.send(.infrastructure(.fencingEnded(host, failure: nil)))
        bench.failing = [:]
        for _ in 0..<40 {
            answer(&bench)
            bench.pass(.seconds(1))
        }
        #expect(bench["web-1"]?.role == .standby)
        #expect(bench["web-1"]?.virtualServer?.parked != nil)
        #expect(bench.backends == ["web-2"])
    }

    @Test("one that does not wake is given up, and another is started")
    func doesNotWake() throws {
        var bench = try cloud(.warm)
        let standby = try #require(bench["web-2"]?.virtualServer)
        bench.failing["web-1"] = "connection refused"
        bench.effects = []
        let end = bench.now + .seconds(30)
        while bench["web-2"]?.role != .active, bench.now < end { bench.pass(.milliseconds(100)) }
        bench.send(
            .infrastructure(
                .commandEnded(
                    standby.host, .restore(standby.name), failure: HypervisorError(.failed, "the file is damaged"))))
        bench.failing = [:]
        for _ in 0..<60 {
            answer(&bench)
            bench.pass(.seconds(1))
        }
        #expect(!bench.backends.isEmpty)
        #expect(bench.events.contains { $0.kind == "virtual-server.not-restored" })
    }

    @Test("a restarted control plane finds it asleep, and wakes it when it is needed")
    func recovers() throws {
        var bench = try cloud(.warm)
        let servers = bench.controller.infrastructure.servers.values.sorted { $0.instance < $1.instance }
        let stored = bench.stored
        bench.controller = CloudController()
        bench.effects = []
        bench.send(.recovered(stored))
        bench.send(.adoptionCompleted)
        for host in Self.hosts {
            bench.send(.infrastructure(.connected(host.id, Self.capabilities)))
            let observed = servers.filter { $0.placement.host == host.id }.map { server in
                ObservedVirtualServer(
                    name: server.placement.name, uuid: server.placement.uuid, identity: server.identity,
                    state: server.instance == "web-2" ? .saved : .running, virtualCPUs: 1, memory: .mebibytes(128))
            }
            bench.send(.infrastructure(.listed(host.id, observed)))
        }
        bench.pass(.seconds(5))
        #expect(phase(bench, "web-2") == .saved)
        #expect(bench.controller.instances.count == 2)
        #expect(bench.lifecycle.isEmpty)
        bench.failing["web-1"] = "connection refused"
        let end = bench.now + .seconds(30)
        while bench["web-2"]?.role != .active, bench.now < end { bench.pass(.milliseconds(100)) }
        answer(&bench)
        bench.pass(.seconds(1))
        #expect(bench.backends == ["web-2"])
    }
}

import CloudModel
import Testing
import VirtualInfrastructure

@Suite struct DrainTests {
    /// Three hosts; `a` has three virtual servers, the others one each.
    private func world(_ template: VirtualServerTemplate = smallServer) -> EmulatedHosts {
        var hosts = ["a", "b", "c"].map { emulatedHost($0) }
        for index in 1...2 { hosts[index].closed = true }
        var world = EmulatedHosts(hosts)
        for number in 1...3 { world.start(InstanceID("web-\(number)"), template) }
        world.settle()
        for index in 1...2 { hosts[index].closed = false }
        world.declare(hosts)
        world.effects = []
        return world
    }

    private func close(_ world: inout EmulatedHosts, _ host: PhysicalServerID) {
        var declared = world.declared
        for index in declared.indices where declared[index].id == host { declared[index].closed = true }
        world.declare(declared)
    }

    private func drain(_ world: inout EmulatedHosts, _ settings: DrainSettings = .init()) {
        close(&world, "a")
        world.tell(.drain("a", settings, operation: "op-1", actor: "ann"))
    }

    private func operation(_ world: EmulatedHosts) -> Operation? { world.operations.last { $0.id == "op-1" } }

    @Test("a drained host is emptied one virtual server after another, and takes nothing new")
    func empties() throws {
        var world = world()
        #expect(world.instances(on: "a").count == 3)
        drain(&world)
        var most = 0
        for _ in 0..<20 where !world.letters.isEmpty {
            most = max(most, world.migrating.count)
            world.deliver(at: 0)
            world.advance(.seconds(1))
        }
        #expect(most == 1)
        #expect(world.instances(on: "a").isEmpty)
        #expect(Set(world.supervisor.servers.keys) == ["web-1", "web-2", "web-3"])
        let ended = try #require(operation(world))
        #expect(ended.state == .succeeded)
        #expect(ended.progress == OperationProgress(done: 3, total: 3))
        let steps = world.operations.filter { $0.id == "op-1" }.compactMap(\.progress?.done)
        #expect(steps == [0, 1, 2, 3, 3] || steps == [0, 1, 2, 3])
        // The emptiest host is not taken: it is closed until it is activated.
        world.start("web-4", smallServer)
        world.settle()
        #expect(world.host(of: "web-4") != "a")
    }

    @Test("as many are moved at a time as the settings permit")
    func bound() {
        var world = world()
        drain(&world, DrainSettings(concurrentMigrations: 2))
        #expect(world.migrating.count == 2)
    }

    @Test("where one finds no place nothing is begun, with the reason of every host; the plan shows it")
    func obstacles() throws {
        var apart = smallServer
        apart.placement.affinity = .strictlyApart
        var world = EmulatedHosts(["a", "b"].map { emulatedHost($0) })
        for number in 1...2 { world.start(InstanceID("web-\(number)"), apart) }
        world.settle()
        let here = try #require(world.instances(on: "a").first)
        guard case .obstacles("a", let reasons) = world.supervisor.refusal(ofDraining: "a", DrainSettings()) else {
            Issue.record("not refused")
            return
        }
        #expect(reasons.count == 1)
        #expect(reasons[0].contains("\(here) stays") && reasons[0].contains("kept strictly apart"))
        let plan = world.supervisor.drainPlan(of: "a", MigrationSettings())
        guard case .stays = plan.steps.first?.outcome else { return #expect(plan.steps.isEmpty) }
        // As far as possible: waited for, then given up with the reason, and told once.
        #expect(world.supervisor.refusal(ofDraining: "a", DrainSettings(partial: true)) == nil)
        drain(&world, DrainSettings(partial: true))
        for _ in 0..<70 { world.advance(.seconds(1)) }
        let ended = try #require(operation(world))
        #expect(ended.state == .failed)
        #expect(ended.failure?.contains("kept strictly apart") == true)
        #expect(world.supervisor.hosts[0].drain == nil)
        #expect(world.notices == ["drain-failed"])
        #expect(world.instances(on: "a") == [here])
    }

    @Test("a plan counts what its own steps take")
    func planCounts() {
        var hosts = ["a", "b"].map { emulatedHost($0) }
        hosts[1].capacity.cpuMillicores = 1_000
        hosts[1].closed = true
        var world = EmulatedHosts(hosts)
        for number in 1...3 { world.start(InstanceID("web-\(number)"), smallServer) }
        world.settle()
        hosts[1].closed = false
        world.declare(hosts)
        let outcomes = world.supervisor.drainPlan(of: "a", MigrationSettings()).steps.map(\.outcome)
        #expect(outcomes.filter { $0 == .moves(to: "b") }.count == 2)
        #expect(outcomes.count == 3)
    }

    @Test("an aborted drain brings back what is on its way, and the host stays closed")
    func aborts() throws {
        var world = world()
        drain(&world)
        let moving = try #require(world.migrating.first)
        world.tell(.abortDrain("a", actor: "bob"))
        let isAborted = world.letters.contains {
            if case .abortMigration(moving.placement.name) = $0.command { true } else { false }
        }
        #expect(isAborted)
        world.tell(.migrationEnded(moving.instance, .failed(HypervisorError(.aborted, "it was aborted"))))
        world.letters = []
        for _ in 0..<5 { world.advance(.seconds(1)) }
        #expect(world.instances(on: "a").count == 3)
        #expect(operation(world)?.failure == "bob aborted it")
        #expect(world.migrating.isEmpty)
        world.start("web-4", smallServer)
        #expect(world.host(of: "web-4") != "a")
    }

    @Test("a migration that fails is tried again, a few times")
    func triesAgain() throws {
        var world = world()
        drain(&world)
        for _ in 0..<200 {
            for server in world.migrating.map(\.instance) {
                world.tell(.migrationEnded(server, .failed(HypervisorError(.failed, "no reason"))))
            }
            world.letters = []
            world.advance(.seconds(1))
        }
        let tried = Set(world.operations.map(\.id.rawValue).filter { $0.hasPrefix("op-1.") })
        #expect(tried.count == 9)
        #expect(operation(world)?.state == .failed)
        #expect(operation(world)?.failure?.contains("3 of 3 are left") == true)
    }

    @Test("one that stands still is moved as it is")
    func movesSuspended() {
        var world = world()
        world.tell(.suspend("web-1", operation: "op-0", actor: "ann"))
        world.settle()
        drain(&world, DrainSettings(concurrentMigrations: 2))
        for _ in 0..<10 {
            world.settle()
            world.advance(.seconds(1))
        }
        #expect(world.instances(on: "a").isEmpty)
        #expect(world.supervisor.servers["web-1"]?.phase == .suspended)
    }

    @Test("a host that fails while it is drained is empty once it is fenced")
    func hostFails() {
        var world = world()
        drain(&world)
        world.crash("a")
        for _ in 0..<6 { world.advance(.seconds(1)) }
        while let fenced = world.fences.popLast() { world.completeFence(fenced) }
        world.settle()
        for _ in 0..<3 { world.advance(.seconds(1)) }
        #expect(world.instances(on: "a").isEmpty)
        #expect(operation(world)?.state == .succeeded)
    }
}

import CloudModel
import Testing
import VirtualInfrastructure

/// When it is done, and how it is run.
@Suite struct RebalancingTests {
    private static let settings = RebalancingSettings(
        automation: .full, interval: .seconds(30), imbalancePercent: 10, cooldown: .minutes(10))

    /// Four virtual servers of 500 millicores on `a`, nothing on the others.
    private func world(
        _ settings: RebalancingSettings = settings, hosts names: [String] = ["a", "b", "c"]
    ) -> EmulatedHosts {
        var hosts = names.map { emulatedHost($0) }
        for index in hosts.indices.dropFirst() { hosts[index].closed = true }
        var world = EmulatedHosts(hosts)
        world.tell(.rebalancingConfigured(settings))
        for number in 1...4 { world.start(InstanceID("web-\(number)"), smallServer) }
        world.settle()
        for index in hosts.indices.dropFirst() { hosts[index].closed = false }
        world.declare(hosts)
        world.effects = []
        return world
    }

    private func pass(_ world: inout EmulatedHosts, seconds: Int) {
        for _ in 0..<seconds {
            world.advance(.seconds(1))
            world.settle()
        }
    }

    private func moves(_ world: EmulatedHosts) -> Int { world.kinds.count { $0 == "relocation.resumed" } }

    @Test("full: uneven load that lasts is made even; one peak is not followed")
    func full() {
        var world = world()
        pass(&world, seconds: 35)
        #expect(moves(world) == 0)
        pass(&world, seconds: 40)
        #expect(world.supervisor.imbalance.worstPercent <= 12)
        #expect(world.kinds.contains("rebalancing.begun") && world.kinds.contains("rebalancing.ended"))
        let operation = world.operations.last { $0.kind == "physical-server.rebalance" }
        #expect(operation?.state == .succeeded)
        #expect(operation?.actor == "control-plane")
        #expect(operation?.progress?.done == moves(world))
    }

    @Test("manual: proposed once, and made when somebody asks for it")
    func manual() throws {
        var settings = Self.settings
        settings.automation = .manual
        var world = world(settings)
        pass(&world, seconds: 300)
        #expect(moves(world) == 0)
        #expect(world.notices == ["rebalancing-proposed"])
        #expect(world.supervisor.refusalOfRebalancing == nil)
        world.tell(.rebalance(operation: "op-1", actor: "ann"))
        guard case .underWay("op-1") = world.supervisor.refusalOfRebalancing else {
            Issue.record("a second one is not refused")
            return
        }
        pass(&world, seconds: 10)
        #expect(moves(world) > 0)
        #expect(world.operations.last { $0.id == "op-1" }?.state == .succeeded)
        guard case .nothingToMove = world.supervisor.refusalOfRebalancing else {
            Issue.record("there is still something to move")
            return
        }
    }

    @Test("partial: new ones go where the measured load is least, those that run stay")
    func partial() {
        var settings = Self.settings
        settings.automation = .partial
        var world = EmulatedHosts(["a", "b"].map { emulatedHost($0) })
        world.tell(.rebalancingConfigured(settings))
        var one = smallServer
        one.placement.affinity = .none
        var large = one
        large.flavor.cpuMillicores = 1_000
        world.start("large-1", large, of: "large")
        world.start("web-1", one)
        world.settle()
        let (busy, idle) = (world.host(of: "web-1"), world.host(of: "large-1"))
        #expect(busy != idle)
        // What is reserved says one thing, what is used the other.
        for step in 1...10 {
            for server in world.supervisor.servers.values {
                let used = server.instance == "web-1" ? Int64(4_900) : 10
                world.used[server.placement.host, default: [:]][server.placement.name] =
                    .milliseconds(used * Int64(step))
            }
            world.advance(.seconds(10))
            world.settle()
        }
        #expect(world.supervisor.servers["web-1"]?.load.predictedMillicores.map { (490...491).contains($0) } == true)
        #expect(world.supervisor.servers["large-1"]?.load.predictedMillicores == 1)
        world.start("web-2", one)
        #expect(world.host(of: "web-2") == idle)
        pass(&world, seconds: 200)
        #expect(moves(world) == 0)
        #expect(world.notices.isEmpty)
    }

    @Test("never more migrations at a time than the limits permit, whoever asks")
    func limits() {
        var settings = Self.settings
        settings.migrationsPerHost = 3
        settings.migrationsPerCluster = 1
        settings.automation = .manual
        var world = world(settings)
        world.tell(.rebalance(operation: "op-1", actor: "ann"))
        #expect(world.migrating.count == 1)
        guard let other = world.supervisor.servers.values.first(where: { !$0.isMigrating }) else { return }
        #expect(
            world.supervisor.refusal(ofMigrating: other.instance, to: nil, MigrationSettings())
                == .tooManyInAll(limit: 1))
        for _ in 0..<20 {
            #expect(world.migrating.count <= 1)
            if !world.letters.isEmpty { world.deliver(at: 0) }
            world.advance(.seconds(1))
        }
        pass(&world, seconds: 5)
        #expect(world.operations.last { $0.id == "op-1" }?.state == .succeeded)
    }

    @Test("what was moved stays until its cooldown is over")
    func cooldown() throws {
        var world = world(hosts: ["a", "b"])
        pass(&world, seconds: 75)
        #expect(world.instances(on: "b").count == 2)
        // Now the other way round: those that stayed end, and half of what was moved would be better off there.
        for instance in world.instances(on: "a") { world.tell(.stop(instance, incarnation: 1, grace: .zero)) }
        world.settle()
        let before = moves(world)
        pass(&world, seconds: 400)
        #expect(moves(world) == before)
        pass(&world, seconds: 400)
        #expect(moves(world) == before + 1)
        #expect(world.instances(on: "a").count == 1)
    }

    @Test("an abort brings back what is on its way and makes no other move")
    func aborts() {
        var settings = Self.settings
        settings.automation = .manual
        var world = world(settings)
        world.tell(.rebalance(operation: "op-1", actor: "ann"))
        let moving = world.migrating
        world.tell(.abortRebalancing(actor: "bob"))
        let aborts = world.letters.filter { if case .abortMigration = $0.command { true } else { false } }
        #expect(aborts.count == moving.count && !moving.isEmpty)
        world.letters = []
        for server in moving {
            world.tell(.migrationEnded(server.instance, .failed(HypervisorError(.aborted, "it was aborted"))))
        }
        pass(&world, seconds: 20)
        #expect(moves(world) == 0)
        #expect(world.operations.last { $0.id == "op-1" }?.failure == "bob aborted it")
    }

    @Test("a counter that begins anew is no measurement, and none is not zero")
    func measures() {
        var load = MeasuredLoad()
        #expect(load.predictedMillicores == nil)
        func at(_ seconds: Int64) -> Timestamp { Timestamp(microseconds: seconds * 1_000_000) }
        load.measured(.seconds(100), at: at(0))
        #expect(load.predictedMillicores == nil)
        load.measured(.seconds(105), at: at(10))
        #expect(load.predictedMillicores == 500)
        load.measured(.seconds(1), at: at(20))
        #expect(load.predictedMillicores == 500)
        load.measured(.seconds(1), at: at(30))
        #expect(load.predictedMillicores.map { $0 > 400 && $0 < 500 } == true)
    }
}

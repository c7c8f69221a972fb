import CloudModel
import Testing
import VirtualInfrastructure

@Suite struct InfrastructureTests {
    private func threeHosts(_ fencing: FencingMethod = .command(["/fence", "{host}"])) -> EmulatedHosts {
        EmulatedHosts(["a", "b", "c"].map { emulatedHost($0, fencing: fencing) })
    }

    @Test("virtual servers are created on the least loaded hosts, each with an address of its own")
    func creates() {
        var world = threeHosts()
        for number in 1...3 { world.start(InstanceID("web-\(number)"), smallServer) }
        world.settle()
        #expect(Set((1...3).compactMap { world.host(of: InstanceID("web-\($0)")) }).count == 3)
        #expect(world.believed == ["web-1": 1, "web-2": 1, "web-3": 1])
        #expect(Set(world.supervisor.servers.values.map(\.placement.address)).count == 3)
        #expect(world.supervisor.running == ["web-1", "web-2", "web-3"])
        let commandLine = world.effects.compactMap { effect -> String? in
            if case .command(_, .run(let definition)) = effect { definition.directBoot?.commandLine } else { nil }
        }
        #expect(commandLine.first == "ip=10.77.1.10/16 port=8080")
    }

    @Test("the images that a virtual server was started over are stored with its place")
    func images() {
        var world = threeHosts()
        var layered = smallServer
        layered.disks = [
            VirtualDisk(path: "/d/{instance}.qcow2", image: "/i/debian.qcow2", imageFormat: .qcow2),
            VirtualDisk(path: "/d/{instance}.raw", format: .raw),
        ]
        world.start("web-1", layered)
        let stored = world.effects.compactMap { effect -> VirtualServerPlacement? in
            if case .placed("web-1", _, let placement) = effect { placement } else { nil }
        }
        #expect(stored.first?.images == ["/i/debian.qcow2"])
    }

    @Test("where there is no place the start fails, with every host's reason")
    func noPlace() {
        var world = threeHosts()
        var huge = smallServer
        huge.flavor.memory = .mebibytes(4_096)
        world.start("web-1", huge)
        let reasons = world.effects.compactMap { effect -> String? in
            if case .startFailed(_, _, let reason) = effect { reason } else { nil }
        }
        #expect(reasons.count == 1)
        #expect(["a has 1GiB", "b has 1GiB", "c has 1GiB"].allSatisfy { reasons[0].contains($0) })
    }

    @Test("a migration keeps place on both sides, records the steps and ends its operation")
    func migrates() throws {
        var world = threeHosts()
        world.start("web-1", smallServer)
        world.settle()
        let source = try #require(world.host(of: "web-1"))
        world.effects = []
        world.tell(.migrate("web-1", to: nil, MigrationSettings(), operation: "op-1", actor: "ann"))
        let destination = try #require(world.supervisor.servers["web-1"]?.placement.destination)
        #expect(destination != source)
        let resources = smallServer.flavor.resources
        #expect(world.supervisor.usage(of: source) == resources)
        #expect(world.supervisor.usage(of: destination) == resources)
        #expect(
            world.supervisor.refusal(ofMigrating: "web-1", to: nil, MigrationSettings()) == .underWay("web-1"))
        world.settle()
        #expect(world.host(of: "web-1") == destination)
        #expect(world.supervisor.usage(of: source) == .zero)
        #expect(world.places(of: "web-1") == [destination])
        let steps = world.effects.compactMap { effect -> String? in
            if case .record(let record) = effect { record.step?.number } else { nil }
        }
        #expect(steps == ["1", "2", "3", "4", "5"])
        #expect(world.operations.last?.state == .succeeded)
        #expect(world.believed == ["web-1": 1])
    }

    @Test("a migration that cannot be is refused with the reason")
    func refusesMigrations() throws {
        var world = threeHosts()
        world.start("web-1", smallServer)
        world.settle()
        let source = try #require(world.host(of: "web-1"))
        let settings = MigrationSettings()
        #expect(world.supervisor.refusal(ofMigrating: "web-9", to: nil, settings) == .unknownInstance("web-9"))
        #expect(world.supervisor.refusal(ofMigrating: "web-1", to: "z", settings) == .unknownHost("z"))
        #expect(
            world.supervisor.refusal(ofMigrating: "web-1", to: source, settings)
                == .noPlace([.isSource(host: source)]))
        let other = try #require(["a", "b", "c"].first { PhysicalServerID($0) != source }.map { PhysicalServerID($0) })
        world.tell(
            .connected(other, HypervisorCapabilities(version: "old", cpuModel: "kvm32", features: [.liveMigration])))
        #expect(
            world.supervisor.refusal(ofMigrating: "web-1", to: other, settings)
                == .noPlace([.otherProcessor(host: other, needed: "qemu64", has: "kvm32")]))
    }

    @Test("a failed migration leaves the virtual server where it was")
    func migrationFails() throws {
        var world = threeHosts()
        world.start("web-1", smallServer)
        world.settle()
        let source = try #require(world.host(of: "web-1"))
        world.tell(.migrate("web-1", to: nil, MigrationSettings(), operation: "op-1", actor: "ann"))
        let destination = try #require(world.supervisor.servers["web-1"]?.placement.destination)
        world.letters = []
        world.tell(.migrationEnded("web-1", .failed(HypervisorError(.aborted, "aborted"))))
        #expect(world.host(of: "web-1") == source)
        #expect(world.supervisor.usage(of: destination) == .zero)
        #expect(world.operations.last?.state == .failed)
        #expect(world.supervisor.refusal(ofMigrating: "web-1", to: nil, MigrationSettings()) == nil)
    }

    @Test("what ran on a crashed host has ended only once the host is fenced")
    func hostCrashes() throws {
        var world = threeHosts()
        world.start("web-1", smallServer)
        world.settle()
        let host = try #require(world.host(of: "web-1"))
        world.crash(host)
        world.advance(.seconds(1))
        #expect(world.fences.isEmpty)
        world.advance(.seconds(2))
        #expect(world.fences == [host])
        #expect(world.believed == ["web-1": 1])
        world.completeFence(host)
        #expect(world.believed.isEmpty)
        world.start("web-1", smallServer)
        world.settle()
        #expect(world.believed == ["web-1": 2])
        #expect(world.host(of: "web-1") != host)
    }

    @Test("a host that an earlier life of the control plane had given up is cleaned before it is used")
    func leftovers() {
        var world = EmulatedHosts([emulatedHost("a")])
        world.start("web-1", smallServer)
        world.settle()
        // Another control plane takes over, which knows of no virtual server.
        world.supervisor = InfrastructureSupervisor(cloud: EmulatedHosts.cloud)
        world.hosts["a"]?.isConnected = false
        world.believed = [:]
        world.tell(.configured(world.declared))
        world.connect("a")
        #expect(world.supervisor.hosts.map(\.health.phase) == [.unknown])
        world.deliver(at: 0)
        #expect(world.supervisor.hosts.map(\.health.phase) == [.unknown])
        world.settle()
        #expect(world.places(of: "web-1").isEmpty)
        world.advance(.seconds(3))
        world.settle()
        #expect(world.supervisor.hosts.map(\.health.phase) == [.up])
    }

    @Test("a lease has run out only when it surely has")
    func lease() throws {
        var world = threeHosts(.lease(.seconds(30)))
        world.start("web-1", smallServer)
        world.settle()
        let host = try #require(world.host(of: "web-1"))
        world.partition(host)
        world.advance(.seconds(10))
        world.advance(.seconds(24))
        #expect(world.believed == ["web-1": 1])
        world.advance(.seconds(2))
        #expect(world.believed.isEmpty)
    }

    @Test("a renewal that is granted puts the end of the lease off; none is granted while its end is waited for")
    func renewals() throws {
        var world = threeHosts(.lease(.seconds(30)))
        world.start("web-1", smallServer)
        world.settle()
        let host = try #require(world.host(of: "web-1"))
        func granted() -> UInt64? { world.supervisor.hosts.first { $0.server.id == host }?.grantedRenewal }
        // Its hypervisor is not heard, its agent still is: the connection alone is cut.
        world.partition(host)
        world.advance(.seconds(1))
        world.tell(.leaseRenewed(host, number: 1))
        #expect(granted() == 1)
        world.advance(.seconds(9))
        world.tell(.leaseRenewed(host, number: 2))
        #expect(granted() == 1)
        // 30 s and the margin of 5 s after the renewal, not after the connection was lost.
        world.advance(.milliseconds(25_900))
        #expect(world.believed == ["web-1": 1])
        world.advance(.milliseconds(200))
        #expect(world.believed.isEmpty)
        world.tell(.leaseRenewed(host, number: 3))
        #expect(granted() == 1)
        world.comeBack(host)
        world.settle()
        world.tell(.leaseRenewed(host, number: 4))
        #expect(granted() == 4)
    }

    @Test("a host that is back before its lease has run out is used as before")
    func backInTime() throws {
        var world = threeHosts(.lease(.seconds(30)))
        world.start("web-1", smallServer)
        world.settle()
        let host = try #require(world.host(of: "web-1"))
        world.partition(host)
        world.advance(.seconds(10))
        #expect(world.supervisor.hosts.first { $0.server.id == host }?.health.phase == .fencing)
        world.comeBack(host)
        world.settle()
        world.advance(.seconds(60))
        world.settle()
        #expect(world.supervisor.hosts.first { $0.server.id == host }?.health.phase == .up)
        #expect(world.believed == ["web-1": 1])
    }

    @Test("nothing is concluded from the halves of a migration that is under way")
    func halves() throws {
        var world = threeHosts()
        world.start("web-1", smallServer)
        world.settle()
        let source = try #require(world.host(of: "web-1"))
        world.tell(.migrate("web-1", to: nil, MigrationSettings(), operation: "op-1", actor: "ann"))
        let destination = try #require(world.supervisor.servers["web-1"]?.placement.destination)
        let server = try #require(world.hosts[source]?.servers.values.first)
        func half(_ state: VirtualServerState) -> ObservedVirtualServer {
            ObservedVirtualServer(
                name: server.name, uuid: server.uuid, identity: server.identity, state: state, virtualCPUs: 1,
                memory: server.memory, isInTransit: true)
        }
        // Its end is not seen: the connection to the source is lost in the middle.
        world.letters = []
        world.tell(.migrationEnded("web-1", .failed(HypervisorError(.unreachable, "it is cut off"))))
        world.effects = []
        world.tell(.listed(destination, [half(.paused)]))
        world.tell(.listed(source, [half(.running)]))
        #expect(world.supervisor.servers["web-1"]?.phase == .unconfirmed)
        #expect(world.host(of: "web-1") == source && world.believed == ["web-1": 1])
        // It has arrived.
        world.tell(.listed(source, []))
        var arrived = half(.running)
        arrived.isInTransit = false
        world.tell(.listed(destination, [arrived]))
        #expect(world.host(of: "web-1") == destination)
        let isTakenAway = world.effects.contains { effect in
            switch effect {
            case .command(_, .remove), .command(_, .forget), .command(_, .destroy): true
            default: false
            }
        }
        #expect(!isTakenAway)
    }

    @Test("two of three hosts lost at once are not switched off: somebody is asked")
    func fencingStorm() {
        var world = threeHosts()
        world.crash("a")
        world.crash("b")
        world.advance(.seconds(10))
        #expect(world.fences.isEmpty)
        let asked = world.effects.compactMap { effect -> String? in
            if case .notify(_, _, let kind, _, _) = effect { kind } else { nil }
        }
        #expect(asked == ["fencing-refused", "fencing-refused"])
        world.advance(.seconds(10))
        #expect(world.kinds.count { $0 == "physical-server.fencing-refused" } == 2)
    }

    @Test("a host that comes back after it was given up is rid of what it ran before it is used")
    func cleansTheReturned() throws {
        var world = threeHosts(.manual)
        world.start("web-1", smallServer)
        world.settle()
        let host = try #require(world.host(of: "web-1"))
        world.partition(host)
        world.advance(.seconds(10))
        // Somebody is mistaken: it was only cut off.
        world.tell(.confirmOff(host, actor: "ann"))
        world.start("web-1", smallServer)
        world.settle()
        #expect(world.places(of: "web-1").count == 2)
        world.effects = []
        world.comeBack(host)
        #expect(world.supervisor.hosts.first { $0.server.id == host }?.health.phase == .recovering)
        world.settle()
        // Its successor may have the same disks.
        let commands = world.effects.compactMap { if case .command(host, let command) = $0 { command } else { nil } }
        #expect(commands.contains { if case .forget = $0 { true } else { false } })
        #expect(!commands.contains { if case .remove = $0 { true } else { false } })
        #expect(world.places(of: "web-1").count == 1)
        #expect(world.supervisor.hosts.first { $0.server.id == host }?.health.phase == .up)
        #expect(world.believed == ["web-1": 2])
    }

    @Test("after a restart of the control plane what runs is taken over, also where a migration had ended meanwhile")
    func recovers() throws {
        var world = threeHosts()
        world.start("web-1", smallServer)
        world.start("web-2", smallServer)
        world.settle()
        let known = world.supervisor.servers.values.sorted { $0.instance < $1.instance }
        var items = known.map {
            RecoveredVirtualServer(identity: $0.identity, placement: $0.placement, template: smallServer)
        }
        // The first was on its way and arrived; the second ended.
        let source = items[0].placement.host
        let destination = try #require(world.declared.map(\.id).first { $0 != source })
        items[0].placement.destination = destination
        let moved = world.hosts[source]?.servers.removeValue(forKey: items[0].placement.name)
        world.hosts[destination]?.servers[items[0].placement.name] = moved
        world.hosts[items[1].placement.host]?.servers[items[1].placement.name] = nil
        world.supervisor = InfrastructureSupervisor(cloud: EmulatedHosts.cloud)
        world.believed = ["web-2": 1]
        for host in world.hosts.keys { world.hosts[host]?.isConnected = false }
        world.tell(.configured(world.declared))
        world.tell(.recovered(items))
        for server in world.declared {
            world.connect(server.id)
            world.settle()
        }
        #expect(world.believed == ["web-1": 1])
        #expect(world.host(of: "web-1") == destination)
        #expect(world.supervisor.servers["web-2"] == nil)
    }

    @Test("a host that had something and does not answer after a restart is fenced before it is recovered elsewhere")
    func recoversWithoutHost() throws {
        var world = threeHosts()
        world.start("web-1", smallServer)
        world.settle()
        let items = world.supervisor.servers.values.map {
            RecoveredVirtualServer(identity: $0.identity, placement: $0.placement, template: smallServer)
        }
        let host = items[0].placement.host
        world.supervisor = InfrastructureSupervisor(cloud: EmulatedHosts.cloud)
        world.tell(.configured(world.declared))
        world.tell(.recovered(items))
        for id in world.hosts.keys.sorted() {
            world.hosts[id]?.isConnected = false
            if id != host { world.connect(id) }
        }
        world.settle()
        #expect(world.believed == ["web-1": 1])
        world.advance(.seconds(11))
        #expect(world.fences.isEmpty)
        world.advance(.seconds(2))
        #expect(world.fences == [host])
        world.completeFence(host)
        #expect(world.believed.isEmpty)
    }

    @Test("suspension and resumption are in the books, whoever asked for them")
    func suspends() throws {
        var world = threeHosts()
        world.start("web-1", smallServer)
        world.settle()
        world.effects = []
        world.tell(.suspend("web-1", operation: "op-1", actor: "ann"))
        world.settle()
        let server = try #require(world.supervisor.servers["web-1"])
        // Somebody at the hypervisor's own tools.
        world.tell(.changed(server.placement.host, server.placement.name, uuid: server.placement.uuid, .resumed))
        let kinds = world.effects.compactMap { effect -> LifecycleEvent.Kind? in
            if case .lifecycle(_, _, let kind) = effect { kind } else { nil }
        }
        #expect(kinds == [.suspend, .resume])
        #expect(world.operations.map(\.state) == [.running, .succeeded])
    }
}

/// Random faults against the hosts' own state: nothing runs twice, and in the end all runs that should.
@Suite struct InfrastructureFaultTests {
    @Test("no instance ever runs twice, and once faults end each runs once", arguments: 0..<200)
    func neverTwice(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var world = EmulatedHosts(["a", "b", "c", "d"].map { emulatedHost($0) })
        let instances = (1...6).map { InstanceID("web-\($0)") }
        for _ in 0..<150 {
            act(&world, instances, &random)
            for instance in instances { #expect(world.places(of: instance).count <= 1, "seed \(seed)") }
            audit(world, seed)
        }
        world.declare(world.declared.map { emulatedHost($0.id.rawValue) })
        for host in world.hosts.keys.sorted() { world.comeBack(host) }
        for _ in 0..<20 {
            while let fenced = world.fences.popLast() {
                world.completeFence(fenced)
                world.comeBack(fenced)
            }
            world.settle()
            startMissing(&world, instances)
            for instance in instances { world.tell(.wake(instance)) }
            world.advance(.seconds(3))
        }
        world.settle()
        for instance in instances {
            #expect(world.places(of: instance).count == 1, "seed \(seed): \(instance)")
            #expect(
                world.believed[instance] == world.incarnations[instance],
                "seed \(seed): \(instance) is \(world.supervisor.servers[instance]?.phase.rawValue ?? "gone")")
        }
        for host in world.supervisor.hosts {
            #expect(host.server.capacity.holds(world.supervisor.usage(of: host.server.id)))
        }
    }

    /// Nothing is promised twice, whatever is on its way: summed up apart from the supervisor's own books.
    private func audit(_ world: EmulatedHosts, _ seed: UInt64) {
        var sums: [PhysicalServerID: ServerResources] = [:]
        for server in world.supervisor.servers.values {
            let held = server.placement.flavor.resources
            sums[server.placement.host, default: .zero] = sums[server.placement.host, default: .zero] + held
            guard let destination = server.placement.destination else { continue }
            let there = ServerResources(
                cpuMillicores: world.supervisor.millicores(of: server.instance) ?? 0, memory: held.memory)
            sums[destination, default: .zero] = sums[destination, default: .zero] + there
        }
        for host in world.declared {
            let sum = sums[host.id] ?? .zero
            #expect(world.supervisor.usage(of: host.id) == sum, "seed \(seed): \(host.id)")
            #expect(host.capacity.holds(sum), "seed \(seed): \(host.id)")
        }
        #expect(world.migrating.count <= world.supervisor.rebalancing.migrationsPerCluster)
    }

    /// What administrators, the scaling listener and failover groups ask for.
    private func ask(_ world: inout EmulatedHosts, _ host: PhysicalServerID, _ instance: InstanceID, _ number: Int) {
        switch number {
        case 0:
            world.declare(
                world.declared.map { server in
                    var server = server
                    if server.id == host { server.closed = true }
                    return server
                })
            world.tell(.drain(host, DrainSettings(partial: true), operation: "op-drain", actor: "ann"))
        case 1:
            world.tell(.abortDrain(host, actor: "ann"))
            world.declare(world.declared.map { emulatedHost($0.id.rawValue) })
        case 2: world.tell(.rebalance(operation: "op-rebalance", actor: "ann"))
        case 3:
            let room = world.supervisor.growth(of: instance)
            world.tell(.resize(instance, cpuMillicores: room, reason: "load"))
        case 4:
            let room = world.supervisor.growthElsewhere(of: instance)
            guard room > 0 else { return }
            world.tell(.relocate(instance, cpuMillicores: room, operation: "op-relocate", reason: "load"))
        case 5: world.tell(.resize(instance, cpuMillicores: 500, reason: "no load"))
        case 6: world.tell(.park(instance, .paused))
        case 7: world.tell(.park(instance, .saved))
        case 8:
            world.resizeFailure =
                world.resizeFailure == nil ? HypervisorError(.unsupported, "no limits here") : nil
        default: world.tell(.wake(instance))
        }
    }

    private func startMissing(_ world: inout EmulatedHosts, _ instances: [InstanceID]) {
        for instance in instances where world.supervisor.servers[instance] == nil { world.start(instance, growing) }
    }

    private var growing: VirtualServerTemplate {
        var template = smallServer
        template.flavor.virtualCPUs = 2
        template.flavor.maximumCpuMillicores = 1_500
        return template
    }

    private func act(_ world: inout EmulatedHosts, _ instances: [InstanceID], _ random: inout SeededGenerator) {
        let host = world.declared[Int.random(in: 0..<world.declared.count, using: &random)].id
        let instance = instances[Int.random(in: 0..<instances.count, using: &random)]
        switch Int.random(in: 0..<16, using: &random) {
        case 0: world.crash(host)
        case 1: world.partition(host)
        case 2, 3: world.comeBack(host)
        case 4:
            if let fenced = world.fences.popLast() { world.completeFence(fenced) }
        case 5: world.tell(.migrate(instance, to: nil, MigrationSettings(), operation: "op", actor: "ann"))
        case 6:
            if let incarnation = world.supervisor.servers[instance]?.identity.incarnation {
                world.tell(.stop(instance, incarnation: incarnation, grace: .zero))
            }
        case 7: world.advance(.milliseconds(Int64.random(in: 100...3_000, using: &random)))
        case 8: startMissing(&world, instances)
        case 9, 10, 11: ask(&world, host, instance, Int.random(in: 0..<11, using: &random))
        default:
            guard !world.letters.isEmpty else { return }
            world.deliver(at: 0)
        }
    }
}

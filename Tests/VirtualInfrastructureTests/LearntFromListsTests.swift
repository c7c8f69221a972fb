import CloudModel
import Testing
import VirtualInfrastructure

/// What a control plane that comes back learns from the hosts' lists, because the event was told to nobody.
@Suite struct LearntFromListsTests {
    /// The books follow what is found, once, and not what was asked for.
    @Test(
        "a standby that fell asleep, or woke, while nobody listened is booked when its host lists it",
        arguments: [ParkedState.paused, .saved], [true, false])
    func standby(state: ParkedState, fellAsleep: Bool) throws {
        var world = EmulatedHosts([emulatedHost("a")])
        world.start("web-1", smallServer)
        world.settle()
        world.tell(.park("web-1", state))
        if fellAsleep { world.letters = [] } else { world.settle() }
        let server = try #require(world.supervisor.servers["web-1"])
        let known = RecoveredVirtualServer(
            identity: server.identity, placement: server.placement, template: smallServer)
        #expect(known.placement.isSuspended == !fellAsleep)
        // It heard, and the answer was lost with the control plane.
        let asleep: VirtualServerState = state == .paused ? .paused : .saved
        world.hosts["a"]?.servers[server.placement.name]?.state = fellAsleep ? asleep : .running
        world.supervisor = InfrastructureSupervisor(cloud: EmulatedHosts.cloud)
        world.hosts["a"]?.isConnected = false
        world.tell(.configured(world.declared))
        world.tell(.recovered([known]))
        world.effects = []
        world.connect("a")
        world.settle()
        world.advance(.seconds(3))
        world.settle()
        let booked = world.effects.compactMap { effect -> LifecycleEvent.Kind? in
            if case .lifecycle(_, _, let kind) = effect { kind } else { nil }
        }
        #expect(booked == [fellAsleep ? .suspend : .resume])
        // Its start is told before anything that follows it.
        let told = world.effects.filter { effect in
            switch effect {
            case .started, .lifecycle: true
            default: false
            }
        }
        if case .started = try #require(told.first) {} else { Issue.record("\(told)") }
        let now = try #require(world.supervisor.servers["web-1"])
        #expect(now.placement.isSuspended == fellAsleep)
        #expect(now.phase == (fellAsleep ? state == .paused ? .suspended : .saved : .running))
        #expect(now.placement.parked == (fellAsleep ? state : nil))
    }
}

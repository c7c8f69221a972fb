import CloudModel

/// Standbys that wait without running: paused in memory, or saved to storage.
extension InfrastructureSupervisor {
    mutating func park(_ instance: InstanceID, _ state: ParkedState) {
        guard let server = servers[instance] else { return }
        guard server.phase == .running, server.placement.parked == nil, !server.isMigrating, server.operation == nil
        else {
            // It stays as it is; whoever asked is told.
            store(instance)
            return effects.append(.woken(instance, incarnation: server.identity.incarnation))
        }
        servers[instance]?.placement.parked = state
        store(instance)
        askToSleep(server, state)
    }

    private mutating func askToSleep(_ server: SupervisedServer, _ state: ParkedState) {
        switch state {
        case .paused: act(server.placement.host, .suspend(server.name))
        case .saved: act(server.placement.host, .save(server.name))
        }
    }

    /// Asked for until it runs: what was lost is said again.
    mutating func wake(_ instance: InstanceID) {
        // One that is to end is not woken first: it could go on when it is taken for gone.
        guard let server = servers[instance], let state = server.placement.parked, server.phase != .stopping else {
            return
        }
        servers[instance]?.isWaking = true
        // The hosts have to say first where it is; whichever has it is asked then.
        if server.phase == .unconfirmed { return }
        switch (state, server.phase) {
        // It is still on its way into its sleep: it is woken when it has arrived there.
        case (_, .running): if state == .paused { act(server.placement.host, .resume(server.name)) }
        case (.paused, _): act(server.placement.host, .resume(server.name))
        case (.saved, _): act(server.placement.host, .restore(server.name))
        }
    }

    mutating func wasSaved(_ server: SupervisedServer) {
        guard server.placement.parked == .saved, server.phase == .running else { return }
        servers[server.instance]?.phase = .saved
        servers[server.instance]?.placement.isSuspended = true
        store(server.instance)
        servers[server.instance]?.lastSeen = now
        servers[server.instance]?.load.movedToAnotherHost()
        effects.append(.lifecycle(server.instance, incarnation: server.identity.incarnation, .suspend))
        record(
            "virtual-server.saved", of: server, "\(server.instance) is saved on \(server.placement.host), as a standby",
            ["host": server.placement.host.rawValue])
        if server.isWaking { wake(server.instance) }
    }

    mutating func wasRestored(_ server: SupervisedServer) {
        guard server.phase == .saved else { return }
        servers[server.instance]?.phase = .running
        servers[server.instance]?.placement.isSuspended = false
        store(server.instance)
        servers[server.instance]?.lastSeen = now
        effects.append(.lifecycle(server.instance, incarnation: server.identity.incarnation, .resume))
        record(
            "virtual-server.restored", of: server, "\(server.instance) is restored on \(server.placement.host)",
            ["host": server.placement.host.rawValue])
        awake(server.instance)
    }

    /// It runs, whoever let it.
    mutating func awake(_ instance: InstanceID) {
        guard let server = servers[instance], server.placement.parked != nil else { return }
        servers[instance]?.placement.parked = nil
        servers[instance]?.isWaking = false
        store(instance)
        effects.append(.woken(instance, incarnation: server.identity.incarnation))
    }

    /// Asked to sleep or to wake, and could not: nobody can rely on it, and another is started in its stead.
    mutating func parkingFailed(_ name: VirtualServerID, on host: PhysicalServerID, _ failure: HypervisorError) {
        guard let server = servers.values.first(where: { $0.name == name }), server.placement.host == host,
            server.placement.parked != nil
        else { return }
        // Not there says nothing while a migration may have taken it to another host.
        if failure.code == .unreachable || server.phase == .unconfirmed { return }
        if server.phase == .running { return awake(server.instance) }
        record(
            "virtual-server.not-restored", of: server, "\(server.instance) does not go on: \(failure.description)",
            ["host": host.rawValue])
        ended(server, crashed: true, inferred: true)
    }

    /// The host has said what it has: a sleep or a wake that it may not have heard of is asked for again.
    mutating func repeatParking(on host: PhysicalServerID) {
        for instance in servers.keys.sorted() {
            guard let server = servers[instance], server.placement.host == host, let state = server.placement.parked,
                !server.isMigrating
            else { continue }
            switch server.phase {
            case .running where server.isWaking, .suspended where server.isWaking, .saved where server.isWaking:
                wake(instance)
            case .running where !server.isWaking: askToSleep(server, state)
            case .starting, .running, .suspended, .saved, .stopping, .unconfirmed: break
            }
        }
    }
}

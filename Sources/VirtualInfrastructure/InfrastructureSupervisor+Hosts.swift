import CloudModel

/// Physical servers: declared, connected, listed; suspected, fenced and taken back.
extension InfrastructureSupervisor {
    mutating func configure(_ declared: [PhysicalServer]) {
        let known = hosts
        hosts = declared.sorted { $0.id < $1.id }.map { server in
            guard var host = known.first(where: { $0.server.id == server.id }) else { return SupervisedHost(server) }
            host.server = server
            return host
        }
        balance.dueAt = hosts.isEmpty ? nil : balance.dueAt ?? now + rebalancing.interval
        rebuildInventory()
    }

    private mutating func rebuildInventory() {
        inventory = ServerInventory(hosts: hosts.map(\.server))
        for host in hosts { inventory.setPhase(of: host.server.id, host.health.phase) }
        for instance in servers.keys.sorted() {
            guard let server = servers[instance] else { continue }
            let resources = server.placement.flavor.resources
            inventory.reserve(resources, of: server.identity.service, on: server.placement.host)
            if let destination = server.placement.destination {
                inventory.reserve(server.resourcesAtDestination, of: server.identity.service, on: destination)
            }
        }
    }

    mutating func recover(_ known: [RecoveredVirtualServer]) {
        for item in known {
            servers[item.identity.instance] = SupervisedServer(
                identity: item.identity, placement: item.placement, phase: .unconfirmed, template: item.template)
        }
        // Hosts that had something are expected to answer: one that does not is dealt with as if it had been lost now.
        for index in hosts.indices where known.contains(where: { $0.placement.host == hosts[index].server.id }) {
            hosts[index].health.expected(at: now + Self.connectionAllowance)
        }
        rebuildInventory()
        resolve()
    }

    // MARK: Connection

    mutating func connected(_ host: PhysicalServerID, _ capabilities: HypervisorCapabilities) {
        guard let index = hostIndex(host) else { return }
        let before = hosts[index].health.phase
        hosts[index].capabilities = capabilities
        hosts[index].health.connected(at: now)
        // It is back before its lease had surely run out: nothing was started elsewhere.
        if hosts[index].leaseEndsAt != nil { hosts[index].health.fencingFailed() }
        hosts[index].leaseEndsAt = nil
        if hosts[index].health.phase != before { phaseChanged(index, Self.returned(hosts[index].health.phase)) }
        beginAnew(index)
    }

    private static func returned(_ phase: HostPhase) -> String {
        phase == .recovering ? "it answers again and is cleaned before it is used" : "it answers"
    }

    /// With one that is connected, whatever was concluded from its silence.
    private mutating func beginAnew(_ index: Int) {
        hosts[index].hasListed = false
        hosts[index].toldRefusal = false
        hosts[index].fencingHasFailed = false
        askForList(index)
        measure(index)
    }

    mutating func disconnected(_ host: PhysicalServerID, _ reason: String) {
        guard let index = hostIndex(host), hosts[index].isConnected else { return }
        let before = hosts[index].health.phase
        hosts[index].hasListed = false
        hosts[index].listDueAt = nil
        hosts[index].measureDueAt = nil
        hosts[index].health.disconnected(at: now)
        guard hosts[index].health.phase != before else { return }
        phaseChanged(index, "the connection is lost: \(reason)")
        for instance in servers.keys.sorted() where servers[instance]?.placement.host == host {
            effects.append(.doubted(instance))
        }
    }

    mutating func serviceAnswered(_ instance: InstanceID) {
        guard let server = servers[instance], !server.isMigrating, let index = hostIndex(server.placement.host) else {
            return
        }
        servers[instance]?.lastSeen = now
        servers[instance]?.failedCheckAt = nil
        let before = hosts[index].health.phase
        hosts[index].health.serviceAnswered(at: now)
        if hosts[index].health.phase != before { phaseChanged(index, "a service on it answers") }
    }

    /// Two kinds of evidence agree once all that served there has failed a check since the connection was lost.
    mutating func serviceFailed(_ instance: InstanceID) {
        guard let server = servers[instance], !server.isMigrating, let index = hostIndex(server.placement.host),
            let silentSince = hosts[index].health.silentSince
        else { return }
        servers[instance]?.failedCheckAt = now
        let serving = servers.values.filter {
            $0.placement.host == server.placement.host && $0.phase == .running && $0.placement.parked == nil
        }
        guard serving.allSatisfy({ $0.failedCheckAt.map { $0 >= silentSince } ?? false }) else { return }
        hosts[index].health.servicesFailed()
    }

    mutating func askForList(_ index: Int) {
        hosts[index].listDueAt = now + Self.listInterval
        act(hosts[index].server.id, .list)
    }

    // MARK: List

    mutating func listed(_ host: PhysicalServerID, _ observed: [ObservedVirtualServer]) {
        guard let index = hostIndex(host), hosts[index].isConnected else { return }
        hosts[index].health.heard(at: now)
        hosts[index].hasListed = true
        let ours = observed.filter { $0.identity?.cloud == cloud }
        if hosts[index].health.phase == .recovering { return clean(index, ours) }
        if hosts[index].health.phase == .unknown, !ours.contains(where: { isStray($0, on: host) }) {
            hosts[index].health.tookStock()
            phaseChanged(index, "it answers")
        }
        noteTransits(ours, on: host)
        for found in ours { meet(found, on: host) }
        let names = Set(ours.map(\.name))
        for instance in servers.keys.sorted() {
            guard let server = servers[instance], server.placement.host == host, !server.isMigrating,
                !names.contains(server.name)
            else { continue }
            missed(server)
        }
        repeatResizes(on: host)
        repeatParking(on: host)
        resolve()
    }

    /// Which are halves of a migration there: on which side they will be, neither half can say.
    private mutating func noteTransits(_ ours: [ObservedVirtualServer], on host: PhysicalServerID) {
        let inTransit = Set(ours.filter(\.isInTransit).map(\.name))
        for instance in servers.keys.sorted() {
            guard let name = servers[instance]?.name else { continue }
            if inTransit.contains(name) {
                servers[instance]?.undecidedOn.insert(host)
            } else {
                servers[instance]?.undecidedOn.remove(host)
            }
        }
    }

    /// Whatever a host that had been given up still has was started elsewhere, or is not wanted any more.
    private mutating func clean(_ index: Int, _ ours: [ObservedVirtualServer]) {
        hosts[index].toClean = Set(ours.map(\.name))
        for found in ours { takeAway(found, from: hosts[index].server.id) }
        if ours.isEmpty { cleaned(index) }
    }

    /// What is known of the instance runs elsewhere, or will: with the same disks, where hosts share them.
    private mutating func takeAway(_ found: ObservedVirtualServer, from host: PhysicalServerID) {
        let hasSuccessor = found.identity.map { servers[$0.instance] != nil } ?? false
        act(host, hasSuccessor ? .forget(found.name) : .remove(found.name))
    }

    mutating func cleaned(_ index: Int) {
        hosts[index].health.cleaned()
        phaseChanged(index, "it is clean")
    }

    /// Nothing may run that nobody counts, or that is counted elsewhere.
    private func isStray(_ found: ObservedVirtualServer, on host: PhysicalServerID) -> Bool {
        guard let identity = found.identity, let server = servers[identity.instance],
            server.identity.incarnation == identity.incarnation
        else { return true }
        return server.phase != .unconfirmed && server.placement.host != host && !server.isMigrating
            && !found.isInTransit
    }

    private mutating func meet(_ found: ObservedVirtualServer, on host: PhysicalServerID) {
        if isStray(found, on: host) { return takeAway(found, from: host) }
        guard let instance = found.identity?.instance, let server = servers[instance] else { return }
        if server.phase == .unconfirmed { return confirm(server, found, on: host) }
        guard server.placement.host == host, !server.isMigrating else { return }
        follow(server, found)
    }

    /// What the host says of one that is known: what an event would have said, had it not been lost.
    private mutating func follow(_ server: SupervisedServer, _ found: ObservedVirtualServer) {
        let change: VirtualServerChange? =
            switch (found.state, server.phase) {
            case (.running, .starting), (.paused, .starting): .started
            case (.running, .suspended): .resumed
            case (.paused, .running): .suspended
            case (.saved, .running) where server.placement.parked == .saved: .saved
            case (.running, .saved): .started
            case (.saved, .stopping): .shutOff
            case (.crashed, _): .crashed
            // What was saved is lost.
            case (.defined, .saved): .shutOff
            case (.defined, .running), (.defined, .suspended), (.defined, .stopping): .shutOff
            default: nil
            }
        if found.state == .running || found.state == .paused || found.state == .saved {
            servers[server.instance]?.lastSeen = now
            // Asked to end, and the request was lost; or it does not heed it, and its grace is over.
            if server.phase == .stopping, server.destroyAt == nil { act(server.placement.host, .destroy(server.name)) }
        }
        if let change { changed(server.placement.host, server.name, server.placement.uuid, change) }
    }

    /// The host has no trace of one that it should have.
    private mutating func missed(_ server: SupervisedServer) {
        switch server.phase {
        case .unconfirmed: break
        case .starting: repeatStart(server)
        case .running, .suspended, .saved, .stopping:
            // Its start is still on its way: it could come true after it was taken for ended.
            if server.isRunUnderWay { return }
            if let startedAt = server.startedAt, startedAt + Self.listInterval > now { return }
            ended(server, crashed: true, inferred: true)
        }
    }

    /// One whose place was not known for sure is found.
    private mutating func confirm(
        _ server: SupervisedServer, _ found: ObservedVirtualServer, on host: PhysicalServerID
    ) {
        let isSaved = found.state == .saved && server.placement.parked == .saved
        guard !found.isInTransit else { return }
        guard found.state == .running || found.state == .paused || isSaved else { return }
        let instance = server.instance
        let resources = server.placement.flavor.resources
        inventory.release(resources, of: server.identity.service, on: server.placement.host)
        if let destination = server.placement.destination {
            inventory.release(server.resourcesAtDestination, of: server.identity.service, on: destination)
        }
        inventory.reserve(resources, of: server.identity.service, on: host)
        servers[instance]?.placement.host = host
        servers[instance]?.placement.destination = nil
        servers[instance]?.growsTo = nil
        servers[instance]?.phase = server.phaseInBooks
        servers[instance]?.lastSeen = now
        store(instance)
        assureSize(of: instance)
        // It may have fallen asleep or woken since it was last heard of: that is learnt as from an event, so that
        // whatever follows from one, the books among it, follows from this.
        if let server = servers[instance] {
            reportStarted(server)
            follow(server, found)
        }
        finishOperation(
            instance, kind: nil,
            failure: "the connection was lost meanwhile; the virtual server is on \(host)")
    }

    /// Ends those whose place was not known once every host that could have them has said that it does not.
    mutating func resolve() {
        for instance in servers.keys.sorted() {
            guard let server = servers[instance], server.phase == .unconfirmed else { continue }
            let silent = hosts.contains { host in
                server.mayBe(on: host.server.id) && host.health.phase != .fenced
                    && (!host.hasListed || server.undecidedOn.contains(host.server.id))
            }
            if !silent { ended(server, crashed: true, inferred: true) }
        }
    }

    // MARK: Failure

    mutating func phaseChanged(_ index: Int, _ reason: String) {
        let host = hosts[index].server.id
        let phase = hosts[index].health.phase
        inventory.setPhase(of: host, phase)
        record(
            "physical-server.\(phase.rawValue)", "\(host) is \(phase.rawValue): \(reason)",
            ["host": host.rawValue, "reason": reason])
    }

    /// Begins to prove the confirmed hosts off, as far as it is not more likely that we are the ones who are cut off.
    mutating func fenceWhatIsConfirmed() {
        let unreachable = hosts.count { [.suspect, .confirmed, .fencing].contains($0.health.phase) }
        for index in hosts.indices where hosts[index].health.phase == .confirmed {
            guard FencingGuard.permits(unreachable: unreachable, of: hosts.count) else {
                refuseFencing(index, unreachable)
                continue
            }
            beginFencing(index)
        }
    }

    private mutating func refuseFencing(_ index: Int, _ unreachable: Int) {
        guard !hosts[index].toldRefusal else { return }
        hosts[index].toldRefusal = true
        let host = hosts[index].server.id
        let reason =
            "\(unreachable) of \(hosts.count) physical servers do not answer at once: more likely it is our network"
        record(
            "physical-server.fencing-refused", "\(host) is not fenced: \(reason)", ["host": host.rawValue])
        effects.append(
            .notify(
                key: "fencing-refused/\(host)", severity: .critical, kind: "fencing-refused",
                title: "\(host) does not answer and is not fenced",
                body: "\(reason). Once you have seen that it is off: "
                    + "cloudwright physical-server confirm-off \(host)"))
    }

    private mutating func beginFencing(_ index: Int) {
        let host = hosts[index].server
        switch hosts[index].fencingHasFailed ? .manual : host.fencing {
        case .command(let words):
            hosts[index].health.beginFencing()
            phaseChanged(index, "it is being switched off")
            effects.append(.fence(host.id, words))
        case .lease(let span):
            hosts[index].health.beginFencing()
            let heard = hosts[index].health.lastHeard ?? now
            hosts[index].leaseEndsAt = heard + span + Self.leaseMargin
            phaseChanged(index, "its lease runs out \(span.text) after it was last heard")
        case .manual:
            guard !hosts[index].toldRefusal else { return }
            hosts[index].toldRefusal = true
            effects.append(
                .notify(
                    key: "fencing-needed/\(host.id)", severity: .critical, kind: "fencing-needed",
                    title: "\(host.id) does not answer",
                    body: "It has no way to be switched off by the platform. Once you have seen that it is off: "
                        + "cloudwright physical-server confirm-off \(host.id)"))
        }
    }

    /// Granted as long as nothing was concluded from its silence. What is granted is a sign of life: a lease never ends
    /// before it has run out, counted from the last renewal. Once it is being waited for its end, it stays so until the
    /// host is connected again.
    mutating func leaseRenewed(_ host: PhysicalServerID, _ number: UInt64) {
        guard let index = hostIndex(host), hosts[index].leaseEndsAt == nil else { return }
        switch hosts[index].health.phase {
        case .fencing, .fenced, .recovering: return
        case .unknown, .up, .suspect, .confirmed: break
        }
        hosts[index].health.heard(at: now)
        hosts[index].grantedRenewal = number
    }

    mutating func fencingEnded(_ host: PhysicalServerID, _ failure: String?) {
        guard let index = hostIndex(host), hosts[index].health.phase == .fencing else { return }
        guard let failure else { return fenced(index, "it has been switched off") }
        hosts[index].health.fencingFailed()
        let isBack = hosts[index].health.phase == .up
        phaseChanged(index, "fencing failed: \(failure)" + (isBack ? "; it answers" : ""))
        // Nobody has to go and look.
        if isBack { return beginAnew(index) }
        // Not tried again by itself in a loop: a fence that fails needs a person.
        hosts[index].fencingHasFailed = true
        effects.append(
            .notify(
                key: "fencing-failed/\(host)", severity: .critical, kind: "fencing-failed",
                title: "\(host) could not be fenced",
                body: "\(failure). Once you have seen that it is off: "
                    + "cloudwright physical-server confirm-off \(host)"))
    }

    mutating func confirmOff(_ host: PhysicalServerID, _ actor: String) {
        guard let index = hostIndex(host) else { return }
        record(
            "physical-server.confirmed-off", actor: actor, "\(actor) says that \(host) is off",
            ["host": host.rawValue])
        hosts[index].leaseEndsAt = nil
        fenced(index, "\(actor) has seen that it is off")
    }

    /// Proven off: what ran there, and nowhere else, has ended.
    mutating func fenced(_ index: Int, _ reason: String) {
        let host = hosts[index].server.id
        hosts[index].health.fenced()
        guard hosts[index].health.phase == .fenced else { return }
        hosts[index].leaseEndsAt = nil
        phaseChanged(index, reason)
        for instance in servers.keys.sorted() {
            guard let server = servers[instance], server.mayBe(on: host) else { continue }
            if server.isMigrating {
                // It may have arrived on the other side: that host is asked.
                servers[instance]?.phase = .unconfirmed
                servers[instance]?.relocation = nil
                for other in hosts.indices where server.mayBe(on: hosts[other].server.id) {
                    hosts[other].hasListed = false
                    askForList(other)
                }
            } else if server.placement.host == host {
                ended(server, crashed: true, inferred: true)
            }
        }
        resolve()
        if hosts[index].health.tookBack() {
            phaseChanged(index, Self.returned(hosts[index].health.phase))
            beginAnew(index)
        }
    }
}

import CloudController
import CloudModel
import VirtualInfrastructure

/// Between the controller and the hosts: connections, commands in the order in which the runtime gives them, answers
/// that come, come late or are lost with their connection.
extension HostSimulation {
    /// A command that is under way, or waits for the one before it.
    struct Waiting {
        var host: PhysicalServerID
        var command: HypervisorCommand
        var connection: Int
    }

    func act(_ action: Effect) {
        switch action {
        case .connect(let server): plan(.connect(server.id, life: life), after: between(1_000, 200_000))
        case .hypervisor(let host, let command): enqueue(command, to: host)
        case .fence(let host, _):
            let works = !happens(plan.fenceFails)
            plan(.fenceEnds(host, works: works, life: life), after: between(200_000, 3_000_000))
        case .probe(let id, let incarnation, let endpoint, let check):
            plan(
                .answerCheck(
                    id, incarnation: incarnation, endpoint,
                    timeoutMicroseconds: check.timeout.microseconds, life: life),
                after: between(200, 3_000))
        default: break
        }
    }

    // MARK: Connections

    /// Again and again, as long as this control plane lives.
    func connect(_ host: PhysicalServerID, life: Int) {
        guard life == self.life else { return }
        plan(.connect(host, life: life), after: between(100_000, 2_000_000))
        guard let known = hosts[host], known.answersControlPlane, !known.isConnected else { return }
        hosts[host]?.isConnected = true
        hosts[host]?.connection += 1
        let capabilities = HypervisorCapabilities(
            version: "simulated", cpuModel: "one", features: Set(HypervisorCapabilities.Feature.allCases))
        deliverNow(.infrastructure(.connected(host, capabilities)))
    }

    func lose(_ host: PhysicalServerID, connection: Int, _ reason: String) {
        guard let known = hosts[host], known.isConnected, known.connection == connection else { return }
        // The network was back before anybody noticed.
        if known.answersControlPlane, reason == "no answer to keepalive" { return }
        hosts[host]?.isConnected = false
        hosts[host]?.connection += 1
        deliverNow(.infrastructure(.disconnected(host, reason: reason)))
        for name in queues.keys.sorted() {
            guard let first = queues[name]?.first, first.host == host, first.connection == connection else { continue }
            fail(first)
            leaveQueue(of: name)
        }
    }

    private func fail(_ waiting: Waiting) {
        let failure = HypervisorError(.unreachable, "the connection was lost")
        let event: InfrastructureEvent
        if case .migrate(_, let instance, _, _) = waiting.command {
            event = .migrationEnded(instance, .failed(failure))
        } else {
            event = .commandEnded(waiting.host, waiting.command, failure: failure)
        }
        plan(.deliver(.infrastructure(event), life: life), after: between(100, 5_000))
    }

    // MARK: Queues

    private func enqueue(_ command: HypervisorCommand, to host: PhysicalServerID) {
        guard let connection = hosts[host]?.connection else { return }
        if case .run(let definition) = command { auditor.runs(definition, on: host, in: self) }
        let waiting = Waiting(host: host, command: command, connection: connection)
        guard let name = command.subject else { return begin(waiting) }
        queues[name, default: []].append(waiting)
        if queues[name]?.count == 1 { begin(waiting) }
    }

    func leaveQueue(of name: VirtualServerID) {
        guard queues[name]?.isEmpty == false else { return }
        queues[name]?.removeFirst()
        if let next = queues[name]?.first { begin(next) } else { queues[name] = nil }
    }

    private func begin(_ waiting: Waiting) {
        guard hosts[waiting.host]?.isConnected == true, hosts[waiting.host]?.connection == waiting.connection else {
            fail(waiting)
            if let name = waiting.command.subject { leaveQueue(of: name) }
            return
        }
        let isSlow = if case .run = waiting.command { true } else { false }
        plan(
            .execute(waiting.host, waiting.command, life: life, connection: waiting.connection),
            after: isSlow ? between(100_000, 900_000) : between(500, 50_000))
    }

    // MARK: Commands

    func execute(_ host: PhysicalServerID, _ command: HypervisorCommand, life: Int, connection: Int) {
        guard let known = hosts[host], known.isPowered, known.hasDaemon else { return }
        let isCurrent = life == self.life && known.connection == connection && known.isConnected
        if isCurrent, !known.answersControlPlane {
            // Sent again and again, until it arrives or the connection is given up.
            return plan(.execute(host, command, life: life, connection: connection), after: between(200_000, 900_000))
        }
        // It was on its way when the connection went: it arrived, or it did not.
        if !isCurrent, Bool.random(using: &random) { return }
        if isCurrent { hosts[host]?.lastContact = now }
        let failure = carryOut(command, on: host, life: life, connection: connection)
        guard isCurrent else { return }
        if happens(plan.answerIsLost) {
            return noticeSoon(host, after: 100, "the other side closed the connection")
        }
        let answer: InfrastructureEvent
        switch command {
        case .list: answer = .listed(host, listing(of: host))
        case .measure: answer = .measured(host, [:])
        case .migrate where failure == nil: return
        case .migrate(_, let instance, _, _):
            answer = .migrationEnded(instance, .failed(failure ?? HypervisorError(.failed, "")))
        default: answer = .commandEnded(host, command, failure: failure)
        }
        plan(.deliver(.infrastructure(answer), life: life), after: between(500, 20_000))
        if let name = command.subject { leaveQueue(of: name) }
    }

    private func listing(of host: PhysicalServerID) -> [ObservedVirtualServer] {
        let guests = hosts[host]?.guests ?? [:]
        return guests.keys.sorted().compactMap { name in
            guests[name].map { guest in
                ObservedVirtualServer(
                    name: name, uuid: guest.definition.uuid, identity: guest.identity,
                    state: guest.isArriving ? .paused : guest.state, virtualCPUs: 1,
                    memory: guest.definition.flavor.memory,
                    isInTransit: plant != .hidesMigrations && (guest.isArriving || guest.migration != nil))
            }
        }
    }

    private func carryOut(
        _ command: HypervisorCommand, on host: PhysicalServerID, life: Int, connection: Int
    ) -> HypervisorError? {
        switch command {
        case .list, .measure, .resize: return nil
        case .run(let definition): return run(definition, on: host)
        case .migrate(let name, let instance, let destination, _):
            return migrate(
                SimulatedMigration(
                    name: name, instance: instance, source: host, destination: destination.id, life: life,
                    connection: connection))
        case .abortMigration(let name):
            if let number = hosts[host]?.guests[name]?.migration { failMigration(number) }
            return nil
        case .shutDown(let name), .destroy(let name): return end(name, on: host)
        case .remove(let name), .forget(let name):
            if plant == .cleaningLies, hosts[host]?.guests[name]?.isGivenUp == true { return nil }
            _ = end(name, on: host)
            hosts[host]?.guests[name] = nil
            return nil
        case .suspend(let name): return change(name, on: host, from: [.running], to: .paused, .suspended)
        case .resume(let name): return change(name, on: host, from: [.paused], to: .running, .resumed)
        case .save(let name): return change(name, on: host, from: [.running, .paused], to: .saved, .saved)
        case .restore(let name): return change(name, on: host, from: [.saved, .defined], to: .running, .started)
        }
    }

    private func run(_ definition: VirtualServerDefinition, on host: PhysicalServerID) -> HypervisorError? {
        if hosts[host]?.guests[definition.name]?.state == .running { return nil }
        if happens(plan.startFails) { return HypervisorError(.failed, "the emulator does not start") }
        hosts[host]?.guests[definition.name] = SimulatedGuest(
            definition: definition, state: .running, readyAt: now + between(1_000_000, 8_000_000))
        report.starts += 1
        changed(host, definition.name, .started)
        return nil
    }

    private func end(_ name: VirtualServerID, on host: PhysicalServerID) -> HypervisorError? {
        guard let guest = hosts[host]?.guests[name] else { return HypervisorError(.notFound, "there is none") }
        if let number = guest.migration { failMigration(number) }
        guard guest.isLive || guest.state == .saved || guest.isArriving else { return nil }
        hosts[host]?.guests[name]?.isArriving = false
        hosts[host]?.guests[name]?.state = .defined
        changed(host, name, .destroyed)
        return nil
    }

    private func change(
        _ name: VirtualServerID, on host: PhysicalServerID, from states: [VirtualServerState],
        to state: VirtualServerState, _ change: VirtualServerChange
    ) -> HypervisorError? {
        guard let guest = hosts[host]?.guests[name], !guest.isArriving else {
            return HypervisorError(.notFound, "there is none")
        }
        if guest.state == state { return nil }
        guard guest.migration == nil, states.contains(guest.state) else {
            return HypervisorError(.invalidState, "it is \(guest.state)")
        }
        hosts[host]?.guests[name]?.state = state
        if state == .running { report.wakings += 1 } else { report.parkings += 1 }
        changed(host, name, change)
        return nil
    }

    private func migrate(_ migration: SimulatedMigration) -> HypervisorError? {
        guard let guest = hosts[migration.source]?.guests[migration.name], guest.isLive, guest.migration == nil else {
            return HypervisorError(.invalidState, "it does not run")
        }
        guard let destination = hosts[migration.destination], destination.answersHosts,
            hosts[migration.source]?.isReachable == true, destination.guests[migration.name]?.isLive != true
        else { return HypervisorError(.failed, "the destination does not answer") }
        lastMigration += 1
        report.migrations += 1
        migrations[lastMigration] = migration
        hosts[migration.source]?.guests[migration.name]?.migration = lastMigration
        var arriving = guest
        arriving.isArriving = true
        arriving.isGivenUp = false
        hosts[migration.destination]?.guests[migration.name] = arriving
        plan(.migrationEnds(number: lastMigration), after: between(500_000, 6_000_000))
        return nil
    }

    /// An event of the hypervisor, where somebody listens.
    func changed(
        _ host: PhysicalServerID, _ name: VirtualServerID, _ change: VirtualServerChange, uuid: String? = nil
    ) {
        auditor.mustLook = true
        guard let known = hosts[host], known.isConnected, known.answersControlPlane,
            let uuid = uuid ?? known.guests[name]?.definition.uuid
        else { return }
        plan(
            .deliver(.infrastructure(.changed(host, name, uuid: uuid, change)), life: life),
            after: between(500, 20_000))
    }

    func answerCheck(
        _ id: InstanceID, _ incarnation: Int, _ endpoint: Endpoint, timeout: Int64, life: Int
    ) {
        guard life == self.life else { return }
        let answers = hosts.values.contains { host in
            host.isPowered && host.isReachable
                && host.guests.values.contains {
                    $0.address == endpoint.address && $0.isLive && $0.state == .running && $0.readyAt <= now
                }
        }
        plan(
            .deliver(
                .probeCompleted(id, incarnation: incarnation, failure: answers ? nil : "timed out"), life: life),
            after: answers ? between(200, 3_000) : timeout)
    }
}

extension HypervisorCommand {
    /// Whose queue it waits in. The runtime keeps even those of one instance in order; less order finds more.
    fileprivate var subject: VirtualServerID? {
        switch self {
        case .list, .measure, .abortMigration: nil
        case .run(let definition): definition.name
        case .shutDown(let name), .destroy(let name), .remove(let name), .forget(let name), .suspend(let name),
            .resume(let name), .save(let name), .restore(let name), .resize(let name, _), .migrate(let name, _, _, _):
            name
        }
    }
}

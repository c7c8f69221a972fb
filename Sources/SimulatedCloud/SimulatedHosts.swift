import CloudController
import CloudModel
import VirtualInfrastructure

/// A virtual server as it really is on one host, whatever anybody believes.
struct SimulatedGuest {
    var definition: VirtualServerDefinition
    var state: VirtualServerState
    /// Its service answers from then on.
    var readyAt: Int64
    /// The half of a migration that is not decided yet.
    var isArriving = false
    /// It is on its way elsewhere.
    var migration: Int?
    /// The host was given up while it was here.
    var isGivenUp = false

    var identity: VirtualServerIdentity { definition.identity }
    var address: String { definition.directBoot?.commandLine ?? "" }
    /// Its processors run, or would go on at any moment: a second one would write to the same disks.
    var isLive: Bool { !isArriving && (state == .running || state == .paused) }
}

struct SimulatedHost {
    let server: PhysicalServer
    var isPowered = true
    /// By any network.
    var isReachable = true
    /// By the network that the control plane uses.
    var isManaged = true
    var hasDaemon = true
    /// The control plane holds a connection to it, or believes so.
    var isConnected = false
    var connection = 0
    var guests: [VirtualServerID: SimulatedGuest] = [:]
    /// When its agent last heard from the control plane.
    var lastContact: Int64 = 0

    init(_ server: PhysicalServer) { self.server = server }

    var answersControlPlane: Bool { isPowered && isReachable && isManaged && hasDaemon }
    /// Another host's daemon reaches this one's.
    var answersHosts: Bool { isPowered && isReachable && hasDaemon }

    func leaseIsOver(at now: Int64) -> Bool {
        guard case .lease(let span) = server.fencing else { return false }
        return now - lastContact > span.microseconds
    }
}

struct SimulatedMigration {
    var name: VirtualServerID
    var instance: InstanceID
    var source: PhysicalServerID
    var destination: PhysicalServerID
    /// Of the control plane that waits for its end.
    var life: Int
    var connection: Int
}

/// Faults, and what comes of them.
extension HostSimulation {
    func fault() {
        guard !faultsAreOver else { return }
        plan(.fault, after: between(plan.faultInterval / 4, plan.faultInterval * 2))
        guard let kind = plan.faults.randomElement(using: &random),
            let host = hosts.keys.sorted().randomElement(using: &random)
        else { return }
        narrate?("   \(TimeSpan(microseconds: now).inSeconds) !! \(kind) \(host)")
        switch kind {
        case .crash:
            report.crashes += 1
            powerOff(host)
            plan(.hostReturns(host), after: between(3_000_000, 90_000_000))
        case .partition:
            report.partitions += 1
            hosts[host]?.isReachable = false
            cut(host)
        case .managementCut:
            report.partitions += 1
            hosts[host]?.isManaged = false
            cut(host)
        case .daemonLoss:
            report.daemonLosses += 1
            hosts[host]?.hasDaemon = false
            for number in migrations.keys.sorted() where concerns(number, host) { failMigration(number) }
            noticeSoon(host, after: between(100, 20_000), "the other side closed the connection")
            plan(.daemonReturns(host), after: between(200_000, 20_000_000))
        case .guestCrash: crashGuest(on: host)
        case .controlPlane: endsAtNextStep = true
        }
    }

    private func cut(_ host: PhysicalServerID) {
        noticeSoon(host, after: between(3_000_000, 5_000_000), "no answer to keepalive")
        plan(.networkReturns(host), after: between(1_000_000, 90_000_000))
    }

    func noticeSoon(_ host: PhysicalServerID, after delay: Int64, _ reason: String) {
        guard let connection = hosts[host]?.connection else { return }
        plan(.noticeLoss(host, connection: connection, reason: reason), after: delay)
    }

    func powerOff(_ host: PhysicalServerID) {
        guard hosts[host]?.isPowered == true else { return }
        hosts[host]?.isPowered = false
        for number in migrations.keys.sorted() where concerns(number, host) {
            if migrations[number]?.source == host { vanish(number) } else { failMigration(number) }
        }
        endGuests(of: host)
        noticeSoon(host, after: between(5_000, 30_000), "the other side closed the connection")
    }

    /// Definitions, and what was saved, are on its own disk and stay.
    private func endGuests(of host: PhysicalServerID) {
        for (name, guest) in hosts[host]?.guests ?? [:] {
            if guest.isArriving { hosts[host]?.guests[name] = nil }
            if guest.isLive { hosts[host]?.guests[name]?.state = .defined }
            hosts[host]?.guests[name]?.migration = nil
        }
    }

    func hostReturns(_ host: PhysicalServerID) {
        guard hosts[host]?.isPowered == false else { return }
        hosts[host]?.isPowered = true
        hosts[host]?.hasDaemon = true
        hosts[host]?.lastContact = now
    }

    func networkReturns(_ host: PhysicalServerID) {
        hosts[host]?.isReachable = true
        hosts[host]?.isManaged = true
    }

    private func crashGuest(on host: PhysicalServerID) {
        let running = (hosts[host]?.guests ?? [:]).filter { $0.value.isLive && $0.value.migration == nil }
        guard hosts[host]?.isPowered == true, let name = running.keys.sorted().randomElement(using: &random) else {
            return
        }
        hosts[host]?.guests[name]?.state = .crashed
        changed(host, name, .crashed)
    }

    /// The agent of a host without a power device: what it does when it hears nothing.
    func checkLeases() {
        plan(.leases, after: 500_000)
        for host in hosts.keys.sorted() {
            guard let known = hosts[host], known.isPowered, known.leaseIsOver(at: now), plant != .leaseIsNotKept,
                known.guests.values.contains(where: { $0.isLive || $0.isArriving })
            else { continue }
            report.leasesEnded += 1
            for number in migrations.keys.sorted() where concerns(number, host) {
                if migrations[number]?.source == host { vanish(number) } else { failMigration(number) }
            }
            let names = known.guests.filter { $0.value.isLive }.keys.sorted()
            endGuests(of: host)
            for name in names { changed(host, name, .destroyed) }
        }
    }

    func fenceEnds(_ host: PhysicalServerID, works: Bool, life: Int) {
        report.fences += 1
        if works {
            if plant != .fenceLies { powerOff(host) }
            plan(.hostReturns(host), after: between(5_000_000, 60_000_000))
        } else {
            report.failedFences += 1
        }
        guard life == self.life else { return }
        deliverNow(.infrastructure(.fencingEnded(host, failure: works ? nil : "the power device does not answer")))
    }

    /// Whoever is asked goes there, switches the machine off and says so.
    func operatorLooks() {
        plan(.operatorLooks, after: 10_000_000)
        guard !isDown else { return }
        for host in controller.infrastructure.hosts where host.health.phase == .confirmed {
            let id = host.server.id
            powerOff(id)
            if let connection = hosts[id]?.connection { lose(id, connection: connection, "switched off") }
            plan(.hostReturns(id), after: between(5_000_000, 60_000_000))
            guard !isDown, controller.refusal(of: .confirmOff(id)) == nil else { continue }
            deliverNow(.command(.confirmOff(id), actor: "operator"))
        }
    }

    func operatorCommands() {
        guard !faultsAreOver else { return }
        plan(.operatorCommands, after: between(plan.commandInterval / 2, plan.commandInterval * 2))
        guard !isDown, let host = hosts.keys.sorted().randomElement(using: &random) else { return }
        let instance = controller.infrastructure.servers.keys.sorted().randomElement(using: &random)
        let operation = OperationID("op-\(report.steps)")
        var command: ControllerCommand?
        switch Int.random(in: 0..<9, using: &random) {
        case 0...3: command = instance.map { .migrate($0, to: nil, MigrationSettings(), operation: operation) }
        case 4: command = .drainHost(host, DrainSettings(partial: true), operation: operation)
        case 5: command = .activateHost(host)
        case 6: command = .rebalance(operation: operation)
        case 7: command = instance.map { .restart($0, operation: operation) }
        default: command = instance.map { .abortMigration($0) }
        }
        guard let command, controller.refusal(of: command) == nil else { return }
        deliverNow(.command(command, actor: "operator"))
    }

    func sample() {
        plan(.sample, after: 1_000_000)
        for service in plan.configuration.services {
            if happens(20) { load[service.id] = Int(between(0, 6)) }
            deliverNow(
                .dataPlane(
                    .load(LoadSample(service: service.id, at: wall, requestsInFlight: load[service.id] ?? 0))))
        }
    }

    // MARK: Migrations

    func concerns(_ number: Int, _ host: PhysicalServerID) -> Bool {
        migrations[number].map { $0.source == host || $0.destination == host } ?? false
    }

    /// It stays where it was, and whoever waits is told.
    func failMigration(_ number: Int) {
        guard let migration = migrations.removeValue(forKey: number) else { return }
        report.failedMigrations += 1
        hosts[migration.source]?.guests[migration.name]?.migration = nil
        plan(.arrivalGivenUp(migration.destination, migration.name), after: between(1_000, 5_000_000))
        answer(migration, .failed(HypervisorError(.failed, "the other side does not answer")))
    }

    /// Its source has lost its power.
    private func vanish(_ number: Int) {
        guard let migration = migrations.removeValue(forKey: number) else { return }
        plan(.arrivalGivenUp(migration.destination, migration.name), after: between(1_000, 5_000_000))
    }

    func arrivalGivenUp(_ host: PhysicalServerID, _ name: VirtualServerID) {
        let isAwaited = migrations.values.contains { $0.name == name && $0.destination == host }
        guard !isAwaited, hosts[host]?.guests[name]?.isArriving == true else { return }
        hosts[host]?.guests[name] = nil
    }

    func migrationEnds(_ number: Int) {
        guard let migration = migrations[number], var guest = hosts[migration.source]?.guests[migration.name] else {
            return
        }
        guard let destination = hosts[migration.destination], destination.answersHosts,
            hosts[migration.source]?.answersHosts == true, !destination.leaseIsOver(at: now),
            destination.guests[migration.name]?.isArriving == true, guest.isLive, !happens(plan.migrationFails)
        else { return failMigration(number) }
        migrations[number] = nil
        guest.migration = nil
        guest.isGivenUp = false
        hosts[migration.source]?.guests[migration.name] = nil
        hosts[migration.destination]?.guests[migration.name] = guest
        changed(migration.source, migration.name, .departed, uuid: guest.definition.uuid)
        changed(migration.destination, migration.name, .arrived)
        answer(
            migration,
            .succeeded(
                MigrationResult(
                    transferred: .mebibytes(12), totalTime: .milliseconds(900), downtime: .milliseconds(40), rounds: 3))
        )
    }

    private func answer(_ migration: SimulatedMigration, _ outcome: MigrationOutcome) {
        guard migration.life == life, hosts[migration.source]?.connection == migration.connection else { return }
        plan(
            .deliver(.infrastructure(.migrationEnded(migration.instance, outcome)), life: life),
            after: between(500, 20_000))
        leaveQueue(of: migration.name)
    }
}

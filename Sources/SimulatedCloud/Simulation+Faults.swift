import CloudController
import CloudModel

/// The world: what fails, who commands, and the end of it.
extension Simulation {
    private func meanSeconds(_ fault: Fault) -> Int64 {
        switch fault {
        case .crash: plan.crashes
        case .hang: plan.hangs
        case .clockJump: plan.clockJumps
        case .restart: plan.restarts
        case .command: plan.commands
        case .network: plan.networkFailures
        case .silence: plan.gatewaySilences
        }
    }

    func happen(_ fault: Fault) {
        guard !faultsAreOver else { return }
        plan(.fault(fault), after: between(1, 2 * meanSeconds(fault) * 1_000_000))
        switch fault {
        case .crash: crash()
        case .hang: hang()
        case .clockJump: jump()
        case .restart: endsAtNextStep = true
        case .command: command()
        case .network:
            networkIsDown = true
            plan(.networkReturns, after: between(1_000_000, 40_000_000))
        case .silence:
            gatewayIsSilent = true
            auditor.gatewayIs(silent: true)
            plan(.gatewaySpeaks, after: between(1_000_000, 120_000_000))
        }
    }

    private func anyProcess() -> SimulatedProcess? {
        let running = processes.sorted.filter { $0.state == .running }
        return running.isEmpty ? nil : running[Int(between(0, Int64(running.count - 1)))]
    }

    private func crash() {
        if Int.random(in: 0..<8, using: &random) == 0, let address = plan.configuration.anyAddress(&random) {
            deadAddresses.insert(address)
            return plan(.repaired(InstanceID(address)), after: between(1_000_000, 120_000_000))
        }
        guard let process = anyProcess() else { return }
        report.crashes += 1
        auditor.crashes(process.id)
        ends(process.key, signal: 9)
        // Sometimes the whole machine is short of memory.
        guard Int.random(in: 0..<6, using: &random) == 0 else { return }
        for other in processes.sorted where other.state == .running && Bool.random(using: &random) {
            report.crashes += 1
            auditor.crashes(other.id)
            ends(other.key, signal: 9)
        }
    }

    private func hang() {
        guard let process = anyProcess() else { return }
        report.hangs += 1
        processes.change(process.key) { $0.isHung = true }
        guard Int.random(in: 0..<4, using: &random) == 0 else { return }
        for other in processes.sorted where other.state == .running { processes.change(other.key) { $0.isHung = true } }
    }

    private func jump() {
        report.clockJumps += 1
        let size = [2_000_000, 60_000_000, 3_600_000_000][Int(between(0, 2))]
        let step = between(-Int64(size), Int64(size))
        clockError += step
        auditor.clockJumps(by: step, at: now)
        // The timer that is armed sleeps on, as a sleep by the monotonic clock does.
    }

    // MARK: The operator

    private func command() {
        let services = store.configuration.services
        let instances = controller.instances
        guard !isDown, let service = services.randomElement(using: &random) else { return readd() }
        report.commands += 1
        let operation = OperationID("op-\(report.commands)")
        let command: ControllerCommand?
        switch between(0, 11) {
        case 0...2:
            command = .setConstraint(service.id, .maximumInstances, to: Int(between(1, 7)))
        case 3:
            let kind: ConstraintKind =
                service.constraints.activeConsumersPerInstance == nil
                ? .concurrentRequestsPerInstance : .activeConsumersPerInstance
            command = .setConstraint(service.id, kind, to: Int(between(1, 3)))
        case 4...5:
            command = instances.randomElement(using: &random).map { .restart($0.id, operation: operation) }
        case 6...8:
            let state = AdministrativeState.allCases[Int(between(0, 2))]
            command = instances.randomElement(using: &random).map {
                .setAdministrativeState($0.id, state, operation: operation)
            }
        case 9...10: command = .configure(changed(service))
        default:
            var new = store.configuration
            new.services.removeAll { $0.id == service.id }
            new.failoverGroups.removeAll { $0.service == service.id }
            command = .configure(new)
        }
        guard let command, controller.refusal(of: command) == nil else { return }
        deliverNow(.command(command, actor: "operator"))
    }

    /// Another version of the program, sometimes one that does not work; or another kind of failover group.
    private func changed(_ service: CloudService) -> CloudConfiguration {
        var new = store.configuration
        guard let place = new.services.firstIndex(where: { $0.id == service.id }) else { return new }
        if case .process(var template) = service.instances {
            let isBroken = Int.random(in: 0..<4, using: &random) == 0
            template.command = ["/srv/\(service.id)", String(report.commands)] + (isBroken ? ["broken"] : [])
            new.services[place].instances = .process(template)
        }
        if Int.random(in: 0..<3, using: &random) == 0, service.instances.isProcess {
            new.failoverGroups.removeAll { $0.service == service.id }
            if Bool.random(using: &random) {
                new.failoverGroups.append(SimulationPlan.group(of: service.id, &random))
            }
        }
        return CloudConfiguration(
            services: new.services, consumers: new.consumers, failoverGroups: new.failoverGroups)
    }

    /// All services were removed: back to the beginning.
    private func readd() {
        guard !isDown else { return }
        report.commands += 1
        let command = ControllerCommand.configure(plan.configuration)
        deliverNow(.command(command, actor: "operator"))
    }

    // MARK: The end

    /// The faults stop: what is broken for good is mended by the operator, everything else by the cloud.
    func endFaults() {
        faultsAreOver = true
        endsAtNextStep = false
        networkIsDown = false
        gatewayIsSilent = false
        auditor.gatewayIs(silent: false)
        deadAddresses = []
        if isDown { return plan(.faultsEnd, after: 1_000_000) }
        deliverNow(.command(.configure(plan.configuration), actor: "operator"))
        for instance in controller.instances where instance.administrative != .enabled {
            let command = ControllerCommand.setAdministrativeState(
                instance.id, .enabled, operation: OperationID("mend-\(instance.id)"))
            deliverNow(.command(command, actor: "operator"))
        }
        plan(.checkRest, after: 5_000_000)
    }

    /// Bounded: breaker pauses, back-off, drains and rolling replacements included.
    private static let longestUnrest: Int64 = 900_000_000

    func checkRest() {
        let elapsed = now - faultsEndAt
        let unrest = auditor.unrest(
            store: store, processes: processes, snapshot: controller.snapshot, incidents: controller.openIncidents)
        guard let unrest else {
            report.convergence = TimeSpan(microseconds: elapsed)
            auditor.closeBooks(processes, at: now, wall: wall)
            heap = EventHeap()
            return
        }
        guard elapsed < Self.longestUnrest else { return auditor.finds("no-convergence", unrest) }
        plan(.checkRest, after: 5_000_000)
    }
}

extension CloudConfiguration {
    func anyAddress(_ random: inout SeededGenerator) -> String? {
        for service in services {
            if case .endpoints(let endpoints) = service.instances {
                return endpoints.randomElement(using: &random)?.address
            }
        }
        return nil
    }
}

import CloudController
public import CloudModel
public import CloudPorts
import VirtualInfrastructure

extension ControlPlane {
    /// What waits for the commands to one virtual server that are under way.
    struct CommandQueue {
        var last: Task<Void, Never>
        var count: Int
    }

    // MARK: Connections

    func connect(_ server: PhysicalServer) {
        guard let provider = ports.hypervisors, hypervisors[server.id] == nil else { return }
        let hypervisor = provider.open(server)
        hypervisors[server.id] = hypervisor
        Task {
            for await event in hypervisor.events { await forward(event, of: hypervisor) }
        }
    }

    private func forward(_ event: HypervisorEvent, of hypervisor: any Hypervisor) async {
        let host = hypervisor.host
        if case .disconnected = event { connections[host, default: 0] += 1 }
        let report: InfrastructureEvent =
            switch event {
            case .connected(let capabilities): .connected(host, capabilities)
            case .disconnected(let reason): .disconnected(host, reason: reason)
            case .virtualServer(let name, let uuid, let change): .changed(host, name, uuid: uuid, change)
            }
        await submit(.infrastructure(report))
    }

    func disconnect(_ host: PhysicalServerID) {
        guard let hypervisor = hypervisors.removeValue(forKey: host) else { return }
        Task { await hypervisor.close() }
    }

    func closeHypervisors() async {
        for host in hypervisors.keys.sorted() { await hypervisors[host]?.close() }
        hypervisors = [:]
    }

    // MARK: Commands

    func enqueue(_ command: HypervisorCommand, to host: PhysicalServerID) {
        guard let hypervisor = hypervisors[host] else { return }
        guard let name = command.queue else {
            Task { await carryOut(command, at: hypervisor) }
            return
        }
        let previous = commandQueues[name]
        let connection = connections[host]
        let task = Task {
            await previous?.last.value
            // Decided before the connection was lost: the host may have been given up since, and must not hear it now.
            if connections[host] == connection {
                await carryOut(command, at: hypervisor)
            } else {
                await fail(command, at: host)
            }
            leaveQueue(of: name)
        }
        commandQueues[name] = CommandQueue(last: task, count: (previous?.count ?? 0) + 1)
    }

    private func fail(_ command: HypervisorCommand, at host: PhysicalServerID) async {
        let failure = HypervisorError(.unreachable, "the connection was lost before the command could be given")
        if case .migrate(_, let instance, _, _) = command {
            await submit(.infrastructure(.migrationEnded(instance, .failed(failure))))
        } else {
            await submit(.infrastructure(.commandEnded(host, command, failure: failure)))
        }
    }

    private func leaveQueue(of name: VirtualServerID) {
        commandQueues[name]?.count -= 1
        if commandQueues[name]?.count == 0 { commandQueues[name] = nil }
    }

    private func carryOut(_ command: HypervisorCommand, at hypervisor: any Hypervisor) async {
        switch command {
        case .list: await list(hypervisor)
        case .measure: await measure(hypervisor)
        case .migrate(let name, let instance, let destination, let settings):
            await migrate(name, instance, to: destination, settings, by: hypervisor)
        default:
            var failure: HypervisorError?
            repeat {
                // Commands may be repeated: what has been done of them is found done.
                guard await mayAct() else { return }
                failure = nil
                do { try await hypervisor.run(command) } catch { failure = error }
            } while failure?.code == .notPermitted
            await submit(.infrastructure(.commandEnded(hypervisor.host, command, failure: failure)))
        }
    }

    private func list(_ hypervisor: any Hypervisor) async {
        do {
            let observed = try await hypervisor.list()
            await submit(.infrastructure(.listed(hypervisor.host, observed)))
        } catch {
            await submit(.infrastructure(.commandEnded(hypervisor.host, .list, failure: error)))
        }
    }

    /// What does not answer is asked again: no data is no measurement.
    private func measure(_ hypervisor: any Hypervisor) async {
        guard let statistics = try? await hypervisor.statistics() else { return }
        await submit(
            .infrastructure(.measured(hypervisor.host, statistics.virtualServers.mapValues(\.cpuTime))))
    }

    private func migrate(
        _ name: VirtualServerID, _ instance: InstanceID, to destination: PhysicalServer, _ settings: MigrationSettings,
        by hypervisor: any Hypervisor
    ) async {
        // The newest progress is enough: reports that come while one is processed replace each other.
        let (progress, continuation) = AsyncStream.makeStream(
            of: MigrationProgress.self, bufferingPolicy: .bufferingNewest(1))
        let forwarding = Task {
            for await report in progress { await submit(.infrastructure(.migrationProgressed(instance, report))) }
        }
        var outcome: MigrationOutcome
        repeat {
            do {
                outcome = .succeeded(
                    try await hypervisor.migrate(name, to: destination, settings: settings) { continuation.yield($0) })
            } catch {
                outcome = .failed(error)
            }
            guard await mayAct() else { break }
        } while outcome.wasNotPermitted
        continuation.finish()
        await forwarding.value
        await submit(.infrastructure(.migrationEnded(instance, outcome)))
    }

    // MARK: Consoles

    public func openConsole(
        of instance: InstanceID, takingOver: Bool
    ) async throws(AdministrationRefusal) -> any ConsoleLine {
        try await openLine(of: instance) { hypervisor, name throws(HypervisorError) in
            try await hypervisor.openConsole(name, takingOver: takingOver)
        }
    }

    public func openDisplay(of instance: InstanceID) async throws(AdministrationRefusal) -> any ConsoleLine {
        try await openLine(of: instance) { hypervisor, name throws(HypervisorError) in
            try await hypervisor.openDisplay(name)
        }
    }

    private func openLine(
        of instance: InstanceID,
        _ open: @Sendable (any Hypervisor, VirtualServerID) async throws(HypervisorError) -> any ConsoleLine
    ) async throws(AdministrationRefusal) -> any ConsoleLine {
        guard let server = controller.infrastructure.servers.values.first(where: { $0.instance == instance }) else {
            throw AdministrationRefusal(.notFound, ["there is no virtual server '\(instance)'"])
        }
        let placement = server.placement
        guard let hypervisor = hypervisors[placement.host] else {
            throw AdministrationRefusal(
                .conflict, ["the host '\(placement.host)' of '\(instance)' is not one of the platform's any more"])
        }
        do { return try await open(hypervisor, placement.name) } catch {
            let refusal: AdministrationRefusal.Code = error.code == .unreachable ? .unavailable : .conflict
            throw AdministrationRefusal(refusal, ["the host '\(placement.host)' gives no console: \(error.message)"])
        }
    }

    // MARK: Reports

    public func physicalServers() -> [PhysicalServerReport] {
        controller.infrastructure.hosts.map { host in
            let id = host.server.id
            return PhysicalServerReport(
                server: host.server, phase: host.health.phase.rawValue, used: controller.infrastructure.usage(of: id),
                virtualServers: controller.infrastructure.servers.values.count { $0.placement.host == id },
                version: host.capabilities?.version, drain: host.drain?.operation.id)
        }
    }

    public func virtualServers() -> [VirtualServerReport] {
        controller.infrastructure.servers.values.sorted { $0.instance < $1.instance }.map { server in
            VirtualServerReport(
                identity: server.identity, placement: server.placement, phase: server.phase.rawValue,
                progress: server.isMigrating ? server.progress : nil)
        }
    }
}

extension RebalanceReport {
    init(_ plan: RebalancePlan, automation: RebalancingSettings.Automation, operation: OperationID?) {
        self.init(
            automation: automation, beforePercent: plan.before.worstPercent, afterPercent: plan.after.worstPercent,
            moves: plan.moves.map {
                Move(
                    instance: $0.instance, source: $0.source, destination: $0.destination, duration: $0.duration,
                    afterPercent: $0.imbalancePercent)
            }, operation: operation)
    }
}

extension DrainReport {
    init(_ plan: DrainPlan) {
        let steps = plan.steps.map { step in
            switch step.outcome {
            case .moves(let host): DrainReport.Step(instance: step.instance, destination: host, obstacle: nil)
            case .waits(let phase):
                DrainReport.Step(
                    instance: step.instance, destination: nil, obstacle: "it is \(phase): that is waited for")
            case .stays(let refusal):
                DrainReport.Step(instance: step.instance, destination: nil, obstacle: refusal.description)
            }
        }
        self.init(host: plan.host, steps: steps)
    }
}

extension MigrationOutcome {
    fileprivate var wasNotPermitted: Bool {
        if case .failed(let error) = self { error.code == .notPermitted } else { false }
    }
}

extension HypervisorCommand {
    /// What it waits behind: whatever is under way for the same instance, so that the disks of one incarnation are
    /// taken away before the next one is given its own. Names end in the incarnation.
    fileprivate var queue: VirtualServerID? {
        guard let name = subject?.rawValue, let end = name.lastIndex(of: "-") else { return subject }
        return VirtualServerID(String(name[..<end]))
    }

    /// Nil for what must not wait: an abort is for the command under way.
    private var subject: VirtualServerID? {
        switch self {
        case .list, .measure, .abortMigration: nil
        case .run(let definition): definition.name
        case .shutDown(let name), .destroy(let name), .remove(let name), .forget(let name), .suspend(let name),
            .resume(let name), .save(let name), .restore(let name), .resize(let name, _), .migrate(let name, _, _, _):
            name
        }
    }
}

extension Hypervisor {
    private func end(_ name: VirtualServerID, removingDisks: Bool) async throws(HypervisorError) {
        do { try await destroy(name) } catch {
            guard error.code == .invalidState || error.code == .notFound else { throw error }
        }
        try await undefine(name, removingDisks: removingDisks)
    }

    fileprivate func run(_ command: HypervisorCommand) async throws(HypervisorError) {
        switch command {
        case .run(let definition):
            try await define(definition)
            try await start(definition.name, paused: false)
        case .shutDown(let name): try await shutDown(name)
        case .destroy(let name): try await destroy(name)
        case .remove(let name): try await end(name, removingDisks: true)
        case .forget(let name): try await end(name, removingDisks: false)
        case .suspend(let name): try await suspend(name)
        case .resume(let name): try await resume(name)
        case .save(let name): try await save(name)
        case .restore(let name): try await start(name, paused: false)
        case .resize(let name, let request): try await resize(name, to: request)
        case .abortMigration(let name): try await abortMigration(name)
        case .list, .measure, .migrate: preconditionFailure("these have answers of their own")
        }
    }
}

public import CloudModel

/// Controls the virtual servers of all physical servers as one infrastructure (a VIM): decides where each is, brings
/// it there, moves it, and after the failure of a host proves that nothing of it runs before it is started elsewhere.
///
/// A pure value. Hypervisors are asked by effects and answer by events, which may be late, doubled or lost: a host's
/// list, asked for again and again, is what is true in the end.
public struct InfrastructureSupervisor: Sendable {
    /// Whose virtual servers are ours, where several clouds share a hypervisor.
    public let cloud: String
    /// Sorted by id.
    public internal(set) var hosts: [SupervisedHost] = []
    public internal(set) var servers: [InstanceID: SupervisedServer] = [:]
    public internal(set) var rebalancing = RebalancingSettings()
    /// The rebalancing that is under way.
    public internal(set) var rebalance: Rebalance?
    var balance = BalanceWatch()
    var inventory = ServerInventory(hosts: [])
    var now = Timestamp.epoch
    var wallClock = Timestamp.epoch
    var effects: [InfrastructureEffect] = []

    /// Between two questions to a host about what it runs.
    static let listInterval = TimeSpan.seconds(2)
    /// Between two questions to a host about the processor time that each has used.
    static let measureInterval = TimeSpan.seconds(10)
    /// After a lease's length: clocks that run apart, and the time that it takes to stop what runs.
    static let leaseMargin = TimeSpan.seconds(5)

    /// What connecting to a host takes at most, after a restart.
    static let connectionAllowance = TimeSpan.seconds(10)

    public init(cloud: String) { self.cloud = cloud }

    /// Processes one event and all that has become due.
    /// - Parameters:
    ///   - now: for spans and deadlines; never goes back.
    ///   - wallClock: for records; may jump.
    public mutating func step(
        _ event: InfrastructureEvent, at now: Timestamp, wallClock: Timestamp
    ) -> [InfrastructureEffect] {
        self.now = now
        self.wallClock = wallClock
        handle(event)
        runDueDeadlines()
        defer { effects.removeAll() }
        return effects
    }

    private mutating func handle(_ event: InfrastructureEvent) {
        switch event {
        case .configured(let declared): configure(declared)
        case .rebalancingConfigured(let settings): configure(settings)
        case .recovered(let known): recover(known)
        case .start(let identity, let template): start(identity, template)
        case .stop(let instance, let incarnation, let grace): stop(instance, incarnation, grace)
        case .serviceAnswered(let instance): serviceAnswered(instance)
        case .serviceFailed(let instance): serviceFailed(instance)
        case .connected(let host, let capabilities): connected(host, capabilities)
        case .disconnected(let host, let reason): disconnected(host, reason)
        case .listed(let host, let observed): listed(host, observed)
        case .changed(let host, let name, let uuid, let change): changed(host, name, uuid, change)
        case .commandEnded(let host, let command, let failure): commandEnded(host, command, failure)
        case .migrationProgressed(let instance, let progress): progressed(instance, progress)
        case .migrationEnded(let instance, let outcome): migrationEnded(instance, outcome)
        case .fencingEnded(let host, let failure): fencingEnded(host, failure)
        case .migrate(let instance, let host, let settings, let operation, let actor):
            migrate(instance, to: host, settings, operation, actor)
        case .abortMigration(let instance, let actor): abortMigration(instance, actor)
        case .suspend(let instance, let operation, let actor): suspend(instance, operation, actor)
        case .resume(let instance, let operation, let actor): resume(instance, operation, actor)
        case .drain(let host, let settings, let operation, let actor): drain(host, settings, operation, actor)
        case .abortDrain(let host, let actor): abortDrain(host, actor)
        case .drainsRecovered(let operations): recoverDrains(operations)
        case .park(let instance, let state): park(instance, state)
        case .wake(let instance): wake(instance)
        case .resize(let instance, let millicores, let reason): resize(instance, to: millicores, reason)
        case .relocate(let instance, let millicores, let operation, let reason):
            relocate(instance, growingTo: millicores, operation, reason)
        case .rebalance(let operation, let actor): rebalance(operation, actor)
        case .abortRebalancing(let actor): abortRebalancing(actor)
        case .measured(let host, let used): measured(host, used)
        case .leaseRenewed(let host, let number): leaseRenewed(host, number)
        case .confirmOff(let host, let actor): confirmOff(host, actor)
        case .deadline: break
        }
    }

    // MARK: Deadlines

    /// When `step` is to be called at the latest; nil: not before an event.
    public var nextDeadline: Timestamp? {
        var earliest: Timestamp?
        func consider(_ time: Timestamp?) {
            if let time, time < earliest ?? .distantFuture { earliest = time }
        }
        for host in hosts {
            consider(host.listDueAt)
            consider(host.health.confirmationDue)
            consider(host.leaseEndsAt)
            consider(host.drain?.dueAt)
            consider(host.measureDueAt)
        }
        consider(rebalance?.dueAt)
        consider(balance.dueAt)
        for server in servers.values { consider(server.destroyAt) }
        return earliest
    }

    private mutating func runDueDeadlines() {
        for index in hosts.indices {
            if let due = hosts[index].listDueAt, due <= now { askForList(index) }
            if let due = hosts[index].measureDueAt, due <= now { measure(index) }
            let before = hosts[index].health.phase
            hosts[index].health.conclude(at: now)
            if hosts[index].health.phase != before {
                phaseChanged(index, "it does not answer, and none of its services does")
            }
            if let due = hosts[index].leaseEndsAt, due <= now {
                hosts[index].leaseEndsAt = nil
                fenced(index, "its lease has run out")
            }
        }
        fenceWhatIsConfirmed()
        drainDueHosts()
        rebalanceWhatIsDue()
        for instance in servers.keys.sorted() {
            guard let server = servers[instance], let due = server.destroyAt, due <= now else { continue }
            servers[instance]?.destroyAt = nil
            act(server.placement.host, .destroy(server.name))
        }
    }

    // MARK: What others see

    public func hostIndex(_ host: PhysicalServerID) -> Int? { hosts.firstIndex { $0.server.id == host } }

    public func usage(of host: PhysicalServerID) -> ServerResources { inventory.used(on: host) }

    /// Those that a hypervisor has reported running at its last word: the heartbeat of the resource agent.
    public var running: [InstanceID] {
        servers.values.filter { server in
            guard server.phase != .starting, server.phase != .unconfirmed,
                let index = hostIndex(server.placement.host)
            else { return false }
            return hosts[index].isConnected
        }.map(\.instance).sorted()
    }

    // MARK: Effects

    /// - Returns: false where the host does not hear it; its list will show what is left to do.
    @discardableResult
    mutating func act(_ host: PhysicalServerID, _ command: HypervisorCommand) -> Bool {
        guard let index = hostIndex(host), hosts[index].isConnected else { return false }
        effects.append(.command(host, command))
        return true
    }

    mutating func record(
        _ kind: String, of server: SupervisedServer? = nil, actor: String = "control-plane",
        step number: String? = nil, _ summary: String, _ details: [String: String] = [:]
    ) {
        let step = number.flatMap { number in
            server?.relocation.map { TimelineStep(mechanism: .liveMigration, incident: $0, number: number) }
        }
        effects.append(
            .record(
                InfrastructureRecord(
                    kind: kind, service: server?.identity.service, instance: server?.instance, actor: actor,
                    step: step, summary: summary, details: details)))
    }

    mutating func store(_ instance: InstanceID) {
        guard let server = servers[instance] else { return }
        effects.append(.placed(instance, incarnation: server.identity.incarnation, server.placement))
    }
}

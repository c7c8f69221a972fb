public import CloudModel
public import VirtualInfrastructure

/// Takes all decisions of the control plane: which instances run, who carries the work, who is told of what.
///
/// A pure value: the same events at the same times with the same randomness give the same effects, on every machine.
/// The runtime (and the simulator) calls `step` for one event after another, commits the writes among the effects in
/// one transaction, then runs the actions, and comes back with `.deadline` at `nextDeadline`.
///
/// Events may be late, doubled or lost. An event of an instance counts only for the incarnation that it names; an
/// answer that stays away is asked for again; and what runs is counted until it is proven gone, so the hard cap
/// (`WorkloadConstraints.maximumInstances`) holds at every moment.
public struct CloudController: Sendable {
    /// As it was last applied, with every constraint and credential that was changed since.
    public private(set) var configuration = CloudConfiguration()
    /// What the data plane goes by now.
    public private(set) var snapshot = DataPlaneSnapshot(generation: 0, services: [], consumers: [])
    /// Sorted by id. Services that are being removed are among them until their last instance is gone.
    var supervisors: [ServiceSupervisor] = []
    var context = StepContext()
    /// The physical servers and what runs on them.
    public internal(set) var infrastructure: InfrastructureSupervisor
    var infrastructureArmedAt: Timestamp?
    /// Names that were given, also of services that are gone.
    var lastOrdinals: [ServiceID: Int] = [:]
    var serviceOfInstance: [InstanceID: ServiceID] = [:]
    /// Instances that the driver has still to answer for after a restart.
    var awaitsAdoption: Set<InstanceID> = []
    var isHeld = false
    var isShutDown = false
    /// For tests of the simulator's auditor alone.
    package var plantedDefect: PlantedControllerDefect?
    private var touched: [ServiceID] = []
    /// What becomes of standbys on virtual servers, decided in this step.
    var standbys: [StandbyWish] = []
    private var mustPublish = false
    private var exhausted: [ExhaustedQuota] = []

    /// How long the driver may take to answer for the recovered instances.
    static let adoptionTimeout = TimeSpan.seconds(10)

    /// - Parameter cloud: the cloud's name, by which its virtual servers are told from others'.
    public init(cloud: String = "cloud") { infrastructure = InfrastructureSupervisor(cloud: cloud) }

    // MARK: Stepping

    /// Processes one event and everything that has become due.
    /// - Parameters:
    ///   - now: the wall clock; it may jump and go back (spans are measured by `SteadyClock`).
    ///   - random: for jitter.
    /// - Returns: the writes first, then the actions.
    public mutating func step(
        _ event: ControllerEvent, at now: Timestamp, random: inout SeededGenerator
    ) -> [Effect] {
        swap(&context.random, &random)
        defer { swap(&context.random, &random) }
        context.now = now
        context.clock.advance(to: now, earliestDeadline: context.deadlines.earliest)
        handle(event)
        runDueDeadlines()
        return finish()
    }

    /// When the runtime has to come back at the latest, by the clock that the last step was given; nil: not before an
    /// event.
    public var nextDeadline: Timestamp? { context.deadlines.earliest.map { context.clock.inGivenTime($0) } }

    private mutating func handle(_ event: ControllerEvent) {
        switch event {
        case .recovered(let state): recover(state)
        case .adoptionCompleted: releaseAdoption()
        case .quotasExhausted(let quotas): setExhausted(quotas)
        case .instanceAdopted(let id, let incarnation):
            adoptionAnswered(id) { $0.adopted(id, incarnation, &$1) }
        case .instanceStarted(let id, let incarnation, let endpoint, let handle):
            if serviceOfInstance[id] == nil {
                // Of a service that is gone altogether: nothing of it may run.
                context.act(.stop(id, incarnation: incarnation, grace: .zero))
            }
            adoptionAnswered(id) { $0.started(id, incarnation, endpoint, handle, &$1) }
        case .instanceStartFailed(let id, let incarnation, let reason):
            supervise(id) { $0.startFailed(id, incarnation, reason, &$1) }
        case .instanceExited(let id, let incarnation, let status, let inferredAt):
            adoptionAnswered(id) { $0.exited(id, incarnation, status, inferredAt: inferredAt, &$1) }
        case .probeCompleted(let id, let incarnation, let failure):
            supervise(id) { $0.probed(id, incarnation, failure, &$1) }
            if infrastructure.servers[id] != nil {
                tellInfrastructure(failure == nil ? .serviceAnswered(id) : .serviceFailed(id))
            }
        case .measured(let measurements):
            for one in measurements { supervise(one.service) { $0.measured(one, $1) } }
        case .infrastructure(let event):
            tellInfrastructure(event)
            noteProcessors(event)
            followSizes(event)
        case .dataPlane(let event): handle(event)
        case .metricReported(let service, let metric, let value):
            supervise(service) { $0.reported(metric, value, &$1) }
        case .command(let command, let actor): carryOut(command, actor: actor)
        case .deadline: break
        }
    }

    private mutating func handle(_ event: DataPlaneEvent) {
        switch event {
        case .load(let sample):
            noteSizes(of: sample.service)
            supervise(sample.service) { $0.sampled(sample, &$1) }
            escalate(sample.service)
        case .limitReached(let limit):
            supervise(limit.service) { $0.limitReached(limit, &$1) }
        case .servedAfterRefusal(let service, let consumer, _):
            supervise(service) { $0.servedAfterRefusal(consumer, &$1) }
        case .backendFailure(let service, let instance, let failure, let time):
            supervise(service) { $0.trafficFailed(instance, failure, at: time, &$1) }
        }
    }

    private mutating func runDueDeadlines() {
        // Collected first: what becomes due at once by being handled is the next step's.
        var due: [DeadlineSubject] = []
        while let subject = context.deadlines.popDue(at: context.steady) { due.append(subject) }
        for subject in due {
            switch subject {
            case .instance(let service, let instance): supervise(service) { $0.deadline(of: instance, &$1) }
            case .service(let service): supervise(service) { $0.deadline(&$1) }
            case .adoption: releaseAdoption()
            case .infrastructure:
                infrastructureArmedAt = nil
                tellInfrastructure(.deadline)
            }
        }
    }

    // MARK: Services

    func supervisorIndex(of service: ServiceID) -> Int? {
        var low = 0
        var high = supervisors.count
        while low < high {
            let middle = (low + high) / 2
            if supervisors[middle].id < service { low = middle + 1 } else { high = middle }
        }
        return low < supervisors.count && supervisors[low].id == service ? low : nil
    }

    mutating func supervise(
        _ service: ServiceID, _ body: (inout ServiceSupervisor, inout StepContext) -> Void
    ) {
        guard let index = supervisorIndex(of: service) else { return }
        body(&supervisors[index], &context)
        touch(service)
    }

    mutating func supervise(
        _ instance: InstanceID, _ body: (inout ServiceSupervisor, inout StepContext) -> Void
    ) {
        guard let service = serviceOfInstance[instance] else { return }
        supervise(service, body)
    }

    /// The driver has answered for an instance, whatever the answer is.
    mutating func adoptionAnswered(
        _ instance: InstanceID, _ body: (inout ServiceSupervisor, inout StepContext) -> Void
    ) {
        supervise(instance, body)
        guard isHeld, awaitsAdoption.remove(instance) != nil, awaitsAdoption.isEmpty else { return }
        releaseAdoption()
    }

    mutating func touch(_ service: ServiceID) {
        if !touched.contains(service) { touched.append(service) }
    }

    // MARK: End of a step

    private mutating func finish() -> [Effect] {
        finishServices()
        // What the infrastructure answers at once (there is no place) changes services again. Each round needs a start
        // or a stop that was decided in the one before, and those back off.
        while giveInfrastructureItsActions() || giveInfrastructureItsStandbys() { finishServices() }
        armInfrastructure()
        guard mustPublish, !isHeld else { return context.takeEffects(publishing: nil) }
        mustPublish = false
        return context.takeEffects(publishing: nextSnapshot())
    }

    private mutating func finishServices() {
        for service in touched.sorted() {
            guard let index = supervisorIndex(of: service) else { continue }
            if supervisors[index].finish(&context) { mustPublish = true }
            standbys += supervisors[index].takeStandbyWishes()
            indexInstances(of: index)
            if supervisors[index].isRemoved, supervisors[index].members.isEmpty, !isHeld {
                supervisors.remove(at: index)
                mustPublish = true
            }
        }
        touched.removeAll(keepingCapacity: true)
    }

    /// Takes over who has come and gone.
    mutating func indexInstances(of index: Int) {
        let service = supervisors[index].id
        for id in supervisors[index].takeDeparted() { serviceOfInstance[id] = nil }
        for id in supervisors[index].takeArrived() { serviceOfInstance[id] = service }
        lastOrdinals[service] = supervisors[index].lastOrdinal
    }

    /// Counts the recoveries under a name that no service can have, and numbers the snapshots of this one above all of
    /// those before.
    mutating func beginGenerations() {
        let recovery = (lastOrdinals[Self.recoveries] ?? 0) + 1
        lastOrdinals[Self.recoveries] = recovery
        context.write(.persistOrdinal(Self.recoveries, recovery))
        snapshot.generation = max(snapshot.generation, UInt64(recovery) << 32)
    }

    private static let recoveries = ServiceID("(recoveries)")

    /// Grows also across restarts, where the last one given is not known any more: each recovery begins a range of its
    /// own (`beginGenerations`), whatever the clock says.
    private mutating func nextSnapshot() -> DataPlaneSnapshot {
        snapshot = DataPlaneSnapshot(
            generation: snapshot.generation + 1, services: supervisors.map(\.snapshot),
            consumers: configuration.consumers, exhausted: exhausted)
        return snapshot
    }

    mutating func setConfiguration(_ new: CloudConfiguration) {
        if new.consumers != configuration.consumers { mustPublish = true }
        let hostsChanged = new.physicalServers != configuration.physicalServers
        let oldHosts = configuration.physicalServers
        configuration = new
        if new.rebalancing != infrastructure.rebalancing {
            tellInfrastructure(.rebalancingConfigured(new.rebalancing))
        }
        if hostsChanged { changeHosts(from: oldHosts, to: new.physicalServers) }
    }

    private mutating func setExhausted(_ quotas: [ExhaustedQuota]) {
        guard quotas != exhausted else { return }
        exhausted = quotas
        mustPublish = true
    }

    /// The data plane is to be told what is true now, whatever it was told before.
    mutating func publishAnew() { mustPublish = true }

    // MARK: What is known

    /// All instances, sorted by id.
    public var instances: [ServiceInstance] {
        supervisors.flatMap { $0.members.map(\.instance) }.sorted { $0.id < $1.id }
    }

    /// Sorted by id.
    public var openIncidents: [Incident] {
        var incidents: [Incident] = []
        for supervisor in supervisors {
            incidents += supervisor.limits.map(\.incident)
            incidents += supervisor.failures.keys.sorted().compactMap { supervisor.failures[$0] }
            if let incident = supervisor.breakerIncident { incidents.append(incident) }
        }
        return incidents.sorted { $0.id < $1.id }
    }

    /// The newest sample of each service.
    public var latestLoad: [ServiceID: LoadSample] {
        var samples: [ServiceID: LoadSample] = [:]
        for supervisor in supervisors { samples[supervisor.id] = supervisor.latest }
        return samples
    }
}

/// A defect that tests put in, to show that it is found.
package enum PlantedControllerDefect: Sendable {
    /// Instances that are stopping are not counted against the hard cap.
    case capIgnoresStopping
}

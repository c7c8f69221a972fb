import CloudModel
import Failover
import ScalingListener

/// All that the controller keeps and decides about one service: its instances, its failover group, its scaling.
///
/// An event changes what it is about and marks the rest for `finish`, which runs once at the end of a step: it makes
/// the number and the roles of the instances right (`reconcile`), then stores, publishes and arms what has changed.
struct ServiceSupervisor: Sendable {
    var service: CloudService
    var group: FailoverGroup
    /// Sorted by id. None of phase `removed`: all of them count against the hard cap.
    var members: [SupervisedInstance] = []
    /// Active instances that are wanted, within the constraints.
    var target = 0
    var lastOrdinal = 0
    /// Not in the configuration any more: its instances are drained and stopped.
    var isRemoved = false
    /// The platform stops: nothing is started.
    var isShutDown = false
    /// Actions wait for the driver's adoption.
    var isHeld = false

    var breaker = CircuitBreaker()
    var breakerIncident: Incident?
    /// Open failures by incident id.
    var failures: [String: Incident] = [:]
    var scaling = ScalingListenerDecision()
    /// Where instances can grow: the processor time that each holds or is about to, when the load was sampled last.
    var millicores: [InstanceID: Int] = [:]
    /// More or less capacity, by way of growth: the controller finds it.
    var escalation: EscalationWish?
    var standbyWishes: [StandbyWish] = []
    /// It was told that what the load asks for is found nowhere.
    var toldOfMissing = false
    /// What is known of the load in the long run; nil where nothing is to be learned.
    var learned: LearnedScaling?
    /// From before a restart, until it is looked at.
    var storedHistory: [String] = []
    var latest: LoadSample?
    /// By the steady clock.
    var latestArrivedAt: Timestamp?
    /// What is measured of `scaling.metrics`.
    var meter = WorkloadMeter()
    /// Where sizes follow what is used: what is known of that.
    var sizer: VerticalSizer?
    /// A server should be larger than it can be anywhere.
    var lacksSize = false
    /// What a dry run would have given each last: the same is not recorded twice.
    var proposedSizes: [InstanceID: Int] = [:]
    /// What was known of `scaling.metrics` when a decision was taken last, for its record.
    var seenMetrics: [String: Int] = [:]
    /// What was reported of `scaling.metrics`, by name.
    var reported: [String: ReportedMetric] = [:]
    var utilisation = LoadWatch()
    /// A dry run's last decision: the same one is not recorded twice.
    var proposed: Int?
    /// Constraints that have been reached; sorted by name.
    var limits: [ReachedLimit] = []
    var run: ScalingRun?
    /// The timelines in which consumers were refused that have not been served since.
    var refused: [ConsumerID: String] = [:]

    var plantedDefect: PlantedControllerDefect?
    var needsReconciliation = true
    var snapshotIsStale = true
    var armedAt: Timestamp?
    private var touched: [InstanceID] = []
    private var arrived: [InstanceID] = []
    private var departed: [InstanceID] = []
    private(set) var snapshot: ServiceSnapshot

    /// One run of the automated scaling listener, from the first scale-out until all is back at the minimum.
    struct ScalingRun: Sendable {
        var id: String
        /// A limit that stopped it was raised.
        var isRaised = false
    }

    struct ReportedMetric: Sendable {
        var value: Int
        /// By the steady clock.
        var arrivedAt: Timestamp
    }

    struct ReachedLimit: Sendable {
        var incident: Incident
        var state: LimitIncident
        /// The timeline that it is a part of.
        var run: String
    }

    init(service: CloudService, group: FailoverGroup?) {
        self.service = service
        self.group = group ?? Self.defaultGroup(of: service.id)
        snapshot = ServiceSnapshot(service: service, backends: [])
    }

    /// Where none is configured, all instances share the work and stand in for each other.
    static func defaultGroup(of service: ServiceID) -> FailoverGroup {
        FailoverGroup(id: FailoverGroupID(service.rawValue), service: service, mode: .activeActive, standbys: 0)
    }

    var id: ServiceID { service.id }
    var isManaged: Bool { service.fixedEndpoints == nil }
    var mechanism: Mechanism {
        group.mode == .activeActive ? .failoverActiveActive : .failoverActivePassive
    }

    // MARK: Members

    /// Where the instance is, or belongs.
    private func place(of id: InstanceID) -> Int {
        var low = 0
        var high = members.count
        while low < high {
            let middle = (low + high) / 2
            if members[middle].instance.id < id { low = middle + 1 } else { high = middle }
        }
        return low
    }

    func index(of id: InstanceID) -> Int? {
        let place = place(of: id)
        return place < members.count && members[place].instance.id == id ? place : nil
    }

    /// The instance, if `incarnation` is its current one, marked as touched.
    mutating func current(_ id: InstanceID, _ incarnation: Int) -> Int? {
        guard let index = index(of: id), members[index].instance.incarnation == incarnation else { return nil }
        touch(index)
        return index
    }

    mutating func touch(_ index: Int) {
        guard !members[index].isTouched else { return }
        members[index].isTouched = true
        touched.append(members[index].id)
    }

    mutating func insert(_ member: SupervisedInstance) -> Int {
        let place = place(of: member.id)
        members.insert(member, at: place)
        arrived.append(member.id)
        touch(place)
        needsReconciliation = true
        return place
    }

    /// Takes the instance out for good: nothing of it runs any more.
    mutating func remove(_ index: Int, _ context: inout StepContext) {
        var instance = members[index].instance
        instance.phase = .removed
        instance.operational = .down
        context.write(.persist(instance))
        if members[index].published != nil { snapshotIsStale = true }
        for operation in members[index].operations {
            end(operation, failure: "the instance was removed", &context)
        }
        if let incident = members[index].incident { closeFailure(incident, &context) }
        breaker.forget(instance.id)
        members.remove(at: index)
        arrived.removeAll { $0 == instance.id }
        departed.append(instance.id)
        needsReconciliation = true
        context.record(
            "instance.removed", service: id, instance: instance.id, "\(instance.id) is removed",
            ["instances": String(members.count)])
    }

    mutating func takeArrived() -> [InstanceID] {
        if arrived.isEmpty { return [] }
        defer { arrived.removeAll() }
        return arrived
    }

    mutating func takeDeparted() -> [InstanceID] {
        if departed.isEmpty { return [] }
        defer { departed.removeAll() }
        return departed
    }

    // MARK: Deadlines

    /// Looks at one instance whose deadline may have come.
    mutating func deadline(of instance: InstanceID, _ context: inout StepContext) {
        guard let index = index(of: instance) else { return }
        touch(index)
        members[index].armedAt = nil
        guard !isHeld else { return }
        let now = context.steady
        // Any of these may remove the instance or move others: look it up each time.
        if let due = members[index].startDueAt, due <= now { needsReconciliation = true }
        if let due = members[index].startDeadline, due <= now { startTimedOut(index, &context) }
        if let due = members[index].stopRepeatAt, due <= now { sendStop(index, &context) }
        if let due = members[index].drainUntil, due <= now { drained(index, &context) }
        guard let index = self.index(of: instance) else { return }
        if let due = members[index].stableAt, due <= now { becameStable(index, &context) }
        if let due = members[index].heldUntil, due <= now { holdEnded(index, &context) }
        if let due = members[index].probeOverdueAt, due <= now {
            settle(index, .timedOut, "no answer to the check", &context)
        }
        guard let index = self.index(of: instance) else { return }
        if let due = members[index].probeDueAt, due <= now { probe(index, &context) }
    }

    /// Looks at what concerns the service as a whole.
    mutating func deadline(_ context: inout StepContext) {
        armedAt = nil
        closeQuietLimits(&context)
        needsReconciliation = true
    }

    private var nextServiceDeadline: Timestamp? {
        var earliest = Timestamp.distantFuture
        for limit in limits { earliest = min(earliest, limit.state.endsAt) }
        // What keeps a crowded service from starting is the departure of another, which is looked at when it comes.
        if !breaker.isClosed, !isShutDown, !isCrowded, let pending = members.compactMap(\.startDueAt).min() {
            switch breaker.state {
            case .open(let until): earliest = min(earliest, max(until, pending))
            case .halfOpen(trial: nil): earliest = min(earliest, pending)
            case .halfOpen, .closed: break
            }
        }
        return earliest == .distantFuture ? nil : earliest
    }

    // MARK: End of a step

    /// Rounds of reconciliation in one step; each settles what the one before began, and two or three are enough.
    private static let maximumRounds = 16

    /// True where the load balancer has to be told something new.
    mutating func finish(_ context: inout StepContext) -> Bool {
        var rounds = 0
        while needsReconciliation, !isHeld, rounds < Self.maximumRounds {
            needsReconciliation = false
            reconcile(&context)
            rounds += 1
        }
        flush(&context)
        guard !isHeld else { return false }
        armService(&context)
        guard snapshotIsStale else { return false }
        snapshotIsStale = false
        let new = makeSnapshot()
        defer { snapshot = new }
        return new != snapshot
    }

    private mutating func flush(_ context: inout StepContext) {
        for id in touched {
            guard let index = index(of: id) else { continue }
            members[index].isTouched = false
            if members[index].stored != members[index].instance {
                context.write(.persist(members[index].instance))
                members[index].stored = members[index].instance
            }
            let backend = members[index].backend
            if backend != members[index].published {
                members[index].published = backend
                snapshotIsStale = true
            }
            // One that may not be started now is looked at again when another has gone.
            let permitted = members[index].startDueAt != nil && breaker.isClosed && !isCrowded
            guard !isHeld, let next = members[index].nextDeadline(startsArePermitted: permitted) else { continue }
            if members[index].armedAt.map({ next < $0 }) ?? true {
                members[index].armedAt = next
                context.deadlines.add(.instance(service.id, id), at: next)
            }
        }
        touched.removeAll(keepingCapacity: true)
    }

    private mutating func armService(_ context: inout StepContext) {
        guard let next = nextServiceDeadline, armedAt.map({ next < $0 }) ?? true else { return }
        armedAt = next
        context.deadlines.add(.service(service.id), at: next)
    }

    private func makeSnapshot() -> ServiceSnapshot {
        var shown = service
        // Nothing new is routed to a service that is being removed; what it has is finished.
        if isRemoved {
            shown.routes = []
            shown.tcp = nil
        }
        return ServiceSnapshot(service: shown, backends: members.compactMap(\.published))
    }

    func step(_ mechanism: Mechanism, _ incident: String, _ number: String) -> TimelineStep {
        TimelineStep(mechanism: mechanism, incident: incident, number: number)
    }
}

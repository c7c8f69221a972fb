import CloudModel
import Failover

/// One instance with all that the controller keeps about it. Times are of the steady clock.
///
/// Only `instance` is stored; the rest is rebuilt after a restart from what the driver and the checks say.
struct SupervisedInstance: Sendable {
    /// Where a stopping or draining instance goes.
    enum Destination: Hashable, Sendable {
        /// It is not needed any more.
        case removal
        /// It is started again as it is.
        case restart
        /// It failed.
        case recovery(RecoveryStep)
    }

    var instance: ServiceInstance
    /// Ours to start and stop; false for a fixed endpoint.
    let isManaged: Bool
    var detector: FailureDetector
    var recovery = RecoveryTrack()
    /// The open incident of its failure.
    var incident: String?
    /// It takes over from a failed one, in this timeline, as soon as it is up.
    var takesOverIn: String?
    /// What came of it last, for the timeline of its recovery: since when it is down.
    var failedAt: Timestamp?

    /// It leaves, or is restarted: set from the decision until it has ended.
    var destination: Destination?
    /// It goes only when another one is up in its stead (rolling replacement).
    var waitsForSubstitute = false
    var drainUntil: Timestamp?
    /// In given time: load samples from before it do not count.
    var drainBeganAt: Timestamp?

    var startDueAt: Timestamp?
    var startDeadline: Timestamp?
    var stopRepeatAt: Timestamp?
    var stopsSent = 0
    var probeDueAt: Timestamp?
    /// Set while a check is under way.
    var probeOverdueAt: Timestamp?
    /// When the check was begun that is under way, or was the last.
    var probedAt: Timestamp?
    /// How long the last passed check took.
    var checkTook: TimeSpan?
    var checksAgainAtOnce = false
    var stableAt: Timestamp?
    /// Kept in the balance although its checks time out, because there is no other: since when, and until when.
    var heldSince: Timestamp?
    var heldUntil: Timestamp?
    /// Its host is not heard since a moment ago: until then one failed check is enough.
    var doubtedUntil: Timestamp?
    /// When its stop was asked for.
    var stopBeganAt: Timestamp?

    /// Operations that wait for it.
    var operations: [Operation] = []
    /// The driver has not said yet whether it survived the restart of the control plane.
    var awaitsAdoption = false

    /// A parked standby that is needed: asked to go on, and has not yet.
    var isWaking = false
    /// When that was decided, until it is up.
    var wokenAt: Timestamp?

    // What the last step left, to notice changes.
    var stored: ServiceInstance?
    var published: Backend?
    var armedAt: Timestamp?
    var isTouched = false

    static let maximumOperations = 16

    init(_ instance: ServiceInstance, isManaged: Bool) {
        self.instance = instance
        self.isManaged = isManaged
        detector = FailureDetector(state: instance.operational)
    }

    var id: InstanceID { instance.id }

    /// Is decided to leave for good.
    var isLeaving: Bool { destination == .removal }

    /// Counts towards the number that is wanted: it works, or will again without another decision.
    var counts: Bool { !isLeaving && !waitsForSubstitute && instance.administrative == .enabled }

    /// Passes its checks and is meant to work.
    var isUp: Bool { instance.phase == .running && instance.operational == .up }

    /// Does the work, or is about to: what the scaling listener counts with.
    var isAble: Bool {
        guard counts, destination == nil else { return false }
        switch instance.phase {
        case .requested, .starting: return true
        case .running: return instance.operational == .up || heldSince != nil
        case .stopping, .failed, .removed: return false
        }
    }

    /// A standby whose virtual server waits without running.
    var isParked: Bool { instance.virtualServer?.parked != nil }

    /// A cold standby that waits to be needed.
    var isIdle: Bool { instance.phase == .requested && startDueAt == nil }

    var condition: GroupMember.Condition {
        guard counts, destination == nil else { return .unavailable }
        switch instance.phase {
        case .requested: return .cold
        case .starting: return .starting
        case .running where isParked: return .starting
        case .running: return instance.operational == .up ? .up : .unavailable
        case .stopping, .failed, .removed: return .unavailable
        }
    }

    /// How the load balancer is to see it; nil: not at all.
    var backend: Backend? {
        guard instance.role == .active, instance.phase == .running, let endpoint = instance.endpoint,
            let upSince = instance.upSince, instance.administrative != .maintenance, !awaitsAdoption
        else { return nil }
        guard instance.operational == .up || heldSince != nil else { return nil }
        let drains = drainUntil != nil || instance.administrative == .draining
        return Backend(
            instance: id, endpoint: endpoint, administrative: drains ? .draining : .enabled, upSince: upSince)
    }

    /// When it has to be looked at next. A start that waits for the breaker is the service's to wake.
    func nextDeadline(startsArePermitted: Bool) -> Timestamp? {
        var earliest = Timestamp.distantFuture
        if startsArePermitted, let startDueAt { earliest = startDueAt }
        for deadline in [startDeadline, stopRepeatAt, probeDueAt, probeOverdueAt, stableAt, heldUntil, drainUntil] {
            if let deadline, deadline < earliest { earliest = deadline }
        }
        return earliest == .distantFuture ? nil : earliest
    }

    /// Forgets all that was under way with the incarnation that has ended.
    mutating func clearIncarnation() {
        instance.endpoint = nil
        instance.handle = nil
        instance.virtualServer = nil
        instance.startedAt = nil
        instance.upSince = nil
        startDueAt = nil
        startDeadline = nil
        stopRepeatAt = nil
        stopsSent = 0
        checkTook = nil
        clearChecks()
        drainUntil = nil
        drainBeganAt = nil
        isWaking = false
        wokenAt = nil
    }

    mutating func clearChecks() {
        probeDueAt = nil
        probeOverdueAt = nil
        checksAgainAtOnce = false
        stableAt = nil
        heldSince = nil
        heldUntil = nil
    }
}

public import CloudModel

/// A redundant implementation, as a failover group's decisions see it.
public struct GroupMember: Hashable, Sendable {
    public enum Condition: Int, Hashable, Sendable, Comparable {
        /// Passes its checks.
        case up
        /// Started, or being started; has not passed a check yet.
        case starting
        /// Not started (a cold standby).
        case cold
        /// Failed, stopping, or kept from work by an administrator: cannot take over.
        case unavailable

        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    public var id: InstanceID
    public var role: FailoverRole
    public var condition: Condition

    public init(id: InstanceID, role: FailoverRole, condition: Condition) {
        self.id = id
        self.role = role
        self.condition = condition
    }
}

/// What the load balancer is commanded, and which standby takes over, when a member of a failover group fails.
public struct Switchover: Hashable, Sendable {
    /// Carry the work from now on; sorted. Empty: nobody does until something is up again.
    public var carriers: [InstanceID]
    /// The standby that becomes active; nil where there is none, or none is needed.
    public var activated: InstanceID?
    /// The activated standby was not running: it has to be started first, and the work waits for it.
    public var activationStarts: Bool
    /// What the failed member is when it has been recovered.
    public var roleOfFailed: FailoverRole

    /// Active-active: the others carry on. Active-passive: the best standby takes the failed active's place (one that
    /// is up before one that is starting before a cold one; among equals the first by name), and the failed one becomes
    /// the standby. Without any standby it stays the active one and the work waits for its recovery.
    public static func after(failureOf failed: InstanceID, in group: [GroupMember], mode: FailoverGroup.Mode) -> Self {
        let others = group.filter { $0.id != failed }.sorted { $0.id < $1.id }
        let role = group.first { $0.id == failed }?.role ?? .active
        var carriers = others.filter { $0.role == .active && $0.condition == .up }.map(\.id)
        guard mode == .activePassive, role == .active else {
            return Switchover(carriers: carriers, activated: nil, activationStarts: false, roleOfFailed: role)
        }
        guard let standby = bestStandby(of: others) else {
            return Switchover(carriers: carriers, activated: nil, activationStarts: false, roleOfFailed: .active)
        }
        if standby.condition == .up { carriers = (carriers + [standby.id]).sorted() }
        return Switchover(
            carriers: carriers, activated: standby.id, activationStarts: standby.condition == .cold,
            roleOfFailed: .standby)
    }

    /// The standby that can take over soonest.
    public static func bestStandby(of group: [GroupMember]) -> GroupMember? {
        group.filter { $0.role == .standby && $0.condition != .unavailable }
            .min { ($0.condition, $0.id) < ($1.condition, $1.id) }
    }
}

/// When no implementation passes its checks, requests are better sent to those that may still work than nowhere
/// (Envoy's panic threshold; AWS ALB fails open): if all time out at the same time, the likely cause is a load or a
/// network that they share, and taking the last ones out, or killing them, would turn a slow service into none.
///
/// It never covers an instance whose process has ended, nor one that answered a check with a refusal.
public enum PanicRule {
    /// How long an instance that hangs is kept in the balance because there is no other; then it is restarted, one
    /// instance at a time.
    public static let grace = TimeSpan.seconds(10)
    /// How long restarting it is put off, at most, because another is still being restarted.
    public static let longestHold = TimeSpan.seconds(60)

    /// Whether the instance that failed its checks keeps its work.
    public static func holds(_ detector: FailureDetector, otherInstancesUp: Int) -> Bool {
        detector.onlyTimeouts && otherInstancesUp == 0
    }
}

public import CloudModel

/// The emptying of a host, while it goes on.
public struct HostDrain: Hashable, Sendable {
    public internal(set) var operation: Operation
    let settings: DrainSettings
    /// All that it has had since the drain began.
    var seen: Set<InstanceID> = []
    var attempts: [InstanceID: Int] = [:]
    /// Why the last attempt to move it failed.
    var failures: [InstanceID: String] = [:]
    /// When it is looked at next.
    var dueAt: Timestamp
    /// Since when nothing has moved, and nothing is on its way.
    var idleSince: Timestamp?

    /// Between two looks at what could not be moved.
    static let interval = TimeSpan.seconds(1)
    /// Attempts for one virtual server.
    static let maximumAttempts = 3
    /// A drain that has not moved anything for this long gives up, and says why.
    static let patience = TimeSpan.minutes(1)

    init(_ operation: Operation, _ settings: DrainSettings, at now: Timestamp) {
        self.operation = operation
        self.settings = settings
        dueAt = now
    }
}

/// What emptying a host would do with each of its virtual servers, as things are now.
public struct DrainPlan: Hashable, Sendable {
    public enum Outcome: Hashable, Sendable {
        case moves(to: PhysicalServerID)
        /// It is starting or ending: what becomes of it is waited for.
        case waits(phase: String)
        case stays(MigrationRefusal)
    }

    public struct Step: Hashable, Sendable {
        public var instance: InstanceID
        public var outcome: Outcome
    }

    public var host: PhysicalServerID
    /// In the order in which they would be moved: the largest first, which wastes the least room.
    public var steps: [Step]

    /// Those that would stay, with the reason.
    public var obstacles: [String] {
        steps.compactMap { step in
            if case .stays(let refusal) = step.outcome { "\(step.instance) stays: \(refusal)" } else { nil }
        }
    }
}

/// Why a host is not emptied, or not put to use again.
public enum DrainRefusal: Error, Hashable, Sendable {
    case unknownHost(PhysicalServerID)
    case underWay(PhysicalServerID, OperationID)
    case notUsable(PhysicalServerID, HostPhase)
    /// Some of its virtual servers would stay; each with the reason.
    case obstacles(PhysicalServerID, [String])
    case notDraining(PhysicalServerID)
    /// The configuration keeps it in maintenance.
    case declaredInMaintenance(PhysicalServerID)

    /// One entry a fault.
    public var reasons: [String] {
        switch self {
        case .unknownHost(let host): ["there is no physical server '\(host)'; see `physical-server list`"]
        case .underWay(let host, let operation):
            ["'\(host)' is being drained already; follow it with `operation show \(operation) --wait`"]
        case .notUsable(let host, let phase): ["'\(host)' is \(phase.rawValue); it is drained once it is up"]
        case .obstacles(let host, let reasons):
            reasons + ["nothing was begun; make room, or drain '\(host)' as far as possible with --partial"]
        case .notDraining(let host): ["'\(host)' is not being drained"]
        case .declaredInMaintenance(let host):
            ["'\(host)' has maintenance: true in the configuration; remove that and apply it"]
        }
    }
}

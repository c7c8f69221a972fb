public import CloudModel

/// A stretch of time in which an instance held the same resources, as the resource agent's events tell it.
public struct UsageInterval: Codable, Hashable, Sendable {
    public var service: ServiceID
    public var instance: InstanceID
    public var incarnation: Int
    /// Who pays; nil for the operator's own services.
    public var owner: ConsumerID?
    public var resources: ResourceLimits
    /// Between a suspend and its resume: the instance keeps its memory and does not run.
    public var isSuspended: Bool
    public var start: Timestamp
    /// Exclusive.
    public var end: Timestamp
    public var ending: Ending

    public enum Ending: String, Codable, Hashable, Sendable, CaseIterable {
        /// The stop was reported.
        case stopped
        /// Resized, suspended or resumed: the next interval goes on from here.
        case changed
        /// The stop was lost and is concluded; a stop that is reported later corrects it.
        case inferred
        /// It runs; the interval reaches up to now.
        case open
    }

    public init(
        service: ServiceID, instance: InstanceID, incarnation: Int, owner: ConsumerID?, resources: ResourceLimits,
        isSuspended: Bool, start: Timestamp, end: Timestamp, ending: Ending
    ) {
        self.service = service
        self.instance = instance
        self.incarnation = incarnation
        self.owner = owner
        self.resources = resources
        self.isSuspended = isSuspended
        self.start = start
        self.end = end
        self.ending = ending
    }
}

/// Something in the events that does not fit; what was made of it is told by the intervals.
public struct UsageAnomaly: Codable, Hashable, Sendable {
    public var service: ServiceID
    public var instance: InstanceID
    public var incarnation: Int
    public var kind: Kind
    public var at: Timestamp

    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        /// No start was reported: use is counted from the first event that was.
        case lostStart = "lost-start"
        /// No stop was reported and the lease has run out: use is counted up to `at`.
        case lostStop = "lost-stop"
        /// A stop was concluded first and reported later, at `at`: the report counts.
        case corrected
        /// The event lies before the start or after the stop and is not counted.
        case outsideOfLife = "outside-of-life"
        /// The same fact was reported with another time; the earlier one counts.
        case contradiction
    }

    public init(service: ServiceID, instance: InstanceID, incarnation: Int, kind: Kind, at: Timestamp) {
        self.service = service
        self.instance = instance
        self.incarnation = incarnation
        self.kind = kind
        self.at = at
    }
}

/// How long instances held which resources, reconstructed from the resource agent's events.
///
/// The events may come in any order, more than once, and with losses. The result depends on the set of events alone.
public struct UsageReconstruction: Hashable, Sendable {
    /// By service, instance, incarnation and start.
    public private(set) var intervals: [UsageInterval] = []
    /// By service, instance, incarnation and time.
    public private(set) var anomalies: [UsageAnomaly] = []

    /// - Parameters:
    ///   - events: all events of the incarnations concerned.
    ///   - lastHeartbeats: when each instance was last seen running.
    ///   - lease: how long an instance is taken to run after its last sign of life. An incarnation whose stop was lost
    ///     ends at the earliest of: a concluded stop, its last sign of life plus the lease, the start of the instance's
    ///     next incarnation.
    ///   - now: intervals that have not ended reach up to here; nothing reaches beyond.
    public init(
        _ events: [LifecycleEvent], lastHeartbeats: [InstanceID: Timestamp], lease: TimeSpan, now: Timestamp
    ) {
        var runs: [RunKey: [LifecycleEvent]] = [:]
        for event in events { runs[RunKey(event), default: []].append(event) }
        let keys = runs.keys.sorted()
        for (index, key) in keys.enumerated() {
            let next = index + 1 < keys.count && keys[index + 1].isSameInstance(as: key) ? keys[index + 1] : nil
            var run = RunReconstruction(key: key, events: runs[key] ?? [])
            run.reconstruct(
                lastHeartbeat: lastHeartbeats[key.instance], lease: lease,
                nextStart: next.flatMap { key in runs[key]?.map(\.at).min() }, now: now)
            intervals += run.intervals
            anomalies += run.anomalies.sorted { ($0.at, $0.kind.rawValue) < ($1.at, $1.kind.rawValue) }
        }
    }
}

/// One incarnation of one instance.
struct RunKey: Hashable, Comparable {
    var service: ServiceID
    var instance: InstanceID
    var incarnation: Int

    init(_ event: LifecycleEvent) {
        service = event.service
        instance = event.instance
        incarnation = event.incarnation
    }

    func isSameInstance(as other: RunKey) -> Bool { service == other.service && instance == other.instance }

    static func < (left: RunKey, right: RunKey) -> Bool {
        (left.service, left.instance, left.incarnation) < (right.service, right.instance, right.incarnation)
    }
}

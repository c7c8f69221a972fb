public import CloudModel

/// What holds for every policy, in the replay and in the tournament's shadow: the hard cap, the projection guard, and a
/// hold after flapping. Live, `ScalingListenerDecision` adds the rules that need a request's view (queues, old
/// samples).
///
/// - Never above `maximum` or below `minimum`.
/// - In never while instances are starting (AWS target tracking), and never to a count that the present demand would
///   fill to more than `projectedUtilisation` (Azure autoscale's projection).
/// - An action in that had to be taken back within 15 minutes, or within the present hold, makes the next ones wait: 5
///   minutes, then twice as long each time, up to two hours, and half as long for each that lasted.
public struct ScalingGuard: Hashable, Sendable {
    public var minimum: Int
    public var maximum: Int
    public var projectedUtilisation: Double
    private var hold = TimeSpan.zero
    private var lastInAt: Timestamp?
    private var lastChangeAt: Timestamp?

    private static let firstHold = TimeSpan.minutes(5)
    private static let longestHold = TimeSpan.hours(2)
    /// An action in that is taken back within this time was a mistake.
    private static let reversal = TimeSpan.minutes(15)

    public init(minimum: Int = 1, maximum: Int = 10_000, projectedUtilisation: Double = 0.95) {
        self.minimum = minimum
        self.maximum = max(minimum, maximum)
        self.projectedUtilisation = projectedUtilisation
    }

    /// The count that there shall be.
    public mutating func allow(_ wanted: Int, _ sample: DemandSample) -> Int {
        let bounded = min(max(wanted, minimum), maximum)
        let count = sample.committed
        if bounded > count {
            if let last = lastInAt, sample.at - last < max(Self.reversal, hold) {
                hold = min(max(Self.firstHold, hold * 2), Self.longestHold)
                lastInAt = nil
            }
            lastChangeAt = sample.at
            return bounded
        }
        guard bounded < count else { return count }
        // What is above the cap, after it was lowered, goes at once.
        guard count <= maximum else { return maximum }
        guard sample.ready >= sample.committed else { return count }
        if let last = lastChangeAt, sample.at - last < hold { return count }
        let projected = max(bounded, wholeInstances(sample.demand / projectedUtilisation))
        guard projected < count else { return count }
        if let last = lastInAt, sample.at - last >= max(Self.reversal, hold) {
            hold = hold > Self.firstHold ? TimeSpan(microseconds: hold.microseconds / 2) : .zero
        }
        lastInAt = sample.at
        lastChangeAt = sample.at
        return projected
    }
}

/// Instances that are started and stopped without existing: the supply that a policy would have had.
public struct ShadowSupply: Hashable, Sendable {
    private struct Start: Hashable {
        var readyAt: Timestamp
        var count: Int
    }

    public private(set) var ready: Int
    public private(set) var starting = 0
    public let startupTime: TimeSpan
    private var starts: [Start] = []

    public init(ready: Int, startupTime: TimeSpan) {
        self.ready = max(0, ready)
        self.startupTime = startupTime
    }

    public var committed: Int { ready + starting }

    /// Those whose time has come serve.
    public mutating func advance(to now: Timestamp) {
        while let first = starts.first, first.readyAt <= now {
            ready += first.count
            starting -= first.count
            starts.removeFirst()
        }
    }

    public mutating func set(_ count: Int, at now: Timestamp) {
        if count > committed {
            let new = count - committed
            if startupTime <= .zero {
                ready += new
            } else {
                starts.append(Start(readyAt: now + startupTime, count: new))
                starting += new
            }
            return
        }
        // The newest of those that start go first; they serve nobody yet.
        var surplus = committed - count
        while surplus > 0, let last = starts.last {
            let taken = min(surplus, last.count)
            surplus -= taken
            starting -= taken
            if taken == last.count { starts.removeLast() } else { starts[starts.count - 1].count -= taken }
        }
        ready -= surplus
    }
}

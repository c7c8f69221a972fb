import CloudModel

/// What holds for every policy, in the replay and in the tournament's shadow: the hard cap, the projection guard, and
/// holds against flapping. Live, `ScalingListenerDecision` adds the rules that need a request's view (queues, old
/// samples).
///
/// - Never above `maximum` or below `minimum`.
/// - In never while instances are starting (AWS target tracking), and never to a count that the present demand would
///   fill to more than `projectedUtilisation` (Azure autoscale's projection).
/// - Before an action in, the policy is asked what it would do on the projected load with the fewer instances: where
///   it would take the action back, only as far as it would not. The projected load is what the noise of the load
///   makes likely to be seen soon.
/// - An action in that had to be taken back within two hours on the same load is not tried again on that load for
///   twelve.
/// - While the load does not move but for its noise, one action an hour; out at any time where the noise can exceed
///   the supply.
/// - An action in that had to be taken back within 15 minutes, or within the present hold, makes the next ones wait: 5
///   minutes, then twice as long each time, up to two hours, and half as long for each that lasted.
public struct ScalingGuard: Hashable, Sendable {
    public var minimum: Int
    public var maximum: Int
    public var projectedUtilisation: Double
    /// Whether the noise of the load is looked at; false to show what that is for.
    package var mindsNoise: Bool
    private var level: DemandLevel?
    /// What was learned from the last action in that was taken back.
    private var lesson: Lesson?
    private var lastIn: Lesson?
    private var hold = TimeSpan.zero
    private var lastInAt: Timestamp?
    private var lastChangeAt: Timestamp?

    private static let firstHold = TimeSpan.minutes(5)
    private static let longestHold = TimeSpan.hours(2)
    /// An action in that is taken back within this time was a mistake.
    private static let reversal = TimeSpan.minutes(15)
    /// One that is taken back within this time, the load being what it was, is not tried again on that load.
    private static let repetition = TimeSpan.hours(2)
    /// How long that is remembered.
    private static let remembered = TimeSpan.hours(12)
    /// A load below this part of another is a different one.
    private static let samePart = 0.9
    /// Between two actions on a load that does not move.
    private static let rest = TimeSpan.hours(1)

    /// So many instances, and the level of the load at which they turned out to be needed.
    private struct Lesson: Hashable {
        var count: Int
        var level: Double
        var at: Timestamp
    }

    public init(minimum: Int = 1, maximum: Int = 10_000, projectedUtilisation: Double = 0.95) {
        self.minimum = minimum
        self.maximum = max(minimum, maximum)
        self.projectedUtilisation = projectedUtilisation
        mindsNoise = true
    }

    /// The count that there shall be.
    /// - Parameters:
    ///   - wanted: by the policy.
    ///   - policy: that is asked what it would do next, as it is after it has seen `sample`.
    public mutating func allow(
        _ wanted: Int, _ sample: DemandSample, asking policy: (any DemandPolicy)? = nil
    ) -> Int {
        var level = self.level ?? DemandLevel(sample)
        level.add(sample)
        self.level = level
        let bounded = min(max(wanted, minimum), maximum)
        let count = sample.committed
        let rests = mindsNoise && level.isCalm && lastChangeAt.map { sample.at - $0 < Self.rest } ?? false
        if bounded > count {
            if rests, count >= minimum, level.likelyHighest <= Double(sample.ready) { return count }
            scalesOut(to: bounded, level, at: sample.at)
            return bounded
        }
        guard bounded < count else { return count }
        // What is above the cap, after it was lowered, goes at once.
        guard count <= maximum else { return maximum }
        guard sample.ready >= sample.committed, !rests else { return count }
        if let last = lastChangeAt, sample.at - last < hold { return count }
        let fewest = projected(bounded, level, sample, policy)
        guard fewest < count else { return count }
        if let last = lastInAt, sample.at - last >= max(Self.reversal, hold) {
            hold = hold > Self.firstHold ? TimeSpan(microseconds: hold.microseconds / 2) : .zero
        }
        lastInAt = sample.at
        lastIn = Lesson(count: count, level: level.slow, at: sample.at)
        lastChangeAt = sample.at
        return fewest
    }

    private mutating func scalesOut(to bounded: Int, _ level: DemandLevel, at now: Timestamp) {
        if let last = lastIn, now - last.at < Self.repetition, level.slow < last.level / Self.samePart {
            lesson = Lesson(count: max(bounded, lesson?.count ?? 0), level: last.level, at: now)
        }
        lastIn = nil
        if let last = lastInAt, now - last < max(Self.reversal, hold) {
            hold = min(max(Self.firstHold, hold * 2), Self.longestHold)
            lastInAt = nil
        }
        lastChangeAt = now
    }

    /// As far in as the load, as it will probably be seen, does not bring back at once what goes.
    private mutating func projected(
        _ bounded: Int, _ level: DemandLevel, _ sample: DemandSample, _ policy: (any DemandPolicy)?
    ) -> Int {
        var fewest = max(bounded, wholeInstances(sample.demand / projectedUtilisation))
        guard mindsNoise, policy.map({ !$0.isGuarded }) ?? true else { return fewest }
        if level.isCalm { fewest = max(fewest, wholeInstances(level.likelyHighest)) }
        if let known = lesson {
            if level.slow < known.level * Self.samePart || sample.at - known.at >= Self.remembered {
                lesson = nil
            } else {
                fewest = max(fewest, known.count)
            }
        }
        guard fewest < sample.committed, var asked = policy else { return fewest }
        let next = DemandSample(
            at: sample.at + .minutes(1), demand: level.likelyHighest, ready: fewest, committed: fewest)
        return max(fewest, asked.wish(next).instances)
    }
}

/// What a load is but for its noise, and how large that is.
struct DemandLevel: Hashable, Sendable {
    /// Exponential means over a quarter of an hour and over three minutes.
    private(set) var slow: Double
    private var fast: Double
    /// Standard deviation, from the differences of successive samples: a trend hardly shows in it. Over half an hour.
    private var noise = 0.0
    private var last: DemandSample

    /// The mean distance of two independent normal values in standard deviations, 2 / sqrt(pi).
    private static let meanDistance = 1.128
    /// So many standard deviations above its mean a normal value is once in 160 samples.
    private static let rare = 2.5
    /// Of the noise: the mean of three minutes strays so far once in some thousand samples.
    private static let stray = 1.5

    init(_ sample: DemandSample) {
        slow = sample.demand
        fast = sample.demand
        last = sample
    }

    mutating func add(_ sample: DemandSample) {
        let passed = max(0, (sample.at - last.at).inSeconds)
        slow += passed / (passed + 900) * (sample.demand - slow)
        fast += passed / (passed + 180) * (sample.demand - fast)
        let distance = (sample.demand - last.demand).magnitude / Self.meanDistance
        noise += passed / (passed + 1_800) * (distance - noise)
        last = sample
    }

    /// What is likely to be seen soon.
    var likelyHighest: Double { max(last.demand, fast + Self.rare * noise) }

    /// The load does not move but for its noise.
    var isCalm: Bool { (fast - slow).magnitude <= Self.stray * noise }
}

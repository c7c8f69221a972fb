public import CloudModel

/// How much processor time an instance uses, as Kubernetes' Vertical Pod Autoscaler remembers it (recommender,
/// documented defaults): a histogram whose buckets grow by 5 % and whose samples lose half of their weight in a day.
///
/// Values are millicores. A sample weighs as much as the instance had been given, at least a tenth of a core: what it
/// used when it could have used much says more.
public struct ProcessorHistogram: Hashable, Sendable {
    private var weights = [Double](repeating: 0, count: buckets)
    private var total = 0.0
    /// Weights are those that they had, or will have, at this time.
    private var reference: Timestamp?
    private var firstAt: Timestamp?
    private var lastAt: Timestamp?
    public private(set) var samples = 0

    private static let firstBucket = 10.0
    private static let growth = 1.05
    private static let largest = 1_000_000.0
    private static let buckets = bucket(of: largest) + 1
    private static let halfLife = TimeSpan.hours(24)
    private static let leastWeight = 0.1
    /// What weighs less is nothing.
    private static let nothing = 1e-4
    /// Half-lives after which the weights are brought to a new time, before they overflow.
    private static let mostHalfLives = 100.0

    public init() {}

    /// Ends at 10, 20.5, 31.525, ...: the width grows by 5 %.
    private static func bucket(of value: Double) -> Int {
        guard value >= firstBucket else { return 0 }
        let place = Elementary.logarithm(value * (growth - 1) / firstBucket + 1) / Elementary.logarithm(growth)
        return Int((place + 1e-9).rounded(.down))
    }

    private static func start(of bucket: Int) -> Double {
        firstBucket * (Elementary.exponential(Double(bucket) * Elementary.logarithm(growth)) - 1) / (growth - 1)
    }

    public mutating func add(_ millicores: Double, given: Double, at now: Timestamp) {
        guard millicores.isFinite, millicores >= 0, given.isFinite else { return }
        let since = reference ?? now
        reference = since
        var halfLives = (now - since).inSeconds / Self.halfLife.inSeconds
        if halfLives > Self.mostHalfLives {
            shift(to: now, by: halfLives)
            halfLives = 0
        }
        let weight =
            max(given / 1_000, Self.leastWeight)
            * Elementary.exponential(max(halfLives, -Self.mostHalfLives) * Elementary.logarithm(2))
        weights[min(Self.bucket(of: millicores), Self.buckets - 1)] += weight
        total += weight
        samples += 1
        firstAt = firstAt.map { min($0, now) } ?? now
        lastAt = lastAt.map { max($0, now) } ?? now
    }

    private mutating func shift(to now: Timestamp, by halfLives: Double) {
        let factor = Elementary.exponential(-halfLives * Elementary.logarithm(2))
        for index in weights.indices { weights[index] *= factor }
        total *= factor
        reference = now
    }

    /// The end of the bucket that the part of the weight is reached in, in millicores; 0 where nothing is known.
    public func percentile(_ part: Double) -> Double {
        guard total >= Self.nothing, let last = weights.lastIndex(where: { $0 >= Self.nothing }) else { return 0 }
        var sum = 0.0
        var bucket = 0
        for index in 0...last {
            sum += weights[index]
            bucket = index
            if sum >= part * total * (1 - 1e-12) { break }
        }
        return bucket < Self.buckets - 1 ? Self.start(of: bucket + 1) : Self.start(of: bucket)
    }

    /// Days: the shorter of how long was looked at and of how much a sample each minute would have taken.
    public var confidence: Double {
        guard let firstAt, let lastAt else { return 0 }
        return min((lastAt - firstAt).inSeconds / 86_400, Double(samples) / 1_440)
    }

    /// Nil where nothing is known.
    public var size: RecommendedSize? {
        guard samples > 0 else { return nil }
        func margined(_ part: Double) -> Double { max(percentile(part), 0) * 1.15 }
        let confidence = max(self.confidence, 1e-6)
        // (1 + 0.001 / confidence) to the power of -2, and 1 + 1 / confidence: wide while little is known.
        let doubt = 1 + 0.001 / confidence
        let lower = margined(0.5) / (doubt * doubt)
        let upper = min(margined(0.95) * (1 + 1 / confidence), Self.largest)
        return RecommendedSize(
            target: Self.whole(margined(0.9)), lower: Self.whole(lower), upper: Self.whole(upper))
    }

    private static func whole(_ millicores: Double) -> Int {
        max(RecommendedSize.least, Int((min(millicores, largest) - 1e-9).rounded(.up)))
    }
}

/// What an instance should be given, in millicores. Between `lower` and `upper` nothing has to be done.
public struct RecommendedSize: Hashable, Sendable {
    /// Percentiles 90, 50 and 95, and 15 % more; the bounds are the wider the less is known.
    public var target: Int
    public var lower: Int
    public var upper: Int

    /// The VPA never recommends less.
    public static let least = 25

    public init(target: Int, lower: Int, upper: Int) {
        self.target = target
        self.lower = lower
        self.upper = upper
    }

    /// What to give an instance that has `present`: nothing new while that is within the bounds (the VPA's updater).
    public func change(from present: Int, atMost maximum: Int) -> Int? {
        guard present < lower || present > upper else { return nil }
        let wanted = min(target, maximum)
        return wanted == present ? nil : wanted
    }
}

/// Sets a processor quota by how often it throttles, as the Captain of Autothrottle (Wang et al., NSDI 2024): samples
/// of a tenth of a second, a decision a second.
public struct ThrottlingQuota: Hashable, Sendable {
    /// In millicores.
    public private(set) var quota: Double
    /// The part of the periods that may be throttled.
    public var target: Double
    private var usage = RecentValues(capacity: 50)
    /// Standard deviations of the usage that are left free: learned.
    private var margin = 0.0
    /// The quota before the last decision, where that made it smaller.
    private var before: Double?

    public init(quota: Double, target: Double = 0.1) {
        self.quota = max(1, quota)
        self.target = target
    }

    /// What it has got: changes are carried out by others, or not.
    public mutating func set(_ millicores: Double) { quota = max(1, millicores) }

    /// In millicores, over a tenth of a second.
    public mutating func used(_ millicores: Double) { usage.add(max(0, millicores)) }

    /// - Parameter throttled: the part of the last second's periods that was throttled, 0 to 1.
    public mutating func decide(throttled: Double) {
        let shrunk = before
        before = nil
        margin = max(0, margin + throttled - target)
        if throttled > 3 * target {
            // What was taken just now was too much.
            quota = max(shrunk ?? 0, quota * (1 + throttled - 3 * target))
            return
        }
        guard usage.count > 0 else { return }
        let mean = usage.mean(ofLast: usage.count)
        var variance = 0.0
        for value in usage.values { variance += (value - mean) * (value - mean) }
        let needed =
            usage.maximum(ofLast: usage.count) + margin * (variance / Double(usage.count)).squareRoot()
        guard needed <= 0.9 * quota else { return }
        before = quota
        quota = max(0.5 * quota, needed, 1)
    }
}

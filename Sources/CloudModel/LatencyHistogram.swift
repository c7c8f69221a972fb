/// How long things took: counts in fixed log-linear buckets, sixteen to each doubling. A quantile read from it is at
/// most 1/16 (6.25 %) above the true one, over the whole range; histograms of several sources add up exactly, since all
/// have the same buckets. The layout is that of HdrHistogram (Tene) with four significant bits.
public struct LatencyHistogram: Hashable, Sendable {
    private static let subBucketBits = 4
    private static let subBuckets = 1 << subBucketBits
    /// Durations from 2^30 microseconds (18 minutes) on share the last bucket.
    private static let exponentLimit = 30
    public static let bucketCount = subBuckets + (exponentLimit - subBucketBits) * subBuckets + 1

    /// By bucket; `bucketCount` of them.
    public private(set) var counts: [UInt64]
    public private(set) var sumMicroseconds: UInt64

    public init() {
        counts = Array(repeating: 0, count: Self.bucketCount)
        sumMicroseconds = 0
    }

    /// From counts kept elsewhere in the same layout.
    public init(counts: [UInt64], sumMicroseconds: UInt64) {
        precondition(counts.count == Self.bucketCount, "a histogram has \(Self.bucketCount) buckets")
        self.counts = counts
        self.sumMicroseconds = sumMicroseconds
    }

    /// The bucket of a duration; one below zero counts as zero.
    @inlinable
    public static func bucket(ofMicroseconds duration: Int64) -> Int {
        bucket(of: UInt64(max(0, duration)))
    }

    @usableFromInline
    static func bucket(of duration: UInt64) -> Int {
        guard duration >= UInt64(subBuckets) else { return Int(duration) }
        let exponent = 63 - duration.leadingZeroBitCount
        guard exponent < exponentLimit else { return bucketCount - 1 }
        let shift = exponent - subBucketBits
        return (shift + 1) * subBuckets + Int(duration >> UInt64(shift)) - subBuckets
    }

    /// Where a bucket ends: all in it took less. Nil for the last one, which has no end.
    public static func endMicroseconds(ofBucket bucket: Int) -> Int64? {
        guard bucket < bucketCount - 1 else { return nil }
        guard bucket >= subBuckets else { return Int64(bucket) + 1 }
        let shift = bucket / subBuckets - 1
        return Int64(subBuckets + bucket % subBuckets + 1) << Int64(shift)
    }

    public var count: UInt64 { counts.reduce(0, &+) }

    public mutating func add(microseconds: Int64) {
        counts[Self.bucket(ofMicroseconds: microseconds)] &+= 1
        sumMicroseconds &+= UInt64(max(0, microseconds))
    }

    public mutating func merge(_ other: LatencyHistogram) {
        for bucket in counts.indices { counts[bucket] &+= other.counts[bucket] }
        sumMicroseconds &+= other.sumMicroseconds
    }

    /// What has come since an earlier reading of the same counts; nil where this one is not later.
    public func since(_ earlier: LatencyHistogram) -> LatencyHistogram? {
        var counts = counts
        for bucket in counts.indices {
            guard counts[bucket] >= earlier.counts[bucket] else { return nil }
            counts[bucket] -= earlier.counts[bucket]
        }
        return LatencyHistogram(counts: counts, sumMicroseconds: sumMicroseconds &- earlier.sumMicroseconds)
    }

    /// How many took less than so many microseconds, exact where a bucket ends there (every power of two does).
    public func count(belowMicroseconds limit: Int64) -> UInt64 {
        var total: UInt64 = 0
        for (bucket, count) in counts.enumerated() {
            guard let end = Self.endMicroseconds(ofBucket: bucket), end <= limit else { break }
            total &+= count
        }
        return total
    }

    /// The end of the bucket in which the quantile lies (nearest rank), in microseconds; where it lies in the last one,
    /// that one's beginning. Nil where nothing was counted.
    public func quantileMicroseconds(_ quantile: Double) -> Int64? {
        LatencyQuantile.of(
            counts.enumerated().map { (Self.endMicroseconds(ofBucket: $0.offset) ?? 1 << 30, $0.element) }, quantile)
    }
}

/// Quantiles of counts in buckets.
public enum LatencyQuantile {
    /// The end of the bucket that the nearest rank falls into; nil where all are empty.
    ///
    /// - Parameter buckets: ends in ascending order, and how many are in each.
    public static func of(_ buckets: [(end: Int64, count: UInt64)], _ quantile: Double) -> Int64? {
        let total = buckets.reduce(UInt64(0)) { $0 &+ $1.count }
        guard total > 0 else { return nil }
        let rank = max(1, UInt64((min(max(quantile, 0), 1) * Double(total)).rounded(.up)))
        var passed: UInt64 = 0
        for bucket in buckets {
            passed &+= bucket.count
            if passed >= rank { return bucket.end }
        }
        return buckets.last?.end
    }
}

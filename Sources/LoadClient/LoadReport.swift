/// How long requests took, in buckets of at most 3 % width, from 1 microsecond to days.
///
/// Log-linear like HdrHistogram: 32 buckets for each power of two.
public struct LatencyHistogram: Hashable, Sendable, Codable {
    private static let subBuckets = 32
    private var counts = [UInt64](repeating: 0, count: 38 * subBuckets)
    public private(set) var count: UInt64 = 0
    public private(set) var maximumMicroseconds: Int64 = 0

    public init() {}

    public mutating func record(microseconds: Int64) {
        let value = max(0, microseconds)
        counts[min(Self.bucket(of: value), counts.count - 1)] += 1
        count += 1
        maximumMicroseconds = max(maximumMicroseconds, value)
    }

    public mutating func add(_ other: LatencyHistogram) {
        for index in counts.indices { counts[index] += other.counts[index] }
        count += other.count
        maximumMicroseconds = max(maximumMicroseconds, other.maximumMicroseconds)
    }

    /// At least this part (0 to 1) of the requests took no longer; 0 where there were none. The upper end of the
    /// bucket, so never an understatement.
    public func quantile(_ part: Double) -> Int64 {
        guard count > 0 else { return 0 }
        let wanted = max(1, UInt64((Double(count) * min(max(part, 0), 1)).rounded(.up)))
        var seen: UInt64 = 0
        for (index, value) in counts.enumerated() {
            seen += value
            if seen >= wanted { return min(Self.upperEnd(of: index), maximumMicroseconds) }
        }
        return maximumMicroseconds
    }

    private static func bucket(of value: Int64) -> Int {
        guard value >= subBuckets else { return Int(value) }
        let exponent = 63 - value.leadingZeroBitCount - 5
        return (exponent + 1) * subBuckets + Int(value >> Int64(exponent)) - subBuckets
    }

    private static func upperEnd(of bucket: Int) -> Int64 {
        guard bucket >= subBuckets else { return Int64(bucket) }
        let exponent = Int64(bucket / subBuckets - 1)
        return (Int64(bucket % subBuckets + subBuckets + 1) << exponent) - 1
    }
}

/// What came of a load. Every scheduled request is counted once: succeeded, unexpected, lost or unsent.
public struct LoadReport: Hashable, Sendable, Codable {
    public var scheduled = 0
    /// A whole response came, with an expected status.
    public var succeeded = 0
    /// A whole response came, with another status.
    public var unexpected = 0
    /// Sent at least in part, and no whole response came.
    public var lost = 0
    /// Never sent: no connection could be made, or none was free in time.
    public var unsent = 0
    /// Of those that were sent: so long after their time that the schedule was not kept (all connections were busy).
    public var late = 0
    /// Responses whose request id had been seen before.
    public var duplicateIDs = 0
    /// Whole responses by status.
    public var statuses: [Int: Int] = [:]
    /// Why there was no whole response, by `LoadClientError.Code`.
    public var failures: [String: Int] = [:]
    /// The first failures of any kind, for people; at most ten.
    public var examples: [String] = []
    /// From a request's scheduled time to the end of its response, whatever its status: time in which it could not be
    /// sent is the service's fault as well (coordinated omission).
    public var latency = LatencyHistogram()
    /// The longest time without a success, from the begin of the load to its end.
    public var longestGapMicroseconds: Int64 = 0
    public var elapsedMicroseconds: Int64 = 0

    public init() {}

    /// All that did not succeed.
    public var failed: Int { unexpected + lost + unsent }
    public var successesPerSecond: Double {
        elapsedMicroseconds > 0 ? Double(succeeded) * 1_000_000 / Double(elapsedMicroseconds) : 0
    }
}

extension LoadReport: CustomStringConvertible {
    public var description: String {
        let quantiles = [(0.5, "50 %"), (0.99, "99 %"), (1.0, "max")].map { part, name in
            "\(name) \(latency.quantile(part)) us"
        }
        return "\(succeeded) of \(scheduled) succeeded, \(unexpected) unexpected, \(lost) lost, \(unsent) unsent, "
            + "\(late) late; latency \(quantiles.joined(separator: ", ")); "
            + "longest gap \(longestGapMicroseconds / 1_000) ms"
            + (examples.isEmpty ? "" : "; first failures: \(examples.joined(separator: "; "))")
    }
}

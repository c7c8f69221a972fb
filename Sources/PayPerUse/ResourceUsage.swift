public import CloudModel

/// The resource agent's sums, as whole numbers without loss: a resource times microseconds. 128 bits hold a million
/// instances of a terabyte each for four million years; beyond that a sum stays at the largest number.
public struct ResourceUsage: Codable, Hashable, Sendable {
    /// Who pays; nil for the operator's own services.
    public var owner: ConsumerID?
    /// Nil where the sum is over services.
    public var service: ServiceID?
    /// Nil where the sum is over instances.
    public var instance: InstanceID?
    /// Nil where the sum is over all time.
    public var periodStart: Timestamp?
    /// Time that instances ran.
    public var runningMicroseconds: Int128
    /// Time that instances were suspended.
    public var suspendedMicroseconds: Int128
    /// Processor held while running, in thousandths of a processor; an instance without a limit counts none.
    public var millicoreMicroseconds: Int128
    /// Memory held while running or suspended, in bytes; an instance without a limit counts none.
    public var memoryByteMicroseconds: Int128
    /// Part of the sum rests on a stop that was concluded, and may be corrected.
    public var isInferred: Bool

    public init(
        owner: ConsumerID?, service: ServiceID?, instance: InstanceID?, periodStart: Timestamp?,
        runningMicroseconds: Int128 = 0, suspendedMicroseconds: Int128 = 0, millicoreMicroseconds: Int128 = 0,
        memoryByteMicroseconds: Int128 = 0, isInferred: Bool = false
    ) {
        self.owner = owner
        self.service = service
        self.instance = instance
        self.periodStart = periodStart
        self.runningMicroseconds = runningMicroseconds
        self.suspendedMicroseconds = suspendedMicroseconds
        self.millicoreMicroseconds = millicoreMicroseconds
        self.memoryByteMicroseconds = memoryByteMicroseconds
        self.isInferred = isInferred
    }

    fileprivate mutating func add(_ interval: UsageInterval, from start: Timestamp, until end: Timestamp) {
        let length = Int128(end.microseconds) - Int128(start.microseconds)
        if interval.isSuspended {
            suspendedMicroseconds += length
        } else {
            runningMicroseconds += length
            let millicores = Int128(interval.resources.cpuMillicores ?? 0)
            millicoreMicroseconds = millicoreMicroseconds.addingSaturated(length * millicores)
        }
        let bytes = Int128(interval.resources.memory?.bytes ?? 0)
        memoryByteMicroseconds = memoryByteMicroseconds.addingSaturated(length * bytes)
        // A lost stop makes doubtful only what lies where the stop may have been: the interval that it ends.
        isInferred = isInferred || interval.ending == .inferred
    }
}

/// What sums are made over, besides periods.
public enum UsageGrouping: String, Codable, Hashable, Sendable, CaseIterable {
    /// By owner, service and instance.
    case instance
    /// By owner and service.
    case service
    /// By owner.
    case owner
}

/// A report that would be longer than anyone can read.
public struct TooManyPeriods: Error, Hashable, Sendable, CustomStringConvertible {
    public var periods: Int128
    public var limit: Int

    public var description: String {
        "the report has \(periods) rows of one period and one group, more than \(limit); "
            + "ask for longer periods or a shorter time"
    }
}

extension ResourceUsage {
    /// Rows of one report at most.
    public static let maximumRows = 1_000_000

    /// Sums intervals over `from` (inclusive) to `until` (exclusive), cut exactly at period borders: the sums over any
    /// division of the time add up to the sum over the whole. Periods are aligned to the epoch.
    ///
    /// The rows are in order of owner (the operator's own first), service, instance and period.
    public static func sums(
        of intervals: [UsageInterval], from: Timestamp? = nil, until: Timestamp? = nil, period: TimeSpan? = nil,
        by grouping: UsageGrouping = .instance
    ) throws(TooManyPeriods) -> [ResourceUsage] {
        let clipped = intervals.compactMap { interval -> Part? in
            let start = from.map { max($0, interval.start) } ?? interval.start
            let end = until.map { min($0, interval.end) } ?? interval.end
            return start < end ? Part(interval: interval, start: start, end: end) : nil
        }
        if let period {
            guard period > .zero else { return [] }
            let rows = clipped.reduce(Int128(0)) { $0 + $1.count(of: period) }
            guard rows <= Int128(maximumRows) else { throw TooManyPeriods(periods: rows, limit: maximumRows) }
        }
        var sums: [GroupKey: ResourceUsage] = [:]
        for part in clipped {
            part.forEachPeriod(of: period) { periodStart, start, end in
                let key = GroupKey(part.interval, periodStart: periodStart, grouping: grouping)
                sums[key, default: key.empty].add(part.interval, from: start, until: end)
            }
        }
        return sums.keys.sorted().compactMap { sums[$0] }
    }

    private struct Part {
        var interval: UsageInterval
        var start: Timestamp
        var end: Timestamp

        func count(of period: TimeSpan) -> Int128 {
            let first = floorDivision(Int128(start.microseconds), Int128(period.microseconds))
            let last = floorDivision(Int128(end.microseconds) - 1, Int128(period.microseconds))
            return last - first + 1
        }

        func forEachPeriod(of period: TimeSpan?, _ body: (Timestamp?, Timestamp, Timestamp) -> Void) {
            guard let period else { return body(nil, start, end) }
            let length = Int128(period.microseconds)
            var index = floorDivision(Int128(start.microseconds), length)
            var begin = start
            while begin < end {
                let border = min(Int128(end.microseconds), (index + 1) * length)
                let stop = Timestamp(microseconds: Int64(border))
                body(Timestamp(microseconds: Int64(max(Int128(Int64.min), index * length))), begin, stop)
                begin = stop
                index += 1
            }
        }
    }

    private struct GroupKey: Hashable, Comparable {
        var owner: ConsumerID?
        var service: ServiceID?
        var instance: InstanceID?
        var periodStart: Timestamp?

        init(_ interval: UsageInterval, periodStart: Timestamp?, grouping: UsageGrouping) {
            owner = interval.owner
            service = grouping == .owner ? nil : interval.service
            instance = grouping == .instance ? interval.instance : nil
            self.periodStart = periodStart
        }

        var empty: ResourceUsage {
            ResourceUsage(owner: owner, service: service, instance: instance, periodStart: periodStart)
        }

        static func < (left: GroupKey, right: GroupKey) -> Bool { left.order < right.order }

        private var order: (String, String, String, Int64) {
            // A name is never empty; the operator's own comes first.
            (
                owner?.rawValue ?? "", service?.rawValue ?? "", instance?.rawValue ?? "",
                periodStart?.microseconds ?? 0
            )
        }
    }
}

extension Int128 {
    fileprivate func addingSaturated(_ other: Int128) -> Int128 {
        let (sum, overflow) = addingReportingOverflow(other)
        return overflow ? .max : sum
    }
}

/// Rounds towards minus infinity, so that periods before 1970 begin before their times too.
func floorDivision(_ dividend: Int128, _ divisor: Int128) -> Int128 {
    let (quotient, remainder) = dividend.quotientAndRemainder(dividingBy: divisor)
    return remainder < 0 ? quotient - 1 : quotient
}

extension ResourceUsage {
    /// An amount times microseconds as amount times seconds, exact, as decimal text: `12.5`, `0.000001`, `3`.
    public static func decimalSeconds(_ amountMicroseconds: Int128) -> String {
        let magnitude = amountMicroseconds.magnitude
        let whole = String(magnitude / 1_000_000)
        var fraction = String(magnitude % 1_000_000)
        fraction = String(repeating: "0", count: 6 - fraction.utf8.count) + fraction
        while fraction.hasSuffix("0") { fraction.removeLast() }
        let sign = amountMicroseconds < 0 ? "-" : ""
        return sign + whole + (fraction.isEmpty ? "" : "." + fraction)
    }
}

public import CloudModel

/// A stretch of time: `start` inclusive, `end` exclusive.
public struct BillingWindow: Codable, Hashable, Comparable, Sendable {
    public var start: Timestamp
    public var end: Timestamp

    public init(start: Timestamp, end: Timestamp) {
        self.start = start
        self.end = end
    }

    public var microseconds: Int128 { Int128(end.microseconds) - Int128(start.microseconds) }

    /// Nil where the two have nothing in common.
    public func intersection(_ from: Timestamp?, _ until: Timestamp?) -> BillingWindow? {
        let begin = from.map { max($0, start) } ?? start
        let stop = until.map { min($0, end) } ?? end
        return begin < stop ? BillingWindow(start: begin, end: stop) : nil
    }

    public static func < (left: Self, right: Self) -> Bool { (left.start, left.end) < (right.start, right.end) }
}

/// How far a zone's clocks are ahead of UTC, as data: the time zone database is read outside.
public struct ZoneOffsets: Hashable, Sendable {
    public struct Change: Hashable, Sendable {
        public var at: Timestamp
        /// From then on; negative west of Greenwich.
        public var offsetSeconds: Int64

        public init(at: Timestamp, offsetSeconds: Int64) {
            self.at = at
            self.offsetSeconds = offsetSeconds
        }
    }

    public var name: String
    /// Before the first change.
    public var firstOffsetSeconds: Int64
    public private(set) var changes: [Change]

    public init(name: String, firstOffsetSeconds: Int64, changes: [Change] = []) {
        self.name = name
        self.firstOffsetSeconds = firstOffsetSeconds
        self.changes = changes.sorted { $0.at < $1.at }
    }

    public static let utc = ZoneOffsets(name: "UTC", firstOffsetSeconds: 0)

    public func offset(at time: Timestamp) -> Int64 {
        changes.last { $0.at <= time }?.offsetSeconds ?? firstOffsetSeconds
    }

    /// The first moment at which the zone's clocks show `localMicroseconds` (counted as if in UTC) or later. A time
    /// that clocks skip is the moment of the change; of one that they show twice it is the first.
    public func instant(ofLocal localMicroseconds: Int64) -> Timestamp {
        var begin = Timestamp(microseconds: .min)
        var offset = firstOffsetSeconds
        for change in changes {
            let candidate = max(begin, Timestamp(microseconds: localMicroseconds) - .seconds(offset))
            if candidate < change.at { return candidate }
            begin = change.at
            offset = change.offsetSeconds
        }
        return max(begin, Timestamp(microseconds: localMicroseconds) - .seconds(offset))
    }
}

/// A calendar month, by which bills are made.
public struct BillingMonth: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    public let year: Int
    public let month: Int

    /// Nil where there is no such month; the years 1970 to 9999 are known.
    public init?(year: Int, month: Int) {
        guard (1970...9_999).contains(year), (1...12).contains(month) else { return nil }
        self.year = year
        self.month = month
    }

    /// Reads `2026-11`.
    public init?(_ text: String) {
        let parts = text.split(separator: "-", omittingEmptySubsequences: false)
        guard parts.count == 2, parts[0].utf8.count == 4, parts[1].utf8.count == 2,
            parts.allSatisfy({ $0.utf8.allSatisfy { (0x30...0x39).contains($0) } }), let year = Int(parts[0]),
            let month = Int(parts[1])
        else { return nil }
        self.init(year: year, month: month)
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let month = BillingMonth(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "a month is written 2026-11")
        }
        self = month
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    /// The month that the zone's calendar shows at a time; times before 1970 are taken for its first month.
    public init(containing time: Timestamp, in zone: ZoneOffsets) {
        let local = time + .seconds(zone.offset(at: time))
        let days = floorDivision(Int128(local.microseconds), 86_400_000_000)
        let date = Timestamp.civilDate(daysSinceEpoch: Int64(days))
        year = min(max(1970, Int(date.year)), 9_999)
        month = Int(date.month)
    }

    public var description: String {
        String(year) + "-" + (month < 10 ? "0" : "") + String(month)
    }

    private var firstLocalMicrosecond: Int64 {
        Timestamp.daysSinceEpoch(year: Int64(year), month: Int64(month), day: 1) * 86_400_000_000
    }

    /// From the first moment of the month in the zone to the first of the next: months follow each other without a gap
    /// and without an overlap, whatever the clocks do.
    public func window(in zone: ZoneOffsets) -> BillingWindow {
        let next = Timestamp.daysSinceEpoch(
            year: Int64(month == 12 ? year + 1 : year), month: Int64(month == 12 ? 1 : month + 1), day: 1)
        return BillingWindow(
            start: zone.instant(ofLocal: firstLocalMicrosecond), end: zone.instant(ofLocal: next * 86_400_000_000))
    }

    public static func < (left: Self, right: Self) -> Bool { (left.year, left.month) < (right.year, right.month) }
}

extension BillingMonth {
    /// The month after it; the last one that is known stays itself.
    public var next: BillingMonth {
        BillingMonth(year: month == 12 ? year + 1 : year, month: month == 12 ? 1 : month + 1) ?? self
    }
}

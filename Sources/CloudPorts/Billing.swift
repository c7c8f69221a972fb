public import CloudModel

/// A closed bill, for good. The log database does not look inside its content.
public struct StoredBill: Codable, Hashable, Sendable {
    /// Unique; so is the consumer's month.
    public var id: String
    public var consumer: ConsumerID
    /// As `2026-11`.
    public var month: String
    public var periodStart: Timestamp
    /// Exclusive.
    public var periodEnd: Timestamp
    public var total: Money
    public var closedAt: Timestamp
    /// The whole bill.
    public var json: String

    public init(
        id: String, consumer: ConsumerID, month: String, periodStart: Timestamp, periodEnd: Timestamp, total: Money,
        closedAt: Timestamp, json: String
    ) {
        self.id = id
        self.consumer = consumer
        self.month = month
        self.periodStart = periodStart
        self.periodEnd = periodEnd
        self.total = total
        self.closedAt = closedAt
        self.json = json
    }
}

/// Which closed bills are asked for.
public struct BillQuery: Hashable, Sendable {
    public var consumer: ConsumerID?
    /// As `StoredBill.month` has it.
    public var month: String?
    /// Only those that come after the bill of this id in the order that is asked for.
    public var after: String?
    /// The order turned around: usually the newest month comes first, and within a month they are by consumer.
    public var oldestFirst = false
    public var limit: Int = 100

    public init() {}
}

/// Records that a source has numbered and that are not in the books.
public struct RecordGap: Codable, Hashable, Sendable {
    public var source: String
    /// How many are missing still: what came later is not counted.
    public var missing: Int64
    /// When they were written, as far as the writer knows; else when it was noticed.
    public var since: Timestamp
    public var until: Timestamp

    public init(source: String, missing: Int64, since: Timestamp, until: Timestamp) {
        self.source = source
        self.missing = missing
        self.since = since
        self.until = until
    }
}

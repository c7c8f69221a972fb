import CloudModel
import CloudPorts
import GRDB
import LogRecords

/// Reads the usage records of one source in the order of their numbers, those that came late left out: what is sealed,
/// record by record, at the rate at which requests are served.
struct UsageScan {
    private let source: String
    /// Of this reading alone: a name that was altered in the database must be found.
    private var texts = NameTexts()

    init(source: String) { self.source = source }

    mutating func records(
        after sequence: UInt64, limit: Int, in database: Database
    ) throws -> [StoredUsageRecord] {
        let id = try Int64.fetchOne(
            database, sql: "SELECT id FROM source WHERE name = ?", arguments: [SQLText.encoded(source)])
        guard let id else { return [] }
        let statement = try RawStatement(
            """
            SELECT sequence, request_high, request_low, consumer, service, instance, outcome, status, bytes_in,
                bytes_out, received_at, forwarded_at, completed_at, stored_at
            FROM usage_record WHERE source = ? AND sequence > ?
            AND NOT EXISTS (
                SELECT 1 FROM usage_late
                WHERE usage_late.source = usage_record.source AND usage_late.sequence = usage_record.sequence)
            ORDER BY sequence LIMIT ?
            """, in: database)
        defer { statement.reset() }
        try statement.bind(1, id)
        try statement.bind(2, Int64(clamping: sequence))
        try statement.bind(3, Int64(limit))
        var records: [StoredUsageRecord] = []
        records.reserveCapacity(min(limit, 2_000))
        while try statement.next() { records.append(try record(statement, in: database)) }
        return records
    }

    private mutating func record(_ row: RawStatement, in database: Database) throws -> StoredUsageRecord {
        let outcome = row.integer(6)
        guard let outcome = UInt8(exactly: outcome).flatMap(RequestOutcome.init(rawValue:)) else {
            throw LogDatabaseError(.corrupted, "a usage record's outcome is \(outcome)")
        }
        let instance = try row.optionalInteger(5).map { InstanceID(try texts.text(of: $0, in: database)) }
        let record = UsageRecord(
            requestID: RequestID(high: UInt64(bitPattern: row.integer(1)), low: UInt64(bitPattern: row.integer(2))),
            consumer: ConsumerID(try texts.text(of: row.integer(3), in: database)),
            service: ServiceID(try texts.text(of: row.integer(4), in: database)), instance: instance,
            outcome: outcome, status: UInt16(clamping: row.integer(7)), bytesIn: UInt64(clamping: row.integer(8)),
            bytesOut: UInt64(clamping: row.integer(9)), receivedAt: Timestamp(microseconds: row.integer(10)),
            forwardedAt: row.optionalInteger(11).map { Timestamp(microseconds: $0) },
            completedAt: Timestamp(microseconds: row.integer(12)))
        return StoredUsageRecord(
            record: record, source: source, sequence: UInt64(clamping: row.integer(0)),
            storedAt: Timestamp(microseconds: row.integer(13)))
    }
}

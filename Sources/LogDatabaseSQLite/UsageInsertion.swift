import CloudModel
import GRDB
import LogRecords

/// Stores usage records, all of a batch or one after another.
struct UsageInsertion {
    private let statement: RawStatement
    private let wholeBatch: RawStatement

    init(_ database: Database, source: Int64, storedAt: Timestamp) throws {
        statement = try RawStatement(
            """
            INSERT INTO usage_record (source, stored_at, sequence, request_high, request_low, consumer, service,
                instance, outcome, status, bytes_in, bytes_out, received_at, forwarded_at, completed_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
            """, in: database)
        try statement.bind(1, source)
        try statement.bind(2, storedAt.microseconds)
        wholeBatch = try RawStatement(
            """
            INSERT INTO usage_record (source, stored_at, sequence, request_high, request_low, consumer, service,
                instance, outcome, status, bytes_in, bytes_out, received_at, forwarded_at, completed_at)
            SELECT ?1, ?2, sequence, request_high, request_low, consumer, service,
                instance, outcome, status, bytes_in, bytes_out, received_at, forwarded_at, completed_at
            FROM \(OfferedUsage.name)(?3)
            """, in: database)
        try wholeBatch.bind(1, source)
        try wholeBatch.bind(2, storedAt.microseconds)
    }

    /// All of the rows; or none, and false, where one of them has a number or a request that is there already.
    func runAll(_ rows: [UsageRow]) throws -> Bool {
        try rows.withUnsafeBufferPointer { rows in
            guard let base = rows.baseAddress else { return true }
            var offered = OfferedUsage.Rows(base: base, count: rows.count)
            return try withUnsafeMutablePointer(to: &offered) { try wholeBatch.runUnlessTaken(over: $0, at: 3) }
        }
    }

    func run(_ row: borrowing UsageRow) throws {
        try statement.bind(3, row.sequence)
        try statement.bind(4, row.requestHigh)
        try statement.bind(5, row.requestLow)
        try statement.bind(6, row.consumer)
        try statement.bind(7, row.service)
        try statement.bind(8, row.instance)
        try statement.bind(9, Int64(row.outcome.rawValue))
        try statement.bind(10, Int64(row.status))
        try statement.bind(11, row.bytesIn)
        try statement.bind(12, row.bytesOut)
        try statement.bind(13, row.receivedAt)
        try statement.bind(14, row.forwardedAt)
        try statement.bind(15, row.completedAt)
        try statement.run()
    }
}

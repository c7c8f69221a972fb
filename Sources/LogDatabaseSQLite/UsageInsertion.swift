import CloudModel
import GRDB
import LogRecords

/// Stores usage records, one after another.
struct UsageInsertion {
    private let statement: RawStatement

    init(_ database: Database, source: Int64, storedAt: Timestamp) throws {
        statement = try RawStatement(
            """
            INSERT INTO usage_record (source, stored_at, sequence, request_high, request_low, consumer, service,
                instance, outcome, status, bytes_in, bytes_out, received_at, forwarded_at, completed_at)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
            """, in: database)
        try statement.bind(1, source)
        try statement.bind(2, storedAt.microseconds)
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

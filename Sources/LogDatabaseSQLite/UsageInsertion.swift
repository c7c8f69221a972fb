import CloudModel
import GRDB

/// A usage record as numbers, its names replaced by their ids. Counts beyond what a column holds are cut to that.
struct UsageRow {
    var sequence: Int64
    var requestHigh: Int64
    var requestLow: Int64
    var consumer: Int64
    var service: Int64
    var instance: Int64?
    var outcome: RequestOutcome
    var status: UInt16
    var bytesIn: Int64
    var bytesOut: Int64
    var receivedAt: Int64
    var forwardedAt: Int64?
    var completedAt: Int64
    var busyMicroseconds: Int64

    init(
        _ record: borrowing UsageRecord, sequence: UInt64, consumer: Int64, service: Int64, instance: Int64?
    ) {
        self.sequence = Int64(sequence)
        requestHigh = Int64(bitPattern: record.requestID.high)
        requestLow = Int64(bitPattern: record.requestID.low)
        self.consumer = consumer
        self.service = service
        self.instance = instance
        outcome = record.outcome
        status = record.status
        bytesIn = Int64(clamping: record.bytesIn)
        bytesOut = Int64(clamping: record.bytesOut)
        receivedAt = record.receivedAt.microseconds
        forwardedAt = record.forwardedAt?.microseconds
        completedAt = record.completedAt.microseconds
        busyMicroseconds = record.busyTime.microseconds
    }
}

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

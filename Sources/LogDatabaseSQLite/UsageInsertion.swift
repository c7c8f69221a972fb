import CloudModel
import GRDB
import GRDBSQLite

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

/// The one statement that runs a hundred thousand times a second: its values are bound through SQLite's own interface,
/// because GRDB's makes an array of boxed values for each run.
struct UsageInsertion {
    private let statement: Statement
    private let handle: OpaquePointer

    init(_ database: Database, source: Int64, storedAt: Timestamp) throws {
        statement = try database.cachedStatement(
            sql: """
                INSERT INTO usage_record (source, stored_at, sequence, request_high, request_low, consumer, service,
                    instance, outcome, status, bytes_in, bytes_out, received_at, forwarded_at, completed_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """)
        handle = statement.sqliteStatement
        sqlite3_reset(handle)
        try check(sqlite3_bind_int64(handle, 1, source))
        try check(sqlite3_bind_int64(handle, 2, storedAt.microseconds))
    }

    func run(_ row: borrowing UsageRow) throws {
        defer { sqlite3_reset(handle) }
        try bind(3, row.sequence)
        try bind(4, row.requestHigh)
        try bind(5, row.requestLow)
        try bind(6, row.consumer)
        try bind(7, row.service)
        try bind(8, row.instance)
        try bind(9, Int64(row.outcome.rawValue))
        try bind(10, Int64(row.status))
        try bind(11, row.bytesIn)
        try bind(12, row.bytesOut)
        try bind(13, row.receivedAt)
        try bind(14, row.forwardedAt)
        try bind(15, row.completedAt)
        let code = sqlite3_step(handle)
        guard code == SQLITE_DONE else { throw failure(code) }
    }

    private func bind(_ index: Int32, _ value: Int64) throws { try check(sqlite3_bind_int64(handle, index, value)) }

    private func bind(_ index: Int32, _ value: Int64?) throws {
        guard let value else { return try check(sqlite3_bind_null(handle, index)) }
        try check(sqlite3_bind_int64(handle, index, value))
    }

    private func check(_ code: Int32) throws {
        guard code == SQLITE_OK else { throw failure(code) }
    }

    private func failure(_ code: Int32) -> DatabaseError {
        let message = sqlite3_errmsg(sqlite3_db_handle(handle)).map { String(cString: $0) }
        return DatabaseError(resultCode: ResultCode(rawValue: code), message: message, sql: statement.sql)
    }
}

import GRDB
import GRDBSQLite

/// A prepared statement through SQLite's own interface, for what runs a hundred thousand times a second: GRDB makes an
/// array of boxed values for each run, and looks each column of a row up by its name.
struct RawStatement {
    private let statement: Statement
    private let handle: OpaquePointer

    /// From the connection's cache. Values bound by a former use stay until they are bound anew.
    init(_ sql: String, in database: Database) throws {
        statement = try database.cachedStatement(sql: sql)
        handle = statement.sqliteStatement
        sqlite3_reset(handle)
    }

    // MARK: Parameters, from 1 on

    func bind(_ index: Int32, _ value: Int64) throws { try check(sqlite3_bind_int64(handle, index, value)) }

    func bind(_ index: Int32, _ value: Int64?) throws {
        guard let value else { return try check(sqlite3_bind_null(handle, index)) }
        try check(sqlite3_bind_int64(handle, index, value))
    }

    // MARK: Running

    /// Runs a statement that gives no rows.
    func run() throws {
        defer { reset() }
        let code = sqlite3_step(handle)
        guard code == SQLITE_DONE else { throw failure(code) }
    }

    /// Runs a statement over offered rows, its parameter `index`. False where a key is taken already: the statement has
    /// changed nothing then.
    func runUnlessTaken(over rows: UnsafeMutablePointer<OfferedUsage.Rows>, at index: Int32) throws -> Bool {
        try check(OfferedUsage.bind(rows, to: handle, at: index))
        defer {
            reset()
            // The rows are gone when this returns.
            _ = OfferedUsage.bind(nil, to: handle, at: index)
        }
        let code = ResultCode(rawValue: sqlite3_step(handle))
        switch code {
        case .SQLITE_DONE: return true
        case .SQLITE_CONSTRAINT_PRIMARYKEY, .SQLITE_CONSTRAINT_UNIQUE: return false
        default: throw failure(code.rawValue)
        }
    }

    /// Goes to the next row; false after the last. `reset` ends the reading.
    func next() throws -> Bool {
        switch sqlite3_step(handle) {
        case SQLITE_ROW: true
        case SQLITE_DONE: false
        case let code: throw failure(code)
        }
    }

    func reset() { sqlite3_reset(handle) }

    // MARK: Columns of the present row, from 0 on

    func integer(_ column: Int32) -> Int64 { sqlite3_column_int64(handle, column) }

    func optionalInteger(_ column: Int32) -> Int64? {
        sqlite3_column_type(handle, column) == SQLITE_NULL ? nil : sqlite3_column_int64(handle, column)
    }

    private func check(_ code: Int32) throws {
        guard code == SQLITE_OK else { throw failure(code) }
    }

    private func failure(_ code: Int32) -> DatabaseError {
        let message = sqlite3_errmsg(sqlite3_db_handle(handle)).map { String(cString: $0) }
        return DatabaseError(resultCode: ResultCode(rawValue: code), message: message, sql: statement.sql)
    }
}

import GRDB
import GRDBSQLite
import LogRecords

/// Usage records in memory as a table that SQL can select from: a whole batch goes into the books with one statement.
/// Run once for each record, a statement's beginning and end cost more than what it stores.
///
/// A table-valued function (https://www.sqlite.org/vtab.html#tabfunc2) whose argument is a pointer, which only this
/// process can bind (https://www.sqlite.org/bindptr.html).
enum OfferedUsage {
    static let name = "offered_usage"

    /// What the pointer points to, for as long as the statement runs.
    struct Rows {
        var base: UnsafePointer<UsageRow>
        var count: Int
    }

    /// Makes the function known to a connection.
    static func register(in database: Database) throws {
        let code = sqlite3_create_module(database.sqliteConnection, name, module, nil)
        guard code == SQLITE_OK else { throw DatabaseError(resultCode: ResultCode(rawValue: code)) }
    }

    static func bind(_ rows: UnsafeMutablePointer<Rows>?, to statement: OpaquePointer, at index: Int32) -> Int32 {
        sqlite3_bind_pointer(statement, index, rows, pointerType, nil)
    }

    // MARK: The module

    private static let columns =
        "sequence, request_high, request_low, consumer, service, instance, outcome, status, bytes_in, bytes_out, "
        + "received_at, forwarded_at, completed_at"
    /// The number of the hidden column, which is the function's argument.
    private static let argumentColumn: Int32 = 13

    /// Names what is pointed to; SQLite keeps the pointer to it.
    nonisolated(unsafe) private static let pointerType: UnsafePointer<CChar> = {
        let text: StaticString = "cloudwright usage rows"
        return UnsafeRawPointer(text.utf8Start).assumingMemoryBound(to: CChar.self)
    }()

    /// Lives as long as the process. Without `xCreate`, the table is there and cannot be made.
    nonisolated(unsafe) private static let module: UnsafeMutablePointer<sqlite3_module> = {
        let module = UnsafeMutablePointer<sqlite3_module>.allocate(capacity: 1)
        var methods = sqlite3_module()
        methods.xConnect = { connection, _, _, _, table, _ in OfferedUsage.connect(connection, table) }
        methods.xDisconnect = { table in
            table?.deallocate()
            return SQLITE_OK
        }
        methods.xBestIndex = { _, plan in OfferedUsage.plan(plan) }
        methods.xOpen = { _, cursor in
            let opened = UnsafeMutablePointer<Cursor>.allocate(capacity: 1)
            opened.initialize(to: Cursor())
            cursor?.pointee = UnsafeMutableRawPointer(opened).assumingMemoryBound(to: sqlite3_vtab_cursor.self)
            return SQLITE_OK
        }
        methods.xClose = { cursor in
            UnsafeMutableRawPointer(cursor)?.assumingMemoryBound(to: Cursor.self).deallocate()
            return SQLITE_OK
        }
        methods.xFilter = { cursor, _, _, count, values in OfferedUsage.begin(cursor, count, values) }
        methods.xNext = { cursor in
            OfferedUsage.cursor(cursor).pointee.position += 1
            return SQLITE_OK
        }
        methods.xEof = { cursor in
            let cursor = OfferedUsage.cursor(cursor)
            return cursor.pointee.position < cursor.pointee.count ? 0 : 1
        }
        methods.xColumn = { cursor, context, column in OfferedUsage.value(cursor, context, column) }
        methods.xRowid = { cursor, row in
            row?.pointee = sqlite3_int64(OfferedUsage.cursor(cursor).pointee.position)
            return SQLITE_OK
        }
        module.initialize(to: methods)
        return module
    }()

    /// SQLite knows only the first field.
    private struct Cursor {
        var base = sqlite3_vtab_cursor()
        var rows: UnsafePointer<UsageRow>?
        var count = 0
        var position = 0
    }

    @inline(__always)
    private static func cursor(_ pointer: UnsafeMutablePointer<sqlite3_vtab_cursor>?) -> UnsafeMutablePointer<Cursor> {
        UnsafeMutableRawPointer(pointer!).assumingMemoryBound(to: Cursor.self)
    }

    private static func connect(
        _ connection: OpaquePointer?, _ table: UnsafeMutablePointer<UnsafeMutablePointer<sqlite3_vtab>?>?
    ) -> Int32 {
        let code = sqlite3_declare_vtab(connection, "CREATE TABLE offered (\(columns), rows HIDDEN)")
        guard code == SQLITE_OK else { return code }
        let made = UnsafeMutablePointer<sqlite3_vtab>.allocate(capacity: 1)
        made.initialize(to: sqlite3_vtab())
        table?.pointee = made
        return SQLITE_OK
    }

    /// There is one way to read it: with its argument, from the first row to the last.
    private static func plan(_ plan: UnsafeMutablePointer<sqlite3_index_info>?) -> Int32 {
        guard let plan else { return SQLITE_ERROR }
        for index in 0..<Int(plan.pointee.nConstraint) {
            let constraint = plan.pointee.aConstraint[index]
            guard constraint.iColumn == argumentColumn, constraint.usable != 0,
                Int32(constraint.op) == SQLITE_INDEX_CONSTRAINT_EQ
            else { continue }
            plan.pointee.aConstraintUsage[index].argvIndex = 1
            plan.pointee.aConstraintUsage[index].omit = 1
            plan.pointee.estimatedCost = 1
            return SQLITE_OK
        }
        return SQLITE_CONSTRAINT
    }

    private static func begin(
        _ cursor: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ count: Int32,
        _ values: UnsafeMutablePointer<OpaquePointer?>?
    ) -> Int32 {
        let cursor = Self.cursor(cursor)
        cursor.pointee.position = 0
        cursor.pointee.count = 0
        guard count == 1, let offered = sqlite3_value_pointer(values?[0], pointerType) else { return SQLITE_OK }
        let rows = offered.assumingMemoryBound(to: Rows.self)
        cursor.pointee.rows = rows.pointee.base
        cursor.pointee.count = rows.pointee.count
        return SQLITE_OK
    }

    private static func value(
        _ cursor: UnsafeMutablePointer<sqlite3_vtab_cursor>?, _ context: OpaquePointer?, _ column: Int32
    ) -> Int32 {
        let cursor = Self.cursor(cursor)
        guard let rows = cursor.pointee.rows else { return SQLITE_MISUSE }
        let row = rows + cursor.pointee.position
        let value: Int64?
        switch column {
        case 0: value = row.pointee.sequence
        case 1: value = row.pointee.requestHigh
        case 2: value = row.pointee.requestLow
        case 3: value = row.pointee.consumer
        case 4: value = row.pointee.service
        case 5: value = row.pointee.instance
        case 6: value = Int64(row.pointee.outcome.rawValue)
        case 7: value = Int64(row.pointee.status)
        case 8: value = row.pointee.bytesIn
        case 9: value = row.pointee.bytesOut
        case 10: value = row.pointee.receivedAt
        case 11: value = row.pointee.forwardedAt
        case 12: value = row.pointee.completedAt
        default: value = nil
        }
        if let value { sqlite3_result_int64(context, value) } else { sqlite3_result_null(context) }
        return SQLITE_OK
    }
}

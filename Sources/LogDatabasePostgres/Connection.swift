import CPostgres
import CloudPorts
import Glibc

/// One connection to the server, used by one thread at a time. What it does blocks.
final class Connection {
    private let handle: OpaquePointer
    /// Names of the statements that the server has prepared for this connection, by their text.
    private var prepared: [String: String] = [:]
    private static let preparedLimit = 200
    /// Ids of names as this connection's server has them: another server, promoted since, may have others.
    var names = NameTable()
    /// Months that have a partition.
    var months: Set<UsageMonth> = []

    /// Connects, which takes as long as `connect_timeout` says for each host that does not answer.
    init(_ settings: PostgresConnectionSettings) throws {
        let keywords = Self.defaults.map(\.0) + ["dbname", "client_encoding"]
        let values = Self.defaults.map(\.1) + [settings.text, "UTF8"]
        let opened = CStrings(keywords + values).withPointers { all in
            let names: [UnsafePointer<CChar>?] = all.prefix(keywords.count) + [nil]
            let texts: [UnsafePointer<CChar>?] = all.dropFirst(keywords.count) + [nil]
            return PQconnectdbParams(names, texts, 1)
        }
        guard let opened else { throw LogDatabaseError(.unavailable, "there is no memory for a connection") }
        handle = opened
        guard PQstatus(opened) == CONNECTION_OK else {
            throw LogDatabaseError(
                .unavailable, "\(settings.place) does not let us in: \(Self.message(of: opened))")
        }
        cpostgres_ignore_notices(opened)
        // A server that is set to forget commits with the power, or to keep them from its replica, is told otherwise
        // for what is written here: a write that returned is durable.
        try command(
            """
            SELECT set_config('synchronous_commit', 'on', false)
                WHERE current_setting('synchronous_commit') IN ('off', 'local');
            SET lock_timeout = '30s';
            SET idle_in_transaction_session_timeout = '10s'
            """)
    }

    deinit { PQfinish(handle) }

    /// What counts where the operator's connection string says nothing: hosts that vanished are noticed within seconds,
    /// and of several hosts the one that takes writes is used.
    private static let defaults = [
        ("connect_timeout", "5"), ("keepalives_idle", "10"), ("keepalives_interval", "5"), ("keepalives_count", "3"),
        ("tcp_user_timeout", "20000"), ("target_session_attrs", "read-write"),
        ("fallback_application_name", "cloudwright"),
    ]

    var serverVersion: Int { Int(PQserverVersion(handle)) }

    /// False where the server has closed its end, or the connection is lost otherwise. Does not wait.
    var isUsable: Bool {
        guard PQstatus(handle) == CONNECTION_OK else { return false }
        var descriptor = pollfd(fd: PQsocket(handle), events: Int16(POLLIN), revents: 0)
        guard poll(&descriptor, 1, 0) > 0 else { return true }
        return PQconsumeInput(handle) == 1 && PQstatus(handle) == CONNECTION_OK
    }

    // MARK: Statements

    /// Statements without values, several separated by `;`.
    func command(_ sql: String) throws { try check(PQexec(handle, sql), sql) }

    @discardableResult
    func run(_ sql: String, _ parameters: (any SQLParameter)?...) throws -> Rows { try run(sql, parameters) }

    @discardableResult
    func run(_ sql: String, _ parameters: [(any SQLParameter)?]) throws -> Rows {
        let name = try statement(sql)
        let result = CStrings(parameters.map { $0?.sqlText }).withPointers { values in
            if let name {
                PQexecPrepared(handle, name, Int32(parameters.count), values, nil, nil, 0)
            } else {
                PQexecParams(handle, sql, Int32(parameters.count), nil, values, nil, nil, 0)
            }
        }
        guard let result else { throw failure(nil, sql) }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return Rows(result)
        default:
            defer { PQclear(result) }
            throw failure(result, sql)
        }
    }

    /// With arrays of numbers as its values, a `bigint[]` each: in binary, so that nobody writes or reads digits.
    func run(_ sql: String, arrays: [[Int64]]) throws {
        let values = arrays.map(BinaryArray.bytes)
        let result = try values.withPointers { pointers in
            let lengths = values.map { Int32($0.count) }
            let formats = [Int32](repeating: 1, count: values.count)
            let types = [Oid](repeating: BinaryArray.type, count: values.count)
            if let name = try statement(sql, types) {
                return PQexecPrepared(handle, name, Int32(values.count), pointers, lengths, formats, 0)
            }
            return PQexecParams(handle, sql, Int32(values.count), types, pointers, lengths, formats, 0)
        }
        try check(result, sql)
    }

    /// Nil where so many are prepared already that this one is sent with its text.
    private func statement(_ sql: String, _ types: [Oid] = []) throws -> String? {
        if let name = prepared[sql] { return name }
        guard prepared.count < Self.preparedLimit else { return nil }
        let name = "s\(prepared.count)"
        try check(PQprepare(handle, name, sql, Int32(types.count), types), sql)
        prepared[sql] = name
        return name
    }

    // MARK: Transactions

    /// Everything in `body`, or nothing; durable on return.
    func transaction<Value>(_ begin: String = "BEGIN", _ body: () throws -> Value) throws -> Value {
        try command(begin)
        let value: Value
        do { value = try body() } catch {
            names = NameTable()
            months = []
            // Where this fails the connection is lost, and the server undoes the transaction by itself.
            try? command("ROLLBACK")
            throw error
        }
        do { try command("COMMIT") } catch {
            names = NameTable()
            months = []
            throw error
        }
        return value
    }

    /// Several statements that see the same state of the database.
    func snapshot<Value>(_ body: () throws -> Value) throws -> Value {
        try transaction("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY", body)
    }

    // MARK: COPY

    /// Sends rows in a format of COPY's, as `body` gives them. Where it throws, none of them is stored.
    func copy(_ sql: String, _ body: (CopyStream) throws -> Void) throws {
        guard let begun = PQexec(handle, sql) else { throw failure(nil, sql) }
        defer { PQclear(begun) }
        guard PQresultStatus(begun) == PGRES_COPY_IN else { throw failure(begun, sql) }
        do { try body(CopyStream(connection: self, sql: sql)) } catch {
            if PQputCopyEnd(handle, "given up by the client") == 1 { try? endOfCopy(sql) }
            throw error
        }
        guard PQputCopyEnd(handle, nil) == 1 else { throw failure(nil, sql) }
        try endOfCopy(sql)
    }

    fileprivate func send(_ bytes: UnsafeRawBufferPointer, of sql: String) throws {
        let sent = bytes.withMemoryRebound(to: CChar.self) { PQputCopyData(handle, $0.baseAddress, Int32($0.count)) }
        guard sent == 1 else { throw failure(nil, sql) }
    }

    /// Gives the rows that a COPY to the client sends to the body, a line each, in text.
    func copyOut(_ sql: String, _ line: (UnsafeRawBufferPointer) -> Void) throws {
        guard let begun = PQexec(handle, sql) else { throw failure(nil, sql) }
        defer { PQclear(begun) }
        guard PQresultStatus(begun) == PGRES_COPY_OUT else { throw failure(begun, sql) }
        var text: UnsafeMutablePointer<CChar>?
        while case let count = PQgetCopyData(handle, &text, 0), count > 0 {
            line(UnsafeRawBufferPointer(start: text, count: Int(count)))
            PQfreemem(text)
        }
        try endOfCopy(sql)
    }

    var isInTransaction: Bool { PQtransactionStatus(handle) == PQTRANS_INTRANS }

    /// The server's answer, then the end of answers.
    private func endOfCopy(_ sql: String) throws {
        var refusal: (any Error)?
        while let result = PQgetResult(handle) {
            if PQresultStatus(result) != PGRES_COMMAND_OK { refusal = failure(result, sql) }
            PQclear(result)
        }
        if let refusal { throw refusal }
    }

    // MARK: Errors

    private func check(_ result: OpaquePointer?, _ sql: String) throws {
        guard let result else { throw failure(nil, sql) }
        defer { PQclear(result) }
        switch PQresultStatus(result) {
        case PGRES_COMMAND_OK, PGRES_TUPLES_OK: return
        default: throw failure(result, sql)
        }
    }

    private func failure(_ result: OpaquePointer?, _ sql: String) -> ServerError {
        func field(_ code: Int32) -> String? {
            result.flatMap { PQresultErrorField($0, code) }.map { String(cString: $0) }
        }
        let lost = PQstatus(handle) != CONNECTION_OK
        let message = field(cpostgres_field_message) ?? Self.message(of: handle)
        return ServerError(
            state: field(cpostgres_field_sqlstate) ?? "", message: message, detail: field(cpostgres_field_detail),
            isConnectionLost: lost)
    }

    private static func message(of handle: OpaquePointer) -> String {
        var text = PQerrorMessage(handle).map { String(cString: $0) } ?? ""
        while text.last?.isWhitespace == true { text.removeLast() }
        return text.isEmpty ? "the connection is lost" : text.replacing("\n", with: " ")
    }
}

/// A COPY to the server that is under way.
struct CopyStream {
    fileprivate let connection: Connection
    fileprivate let sql: String

    func send(_ bytes: UnsafeRawBufferPointer) throws { try connection.send(bytes, of: sql) }
}

/// Texts as C has them, NULL for nil.
private struct CStrings {
    private let texts: [String?]

    init(_ texts: [String?]) { self.texts = texts }

    func withPointers<Value>(_ body: ([UnsafePointer<CChar>?]) throws -> Value) rethrows -> Value {
        let copies = texts.map { $0.flatMap { strdup($0) } }
        defer { for copy in copies { free(copy) } }
        return try body(copies.map { UnsafePointer($0) })
    }
}

/// What the server, or the way to it, refused.
struct ServerError: Error {
    /// SQLSTATE, five characters (PostgreSQL manual, appendix A); empty where the server did not say.
    var state: String
    var message: String
    var detail: String?
    var isConnectionLost: Bool

    static let uniqueViolation = "23505"
}

extension LogDatabaseError {
    /// What was thrown, in the port's terms.
    init(cause: any Error, doing what: String) {
        switch cause {
        case let error as LogDatabaseError: self = error
        case let error as ServerError:
            let state = error.state.isEmpty ? "" : " (SQLSTATE \(error.state))"
            let detail = error.detail.map { ": \($0)" } ?? ""
            self.init(Self.code(of: error), "\(what): \(error.message)\(detail)\(state)")
        case is CancellationError: self.init(.unavailable, "\(what): cancelled")
        default: self.init(.corrupted, "\(what): \(cause)")
        }
    }

    /// Classes of conditions that pass by themselves, or with an operator's help, against those that tell of damage.
    private static func code(of error: ServerError) -> Code {
        if error.isConnectionLost { return .unavailable }
        // A statement was prepared against what a newer version has changed since.
        if error.state == "0A000" { return .unavailable }
        return switch error.state.prefix(2) {
        // Connection, transaction state (a server that became read-only), authorisation, rollback, resources, locks,
        // operator's intervention.
        case "08", "25", "28", "40", "55", "57", "": .unavailable
        case "53": error.state == "53100" ? .storage : .unavailable
        // Privileges, and input or output of the server.
        case "42": error.state == "42501" ? .storage : .corrupted
        case "58": .storage
        default: .corrupted
        }
    }
}

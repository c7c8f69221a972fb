import CloudModel
public import CloudPorts
import Foundation
import GRDB
import Synchronization

/// The log database in one SQLite file: the embedded default.
///
/// Write-ahead log with `synchronous=FULL`: a write that returned is on disk. One connection writes, others read at the
/// same time. The books (`platform_event`, `usage_record`, `audit_event`, `lifecycle_event`, `record_gap`,
/// `record_conflict`) are append-only: triggers refuse to change or delete their rows.
public final class SQLiteLogDatabase: LogDatabase {
    let pool: DatabasePool
    /// Ids of the names in the `name` table, as committed.
    let names = Mutex(NameTable())
    private let isOpen = Mutex(true)

    /// Opens the file, creates it where it is missing, and brings an older schema up to date.
    public init(path: String) throws(LogDatabaseError) {
        do {
            pool = try DatabasePool(path: path, configuration: Self.configuration)
            try Self.checkOwner(of: pool, path: path)
            try Self.checkVersion(of: pool, path: path)
            try Schema.migrator.migrate(pool)
            // The pool sets NORMAL when it turns the write-ahead log on: that would lose commits with the power.
            try pool.writeWithoutTransaction { try $0.execute(sql: "PRAGMA synchronous = FULL") }
        } catch {
            throw LogDatabaseError(cause: error, doing: "opening \(path)")
        }
    }

    /// Closing it again does nothing: the pool would work on a connection that is gone.
    public func close() async {
        let isFirst = isOpen.withLock { isOpen in
            defer { isOpen = false }
            return isOpen
        }
        guard isFirst else { return }
        // The pool closes its readers last, and these cannot move the write-ahead log into the file. Where that fails
        // (a reader is still at work), the next open does it; nothing is lost.
        _ = try? await pool.writeWithoutTransaction { try $0.checkpoint(.truncate) }
        try? pool.close()
    }

    private static var configuration: Configuration {
        var configuration = Configuration()
        configuration.label = "log-database"
        // More is not to be had without going before the event loops.
        configuration.qos = .default
        configuration.busyMode = .timeout(5)
        configuration.maximumReaderCount = 4
        configuration.prepareDatabase { database in
            try database.execute(
                sql: """
                    PRAGMA cache_size = -4096;
                    PRAGMA temp_store = MEMORY;
                    PRAGMA wal_autocheckpoint = 8000;
                    PRAGMA journal_size_limit = 67108864;
                    """)
            try OfferedUsage.register(in: database)
        }
        return configuration
    }

    private static func checkOwner(of pool: DatabasePool, path: String) throws {
        let (owner, tables) = try pool.read { database in
            (
                try Int.fetchOne(database, sql: "PRAGMA application_id") ?? 0,
                try Int.fetchOne(database, sql: "SELECT count(*) FROM sqlite_master") ?? 0
            )
        }
        guard owner == Schema.applicationID || (owner == 0 && tables == 0) else {
            throw LogDatabaseError(
                .corrupted,
                "\(path) is a SQLite database of another program; name another file as log database")
        }
    }

    private static func checkVersion(of pool: DatabasePool, path: String) throws {
        let unknown = try pool.read { database in
            try Schema.migrator.hasBeenSuperseded(database)
        }
        guard !unknown else {
            throw LogDatabaseError(
                .newerSchema,
                "\(path) was written by a newer version (schema beyond \(Schema.version)); run that version, or "
                    + "restore a backup from before the upgrade")
        }
    }

    // MARK: Access

    func read<Value: Sendable>(
        _ what: String, _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(LogDatabaseError) -> Value {
        do {
            return try await pool.read(body)
        } catch {
            throw LogDatabaseError(cause: error, doing: what)
        }
    }

    /// Everything in `body`, or nothing; durable on return.
    func write<Value: Sendable>(
        _ what: String, _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(LogDatabaseError) -> Value {
        do {
            return try await pool.write(body)
        } catch {
            throw LogDatabaseError(cause: error, doing: what)
        }
    }

    /// The wall clock: when a record was stored.
    static func now() -> Timestamp {
        Timestamp(microseconds: Int64((Date().timeIntervalSince1970 * 1_000_000).rounded()))
    }
}

extension LogDatabaseError {
    /// What SQLite or GRDB threw, in the port's terms (https://www.sqlite.org/rescode.html).
    init(cause: any Error, doing what: String) {
        switch cause {
        case let error as LogDatabaseError: self = error
        case let error as DatabaseError: self.init(Self.code(of: error.resultCode), "\(what): \(error)")
        case is CancellationError: self.init(.unavailable, "\(what): cancelled")
        case let error as DecodingError: self.init(.corrupted, "\(what): \(error)")
        default: self.init(.corrupted, "\(what): \(cause)")
        }
    }

    private static func code(of result: ResultCode) -> Code {
        switch result {
        case .SQLITE_BUSY, .SQLITE_LOCKED, .SQLITE_INTERRUPT, .SQLITE_ABORT, .SQLITE_NOMEM, .SQLITE_MISUSE:
            .unavailable
        case .SQLITE_FULL, .SQLITE_IOERR, .SQLITE_READONLY, .SQLITE_CANTOPEN, .SQLITE_PERM, .SQLITE_AUTH,
            .SQLITE_NOLFS:
            .storage
        default: .corrupted
        }
    }
}

extension SQLiteLogDatabase {
    /// How the writing connection treats commits, for tests.
    package func durability() async throws -> (journal: String, synchronous: Int) {
        try await pool.writeWithoutTransaction { database in
            (
                try String.fetchOne(database, sql: "PRAGMA journal_mode") ?? "",
                try Int.fetchOne(database, sql: "PRAGMA synchronous") ?? -1
            )
        }
    }

    /// Whether the writing connection refuses references to what is not there, for tests.
    package func checksReferences() async throws -> Bool {
        try await pool.writeWithoutTransaction { try Bool.fetchOne($0, sql: "PRAGMA foreign_keys") ?? false }
    }

    /// Lets the file grow to so many pages: a full disk, for tests.
    package func limitPages(to count: Int) async throws {
        _ = try await pool.writeWithoutTransaction { try Int.fetchOne($0, sql: "PRAGMA max_page_count = \(count)") }
    }
}

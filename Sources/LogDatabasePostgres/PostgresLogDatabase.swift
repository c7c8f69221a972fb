import CloudModel
public import CloudPorts
import Foundation
import Synchronization

/// The log database on a PostgreSQL server, for platforms that have outgrown one file, or whose books must survive the
/// machine: with a replica that commits wait for, what was written is on both.
///
/// Writes and reads have threads and connections of their own, so that a report over a year keeps no decision waiting.
/// The books are append-only: triggers refuse to change or delete their rows.
public final class PostgresLogDatabase: LogDatabase {
    private let writers: ConnectionThreads
    private let readers: ConnectionThreads
    /// Decisions that may be stored: the connection was lost while they were committed.
    let doubts = Mutex(CommitDoubts())
    /// The lease that decisions are written under; nil where none was taken.
    let epoch = Mutex<Int64?>(nil)

    private static let writingConnections = 2
    private static let readingConnections = 3

    /// Connects, makes the schema in an empty database, and brings an older one up to date.
    ///
    /// Throws `unavailable` where the server does not answer or does not let us in, `newer-schema`, and `corrupted`
    /// where the database is another program's.
    public static func open(_ settings: PostgresConnectionSettings) async throws(LogDatabaseError)
        -> PostgresLogDatabase
    {
        let database = PostgresLogDatabase(settings)
        do throws(LogDatabaseError) {
            try await database.write("opening \(settings.place)", transaction: false) { connection in
                try Migration(connection: connection, place: settings.place).run()
            }
        } catch {
            await database.close()
            throw error
        }
        return database
    }

    private init(_ settings: PostgresConnectionSettings) {
        writers = ConnectionThreads(settings, count: Self.writingConnections, name: "books-write")
        readers = ConnectionThreads(settings, count: Self.readingConnections, name: "books-read")
    }

    public func close() async {
        await writers.close()
        await readers.close()
    }

    // MARK: Access

    /// `snapshot`: several statements that must see the same state.
    func read<Value: Sendable>(
        _ what: String, snapshot: Bool = false, _ body: @escaping @Sendable (Connection) throws -> Value
    ) async throws(LogDatabaseError) -> Value {
        do {
            return try await readers.run { connection in
                snapshot ? try connection.snapshot { try body(connection) } : try body(connection)
            }
        } catch {
            throw LogDatabaseError(cause: error, doing: what)
        }
    }

    /// Everything in `body`, or nothing; durable on return. `isFenced`: refused where another control plane has taken
    /// the lease; records of what has happened are taken from everybody.
    @discardableResult
    func write<Value: Sendable>(
        _ what: String, transaction: Bool = true, isFenced: Bool = true,
        _ body: @escaping @Sendable (Connection) throws -> Value
    ) async throws(LogDatabaseError) -> Value {
        do {
            return try await transaction ? writing(isFenced: isFenced, body) : writers.run(body)
        } catch {
            throw LogDatabaseError(cause: error, doing: what)
        }
    }

    /// As `write`, with what was thrown as it is.
    func writing<Value: Sendable>(
        isFenced: Bool, _ body: @escaping @Sendable (Connection) throws -> Value
    ) async throws -> Value {
        let epoch = isFenced ? epoch.withLock { $0 } : nil
        return try await writers.run { connection in
            try connection.transaction {
                if let epoch { try Self.requireEpoch(epoch, on: connection) }
                return try body(connection)
            }
        }
    }

    /// The wall clock: when a record was stored.
    static func now() -> Timestamp {
        Timestamp(microseconds: Int64((Date().timeIntervalSince1970 * 1_000_000).rounded()))
    }
}

/// Hands out the positions of one log inside a transaction. The row's lock is held until its end: see `Schema`.
struct PositionCounter {
    private let log: String
    private let connection: Connection
    private(set) var last: Int64
    private let first: Int64

    init(_ log: String, on connection: Connection) throws {
        self.log = log
        self.connection = connection
        guard let row = try connection.run("SELECT last FROM log_position WHERE log = $1 FOR UPDATE", log).first else {
            throw LogDatabaseError(.corrupted, "the log \(log) has no position")
        }
        last = try row.number("last")
        first = last
    }

    var next: Int64 { last + 1 }

    /// The position that `next` gave is used.
    mutating func advance() { last += 1 }

    func store() throws {
        guard last != first else { return }
        try connection.run("UPDATE log_position SET last = $2 WHERE log = $1", log, last)
    }
}

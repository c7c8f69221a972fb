import CloudModel
import CloudPorts
import ControlPlane
import Foundation
import Glibc
import LocalProcesses
import LogDatabasePostgres
import LogDatabaseSQLite
import Logging

extension LogDatabaseSettings {
    /// The log database that the configuration names.
    func open(in data: DataDirectory) async throws -> any LogDatabase {
        switch self {
        case .sqlite: return try SQLiteLogDatabase(path: data.path("log.sqlite"))
        case .postgres(let connectionFile, _):
            do {
                let database = try await PostgresLogDatabase.open(PostgresConnectionSettings(file: connectionFile))
                try await Self.checkIsNotForgotten(data, database, connectionFile)
                return database
            } catch let error as LogDatabaseError {
                throw CommandFailure(Self.words(for: error, connectionFile))
            }
        }
    }

    /// An empty database beside a file with a history: whoever changed the configuration meant to take it along.
    private static func checkIsNotForgotten(
        _ data: DataDirectory, _ database: PostgresLogDatabase, _ connectionFile: String
    ) async throws {
        let file = data.path("log.sqlite")
        guard FileManager.default.fileExists(atPath: file), try await database.lastEventPosition() == 0,
            try await database.administrators().isEmpty
        else { return }
        await database.close()
        throw CommandFailure(
            """
            the database that \(connectionFile) names is empty, and \(file) has the books; move them with \
            cloudwright migrate-log --from sqlite:\(file) --to postgres:\(connectionFile), or move the file away to \
            begin anew
            """)
    }

    /// The lease, where several platforms can share the log database; nil where they cannot. All but one of them wait
    /// here, before anything is written.
    /// - Parameter predecessor: the process that passes the lease on to this one.
    func heldLease(
        of database: any LogDatabase, in data: DataDirectory, from predecessor: Int32?, driver: LocalProcessDriver,
        logger: Logger
    ) async throws -> LeaseKeeper? {
        guard case .postgres(_, let duration) = self, let lease = database as? any ControlLease else { return nil }
        let keeper = LeaseKeeper(
            lease: lease, place: "\(ProcessInfo.processInfo.hostName) \(data.path)", process: getpid(),
            duration: duration, logger: logger,
            // What is in memory counts for nothing any more, and nothing of it may be carried out: an end in good order
            // would stop instances that are another's now. The next start is its standby.
            onLoss: { _exit(Self.supersededStatus) })
        driver.obey(keeper.fence)
        // Whoever decides counts what ran here as ended and has replaced it.
        try await keeper.acquire(from: predecessor, onStandby: { await driver.endAll() })
        return keeper
    }

    /// EX_TEMPFAIL of sysexits(3): worth another start.
    private static let supersededStatus: Int32 = 75

    private static func words(for error: LogDatabaseError, _ connectionFile: String) -> String {
        guard error.code == .unavailable else { return "the log database cannot be opened: \(error.message)" }
        return """
            the log database cannot be reached: \(error.message). Check that the server runs and takes connections \
            from this machine, and that \(connectionFile) (spec.logDatabase.connectionFile) names it; \
            psql "$(cat \(connectionFile))" tries the same
            """
    }
}

extension PlatformSettings {
    /// The gateway as it numbers its records. Several platforms on one log database have the cloud's name in common,
    /// and must not number in one another's place: there the data directory, whose spool it is, has a name of its own.
    func gatewayName(in data: DataDirectory) throws -> String {
        guard logDatabase.kind == .postgres else { return name }
        let file = data.url("gateway-id")
        if let text = try? String(contentsOf: file, encoding: .utf8).trimmingCharacters(in: .whitespacesAndNewlines),
            !text.isEmpty
        {
            return "\(name)-\(text)"
        }
        let id = String(UInt32.random(in: .min ... .max), radix: 36)
        try Data((id + "\n").utf8).write(to: file, options: .atomic)
        return "\(name)-\(id)"
    }
}

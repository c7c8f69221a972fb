import CloudModel
import CloudPorts
import LogDatabasePostgres
import LogDatabaseSQLite

extension LogDatabaseSettings {
    /// The log database that the configuration names.
    func open(in data: DataDirectory) async throws -> any LogDatabase {
        switch self {
        case .sqlite: return try SQLiteLogDatabase(path: data.path("log.sqlite"))
        case .postgres(let connectionFile):
            do {
                return try await PostgresLogDatabase.open(PostgresConnectionSettings(file: connectionFile))
            } catch {
                throw CommandFailure(Self.words(for: error, connectionFile))
            }
        }
    }

    private static func words(for error: LogDatabaseError, _ connectionFile: String) -> String {
        guard error.code == .unavailable else { return "the log database cannot be opened: \(error.message)" }
        return """
            the log database cannot be reached: \(error.message). Check that the server runs and takes connections \
            from this machine, and that \(connectionFile) (spec.logDatabase.connectionFile) names it; \
            psql "$(cat \(connectionFile))" tries the same
            """
    }
}

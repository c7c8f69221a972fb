/// Where the log database is.
public enum LogDatabaseSettings: Codable, Hashable, Sendable {
    /// One file in the data directory.
    case sqlite
    /// A PostgreSQL server. The file holds its connection string, since there may be a password in it.
    case postgres(connectionFile: String)

    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        case sqlite, postgres
    }

    public var kind: Kind {
        switch self {
        case .sqlite: .sqlite
        case .postgres: .postgres
        }
    }

    func check(_ collector: inout FaultCollector) {
        guard case .postgres(let connectionFile) = self else { return }
        collector.checkAbsolutePath(connectionFile, "spec.logDatabase.connectionFile")
    }
}

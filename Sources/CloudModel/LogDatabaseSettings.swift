/// Where the log database is.
public enum LogDatabaseSettings: Codable, Hashable, Sendable {
    /// One file in the data directory.
    case sqlite
    /// A PostgreSQL server. The file holds its connection string, since there may be a password in it.
    /// `lease`: how long a platform that is not heard of keeps another on the same database from deciding.
    case postgres(connectionFile: String, lease: TimeSpan = usualLease)

    public static let usualLease = TimeSpan.seconds(15)

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
        guard case .postgres(let connectionFile, let lease) = self else { return }
        collector.checkAbsolutePath(connectionFile, "spec.logDatabase.connectionFile")
        collector.check(lease, in: .seconds(2)...(.minutes(10)), "spec.logDatabase.lease")
    }
}

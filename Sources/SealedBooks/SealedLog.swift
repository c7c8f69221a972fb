import CloudModel
import CloudPorts
import MerkleLog

/// One of the append-only logs of the log database, as the leaves of a Merkle tree.
enum SealedLog: Hashable, Sendable {
    case platformEvents
    case auditEvents
    /// The records of one source in the order of their numbers.
    case usage(source: String)
    /// Usage records that came after higher numbers of their source, in the order of their arrival.
    case lateUsage

    struct Leaf: Sendable {
        /// Position in the log, or number at the source.
        var position: Int64
        var hash: MerkleHash
    }

    /// Leaves that are read at once.
    static let batch = 2_000

    static func all(of database: any LogDatabase) async throws(LogDatabaseError) -> [SealedLog] {
        [.auditEvents, .platformEvents, .lateUsage] + (try await database.usageSources()).map { .usage(source: $0) }
    }

    var name: String {
        switch self {
        case .platformEvents: "platform-events"
        case .auditEvents: "audit"
        case .usage(let source): "usage/\(source)"
        case .lateUsage: "usage-late"
        }
    }

    /// The next leaves after a position, `batch` at most; none at the end.
    func leaves(
        after position: Int64, in database: any LogDatabase
    ) async throws(LogDatabaseError) -> [Leaf] {
        switch self {
        case .platformEvents:
            var query = EventQuery()
            query.after = position
            query.limit = Self.batch
            return try await database.events(query).elements.map {
                Leaf(position: $0.position, hash: LeafContent($0).hash)
            }
        case .auditEvents:
            var query = AuditQuery()
            query.after = position
            query.limit = Self.batch
            return try await database.auditEvents(query).elements.map {
                Leaf(position: $0.position, hash: LeafContent($0.event, position: $0.position).hash)
            }
        case .usage(let source):
            return try await database.usageRecords(
                ofSource: source, after: UInt64(clamping: position), limit: Self.batch
            ).map { Leaf(position: Int64(clamping: $0.sequence), hash: Self.hash(of: $0)) }
        case .lateUsage:
            return try await database.lateUsageRecords(after: position, limit: Self.batch).map {
                Leaf(position: $0.position, hash: Self.hash(of: $0.stored))
            }
        }
    }

    private static func hash(of stored: StoredUsageRecord) -> MerkleHash {
        LeafContent(stored.record, source: stored.source, sequence: stored.sequence).hash
    }
}

public import CloudModel
public import CloudPorts
public import MerkleLog

/// One of the append-only logs of the log database, as the leaves of a Merkle tree.
public enum SealedLog: Hashable, Sendable {
    case platformEvents
    case auditEvents
    /// The resource agent's events.
    case lifecycle
    /// What services have counted themselves.
    case usageEvents
    /// The records of one source in the order of their numbers.
    case usage(source: String)
    /// Usage records that came after higher numbers of their source, in the order of their arrival.
    case lateUsage

    public struct Leaf: Sendable {
        /// Position in the log, or number at the source.
        public var position: Int64
        public var hash: MerkleHash
        public var record: SealedRecord
    }

    /// Leaves that are read at once.
    static let batch = 2_000

    public static func all(of database: any LogDatabase) async throws(LogDatabaseError) -> [SealedLog] {
        [.auditEvents, .platformEvents, .lifecycle, .usageEvents, .lateUsage]
            + (try await database.usageSources()).map { .usage(source: $0) }
    }

    public var name: String {
        switch self {
        case .platformEvents: "platform-events"
        case .auditEvents: "audit"
        case .lifecycle: "lifecycle"
        case .usageEvents: "usage-events"
        case .usage(let source): "usage/\(source)"
        case .lateUsage: "usage-late"
        }
    }

    /// Nil where no log has the name.
    public init?(named name: String) {
        switch name {
        case "platform-events": self = .platformEvents
        case "audit": self = .auditEvents
        case "lifecycle": self = .lifecycle
        case "usage-events": self = .usageEvents
        case "usage-late": self = .lateUsage
        default:
            guard name.hasPrefix("usage/") else { return nil }
            self = .usage(source: String(name.dropFirst("usage/".count)))
        }
    }

    /// The next leaves after a position, `batch` at most; none at the end.
    public func leaves(
        after position: Int64, in database: any LogDatabase
    ) async throws(LogDatabaseError) -> [Leaf] {
        switch self {
        case .platformEvents:
            var query = EventQuery()
            query.after = position
            query.limit = Self.batch
            return try await database.events(query).elements.map { Leaf(at: $0.position, .platform($0)) }
        case .auditEvents:
            var query = AuditQuery()
            query.after = position
            query.limit = Self.batch
            return try await database.auditEvents(query).elements.map {
                Leaf(at: $0.position, .audit($0.event, position: $0.position, personal: $0.personal))
            }
        case .lifecycle:
            return try await database.storedLifecycleEvents(after: position, limit: Self.batch).map {
                Leaf(at: $0.position, .lifecycle($0.event, position: $0.position))
            }
        case .usageEvents:
            return try await database.usageEvents(after: position, limit: Self.batch).map {
                Leaf(at: $0.position, .event($0.event, position: $0.position))
            }
        case .usage(let source):
            return try await database.usageRecords(
                ofSource: source, after: UInt64(clamping: position), limit: Self.batch
            ).map { Leaf(at: Int64(clamping: $0.sequence), SealedRecord($0)) }
        case .lateUsage:
            return try await database.lateUsageRecords(after: position, limit: Self.batch).map {
                Leaf(at: $0.position, SealedRecord($0.stored))
            }
        }
    }
}

extension SealedLog.Leaf {
    init(at position: Int64, _ record: SealedRecord) {
        self.init(position: position, hash: record.hash, record: record)
    }
}

/// A record of a sealed log: all that its leaf is the hash of, and nothing besides.
public enum SealedRecord: Codable, Hashable, Sendable {
    case platform(PlatformEvent)
    case audit(AuditEvent, position: Int64, personal: PersonalDataBinding)
    case lifecycle(LifecycleEvent, position: Int64)
    case usage(UsageRecord, source: String, sequence: UInt64)
    case event(UsageEvent, position: Int64)

    init(_ stored: StoredUsageRecord) {
        self = .usage(stored.record, source: stored.source, sequence: stored.sequence)
    }

    public var hash: MerkleHash {
        switch self {
        case .platform(let event): LeafContent(event).hash
        case .audit(let event, let position, let personal):
            LeafContent(event, position: position, personal: personal).hash
        case .lifecycle(let event, let position): LeafContent(event, position: position).hash
        case .event(let event, let position): LeafContent(event, position: position).hash
        case .usage(let record, let source, let sequence):
            LeafContent(record, source: source, sequence: sequence).hash
        }
    }
}

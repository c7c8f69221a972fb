import CloudModel
import CloudPorts
import GRDB
import LogRecords

/// The append-only tables as one ingestion writes them and looks into them.
struct Books {
    let database: Database
    let source: Int64
    let storedAt: Timestamp
    private let usageInsertion: UsageInsertion

    init(database: Database, source: Int64, storedAt: Timestamp) throws {
        self.database = database
        self.source = source
        self.storedAt = storedAt
        usageInsertion = try UsageInsertion(database, source: source, storedAt: storedAt)
    }

    // MARK: Writing

    /// False where the number or the request is there already.
    func insert(_ row: UsageRow) throws -> Bool {
        try usageInsertion.run(row)
        return database.changesCount == 1
    }

    /// All of the rows, or none, and false, where one of them is there already.
    func insert(_ rows: [UsageRow]) throws -> Bool { try usageInsertion.runAll(rows) }

    /// A usage record of this source came after higher numbers.
    func markLate(_ sequence: UInt64) throws {
        try database.execute(
            sql: "INSERT INTO usage_late (source, sequence) VALUES (?, ?)", arguments: [source, Int64(sequence)])
    }

    func insert(_ event: AuditEvent, sequence: UInt64) throws -> Bool {
        try Self.insert(event, source: source, sequence: sequence, storedAt: storedAt, in: database)
    }

    static func insert(
        _ event: AuditEvent, source: Int64?, sequence: UInt64?, storedAt: Timestamp, in database: Database
    ) throws -> Bool {
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO audit_event (source, sequence, request_id, observer, service, consumer, principal,
                    credential_kind, credential_tag, source_address, user_agent, method, path, outcome, reason, status,
                    received_at, forwarded_at, responded_at, stored_at, salt)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """)
        try statement.execute(arguments: [
            source, sequence.map { Int64($0) }, event.requestID.description, SQLText.encoded(event.observer),
            SQLText.encoded(event.service.rawValue), (event.consumer?.rawValue).map(SQLText.encoded),
            SQLText.encoded(event.principal), event.credentialKind.rawValue,
            event.credentialTag.map(SQLText.encoded), SQLText.encoded(event.sourceAddress),
            SQLText.encoded(event.userAgent), SQLText.encoded(event.method), SQLText.encoded(event.path),
            event.outcome.rawValue, SQLText.encoded(event.reason), Int64(event.status),
            event.receivedAt.microseconds, event.forwardedAt?.microseconds, event.respondedAt.microseconds,
            storedAt.microseconds, AuditEvent.newSalt(),
        ])
        return database.changesCount == 1
    }

    func insertGap(
        _ kind: String, first: UInt64, last: UInt64, records: UInt64, since: Timestamp? = nil, until: Timestamp? = nil
    ) throws {
        try database.execute(
            sql: """
                INSERT INTO record_gap (kind, source, first_sequence, last_sequence, records, since, until, stored_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?)
                """,
            arguments: [
                kind, source, Int64(first), Int64(last), Int64(clamping: records), since?.microseconds,
                until?.microseconds, storedAt.microseconds,
            ])
    }

    /// False where the same conflict is on record already.
    static func insertConflict(
        kind: String, id: String, source: String, sequence: UInt64, stored: String, offered: String,
        storedAt: Timestamp, in database: Database
    ) throws -> Bool {
        try database.execute(
            sql: """
                INSERT INTO record_conflict (kind, record_id, source, sequence, stored, offered, stored_at)
                VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """,
            arguments: [
                kind, SQLText.encoded(id), SQLText.encoded(source), Int64(sequence), stored, offered,
                storedAt.microseconds,
            ])
        return database.changesCount == 1
    }

    // MARK: Looking

    /// What is stored under a number of this source.
    func record(at sequence: UInt64) throws -> SpoolRecord? {
        let place: StatementArguments = [source, Int64(sequence)]
        let usage = try row(Self.usageQuery + " WHERE usage_record.source = ? AND sequence = ?", place)
        if let usage { return .usage(try Self.usageRecord(usage).record) }
        let audit = try row("SELECT * FROM audit_event WHERE source = ? AND sequence = ?", place)
        if let audit { return .audit(try Self.auditEvent(audit).event) }
        let lost = try row(
            "SELECT * FROM record_gap WHERE source = ? AND first_sequence = ? AND kind = 'lost'", place)
        return lost.map {
            .lost(count: UInt64($0["records"] as Int64), since: $0.time("since"), until: $0.time("until"))
        }
    }

    private func row(_ sql: String, _ arguments: StatementArguments) throws -> Row? {
        try Row.fetchOne(try database.cachedStatement(sql: sql), arguments: arguments)
    }

    func usageRecord(_ id: RequestID) throws -> SpoolRecord? {
        try Self.usageRecord(id, in: database).map { .usage($0.record) }
    }

    func auditEvent(_ id: RequestID) throws -> SpoolRecord? {
        try Self.auditEvent(id, in: database).map { .audit($0.event) }
    }

    static func usageRecord(_ id: RequestID, in database: Database) throws -> StoredUsageRecord? {
        try Row.fetchOne(
            try database.cachedStatement(sql: usageQuery + " WHERE request_high = ? AND request_low = ?"),
            arguments: [Int64(bitPattern: id.high), Int64(bitPattern: id.low)]
        ).map(usageRecord)
    }

    static func auditEvent(_ id: RequestID, in database: Database) throws -> StoredAuditEvent? {
        try Row.fetchOne(
            try database.cachedStatement(sql: "SELECT * FROM audit_event WHERE request_id = ?"),
            arguments: [id.description]
        ).map(auditEvent)
    }

    // MARK: Rows

    static let usageQuery = """
        SELECT usage_record.*, source.name AS source_name, consumer.text AS consumer_name,
            service.text AS service_name, instance.text AS instance_name
        FROM usage_record
        JOIN source ON source.id = usage_record.source
        JOIN name AS consumer ON consumer.id = usage_record.consumer
        JOIN name AS service ON service.id = usage_record.service
        LEFT JOIN name AS instance ON instance.id = usage_record.instance
        """

    static func usageRecord(_ row: Row) throws -> StoredUsageRecord {
        guard let outcome = RequestOutcome(rawValue: row["outcome"]) else {
            throw LogDatabaseError(.corrupted, "a usage record's outcome is \(row["outcome"] as Int64)")
        }
        let record = UsageRecord(
            requestID: RequestID(
                high: UInt64(bitPattern: row["request_high"]), low: UInt64(bitPattern: row["request_low"])),
            consumer: row.identifier("consumer_name"), service: row.identifier("service_name"),
            instance: row.optionalIdentifier("instance_name"), outcome: outcome, status: row["status"],
            bytesIn: UInt64(row["bytes_in"] as Int64), bytesOut: UInt64(row["bytes_out"] as Int64),
            receivedAt: row.time("received_at"), forwardedAt: row.optionalTime("forwarded_at"),
            completedAt: row.time("completed_at"))
        return StoredUsageRecord(
            record: record, source: row.text("source_name"), sequence: UInt64(row["sequence"] as Int64),
            storedAt: row.time("stored_at"))
    }

    static func auditEvent(_ row: Row) throws -> StoredAuditEvent {
        guard let requestID = RequestID(row["request_id"]) else {
            throw LogDatabaseError(.corrupted, "audit event \(row["position"] as Int64) has no request id")
        }
        let event = AuditEvent(
            requestID: requestID, observer: row.text("observer"), service: row.identifier("service"),
            consumer: row.optionalIdentifier("consumer"), principal: row.text("principal"),
            credentialKind: try row.word("credential_kind"), credentialTag: row.optionalText("credential_tag"),
            sourceAddress: row.text("source_address"), userAgent: row.text("user_agent"),
            method: row.text("method"), path: row.text("path"), outcome: try row.word("outcome"),
            reason: row.text("reason"), status: row["status"], receivedAt: row.time("received_at"),
            forwardedAt: row.optionalTime("forwarded_at"), respondedAt: row.time("responded_at"))
        return StoredAuditEvent(
            position: row["position"], event: event,
            personal: PersonalDataBinding(salt: row["salt"], commitment: row["commitment"]),
            storedAt: row.time("stored_at"))
    }
}

import CloudModel
import CloudPorts
import LogRecords

/// The append-only tables as one ingestion writes them and looks into them. It holds the lock of the usage records.
struct Books {
    let connection: Connection
    let source: Int64
    let storedAt: Timestamp

    // MARK: Writing

    func insert(_ row: UsageRow) throws {
        try connection.run(
            """
            INSERT INTO usage_record (source, stored_at, sequence, request_high, request_low, consumer, service,
                instance, outcome, status, bytes_in, bytes_out, received_at, forwarded_at, completed_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)
            """, source, storedAt, row.sequence, row.requestHigh, row.requestLow, row.consumer, row.service,
            row.instance, Int64(row.outcome.rawValue), row.status, row.bytesIn, row.bytesOut, row.receivedAt,
            row.forwardedAt, row.completedAt)
    }

    /// A usage record of this source came after higher numbers.
    func markLate(_ sequence: UInt64) throws {
        try connection.run("INSERT INTO usage_late (source, sequence) VALUES ($1, $2)", source, Int64(sequence))
    }

    /// False where the number or the request is there already.
    static func insert(
        _ event: AuditEvent, source: Int64?, sequence: UInt64?, position: Int64, storedAt: Timestamp,
        on connection: Connection
    ) throws -> Bool {
        let inserted = try connection.run(
            """
            INSERT INTO audit_event (position, source, sequence, request_id, observer, service, consumer, principal,
                credential_kind, credential_tag, source_address, user_agent, method, path, outcome, reason, status,
                received_at, forwarded_at, responded_at, stored_at, salt)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18, $19, $20, $21,
                $22)
            ON CONFLICT DO NOTHING
            """, position, source, sequence.map { Int64($0) }, event.requestID.description, event.observer,
            event.service, event.consumer, event.principal, event.credentialKind.rawValue, event.credentialTag,
            event.sourceAddress, event.userAgent, event.method, event.path, event.outcome.rawValue, event.reason,
            event.status, event.receivedAt, event.forwardedAt, event.respondedAt, storedAt, AuditEvent.newSalt())
        return inserted.affected == 1
    }

    func insertGap(
        _ kind: String, first: UInt64, last: UInt64, records: UInt64, since: Timestamp? = nil, until: Timestamp? = nil
    ) throws {
        try connection.run(
            """
            INSERT INTO record_gap (kind, source, first_sequence, last_sequence, records, since, until, stored_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8)
            """, kind, source, Int64(first), Int64(last), Int64(clamping: records), since, until, storedAt)
    }

    /// False where the same conflict is on record already.
    static func insertConflict(
        kind: String, id: String, source: String, sequence: UInt64, stored: String, offered: String,
        storedAt: Timestamp, on connection: Connection
    ) throws -> Bool {
        try connection.run(
            """
            INSERT INTO record_conflict (kind, record_id, source, sequence, stored, offered, stored_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7) ON CONFLICT DO NOTHING
            """, kind, id, source, Int64(sequence), stored, offered, storedAt
        ).affected == 1
    }

    // MARK: Looking

    /// What is stored under a number of this source.
    func record(at sequence: UInt64) throws -> SpoolRecord? {
        let number = Int64(sequence)
        let usage = try connection.run(
            Self.usageQuery("SELECT * FROM usage_record WHERE source = $1 AND sequence = $2"), source, number)
        if let row = usage.first { return .usage(try Self.usageRecord(row).record) }
        let audit = try connection.run(
            "SELECT * FROM audit_event WHERE source = $1 AND sequence = $2", source, number)
        if let row = audit.first { return .audit(try Self.auditEvent(row).event) }
        let lost = try connection.run(
            """
            SELECT records, since, until FROM record_gap WHERE source = $1 AND first_sequence = $2 AND kind = 'lost'
            """, source, number)
        guard let row = lost.first else { return nil }
        return .lost(count: try row.number("records"), since: try row.time("since"), until: try row.time("until"))
    }

    /// Whether one of these requests is stored. The ids of one loop have nearly the same high half, so that of each
    /// partition only the place is looked at where they would be; where something is there, each id is looked up.
    ///
    /// Both statements are written so that the planner has the index alone to choose, by its order and by a limit for
    /// each id: it takes a range for half a percent of the table, and would read all of that in search of one row.
    static func holdsAny(of ids: [RequestID], on connection: Connection) throws -> Bool {
        let high = ids.map { Int64(bitPattern: $0.high) }
        guard let least = high.min(), let most = high.max() else { return false }
        let near = try connection.run(
            """
            SELECT 1 FROM usage_record WHERE request_high BETWEEN $1 AND $2
            ORDER BY request_high, request_low LIMIT 1
            """, least, most)
        guard near.count > 0 else { return false }
        return try connection.run(
            """
            SELECT 1 FROM unnest($1::bigint[], $2::bigint[]) AS id (high, low), LATERAL (
                SELECT 1 FROM usage_record WHERE request_high = id.high AND request_low = id.low
                ORDER BY request_high, request_low LIMIT 1
            ) AS stored LIMIT 1
            """, SQLNumbers(high), SQLNumbers(ids.map { Int64(bitPattern: $0.low) })
        ).count > 0
    }

    static func usageRecord(_ id: RequestID, on connection: Connection) throws -> StoredUsageRecord? {
        try connection.run(
            usageQuery("SELECT * FROM usage_record WHERE request_high = $1 AND request_low = $2"),
            Int64(bitPattern: id.high), Int64(bitPattern: id.low)
        ).first.map(usageRecord)
    }

    static func auditEvent(_ id: RequestID, on connection: Connection) throws -> StoredAuditEvent? {
        try connection.run("SELECT * FROM audit_event WHERE request_id = $1", id.description).first.map(auditEvent)
    }

    // MARK: Rows

    /// `records`: a query that gives rows of `usage_record`, and no more than are wanted: the names are looked up for
    /// what it gives.
    static func usageQuery(_ records: String, order: String = "", join: String = "", columns: String = "") -> String {
        """
        SELECT usage_record.*, source.name AS source_name, consumer.text AS consumer_name,
            service.text AS service_name, instance.text AS instance_name\(columns)
        FROM (\(records)) AS usage_record
        JOIN source ON source.id = usage_record.source
        JOIN name AS consumer ON consumer.id = usage_record.consumer
        JOIN name AS service ON service.id = usage_record.service
        LEFT JOIN name AS instance ON instance.id = usage_record.instance\(join)\(order)
        """
    }

    static func usageRecord(_ row: Row) throws -> StoredUsageRecord {
        guard let outcome = RequestOutcome(rawValue: try row.number("outcome")) else {
            throw LogDatabaseError(.corrupted, "a usage record's outcome is \(try row.text("outcome"))")
        }
        let record = UsageRecord(
            requestID: RequestID(
                high: UInt64(bitPattern: try row.number("request_high")),
                low: UInt64(bitPattern: try row.number("request_low"))),
            consumer: try row.identifier("consumer_name"), service: try row.identifier("service_name"),
            instance: try row.optionalIdentifier("instance_name"), outcome: outcome, status: try row.number("status"),
            bytesIn: try row.number("bytes_in"), bytesOut: try row.number("bytes_out"),
            receivedAt: try row.time("received_at"), forwardedAt: try row.optionalTime("forwarded_at"),
            completedAt: try row.time("completed_at"))
        return StoredUsageRecord(
            record: record, source: try row.text("source_name"), sequence: try row.number("sequence"),
            storedAt: try row.time("stored_at"))
    }

    static func auditEvent(_ row: Row) throws -> StoredAuditEvent {
        let position: Int64 = try row.number("position")
        guard let requestID = RequestID(try row.text("request_id")) else {
            throw LogDatabaseError(.corrupted, "audit event \(position) has no request id")
        }
        let event = AuditEvent(
            requestID: requestID, observer: try row.text("observer"), service: try row.identifier("service"),
            consumer: try row.optionalIdentifier("consumer"), principal: try row.text("principal"),
            credentialKind: try row.word("credential_kind"), credentialTag: try row.optionalText("credential_tag"),
            sourceAddress: try row.text("source_address"), userAgent: try row.text("user_agent"),
            method: try row.text("method"), path: try row.text("path"), outcome: try row.word("outcome"),
            reason: try row.text("reason"), status: try row.number("status"), receivedAt: try row.time("received_at"),
            forwardedAt: try row.optionalTime("forwarded_at"), respondedAt: try row.time("responded_at"))
        return StoredAuditEvent(
            position: position, event: event,
            personal: PersonalDataBinding(
                salt: try row.optionalText("salt"), commitment: try row.optionalText("commitment")),
            storedAt: try row.time("stored_at"))
    }
}

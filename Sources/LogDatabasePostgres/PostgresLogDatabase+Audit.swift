public import CloudModel
public import CloudPorts
import LogRecords

extension PostgresLogDatabase {
    public func auditEvents(_ query: AuditQuery) async throws(LogDatabaseError) -> Page<StoredAuditEvent> {
        try await page(
            "reading audit events", "audit_event", limit: query.limit, newest: query.newest, position: \.position,
            conditions: {
                var conditions = Self.conditions(of: query)
                conditions.add("outcome", equals: query.outcome?.rawValue)
                return conditions
            }, Books.auditEvent)
    }

    public func failedLogins(_ query: AuditQuery, limit: Int) async throws(LogDatabaseError) -> [FailedLogins] {
        try await read("ranking failed logins") { connection in
            var conditions = Self.conditions(of: query)
            conditions.add("outcome = ?", AuditEvent.Outcome.failure.rawValue)
            let sql = """
                SELECT principal, source_address, count(*) AS failures,
                    count(DISTINCT credential_tag) AS credentials, min(received_at) AS first_at,
                    max(received_at) AS last_at
                FROM audit_event\(conditions.sql) GROUP BY principal, source_address
                ORDER BY failures DESC, last_at DESC, principal, source_address LIMIT \(max(0, limit))
                """
            return try connection.run(sql, conditions.parameters).map { row in
                FailedLogins(
                    principal: try row.text("principal"), sourceAddress: try row.text("source_address"),
                    failures: try row.number("failures"), distinctCredentials: try row.number("credentials"),
                    firstAt: try row.time("first_at"), lastAt: try row.time("last_at"))
            }
        }
    }

    public func loginCounts(_ query: AuditQuery) async throws(LogDatabaseError) -> [LoginCount] {
        try await read("counting logins") { connection in
            var conditions = Self.conditions(of: query, after: 0)
            conditions.add("outcome", equals: query.outcome?.rawValue)
            let sql = """
                SELECT service, credential_kind, outcome, count(*) AS logins
                FROM audit_event\(conditions.sql) GROUP BY service, credential_kind, outcome
                ORDER BY service, credential_kind, outcome
                """
            return try connection.run(sql, conditions.parameters).map { row in
                LoginCount(
                    service: ServiceID(try row.text("service")), credentialKind: try row.word("credential_kind"),
                    outcome: try row.word("outcome"), count: try row.number("logins"))
            }
        }
    }

    public func eraseLogins(
        of principal: String, commitment: @escaping @Sendable (AuditEvent, _ salt: String) -> String,
        event: @escaping @Sendable (ErasureOutcome) -> PlatformEvent
    ) async throws(LogDatabaseError) -> ErasureOutcome {
        try await write("erasing a person's logins") { connection in
            var outcome = ErasureOutcome(erased: 0, kept: 0)
            let logins = try connection.run(
                "SELECT * FROM audit_event WHERE md5(principal) = md5($1) AND principal = $1 ORDER BY position",
                principal
            ).map(Books.auditEvent)
            for stored in logins {
                guard case .salted(let salt) = stored.personal else {
                    outcome.kept += 1
                    continue
                }
                try connection.run(
                    """
                    UPDATE audit_event SET principal = '', credential_tag = NULL, source_address = '',
                        user_agent = '', path = '', salt = NULL, commitment = $1 WHERE position = $2
                    """, commitment(stored.event, salt), stored.position)
                try connection.run(
                    "DELETE FROM record_conflict WHERE kind = 'audit' AND record_id = $1",
                    stored.event.requestID.description)
                outcome.erased += 1
            }
            var positions = try PositionCounter("platform_event", on: connection)
            try Self.append(event(outcome), position: positions.next, on: connection)
            positions.advance()
            try positions.store()
            return outcome
        }
    }

    public func record(_ event: AuditEvent) async throws(LogDatabaseError) {
        try await write("storing an audit event", isFenced: false) { connection in
            let storedAt = Self.now()
            var positions = try PositionCounter("audit_event", on: connection)
            if try Books.insert(
                event, source: nil, sequence: nil, position: positions.next, storedAt: storedAt, on: connection)
            {
                positions.advance()
                return try positions.store()
            }
            guard let stored = try Books.auditEvent(event.requestID, on: connection)?.event,
                !SpoolRecord.audit(event).isStored(as: .audit(stored))
            else { return }
            _ = try Books.insertConflict(
                kind: "audit", id: event.requestID.description, source: "", sequence: 0,
                stored: Document.text(stored), offered: Document.text(event), storedAt: storedAt, on: connection)
        }
    }

    /// An event belongs to the time at which the login was received.
    private static func conditions(of query: AuditQuery, after position: Int64? = nil) -> Conditions {
        var conditions = Conditions()
        conditions.add("position > ?", position ?? query.after)
        if let before = query.before { conditions.add("position < ?", before) }
        conditions.add("service", equals: query.service)
        conditions.add("consumer", equals: query.consumer)
        // The indexes are over digests, since what consumers send has any length.
        if let principal = query.principal {
            conditions.add("md5(principal) = md5(?) AND principal = ?", principal, principal)
        }
        if let address = query.sourceAddress {
            conditions.add("md5(source_address) = md5(?) AND source_address = ?", address, address)
        }
        conditions.add("received_at", from: query.from, until: query.until)
        return conditions
    }
}

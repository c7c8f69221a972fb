public import CloudModel
public import CloudPorts
import GRDB
import LogRecords

extension SQLiteLogDatabase {
    public func auditEvents(_ query: AuditQuery) async throws(LogDatabaseError) -> Page<StoredAuditEvent> {
        var conditions = Self.conditions(of: query)
        if let outcome = query.outcome { conditions.add("outcome = ?", outcome.rawValue) }
        return try await page(
            "reading audit events", "audit_event", conditions, limit: query.limit, newest: query.newest,
            position: \.position, Books.auditEvent)
    }

    public func failedLogins(_ query: AuditQuery, limit: Int) async throws(LogDatabaseError) -> [FailedLogins] {
        var conditions = Self.conditions(of: query)
        conditions.add("outcome = ?", AuditEvent.Outcome.failure.rawValue)
        let sql = """
            SELECT principal, source_address, count(*) AS failures, count(DISTINCT credential_tag) AS credentials,
                min(received_at) AS first_at, max(received_at) AS last_at
            FROM audit_event\(conditions.sql) GROUP BY principal, source_address
            ORDER BY failures DESC, last_at DESC, principal, source_address LIMIT \(max(0, limit))
            """
        let arguments = conditions.arguments
        return try await read("ranking failed logins") { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map { row in
                FailedLogins(
                    principal: row.text("principal"), sourceAddress: row.text("source_address"),
                    failures: row["failures"], distinctCredentials: row["credentials"], firstAt: row.time("first_at"),
                    lastAt: row.time("last_at"))
            }
        }
    }

    public func loginCounts(_ query: AuditQuery) async throws(LogDatabaseError) -> [LoginCount] {
        var conditions = Self.conditions(of: query, after: 0)
        if let outcome = query.outcome { conditions.add("outcome = ?", outcome.rawValue) }
        let sql = """
            SELECT service, credential_kind, outcome, count(*) AS logins
            FROM audit_event\(conditions.sql) GROUP BY service, credential_kind, outcome
            ORDER BY service, credential_kind, outcome
            """
        let arguments = conditions.arguments
        return try await read("counting logins") { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map { row in
                LoginCount(
                    service: ServiceID(row.text("service")),
                    credentialKind: try row.word("credential_kind"), outcome: try row.word("outcome"),
                    count: row["logins"])
            }
        }
    }

    public func eraseLogins(
        of principal: String, commitment: @escaping @Sendable (AuditEvent, _ salt: String) -> String,
        event: @escaping @Sendable (ErasureOutcome) -> PlatformEvent
    ) async throws(LogDatabaseError) -> ErasureOutcome {
        try await write("erasing a person's logins") { database in
            var outcome = ErasureOutcome(erased: 0, kept: 0)
            let positions = try Int64.fetchAll(
                database, sql: "SELECT position FROM audit_event WHERE principal = ? ORDER BY position",
                arguments: [SQLText.encoded(principal)])
            for position in positions {
                guard
                    let stored = try Row.fetchOne(
                        try database.cachedStatement(sql: "SELECT * FROM audit_event WHERE position = ?"),
                        arguments: [position]
                    ).map(Books.auditEvent), case .salted(let salt) = stored.personal
                else {
                    outcome.kept += 1
                    continue
                }
                try database.cachedStatement(
                    sql: """
                        UPDATE audit_event SET principal = '', credential_tag = NULL, source_address = '',
                            user_agent = '', path = '', salt = NULL, commitment = ? WHERE position = ?
                        """
                ).execute(arguments: [commitment(stored.event, salt), position])
                try database.cachedStatement(
                    sql: "DELETE FROM record_conflict WHERE kind = 'audit' AND record_id = ?"
                ).execute(arguments: [SQLText.encoded(stored.event.requestID.description)])
                outcome.erased += 1
            }
            try Self.append(event(outcome), to: database)
            return outcome
        }
    }

    public func record(_ event: AuditEvent) async throws(LogDatabaseError) {
        try await write("storing an audit event") { database in
            let storedAt = Self.now()
            guard try !Books.insert(event, source: nil, sequence: nil, storedAt: storedAt, in: database) else { return }
            guard let stored = try Books.auditEvent(event.requestID, in: database)?.event,
                !SpoolRecord.audit(event).isStored(as: .audit(stored))
            else { return }
            _ = try Books.insertConflict(
                kind: "audit", id: event.requestID.description, source: "", sequence: 0,
                stored: Document.text(stored), offered: Document.text(event), storedAt: storedAt, in: database)
        }
    }

    /// An event belongs to the time at which the login was received.
    private static func conditions(of query: AuditQuery, after position: Int64? = nil) -> Conditions {
        var conditions = Conditions()
        conditions.add("position > ?", position ?? query.after)
        if let before = query.before { conditions.add("position < ?", before) }
        conditions.add("service", equals: query.service)
        conditions.add("consumer", equals: query.consumer)
        conditions.add("principal", equals: query.principal)
        conditions.add("source_address", equals: query.sourceAddress)
        conditions.add("received_at", from: query.from, until: query.until)
        return conditions
    }
}

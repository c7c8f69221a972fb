public import CloudModel
public import CloudPorts
import LogRecords

extension PostgresLogDatabase {
    /// The key that tells duplicates is written with the event: an attempt that failed leaves nothing that would make
    /// the next one a duplicate.
    public func ingest(_ events: [UsageEvent]) async throws(LogDatabaseError) -> UsageEventOutcome {
        do {
            return try await storing(events)
        } catch let found as Conflicts {
            try await keep(found.events)
            return UsageEventOutcome(stored: 0, duplicates: 0, conflicts: found.events)
        } catch {
            throw LogDatabaseError(cause: error, doing: "storing usage events")
        }
    }

    /// Undoes the transaction.
    private struct Conflicts: Error {
        var events: [UsageEvent] = []
    }

    private func storing(_ events: [UsageEvent]) async throws -> UsageEventOutcome {
        try await writing(isFenced: false) { connection in
            var outcome = UsageEventOutcome(stored: 0, duplicates: 0, conflicts: [])
            var positions = try PositionCounter("usage_event", on: connection)
            let storedAt = Self.now()
            for event in events {
                if try Self.insert(event, position: positions.next, storedAt: storedAt, on: connection) {
                    positions.advance()
                    outcome.stored += 1
                } else if try Self.usageEvent(event.source, event.id, on: connection) == event {
                    outcome.duplicates += 1
                } else {
                    outcome.conflicts.append(event)
                }
            }
            guard outcome.conflicts.isEmpty else { throw Conflicts(events: outcome.conflicts) }
            try positions.store()
            return outcome
        }
    }

    private func keep(_ conflicts: [UsageEvent]) async throws(LogDatabaseError) {
        try await write("keeping conflicts of usage events", isFenced: false) { connection in
            for event in conflicts {
                guard let stored = try Self.usageEvent(event.source, event.id, on: connection) else { continue }
                _ = try Books.insertConflict(
                    kind: "event", id: event.id, source: event.source, sequence: 0, stored: Document.text(stored),
                    offered: Document.text(event), storedAt: Self.now(), on: connection)
            }
        }
    }

    private static func insert(
        _ event: UsageEvent, position: Int64, storedAt: Timestamp, on connection: Connection
    ) throws -> Bool {
        try connection.run(
            """
            INSERT INTO usage_event (position, source, id, type, consumer, service, meter, micro_units, at, stored_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT DO NOTHING
            """, position, event.source, event.id, event.type, event.consumer, event.service, event.meter,
            event.microUnits, event.at, storedAt
        ).affected == 1
    }

    private static func usageEvent(
        _ source: String, _ id: String, on connection: Connection
    ) throws -> UsageEvent? {
        try connection.run("SELECT * FROM usage_event WHERE source = $1 AND id = $2", source, id).first
            .map(usageEvent)
    }

    private static func usageEvent(_ row: Row) throws -> UsageEvent {
        UsageEvent(
            source: try row.text("source"), id: try row.text("id"), type: try row.text("type"),
            consumer: try row.identifier("consumer"), service: try row.identifier("service"),
            meter: try row.text("meter"), microUnits: try row.number("micro_units"), at: try row.time("at"))
    }

    public func usageEvents(
        after position: Int64, limit: Int
    ) async throws(LogDatabaseError) -> [StoredUsageEvent] {
        try await read("reading usage events") { connection in
            try connection.run(
                "SELECT * FROM usage_event WHERE position > $1 ORDER BY position LIMIT $2", position, max(0, limit)
            ).map { StoredUsageEvent(position: try $0.number("position"), event: try Self.usageEvent($0)) }
        }
    }

    public func usageEventSums(_ query: UsageQuery) async throws(LogDatabaseError) -> [UsageEventSum] {
        try await read("summing up usage events") { connection in
            var conditions = Conditions()
            conditions.add("consumer", equals: query.consumer)
            conditions.add("service", equals: query.service)
            conditions.add("at", from: query.from, until: query.until)
            let sql = """
                SELECT consumer, service, meter, count(*) AS events, sum(micro_units) AS micro_units
                FROM usage_event\(conditions.sql)
                GROUP BY consumer, service, meter ORDER BY consumer, service, meter
                """
            return try connection.run(sql, conditions.parameters).map { row in
                UsageEventSum(
                    consumer: try row.identifier("consumer"), service: try row.identifier("service"),
                    meter: try row.text("meter"), events: try row.number("events"),
                    microUnits: try row.number("micro_units"))
            }
        }
    }
}

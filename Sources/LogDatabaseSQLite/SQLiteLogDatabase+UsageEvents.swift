public import CloudModel
public import CloudPorts
import GRDB
import LogRecords

extension SQLiteLogDatabase {
    /// The key that tells duplicates is written with the event: an attempt that failed leaves nothing that would make
    /// the next one a duplicate.
    public func ingest(_ events: [UsageEvent]) async throws(LogDatabaseError) -> UsageEventOutcome {
        do {
            return try await pool.write { database in
                var outcome = UsageEventOutcome(stored: 0, duplicates: 0, conflicts: [])
                let storedAt = Self.now()
                for event in events {
                    if try Self.insert(event, storedAt: storedAt, in: database) {
                        outcome.stored += 1
                    } else if try Self.usageEvent(event.source, event.id, in: database) == event {
                        outcome.duplicates += 1
                    } else {
                        outcome.conflicts.append(event)
                    }
                }
                guard outcome.conflicts.isEmpty else { throw Conflicts(events: outcome.conflicts) }
                return outcome
            }
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

    private func keep(_ conflicts: [UsageEvent]) async throws(LogDatabaseError) {
        try await write("keeping conflicts of usage events") { database in
            for event in conflicts {
                guard let stored = try Self.usageEvent(event.source, event.id, in: database) else { continue }
                _ = try Books.insertConflict(
                    kind: "event", id: event.id, source: event.source, sequence: 0, stored: Document.text(stored),
                    offered: Document.text(event), storedAt: Self.now(), in: database)
            }
        }
    }

    private static func insert(_ event: UsageEvent, storedAt: Timestamp, in database: Database) throws -> Bool {
        let statement = try database.cachedStatement(
            sql: """
                INSERT INTO usage_event (source, id, type, consumer, service, meter, micro_units, at, stored_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """)
        try statement.execute(arguments: [
            SQLText.encoded(event.source), SQLText.encoded(event.id), SQLText.encoded(event.type),
            SQLText.encoded(event.consumer.rawValue), SQLText.encoded(event.service.rawValue),
            SQLText.encoded(event.meter), event.microUnits, event.at.microseconds, storedAt.microseconds,
        ])
        return database.changesCount == 1
    }

    private static func usageEvent(_ source: String, _ id: String, in database: Database) throws -> UsageEvent? {
        try Row.fetchOne(
            database, sql: "SELECT * FROM usage_event WHERE source = ? AND id = ?",
            arguments: [SQLText.encoded(source), SQLText.encoded(id)]
        ).map(usageEvent)
    }

    private static func usageEvent(_ row: Row) -> UsageEvent {
        UsageEvent(
            source: row.text("source"), id: row.text("id"), type: row.text("type"),
            consumer: row.identifier("consumer"), service: row.identifier("service"), meter: row.text("meter"),
            microUnits: row["micro_units"], at: row.time("at"))
    }

    public func usageEvents(
        after position: Int64, limit: Int
    ) async throws(LogDatabaseError) -> [StoredUsageEvent] {
        try await read("reading usage events") { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM usage_event WHERE position > ? ORDER BY position LIMIT ?",
                arguments: [position, max(0, limit)]
            ).map { StoredUsageEvent(position: $0["position"], event: Self.usageEvent($0)) }
        }
    }

    public func usageEventSums(_ query: UsageQuery) async throws(LogDatabaseError) -> [UsageEventSum] {
        var conditions = Conditions()
        conditions.add("consumer", equals: query.consumer)
        conditions.add("service", equals: query.service)
        conditions.add("at", from: query.from, until: query.until)
        // Whole units and the rest apart: neither sum can overflow.
        let sql = """
            SELECT consumer, service, meter, count(*) AS events, sum(micro_units / 1000000) AS units,
                sum(micro_units % 1000000) AS rest
            FROM usage_event\(conditions.sql)
            GROUP BY consumer, service, meter ORDER BY consumer, service, meter
            """
        let arguments = conditions.arguments
        return try await read("summing up usage events") { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map { row in
                let units: Int64 = row["units"]
                let rest: Int64 = row["rest"]
                return UsageEventSum(
                    consumer: row.identifier("consumer"), service: row.identifier("service"), meter: row.text("meter"),
                    events: row["events"], microUnits: Int128(units) * 1_000_000 + Int128(rest))
            }
        }
    }

    public func usageRecords(
        _ query: UsageQuery, after place: UsageRecordPlace?, limit: Int
    ) async throws(LogDatabaseError) -> [StoredUsageRecord] {
        var conditions = Conditions()
        conditions.add("consumer.text", equals: query.consumer)
        conditions.add("service.text", equals: query.service)
        conditions.add("instance.text", equals: query.instance)
        conditions.add("completed_at", from: query.from, until: query.until)
        if let place {
            conditions.add(
                "(completed_at, request_high, request_low) > (?, ?, ?)", place.completedAt.microseconds,
                Int64(bitPattern: place.requestID.high), Int64(bitPattern: place.requestID.low))
        }
        let sql =
            Books.usageQuery + conditions.sql
            + " ORDER BY completed_at, request_high, request_low LIMIT \(max(0, limit))"
        let arguments = conditions.arguments
        return try await read("reading usage records") { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map(Books.usageRecord)
        }
    }
}

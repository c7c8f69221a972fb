public import CloudModel
public import CloudPorts
import LogRecords

extension PostgresLogDatabase {
    public func heartbeat(_ instances: [InstanceID], at: Timestamp) async throws(LogDatabaseError) {
        guard !instances.isEmpty else { return }
        // In order: two writers never wait for each other in a circle.
        let names = Set(instances.map(\.rawValue)).sorted()
        try await write("storing heartbeats") { connection in
            for name in names {
                try connection.run(
                    """
                    INSERT INTO heartbeat VALUES ($1, $2)
                    ON CONFLICT (instance) DO UPDATE SET at = greatest(heartbeat.at, excluded.at)
                    """, name, at)
            }
        }
    }

    public func lastHeartbeats() async throws(LogDatabaseError) -> [InstanceID: Timestamp] {
        try await read("reading heartbeats") { connection in
            let pairs = try connection.run("SELECT instance, at FROM heartbeat").map { row in
                (try row.identifier("instance") as InstanceID, try row.time("at"))
            }
            return Dictionary(pairs) { max($0, $1) }
        }
    }

    public func lifecycleEvents(_ query: UsageQuery) async throws(LogDatabaseError) -> [LifecycleEvent] {
        try await read("reading lifecycle events") { connection in
            var conditions = Conditions()
            conditions.add("owner", equals: query.consumer)
            conditions.add("service", equals: query.service)
            conditions.add("instance", equals: query.instance)
            // An incarnation concerns the query's time if it was heard of before the end of it, and is not known to
            // have stopped before its beginning; then all of its events are needed to tell how long it ran.
            let run = """
                SELECT 1 FROM lifecycle_event AS run WHERE run.service = event.service
                AND run.instance = event.instance AND run.incarnation = event.incarnation
                """
            if let until = query.until { conditions.add("EXISTS (\(run) AND run.at < ?)", until) }
            if let from = query.from {
                conditions.add(
                    "(EXISTS (\(run) AND run.at >= ?) OR NOT EXISTS (\(run) AND run.kind = 'stop'))", from)
            }
            return try connection.run(
                "SELECT * FROM lifecycle_event AS event\(conditions.sql) ORDER BY at, position", conditions.parameters
            ).map(Self.lifecycleEvent)
        }
    }

    public func storedLifecycleEvents(
        after position: Int64, limit: Int
    ) async throws(LogDatabaseError) -> [StoredLifecycleEvent] {
        try await read("reading lifecycle events") { connection in
            try connection.run(
                "SELECT * FROM lifecycle_event WHERE position > $1 ORDER BY position LIMIT $2", position, max(0, limit)
            ).map { StoredLifecycleEvent(position: try $0.number("position"), event: try Self.lifecycleEvent($0)) }
        }
    }

    /// The same fact twice is stored once; another content under the same id is kept as a conflict. A concluded event
    /// and a received one stand side by side, so that the correction of a lost stop shows what it corrects.
    static func append(_ events: [LifecycleEvent], on connection: Connection) throws {
        guard !events.isEmpty else { return }
        var positions = try PositionCounter("lifecycle_event", on: connection)
        for event in events {
            if try insert(event, position: positions.next, on: connection) { positions.advance() }
        }
        try positions.store()
    }

    private static func insert(_ event: LifecycleEvent, position: Int64, on connection: Connection) throws -> Bool {
        let storedAt = now()
        let inserted = try connection.run(
            """
            INSERT INTO lifecycle_event (position, id, inferred, instance, incarnation, service, owner, kind, at,
                cpu_millicores, memory_bytes, stored_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) ON CONFLICT DO NOTHING
            """, position, event.id, event.inferred, event.instance, event.incarnation, event.service, event.owner,
            event.kind.rawValue, event.at, event.resources.cpuMillicores, event.resources.memory?.bytes, storedAt)
        guard inserted.affected == 0 else { return true }
        let row = try connection.run(
            "SELECT * FROM lifecycle_event WHERE id = $1 AND inferred = $2", event.id, event.inferred
        ).first
        guard let row else {
            throw LogDatabaseError(.corrupted, "lifecycle event \(event.id) is refused and not stored")
        }
        let stored = try lifecycleEvent(row)
        guard stored != event else { return false }
        _ = try Books.insertConflict(
            kind: "lifecycle", id: event.id, source: "", sequence: 0, stored: Document.text(stored),
            offered: Document.text(event), storedAt: storedAt, on: connection)
        return false
    }

    static func lifecycleEvent(_ row: Row) throws -> LifecycleEvent {
        let memory: Int64? = try row.optionalNumber("memory_bytes")
        return LifecycleEvent(
            instance: try row.identifier("instance"), incarnation: try row.number("incarnation"),
            service: try row.identifier("service"), owner: try row.optionalIdentifier("owner"),
            kind: try row.word("kind"), at: try row.time("at"),
            resources: ResourceLimits(
                cpuMillicores: try row.optionalNumber("cpu_millicores"), memory: memory.map { ByteCount(bytes: $0) }),
            inferred: try row.flag("inferred"))
    }
}

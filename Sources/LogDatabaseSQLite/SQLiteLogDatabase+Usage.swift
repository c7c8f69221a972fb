public import CloudModel
public import CloudPorts
import GRDB
import LogRecords

extension SQLiteLogDatabase {
    // MARK: Monitoring agent

    /// A request belongs to the time at which it was completed. Whole hours come from the sums that ingestion keeps, so
    /// that a report over a year does not read a year's records; the rest is summed record by record.
    public func requestUsage(_ query: UsageQuery) async throws(LogDatabaseError) -> [RequestUsage] {
        if let period = query.period, period <= .zero { return [] }
        let sums = UsageSums(query)
        return try await read("summing up usage") { database in
            try Row.fetchAll(database, sql: sums.sql, arguments: sums.arguments).map { row in
                RequestUsage(
                    consumer: row.identifier("consumer_name"), service: row.identifier("service_name"),
                    instance: row.optionalIdentifier("instance_name"),
                    periodStart: query.period == nil ? nil : row.time("period"), requests: row["requests"],
                    rejected: row["rejected"], failed: row["failed"], aborted: row["aborted"],
                    bytesIn: row["bytes_in"], bytesOut: row["bytes_out"], busyMicroseconds: row["busy_microseconds"])
            }
        }
    }

    public func usageRecords(
        _ query: UsageQuery, before place: UsageRecordPlace?, limit: Int
    ) async throws(LogDatabaseError) -> [StoredUsageRecord] {
        var conditions = Conditions()
        conditions.add("consumer.text", equals: query.consumer)
        conditions.add("service.text", equals: query.service)
        conditions.add("instance.text", equals: query.instance)
        conditions.add("completed_at", from: query.from, until: query.until)
        if let place {
            conditions.add("completed_at <= ?", place.completedAt.microseconds)
            conditions.add(
                """
                (completed_at, usage_record.source, sequence) < (
                    SELECT last.completed_at, last.source, last.sequence FROM usage_record AS last
                    WHERE last.request_high = ? AND last.request_low = ?)
                """, Int64(bitPattern: place.requestID.high), Int64(bitPattern: place.requestID.low))
        }
        let sql =
            Books.usageQuery + conditions.sql
            + " ORDER BY completed_at DESC, usage_record.source DESC, sequence DESC LIMIT \(max(0, limit))"
        let arguments = conditions.arguments
        return try await read("reading usage records") { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map(Books.usageRecord)
        }
    }

    public func usageRecord(_ id: RequestID) async throws(LogDatabaseError) -> StoredUsageRecord? {
        try await read("reading usage record \(id)") { try Books.usageRecord(id, in: $0) }
    }

    // MARK: Resource agent

    public func heartbeat(_ instances: [InstanceID], at: Timestamp) async throws(LogDatabaseError) {
        guard !instances.isEmpty else { return }
        try await write("storing heartbeats") { database in
            let statement = try database.cachedStatement(
                sql: "INSERT INTO heartbeat VALUES (?, ?) ON CONFLICT DO UPDATE SET at = max(at, excluded.at)")
            for instance in instances {
                try statement.execute(arguments: [SQLText.encoded(instance.rawValue), at.microseconds])
            }
        }
    }

    public func lastHeartbeats() async throws(LogDatabaseError) -> [InstanceID: Timestamp] {
        try await read("reading heartbeats") { database in
            var times: [InstanceID: Timestamp] = [:]
            for row in try Row.fetchAll(database, sql: "SELECT instance, at FROM heartbeat") {
                times[row.identifier("instance")] = row.time("at")
            }
            return times
        }
    }

    public func lifecycleEvents(_ query: UsageQuery) async throws(LogDatabaseError) -> [LifecycleEvent] {
        var conditions = Conditions()
        conditions.add("owner", equals: query.consumer)
        conditions.add("service", equals: query.service)
        conditions.add("instance", equals: query.instance)
        // An incarnation concerns the query's time if it was heard of before the end of it, and is not known to have
        // stopped before its beginning; then all of its events are needed to tell how long it ran.
        let run =
            "run.service = event.service AND run.instance = event.instance AND run.incarnation = event.incarnation"
        if let until = query.until {
            conditions.add(
                "EXISTS (SELECT 1 FROM lifecycle_event AS run WHERE \(run) AND run.at < ?)", until.microseconds)
        }
        if let from = query.from {
            conditions.add(
                """
                (EXISTS (SELECT 1 FROM lifecycle_event AS run WHERE \(run) AND run.at >= ?)
                OR NOT EXISTS (SELECT 1 FROM lifecycle_event AS run WHERE \(run) AND run.kind = 'stop'))
                """, from.microseconds)
        }
        let sql = "SELECT * FROM lifecycle_event AS event\(conditions.sql) ORDER BY at, position"
        let arguments = conditions.arguments
        return try await read("reading lifecycle events") { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map(Self.lifecycleEvent)
        }
    }

    /// The same fact twice is stored once; another content under the same id is kept as a conflict. A concluded event
    /// and a received one stand side by side, so that the correction of a lost stop shows what it corrects.
    static func append(_ event: LifecycleEvent, to database: Database) throws {
        let storedAt = now()
        try database.execute(
            sql: """
                INSERT INTO lifecycle_event (id, inferred, instance, incarnation, service, owner, kind, at,
                    cpu_millicores, memory_bytes, stored_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """,
            arguments: [
                SQLText.encoded(event.id), event.inferred, SQLText.encoded(event.instance.rawValue),
                event.incarnation, SQLText.encoded(event.service.rawValue),
                (event.owner?.rawValue).map(SQLText.encoded), event.kind.rawValue, event.at.microseconds,
                event.resources.cpuMillicores, event.resources.memory?.bytes, storedAt.microseconds,
            ])
        guard database.changesCount == 0 else { return }
        let row = try Row.fetchOne(
            database, sql: "SELECT * FROM lifecycle_event WHERE id = ? AND inferred = ?",
            arguments: [SQLText.encoded(event.id), event.inferred])
        guard let row else {
            throw LogDatabaseError(.corrupted, "lifecycle event \(event.id) is refused and not stored")
        }
        let stored = try lifecycleEvent(row)
        guard stored != event else { return }
        _ = try Books.insertConflict(
            kind: "lifecycle", id: event.id, source: "", sequence: 0, stored: Document.text(stored),
            offered: Document.text(event), storedAt: storedAt, in: database)
    }

    static func lifecycleEvent(_ row: Row) throws -> LifecycleEvent {
        let memory: Int64? = row["memory_bytes"]
        return LifecycleEvent(
            instance: row.identifier("instance"), incarnation: row["incarnation"], service: row.identifier("service"),
            owner: row.optionalIdentifier("owner"), kind: try row.word("kind"), at: row.time("at"),
            resources: ResourceLimits(
                cpuMillicores: row["cpu_millicores"], memory: memory.map { ByteCount(bytes: $0) }),
            inferred: row["inferred"])
    }
}

/// The query that sums usage over the hours kept and the records at the edges.
struct UsageSums {
    private(set) var sql: String
    private(set) var arguments = StatementArguments()

    init(_ query: UsageQuery) {
        var parts: [String] = []
        func add(_ part: String, _ column: String, from: Int64?, until: Int64?) {
            var range = Conditions()
            // Here and not around the sums: whoever asks for one consumer does not sum up all.
            for (name, value) in [
                ("consumer", query.consumer?.rawValue), ("service", query.service?.rawValue),
                ("instance", query.instance?.rawValue),
            ] {
                guard let value else { continue }
                range.add("\(name) = (SELECT id FROM name WHERE text = ?)", SQLText.encoded(value))
            }
            range.add(
                column, from: from.map { Timestamp(microseconds: $0) }, until: until.map { Timestamp(microseconds: $0) }
            )
            parts.append(part + range.sql)
            arguments += range.arguments
        }
        arguments = []
        sql = ""
        let (from, until) = (query.from?.microseconds, query.until?.microseconds)
        let hours = UsageHour.wholeHours(of: query)
        if let hours {
            add(Self.hours, "hour", from: hours.from, until: hours.until)
            if let from, let begin = hours.from, from < begin {
                add(Self.records, "completed_at", from: from, until: begin)
            }
            if let until, let end = hours.until, end < until {
                add(Self.records, "completed_at", from: end, until: until)
            }
        } else {
            add(Self.records, "completed_at", from: from, until: until)
        }
        let period = query.period?.microseconds
        // SQLite's remainder has the sign of the dividend; a period begins before its times also before 1970.
        let start = period.map { "at - ((at % \($0)) + \($0)) % \($0)" } ?? "NULL"
        sql = """
            SELECT consumer.text AS consumer_name, service.text AS service_name, instance.text AS instance_name,
                period, requests, rejected, failed, aborted, bytes_in, bytes_out, busy AS busy_microseconds
            FROM (
                SELECT consumer, service, instance, \(start) AS period, sum(requests) AS requests,
                    sum(rejected) AS rejected, sum(failed) AS failed, sum(aborted) AS aborted,
                    sum(bytes_in) AS bytes_in, sum(bytes_out) AS bytes_out, sum(busy) AS busy
                FROM (\(parts.joined(separator: " UNION ALL ")))
                GROUP BY consumer, service, instance, period
            ) AS sums
            JOIN name AS consumer ON consumer.id = sums.consumer
            JOIN name AS service ON service.id = sums.service
            LEFT JOIN name AS instance ON instance.id = sums.instance
            ORDER BY consumer_name, service_name, instance_name, period
            """
    }

    private static let hours = """
        SELECT hour AS at, consumer, service, nullif(instance, 0) AS instance, requests, rejected, failed, aborted,
            bytes_in, bytes_out, busy_microseconds AS busy
        FROM usage_hour
        """

    private static let records = """
        SELECT completed_at AS at, consumer, service, instance, outcome <> 6 AS requests, outcome = 4 AS rejected,
            outcome = 3 AS failed, outcome IN (1, 2) AS aborted, bytes_in, bytes_out,
            CASE WHEN forwarded_at IS NULL THEN 0 ELSE max(0, completed_at - forwarded_at) END AS busy
        FROM usage_record
        """
}

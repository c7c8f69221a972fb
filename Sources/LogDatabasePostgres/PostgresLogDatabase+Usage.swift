public import CloudModel
public import CloudPorts
import LogRecords

extension PostgresLogDatabase {
    // MARK: Sums

    /// A request belongs to the time at which it was completed. Whole hours come from the sums that ingestion keeps, so
    /// that a report over a year does not read a year's records; the rest is summed record by record.
    public func requestUsage(_ query: UsageQuery) async throws(LogDatabaseError) -> [RequestUsage] {
        if let period = query.period, period <= .zero { return [] }
        return try await read("summing up usage") { connection in
            let sums = UsageSums(query)
            return try connection.run(sums.sql, sums.parameters).map { row in
                RequestUsage(
                    consumer: try row.identifier("consumer_name"), service: try row.identifier("service_name"),
                    instance: try row.optionalIdentifier("instance_name"),
                    periodStart: query.period == nil ? nil : try row.time("period"),
                    requests: try row.number("requests"), rejected: try row.number("rejected"),
                    failed: try row.number("failed"), aborted: try row.number("aborted"),
                    bytesIn: try row.number("bytes_in"), bytesOut: try row.number("bytes_out"),
                    busyMicroseconds: try row.number("busy_microseconds"))
            }
        }
    }

    public func requestActivity(_ query: UsageQuery) async throws(LogDatabaseError) -> [InstanceActivity] {
        try await read("reading what instances did") { connection in
            let conditions = Self.conditions(of: query)
            let sql = """
                SELECT service.text AS service_name, instance.text AS instance_name,
                    count(*) FILTER (WHERE outcome <> \(RequestOutcome.tunnelContinued.rawValue)) AS requests,
                    least(sum(CASE WHEN forwarded_at IS NULL THEN 0 ELSE greatest(0, completed_at - forwarded_at) END),
                        \(Int64.max))::bigint AS busy,
                    min(coalesce(forwarded_at, received_at)) AS first_at, max(completed_at) AS last_at
                FROM (SELECT * FROM usage_record\(conditions.sql)) AS usage_record
                JOIN name AS service ON service.id = usage_record.service
                JOIN name AS instance ON instance.id = usage_record.instance
                GROUP BY service.text, instance.text ORDER BY service.text, instance.text
                """
            return try connection.run(sql, conditions.parameters).map { row in
                InstanceActivity(
                    service: try row.identifier("service_name"), instance: try row.identifier("instance_name"),
                    requests: try row.number("requests"), busyMicroseconds: try row.number("busy"),
                    firstAt: try row.time("first_at"), lastAt: try row.time("last_at"))
            }
        }
    }

    // MARK: Records

    public func usageRecords(
        _ query: UsageQuery, before place: UsageRecordPlace?, limit: Int
    ) async throws(LogDatabaseError) -> [StoredUsageRecord] {
        try await read("reading usage records") { connection in
            var conditions = Self.conditions(of: query)
            if let place {
                // The first part alone tells which partitions can be left out.
                conditions.add("completed_at <= ?", place.completedAt)
                conditions.add(
                    """
                    (completed_at, usage_record.source, sequence) < (
                        SELECT last.completed_at, last.source, last.sequence FROM usage_record AS last
                        WHERE last.request_high = ? AND last.request_low = ? AND last.completed_at = ?)
                    """, Int64(bitPattern: place.requestID.high), Int64(bitPattern: place.requestID.low),
                    place.completedAt)
            }
            let order = " ORDER BY completed_at DESC, source DESC, sequence DESC"
            let records = "SELECT * FROM usage_record\(conditions.sql)\(order) LIMIT \(max(0, limit))"
            let outer = " ORDER BY completed_at DESC, usage_record.source DESC, sequence DESC"
            return try connection.run(Books.usageQuery(records, order: outer), conditions.parameters)
                .map(Books.usageRecord)
        }
    }

    public func usageRecords(
        _ query: UsageQuery, after place: UsageRecordPlace?, limit: Int
    ) async throws(LogDatabaseError) -> [StoredUsageRecord] {
        try await read("reading usage records") { connection in
            var conditions = Self.conditions(of: query)
            if let place {
                // The first part alone tells which partitions can be left out.
                conditions.add("completed_at >= ?", place.completedAt)
                conditions.add(
                    "(completed_at, request_high, request_low) > (?, ?, ?)", place.completedAt,
                    Int64(bitPattern: place.requestID.high), Int64(bitPattern: place.requestID.low))
            }
            let order = " ORDER BY completed_at, request_high, request_low"
            let records = "SELECT * FROM usage_record\(conditions.sql)\(order) LIMIT \(max(0, limit))"
            return try connection.run(Books.usageQuery(records, order: order), conditions.parameters)
                .map(Books.usageRecord)
        }
    }

    public func usageRecord(_ id: RequestID) async throws(LogDatabaseError) -> StoredUsageRecord? {
        try await read("reading usage record \(id)") { try Books.usageRecord(id, on: $0) }
    }

    private static func conditions(of query: UsageQuery) -> Conditions {
        var conditions = Conditions()
        conditions.addNames(of: query)
        conditions.add("completed_at", from: query.from, until: query.until)
        return conditions
    }

    // MARK: By source

    public func usageSources() async throws(LogDatabaseError) -> [String] {
        try await read("reading the sources of usage records") { connection in
            try connection.run(
                """
                SELECT name FROM source
                WHERE EXISTS (SELECT 1 FROM usage_record WHERE usage_record.source = source.id)
                """
            ).map { try $0.text("name") }.sorted()
        }
    }

    public func usageRecords(
        ofSource source: String, after sequence: UInt64, limit: Int
    ) async throws(LogDatabaseError) -> [StoredUsageRecord] {
        let records = """
            SELECT * FROM usage_record
            WHERE source = (SELECT id FROM source WHERE name = $1) AND sequence > $2 AND NOT EXISTS (
                SELECT 1 FROM usage_late
                WHERE usage_late.source = usage_record.source AND usage_late.sequence = usage_record.sequence)
            ORDER BY sequence LIMIT $3
            """
        return try await read("reading usage records of \(source)") { connection in
            try connection.run(
                Books.usageQuery(records, order: " ORDER BY sequence"), source, Int64(clamping: sequence),
                max(0, limit)
            ).map(Books.usageRecord)
        }
    }

    public func lateUsageRecords(
        after position: Int64, limit: Int
    ) async throws(LogDatabaseError) -> [LateUsageRecord] {
        let records = """
            SELECT usage_record.*, late.position AS late_position
            FROM (SELECT * FROM usage_late WHERE position > $1 ORDER BY position LIMIT $2) AS late
            JOIN usage_record ON usage_record.source = late.source AND usage_record.sequence = late.sequence
            """
        return try await read("reading late usage records") { connection in
            try connection.run(Books.usageQuery(records, order: " ORDER BY late_position"), position, max(0, limit))
                .map { LateUsageRecord(position: try $0.number("late_position"), stored: try Books.usageRecord($0)) }
        }
    }

    // MARK: What is missing or in conflict

    /// What came after its gap was noticed is in the books: it is not missing any more.
    public func recordGaps(
        from: Timestamp, until: Timestamp, limit: Int
    ) async throws(LogDatabaseError) -> [RecordGap] {
        let sql = RecordGapQuery.sql { "$\($0)" }
        return try await read("reading gaps") { connection in
            try connection.run(sql, from, until, max(0, limit)).map { row in
                RecordGap(
                    source: try row.text("source_name"), missing: try row.number("missing"),
                    since: try row.time("gap_begin"), until: try row.time("gap_end"))
            }
        }
    }

    public func conflictingRequests(
        from: Timestamp, until: Timestamp, limit: Int
    ) async throws(LogDatabaseError) -> [RequestID] {
        let sql = """
            SELECT DISTINCT record_id FROM record_conflict WHERE kind = 'usage' AND stored_at >= $1 AND stored_at < $2
            ORDER BY record_id LIMIT $3
            """
        return try await read("reading conflicts") { connection in
            try connection.run(sql, from, until, max(0, limit)).map { RequestID(try $0.text("record_id")) }
                .compactMap { $0 }
        }
    }
}

extension Conditions {
    /// By ids: a name that is not there matches nothing.
    mutating func addNames(of query: UsageQuery) {
        let names: [(String, String?)] = [
            ("consumer", query.consumer?.rawValue), ("service", query.service?.rawValue),
            ("instance", query.instance?.rawValue),
        ]
        for case (let column, let name?) in names { add("\(column) = (SELECT id FROM name WHERE text = ?)", name) }
    }
}

/// The query that sums usage over the hours kept and the records at the edges.
struct UsageSums {
    private(set) var sql = ""
    private(set) var parameters: [(any SQLParameter)?] = []

    init(_ query: UsageQuery) {
        var parts: [String] = []
        func add(_ part: String, _ column: String, from: Int64?, until: Int64?) {
            // Here and not around the sums: whoever asks for one consumer does not sum up all.
            var range = Conditions(after: parameters)
            range.addNames(of: query)
            range.add(
                column, from: from.map { Timestamp(microseconds: $0) }, until: until.map { Timestamp(microseconds: $0) }
            )
            parts.append(part + range.sql)
            parameters = range.parameters
        }
        let (from, until) = (query.from?.microseconds, query.until?.microseconds)
        if let hours = UsageHour.wholeHours(of: query) {
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
        sql = Self.statement(over: parts.joined(separator: " UNION ALL "), period: query.period?.microseconds)
    }

    private static func statement(over parts: String, period: Int64?) -> String {
        // The remainder has the sign of the dividend; a period begins before its times also before 1970.
        let start = period.map { "at - ((at % \($0)) + \($0)) % \($0)" } ?? "NULL::bigint"
        func sum(_ column: String) -> String { "least(sum(\(column)), \(Int64.max))::bigint AS \(column)" }
        return """
            SELECT consumer.text AS consumer_name, service.text AS service_name, instance.text AS instance_name,
                period, requests, rejected, failed, aborted, bytes_in, bytes_out, busy_microseconds
            FROM (
                SELECT consumer, service, instance, \(start) AS period, \(sum("requests")), \(sum("rejected")),
                    \(sum("failed")), \(sum("aborted")), \(sum("bytes_in")), \(sum("bytes_out")),
                    \(sum("busy_microseconds"))
                FROM (\(parts)) AS parts GROUP BY 1, 2, 3, 4
            ) AS sums
            JOIN name AS consumer ON consumer.id = sums.consumer
            JOIN name AS service ON service.id = sums.service
            LEFT JOIN name AS instance ON instance.id = sums.instance
            ORDER BY consumer_name, service_name, instance_name NULLS FIRST, period
            """
    }

    private static let hours = """
        SELECT hour AS at, consumer, service, nullif(instance, 0) AS instance, requests, rejected, failed, aborted,
            bytes_in, bytes_out, busy_microseconds
        FROM usage_hour
        """

    private static let records = """
        SELECT completed_at AS at, consumer, service, instance, (outcome <> 6)::integer::bigint AS requests,
            (outcome = 4)::integer::bigint AS rejected, (outcome = 3)::integer::bigint AS failed,
            (outcome IN (1, 2))::integer::bigint AS aborted, bytes_in, bytes_out,
            CASE WHEN forwarded_at IS NULL THEN 0 ELSE greatest(0, completed_at - forwarded_at) END
                AS busy_microseconds
        FROM usage_record
        """
}

public import CloudModel
public import CloudPorts
import GRDB
import LogRecords

extension SQLiteLogDatabase {
    // MARK: Bills

    public func bills(_ query: BillQuery) async throws(LogDatabaseError) -> [StoredBill] {
        var conditions = Conditions()
        conditions.add("consumer", equals: query.consumer)
        conditions.add("month", equals: query.month)
        if let after = query.after.map(SQLText.encoded) {
            conditions.add(
                "(period_start \(query.oldestFirst ? ">" : "<") (SELECT period_start FROM bill WHERE id = ?)"
                    + " OR period_start = (SELECT period_start FROM bill WHERE id = ?)"
                    + " AND consumer \(query.oldestFirst ? "<" : ">") (SELECT consumer FROM bill WHERE id = ?))", after,
                after, after)
        }
        let order = query.oldestFirst ? "period_start, consumer DESC" : "period_start DESC, consumer"
        let sql = "SELECT * FROM bill\(conditions.sql) ORDER BY \(order) LIMIT \(max(0, query.limit))"
        let arguments = conditions.arguments
        return try await read("reading bills") { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map(Self.bill)
        }
    }

    public func bill(_ id: String) async throws(LogDatabaseError) -> StoredBill? {
        try await read("reading bill \(id)") { database in
            try Row.fetchOne(database, sql: "SELECT * FROM bill WHERE id = ?", arguments: [SQLText.encoded(id)])
                .map(Self.bill)
        }
    }

    public func credits(
        of consumer: ConsumerID, from: Timestamp, until: Timestamp
    ) async throws(LogDatabaseError) -> [Credit] {
        var conditions = Conditions()
        conditions.add("consumer", equals: consumer)
        conditions.add("at", from: from, until: until)
        let sql = "SELECT * FROM credit\(conditions.sql) ORDER BY at, position"
        let arguments = conditions.arguments
        return try await read("reading credits") { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map(Self.credit)
        }
    }

    public func credit(_ id: String) async throws(LogDatabaseError) -> Credit? {
        try await read("reading credit \(id)") { database in
            try Row.fetchOne(database, sql: "SELECT * FROM credit WHERE id = ?", arguments: [SQLText.encoded(id)])
                .map(Self.credit)
        }
    }

    static func append(_ bill: StoredBill, to database: Database) throws {
        try database.execute(
            sql: """
                INSERT INTO bill (id, consumer, month, period_start, period_end, currency, total, closed_at, content)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """,
            arguments: [
                SQLText.encoded(bill.id), SQLText.encoded(bill.consumer.rawValue), SQLText.encoded(bill.month),
                bill.periodStart.microseconds, bill.periodEnd.microseconds, bill.total.currency.code,
                bill.total.minorUnits, bill.closedAt.microseconds, SQLText.encoded(bill.json),
            ])
    }

    static func append(_ credit: Credit, to database: Database) throws {
        try database.execute(
            sql: """
                INSERT INTO credit (id, consumer, at, currency, amount, reason, actor, stored_at)
                VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING
                """,
            arguments: [
                SQLText.encoded(credit.id), SQLText.encoded(credit.consumer.rawValue), credit.at.microseconds,
                credit.amount.currency.code, credit.amount.minorUnits, SQLText.encoded(credit.reason),
                SQLText.encoded(credit.actor), now().microseconds,
            ])
    }

    private static func bill(_ row: Row) throws -> StoredBill {
        StoredBill(
            id: row.text("id"), consumer: row.identifier("consumer"), month: row.text("month"),
            periodStart: row.time("period_start"), periodEnd: row.time("period_end"),
            total: try money(row, "total"), closedAt: row.time("closed_at"), json: row.text("content"))
    }

    private static func credit(_ row: Row) throws -> Credit {
        Credit(
            id: row.text("id"), consumer: row.identifier("consumer"), at: row.time("at"),
            amount: try money(row, "amount"), reason: row.text("reason"), actor: row.text("actor"))
    }

    private static func money(_ row: Row, _ column: String) throws -> Money {
        let code = row.text("currency")
        guard let currency = Currency(code) else {
            throw LogDatabaseError(.corrupted, "'\(code)' is no currency")
        }
        return Money(minorUnits: row[column], currency: currency)
    }

    // MARK: Reconciliation

    public func requestActivity(_ query: UsageQuery) async throws(LogDatabaseError) -> [InstanceActivity] {
        var conditions = Conditions()
        conditions.add("completed_at", from: query.from, until: query.until)
        conditions.add("consumer.text", equals: query.consumer)
        conditions.add("service.text", equals: query.service)
        conditions.add("instance.text", equals: query.instance)
        // The records are few where the time is short; the names of the others are not looked for.
        let sql = """
            SELECT service.text AS service_name, instance.text AS instance_name,
                count(*) FILTER (WHERE outcome <> \(RequestOutcome.tunnelContinued.rawValue)) AS requests,
                sum(CASE WHEN forwarded_at IS NULL THEN 0 ELSE max(0, completed_at - forwarded_at) END) AS busy,
                min(coalesce(forwarded_at, received_at)) AS first_at, max(completed_at) AS last_at
            FROM usage_record
            JOIN name AS consumer ON consumer.id = usage_record.consumer
            JOIN name AS service ON service.id = usage_record.service
            JOIN name AS instance ON instance.id = usage_record.instance\(conditions.sql)
            GROUP BY service_name, instance_name ORDER BY service_name, instance_name
            """
        let arguments = conditions.arguments
        return try await read("reading what instances did") { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map { row in
                InstanceActivity(
                    service: row.identifier("service_name"), instance: row.identifier("instance_name"),
                    requests: row["requests"], busyMicroseconds: row["busy"], firstAt: row.time("first_at"),
                    lastAt: row.time("last_at"))
            }
        }
    }

    /// What came after its gap was noticed is in the books: it is not missing any more.
    public func recordGaps(
        from: Timestamp, until: Timestamp, limit: Int
    ) async throws(LogDatabaseError) -> [RecordGap] {
        let sql = RecordGapQuery.sql { "?\($0)" }
        return try await read("reading gaps") { database in
            let arguments: StatementArguments = [from.microseconds, until.microseconds, max(0, limit)]
            return try Row.fetchAll(database, sql: sql, arguments: arguments).map { row in
                RecordGap(
                    source: row.text("source_name"), missing: row["missing"], since: row.time("gap_begin"),
                    until: row.time("gap_end"))
            }
        }
    }

    public func conflictingRequests(
        from: Timestamp, until: Timestamp, limit: Int
    ) async throws(LogDatabaseError) -> [RequestID] {
        let sql = """
            SELECT DISTINCT record_id FROM record_conflict WHERE kind = 'usage' AND stored_at >= ? AND stored_at < ?
            ORDER BY record_id LIMIT ?
            """
        return try await read("reading conflicts") { database in
            let arguments: StatementArguments = [from.microseconds, until.microseconds, max(0, limit)]
            return try String.fetchAll(database, sql: sql, arguments: arguments).compactMap {
                RequestID(SQLText.decoded($0))
            }
        }
    }
}

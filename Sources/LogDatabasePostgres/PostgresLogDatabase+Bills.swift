public import CloudModel
public import CloudPorts

extension PostgresLogDatabase {
    public func bills(_ query: BillQuery) async throws(LogDatabaseError) -> [StoredBill] {
        try await read("reading bills") { connection in
            var conditions = Conditions()
            conditions.add("consumer", equals: query.consumer)
            conditions.add("month", equals: query.month)
            if let after = query.after {
                conditions.add(
                    "(period_start \(query.oldestFirst ? ">" : "<") (SELECT period_start FROM bill WHERE id = ?)"
                        + " OR period_start = (SELECT period_start FROM bill WHERE id = ?)"
                        + " AND consumer \(query.oldestFirst ? "<" : ">") (SELECT consumer FROM bill WHERE id = ?))",
                    after,
                    after, after)
            }
            let order = query.oldestFirst ? "period_start, consumer DESC" : "period_start DESC, consumer"
            let sql = "SELECT * FROM bill\(conditions.sql) ORDER BY \(order) LIMIT \(max(0, query.limit))"
            return try connection.run(sql, conditions.parameters).map(Self.bill)
        }
    }

    public func bill(_ id: String) async throws(LogDatabaseError) -> StoredBill? {
        try await read("reading bill \(id)") { connection in
            try connection.run("SELECT * FROM bill WHERE id = $1", id).first.map(Self.bill)
        }
    }

    public func credits(
        of consumer: ConsumerID, from: Timestamp, until: Timestamp
    ) async throws(LogDatabaseError) -> [Credit] {
        try await read("reading credits") { connection in
            try connection.run(
                "SELECT * FROM credit WHERE consumer = $1 AND at >= $2 AND at < $3 ORDER BY at, position", consumer,
                from, until
            ).map(Self.credit)
        }
    }

    public func credit(_ id: String) async throws(LogDatabaseError) -> Credit? {
        try await read("reading credit \(id)") { connection in
            try connection.run("SELECT * FROM credit WHERE id = $1", id).first.map(Self.credit)
        }
    }

    static func append(_ bill: StoredBill, on connection: Connection) throws {
        try connection.run(
            """
            INSERT INTO bill (id, consumer, month, period_start, period_end, currency, total, closed_at, content)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT DO NOTHING
            """, bill.id, bill.consumer, bill.month, bill.periodStart, bill.periodEnd, bill.total.currency.code,
            bill.total.minorUnits, bill.closedAt, bill.json)
    }

    static func append(_ credit: Credit, on connection: Connection) throws {
        try connection.run(
            """
            INSERT INTO credit (id, consumer, at, currency, amount, reason, actor, stored_at)
            VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT DO NOTHING
            """, credit.id, credit.consumer, credit.at, credit.amount.currency.code, credit.amount.minorUnits,
            credit.reason, credit.actor, now())
    }

    private static func bill(_ row: Row) throws -> StoredBill {
        StoredBill(
            id: try row.text("id"), consumer: try row.identifier("consumer"), month: try row.text("month"),
            periodStart: try row.time("period_start"), periodEnd: try row.time("period_end"),
            total: try money(row, "total"), closedAt: try row.time("closed_at"), json: try row.text("content"))
    }

    private static func credit(_ row: Row) throws -> Credit {
        Credit(
            id: try row.text("id"), consumer: try row.identifier("consumer"), at: try row.time("at"),
            amount: try money(row, "amount"), reason: try row.text("reason"), actor: try row.text("actor"))
    }

    private static func money(_ row: Row, _ column: String) throws -> Money {
        let code = try row.text("currency")
        guard let currency = Currency(code) else {
            throw LogDatabaseError(.corrupted, "'\(code)' is no currency")
        }
        return Money(minorUnits: try row.number(column), currency: currency)
    }
}

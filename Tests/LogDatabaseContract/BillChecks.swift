public import CloudModel
public import CloudPorts

extension Samples {
    public static func money(_ minorUnits: Int64) -> Money? {
        Currency("EUR").map { Money(minorUnits: minorUnits, currency: $0) }
    }

    public static func bill(
        _ month: String, consumer: ConsumerID = "acme", total: Int64 = 1_234, text: String = "plain"
    ) throws -> StoredBill {
        guard let total = money(total), let start = Timestamp(rfc3339: "\(month)-01T00:00:00Z") else {
            throw ContractViolation(description: "\(month) is no month")
        }
        return StoredBill(
            id: "\(consumer)-\(month)", consumer: consumer, month: month, periodStart: start,
            periodEnd: start + .hours(720), total: total, closedAt: start + .hours(721), json: text)
    }

    public static func credit(_ id: String, at: Timestamp = start, amount: Int64 = 500, reason: String = "Outage")
        throws -> Credit
    {
        guard let amount = money(amount) else { throw ContractViolation(description: "there is no euro") }
        return Credit(id: id, consumer: "acme", at: at, amount: amount, reason: reason, actor: "root")
    }
}

extension LogDatabaseContract {
    static let billChecks: [LogDatabaseContract] = [
        LogDatabaseContract("a closed bill stays as it is, whatever is stored after it") { open in
            let bills = try ["2026-01", "2026-03", "2026-02"].map { try Samples.bill($0) }
            let other = try Samples.bill("2026-02", consumer: "beta", total: -5, text: "nul\u{0}␀ 名前")
            try await session(open) { database in
                try require(try await database.bill(bills[0].id) == nil, "none at first")
                var transaction = ControlTransaction()
                transaction.bills = bills + [other]
                transaction.events = [Samples.event("bill.closed")]
                try await database.commit(transaction)
                var second = bills[0]
                (second.json, second.total.minorUnits) = ("changed", 9)
                var sameMonth = bills[0]
                sameMonth.id = "another id"
                transaction.bills = [second, sameMonth]
                try await database.commit(transaction)
            }
            try await session(open) { database in
                try requireEqual(try await database.bill(bills[0].id), bills[0], "the first one")
                try require(try await database.bill("another id") == nil, "a consumer has one bill for a month")
                var query = BillQuery()
                try requireEqual(
                    try await database.bills(query), [bills[1], bills[2], other, bills[0]], "the newest month first")
                query.consumer = "acme"
                query.limit = 2
                try requireEqual(try await database.bills(query), [bills[1], bills[2]], "filtered and limited")
                query.after = bills[2].id
                try requireEqual(try await database.bills(query), [bills[0]], "those that come after one")
                query = BillQuery()
                query.month = "2026-02"
                try requireEqual(try await database.bills(query), [bills[2], other], "of a month")
                query.after = bills[2].id
                try requireEqual(try await database.bills(query), [other], "in a month by consumer")
                query = BillQuery()
                query.oldestFirst = true
                try requireEqual(
                    try await database.bills(query), [bills[0], other, bills[2], bills[1]], "turned around")
                query.after = other.id
                try requireEqual(try await database.bills(query), [bills[2], bills[1]], "the rest, turned around")
                query.after = "of no bill"
                try requireEqual(try await database.bills(query), [], "after what is not there nothing comes")
            }
        },
        LogDatabaseContract("a credit counts once, in its time") { open in
            let credits = try (0..<4).map { try Samples.credit("c-\($0)", at: Samples.start + .hours(Int64($0))) }
            try await session(open) { database in
                var transaction = ControlTransaction()
                var again = credits[1]
                (again.reason, again.amount.minorUnits) = ("other", 1)
                transaction.credits = credits.reversed() + [again]
                try await database.commit(transaction)
                transaction.credits = try [Samples.credit("odd", at: Samples.start - .hours(9), reason: "nul\u{0}")]
                try await database.commit(transaction)
                try requireEqual(try await database.credit("odd"), transaction.credits.first, "any text")
                try require(try await database.credit("unknown") == nil, "unknown: nil")
            }
            try await session(open) { database in
                try requireEqual(
                    try await database.credits(
                        of: "acme", from: Samples.start + .hours(1), until: Samples.start + .hours(3)),
                    Array(credits[1...2]), "from inclusive, until exclusive")
                try requireEqual(
                    try await database.credits(of: "beta", from: .epoch, until: .distantFuture), [], "another's")
            }
        },
        LogDatabaseContract("what an instance was seen to do is told from the single requests") { open in
            try await session(open) { database in
                let times: [Int64] = [0, 10, 20, 30]
                var records = times.enumerated().map { index, seconds in
                    Samples.usage(
                        UInt64(index + 1), consumer: index % 2 == 0 ? "acme" : "beta",
                        completedAt: Samples.start + .seconds(seconds))
                }
                records.append(Samples.usage(5, instance: nil, outcome: .rejected, busy: nil))
                records.append(Samples.usage(6, instance: "shop-2", busy: nil))
                try await database.ingest(Samples.batch(1, records.map { .usage($0) }))
                var query = UsageQuery()
                query.instance = "shop-1"
                query.from = Samples.start + .seconds(10)
                query.until = Samples.start + .seconds(30)
                let found = InstanceActivity(
                    service: "shop", instance: "shop-1", requests: 2, busyMicroseconds: 6_000,
                    firstAt: Samples.start + .seconds(10) - .milliseconds(3), lastAt: Samples.start + .seconds(20))
                try requireEqual(try await database.requestActivity(query), [found], "from inclusive, until exclusive")
                let all = try await database.requestActivity(UsageQuery())
                try requireEqual(all.map(\.instance), ["shop-1", "shop-2"], "requests without an instance are none's")
                try requireEqual(all.map(\.firstAt).last, Samples.start - .milliseconds(5), "received, not forwarded")
                query.from = Samples.start + .hours(1)
                query.until = nil
                try requireEqual(try await database.requestActivity(query), [], "nothing")
            }
        },
        LogDatabaseContract("gaps that are filled later are none, and conflicts name their requests") { open in
            try await session(open) { database in
                let since = Samples.start, until = Samples.start + .minutes(5)
                try await database.ingest(Samples.usageBatch(1...2))
                try await database.ingest(Samples.usageBatch(6...7))
                try await database.ingest(Samples.batch(8, [.lost(count: 9, since: since, until: until)]))
                func missing(_ from: Timestamp = .epoch, _ until: Timestamp = .distantFuture) async throws -> [Int64] {
                    try await database.recordGaps(from: from, until: until, limit: 10).map(\.missing)
                }
                try requireEqual(try await missing(), [3, 9], "three never came, nine could not be kept")
                try await database.ingest(Samples.usageBatch(4...4))
                try requireEqual(try await missing(), [2, 9], "one came later")
                try requireEqual(try await missing(since, until), [9], "only what was written then")
                try requireEqual(try await missing(until + .seconds(1), until + .seconds(2)), [], "and not after it")
                try await database.ingest(Samples.batch(3, [.usage(Samples.usage(3)), .usage(Samples.usage(4))]))
                try await database.ingest(Samples.usageBatch(5...5))
                try requireEqual(try await missing(), [9], "all came")
                var other = Samples.usage(1)
                other.bytesOut = 77
                try await database.ingest(Samples.batch(1, [.usage(other)]))
                let ids = try await database.conflictingRequests(from: .epoch, until: .distantFuture, limit: 10)
                try requireEqual(ids, [Samples.usage(1).requestID], "the request")
                try requireEqual(
                    try await database.conflictingRequests(from: .epoch, until: .epoch, limit: 10), [], "in the time")
            }
        },
    ]
}

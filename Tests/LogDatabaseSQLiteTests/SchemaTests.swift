import CloudModel
import CloudPorts
import Foundation
import GRDB
import LogDatabaseContract
import LogDatabaseSQLite
import Testing

@Suite struct SchemaTests {
    /// Dumps of databases as each released version wrote them.
    private static let goldenDumps = [1, 2, 3, 4]

    private func dump(ofVersion version: Int) throws -> String {
        let folder = URL(fileURLWithPath: #filePath).deletingLastPathComponent().appendingPathComponent("Golden")
        return try String(contentsOf: folder.appendingPathComponent("schema-\(version).sql"), encoding: .utf8)
    }

    @Test(arguments: goldenDumps)
    func everyReleasedSchemaIsBroughtUpToDateWithItsData(version: Int) async throws {
        let file = try DatabaseFile()
        let sql = try dump(ofVersion: version)
        try file.raw { try $0.execute(sql: sql) }
        let database = try file.open()
        try await GoldenContent.check(database, version: version)
        // And it works on: the next batch follows the mark.
        let outcome = try await database.ingest(Samples.usageBatch(7...9))
        #expect(outcome == IngestOutcome(stored: 3, duplicates: 0, conflicts: 0, gap: 0))
        await database.close()
        let fresh = try DatabaseFile()
        await (try fresh.open()).close()
        let migrated = try file.raw(Self.schema)
        #expect(try fresh.raw(Self.schema) == migrated)
    }

    private static func schema(_ database: Database) throws -> [String] {
        try String.fetchAll(
            database,
            sql: """
                SELECT type || ' ' || name || ' ' || coalesce(sql, '') FROM sqlite_master
                WHERE name NOT LIKE 'sqlite_%' ORDER BY type, name
                """)
    }

    @Test func aSchemaFromTheFutureIsRefused() async throws {
        let file = try DatabaseFile()
        await (try file.open()).close()
        try file.raw { try $0.execute(sql: "INSERT INTO grdb_migrations VALUES ('999')") }
        let refusal = #expect(throws: LogDatabaseError.self) { try file.open() }
        #expect(refusal?.code == .newerSchema)
        try file.raw { try $0.execute(sql: "DELETE FROM grdb_migrations WHERE identifier = '999'") }
        await (try file.open()).close()
    }

    @Test func theBooksAreAppendOnly() async throws {
        let file = try DatabaseFile()
        let database = try file.open()
        try await GoldenContent.write(to: database)
        await database.close()
        let tables = [
            "platform_event": "summary", "usage_record": "bytes_in", "audit_event": "principal",
            "lifecycle_event": "at",
            "record_gap": "records", "record_conflict": "offered", "bill": "total", "credit": "amount",
            "usage_event": "micro_units",
        ]
        for (table, column) in tables {
            for statement in ["UPDATE \(table) SET \(column) = \(column)", "DELETE FROM \(table)"] {
                let refusal = #expect(throws: DatabaseError.self) {
                    try file.raw { try $0.execute(sql: statement) }
                }
                #expect(refusal?.message == "\(table) is append-only")
            }
            let rows = try file.raw { try Int.fetchOne($0, sql: "SELECT count(*) FROM \(table)") }
            #expect((rows ?? 0) > 0, "the sample has rows in \(table)")
        }
    }

    @Test func sealsAndLateNumbersAreAppendOnly() async throws {
        let file = try DatabaseFile()
        let database = try file.open()
        try await database.ingest(Samples.usageBatch(2...2))
        try await database.ingest(Samples.usageBatch(1...1))
        try await database.store(
            StoredSeal(log: "audit", size: 1, lastPosition: 1, peaks: [], note: "", at: Samples.start))
        await database.close()
        for (table, column) in ["seal": "note", "usage_late": "sequence"] {
            for statement in ["UPDATE \(table) SET \(column) = \(column)", "DELETE FROM \(table)"] {
                let refusal = #expect(throws: DatabaseError.self) { try file.raw { try $0.execute(sql: statement) } }
                #expect(refusal?.message == "\(table) is append-only")
            }
        }
    }

    @Test func anOlderSchemaIsToldItsAbortedRequests() async throws {
        let file = try DatabaseFile()
        let database = try file.open()
        // Version 2 knew nothing of connections in stretches.
        let outcomes = RequestOutcome.allCases.filter { $0 != .tunnelContinued }
        let records = (UInt64(1)...60).map { number in
            SpoolRecord.usage(
                Samples.usage(
                    number, instance: number % 4 == 0 ? nil : "shop-1",
                    outcome: outcomes[Int(number) % outcomes.count],
                    completedAt: number % 5 == 0 ? Timestamp(microseconds: -1) : Samples.hour + .minutes(Int64(number)))
            )
        }
        try await database.ingest(Samples.batch(1, records))
        let now = try await database.requestUsage(UsageQuery())
        await database.close()
        // Back to what version 2 had.
        try file.raw { database in
            try database.execute(
                sql: """
                    ALTER TABLE usage_hour DROP COLUMN aborted; DROP TABLE bill; DROP TABLE credit;
                    DROP TABLE usage_event; DELETE FROM grdb_migrations WHERE identifier = '4';
                    DROP INDEX record_conflict_stored; DELETE FROM grdb_migrations WHERE identifier = '3';
                    """)
        }
        let migrated = try file.open()
        #expect(try await migrated.requestUsage(UsageQuery()) == now)
        #expect(now.map(\.aborted) == [5, 15])
        await migrated.close()
    }

    @Test func acknowledgedWritesAreSyncedToDisk() async throws {
        let file = try DatabaseFile()
        let database = try file.open()
        #expect(try await database.durability() == (journal: "wal", synchronous: 2))
        await database.close()
    }

    @Test func sumsByTheHourAgreeWithTheRecords() async throws {
        let file = try DatabaseFile()
        let database = try file.open()
        for start in stride(from: UInt64(1), to: 300, by: 60) {
            let records = (start..<(start + 90)).map { number in
                SpoolRecord.usage(
                    Samples.usage(number, completedAt: Samples.hour + .minutes(Int64(number)), bytes: number))
            }
            try await database.ingest(Samples.batch(start, records))
        }
        await database.close()
        let difference = try file.raw { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT hour, sum(requests), sum(bytes_in) FROM usage_hour GROUP BY hour EXCEPT
                    SELECT completed_at - completed_at % 3600000000 AS hour, count(*), sum(bytes_in)
                    FROM usage_record GROUP BY hour
                    """)
        }
        #expect(difference.isEmpty)
    }
}

/// What the golden dumps hold.
enum GoldenContent {
    private static var transaction: ControlTransaction {
        var transaction = ControlTransaction()
        transaction.configuration = Samples.configuration
        transaction.instances = [Samples.instance("shop-1"), Samples.instance("shop-2", phase: .stopping)]
        transaction.incidents = [StoredIncident(id: "limit/1", open: true, json: #"{"kind":"limit-reached"}"#)]
        transaction.ordinals = ["shop": 2]
        transaction.operations = [Samples.operation("op-1"), Samples.operation("op-2", state: .failed)]
        transaction.events = [
            Samples.event(
                "instance.started", instance: "shop-1",
                step: TimelineStep(mechanism: .failoverActiveActive, incident: "run-1", number: "1"),
                summary: "nul\u{0} 名前", details: ["count": "1"]),
            Samples.event("constraint.changed"),
        ]
        transaction.lifecycle = [
            Samples.lifecycle(.start), Samples.lifecycle(.stop, at: Samples.start + .seconds(60), inferred: true),
            Samples.lifecycle(.stop, at: Samples.start + .seconds(50)),
        ]
        transaction.notifications = [
            AddressedNotification(
                notification: Samples.notification("n-1"),
                channels: [
                    .log, .email(address: "a@example.org"), .webhook(url: "https://example.org", secretFile: nil),
                ])
        ]
        return transaction
    }

    /// Numbers 1 to 6 of one source: usage, an audit event, a loss, and a gap of one before the last.
    private static let records: [SpoolRecord] = [
        .usage(Samples.usage(1)), .usage(Samples.usage(2, instance: nil, outcome: .rejected, busy: nil)),
        .audit(Samples.audit(3, principal: "nul\u{0}")), .lost(count: 9, since: Samples.start, until: Samples.start),
    ]

    private static let administrator = Administrator(
        name: "root", role: .administrator, tokenDigest: "00", createdAt: Samples.start)
    private static let response = StoredResponse(
        requestDigest: "aa", status: 201, headers: ["location": "/x"], body: [1, 0, 255], at: Samples.start)

    /// What schema 3 has besides.
    private static func books() throws -> ControlTransaction {
        var transaction = ControlTransaction()
        transaction.bills = [try Samples.bill("2026-01", text: #"{"nul":"\u0000"}"#)]
        transaction.credits = [try Samples.credit("c-1")]
        return transaction
    }

    /// What schema 4 has besides.
    private static let event = [Samples.usageEvent("nul\u{0}")]

    static func write(to database: SQLiteLogDatabase) async throws {
        try await database.commit(try books())
        try await database.commit(transaction)
        try await database.ingest(Samples.batch(1, records))
        try await database.ingest(Samples.batch(6, [.usage(Samples.usage(6))]))
        var other = Samples.usage(1)
        other.status = 500
        try await database.ingest(Samples.batch(1, [.usage(other)]))
        _ = try await database.ingest(event)
        try await database.record(Samples.audit(50, service: "administration"))
        try await database.heartbeat(["shop-1"], at: Samples.start)
        try await database.store(administrator)
        _ = try await database.spend(token: "spent", at: Samples.start)
        try await database.setSetting("signing-key", to: "7")
        try await database.store(response, idempotencyKey: "key")
    }

    static func check(_ database: SQLiteLogDatabase, version: Int) async throws {
        let books = version >= 3 ? try books() : ControlTransaction()
        #expect(try await database.bills(BillQuery()) == books.bills)
        #expect(
            try await database.credits(of: "acme", from: .epoch, until: .distantFuture) == books.credits)
        #expect(try await database.usageEvents(after: 0, limit: 9).map(\.event) == (version >= 4 ? event : []))
        let state = try await database.recoveredState()
        #expect(state.configuration == transaction.configuration)
        #expect(state.instances == transaction.instances)
        #expect(state.incidents == transaction.incidents)
        #expect(state.ordinals == transaction.ordinals)
        #expect(state.unfinishedOperations == [transaction.operations[0]])
        #expect(try await database.operation("op-2") == transaction.operations[1])
        var events = transaction.events
        for index in events.indices { events[index].position = Int64(index + 1) }
        #expect(try await database.events(EventQuery()).elements == events)
        #expect(
            try await database.lifecycleEvents(UsageQuery())
                == [transaction.lifecycle[0], transaction.lifecycle[2], transaction.lifecycle[1]])
        #expect(try await database.highWaterMark(ofSource: "gateway-1/0") == 6)
        #expect(try await database.usageRecord(Samples.usage(1).requestID)?.record == Samples.usage(1))
        let sums = try await database.requestUsage(UsageQuery())
        #expect(sums.map(\.requests) == [1, 2])
        #expect(sums.map(\.rejected) == [1, 0])
        #expect(sums.map(\.aborted) == [0, 0])
        #expect(
            try await database.auditEvents(AuditQuery()).elements.map(\.event)
                == [Samples.audit(3, principal: "nul\u{0}"), Samples.audit(50, service: "administration")])
        #expect(try await database.lastHeartbeats() == ["shop-1": Samples.start])
        #expect(try await database.dueDeliveries(at: Samples.start, limit: 10).count == 3)
        #expect(try await database.notifications(after: nil, limit: 10).count == 1)
        #expect(try await database.administrators() == [administrator])
        #expect(try await !database.spend(token: "spent", at: Samples.start))
        #expect(try await database.setting("signing-key") == "7")
        #expect(try await database.storedResponse(idempotencyKey: "key") == response)
    }
}

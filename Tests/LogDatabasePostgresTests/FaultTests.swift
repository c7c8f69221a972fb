import CloudModel
import CloudPorts
import Foundation
import LogDatabaseContract
import LogDatabasePostgres
import PostgresFixture
import Testing

/// Servers and databases that are away, foreign, newer or changed by hand.
@Suite(.enabled(if: PostgresServer.isAvailable, noServer))
struct FaultTests {
    private func settings() async throws -> PostgresConnectionSettings {
        try PostgresConnectionSettings(try await SharedPostgres.database())
    }

    /// Runs a statement in the database beside the adapter.
    private func sql(_ statement: String, _ settings: PostgresConnectionSettings) async throws -> String {
        let database = settings.description.split(separator: "(").last?.dropLast() ?? ""
        return try await SharedPostgres.running().sql(statement, database: String(database))
    }

    @Test func aServerThatIsNotThereIsUnavailable() async throws {
        let settings = try PostgresConnectionSettings("host=/nonexistent dbname=books password=geheim")
        let refusal = await #expect(throws: LogDatabaseError.self) { try await PostgresLogDatabase.open(settings) }
        #expect(refusal?.code == .unavailable)
        #expect(refusal?.message.contains("/nonexistent") == true)
        #expect(refusal?.message.contains("geheim") == false)
    }

    @Test func theDatabaseOfAnotherProgramIsLeftAlone() async throws {
        let settings = try await settings()
        _ = try await sql("CREATE TABLE theirs (id integer)", settings)
        let refusal = await #expect(throws: LogDatabaseError.self) { try await PostgresLogDatabase.open(settings) }
        #expect(refusal?.code == .corrupted)
        #expect(
            try await sql(
                "SELECT string_agg(relname, ',') FROM pg_class WHERE relkind = 'r' "
                    + "AND relnamespace = 'public'::regnamespace", settings) == "theirs")
    }

    @Test func aNewerSchemaIsRefused() async throws {
        let settings = try await settings()
        await (try await PostgresLogDatabase.open(settings)).close()
        _ = try await sql("INSERT INTO cloudwright_schema VALUES (999, 0)", settings)
        let refusal = await #expect(throws: LogDatabaseError.self) { try await PostgresLogDatabase.open(settings) }
        #expect(refusal?.code == .newerSchema)
    }

    @Test func manyThatOpenAtOnceMakeOneSchema() async throws {
        let settings = try await settings()
        try await withThrowingTaskGroup(of: Void.self) { group in
            for _ in 0..<5 { group.addTask { await (try await PostgresLogDatabase.open(settings)).close() } }
            try await group.waitForAll()
        }
        #expect(try await sql("SELECT count(*) FROM cloudwright_schema", settings) == "1")
    }

    @Test func theBooksAreAppendOnly() async throws {
        let settings = try await settings()
        let database = try await PostgresLogDatabase.open(settings)
        try await database.ingest(
            Samples.batch(1, [.usage(Samples.usage(1)), .audit(Samples.audit(2))]))
        var transaction = ControlTransaction()
        transaction.events = [Samples.event("a")]
        transaction.lifecycle = [Samples.lifecycle(.start)]
        try await database.commit(transaction)
        for table in ["usage_record", "usage_record_2027_01", "audit_event", "platform_event", "lifecycle_event"] {
            for statement in ["DELETE FROM \(table)", "TRUNCATE \(table) CASCADE"] {
                // Whether a partition may be emptied whole is decided by its owner, who may also drop it.
                if table == "usage_record_2027_01", statement.hasPrefix("TRUNCATE") { continue }
                await #expect(throws: PostgresServer.Failure.self, "\(statement)") {
                    try await sql(statement, settings)
                }
            }
            #expect(try await sql("SELECT count(*) FROM \(table)", settings) == "1")
        }
        await #expect(throws: PostgresServer.Failure.self) {
            try await sql("UPDATE usage_record SET bytes_out = 0", settings)
        }
        await database.close()
    }

    @Test func eachMonthHasItsPartition() async throws {
        let settings = try await settings()
        let database = try await PostgresLogDatabase.open(settings)
        let times = ["2026-01-31T23:59:59Z", "2026-02-01T00:00:00Z", "2028-02-29T12:00:00Z", "1999-12-31T00:00:00Z"]
        let records = try times.enumerated().map { index, time in
            SpoolRecord.usage(Samples.usage(UInt64(index), completedAt: try #require(Timestamp(rfc3339: time))))
        }
        try await database.ingest(Samples.batch(1, records))
        let found = try await sql(
            "SELECT string_agg(tableoid::regclass::text, ' ' ORDER BY sequence) FROM usage_record", settings)
        #expect(found == "usage_record_2026_01 usage_record_2026_02 usage_record_2028_02 usage_record_other")
        await database.close()
    }

    /// A request must be found in whatever month it is, though a key over all of them cannot be had.
    @Test func aRequestIsCountedOnceInWhateverMonth() async throws {
        let database = try await PostgresLogDatabase.open(settings())
        let first = Samples.usage(1, completedAt: Samples.start)
        let later = Samples.usage(1, completedAt: Samples.start + .hours(24 * 40))
        #expect(try await database.ingest(Samples.batch(1, [.usage(first)])).stored == 1)
        let other = try await database.ingest(Samples.batch(1, [.usage(later)], source: "gateway-2/0"))
        #expect(other == IngestOutcome(stored: 0, duplicates: 0, conflicts: 1, gap: 0))
        let twice = Samples.batch(
            2, [.usage(Samples.usage(9)), .usage(Samples.usage(9, completedAt: later.completedAt))])
        #expect(try await database.ingest(twice) == IngestOutcome(stored: 1, duplicates: 0, conflicts: 1, gap: 0))
        await database.close()
    }

    @Test func connectionFilesAreReadByTheirOwnerAlone() throws {
        let file = FileManager.default.temporaryDirectory.appendingPathComponent(UUID().uuidString).path
        defer { try? FileManager.default.removeItem(atPath: file) }
        func refusal(_ text: String, mode: Int = 0o600) throws -> String? {
            _ = FileManager.default.createFile(
                atPath: file, contents: Data(text.utf8), attributes: [.posixPermissions: mode])
            defer { try? FileManager.default.removeItem(atPath: file) }
            do throws(LogDatabaseError) { _ = try PostgresConnectionSettings(file: file) } catch {
                #expect(error.code == .storage)
                return error.message
            }
            return nil
        }
        #expect(try refusal("host=a dbname=b\n") == nil)
        #expect(try refusal("postgresql://books@a/b") == nil)
        #expect(try refusal("host=a", mode: 0o640)?.contains("chmod 600") == true)
        #expect(try refusal("hots=a password=geheim")?.contains("hots") == true)
        #expect(try refusal("hots=a password=geheim")?.contains("geheim") == false)
        #expect(try refusal("host=a\nhost=b")?.contains("one line") == true)
        #expect(throws: LogDatabaseError.self) { try PostgresConnectionSettings(file: file) }
    }
}

@Suite(.enabled(if: PostgresServer.isAvailable, noServer))
struct ConcurrencyTests {
    private func open() async throws -> PostgresLogDatabase {
        try await PostgresLogDatabase.open(PostgresConnectionSettings(try await SharedPostgres.database()))
    }

    /// Two platforms' spools at once, with the same names: every record once.
    @Test func sourcesAreStoredAtTheSameTime() async throws {
        let settings = try PostgresConnectionSettings(try await SharedPostgres.database())
        let databases = [try await PostgresLogDatabase.open(settings), try await PostgresLogDatabase.open(settings)]
        try await withThrowingTaskGroup(of: Void.self) { group in
            for source in UInt64(0)..<4 {
                group.addTask {
                    let database = databases[Int(source) % 2]
                    for first in stride(from: UInt64(1), to: 500, by: 50) {
                        let records = (first..<(first + 50)).map { number in
                            SpoolRecord.usage(
                                Samples.usage(source << 32 | number, instance: InstanceID("shop-\(number)")))
                        }
                        let batch = Samples.batch(first, records, source: "gateway-1/\(source)")
                        let outcome = try await database.ingest(batch)
                        #expect(outcome.stored == 50)
                        #expect(try await database.ingest(batch).duplicates == 50)
                    }
                }
            }
            try await group.waitForAll()
        }
        let sums = try await databases[0].requestUsage(UsageQuery())
        #expect(sums.count == 500)
        #expect(sums.allSatisfy { $0.requests == 4 })
        for database in databases { await database.close() }
    }

    /// Whoever reads on from the last position has seen misses nothing: positions become visible in their order.
    @Test func positionsBecomeVisibleInTheirOrder() async throws {
        let database = try await open()
        let writers = 6
        let rounds = 40
        try await withThrowingTaskGroup(of: Void.self) { group in
            for writer in 0..<writers {
                group.addTask {
                    for round in 0..<rounds {
                        var transaction = ControlTransaction()
                        transaction.events = (0...(round % 3)).map { Samples.event("w\(writer).\(round).\($0)") }
                        try await database.commit(transaction)
                    }
                }
            }
            group.addTask {
                var seen: [Int64] = []
                var query = EventQuery()
                query.limit = 10_000
                let total = writers * (0..<rounds).reduce(0) { $0 + $1 % 3 + 1 }
                while seen.count < total {
                    let page = try await database.events(query)
                    seen += page.elements.map(\.position)
                    query.after = seen.last ?? 0
                }
                #expect(seen == Array(1...Int64(total)))
            }
            try await group.waitForAll()
        }
        await database.close()
    }
}

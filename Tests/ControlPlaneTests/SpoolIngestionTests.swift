import CloudModel
import CloudPorts
import ControlPlane
import Foundation
import LogDatabaseSQLite
import Logging
import Spool
import Testing

/// Records on their way from the spool into the log database, several batches of them, also where one is not taken.
@Suite(.timeLimit(.minutes(1)))
struct SpoolIngestionTests {
    private static let start = Timestamp(microseconds: 1_790_000_000_000_000)
    private static let source = "gateway-1/0"

    private final class Place {
        let directory: URL
        let spool: SpoolDirectory
        let database: SQLiteLogDatabase
        let writer: SpoolWriter

        init() throws {
            directory = FileManager.default.temporaryDirectory.appendingPathComponent("ingestion-\(UUID())")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            spool = try SpoolDirectory(path: directory.appendingPathComponent("spool").path)
            database = try SQLiteLogDatabase(path: directory.appendingPathComponent("log.sqlite").path)
            writer = try spool.makeWriter(source: SpoolIngestionTests.source)
        }

        func write(_ numbers: ClosedRange<UInt64>) {
            for number in numbers {
                let at = SpoolIngestionTests.start + .microseconds(Int64(number))
                let usage = UsageRecord(
                    requestID: RequestID(high: number, low: 7), consumer: "ada", service: "shop", instance: "shop-1",
                    outcome: .completed, status: 200, bytesIn: 1, bytesOut: 2, receivedAt: at, forwardedAt: at,
                    completedAt: at)
                while !writer.append(.usage(usage)) { spool.synchronise() }
            }
            spool.synchronise()
        }

        func ingestion() -> SpoolIngestion {
            var logger = Logger(label: "test")
            logger.logLevel = .critical
            return SpoolIngestion(spool: spool, database: database, logger: logger)
        }

        /// Every record is there once, and nothing is told of as missing.
        func expectStored(_ count: UInt64) async throws {
            #expect(try await database.highWaterMark(ofSource: SpoolIngestionTests.source) == count)
            let sums = try await database.requestUsage(UsageQuery())
            #expect(sums.reduce(0) { $0 + $1.requests } == Int64(count))
            #expect(try await database.recordGaps(from: .epoch, until: .distantFuture, limit: 10) == [])
        }

        func end() async {
            writer.close()
            spool.close()
            await database.close()
            try? FileManager.default.removeItem(at: directory)
        }
    }

    @Test func aBacklogOfManyBatchesIsStoredOnce() async throws {
        let place = try Place()
        let ingestion = place.ingestion()
        place.write(1...13_000)
        await ingestion.drain()
        try await place.expectStored(13_000)
        // What comes after a backlog follows what was read ahead.
        place.write(13_001...13_010)
        await ingestion.drain()
        place.write(13_011...22_000)
        await ingestion.drain()
        try await place.expectStored(22_000)
        #expect(ingestion.totals.stored == 22_000 && ingestion.health == "ok")
        await place.end()
    }

    @Test func aBatchThatIsNotTakenIsReadAnew() async throws {
        let place = try Place()
        let ingestion = place.ingestion()
        place.write(1...13_000)
        // Room for the first batch, and not for the second one, by when the third has been read.
        var (stored, pages): (UInt64, Int) = (0, 100)
        while stored == 0, pages < 10_000 {
            try await place.database.limitPages(to: pages)
            await ingestion.drain()
            stored = ingestion.totals.stored
            pages += 10
        }
        #expect(stored > 0 && stored < 13_000)
        #expect(ingestion.health != "ok" && place.spool.isStoreAway)
        try await place.expectStored(stored)
        try await place.database.limitPages(to: 1_000_000)
        await ingestion.drain()
        try await place.expectStored(13_000)
        #expect(ingestion.totals.stored == 13_000 && ingestion.totals.missing == 0 && ingestion.health == "ok")
        await place.end()
    }

    /// Another one stores the same spool meanwhile, as after a failover: what was read ahead is not what is wanted.
    @Test func theLogDatabaseSaysWhereToGoOn() async throws {
        let place = try Place()
        let (one, other) = (place.ingestion(), place.ingestion())
        place.write(1...21_000)
        async let first: Void = one.drain()
        async let second: Void = other.drain()
        _ = await (first, second)
        try await place.expectStored(21_000)
        #expect(one.totals.stored + other.totals.stored == 21_000)
        #expect(one.totals.conflicts + other.totals.conflicts == 0)
        await place.end()
    }
}

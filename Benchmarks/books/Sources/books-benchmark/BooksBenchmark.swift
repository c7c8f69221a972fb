import Bookkeeping
import CloudModel
import CloudPorts
import Foundation
import LogDatabaseSQLite
import Logging
import MerkleLog
import PayPerUse
import SealedBooks
import Spool
import SpoolIngestion

/// A month of usage records on their way: gateway's spool, log database, seals, bill.
@main
struct BooksBenchmark {
    private static let source = "gateway-1/0"
    static let month = (start: time("2026-11-01T00:00:00Z"), end: time("2026-12-01T00:00:00Z"))

    static func main() async throws {
        guard CommandLine.arguments.count == 2, let records = Int(CommandLine.arguments[1]), records > 0 else {
            FileHandle.standardError.write(Data("usage: books-benchmark RECORDS\n".utf8))
            exit(2)
        }
        let folder = FileManager.default.temporaryDirectory.appendingPathComponent("books-\(getpid())")
        try FileManager.default.createDirectory(at: folder, withIntermediateDirectories: true)
        defer { try? FileManager.default.removeItem(at: folder) }

        print("\(records) usage records of 1,000 consumers and 20 instances\n")
        print("| step | records/s | processor time, us a record | resident memory, MiB |")
        print("|---|---|---|---|")
        let database = try SQLiteLogDatabase(path: folder.appendingPathComponent("log.sqlite").path)
        let spool = try SpoolDirectory(
            path: folder.appendingPathComponent("spool").path,
            settings: SpoolSettings(maximumBytesPerWriter: .mebibytes(Int64(max(1_024, records / 4_096)))))
        try await measure("written to the spool", records) { try write(records, to: spool) }
        try await measure("carried into the log database", records) { await carry(spool, of: records, to: database) }
        try await measure("sealed", records) { try await seal(database) }
        let desk = BillingDesk(
            database: database, configuration: { configuration }, lease: .minutes(2),
            // A bill that is not closed needs no seals.
            seal: { [] }, now: { month.end + .hours(1) })
        try await measure("billed: one consumer of 1,000", records) {
            let bill = try await desk.bill(for: "consumer-0007@example.org", month: BillingMonth("2026-11"))
            precondition(bill.lines.first?.quantity != "0", "the bill is empty")
        }
        spool.close()
        await database.close()
        for span in [.hours(1), month.end - month.start] as [TimeSpan] {
            try await PostgresJob(records: records, folder: folder, span: span).run()
        }
    }

    // MARK: Steps

    static func write(
        _ records: Int, to spool: SpoolDirectory, within span: TimeSpan = month.end - month.start
    ) throws {
        let writer = try spool.makeWriter(source: source)
        let consumers = (0..<1_000).map { number in
            ConsumerID("consumer-" + String(10_000 + number).dropFirst() + "@example.org")
        }
        let instances = (1...20).map { InstanceID("shop-\($0)") }
        for number in 0..<records {
            let completed =
                month.start + .microseconds(Int64(number) * (span.microseconds / Int64(records)))
            let usage = UsageRecord(
                requestID: RequestID(high: 7 + UInt64(number), low: UInt64(number) &* 0x9E37_79B9_7F4A_7C15),
                consumer: consumers[number &* 7 % 1_000], service: "shop", instance: instances[number % 20],
                outcome: .completed, status: 200, bytesIn: 140, bytesOut: 1_180,
                receivedAt: completed - .microseconds(900), forwardedAt: completed - .microseconds(850),
                completedAt: completed)
            // The segments are made ahead in the background; this writer is faster than any gateway.
            while !writer.append(.usage(usage)) { spool.synchronise() }
        }
        writer.close()
        spool.synchronise()
    }

    /// By the platform's own `SpoolIngestion`.
    static func carry(_ spool: SpoolDirectory, of records: Int, to database: any LogDatabase) async {
        let ingestion = SpoolIngestion(spool: spool, database: database, logger: Logger(label: "books-benchmark"))
        await ingestion.drain()
        let totals = ingestion.totals
        precondition(
            totals.stored == UInt64(records) && totals.missing == 0 && totals.conflicts == 0,
            "the books took \(totals): \(ingestion.health)")
    }

    private static func seal(_ database: SQLiteLogDatabase) async throws {
        let signer = try CheckpointSigner(name: "books.example", seed: Array(repeating: 7, count: 32))
        let sealer = LogSealer(
            database: database, signer: signer, now: { month.end }, logger: Logger(label: "books-benchmark"))
        await sealer.seal()
        precondition(sealer.health == "ok", sealer.health)
    }

    private static let configuration: CloudConfiguration = {
        guard let euro = Currency("EUR"), let price = ExactDecimal("0.0001") else { preconditionFailure("no euro") }
        return CloudConfiguration(
            consumers: [CloudConsumer(id: "consumer-0007@example.org", pricePlan: "standard")],
            pricePlans: [
                PricePlan(
                    id: "standard", currency: euro, timeZone: "UTC",
                    prices: [Price(id: "requests", meter: .request, model: .perUnit(price))])
            ])
    }()

    // MARK: Figures

    /// Gives back records a second.
    @discardableResult
    static func measure(
        _ step: String, _ records: Int, _ body: @Sendable () async throws -> Void
    ) async throws -> Double {
        let (begin, used) = (ContinuousClock.now, processorSeconds())
        try await body()
        let elapsed = (ContinuousClock.now - begin) / .seconds(1)
        let rate = Int(Double(records) / elapsed)
        let cost = (processorSeconds() - used) * 1_000_000 / Double(records)
        print("| \(step) | \(rate) | \(String(format: "%.2f", cost)) | \(residentMebibytes()) |")
        return Double(records) / elapsed
    }

    private static func processorSeconds() -> Double {
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        func seconds(_ time: timeval) -> Double { Double(time.tv_sec) + Double(time.tv_usec) / 1_000_000 }
        return seconds(usage.ru_utime) + seconds(usage.ru_stime)
    }

    private static func residentMebibytes() -> Int {
        let status = (try? String(contentsOfFile: "/proc/self/status", encoding: .utf8)) ?? ""
        let line = status.split(separator: "\n").first { $0.hasPrefix("VmRSS:") }
        return (line.flatMap { Int($0.filter(\.isNumber)) } ?? 0) / 1_024
    }

    private static func time(_ text: String) -> Timestamp {
        guard let time = Timestamp(rfc3339: text) else { preconditionFailure("'\(text)' is no time") }
        return time
    }
}

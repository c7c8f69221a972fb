import Bookkeeping
import CloudModel
import CloudPorts
import Foundation
import PayPerUse
import Testing

/// A proof over many records of others costs time for all of them and memory for the consumer's own.
@Suite struct ProofVolumeTests {
    /// More with CLOUDWRIGHT_PROOF_RECORDS in the environment.
    private static var records: Int {
        ProcessInfo.processInfo.environment["CLOUDWRIGHT_PROOF_RECORDS"].flatMap(Int.init) ?? 30_000
    }

    private static func residentKibibytes(_ field: String) throws -> Int {
        let status = try String(contentsOfFile: "/proc/self/status", encoding: .utf8)
        let line = status.split(separator: "\n").first { $0.hasPrefix("\(field):") }
        return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }

    @Test("memory does not grow with the number of records")
    func memory() async throws {
        try await DeskFixture.run(at: "2026-12-01T12:00:00Z") { books in
            let begin = at("2026-11-02T00:00:00Z")
            let batch = 10_000
            for first in stride(from: 0, to: Self.records, by: batch) {
                let records = (first..<min(first + batch, Self.records)).map { number in
                    SpoolRecord.usage(
                        UsageRecord(
                            requestID: RequestID(high: 7, low: UInt64(number)),
                            consumer: number % 1_000 == 0 ? "acme" : "beta", service: "shop", instance: "shop-1",
                            outcome: .completed, status: 200, bytesIn: 10, bytesOut: 1_000, receivedAt: begin,
                            forwardedAt: begin, completedAt: begin + .microseconds(Int64(number))))
                }
                try await books.database.ingest(
                    SpoolBatch(source: "g/1", firstSequence: UInt64(first + 1), records: records))
            }
            _ = try await books.desk.close("acme", month("2026-11"), includesHeld: true, actor: "root")
            _ = try await books.desk.close("beta", month("2026-11"), includesHeld: true, actor: "root")
            // The highest mark is forgotten, so that it is the proof's (proc(5), clear_refs).
            try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
            let before = try Self.residentKibibytes("VmRSS")
            let clock = ContinuousClock()
            var file: [UInt8] = []
            let made = try await clock.measure {
                file = try await books.desk.proof(for: "acme", month: month("2026-11"), records: 10_000).json()
            }
            var checks: [BillVerification.Check] = []
            let alone = try await clock.measure {
                checks += try await BillVerification(file, verifier: books.signer.verifier).run()
            }
            let large = try await books.desk.proof(for: "beta", month: month("2026-11"), records: 1_000).json()
            let whole = try await clock.measure {
                checks += try await BillVerification(
                    large, verifier: books.signer.verifier, database: books.database
                ).run()
            }
            let grown = try Self.residentKibibytes("VmHWM") - before
            print(
                "a proof over \(Self.records) records: \(file.count) bytes, made in \(made), checked in \(alone); "
                    + "with the log database in \(whole); \(grown) KiB more memory at most")
            for check in checks { #expect(check.state == .proven, "\(check)") }
            // What the readers' page caches (32 MiB each) and the file may take.
            #expect(grown < 128 * 1_024)
        }
    }
}

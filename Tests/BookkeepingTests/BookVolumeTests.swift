import Bookkeeping
import CloudModel
import CloudPorts
import Foundation
import PayPerUse
import Testing

/// A bill over many records costs memory for its groups, not for its records.
@Suite struct BookVolumeTests {
    /// More with CLOUDWRIGHT_BILL_RECORDS in the environment.
    private static var records: Int {
        ProcessInfo.processInfo.environment["CLOUDWRIGHT_BILL_RECORDS"].flatMap(Int.init) ?? 100_000
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
            let instances = (1...20).map { InstanceID("shop-\($0)") }
            for instance in instances {
                try await books.event(.start, "2026-11-01T12:00:00Z", instance: instance)
                try await books.event(.stop, "2026-11-29T12:00:00Z", instance: instance)
            }
            let batch = 10_000
            for first in stride(from: 0, to: Self.records, by: batch) {
                let records = (first..<min(first + batch, Self.records)).map { number in
                    let completed = begin + .microseconds(Int64(number) * (2_000_000_000_000 / Int64(Self.records)))
                    return SpoolRecord.usage(
                        UsageRecord(
                            requestID: RequestID(high: 7, low: UInt64(number)),
                            consumer: number % 4 == 0 ? "acme" : "beta", service: "shop",
                            instance: instances[number % 20], outcome: .completed, status: 200, bytesIn: 10,
                            bytesOut: 1_000, receivedAt: completed, forwardedAt: completed, completedAt: completed))
                }
                try await books.database.ingest(
                    SpoolBatch(source: "g/1", firstSequence: UInt64(first + 1), records: records))
            }
            // The highest mark is forgotten, so that it is the bill's (proc(5), clear_refs).
            try Data("5".utf8).write(to: URL(fileURLWithPath: "/proc/self/clear_refs"))
            let before = try Self.residentKibibytes("VmRSS")
            let start = ContinuousClock.now
            let bill = try await books.desk.bill(for: "beta", month: month("2026-11"))
            let owner = try await books.desk.bill(for: "acme", month: month("2026-11"))
            let elapsed = ContinuousClock.now - start
            let grown = try Self.residentKibibytes("VmHWM") - before
            print("two bills over \(Self.records) records: \(elapsed), \(grown) KiB more memory at most")
            #expect(bill.lines.map(\.quantity) == [String(Self.records - (Self.records + 3) / 4)])
            #expect(owner.lines.map(\.hold) == [nil, nil])
            // What the readers' page caches (32 MiB each, two of them) and one hour's sums may take.
            #expect(grown < 96 * 1_024)
        }
    }
}

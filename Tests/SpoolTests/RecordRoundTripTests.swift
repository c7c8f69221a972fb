import CloudModel
import Spool
import Testing

@Suite struct RecordRoundTripTests {
    static let oddNames = [
        "", "a", "acme", "(anonymous)", "名前", "🦉🦉", "with space", "new\nline", "nul\u{0}inside", "e\u{301}",
        String(repeating: "x", count: 5_000),
    ]

    @Test func everyKindComesBackAsItWas() throws {
        let scratch = ScratchDirectory()
        let directory = try SpoolDirectory(path: scratch.spool)
        let writer = try directory.makeWriter(source: "gateway-1/0")
        var written: [SpoolRecord] = [.lost(count: .max, since: .epoch, until: .distantFuture)]
        for (index, name) in Self.oddNames.enumerated() {
            let number = UInt64(index)
            written.append(usage(number, consumer: name, service: name, instance: name))
            written.append(usage(number, consumer: name, instance: nil, forwarded: false))
            written.append(.audit(audit(number, principal: name, consumer: name, tag: name)))
            written.append(.audit(audit(number, principal: name, consumer: nil, tag: nil)))
        }
        for outcome in RequestOutcome.allCases {
            written.append(
                .usage(
                    UsageRecord(
                        requestID: RequestID(high: .max, low: 0), consumer: "a", service: "b", instance: "c",
                        outcome: outcome, status: .max, bytesIn: .max, bytesOut: .max,
                        receivedAt: Timestamp(microseconds: .min), forwardedAt: Timestamp(microseconds: -1),
                        completedAt: Timestamp(microseconds: .max))))
        }
        for record in written { #expect(writer.append(record)) }
        let read = try directory.drain("gateway-1/0")
        #expect(read.keys.sorted() == Array(1...UInt64(written.count)))
        for (index, record) in written.enumerated() { #expect(read[UInt64(index + 1)] == record) }
        #expect(directory.takeFaults().isEmpty)
    }

    @Test func rawBytesAndStringsGiveTheSameRecord() throws {
        let scratch = ScratchDirectory()
        let directory = try SpoolDirectory(path: scratch.spool)
        let writer = try directory.makeWriter(source: "g/0")
        guard case .usage(let record) = usage(42) else { return }
        let names = ["acme", "shop", "shop-1"].map { Array($0.utf8) }
        let appended = names[0].withUnsafeBytes { consumer in
            names[1].withUnsafeBytes { service in
                names[2].withUnsafeBytes { instance in
                    writer.append(
                        RawUsageRecord(
                            requestID: record.requestID, consumer: consumer, service: service, instance: instance,
                            outcome: record.outcome, status: record.status, bytesIn: record.bytesIn,
                            bytesOut: record.bytesOut, receivedAt: record.receivedAt,
                            forwardedAt: record.forwardedAt, completedAt: record.completedAt))
                }
            }
        }
        #expect(appended)
        #expect(writer.append(.usage(record)))
        let read = try directory.drain("g/0")
        #expect(read[1] == .usage(record))
        #expect(read[2] == .usage(record))
    }

    @Test func aNameThatIsTooLongIsCountedAsLost() throws {
        let scratch = ScratchDirectory()
        let directory = try SpoolDirectory(path: scratch.spool)
        let writer = try directory.makeWriter(source: "g/0")
        #expect(!writer.append(usage(1, consumer: String(repeating: "x", count: 70_000))))
        #expect(!writer.append(.audit(audit(1, principal: String(repeating: "x", count: 2_000_000)))))
        #expect(writer.append(usage(2)))
        let read = try directory.drain("g/0")
        guard case .lost(count: 2, _, _)? = read[1] else {
            Issue.record("expected two lost records, found \(String(describing: read[1]))")
            return
        }
        #expect(read[2] == usage(2))
    }

    @Test func batchesKeepTheirBounds() throws {
        let scratch = ScratchDirectory()
        let directory = try SpoolDirectory(path: scratch.spool)
        let writer = try directory.makeWriter(source: "g/0")
        for number in 1...25 { #expect(writer.append(usage(UInt64(number)))) }
        directory.synchronise()
        let reader = directory.makeReader()
        let first = try #require(try reader.nextBatch(of: "g/0", after: 0, limit: 10))
        #expect(first.firstSequence == 1 && first.records.count == 10)
        let again = try reader.nextBatch(of: "g/0", after: 0, limit: 10)
        #expect(again == first)
        let rest = try #require(try reader.nextBatch(of: "g/0", after: 10, limit: 100))
        #expect(rest.firstSequence == 11 && rest.records.count == 15)
        #expect(try reader.nextBatch(of: "g/0", after: 25) == nil)
        #expect(try reader.nextBatch(of: "unknown", after: 0) == nil)
        let small = try #require(try reader.nextBatch(of: "g/0", after: 3, maximumBytes: 1))
        #expect(small.firstSequence == 4 && small.records.count == 1)
    }
}

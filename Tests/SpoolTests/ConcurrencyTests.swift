import CloudModel
import Foundation
import Glibc
import Spool
import Testing

@Suite struct ConcurrencyTests {
    /// Writers on threads of their own, one reader that follows all of them and clears up behind itself.
    @Test func aReaderFollowsWritersWhileTheyWrite() throws {
        let scratch = ScratchDirectory()
        let settings = SpoolSettings(
            segmentSize: .kibibytes(64), maximumBytesPerWriter: .mebibytes(1), syncInterval: .milliseconds(1))
        let directory = try SpoolDirectory(path: scratch.spool, settings: settings)
        let sources = ["g/0", "g/1", "g/2"]
        let count: UInt64 = 50_000
        for source in sources {
            let writer = try directory.makeWriter(source: source)
            Thread.detachNewThread {
                var number: UInt64 = 1
                // Full is not a failure here: the reader makes room.
                while number <= count {
                    if writer.append(usage(number)) { number += 1 } else { usleep(500) }
                }
                writer.close()
            }
        }
        let reader = directory.makeReader()
        var position: [String: UInt64] = [:]
        var next: [String: UInt64] = [:]
        var lost: [String: UInt64] = [:]
        let deadline = wallClockMicroseconds() + 120_000_000
        while sources.contains(where: { next[$0, default: 1] <= count }), wallClockMicroseconds() < deadline {
            for source in sources {
                guard let batch = try reader.nextBatch(of: source, after: position[source, default: 0], limit: 777)
                else { continue }
                #expect(batch.firstSequence == position[source, default: 0] + 1)
                for record in batch.records {
                    if case .lost(let count, _, _) = record {
                        lost[source, default: 0] += count
                        continue
                    }
                    #expect(record == usage(next[source, default: 1]))
                    next[source, default: 1] += 1
                }
                position[source] = batch.firstSequence + UInt64(batch.records.count) - 1
                reader.acknowledge(source: source, upTo: position[source]!)
            }
        }
        for source in sources {
            #expect(next[source] == count + 1)
            #expect(directory.statistics.first { $0.source == source }?.lost == lost[source, default: 0])
        }
        #expect(directory.takeFaults().isEmpty)
    }

    /// What is given out is durable: nothing is visible before the synchroniser has passed over it.
    @Test func onlyDurableRecordsAreGivenOut() throws {
        let scratch = ScratchDirectory()
        let settings = SpoolSettings(syncInterval: .seconds(10))
        let directory = try SpoolDirectory(path: scratch.spool, settings: settings)
        let writer = try directory.makeWriter(source: "g/0")
        let reader = directory.makeReader()
        #expect(writer.append(usage(1)))
        #expect(try reader.nextBatch(of: "g/0", after: 0) == nil)
        directory.synchronise()
        #expect(try reader.nextBatch(of: "g/0", after: 0)?.records == [usage(1)])
        #expect(writer.append(usage(2)))
        #expect(try reader.nextBatch(of: "g/0", after: 1) == nil)
        directory.synchronise()
        #expect(try reader.nextBatch(of: "g/0", after: 1)?.records == [usage(2)])
    }
}

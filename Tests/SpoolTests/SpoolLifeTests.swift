import CloudModel
import Glibc
import Spool
import Testing

/// Limits, restarts, and sources that come and go.
@Suite struct SpoolLifeTests {
    @Test func aFullSpoolRefusesAndTellsHowManyWereLost() throws {
        let scratch = ScratchDirectory()
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        let writer = try directory.makeWriter(source: "g/0")
        var kept: UInt64 = 0
        while writer.append(usage(kept + 1)) { kept += 1 }
        // Eight segments of 8 KiB hold records of 96 bytes and a header each.
        #expect(kept == 8 * ((8_192 - 512) / 96))
        for number in 1...41 { #expect(!writer.append(usage(10_000 + UInt64(number)))) }
        #expect(writer.unreportedLosses == 42)
        #expect(directory.statistics.first?.lost == 42)
        #expect(directory.statistics.first?.bytes == 64 << 10)
        let before = try directory.drain("g/0")
        #expect(UInt64(before.count) == kept)
        directory.makeReader().acknowledge(source: "g/0", upTo: 100)
        #expect(writer.append(usage(20_000)))
        #expect(writer.unreportedLosses == 0)
        let after = try directory.drain("g/0", after: kept)
        #expect(after.count == 2)
        guard case .usage(let firstLost) = usage(kept + 1), case .usage(let lastLost) = usage(10_041) else { return }
        #expect(
            after[kept + 1] == .lost(count: 42, since: firstLost.completedAt, until: lastLost.completedAt))
        #expect(after[kept + 2] == usage(20_000))
    }

    @Test func lossesSurviveTheProcessThatCountedThem() throws {
        let scratch = ScratchDirectory()
        var kept: UInt64 = 0
        do {
            let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
            let writer = try directory.makeWriter(source: "g/0")
            while writer.append(usage(kept + 1)) { kept += 1 }
            #expect(!writer.append(usage(1)))
            directory.close()
        }
        for round in 0..<2 {
            let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
            if round == 0 { directory.makeReader().acknowledge(source: "g/0", upTo: kept) }
            let writer = try directory.makeWriter(source: "g/0")
            #expect(writer.unreportedLosses == (round == 0 ? 2 : 0))
            #expect(writer.append(usage(7)))
            let found = try directory.drain("g/0", after: kept)
            #expect(found.values.filter { if case .lost(count: 2, _, _) = $0 { true } else { false } }.count == 1)
            writer.close()
            directory.close()
        }
    }

    /// The process died between writing down its losses and forgetting them, or before either.
    @Test(arguments: [(UInt64(2), UInt64(0)), (4, 7)])
    func lossesAreWrittenDownOnce(sequence: UInt64, carried: UInt64) throws {
        let scratch = ScratchDirectory()
        do {
            let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
            let writer = try directory.makeWriter(source: "g/0")
            for number in 1...3 { #expect(writer.append(usage(UInt64(number)))) }
            directory.close()
        }
        let path = try #require(scratch.segments(of: "g/0").last)
        var bytes = contents(of: path)
        withUnsafeBytes(of: sequence.littleEndian) { bytes.replaceSubrange(256..<264, with: $0) }
        bytes[264] = 7
        overwrite(path, with: bytes)
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        #expect(try directory.makeWriter(source: "g/0").unreportedLosses == carried)
    }

    @Test func numbersGoOnOverRestarts() throws {
        let scratch = ScratchDirectory()
        var expected: UInt64 = 1
        for _ in 0..<20 {
            let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
            let writer = try directory.makeWriter(source: "g/0")
            #expect(writer.nextSequence == expected)
            for _ in 0..<3 {
                #expect(writer.append(usage(expected)))
                expected += 1
            }
            directory.close()
        }
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        let found = try directory.drain("g/0")
        #expect(found.keys.sorted() == Array(1..<expected))
        for (number, record) in found { #expect(record == usage(number)) }
        #expect(directory.takeFaults().isEmpty)
    }

    @Test func restartsWithoutTrafficLeaveNoTrail() throws {
        let scratch = ScratchDirectory()
        for _ in 0..<30 {
            let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
            _ = try directory.makeWriter(source: "g/0")
            directory.close()
        }
        #expect(scratch.segments(of: "g/0").count <= 2)
    }

    @Test func numbersThatTheLogDatabaseHasSeenAreNotUsedAgain() throws {
        let scratch = ScratchDirectory()
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        let writer = try directory.makeWriter(source: "g/0", after: 5_000)
        #expect(writer.append(usage(1)))
        #expect(try directory.drain("g/0", after: 5_000).keys.sorted() == [5_001])
    }

    @Test func acknowledgedSegmentsAreDeletedAndTheNumberKept() throws {
        let scratch = ScratchDirectory()
        var last: UInt64 = 0
        do {
            let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
            let writer = try directory.makeWriter(source: "g/0")
            for _ in 0..<300 {
                last += 1
                #expect(writer.append(usage(last)))
            }
            #expect(scratch.segments(of: "g/0").count >= 4)
            directory.synchronise()
            directory.makeReader().acknowledge(source: "g/0", upTo: last)
            writer.close()
            directory.close()
        }
        do {
            // A loop fewer: nobody writes to the source any more, but it is drained and cleared away.
            let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
            #expect(directory.sources == ["g/0"])
            let rest = try directory.drain("g/0")
            #expect(rest.keys.max() == last)
            directory.makeReader().acknowledge(source: "g/0", upTo: last)
            let segments = scratch.segments(of: "g/0")
            #expect(segments.count == 1)
            #expect(contents(of: segments[0]).count == 512)
            #expect(try directory.drain("g/0", after: last).isEmpty)
            directory.close()
        }
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        let writer = try directory.makeWriter(source: "g/0")
        #expect(writer.nextSequence == last + 1)
    }

    @Test func onlyWholeSegmentsAreDeleted() throws {
        let scratch = ScratchDirectory()
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        let writer = try directory.makeWriter(source: "g/0")
        for number in 1...300 { #expect(writer.append(usage(UInt64(number)))) }
        let reader = directory.makeReader()
        directory.synchronise()
        let perSegment: UInt64 = 80
        reader.acknowledge(source: "g/0", upTo: perSegment - 1)
        #expect(try directory.drain("g/0").count == 300)
        reader.acknowledge(source: "g/0", upTo: perSegment)
        #expect(try directory.drain("g/0").keys.min() == perSegment + 1)
        // More than was ever written is no reason to delete what comes.
        reader.acknowledge(source: "g/0", upTo: .max)
        #expect(writer.append(usage(301)))
        #expect(try directory.drain("g/0").keys.contains(301))
    }

    @Test func oneProcessAndOneWriterOnly() throws {
        let scratch = ScratchDirectory()
        let directory = try SpoolDirectory(path: scratch.spool)
        let refusal = #expect(throws: SpoolError.self) { try SpoolDirectory(path: scratch.spool) }
        #expect(refusal?.code == .locked)
        let writer = try directory.makeWriter(source: "g/0")
        #expect(throws: SpoolError.self) { try directory.makeWriter(source: "g/0") }
        #expect(throws: SpoolError.self) { try directory.makeWriter(source: "") }
        writer.close()
        let again = try directory.makeWriter(source: "g/0")
        #expect(again.append(usage(1)))
        #expect(directory.sources == ["g/0"])
    }

    @Test func badSettingsAreRefusedWithTheRemedy() {
        let scratch = ScratchDirectory()
        for settings in [
            SpoolSettings(segmentSize: .kibibytes(4)), SpoolSettings(segmentSize: ByteCount(bytes: 10_000)),
            SpoolSettings(maximumBytesPerWriter: .mebibytes(31)), SpoolSettings(syncInterval: .zero),
        ] {
            let refusal = #expect(throws: SpoolError.self) {
                try SpoolDirectory(path: scratch.spool, settings: settings)
            }
            #expect(refusal?.code == .invalidSettings)
        }
    }

    @Test func sourcesHaveAnyName() throws {
        let scratch = ScratchDirectory()
        let names = ["../../etc", "gateway-1/0", "a%2Fb", "名前/1", "x y"].sorted()
        do {
            let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
            for name in names { #expect(try directory.makeWriter(source: name).append(usage(1))) }
            directory.close()
        }
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        #expect(directory.sources == names)
        for name in names { #expect(try directory.drain(name) == [1: usage(1)]) }
    }

    @Test func aFullDiskRefusesAndRecovers() throws {
        let scratch = ScratchDirectory()
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        let writer = try directory.makeWriter(source: "g/0")
        // No segment can be made in a directory that is gone.
        let sourceDirectory = scratch.spool + "/source-g%2F0"
        #expect(rename(sourceDirectory, sourceDirectory + ".away") == 0)
        var kept: UInt64 = 0
        while writer.append(usage(kept + 1)) { kept += 1 }
        #expect(kept == 80)
        #expect(directory.takeFaults().contains { if case .segmentNotCreated = $0.kind { true } else { false } })
        #expect(rename(sourceDirectory + ".away", sourceDirectory) == 0)
        let deadline = wallClockMicroseconds() + 30_000_000
        while !writer.append(usage(kept + 1)), wallClockMicroseconds() < deadline { usleep(1_000) }
        let found = try directory.drain("g/0")
        #expect(found[kept + 2] == usage(kept + 1))
    }
}

func wallClockMicroseconds() -> Int64 {
    var now = timespec()
    clock_gettime(CLOCK_MONOTONIC, &now)
    return Int64(now.tv_sec) * 1_000_000 + Int64(now.tv_nsec) / 1_000
}

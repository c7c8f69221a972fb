import CloudModel
import Glibc
import Spool
import Testing

/// What a power loss or a failing disk leaves behind: every prefix of what was written, and every flipped bit.
@Suite struct CrashConsistencyTests {
    /// A closed spool with `count` records in one segment; gives back the segment's path and its bytes.
    private func closedSpool(_ scratch: ScratchDirectory, count: UInt64) throws -> (path: String, bytes: [UInt8]) {
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        let writer = try directory.makeWriter(source: "g/0")
        for number in 1...count { #expect(writer.append(usage(number))) }
        writer.close()
        directory.close()
        let path = try #require(scratch.segments(of: "g/0").last)
        return (path, contents(of: path))
    }

    @Test func everyTornTailGivesAPrefixAndGoesOn() throws {
        let scratch = ScratchDirectory()
        let (path, whole) = try closedSpool(scratch, count: 4)
        let recordBytes = (whole.count - 512) / 4
        for cut in (whole.count - recordBytes - 8)...whole.count {
            // A power loss leaves zeros where the pages were not written.
            for name in scratch.segments(of: "g/0") where name != path { unlink(name) }
            overwrite(path, with: whole[..<cut] + [UInt8](repeating: 0, count: 8_192 - cut))
            let survivors = UInt64((cut - 512) / recordBytes)
            let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
            let found = try directory.drain("g/0")
            // A record whose last bytes are padding, or zeros anyway, may be whole a little earlier.
            #expect(UInt64(found.count) == survivors || UInt64(found.count) == survivors + 1, "cut at \(cut)")
            for (number, record) in found { #expect(record == usage(number), "cut at \(cut)") }
            let writer = try directory.makeWriter(source: "g/0")
            #expect(writer.nextSequence == UInt64(found.count) + 1)
            #expect(writer.append(usage(99)))
            let after = try directory.drain("g/0")
            #expect(after.count == found.count + 1)
            #expect(after[UInt64(found.count) + 1] == usage(99))
            writer.close()
            directory.close()
        }
    }

    @Test func everyFlippedBitIsFound() throws {
        let scratch = ScratchDirectory()
        let (path, whole) = try closedSpool(scratch, count: 3)
        let recordBytes = (whole.count - 512) / 3
        // The record in the middle: whole ones before and after it.
        for position in (512 + recordBytes)..<(512 + 2 * recordBytes) {
            for bit in 0..<8 {
                var bytes = whole
                bytes[position] ^= 1 << bit
                overwrite(path, with: bytes)
                let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
                let found = try directory.drain("g/0")
                for (number, record) in found { #expect(record == usage(number), "byte \(position) bit \(bit)") }
                let hit = UInt64((position - 512) / recordBytes) + 1
                if found.count == 3 {
                    // Only the padding of a record is not covered by its checksum.
                    #expect((position - 512) % recordBytes >= 8 + 72 + "acmeshopshop-1".utf8.count)
                } else {
                    #expect(found[hit] == nil, "byte \(position) bit \(bit)")
                    #expect(hit == 1 || found[hit - 1] != nil)
                }
                directory.close()
            }
        }
    }

    @Test func aRecordInTheWrongPlaceIsNotTaken() throws {
        let scratch = ScratchDirectory()
        let (path, whole) = try closedSpool(scratch, count: 4)
        let recordBytes = (whole.count - 512) / 4
        let records = (0..<4).map { Array(whole[(512 + $0 * recordBytes)..<(512 + ($0 + 1) * recordBytes)]) }
        overwrite(path, with: Array(whole[..<512]) + records[0] + records[2] + records[1] + records[3])
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        #expect(try directory.drain("g/0") == [1: usage(1)])
    }

    @Test func damageInTheMiddleCostsOneRecordAndIsReported() throws {
        let scratch = ScratchDirectory()
        let (path, whole) = try closedSpool(scratch, count: 5)
        let recordBytes = (whole.count - 512) / 5
        var bytes = whole
        bytes[512 + 2 * recordBytes + 40] ^= 0xFF
        overwrite(path, with: bytes)
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        #expect(try directory.drain("g/0").keys.sorted() == [1, 2, 4, 5])
        #expect(try directory.drain("g/0").count == 4)
        #expect(
            directory.takeFaults() == [
                SpoolFault(
                    source: "g/0", segment: path,
                    kind: .damagedRecord(sequence: 3, offset: 512 + 2 * recordBytes))
            ])
        // The gap shows: the batch after it begins beyond it.
        let batch = try directory.makeReader().nextBatch(of: "g/0", after: 2)
        #expect(batch?.firstSequence == 4)
    }

    @Test func aDamagedLengthCostsTheRestOfTheSegmentOnly() throws {
        let scratch = ScratchDirectory()
        var directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        let writer = try directory.makeWriter(source: "g/0")
        let count: UInt64 = 200
        for number in 1...count { #expect(writer.append(usage(number))) }
        writer.close()
        directory.close()
        let segments = scratch.segments(of: "g/0")
        #expect(segments.count > 2)
        var bytes = contents(of: segments[1])
        bytes[512] = 0xEE
        bytes[513] = 0xEE
        overwrite(segments[1], with: bytes)
        directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        let found = try directory.drain("g/0")
        let missing = (1...count).filter { found[$0] == nil }
        let perSegment = missing.count
        #expect(missing == Array((UInt64(perSegment) + 1)...(2 * UInt64(perSegment))))
        let faults = directory.takeFaults()
        #expect(faults.count == 2)
        #expect(faults.first?.kind == .damagedRest(fromSequence: missing[0], offset: 512))
        #expect(faults.last?.kind == .missing(from: missing[0], to: missing[perSegment - 1]))
        let next = try directory.makeWriter(source: "g/0")
        #expect(next.nextSequence == count + 1)
    }

    @Test func aDamagedHeaderIsReportedAndItsNumbersAreNotUsedAgain() throws {
        let scratch = ScratchDirectory()
        let (path, whole) = try closedSpool(scratch, count: 5)
        var bytes = whole
        bytes[20] ^= 1
        overwrite(path, with: bytes)
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        #expect(directory.takeFaults().map(\.kind) == [.unreadableHeader])
        #expect(try directory.drain("g/0").isEmpty)
        let writer = try directory.makeWriter(source: "g/0")
        #expect(writer.nextSequence > 5)
    }

    @Test func aRecordOfAnUnknownKindIsSteppedOver() throws {
        let scratch = ScratchDirectory()
        let (path, whole) = try closedSpool(scratch, count: 3)
        let recordBytes = (whole.count - 512) / 3
        var bytes = whole
        let body = 512 + recordBytes + 8
        bytes[body] = 77
        let length = 72 + "acmeshopshop-1".utf8.count
        let checksum = slowCRC32C(littleEndian(2) + littleEndian(UInt64(length)) + bytes[body..<(body + length)])
        withUnsafeBytes(of: checksum.littleEndian) { bytes.replaceSubrange((body - 4)..<body, with: $0) }
        overwrite(path, with: bytes)
        let directory = try SpoolDirectory(path: scratch.spool, settings: smallSegments)
        #expect(try directory.drain("g/0").keys.sorted() == [1, 3])
        #expect(directory.takeFaults().map(\.kind) == [.unknownRecord(sequence: 2, offset: body - 8)])
    }

    private func littleEndian(_ number: UInt64) -> [UInt8] { withUnsafeBytes(of: number.littleEndian) { Array($0) } }

    /// Bit by bit, as RFC 3720 defines it: an independent check of the table-driven one.
    private func slowCRC32C(_ bytes: [UInt8]) -> UInt32 {
        var remainder: UInt32 = .max
        for byte in bytes {
            remainder ^= UInt32(byte)
            for _ in 0..<8 { remainder = remainder & 1 == 1 ? (remainder >> 1) ^ 0x82F6_3B78 : remainder >> 1 }
        }
        return ~remainder
    }
}

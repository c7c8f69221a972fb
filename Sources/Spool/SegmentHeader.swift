import CloudModel
import Synchronization

/// The first 512 bytes of a segment file, fields little-endian:
///
///     0   u64  "CWSPOOL1", stored last: a file without it is a spare that was never used
///     8   u32  version of the format: 1
///     12  u32  CRC-32C of bytes 16 to 255
///     16  u64  sequence number of the first record
///     24  i64  created at, microseconds
///     32  u32  bytes of the source's name
///     36  u32  0
///     40       source in UTF-8, 216 bytes at most
///     256 u64  sequence number that the record of the lost ones will have   } changes while the segment
///     264 u64  records lost since the last record; 0 for none               } is full, so not part of
///     272 i64  the first was lost at                                        } the checksum
///     280 i64  the last was lost at                                         }
///     512      records
struct SegmentHeader: Hashable {
    static let size = 512
    static let version: UInt32 = 1
    static let maximumSourceBytes = 216
    private static let magic: UInt64 = 0x314C_4F4F_5053_5743
    private static let checkedRange = 16..<256
    private static let lostOffset = 256

    var source: String
    var firstSequence: UInt64
    var createdAt: Timestamp

    /// Records that could not be spooled and for which no `.lost` record has been written yet.
    struct Lost: Hashable {
        /// The number that the `.lost` record will have: if a record with it exists, it has been written.
        var sequence: UInt64
        var count: UInt64
        var since: Timestamp
        var until: Timestamp
    }

    /// Writes everything but the lost ones, the magic number last.
    func write(to base: UnsafeMutableRawPointer, crc: CRC32C) {
        let name = Array(source.utf8)
        precondition(name.count <= Self.maximumSourceBytes)
        base.storeBytes(of: Self.version.littleEndian, toByteOffset: 8, as: UInt32.self)
        base.storeBytes(of: firstSequence.littleEndian, toByteOffset: 16, as: UInt64.self)
        base.storeBytes(of: createdAt.microseconds.littleEndian, toByteOffset: 24, as: Int64.self)
        base.storeBytes(of: UInt64(name.count).littleEndian, toByteOffset: 32, as: UInt64.self)
        name.withUnsafeBytes {
            if let start = $0.baseAddress { (base + 40).copyMemory(from: start, byteCount: $0.count) }
        }
        let checksum = crc.checksum(base + Self.checkedRange.lowerBound, count: Self.checkedRange.count)
        base.storeBytes(of: checksum.littleEndian, toByteOffset: 12, as: UInt32.self)
        base.assumingMemoryBound(to: Atomic<UInt64>.self).pointee.store(Self.magic.littleEndian, ordering: .releasing)
    }

    static func write(_ lost: Lost?, to base: UnsafeMutableRawPointer) {
        let count = (base + lostOffset + 8).assumingMemoryBound(to: Atomic<UInt64>.self)
        guard let lost else { return count.pointee.store(0, ordering: .releasing) }
        base.storeBytes(of: lost.sequence.littleEndian, toByteOffset: lostOffset, as: UInt64.self)
        base.storeBytes(of: lost.since.microseconds.littleEndian, toByteOffset: lostOffset + 16, as: Int64.self)
        base.storeBytes(of: lost.until.microseconds.littleEndian, toByteOffset: lostOffset + 24, as: Int64.self)
        count.pointee.store(lost.count.littleEndian, ordering: .releasing)
    }

    enum Reading: Hashable {
        /// A spare that was never used.
        case unused
        case damaged
        case header(SegmentHeader, lost: Lost?)
    }

    static func read(_ bytes: UnsafeRawBufferPointer, crc: CRC32C) -> Reading {
        guard bytes.count >= size, let base = bytes.baseAddress else { return .damaged }
        func number<Number: FixedWidthInteger & BitwiseCopyable>(_ offset: Int, _: Number.Type) -> Number {
            Number(littleEndian: base.loadUnaligned(fromByteOffset: offset, as: Number.self))
        }
        let magic = number(0, UInt64.self)
        if magic == 0, bytes[size...].allSatisfy({ $0 == 0 }) { return .unused }
        let nameBytes = number(32, UInt64.self)
        guard magic == Self.magic, number(8, UInt32.self) == version, nameBytes <= UInt64(maximumSourceBytes),
            number(12, UInt32.self) == crc.checksum(base + checkedRange.lowerBound, count: checkedRange.count)
        else { return .damaged }
        let header = SegmentHeader(
            source: String(decoding: bytes[40..<(40 + Int(nameBytes))], as: UTF8.self),
            firstSequence: number(16, UInt64.self), createdAt: Timestamp(microseconds: number(24, Int64.self)))
        let lost = Lost(
            sequence: number(lostOffset, UInt64.self), count: number(lostOffset + 8, UInt64.self),
            since: Timestamp(microseconds: number(lostOffset + 16, Int64.self)),
            until: Timestamp(microseconds: number(lostOffset + 24, Int64.self)))
        return .header(header, lost: lost.count > 0 ? lost : nil)
    }
}

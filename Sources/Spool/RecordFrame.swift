import Synchronization

/// How a record lies in a segment: at a multiple of eight bytes
///
///     0  u32  length of the body in bytes; 0 where no record has been written yet
///     4  u32  CRC-32C of the sequence number (u64), the length (as u64) and the body
///     8       body, padded to a multiple of eight with whatever was there
///
/// all little-endian. The length is the commit word: it is stored last, with release semantics, so that a record whose
/// writer died half-way does not exist. The sequence number is not stored: it follows from the record's place, and the
/// checksum proves that the place is right.
enum RecordFrame {
    static let headSize = 8

    /// What a record with a body of that many bytes takes.
    @inline(__always)
    static func size(ofBody bytes: Int) -> Int { (headSize &+ bytes &+ 7) & ~7 }

    /// Makes the body that was written at `frame + headSize` a record.
    @inline(__always)
    static func commit(_ frame: UnsafeMutableRawPointer, bodyBytes: Int, sequence: UInt64, crc: CRC32C) {
        let checksum = checksum(of: frame + headSize, bytes: bodyBytes, sequence: sequence, crc: crc)
        frame.storeBytes(of: checksum.littleEndian, toByteOffset: 4, as: UInt32.self)
        frame.assumingMemoryBound(to: Atomic<UInt32>.self).pointee
            .store(UInt32(truncatingIfNeeded: bodyBytes).littleEndian, ordering: .releasing)
    }

    @inline(__always)
    private static func checksum(of body: UnsafeRawPointer, bytes: Int, sequence: UInt64, crc: CRC32C) -> UInt32 {
        crc.checksum(body, count: bytes, after: crc.checksum(of: sequence, UInt64(truncatingIfNeeded: bytes)))
    }

    enum Reading {
        /// No record has been written here.
        case end
        /// The record goes on beyond `bytes`; this many are needed to judge it.
        case incomplete(needed: Int)
        case record(body: UnsafeRawBufferPointer, size: Int)
        /// The checksum does not match; `size` is what the damaged record would take.
        case damaged(size: Int)
    }

    /// What lies at the beginning of `bytes`, if it has this sequence number.
    static func read(_ bytes: UnsafeRawBufferPointer, sequence: UInt64, crc: CRC32C) -> Reading {
        guard bytes.count >= headSize, let start = bytes.baseAddress else { return .incomplete(needed: headSize) }
        let length = Int(UInt32(littleEndian: start.loadUnaligned(as: UInt32.self)))
        guard length > 0 else { return .end }
        let size = size(ofBody: length)
        guard size <= bytes.count else { return .incomplete(needed: size) }
        let stored = UInt32(littleEndian: start.loadUnaligned(fromByteOffset: 4, as: UInt32.self))
        guard stored == checksum(of: start + headSize, bytes: length, sequence: sequence, crc: crc) else {
            return .damaged(size: size)
        }
        return .record(body: UnsafeRawBufferPointer(start: start + headSize, count: length), size: size)
    }
}

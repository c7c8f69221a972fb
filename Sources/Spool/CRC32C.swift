import CSpool

/// CRC-32C (Castagnoli, reflected polynomial 0x82F63B78; RFC 3720, appendix B.4), by the processor's instruction; where
/// there is none, eight bytes a step with eight tables (Kounavis and Berry, "A systematic approach to building high
/// performance software-based CRC generators", 2005).
///
/// It finds every burst of up to 32 bits and every odd number of flipped bits; anything else with 1 - 2^-32.
package struct CRC32C: @unchecked Sendable {
    /// Eight tables of 256 entries; lives as long as the process.
    private let tables: UnsafePointer<UInt32>
    private let usesInstruction: Bool

    static let shared = CRC32C(usesInstruction: true)

    /// Without the instruction, or where there is none, by the tables.
    package init(usesInstruction: Bool) {
        self.usesInstruction = usesInstruction && cspool_has_crc32c()
        let tables = UnsafeMutablePointer<UInt32>.allocate(capacity: 8 * 256)
        for index in 0..<256 {
            var remainder = UInt32(index)
            for _ in 0..<8 { remainder = (remainder >> 1) ^ (remainder & 1 == 1 ? 0x82F6_3B78 : 0) }
            tables[index] = remainder
        }
        for index in 256..<(8 * 256) {
            let shorter = tables[index - 256]
            tables[index] = (shorter >> 8) ^ tables[Int(shorter & 0xFF)]
        }
        self.tables = UnsafePointer(tables)
    }

    /// The checksum of `bytes` that come after those whose checksum is `previous` (0 at the beginning).
    @inline(__always)
    package func checksum(_ bytes: UnsafeRawPointer, count: Int, after previous: UInt32 = 0) -> UInt32 {
        usesInstruction
            ? cspool_crc32c(previous, bytes, count) : tableChecksum(bytes, count: count, after: previous)
    }

    private func tableChecksum(_ bytes: UnsafeRawPointer, count: Int, after previous: UInt32) -> UInt32 {
        var remainder = ~previous
        var position = 0
        while position &+ 8 <= count {
            let word = UInt64(littleEndian: bytes.loadUnaligned(fromByteOffset: position, as: UInt64.self))
            remainder = folded(word ^ UInt64(remainder))
            position &+= 8
        }
        while position < count {
            let byte = bytes.load(fromByteOffset: position, as: UInt8.self)
            remainder = (remainder >> 8) ^ tables[Int((remainder ^ UInt32(byte)) & 0xFF)]
            position &+= 1
        }
        return ~remainder
    }

    /// The checksum of two numbers, each as its eight bytes in little-endian order.
    @inline(__always)
    package func checksum(of first: UInt64, _ second: UInt64) -> UInt32 {
        usesInstruction ? cspool_crc32c_of(first, second) : ~folded(second ^ UInt64(folded(first ^ 0xFFFF_FFFF)))
    }

    @inline(__always)
    private func folded(_ word: UInt64) -> UInt32 {
        let low =
            tables[7 * 256 + Int(word & 0xFF)] ^ tables[6 * 256 + Int(word >> 8 & 0xFF)]
            ^ tables[5 * 256 + Int(word >> 16 & 0xFF)] ^ tables[4 * 256 + Int(word >> 24 & 0xFF)]
        let high =
            tables[3 * 256 + Int(word >> 32 & 0xFF)] ^ tables[2 * 256 + Int(word >> 40 & 0xFF)]
            ^ tables[256 + Int(word >> 48 & 0xFF)] ^ tables[Int(word >> 56)]
        return low ^ high
    }
}

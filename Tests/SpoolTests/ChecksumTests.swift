import Spool
import Testing

/// A spool that was written with the instruction is read without it, and the other way round.
@Suite struct ChecksumTests {
    /// RFC 3720, appendix B.4; and the check value of the polynomial's entry in the catalogue of parametrised CRCs.
    @Test(arguments: [true, false]) func isTheStandards(_ usesInstruction: Bool) {
        let crc = CRC32C(usesInstruction: usesInstruction)
        func checksum(_ bytes: [UInt8]) -> UInt32 {
            bytes.withUnsafeBytes { crc.checksum($0.baseAddress!, count: $0.count) }
        }
        #expect(checksum([UInt8](repeating: 0, count: 32)) == 0x8A91_36AA)
        #expect(checksum([UInt8](repeating: 0xFF, count: 32)) == 0x62A8_AB43)
        #expect(checksum(Array(0..<32)) == 0x46DD_794E)
        #expect(checksum((0..<32).reversed()) == 0x113F_DB5C)
        #expect(checksum(Array("123456789".utf8)) == 0xE306_9283)
    }

    @Test func isTheSameEitherWay() {
        let (first, second) = (CRC32C(usesInstruction: true), CRC32C(usesInstruction: false))
        let bytes = (0..<300).map { UInt8(truncatingIfNeeded: $0 * 7 + $0 / 3) }
        bytes.withUnsafeBytes { bytes in
            for start in 0..<9 {
                for count in [0, 1, 7, 8, 9, 16, 63, 104, 255] {
                    let part = bytes.baseAddress! + start
                    #expect(first.checksum(part, count: count) == second.checksum(part, count: count))
                    let (head, tail) = (count / 3, count - count / 3)
                    #expect(
                        first.checksum(part + head, count: tail, after: second.checksum(part, count: head))
                            == second.checksum(part, count: count), "in two parts")
                }
            }
        }
        #expect(first.checksum(of: 1 << 63 | 5, 77) == second.checksum(of: 1 << 63 | 5, 77))
        #expect(first.checksum(of: 5, 77) != first.checksum(of: 77, 5))
    }
}

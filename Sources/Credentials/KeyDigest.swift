internal import Crypto

/// SHA-256 of an API key or token. Keys have 160 random bits, so that an unsalted digest gives nothing away.
public struct KeyDigest: Hashable, Sendable, CustomStringConvertible {
    /// The digest's bytes in order, eight a word, the first the most significant.
    public let words: SIMD4<UInt64>

    public init(of key: UnsafeRawBufferPointer) {
        var hasher = SHA256()
        hasher.update(bufferPointer: key)
        var words = SIMD4<UInt64>()
        hasher.finalize().withUnsafeBytes { bytes in
            words = KeyDigest(bytes: bytes.baseAddress!).words
        }
        self.words = words
    }

    /// The 32 bytes of a SHA-256 that was taken elsewhere.
    public init(bytes: UnsafeRawPointer) {
        var words = SIMD4<UInt64>()
        for index in 0..<4 {
            words[index] = UInt64(bigEndian: bytes.loadUnaligned(fromByteOffset: index * 8, as: UInt64.self))
        }
        self.words = words
    }

    public init(of key: String) {
        var key = key
        self = key.withUTF8 { KeyDigest(of: UnsafeRawBufferPointer($0)) }
    }

    /// Reads 64 hex digits of either case; nil where the text is none.
    public init?(hex: String) {
        guard hex.utf8.count == 64 else { return nil }
        var words = SIMD4<UInt64>()
        for (index, byte) in hex.utf8.enumerated() {
            guard let digit = Hexadecimal.value(of: byte) else { return nil }
            words[index / 16] = words[index / 16] << 4 | UInt64(digit)
        }
        self.words = words
    }

    /// Lower-case hex, as it is stored.
    public var description: String {
        var text = ""
        text.reserveCapacity(64)
        for index in 0..<4 {
            for shift in stride(from: 56, through: 0, by: -8) {
                text += Hexadecimal.pair(UInt8(truncatingIfNeeded: words[index] >> UInt64(shift)))
            }
        }
        return text
    }

    /// Compares in the same time wherever the difference is.
    public static func == (left: Self, right: Self) -> Bool {
        let difference = left.words ^ right.words
        return difference[0] | difference[1] | difference[2] | difference[3] == 0
    }

    public func hash(into hasher: inout Hasher) { hasher.combine(words[0]) }
}

extension APIKey {
    /// SHA-256 of the key in lower-case hex: what is stored of it.
    public var digest: String { KeyDigest(of: text).description }
}

package enum Hexadecimal {
    static func value(of byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }

    static func pair(_ byte: UInt8) -> String {
        String(UnicodeScalar(digits[Int(byte >> 4)])) + String(UnicodeScalar(digits[Int(byte & 15)]))
    }

    package static func text(_ bytes: some Sequence<UInt8>) -> String { bytes.reduce(into: "") { $0 += pair($1) } }

    private static let digits = Array("0123456789abcdef".utf8)
}

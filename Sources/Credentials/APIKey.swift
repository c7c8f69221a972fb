/// An API key of a consumer, or a token of an administrator: what its holder keeps and the platform forgets.
///
/// `cw_3k9d0w2m_<32 characters of secret><6 of checksum>`; `cwa_…` for administrators. The alphabet is Crockford's
/// base 32 in lower case (no i, l, o, u: nobody reads one for another). The first eight characters name the key in
/// lists and logs; the secret has 160 random bits; the checksum is the low 30 bits of CRC-32 over all before it, so
/// that a typo is told from a key that is not known, and scanners for leaked secrets have no false alarms.
public struct APIKey: Hashable, Sendable, CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case consumer = "cw"
        case administrator = "cwa"
    }

    /// Why a text is no key.
    public enum Fault: Error, Hashable, Sendable, CaseIterable, CustomStringConvertible {
        /// It does not begin with `cw_` or `cwa_`.
        case notAKey
        case wrongLength
        case unknownCharacter
        /// A character is wrong or missing.
        case checksumMismatch

        public var description: String {
            switch self {
            case .notAKey: "a key begins with cw_ or cwa_"
            case .wrongLength: "a part of the key is missing or doubled"
            case .unknownCharacter: "a key has only digits and lower-case letters, without i, l, o and u"
            case .checksumMismatch: "a character of the key is wrong: its checksum does not match"
            }
        }
    }

    public let kind: Kind
    /// The whole key: shown once to whom it is for, and stored nowhere.
    public let text: String

    private static let nameLength = 8
    private static let secretLength = 32
    private static let checksumLength = 6

    /// A new key from the operating system's random bits (`getrandom(2)`).
    public static func generate(_ kind: Kind) -> APIKey {
        var generator = SystemRandomNumberGenerator()
        return APIKey(kind, using: &generator)
    }

    /// For tests: the key is as secret as the generator is.
    package init(_ kind: Kind, using generator: inout some RandomNumberGenerator) {
        func characters(_ count: Int) -> String {
            String(decoding: (0..<count).map { _ in Base32.character(generator.next()) }, as: UTF8.self)
        }
        let unchecked = "\(kind.rawValue)_\(characters(Self.nameLength))_\(characters(Self.secretLength))"
        self.kind = kind
        text = unchecked + Self.checksum(of: unchecked.utf8)
    }

    /// Reads a key as somebody typed or pasted it.
    public init(parsing text: String) throws(Fault) {
        let bytes = Array(text.utf8)
        guard let kind = Kind.allCases.first(where: { bytes.starts(with: "\($0.rawValue)_".utf8) }) else {
            throw .notAKey
        }
        let nameStart = kind.rawValue.utf8.count + 1
        let secretStart = nameStart + Self.nameLength + 1
        let checksumStart = secretStart + Self.secretLength
        guard bytes.count == checksumStart + Self.checksumLength else { throw .wrongLength }
        guard bytes[secretStart - 1] == UInt8(ascii: "_"),
            bytes[nameStart..<secretStart - 1].allSatisfy(Base32.isCharacter),
            bytes[secretStart...].allSatisfy(Base32.isCharacter)
        else { throw .unknownCharacter }
        guard Self.checksum(of: bytes[..<checksumStart]).utf8.elementsEqual(bytes[checksumStart...]) else {
            throw .checksumMismatch
        }
        self.kind = kind
        self.text = text
    }

    /// What is shown of the key so that people can tell theirs apart: `cw_3k9d0w2m`.
    public var prefix: String { String(text.prefix(kind.rawValue.utf8.count + 1 + Self.nameLength)) }

    /// Without the secret, so that no log gets it by accident.
    public var description: String { "\(prefix)_…" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["prefix": prefix]) }

    private static func checksum(of bytes: some Sequence<UInt8>) -> String {
        let checksum = CRC32.checksum(of: bytes)
        let characters = (0..<checksumLength).map { Base32.character(UInt64(checksum) >> UInt64(25 - 5 * $0)) }
        return String(decoding: characters, as: UTF8.self)
    }
}

/// Crockford's base 32, in lower case.
enum Base32 {
    private static let alphabet = Array("0123456789abcdefghjkmnpqrstvwxyz".utf8)

    /// The character of the low five bits.
    static func character(_ bits: UInt64) -> UInt8 { alphabet[Int(bits & 31)] }
    static func isCharacter(_ byte: UInt8) -> Bool { alphabet.contains(byte) }
}

/// CRC-32 as in ISO-HDLC, Ethernet and zlib (reflected polynomial EDB88320).
enum CRC32 {
    static func checksum(of bytes: some Sequence<UInt8>) -> UInt32 {
        var state = UInt32.max
        for byte in bytes {
            state ^= UInt32(byte)
            for _ in 0..<8 { state = state & 1 == 1 ? state >> 1 ^ 0xEDB8_8320 : state >> 1 }
        }
        return ~state
    }
}

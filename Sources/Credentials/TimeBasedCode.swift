public import CloudModel
internal import Crypto

/// The time-based one-time passwords of RFC 6238 that authenticator apps show: HMAC-SHA1 (RFC 4226) over the number of
/// 30-second steps since 1970, six digits. These are what all apps take, whatever else an otpauth address asks for.
public struct TimeBasedCode: Sendable {
    /// Seconds in a step (RFC 6238, section 4.1).
    public static let period: Int64 = 30
    /// Steps before and after the present one whose codes are taken too: clocks differ, and people type (section 5.2).
    public static let drift: Int64 = 1
    /// Bytes of a secret: as many as SHA-1 gives (RFC 4226, section 4, requirement R6).
    public static let secretLength = 20

    public let secret: [UInt8]
    private let digits: Int

    public init(secret: [UInt8]) { self.init(secret: secret, digits: 6) }

    /// For the test vectors of RFC 6238, which have eight digits.
    package init(secret: [UInt8], digits: Int) {
        self.secret = secret
        self.digits = digits
    }

    /// A new secret.
    public static func generate(using random: inout some RandomNumberGenerator) -> TimeBasedCode {
        TimeBasedCode(secret: (0..<secretLength).map { _ in UInt8.random(in: .min ... .max, using: &random) })
    }

    /// The step that a time lies in; before 1970 it is negative.
    public static func step(at time: Timestamp) -> Int64 {
        let length = period * 1_000_000
        let step = time.microseconds / length
        return time.microseconds % length < 0 ? step - 1 : step
    }

    /// The code of a step, with leading zeros.
    public func code(ofStep step: Int64) -> String {
        let text = String(value(ofStep: step))
        return String(repeating: "0", count: digits - text.count) + text
    }

    /// The step whose code it is: the present one, or one of drift before or after; nil where it is none of these. All
    /// are computed and compared as numbers, whichever fits.
    public func step(of code: String, at time: Timestamp) -> Int64? {
        let typed = code.utf8.filter { $0 != UInt8(ascii: " ") }
        guard typed.count == digits, typed.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        let number = typed.reduce(UInt32(0)) { $0 * 10 + UInt32($1 - 0x30) }
        let present = Self.step(at: time)
        var found: Int64?
        for step in (present - Self.drift)...(present + Self.drift) where value(ofStep: step) == number {
            found = step
        }
        return found
    }

    /// RFC 4226, section 5.3: four bytes of the HMAC from where its last half byte says, as a number without sign.
    private func value(ofStep step: Int64) -> UInt32 {
        let counter = withUnsafeBytes(of: step.bigEndian) { Array($0) }
        let code = HMAC<Insecure.SHA1>.authenticationCode(for: counter, using: SymmetricKey(data: secret))
        let bytes = Array(code)
        let offset = Int(bytes[bytes.count - 1] & 0x0F)
        let number = bytes[offset..<offset + 4].reduce(UInt32(0)) { $0 << 8 | UInt32($1) } & 0x7FFF_FFFF
        return number % (0..<digits).reduce(UInt32(1)) { power, _ in power * 10 }
    }

    /// The secret as people type it into an app: base 32 of RFC 4648, without padding.
    public var base32: String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
        var text: [UInt8] = []
        var bits: UInt32 = 0
        var count: UInt32 = 0
        for byte in secret {
            bits = bits << 8 | UInt32(byte)
            count += 8
            while count >= 5 {
                count -= 5
                text.append(alphabet[Int(bits >> count & 31)])
            }
            bits &= 0xFF
        }
        if count > 0 { text.append(alphabet[Int(bits << (5 - count) & 31)]) }
        return String(decoding: text, as: UTF8.self)
    }

    /// What an app reads from a picture or a link: `otpauth://totp/ISSUER:ACCOUNT?…`, the form that the apps agree on.
    public func address(issuer: String, account: String) -> String {
        let issuer = Self.percentEncoded(issuer)
        return "otpauth://totp/\(issuer):\(Self.percentEncoded(account))?secret=\(base32)&issuer=\(issuer)"
            + "&algorithm=SHA1&digits=\(digits)&period=\(Self.period)"
    }

    private static func percentEncoded(_ text: String) -> String {
        text.utf8.reduce(into: "") { encoded, byte in
            switch byte {
            case 0x30...0x39, 0x41...0x5A, 0x61...0x7A, 0x2D, 0x2E, 0x5F, 0x7E:
                encoded.append(Character(UnicodeScalar(byte)))
            default: encoded += "%" + Hexadecimal.pair(byte).uppercased()
            }
        }
    }
}

/// Codes that stand in for an authenticator that was lost, each once: 80 random bits, so that a plain digest of them
/// gives nothing away.
public enum RecoveryCode {
    /// How many are made at once.
    public static let count = 10
    private static let groups = 4
    private static let groupLength = 4

    /// `k3m9-…`: four groups of four characters of Crockford's base 32.
    public static func generate(using random: inout some RandomNumberGenerator) -> String {
        (0..<groups).map { _ in
            String(decoding: (0..<groupLength).map { _ in Base32.character(random.next()) }, as: UTF8.self)
        }.joined(separator: "-")
    }

    /// What is kept of a code; nil where the text is none. Case, hyphens and spaces do not matter, nor does one of the
    /// letters that the alphabet leaves out because they look like a digit.
    public static func digest(of text: String) -> KeyDigest? {
        let characters = text.lowercased().filter { $0 != "-" && $0 != " " }
            .map { $0 == "o" ? "0" : $0 == "i" || $0 == "l" ? "1" : $0 }
        guard characters.count == groups * groupLength,
            characters.allSatisfy({ $0.utf8.count == 1 && $0.utf8.allSatisfy(Base32.isCharacter) })
        else { return nil }
        return KeyDigest(of: "cloudwright recovery code " + String(characters))
    }
}

/// RFC 4648, sections 4 and 5.
package enum Base64 {
    package enum Alphabet: Sendable {
        /// With padding; decodes with or without.
        case standard
        /// For URLs: `-` and `_`, without padding. Decodes only what it encodes (RFC 4648, section 3.5), so that a
        /// token has one spelling.
        case url
    }

    package static func encoded(_ bytes: [UInt8], _ alphabet: Alphabet) -> String {
        let characters = alphabet == .url ? urlCharacters : standardCharacters
        var text: [UInt8] = []
        text.reserveCapacity((bytes.count + 2) / 3 * 4)
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            var bits: UInt32 = 0
            for byte in group { bits = bits << 8 | UInt32(byte) }
            bits <<= UInt32(3 - group.count) * 8
            for index in 0...group.count { text.append(characters[Int(bits >> UInt32(18 - 6 * index) & 63)]) }
            if alphabet == .standard { text += repeatElement(UInt8(ascii: "="), count: 3 - group.count) }
        }
        return String(decoding: text, as: UTF8.self)
    }

    package static func decoded(_ text: [UInt8], _ alphabet: Alphabet) -> [UInt8]? {
        var bytes = [UInt8](repeating: 0, count: text.count)
        let count = text.withUnsafeBytes { text in
            bytes.withUnsafeMutableBytes { decode(text, alphabet, into: $0) }
        }
        return count.map { Array(bytes[..<$0]) }
    }

    /// Gives back how many bytes were written; nil where `text` is not in the alphabet. `out` must be as long as
    /// `text`.
    package static func decode(
        _ text: UnsafeRawBufferPointer, _ alphabet: Alphabet, into out: UnsafeMutableRawBufferPointer
    ) -> Int? {
        precondition(out.count >= text.count)
        var length = text.count
        if alphabet == .standard && length % 4 == 0 {
            for _ in 0..<2 where length > 0 && text[length - 1] == UInt8(ascii: "=") { length -= 1 }
        }
        guard length % 4 != 1 else { return nil }
        var bits: UInt32 = 0
        var bitCount: UInt32 = 0
        var count = 0
        for index in 0..<length {
            guard let value = value(of: text[index], alphabet) else { return nil }
            bits = bits << 6 | value
            bitCount += 6
            if bitCount >= 8 {
                bitCount -= 8
                out[count] = UInt8(truncatingIfNeeded: bits >> bitCount)
                count += 1
            }
        }
        let leftOver = bits & ((1 << bitCount) - 1)
        return alphabet == .url && leftOver != 0 ? nil : count
    }

    private static func value(of character: UInt8, _ alphabet: Alphabet) -> UInt32? {
        switch character {
        case 0x41...0x5A: UInt32(character) - 0x41
        case 0x61...0x7A: UInt32(character) - 0x61 + 26
        case 0x30...0x39: UInt32(character) - 0x30 + 52
        case UInt8(ascii: "+") where alphabet == .standard, UInt8(ascii: "-") where alphabet == .url: 62
        case UInt8(ascii: "/") where alphabet == .standard, UInt8(ascii: "_") where alphabet == .url: 63
        default: nil
        }
    }

    private static let standardCharacters = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/".utf8)
    private static let urlCharacters = Array(
        "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)
}

/// A receive buffer as the parsers read it: every access is checked against the end, in release builds too, because
/// what is in the buffer was written by whoever could open a connection.
struct Octets {
    let base: UnsafePointer<UInt8>
    let count: Int

    /// An empty buffer may have no address; any non-null one will do, since nothing is read.
    @inline(__always)
    init(_ buffer: UnsafeRawBufferPointer) {
        if let address = buffer.baseAddress {
            base = address.assumingMemoryBound(to: UInt8.self)
            count = buffer.count
        } else {
            base = UnsafePointer(bitPattern: 1).unsafelyUnwrapped
            count = 0
        }
    }

    @inline(__always)
    subscript(index: Int) -> UInt8 {
        precondition(UInt(bitPattern: index) < UInt(bitPattern: count), "read beyond the receive buffer")
        return base[index]
    }

    /// Eight octets, the first one in the lowest bits.
    @inline(__always)
    func word(at index: Int) -> UInt64 {
        precondition(index >= 0 && count >= 8 && index <= count &- 8, "read beyond the receive buffer")
        return UInt64(littleEndian: UnsafeRawPointer(base + index).loadUnaligned(as: UInt64.self))
    }
}

/// Eight octets at a time. Each function returns a word whose lowest set bit is the top bit of the first octet found,
/// or zero if there is none; higher bits may be set by carries and mean nothing.
enum OctetWord {
    static let ones: UInt64 = 0x0101_0101_0101_0101
    static let tops: UInt64 = 0x8080_8080_8080_8080

    @inline(__always)
    static func equal(_ word: UInt64, to octet: UInt8) -> UInt64 {
        let difference = word ^ (ones &* UInt64(octet))
        return (difference &- ones) & ~difference & tops
    }

    /// `bound` is at most 128.
    @inline(__always)
    static func below(_ word: UInt64, _ bound: UInt8) -> UInt64 {
        (word &- ones &* UInt64(bound)) & ~word & tops
    }

    @inline(__always)
    static func firstIndex(_ found: UInt64) -> Int { found.trailingZeroBitCount &>> 3 }

    /// ASCII letters in lower case. Only octets with bit 0x40 change, so no control can turn into a letter or a hyphen.
    @inline(__always)
    static func lowercased(_ word: UInt64) -> UInt64 {
        word | ((word & 0x4040_4040_4040_4040) &>> 1)
    }
}

extension Octets {
    /// The first place of `octet` in `start..<end`, or `end`.
    @inline(__always)
    func firstIndex(of octet: UInt8, from start: Int, to end: Int) -> Int {
        var index = start
        while index &+ 8 <= end {
            let found = OctetWord.equal(word(at: index), to: octet)
            if found != 0 { return index &+ OctetWord.firstIndex(found) }
            index &+= 8
        }
        while index < end, self[index] != octet { index &+= 1 }
        return max(index, start)
    }

    /// The first control (below 0x20, tab included, or DEL) in `start..<end`, or `end`.
    @inline(__always)
    func firstControl(from start: Int, to end: Int) -> Int {
        var index = start
        while index &+ 8 <= end {
            let word = word(at: index)
            let found = OctetWord.below(word, 0x20) | OctetWord.equal(word, to: 0x7F)
            if found != 0 { return index &+ OctetWord.firstIndex(found) }
            index &+= 8
        }
        while index < end, self[index] >= 0x20, self[index] != 0x7F { index &+= 1 }
        return index
    }

    /// The first octet in `start..<end` that no request target holds (controls, space, `#`, DEL and above), or `end`.
    @inline(__always)
    func firstOutsideTarget(from start: Int, to end: Int) -> Int {
        var index = start
        while index &+ 8 <= end {
            let word = word(at: index)
            let above = (word & OctetWord.tops) | OctetWord.equal(word, to: 0x7F)
            let found = OctetWord.below(word, 0x21) | OctetWord.equal(word, to: UInt8(ascii: "#")) | above
            if found != 0 { return index &+ OctetWord.firstIndex(found) }
            index &+= 8
        }
        while index < end {
            let octet = self[index]
            if octet < 0x21 || octet >= 0x7F || octet == UInt8(ascii: "#") { break }
            index &+= 1
        }
        return index
    }

    /// The first octet in `start..<end` that is no token character (RFC 9110 section 5.6.2), or `end`.
    @inline(__always)
    func firstOutsideToken(from start: Int, to end: Int) -> Int {
        var index = start
        while index < end, OctetSet.token.contains(self[index]) { index &+= 1 }
        return index
    }

    /// Whether `start..<end` is this lower-case ASCII text, upper and lower case being equal.
    @inline(__always)
    func matches(_ text: StaticString, from start: Int, to end: Int) -> Bool {
        let length = text.utf8CodeUnitCount
        guard end &- start == length, start >= 0, end <= count else { return false }
        let expected = UnsafeRawPointer(text.utf8Start)
        let actual = UnsafeRawPointer(base + start)
        if length >= 8 {
            var offset = 0
            while offset &+ 8 <= length {
                if !Self.sameWord(actual, expected, offset) { return false }
                offset &+= 8
            }
            return offset == length || Self.sameWord(actual, expected, length &- 8)
        }
        for offset in 0..<length {
            let octet = actual.load(fromByteOffset: offset, as: UInt8.self)
            if octet | ((octet & 0x40) &>> 1) != expected.load(fromByteOffset: offset, as: UInt8.self) { return false }
        }
        return true
    }

    @inline(__always)
    private static func sameWord(_ actual: UnsafeRawPointer, _ expected: UnsafeRawPointer, _ offset: Int) -> Bool {
        OctetWord.lowercased(actual.loadUnaligned(fromByteOffset: offset, as: UInt64.self))
            == expected.loadUnaligned(fromByteOffset: offset, as: UInt64.self)
    }

    /// Whether both ranges hold the same text, upper and lower case being equal.
    func sameText(_ first: OctetRange, _ second: OctetRange) -> Bool {
        guard first.length == second.length else { return false }
        for offset in 0..<first.count {
            let left = self[first.lowerBound + offset].asciiLowercased
            if left != self[second.lowerBound + offset].asciiLowercased { return false }
        }
        return true
    }
}

/// A set of ASCII characters as 128 bits.
package struct OctetSet: Sendable {
    let low: UInt64
    let high: UInt64

    @inline(__always)
    package func contains(_ octet: UInt8) -> Bool {
        octet < 0x80 && ((octet < 0x40 ? low : high) &>> UInt64(octet & 0x3F)) & 1 == 1
    }

    /// `tchar`, RFC 9110 section 5.6.2.
    @inline(__always)
    package static var token: OctetSet { OctetSet(low: 0x03FF_6CFA_0000_0000, high: 0x57FF_FFFF_C7FF_FFFE) }

    /// What a registered name may hold here: `unreserved` of RFC 3986. The grammar would also allow sub-delimiters and
    /// percent-encoding; no host name needs them, and servers read them in different ways.
    @inline(__always)
    package static var hostName: OctetSet { OctetSet(low: 0x03FF_6000_0000_0000, high: 0x47FF_FFFE_87FF_FFFE) }

    /// Hexadecimal digits, colon and dot: the inside of an IPv6 literal.
    @inline(__always)
    package static var addressLiteral: OctetSet { OctetSet(low: 0x07FF_4000_0000_0000, high: 0x0000_007E_0000_007E) }
}

extension UInt8 {
    @inline(__always) static var tab: UInt8 { 0x09 }
    @inline(__always) static var lineFeed: UInt8 { 0x0A }
    @inline(__always) static var carriageReturn: UInt8 { 0x0D }
    @inline(__always) static var space: UInt8 { 0x20 }

    @inline(__always) var isWhitespace: Bool { self == .space || self == .tab }
    @inline(__always) var isDigit: Bool { self &- UInt8(ascii: "0") < 10 }

    @inline(__always)
    var asciiLowercased: UInt8 { self &- UInt8(ascii: "A") < 26 ? self | 0x20 : self }

    /// The value of a hexadecimal digit, or nil.
    @inline(__always)
    var hexadecimalValue: UInt8? {
        if isDigit { return self &- UInt8(ascii: "0") }
        let letter = (self | 0x20) &- UInt8(ascii: "a")
        return letter < 6 ? letter &+ 10 : nil
    }
}

/// Writes text into a fixed buffer without allocating. What does not fit is cut off at the buffer's end: a caller whose
/// output must be whole gives a buffer that always suffices.
struct ByteWriter {
    private let buffer: UnsafeMutableRawBufferPointer
    private(set) var count = 0

    init(_ buffer: UnsafeMutableRawBufferPointer) { self.buffer = buffer }

    mutating func write(byte: UInt8) {
        guard count < buffer.count else { return }
        buffer[count] = byte
        count += 1
    }

    mutating func write(_ text: StaticString) {
        let length = min(text.utf8CodeUnitCount, buffer.count - count)
        guard length > 0, let base = buffer.baseAddress else { return }
        base.advanced(by: count).copyMemory(from: text.utf8Start, byteCount: length)
        count += length
    }

    mutating func write(_ number: Int) {
        if number < 0 { write(byte: UInt8(ascii: "-")) }
        var rest = number.magnitude
        var divisor: UInt = 1
        while rest / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            write(byte: UInt8(ascii: "0") + UInt8(rest / divisor))
            rest %= divisor
            divisor /= 10
        }
    }

    /// Sixteen lower-case hex digits.
    mutating func writeHex(_ word: UInt64) {
        for shift in stride(from: 60 as UInt64, through: 0, by: -4) {
            write(byte: Self.hexDigit(UInt8(truncatingIfNeeded: word >> shift) & 15))
        }
    }

    mutating func writeMember(_ nameAndColon: StaticString, _ value: Int) {
        write(nameAndColon)
        write(value)
    }

    /// The inside of a JSON string (RFC 8259, section 7): as many whole characters of `text` as take `limit` bytes
    /// escaped.
    mutating func writeEscaped(_ text: String, atMost limit: Int) {
        var left = limit
        for scalar in text.unicodeScalars {
            let needsBackslash = scalar == "\"" || scalar == "\\"
            let isControl = scalar.value < 0x20
            left -= isControl ? 6 : needsBackslash ? 2 : UTF8.width(scalar)
            if left < 0 { return }
            if isControl {
                write("\\u00")
                let value = UInt8(scalar.value)
                write(byte: Self.hexDigit(value >> 4))
                write(byte: Self.hexDigit(value & 15))
            } else {
                if needsBackslash { write(byte: UInt8(ascii: "\\")) }
                UTF8.encode(scalar)?.forEach { write(byte: $0) }
            }
        }
    }

    private static func hexDigit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "a") + value - 10
    }
}

/// Writes into memory of the caller and never beyond its end. What does not fit is dropped and remembered: `written`
/// is then nil.
@frozen
public struct OctetWriter {
    @usableFromInline let base: UnsafeMutableRawPointer?
    @usableFromInline let capacity: Int
    @usableFromInline var position = 0
    @usableFromInline var overflowed = false

    @inlinable
    public init(_ buffer: UnsafeMutableRawBufferPointer) {
        base = buffer.baseAddress
        capacity = buffer.count
    }

    /// Octets written, or nil if the memory was too small.
    @inlinable public var written: Int? { overflowed ? nil : position }

    @inlinable
    public mutating func append(_ octets: UnsafeRawBufferPointer) {
        append(octets.baseAddress, octets.count)
    }

    @inlinable
    public mutating func append(_ text: StaticString) {
        append(UnsafeRawPointer(text.utf8Start), text.utf8CodeUnitCount)
    }

    @inlinable
    public mutating func append(octet: UInt8) {
        guard position < capacity, let base else {
            overflowed = true
            return
        }
        base.storeBytes(of: octet, toByteOffset: position, as: UInt8.self)
        position &+= 1
    }

    /// In decimal digits.
    public mutating func append(decimal number: UInt64) {
        if number < 10 {
            append(octet: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number))
            return
        }
        var divisor: UInt64 = 1
        while number / divisor >= 10 { divisor *= 10 }
        while divisor > 0 {
            append(octet: UInt8(ascii: "0") &+ UInt8(truncatingIfNeeded: number / divisor % 10))
            divisor /= 10
        }
    }

    /// In lower-case hexadecimal digits without leading zeros.
    public mutating func append(hexadecimal number: UInt64) {
        var shift = number == 0 ? 0 : (63 - number.leadingZeroBitCount) & ~3
        while shift >= 0 {
            let digit = UInt8(truncatingIfNeeded: number >> UInt64(shift) & 0xF)
            append(octet: digit < 10 ? UInt8(ascii: "0") + digit : UInt8(ascii: "a") + digit - 10)
            shift -= 4
        }
    }

    @inlinable
    mutating func append(_ source: UnsafeRawPointer?, _ count: Int) {
        guard count <= capacity &- position else {
            overflowed = true
            return
        }
        guard count > 0, let base, let source else { return }
        (base + position).copyMemory(from: source, byteCount: count)
        position &+= count
    }

    @inlinable
    public mutating func appendLineEnd() { append("\r\n") }

    /// One field line. The value must not hold CR, LF or NUL: it comes from the gateway or from a parsed head.
    @inlinable
    public mutating func appendField(_ name: StaticString, _ value: StaticString) {
        append(name)
        append(": ")
        append(value)
        append("\r\n")
    }

    @inlinable
    public mutating func appendField(_ name: StaticString, _ value: UnsafeRawBufferPointer) {
        append(name)
        append(": ")
        append(value)
        append("\r\n")
    }

    @inlinable
    public mutating func appendField(_ name: StaticString, decimal value: UInt64) {
        append(name)
        append(": ")
        append(decimal: value)
        append("\r\n")
    }

    /// The line before a chunk of so many octets. After the chunk comes `appendLineEnd`; a body ends with
    /// `appendLastChunk`. Zero octets would end the body, so nothing is written for them.
    public mutating func appendChunkSize(_ count: Int) {
        guard count > 0 else { return }
        append(hexadecimal: UInt64(count))
        append("\r\n")
    }

    public mutating func appendLastChunk() { append("0\r\n\r\n") }
}

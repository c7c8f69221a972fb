/// A piece of a receive buffer, as an offset from where the message head began. It stays right when the loop moves the
/// buffer's content, as long as the head moves with it.
@frozen
public struct OctetRange: Hashable, Sendable {
    public var start: UInt32
    public var length: UInt32

    @inlinable
    public init(start: UInt32, length: UInt32) {
        self.start = start
        self.length = length
    }

    /// From `lower` up to but not including `upper`. Both fit: a head is never longer than `HeadLimits.ceiling`.
    @inlinable
    init(_ lower: Int, _ upper: Int) {
        start = UInt32(truncatingIfNeeded: lower)
        length = UInt32(truncatingIfNeeded: upper &- lower)
    }

    @inlinable public var lowerBound: Int { Int(start) }
    @inlinable public var upperBound: Int { Int(start) + Int(length) }
    @inlinable public var count: Int { Int(length) }
    @inlinable public var isEmpty: Bool { length == 0 }

    /// The octets themselves. `buffer` begins where the head began; the range is checked against its end.
    @inlinable
    public func octets(in buffer: UnsafeRawBufferPointer) -> UnsafeRawBufferPointer {
        precondition(upperBound <= buffer.count, "the range lies beyond the buffer")
        return UnsafeRawBufferPointer(rebasing: buffer[lowerBound..<upperBound])
    }

    /// The octets as text, for logs and slow paths: this allocates.
    public func string(in buffer: UnsafeRawBufferPointer) -> String {
        String(decoding: octets(in: buffer), as: UTF8.self)
    }
}

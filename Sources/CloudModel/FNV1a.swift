/// The hash of Fowler, Noll and Vo, variant 1a with 64 bits: fast for short texts, and the same in every process and on
/// every machine, which Swift's own hashes are not. Not for what an adversary chooses.
@frozen
public struct FNV1a: Hashable, Sendable {
    public var value: UInt64

    /// The standard's offset basis; another one makes another hash of the same bytes.
    public static let offsetBasis: UInt64 = 0xCBF2_9CE4_8422_2325

    @inlinable
    public init(offset: UInt64 = FNV1a.offsetBasis) { value = offset }

    @inlinable
    public mutating func add(_ byte: UInt8) { value = (value ^ UInt64(byte)) &* 0x0000_0100_0000_01B3 }

    @inlinable
    public mutating func add(_ bytes: some Sequence<UInt8>) {
        for byte in bytes { add(byte) }
    }

    /// With an octet after it that UTF-8 never has, so that parts cannot be shifted between neighbours.
    public mutating func add(part: String) {
        add(part.utf8)
        add(0xFF)
    }
}

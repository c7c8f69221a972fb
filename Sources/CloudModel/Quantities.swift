/// A number of bytes.
public struct ByteCount: Hashable, Comparable, Codable, Sendable {
    public var bytes: Int64

    @inlinable public init(bytes: Int64) { self.bytes = bytes }
    public init(from decoder: any Decoder) throws { bytes = try decoder.singleValueContainer().decode(Int64.self) }
    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(bytes)
    }

    @inlinable public static func kibibytes(_ count: Int64) -> Self { ByteCount(bytes: count << 10) }
    @inlinable public static func mebibytes(_ count: Int64) -> Self { ByteCount(bytes: count << 20) }
    @inlinable public static func < (left: Self, right: Self) -> Bool { left.bytes < right.bytes }
}

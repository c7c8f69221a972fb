/// A network: an address of which the first bits count.
public struct NetworkPrefix: Hashable, Sendable {
    /// An IPv4 address as IPv6 has it (`::ffff:a.b.c.d`, RFC 4291, section 2.5.5.2), so that there is one form.
    public let address: IPAddressBits
    /// Bits that count, of 128.
    public let length: Int

    /// Reads `10.0.0.0/8`, `fd00::/8`, or an address alone; nil where the text is none.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", maxSplits: 1, omittingEmptySubsequences: false)
        guard let first = parts.first, let address = IPAddressBits(String(first)) else { return nil }
        let isFour = AddressText.isIPv4(first)
        var length = isFour ? 32 : 128
        if parts.count == 2 {
            guard let given = QuantityText.digits(parts[1]), given <= length else { return nil }
            length = Int(given)
        }
        self.address = address
        self.length = isFour ? length + 96 : length
    }

    public func contains(_ other: IPAddressBits) -> Bool {
        let differing = address.bits ^ other.bits
        return length == 0 || differing >> UInt128(128 - length) == 0
    }
}

/// The 128 bits of an IP address.
public struct IPAddressBits: Hashable, Sendable {
    public let bits: UInt128

    public init(bits: UInt128) { self.bits = bits }

    /// An IPv4 address in the form that IPv6 has for it.
    public init(four: UInt32) { bits = 0xFFFF << 32 | UInt128(four) }

    /// Whether it is an IPv4 address.
    public var isFour: Bool { bits >> 32 == 0xFFFF }

    /// Reads an IPv4 or IPv6 address; nil where the text is none.
    public init?(_ text: String) {
        if AddressText.isIPv4(text) {
            let value = text.split(separator: ".").reduce(UInt128(0)) { $0 << 8 | (UInt128(String($1)) ?? 0) }
            bits = 0xFFFF << 32 | value
            return
        }
        guard AddressText.isIPv6(text) else { return nil }
        let halves = text.split(separator: ":", omittingEmptySubsequences: false)
        guard let gap = Self.gap(in: halves) else {
            bits = Self.groups(halves).reduce(0) { $0 << 16 | UInt128($1) }
            return
        }
        let front = Self.groups(halves[..<gap].filter { !$0.isEmpty })
        let back = Self.groups(halves[gap...].filter { !$0.isEmpty })
        let zeros = [UInt16](repeating: 0, count: max(0, 8 - front.count - back.count))
        bits = (front + zeros + back).reduce(0) { $0 << 16 | UInt128($1) }
    }

    /// Where `::` is: the first part that is empty between two colons.
    private static func gap(in parts: [Substring]) -> Int? { parts.firstIndex { $0.isEmpty } }

    private static func groups(_ parts: some Sequence<Substring>) -> [UInt16] {
        parts.flatMap { part -> [UInt16] in
            guard part.contains(".") else { return [UInt16(part, radix: 16) ?? 0] }
            let bytes = part.split(separator: ".").map { UInt16($0) ?? 0 }
            return [bytes[0] << 8 | bytes[1], bytes[2] << 8 | bytes[3]]
        }
    }
}

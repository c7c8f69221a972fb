/// Quantities as people write and read them: a whole number and a unit.
extension TimeSpan {
    private static let units: [(name: String, factor: Int64)] = [
        ("h", 3_600_000_000), ("m", 60_000_000), ("s", 1_000_000), ("ms", 1_000), ("us", 1),
    ]

    /// Reads `200ms`, `5s`, `2m`, `1h`; nil where the text is none, or negative.
    public init?(parsing text: String) {
        guard let microseconds = QuantityText.value(of: text, units: Self.units) else { return nil }
        self.init(microseconds: microseconds)
    }

    /// In the largest unit that divides it: `90s`, `2m`.
    public var text: String { QuantityText.text(of: microseconds, units: Self.units, zero: "0s") }
}

extension ByteCount {
    private static let units: [(name: String, factor: Int64)] = [
        ("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("TB", 1_000_000_000_000),
        ("GB", 1_000_000_000), ("MB", 1_000_000), ("kB", 1_000), ("B", 1),
    ]

    /// Reads `512KiB`, `10MiB`, `1GB`; nil where the text is none, or negative.
    public init?(parsing text: String) {
        guard let bytes = QuantityText.value(of: text, units: Self.units) else { return nil }
        self.init(bytes: bytes)
    }

    /// In the largest unit that divides it.
    public var text: String { QuantityText.text(of: bytes, units: Self.units, zero: "0B") }
}

extension Endpoint {
    /// Reads `127.0.0.1:8080` or `[::1]:8080`, the form of `description`; nil where the text is none. Whether the
    /// address is one is not looked at (see `AddressText`).
    public init?(parsing text: String) {
        guard let colon = text.lastIndex(of: ":"), let number = QuantityText.digits(text[text.index(after: colon)...]),
            let port = UInt16(exactly: number)
        else { return nil }
        var address = String(text[..<colon])
        if address.hasPrefix("["), address.hasSuffix("]") {
            address = String(address.dropFirst().dropLast())
        } else if address.contains(":") {
            return nil
        }
        self.init(address: address, port: port)
    }
}

/// Whether a text is an IP address.
public enum AddressText {
    /// Four decimal numbers up to 255 without leading zeros (RFC 6943, section 3.1.1: the strict form).
    public static func isIPv4(_ text: some StringProtocol) -> Bool {
        let parts = text.split(separator: ".", omittingEmptySubsequences: false)
        return parts.count == 4
            && parts.allSatisfy { part in
                QuantityText.digits(part).map { $0 <= 255 && (part.count == 1 || part.first != "0") } ?? false
            }
    }

    /// RFC 4291, section 2.2, without zone and prefix length.
    public static func isIPv6(_ text: some StringProtocol) -> Bool {
        guard let gap = groups(text) else { return false }
        return gap.hasGap ? gap.count <= 7 : gap.count == 8
    }

    public static func isAddress(_ text: some StringProtocol) -> Bool { isIPv4(text) || isIPv6(text) }

    /// Whether packets to the address stay on this machine.
    public static func isLoopback(_ text: String) -> Bool { isIPv4(text) ? text.hasPrefix("127.") : text == "::1" }

    /// How many 16-bit groups are written, and whether `::` stands for more; nil where a part is none.
    private static func groups(_ text: some StringProtocol) -> (count: Int, hasGap: Bool)? {
        var parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count >= 3 else { return nil }
        // A colon at either end belongs to a `::`.
        if parts[0].isEmpty {
            guard parts[1].isEmpty else { return nil }
            parts.removeFirst()
        }
        if parts[parts.count - 1].isEmpty {
            guard parts.count >= 2, parts[parts.count - 2].isEmpty else { return nil }
            parts.removeLast()
        }
        let gaps = parts.filter(\.isEmpty).count
        guard gaps <= 1 else { return nil }
        var count = 0
        for (index, part) in parts.enumerated() where !part.isEmpty {
            if index == parts.count - 1, part.contains(".") {
                guard isIPv4(part) else { return nil }
                count += 2
            } else {
                guard part.utf8.count <= 4, part.utf8.allSatisfy(isHexDigit) else { return nil }
                count += 1
            }
        }
        return (count, gaps == 1)
    }

    private static func isHexDigit(_ byte: UInt8) -> Bool {
        (0x30...0x39).contains(byte) || (0x41...0x46).contains(byte) || (0x61...0x66).contains(byte)
    }
}

enum QuantityText {
    /// Digits only: no sign, no separators.
    static func digits(_ text: some StringProtocol) -> Int64? {
        guard !text.isEmpty, text.utf8.allSatisfy({ (0x30...0x39).contains($0) }) else { return nil }
        return Int64(text)
    }

    static func value(of text: String, units: [(name: String, factor: Int64)]) -> Int64? {
        let digitCount = text.utf8.prefix { (0x30...0x39).contains($0) }.count
        guard let number = digits(text.prefix(digitCount)),
            let unit = units.first(where: { $0.name == text.dropFirst(digitCount) })
        else { return nil }
        let (product, overflow) = number.multipliedReportingOverflow(by: unit.factor)
        return overflow ? nil : product
    }

    static func text(of value: Int64, units: [(name: String, factor: Int64)], zero: String) -> String {
        guard value != 0, let unit = units.first(where: { value % $0.factor == 0 }) else { return zero }
        return "\(value / unit.factor)\(unit.name)"
    }
}

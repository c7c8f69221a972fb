/// An exact decimal number: `coefficient` times ten to the power of minus `scale`, without trailing zeros.
///
/// Prices and allowances are written with it; sums are made with exact fractions of it, never with binary floating
/// point.
public struct ExactDecimal: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    public let coefficient: Int64
    /// Decimals: 0 to 12.
    public let scale: Int

    public static let largestScale = 12
    public static let zero = ExactDecimal(0)

    public init(_ whole: Int64) {
        coefficient = whole
        scale = 0
    }

    /// Reads `12`, `-0.05`, `1000.25`; nil where the text is none, has more than 12 decimals or more than 18 digits.
    public init?(_ text: String) {
        let isNegative = text.hasPrefix("-")
        let parts = (isNegative ? text.dropFirst() : text[...]).split(separator: ".", omittingEmptySubsequences: false)
        guard (1...2).contains(parts.count), parts.allSatisfy({ !$0.isEmpty && $0.utf8.allSatisfy(Self.isDigit) })
        else { return nil }
        var decimals = parts.count == 2 ? parts[1] : ""
        while decimals.hasSuffix("0") { decimals.removeLast() }
        let digits = String((parts[0] + decimals).drop { $0 == "0" })
        guard decimals.utf8.count <= Self.largestScale, digits.utf8.count <= 18 else { return nil }
        let magnitude = Int64(digits) ?? 0
        coefficient = isNegative ? -magnitude : magnitude
        scale = decimals.utf8.count
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let value = ExactDecimal(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "a decimal number is 12 or 0.05")
        }
        self = value
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String {
        var digits = String(coefficient.magnitude)
        if digits.utf8.count <= scale { digits = String(repeating: "0", count: scale + 1 - digits.utf8.count) + digits }
        let sign = coefficient < 0 ? "-" : ""
        return sign + digits.dropLast(scale) + (scale == 0 ? "" : "." + digits.suffix(scale))
    }

    public static func < (left: Self, right: Self) -> Bool {
        Int128(left.coefficient) * powerOfTen(right.scale) < Int128(right.coefficient) * powerOfTen(left.scale)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (0x30...0x39).contains(byte) }

    private static func powerOfTen(_ exponent: Int) -> Int128 {
        (0..<exponent).reduce(Int128(1)) { power, _ in power * 10 }
    }
}

/// A currency by its code of ISO 4217.
public struct Currency: Hashable, Comparable, Codable, Sendable, CustomStringConvertible {
    /// Three upper-case letters.
    public let code: String

    /// Nil where ISO 4217 has no such currency. Funds, metals and test codes (`XAU`, `XXX`) are none to bill in.
    public init?(_ code: String) {
        guard Self.twoDigits.contains(code) || Self.otherDigits[code] != nil else { return nil }
        self.code = code
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let currency = Currency(text) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "'\(text)' is not in ISO 4217")
        }
        self = currency
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(code)
    }

    /// Decimals of the minor unit: 2 for the euro (cent), 0 for the yen, 3 for the dinar (fils).
    public var minorDigits: Int { Self.otherDigits[code] ?? 2 }

    public var description: String { code }
    public static func < (left: Self, right: Self) -> Bool { left.code < right.code }

    private static let otherDigits: [String: Int] = {
        var digits: [String: Int] = [:]
        for code in "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX VND VUV XAF XOF XPF".split(separator: " ") {
            digits[String(code)] = 0
        }
        for code in "BHD IQD JOD KWD LYD OMR TND".split(separator: " ") { digits[String(code)] = 3 }
        return digits
    }()

    private static let twoDigits = Set(
        """
        AED AFN ALL AMD AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BRL BSD BTN BWP BYN BZD CAD CDF CHF CNY COP \
        CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ GYD HKD HNL HTG HUF IDR ILS INR \
        IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MRU MUR MVR MWK MXN MYR MZN \
        NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD SCR SDG SEK SGD SHP SLE SOS SRD SSP \
        STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD UYU UZS VED VES WST XCD XCG YER ZAR ZMW ZWG
        """.split(separator: " ").map(String.init))
}

/// An amount in whole minor units of a currency: 1234 of the euro is 12.34 EUR.
public struct Money: Hashable, Codable, Sendable, CustomStringConvertible {
    public var minorUnits: Int64
    public var currency: Currency

    public init(minorUnits: Int64, currency: Currency) {
        self.minorUnits = minorUnits
        self.currency = currency
    }

    /// The exact amount; nil where it has more decimals than the currency.
    public init?(_ amount: ExactDecimal, _ currency: Currency) {
        guard amount.scale <= currency.minorDigits else { return nil }
        var units = amount.coefficient
        for _ in amount.scale..<currency.minorDigits {
            let (product, overflow) = units.multipliedReportingOverflow(by: 10)
            guard !overflow else { return nil }
            units = product
        }
        self.init(minorUnits: units, currency: currency)
    }

    /// Without the currency, with all decimals of its minor unit: `12.30`.
    public var amount: String {
        let decimals = currency.minorDigits
        var digits = String(minorUnits.magnitude)
        if digits.utf8.count <= decimals {
            digits = String(repeating: "0", count: decimals + 1 - digits.utf8.count) + digits
        }
        let sign = minorUnits < 0 ? "-" : ""
        return sign + digits.dropLast(decimals) + (decimals == 0 ? "" : "." + digits.suffix(decimals))
    }

    public var description: String { "\(amount) \(currency)" }
}

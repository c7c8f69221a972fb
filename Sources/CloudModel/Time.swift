/// A point in time: microseconds since 1970-01-01T00:00:00Z, leap seconds not counted (POSIX time).
public struct Timestamp: Hashable, Comparable, Codable, Sendable {
    public var microseconds: Int64

    @inlinable public init(microseconds: Int64) { self.microseconds = microseconds }
    public init(from decoder: any Decoder) throws {
        microseconds = try decoder.singleValueContainer().decode(Int64.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(microseconds)
    }

    public static let epoch = Timestamp(microseconds: 0)
    public static let distantFuture = Timestamp(microseconds: .max)

    @inlinable public static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }

    /// Saturates instead of trapping, so that "no deadline" (`distantFuture`) plus anything stays no deadline.
    @inlinable public static func + (left: Self, right: TimeSpan) -> Self {
        let (sum, overflow) = left.microseconds.addingReportingOverflow(right.microseconds)
        return Timestamp(microseconds: overflow ? (right.microseconds > 0 ? .max : .min) : sum)
    }

    @inlinable public static func - (left: Self, right: TimeSpan) -> Self {
        let (difference, overflow) = left.microseconds.subtractingReportingOverflow(right.microseconds)
        return Timestamp(microseconds: overflow ? (right.microseconds > 0 ? .min : .max) : difference)
    }

    @inlinable public static func - (left: Self, right: Self) -> TimeSpan {
        let (difference, overflow) = left.microseconds.subtractingReportingOverflow(right.microseconds)
        return TimeSpan(microseconds: overflow ? (left > right ? .max : .min) : difference)
    }
}

/// A length of time in microseconds; negative where the earlier point is the later one.
public struct TimeSpan: Hashable, Comparable, Codable, Sendable {
    public var microseconds: Int64

    @inlinable public init(microseconds: Int64) { self.microseconds = microseconds }
    public init(from decoder: any Decoder) throws {
        microseconds = try decoder.singleValueContainer().decode(Int64.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(microseconds)
    }

    public static let zero = TimeSpan(microseconds: 0)
    @inlinable public static func microseconds(_ count: Int64) -> Self { TimeSpan(microseconds: count) }
    @inlinable public static func milliseconds(_ count: Int64) -> Self { TimeSpan(microseconds: count * 1_000) }
    @inlinable public static func seconds(_ count: Int64) -> Self { TimeSpan(microseconds: count * 1_000_000) }
    @inlinable public static func minutes(_ count: Int64) -> Self { .seconds(count * 60) }
    @inlinable public static func hours(_ count: Int64) -> Self { .seconds(count * 3_600) }

    @inlinable public static func < (left: Self, right: Self) -> Bool { left.microseconds < right.microseconds }
    @inlinable public static func + (left: Self, right: Self) -> Self {
        TimeSpan(microseconds: left.microseconds + right.microseconds)
    }
    @inlinable public static func - (left: Self, right: Self) -> Self {
        TimeSpan(microseconds: left.microseconds - right.microseconds)
    }
    @inlinable public static func * (left: Self, right: Int64) -> Self {
        let (product, overflow) = left.microseconds.multipliedReportingOverflow(by: right)
        return TimeSpan(microseconds: overflow ? .max : product)
    }

    /// Whole milliseconds, rounded up: a timer armed with it never fires early.
    public var millisecondsRoundedUp: Int64 { (microseconds + 999) / 1_000 }
    public var inSeconds: Double { Double(microseconds) / 1_000_000 }
}

extension Timestamp {
    /// RFC 3339 in UTC with six decimals (`2026-11-24T02:30:00.000000Z`), so that texts sort as times do.
    public var rfc3339: String {
        var (days, rest) = microseconds.quotientAndRemainder(dividingBy: 86_400_000_000)
        if rest < 0 {
            days -= 1
            rest += 86_400_000_000
        }
        let (year, month, day) = Self.civilDate(daysSinceEpoch: days)
        let seconds = rest / 1_000_000
        let date = "\(padded(year, 4))-\(padded(month, 2))-\(padded(day, 2))"
        let time = "\(padded(seconds / 3_600, 2)):\(padded(seconds / 60 % 60, 2)):\(padded(seconds % 60, 2))"
        return "\(date)T\(time).\(padded(rest % 1_000_000, 6))Z"
    }

    /// Reads RFC 3339 with any offset and up to nine decimals (cut to six); nil where the text is none.
    public init?(rfc3339 text: String) {
        var digits = RFC3339Scanner(text: text)
        guard let year = digits.number(4), digits.skip("-"), let month = digits.number(2), digits.skip("-"),
            let day = digits.number(2), digits.skip("T") || digits.skip("t") || digits.skip(" "),
            let hour = digits.number(2), digits.skip(":"), let minute = digits.number(2), digits.skip(":"),
            let second = digits.number(2), let fraction = digits.fractionInMicroseconds(),
            let offset = digits.offsetInSeconds(), digits.isAtEnd,
            (1...12).contains(month), day >= 1, day <= Self.daysInMonth(month, ofYear: year),
            hour < 24, minute < 60, second < 61
        else { return nil }
        let days = Self.daysSinceEpoch(year: year, month: month, day: day)
        let whole = days * 86_400 + hour * 3_600 + minute * 60 + second - offset
        self.init(microseconds: whole * 1_000_000 + fraction)
    }

    /// Howard Hinnant's `civil_from_days` (chrono-compatible low-level date algorithms, 2013).
    package static func civilDate(daysSinceEpoch: Int64) -> (year: Int64, month: Int64, day: Int64) {
        let shifted = daysSinceEpoch + 719_468
        let era = (shifted >= 0 ? shifted : shifted - 146_096) / 146_097
        let dayOfEra = shifted - era * 146_097
        let yearOfEra = (dayOfEra - dayOfEra / 1_460 + dayOfEra / 36_524 - dayOfEra / 146_096) / 365
        let dayOfYear = dayOfEra - (365 * yearOfEra + yearOfEra / 4 - yearOfEra / 100)
        let shiftedMonth = (5 * dayOfYear + 2) / 153
        let day = dayOfYear - (153 * shiftedMonth + 2) / 5 + 1
        let month = shiftedMonth < 10 ? shiftedMonth + 3 : shiftedMonth - 9
        return (yearOfEra + era * 400 + (month <= 2 ? 1 : 0), month, day)
    }

    /// The inverse of `civilDate(daysSinceEpoch:)`.
    package static func daysSinceEpoch(year: Int64, month: Int64, day: Int64) -> Int64 {
        let shiftedYear = month <= 2 ? year - 1 : year
        let era = (shiftedYear >= 0 ? shiftedYear : shiftedYear - 399) / 400
        let yearOfEra = shiftedYear - era * 400
        let dayOfYear = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1
        return era * 146_097 + yearOfEra * 365 + yearOfEra / 4 - yearOfEra / 100 + dayOfYear - 719_468
    }

    static func daysInMonth(_ month: Int64, ofYear year: Int64) -> Int64 {
        let next = month == 12 ? (year + 1, 1) : (year, month + 1)
        return daysSinceEpoch(year: next.0, month: next.1, day: 1) - daysSinceEpoch(year: year, month: month, day: 1)
    }
}

private func padded(_ number: Int64, _ width: Int) -> String {
    let text = String(number)
    return String(repeating: "0", count: max(0, width - text.utf8.count)) + text
}

private struct RFC3339Scanner {
    private var rest: Substring.UTF8View

    init(text: String) { rest = Substring(text).utf8 }

    var isAtEnd: Bool { rest.isEmpty }

    mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard let first = rest.first, first == UInt8(ascii: character) else { return false }
        rest.removeFirst()
        return true
    }

    mutating func digit() -> Int64? {
        guard let first = rest.first, (0x30...0x39).contains(first) else { return nil }
        rest.removeFirst()
        return Int64(first - 0x30)
    }

    mutating func number(_ width: Int) -> Int64? {
        var value: Int64 = 0
        for _ in 0..<width {
            guard let next = digit() else { return nil }
            value = value * 10 + next
        }
        return value
    }

    mutating func fractionInMicroseconds() -> Int64? {
        guard skip(".") else { return 0 }
        var value: Int64 = 0
        var count = 0
        while let next = digit() {
            if count < 6 { value = value * 10 + next }
            count += 1
        }
        guard (1...9).contains(count) else { return nil }
        for _ in count..<max(count, 6) { value *= 10 }
        return value
    }

    mutating func offsetInSeconds() -> Int64? {
        if skip("Z") || skip("z") { return 0 }
        let negative = skip("-")
        guard negative || skip("+"), let hours = number(2), skip(":"), let minutes = number(2), hours < 24, minutes < 60
        else { return nil }
        return (hours * 3_600 + minutes * 60) * (negative ? -1 : 1)
    }
}

public import CloudModel

/// An exact fraction: what a line of a bill is summed up in before it is rounded, once.
public struct Fraction: Comparable, Sendable {
    private var isNegative: Bool
    private var numerator: Natural
    private var denominator: Natural

    public static let zero = Fraction(0)
    public static let one = Fraction(1)

    public init(_ value: Int128) { self.init(value, over: 1) }

    /// `divisor` is greater than zero.
    public init(_ value: Int128, over divisor: Int128) {
        precondition(divisor > 0, "a fraction has a positive denominator")
        self.init(value < 0, Natural(value.magnitude), Natural(divisor.magnitude))
    }

    public init(_ decimal: ExactDecimal) {
        self.init(
            decimal.coefficient < 0, Natural(UInt128(decimal.coefficient.magnitude)), .powerOfTen(decimal.scale))
    }

    private init(_ isNegative: Bool, _ numerator: Natural, _ denominator: Natural) {
        self.isNegative = isNegative && !numerator.isZero
        self.numerator = numerator
        self.denominator = denominator
    }

    public static func == (left: Fraction, right: Fraction) -> Bool { !(left < right) && !(right < left) }

    public static func < (left: Fraction, right: Fraction) -> Bool {
        let difference = left - right
        return difference.isNegative
    }

    public static func + (left: Fraction, right: Fraction) -> Fraction {
        // Sums over one price have one denominator: it must not grow with their number.
        guard left.denominator != right.denominator else {
            return sum(left, left.numerator, right, right.numerator, over: left.denominator)
        }
        return sum(
            left, left.numerator * right.denominator, right, right.numerator * left.denominator,
            over: left.denominator * right.denominator)
    }

    private static func sum(
        _ left: Fraction, _ first: Natural, _ right: Fraction, _ second: Natural, over denominator: Natural
    ) -> Fraction {
        if left.isNegative == right.isNegative { return Fraction(left.isNegative, first + second, denominator) }
        return first < second
            ? Fraction(right.isNegative, second - first, denominator)
            : Fraction(left.isNegative, first - second, denominator)
    }

    public static prefix func - (value: Fraction) -> Fraction {
        Fraction(!value.isNegative, value.numerator, value.denominator)
    }

    public static func - (left: Fraction, right: Fraction) -> Fraction { left + -right }

    public static func * (left: Fraction, right: Fraction) -> Fraction {
        Fraction(
            left.isNegative != right.isNegative, left.numerator * right.numerator, left.denominator * right.denominator)
    }

    /// `right` is not zero.
    public static func / (left: Fraction, right: Fraction) -> Fraction {
        Fraction(
            left.isNegative != right.isNegative, left.numerator * right.denominator, left.denominator * right.numerator)
    }

    /// The smallest whole number that is not less.
    public var roundedUp: Fraction {
        let (quotient, remainder) = numerator.quotientAndRemainder(dividingBy: denominator)
        let isExact = remainder.isZero || isNegative
        return Fraction(isNegative, isExact ? quotient : quotient + .one, .one)
    }

    /// In units of ten to the power of minus `digits`; stays at the ends of what fits.
    public func rounded(to digits: Int, _ rule: PricePlan.Rounding) -> Int64 {
        let scaled = numerator * .powerOfTen(digits)
        var (quotient, remainder) = scaled.quotientAndRemainder(dividingBy: denominator)
        let twice = remainder + remainder
        let isTie = twice == denominator
        if twice > denominator || (isTie && (rule == .halfUp || quotient.isOdd)) { quotient = quotient + .one }
        let magnitude = min(quotient.uint64 ?? .max, UInt64(Int64.max))
        return isNegative ? -Int64(magnitude) : Int64(magnitude)
    }

    /// As decimal text with so many decimals at most, the last one rounded: `0.333333333333`, `12.5`, `3`.
    public func text(decimals: Int = ExactDecimal.largestScale) -> String {
        var places = decimals
        // What does not fit with all decimals is shown with fewer.
        while places > 0, numerator * .powerOfTen(places) > denominator * Natural(UInt128(Int64.max)) { places -= 1 }
        let units = rounded(to: places, .halfEven)
        var digits = String(units.magnitude)
        if digits.utf8.count <= places {
            digits = String(repeating: "0", count: places + 1 - digits.utf8.count) + digits
        }
        var fraction = digits.suffix(places)
        while fraction.hasSuffix("0") { fraction.removeLast() }
        return (units < 0 ? "-" : "") + digits.dropLast(places) + (fraction.isEmpty ? "" : "." + fraction)
    }
}

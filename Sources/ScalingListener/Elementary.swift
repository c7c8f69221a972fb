/// The two functions that the policies need beyond arithmetic; here, since the C library is outside of a pure room.
package enum Elementary {
    private static let logarithmOfTwo = 0.693_147_180_559_945_309

    /// Natural logarithm: of the exponent, and of the significand by the series of artanh, which 24 terms bring below
    /// the rounding of a `Double`.
    package static func logarithm(_ value: Double) -> Double {
        guard value > 0, value.isFinite else { return value > 0 ? .infinity : -.infinity }
        let ratio = (value.significand - 1) / (value.significand + 1)
        let square = ratio * ratio
        var term = ratio
        var sum = 0.0
        var divisor = 1.0
        for _ in 0..<24 {
            sum += term / divisor
            term *= square
            divisor += 2
        }
        return 2 * sum + Double(value.exponent) * logarithmOfTwo
    }

    /// e to the power of a value from -700 to 700 (beyond, that of the end): whole powers of two, and Taylor's series
    /// of the rest, which is below 0.35.
    package static func exponential(_ value: Double) -> Double {
        let bounded = min(max(value, -700), 700)
        let twos = (bounded / logarithmOfTwo).rounded()
        let rest = bounded - twos * logarithmOfTwo
        var term = 1.0
        var sum = 1.0
        for index in 1...14 {
            term *= rest / Double(index)
            sum += term
        }
        return sum * Double(sign: .plus, exponent: Int(twos), significand: 1)
    }
}

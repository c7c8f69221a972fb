import CloudModel
import PayPerUse
import Testing

@Suite struct MoneyTests {
    @Test(arguments: [
        ("0", "0"), ("-0.00", "0"), ("0.05", "0.05"), ("-12.340", "-12.34"), ("007", "7"),
        ("0.000000000001", "0.000000000001"), ("999999999999999999", "999999999999999999"),
    ])
    func decimalsReadBack(text: String, shown: String) throws {
        let decimal = try #require(ExactDecimal(text))
        #expect(decimal.description == shown)
        #expect(ExactDecimal(shown) == decimal)
    }

    @Test(arguments: ["", ".", "1.", ".5", "1e3", "+1", "1,5", "0.0000000000001", "1000000000000000000", "--1", "１"])
    func whatIsNoDecimalIsRefused(text: String) { #expect(ExactDecimal(text) == nil) }

    @Test func decimalsAreOrderedByValue() {
        let texts = ["-2", "-1.5", "0", "0.000000000001", "0.1", "0.11", "1", "999999999999999999"]
        let decimals = texts.compactMap { ExactDecimal($0) }
        #expect(decimals.shuffled().sorted() == decimals)
    }

    @Test func amountsHaveTheDecimalsOfTheirCurrency() throws {
        let cases = [("EUR", 1_230, "12.30 EUR"), ("JPY", 1_230, "1230 JPY"), ("KWD", -5, "-0.005 KWD")]
        for (code, units, text) in cases {
            let currency = try #require(Currency(code))
            #expect(Money(minorUnits: Int64(units), currency: currency).description == text)
        }
        #expect(Currency("XXX") == nil)
        #expect(Currency("eur") == nil)
        let euro = try #require(Currency("EUR")), half = try #require(ExactDecimal("0.5"))
        #expect(Money(half, euro)?.minorUnits == 50)
        #expect(Money(try #require(ExactDecimal("0.005")), euro) == nil)
    }

    /// Against the definition: quotient times divisor plus remainder, with numbers that 128 bits do not hold.
    @Test func fractionsAreExact() {
        var random = SeededGenerator(seed: 7)
        for _ in 0..<2_000 {
            func number() -> Int128 {
                let wide =
                    Int128(UInt64.random(in: 0...UInt64.max, using: &random)) << Int.random(in: 0...62, using: &random)
                return Bool.random(using: &random) ? wide : -wide
            }
            let (a, b, c) = (number(), abs(number()) + 1, abs(number()) + 1)
            let x = Fraction(a, over: b), y = Fraction(b, over: c), z = Fraction(c)
            #expect((x * y) * z == Fraction(a))
            #expect(x + y - y == x)
            #expect((x + y) * z == x * z + y * z)
            #expect(x / y * y == x)
        }
    }

    /// Digits that are all ones, all zeros or just about half make the guesses of long division too high by one and by
    /// two (Hacker's Delight, section 9-2). Multiplication knows nothing of division.
    @Test func longDivisionCorrectsItsGuesses() {
        var random = SeededGenerator(seed: 23)
        let digits: [UInt32] = [0, 1, 2, 0x7FFF_FFFF, 0x8000_0000, 0x8000_0001, 0xFFFF_FFFE, 0xFFFF_FFFF]
        let base = Fraction(Int128(1) << 32)
        func number(_ count: Int) -> Fraction {
            (0..<count).reduce(.one) { number, _ in
                number * base + Fraction(Int128(digits.randomElement(using: &random) ?? 0))
            }
        }
        for _ in 0..<5_000 {
            let dividend = number(.random(in: 1...6, using: &random))
            let divisor = number(.random(in: 1...4, using: &random))
            let whole = (dividend / divisor).roundedUp - .one
            #expect(whole * divisor < dividend && dividend <= (whole + .one) * divisor)
        }
    }

    @Test func roundingIsToTheNearestAndTiesByRule() {
        let cases: [(Int128, Int128, Int64, Int64)] = [
            (5, 1_000, 0, 1), (15, 1_000, 2, 2), (25, 1_000, 2, 3), (-5, 1_000, 0, -1), (-15, 1_000, -2, -2),
            (1, 3, 33, 33), (2, 3, 67, 67), (4_999_999, 1_000_000_000, 0, 0), (5_000_001, 1_000_000_000, 1, 1),
        ]
        for (numerator, denominator, even, up) in cases {
            let fraction = Fraction(numerator, over: denominator)
            #expect(fraction.rounded(to: 2, .halfEven) == even, "\(numerator)/\(denominator)")
            #expect(fraction.rounded(to: 2, .halfUp) == up, "\(numerator)/\(denominator)")
        }
        #expect(Fraction(Int128.max).rounded(to: 2, .halfEven) == .max)
        #expect(Fraction(2, over: 3).text() == "0.666666666667")
        #expect(Fraction(-5, over: 4).text() == "-1.25")
        #expect(Fraction(1 << 100).text().hasPrefix("9223372036854775807"))
    }
}

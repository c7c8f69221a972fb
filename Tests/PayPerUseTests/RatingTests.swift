import CloudModel
import PayPerUse
import Testing

func decimal(_ text: String) -> ExactDecimal {
    guard let value = ExactDecimal(text) else { preconditionFailure("'\(text)' is no decimal") }
    return value
}

let euro: Currency = {
    guard let currency = Currency("EUR") else { preconditionFailure("no euro") }
    return currency
}()

private func price(_ model: Price.Model, free: String = "0", minimum: String = "0") -> Price {
    var meter: BilledMeter? = .request
    if case .flat = model { meter = nil }
    return Price(id: "p", meter: meter, model: model, free: decimal(free), minimum: decimal(minimum))
}

private let tiers = [
    Price.Tier(upTo: decimal("100"), price: decimal("1")),
    Price.Tier(upTo: decimal("1000"), price: decimal("0.5"), flat: decimal("3")),
    Price.Tier(upTo: nil, price: decimal("0.1")),
]

@Suite struct RatingTests {
    @Test(arguments: [
        (price(.flat(decimal("9.99"))), 0, "9.99"),
        (price(.perUnit(decimal("0.0001"))), 12_345, "1.2345"),
        (price(.perUnit(decimal("2")), free: "10"), 7, "0"),
        (price(.perUnit(decimal("2")), free: "10"), 12, "4"),
        (price(.perUnit(decimal("2")), minimum: "5"), 1, "5"),
        (price(.perUnit(decimal("2")), minimum: "5"), 0, "5"),
        (price(.perUnit(decimal("2")), minimum: "5"), 3, "6"),
        (price(.graduated(tiers)), 0, "0"), (price(.graduated(tiers)), 100, "100"),
        (price(.graduated(tiers)), 101, "103.5"), (price(.graduated(tiers)), 1_000, "553"),
        (price(.graduated(tiers)), 1_010, "554"), (price(.graduated(tiers), free: "10"), 110, "100"),
        (price(.volume(tiers)), 0, "0"), (price(.volume(tiers)), 100, "100"), (price(.volume(tiers)), 101, "53.5"),
        (price(.volume(tiers)), 2_000, "200"),
        (price(.package(decimal("7"), size: decimal("1000"))), 0, "0"),
        (price(.package(decimal("7"), size: decimal("1000"))), 1, "7"),
        (price(.package(decimal("7"), size: decimal("1000"))), 1_000, "7"),
        (price(.package(decimal("7"), size: decimal("1000"))), 1_001, "14"),
    ])
    func everyModelCostsWhatItSays(price: Price, count: Int, amount: String) {
        #expect(price.charge(forCounts: Int128(count)).amount == Fraction(decimal(amount)))
    }

    @Test func aUnitIsWhatItsNameSays() {
        #expect(BilledMeter.instanceHour.units(ofCounts: 3_600 * 1_000_000) == .one)
        // Two and a half processors for four seconds.
        #expect(BilledMeter.vcpuSecond.units(ofCounts: 2_500 * 4_000_000) == Fraction(10))
        // 512 MiB for two hours.
        #expect(BilledMeter.gibHour.units(ofCounts: (512 << 20) * 7_200_000_000) == .one)
        #expect(BilledMeter.busySecond.units(ofCounts: 1_500_000) == Fraction(3, over: 2))
    }

    @Test func whatIsForAMonthCountsInProportion() {
        let half = Fraction(1, over: 2)
        #expect(price(.flat(decimal("9"))).charge(forCounts: 0, share: half).amount == Fraction(9, over: 2))
        #expect(price(.perUnit(decimal("2")), free: "10").charge(forCounts: 7, share: half).amount == Fraction(4))
        #expect(
            price(.perUnit(decimal("2")), minimum: "5").charge(forCounts: 1, share: half).amount
                == decimal("2.5").fraction)
        #expect(price(.graduated(tiers)).charge(forCounts: 60, share: half).amount == Fraction(58))
    }

    /// Without tiers, packages and minimum a price is linear: what it costs does not depend on how time is cut.
    @Test func linearChargesAddUpOverAnySplit() {
        var random = SeededGenerator(seed: 11)
        for _ in 0..<300 {
            let perUnit = Price(
                id: "p", meter: BilledMeter.allCases.randomElement(using: &random),
                model: .perUnit(decimal("0.123456789012")))
            let flat = price(.flat(decimal("31.41")))
            let whole = Int128.random(in: 1...1_000_000_000_000, using: &random)
            let month = Int128.random(in: 1...2_678_400_000_000, using: &random)
            let cut = Int128.random(in: 0...whole, using: &random)
            let at = Int128.random(in: 0...month, using: &random)
            let (left, right) = (Fraction(at, over: month), Fraction(month - at, over: month))
            #expect(
                perUnit.charge(forCounts: cut, share: left).amount
                    + perUnit.charge(forCounts: whole - cut, share: right).amount
                    == perUnit.charge(forCounts: whole).amount)
            #expect(
                flat.charge(forCounts: 0, share: left).amount + flat.charge(forCounts: 0, share: right).amount
                    == Fraction(decimal("31.41")))
        }
    }

    /// Whoever uses more never pays less, but for the volume model at the borders of its tiers.
    @Test func moreUseNeverCostsLess() {
        let models: [Price.Model] = [
            .perUnit(decimal("0.3")), .graduated(tiers), .package(decimal("7"), size: decimal("13")),
        ]
        for model in models {
            let price = price(model, free: "5", minimum: "20")
            let amounts = (0..<1_200).map { price.charge(forCounts: Int128($0)).amount }
            #expect(zip(amounts, amounts.dropFirst()).allSatisfy { $0 <= $1 })
        }
    }
}

extension ExactDecimal {
    var fraction: Fraction { Fraction(self) }
}

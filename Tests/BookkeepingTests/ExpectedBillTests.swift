import Bookkeeping
import CloudModel
import PayPerUse
import Testing

/// Expected use at prices, against amounts worked out by hand.
@Suite struct ExpectedBillTests {
    private static let now = at("2026-11-27T12:00:00Z")

    private func plan(
        currency: String = "EUR", zone: String = "UTC", rounding: PricePlan.Rounding = .halfEven, _ prices: [Price]
    ) throws -> PricePlan {
        PricePlan(
            id: "standard", currency: try #require(Currency(currency)), timeZone: zone, rounding: rounding,
            prices: prices)
    }

    private func decimal(_ text: String) throws -> ExactDecimal { try #require(ExactDecimal(text)) }

    /// Three instances all the time.
    private func demand(_ size: ResourceLimits = ResourceLimits()) -> ExpectedBill.Demand {
        ExpectedBill.Demand(heldSteps: 300, steps: 100, size: size)
    }

    @Test func eachMeterIsRatedAsOnABill() throws {
        let prices = [
            Price(
                id: "hours", meter: .instanceHour, model: .perUnit(try decimal("0.05")), free: ExactDecimal(100)),
            Price(id: "processors", meter: .vcpuSecond, model: .perUnit(try decimal("0.00001"))),
            Price(id: "memory", meter: .gibHour, service: "web", model: .perUnit(try decimal("0.005"))),
            Price(id: "others", meter: .instanceHour, service: "wiki", model: .perUnit(ExactDecimal(9))),
            Price(id: "base", meter: nil, model: .flat(ExactDecimal(5))),
            Price(id: "requests", meter: .request, model: .perUnit(ExactDecimal(1))),
        ]
        let size = ResourceLimits(cpuMillicores: 500, memory: .mebibytes(256))
        let bill = try ExpectedBill(of: "web", demand(size), plan: plan(prices), month: nil, now: Self.now)
        #expect(bill.month == "2026-12")
        // 744 hours: 2,232 instance-hours, of which 100 are free; half a processor and a quarter of a GiB in each.
        let lines = Dictionary(uniqueKeysWithValues: bill.lines.map { ($0.meter, $0) })
        #expect(lines[.instanceHour]?.quantity == "2232")
        #expect(lines[.instanceHour]?.amount.description == "106.60 EUR")
        #expect(lines[.vcpuSecond]?.quantity == "4017600")
        #expect(lines[.vcpuSecond]?.amount.description == "40.18 EUR", "40.176")
        #expect(lines[.gibHour]?.quantity == "558")
        #expect(lines[.gibHour]?.amount.description == "2.79 EUR")
        #expect(lines[nil]?.amount.description == "5.00 EUR")
        #expect(bill.lines.count == 4 && bill.total.description == "154.57 EUR")
        #expect(bill.notIncluded == ["requests (request)"])
    }

    @Test func anUnknownSizeIsSaidAndNotGuessed() throws {
        let prices = [
            Price(id: "hours", meter: .instanceHour, model: .perUnit(ExactDecimal(1))),
            Price(id: "processors", meter: .vcpuSecond, model: .perUnit(ExactDecimal(1))),
            Price(id: "memory", meter: .gibHour, model: .perUnit(ExactDecimal(1))),
        ]
        let bill = try ExpectedBill(
            of: "web", demand(), plan: plan(currency: "JPY", prices), month: "2027-02", now: Self.now)
        #expect(bill.total.description == "2016 JPY", "28 days")
        #expect(bill.notIncluded == ["processors (vcpu-second)", "memory (gib-hour)"])
    }

    @Test func monthsAreThoseOfThePlanAndPricesChangeWithin() throws {
        let change = at("2026-12-16T00:00:00Z")
        let prices = [
            Price(id: "old", meter: .instanceHour, model: .perUnit(try decimal("0.05")), until: change),
            Price(id: "new", meter: .instanceHour, model: .perUnit(try decimal("0.06")), from: change),
            Price(id: "never", meter: .request, model: .perUnit(ExactDecimal(1)), until: at("2026-01-01T00:00:00Z")),
        ]
        let december = try ExpectedBill(of: "web", demand(), plan: plan(prices), month: "2026-12", now: Self.now)
        #expect(december.lines.map(\.quantity).sorted() == ["1080", "1152"])
        #expect(december.total.description == "123.12 EUR", "54.00 and 69.12")
        #expect(december.notIncluded.isEmpty)
        // October has an hour more where the clocks go back.
        let berlin = try plan(zone: "Europe/Berlin", [prices[0]])
        let october = try ExpectedBill(of: "web", demand(), plan: berlin, month: "2026-10", now: Self.now)
        #expect(october.lines.map(\.quantity) == ["2235"])
    }

    @Test func amountsAreExactAndRoundedOnceAsThePlanSays() throws {
        // A seventh of an instance.
        let part = ExpectedBill.Demand(heldSteps: 1, steps: 7, size: ResourceLimits())
        let price = [Price(id: "hours", meter: .instanceHour, model: .perUnit(ExactDecimal(1)))]
        let bill = try ExpectedBill(of: "web", part, plan: plan(price), month: "2026-12", now: Self.now)
        // 2,678,400,000,000 / 7 microseconds, to the nearest.
        #expect(bill.lines.map(\.quantity) == ["106.285714285833"])
        #expect(bill.total.description == "106.29 EUR")
        let tie = [Price(id: "base", meter: nil, model: .flat(try decimal("0.125")))]
        for (rounding, amount) in [(PricePlan.Rounding.halfEven, "0.12 EUR"), (.halfUp, "0.13 EUR")] {
            let rounded = try ExpectedBill(
                of: "web", part, plan: plan(rounding: rounding, tie), month: nil, now: Self.now)
            #expect(rounded.total.description == amount)
        }
        #expect(throws: ExpectedBill.Fault.self) {
            let nothing = ExpectedBill.Demand(heldSteps: 0, steps: 0, size: ResourceLimits())
            return try ExpectedBill(of: "web", nothing, plan: plan(price), month: nil, now: Self.now)
        }
    }
}

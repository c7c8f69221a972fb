import CloudModel
import PayPerUse
import Testing

private let zurich = ZoneOffsets(name: "fixed", firstOffsetSeconds: 3_600)
private let hour: Int128 = 3_600_000_000

private func month(_ text: String) -> BillingMonth {
    guard let month = BillingMonth(text) else { preconditionFailure("'\(text)' is no month") }
    return month
}

private func plan(_ prices: [Price], rounding: PricePlan.Rounding = .halfEven) -> PricePlan {
    PricePlan(id: "standard", currency: euro, timeZone: "fixed", rounding: rounding, prices: prices)
}

private let hourly = Price(id: "hours", meter: .instanceHour, model: .perUnit(decimal("0.05")))
private let perRequest = Price(id: "requests", meter: .request, model: .perUnit(decimal("0.001")))

private func use(_ hours: Int128, requests: Int128 = 0, of service: ServiceID = "shop") -> MeteredUse {
    var use = MeteredUse()
    use.add(hours * hour, .instanceHour, of: service)
    use.add(requests, .request, of: service)
    return use
}

private func bill(
    _ text: String, _ plan: PricePlan, _ use: MeteredUse, holds: [ServiceID: String] = [:], credits: [Credit] = []
) -> Bill {
    let window = month(text).window(in: zurich)
    let run = BillRun(plan: plan, window: window)
    let all = Dictionary(uniqueKeysWithValues: run.windows.map { ($0, use) })
    return Bill(
        consumer: "acme", consumerName: "Acme, \"Inc.\"", month: month(text), window: window, plan: plan,
        cutoff: window.end, closedAt: window.end, lines: run.lines(use: all, holds: holds) + run.lines(credits))
}

@Suite struct BillTests {
    @Test func aLineIsRoundedOnceAndTheTotalIsTheSumOfTheLines() {
        let bill = bill(
            "2026-11", plan([hourly, perRequest]), use(7, requests: 12_345) + use(3, requests: 5, of: "api"))
        #expect(
            bill.lines.map(\.text) == [
                "api: hours (instance-hour, per-unit)", "api: requests (request, per-unit)",
                "shop: hours (instance-hour, per-unit)", "shop: requests (request, per-unit)",
            ])
        #expect(bill.lines.map(\.exactAmount) == ["0.15", "0.005", "0.35", "12.345"])
        #expect(bill.lines.map(\.minorUnits) == [15, 0, 35, 1_234])
        #expect(bill.total.description == "12.84 EUR")
    }

    @Test func aPriceThatChangesInAMonthCountsWhatWasUsedUnderIt() {
        let window = month("2026-11").window(in: zurich)
        let middle = window.start + .hours(15 * 24)
        var old = hourly, new = hourly
        (old.until, new.from, new.id) = (middle, middle, "hours-2")
        new.model = .perUnit(decimal("1"))
        let flat = Price(id: "base", meter: nil, model: .flat(decimal("10")), from: middle)
        let run = BillRun(plan: plan([old, new, flat]), window: window)
        #expect(run.windows.count == 2)
        let lines = run.lines(use: [run.windows[0]: use(10), run.windows[1]: use(20)])
        #expect(lines.map(\.key.price) == ["base", "hours", "hours-2"])
        #expect(lines.map(\.minorUnits) == [500, 50, 2_000])
        #expect(lines[0].quantity == "0.5")
    }

    @Test func aPriceForOneServiceCostsNothingElsewhere() {
        var special = hourly
        special.service = "shop"
        let bill = bill("2026-11", plan([special]), use(4) + use(9, of: "api"))
        #expect(bill.lines.map(\.key.service) == ["shop"])
        #expect(bill.total.minorUnits == 20)
    }

    @Test func whatIsHeldIsNotDue() {
        let bill = bill("2026-11", plan([hourly, perRequest]), use(100, requests: 1_000), holds: ["shop": "doubt"])
        #expect(bill.total.minorUnits == 100)
        #expect(bill.held.minorUnits == 500)
        // Requests do not rest on the instance's events.
        #expect(bill.lines.map(\.hold) == ["doubt", nil])
    }

    @Test func creditsOfTheMonthAreTakenOff() {
        let window = month("2026-11").window(in: zurich)
        func credit(_ id: String, _ at: Timestamp, _ units: Int64) -> Credit {
            Credit(
                id: id, consumer: "acme", at: at, amount: Money(minorUnits: units, currency: euro), reason: "Outage",
                actor: "root")
        }
        let credits = [
            credit("b", window.start, 30), credit("early", window.start - .microseconds(1), 7),
            credit("a", window.end - .microseconds(1), 5), credit("late", window.end, 9),
        ]
        let bill = bill("2026-11", plan([hourly]), use(100), credits: credits)
        #expect(bill.lines.map(\.minorUnits) == [500, -30, -5])
        #expect(bill.total.minorUnits == 465)
    }

    @Test func aCorrectionIsTheDifferenceAndIsMadeOnce() {
        let plan = plan([hourly, perRequest])
        let closed = bill("2026-10", plan, use(100, requests: 1_000))
        let now = bill("2026-10", plan, use(90, requests: 1_500) + use(1, of: "api")).lines
        let corrections = BillRun.corrections(of: closed, recomputed: now, later: [])
        #expect(corrections.map(\.minorUnits) == [5, -50, 50])
        #expect(corrections.allSatisfy { $0.kind == .correction && $0.corrects == closed.month })
        var november = bill("2026-11", plan, use(1))
        november.lines += corrections
        #expect(BillRun.corrections(of: closed, recomputed: now, later: [november]).isEmpty)
        // What is found out later still is corrected against both.
        let again = BillRun.corrections(of: closed, recomputed: closed.lines, later: [november])
        #expect(again.map(\.minorUnits) == [-5, 50, -50])
    }

    @Test func aHeldLineIsBilledOnceNothingStandsAgainstIt() {
        let plan = plan([hourly])
        let closed = bill("2026-10", plan, use(100), holds: ["shop": "doubt"])
        #expect(BillRun.corrections(of: closed, recomputed: closed.lines, later: []).isEmpty)
        let cleared = bill("2026-10", plan, use(98)).lines
        #expect(BillRun.corrections(of: closed, recomputed: cleared, later: []).map(\.minorUnits) == [490])
    }

    /// Closing one month after another with what is known, and correcting, ends in the sum of the truth.
    @Test func correctionsConvergeOnTheTruth() {
        var random = SeededGenerator(seed: 17)
        let plan = plan([hourly, perRequest])
        for _ in 0..<100 {
            var closed: [Bill] = []
            var truth: [MeteredUse] = []
            for number in 1...6 {
                let next = use(.random(in: 0...900, using: &random), requests: .random(in: 0...90_000, using: &random))
                truth.append(next)
                var current = bill("2026-0\(number)", plan, next)
                for (index, earlier) in closed.enumerated() {
                    // Late records come for a month that is closed.
                    if Bool.random(using: &random) {
                        truth[index] =
                            truth[index]
                            + use(.random(in: 0...9, using: &random), requests: .random(in: 0...999, using: &random))
                    }
                    current.lines += BillRun.corrections(
                        of: earlier, recomputed: bill("\(earlier.month)", plan, truth[index]).lines,
                        later: Array(closed[(index + 1)...]))
                }
                closed.append(current)
            }
            let expected = truth.enumerated().reduce(Int64(0)) {
                $0 + bill("2026-0\($1.offset + 1)", plan, $1.element).total.minorUnits
            }
            #expect(closed.reduce(Int64(0)) { $0 + $1.total.minorUnits } == expected)
        }
    }
}

import Bookkeeping
import CloudModel
import ScalingReplay

/// What `scaling recommend` answers.
struct Recommendation: Encodable {
    /// The expected use, rated by a price plan; amounts are decimal text in the currency's minor units.
    struct Bill: Encodable {
        struct Line: Encodable {
            var text: String
            var meter: String?
            var quantity: String
            var amount: String
        }

        var pricePlan: String
        var month: String
        var currency: String
        var lines: [Line]
        var total: String
        var notIncluded: [String]
    }

    var recommended: ReplayReport.Line
    var configuration: String
    var instanceHoursPerDay: Double
    /// By --price-per-hour, in 30 days.
    var costPerMonth: Double?
    var expectedBill: Bill?

    init(_ comparison: ReplayComparison, _ trace: DemandTrace, pricePerHour: Double?) {
        let chosen = comparison.recommended
        recommended = ReplayReport.Line(chosen, comparison)
        configuration = comparison.configuration(of: chosen)
        instanceHoursPerDay = ReplayComparison.instanceHoursPerDay(chosen, stepSeconds: trace.step.inSeconds)
        costPerMonth = pricePerHour.map { [instanceHoursPerDay] in instanceHoursPerDay * 30 * $0 }
    }

    mutating func rate(_ chosen: ReplayResult, _ basis: RatingOptions.Basis, month: String?) throws {
        let demand = ExpectedBill.Demand(heldSteps: chosen.heldSteps, steps: chosen.steps, size: basis.size)
        let bill: ExpectedBill
        do {
            bill = try ExpectedBill(of: basis.service, demand, plan: basis.plan, month: month, now: Clock.now())
        } catch {
            throw CommandFailure(error.description)
        }
        expectedBill = Bill(
            pricePlan: bill.plan.rawValue, month: bill.month, currency: bill.total.currency.code,
            lines: bill.lines.map { line in
                Bill.Line(
                    text: line.text, meter: line.meter?.rawValue, quantity: line.quantity, amount: line.amount.amount)
            }, total: bill.total.amount, notIncluded: bill.notIncluded)
    }

    func text(_ comparison: ReplayComparison) -> String {
        let chosen = comparison.recommended
        var text =
            "\(chosen.name): \(ReplayReport.decimal(chosen.costRatio)) times the cost of one who knows the future, "
        text += "\(ReplayReport.percent(chosen.missedTime * 100)) of the time missed, \(chosen.actions) "
        text += chosen.actions == 1 ? "action.\n" : "actions.\n"
        text += "Expected: \(ReplayReport.decimal(instanceHoursPerDay)) instance-hours a day"
        text += costPerMonth.map { ", \(ReplayReport.decimal($0)) in 30 days.\n" } ?? ".\n"
        if chosen.missedTime > comparison.settings.missBudget {
            text += "No policy kept the budget on this history: a shorter start-up or a larger budget would help.\n"
        }
        if let expectedBill { text += Self.text(expectedBill) }
        return text + "\n" + configuration
    }

    private static func text(_ bill: Bill) -> String {
        var table = Table(.left("line"), .right("quantity"), .right(bill.currency))
        for line in bill.lines {
            table.add(Table.Cell(line.text), Table.Cell(line.quantity), Table.Cell(line.amount))
        }
        table.add(Table.Cell("total"), Table.Cell(""), Table.Cell(bill.total))
        var text = "\nExpected bill for \(bill.month) by price plan '\(bill.pricePlan)':\n"
        text += table.rendered(inColour: Terminal.current.hasColour) + "\n"
        if !bill.notIncluded.isEmpty {
            text += "Not included: \(bill.notIncluded.joined(separator: ", ")).\n"
        }
        return text
    }
}

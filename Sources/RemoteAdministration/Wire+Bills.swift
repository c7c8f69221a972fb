package import AdministrationAPI
import Bookkeeping
import CloudModel
package import PayPerUse

extension API.Bill {
    package init(_ bill: Bill) {
        self.init(
            id: bill.id, consumer: bill.consumer.rawValue, consumerName: bill.consumerName,
            month: bill.month.description, periodStart: Moment(bill.window.start), periodEnd: Moment(bill.window.end),
            timeZone: bill.plan.timeZone, pricePlan: bill.plan.id.rawValue, currency: bill.plan.currency.code,
            cutoff: Moment(bill.cutoff), closedAt: bill.closedAt.map(Moment.init), total: bill.total.amount,
            held: bill.held.amount, lines: bill.lines.map { API.BillLine($0, in: bill) })
    }
}

extension API.BillLine {
    init(_ line: BillLine, in bill: Bill) {
        self.init(
            kind: .init(line.kind), price: line.key.price, service: line.key.service?.rawValue,
            meter: line.meter?.rawValue, text: line.text, from: Moment(line.window.start),
            until: Moment(line.window.end), quantity: line.quantity, pricedQuantity: line.pricedQuantity,
            pricedUnit: line.pricedUnit, unitPrice: line.unitPrice?.description, exactAmount: line.exactAmount,
            amount: bill.money(line.minorUnits).amount, inferred: line.isInferred, hold: line.hold,
            corrects: line.corrects?.description)
    }
}

extension API.BillCheck {
    init(_ check: BillVerification.Check) {
        self.init(
            kind: .init(check.kind), subject: check.subject, state: .init(check.state), detail: check.detail)
    }
}

extension API.Credit {
    init(_ credit: Credit) {
        self.init(
            id: credit.id, consumer: credit.consumer.rawValue, at: Moment(credit.at), amount: credit.amount.amount,
            currency: credit.amount.currency.code, reason: credit.reason, actor: credit.actor)
    }
}

extension API.Reconciliation {
    init(_ report: ReconciliationReport) {
        self.init(
            from: Moment(report.window.start), until: Moment(report.window.end), settled: report.isSettled,
            instances: report.instances.map { API.ReconciledInstance($0.instance, $0.currency) },
            records: report.records.map { doubt in
                API.RecordDoubt(
                    cause: .init(doubt.cause), what: doubt.what, count: doubt.count, from: Moment(doubt.window.start),
                    until: Moment(doubt.window.end))
            },
            unknownInstances: report.unknownInstances.map(\.rawValue),
            holds: report.holds.sorted { $0.key < $1.key }.map {
                API.HeldService(service: $0.key.rawValue, reason: $0.value)
            })
    }
}

extension API.ReconciledInstance {
    init(_ instance: ReconciledInstance, _ currency: Currency?) {
        self.init(
            owner: instance.owner?.rawValue, service: instance.service.rawValue, instance: instance.instance.rawValue,
            runningMicroseconds: Int64(clamping: instance.runningMicroseconds), requests: instance.requests,
            busyMicroseconds: instance.busyMicroseconds,
            differences: instance.differences.map { API.UsageDifference($0, currency) })
    }
}

extension API.UsageDifference {
    init(_ difference: UsageDifference, _ currency: Currency?) {
        let money = currency.flatMap { currency in
            difference.minorUnits.map { Money(minorUnits: $0, currency: currency) }
        }
        self.init(
            cause: .init(difference.cause), from: Moment(difference.window.start),
            until: Moment(difference.window.end), count: difference.count,
            microseconds: Int64(clamping: difference.microseconds), amount: money?.amount,
            currency: money?.currency.code)
    }
}

public import AdministrationAPI
import AdministrationClient

/// What both agents of the pay-per-use monitor stored ends in a bill: the instances' time for whoever rents the
/// service, the requests for whoever sent them.
public struct PayPerUseBill: Sendable {
    public struct Outcome: Sendable {
        public var bill: API.Bill
        public var reconciliation: API.Reconciliation
        /// As a FOCUS table.
        public var table: String
    }

    public init() {}

    /// - Parameter consumer: who has rented `shop` and sent requests to it.
    public func run(for consumer: String = "bob", in context: ScenarioContext) async throws -> Outcome {
        context.say("\(consumer) is shown the bill of this month as it stands")
        let bill = try await context.eventually("a line for instances' time and one for requests") {
            let bill = try await context.administration.bill(of: consumer, month: nil)
            let meters = Set(bill.lines.compactMap(\.meter))
            return meters.isSuperset(of: ["instance-hour", "request", "byte-out"]) ? bill : nil
        }
        let found = try await context.administration.reconciliation(
            consumer: consumer, month: bill.month, from: nil, until: nil)
        let table = try await context.administration.exportBill(of: consumer, month: bill.month, version: .focus12)
        return Outcome(bill: bill, reconciliation: found, table: String(decoding: table, as: UTF8.self))
    }
}

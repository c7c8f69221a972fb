import AdministrationAPI
import Bookkeeping
import CloudModel

extension RouteTable {
    static let budgetList = NamedList<ConsumerStanding>(
        by: "consumer", name: { $0.consumer.rawValue }, words: { [$0.consumer.rawValue] },
        columns: ["percent": { SortValue($0.percent ?? -1) }, "requests": { SortValue($0.requests) }])

    static let budgets: [Route] = [
        Route(
            name: "listBudgets", method: .get, path: "/api/v1/budgets", right: .own,
            summary: "Shows what consumers with a budget or a quota have used this month; a consumer sees its own.",
            query: [QueryParameter("consumer", "Only this consumer's.")] + budgetList.parameters,
            answer: .json(API.Page<API.BudgetStanding>.self, "By consumer if no other order is asked for."),
            refusals: [403]
        ) { try await $0.listBudgets($1) }
    ]
}

extension Handlers {
    func listBudgets(_ call: Call) async throws -> Reply {
        let standings = try await desk.standings(of: try visibleConsumer(call))
        let (items, next) = try RouteTable.budgetList.part(of: standings, call.query)
        return .json(API.Page(items: items.map(API.BudgetStanding.init), nextCursor: next))
    }
}

extension API.BudgetStanding {
    init(_ standing: ConsumerStanding) {
        self.init(
            consumer: standing.consumer.rawValue, month: standing.month.description,
            resetsAt: Moment(standing.window.end), currency: standing.spent?.currency.code,
            spent: standing.spent?.amount, budget: standing.budgetAmount?.amount, percent: standing.percent,
            thresholds: standing.budget?.thresholds ?? [], reached: standing.reached, requests: standing.requests,
            quotaRequests: standing.quota?.requests,
            quotaAmount: standing.quota?.amount.flatMap { amount in
                standing.spent.flatMap { Money(amount, $0.currency) }
            }?.amount, exhausted: standing.exhausted.map(\.kind.rawValue))
    }
}

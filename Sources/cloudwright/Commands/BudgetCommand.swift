import AdministrationAPI
import AdministrationClient
import ArgumentParser

struct BudgetCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "budget",
        abstract: "What consumers with a budget or a quota have used this month.",
        discussion: """
            Both are declared in the consumer's document. A budget is told of and stops nothing; a quota that is used \
            up has the consumer's requests refused until the next month.
            """)
    @Argument(help: "Only this consumer's.") var consumer: String?
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let found = try await options.client().budgets(of: consumer)
        try options.show(found, empty: "No consumer has a budget or a quota; declare one in its document.") {
            Self.table(found)
        }
    }

    private static func table(_ found: [API.BudgetStanding]) -> Table {
        var table = Table(
            .left("consumer"), .left("month"), .right("spent"), .right("budget"), .right("%"), .right("quota"),
            .right("requests"), .right("quota"), .left("currency"), .left("state"))
        for standing in found {
            let state: Table.Cell
            if !standing.exhausted.isEmpty {
                state = Table.Cell(
                    "used up: \(standing.exhausted.joined(separator: ", ")); until "
                        + Formats.time(standing.resetsAt), .bad)
            } else if let reached = standing.reached.max() {
                state = Table.Cell("\(reached) % reached", .doubtful)
            } else {
                state = Table.Cell("within", .good)
            }
            table.add(
                Table.Cell(standing.consumer), Table.Cell(standing.month), Table.Cell(standing.spent),
                Table.Cell(standing.budget), Table.Cell(standing.percent.map { "\($0)" }),
                Table.Cell(standing.quotaAmount), Table.Cell(standing.requests),
                Table.Cell(standing.quotaRequests.map { "\($0)" }), Table.Cell(standing.currency), state)
        }
        return table
    }
}

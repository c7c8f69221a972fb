import AdministrationAPI
import AdministrationClient
import ArgumentParser

extension PhysicalServerCommand {
    struct Rebalance: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the load of the physical servers even by live migrations.",
            discussion: """
                Load is the processor time that is measured, and the memory that is reserved. A virtual server is \
                moved only if that pays for itself within the cooldown of `Cloud: spec.rebalancing`.
                """)
        @Flag(help: "Only show the migrations that would be made.") var dryRun = false
        @Flag(help: "Wait until it is done; exit with 1 if it fails.") var wait = false
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let client = try options.client()
            if dryRun { return try await show(client.rebalancePlan()) }
            try await OperationCommand.report(
                try await client.rebalance(), client: client, wait: wait, options: options)
        }

        private func show(_ plan: API.RebalancePlan) throws {
            let state = "automation is \(plan.automation.rawValue); the hosts differ by \(plan.beforePercent) %"
            try options.show(plan) {
                guard !plan.moves.isEmpty else { return "\(state), and no migration would pay for itself." }
                var table = Table(
                    .left("instance"), .left("from"), .left("to"), .right("milliseconds"), .right("hosts differ by"))
                for move in plan.moves {
                    table.add(
                        Table.Cell(move.instance), Table.Cell(move.source), Table.Cell(move.destination),
                        Table.Cell(move.durationMilliseconds), Table.Cell("\(move.afterPercent) %"))
                }
                return "\(state)\n" + table.rendered(inColour: Terminal.current.hasColour)
            }
        }
    }

    struct AbortRebalancing: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop a rebalancing: what was moved stays where it is.")
        @OptionGroup var options: GlobalOptions

        func run() async throws { try await options.client().abortRebalancing() }
    }
}

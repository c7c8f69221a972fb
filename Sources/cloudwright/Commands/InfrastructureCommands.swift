import AdministrationAPI
import AdministrationClient
import ArgumentParser
import CloudModel

struct PhysicalServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "physical-server", abstract: "Physical servers.",
        subcommands: [
            List.self, Drain.self, AbortDrain.self, Activate.self, Rebalance.self, AbortRebalancing.self,
            ConfirmOff.self,
        ])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "List the physical servers with their state and what is used of them.")
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let servers = try await options.client().physicalServers()
            try options.show(
                servers, empty: "There are no physical servers. Declare some: kind: PhysicalServer"
            ) {
                var table = Table(
                    .left("physical server"), .left("state"), .left("takes new"), .right("millicores"),
                    .right("used"), .right("memory"), .right("used"), .right("virtual servers"), .left("hypervisor"))
                for server in servers {
                    table.add(
                        Table.Cell(server.id), Table.Cell(server.phase.rawValue, server.phase == .up ? .good : .bad),
                        takesNew(server), Table.Cell(server.cpuMillicores),
                        Table.Cell(server.cpuMillicoresUsed), Table.Cell(ByteCount(bytes: server.memoryBytes).text),
                        Table.Cell(ByteCount(bytes: server.memoryBytesUsed).text), Table.Cell(server.virtualServers),
                        Table.Cell(server.hypervisor))
                }
                return table
            }
        }
    }

    private static func takesNew(_ server: API.PhysicalServer) -> Table.Cell {
        if server.drain != nil { return Table.Cell("no: is being drained", .doubtful) }
        if server.closed { return Table.Cell("no: drained", .doubtful) }
        return server.maintenance ? Table.Cell("no: maintenance", .doubtful) : Table.Cell("yes")
    }

    struct Drain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Empty a physical server: move its virtual servers away while they run.",
            discussion: """
                From now on it takes nothing new, until `physical-server activate`. Its virtual servers are moved one \
                after another to the hosts that placement chooses. Where one finds no place nothing is begun, and the \
                reason of every host is told; --partial moves the others all the same.
                """)
        @Argument(help: "The physical server's name.") var host: String
        @Option(help: "Virtual servers that are moved at a time: 1 or 2.") var atOnce = 1
        @Option(help: "Mebibytes a second for each; without it no limit.") var bandwidth: Int?
        @Flag(help: "Begin although some find no place now.") var partial = false
        @Flag(help: "Only show where each would go, or why it would stay.") var dryRun = false
        @Flag(help: "Wait until it is done; exit with 1 if it fails.") var wait = false
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let client = try options.client()
            if dryRun { return try await show(client.drainPlan(ofPhysicalServer: host)) }
            let begun = try await client.drain(
                physicalServer: host,
                API.Drain(
                    concurrentMigrations: atOnce, bandwidthMebibytesPerSecond: bandwidth, partial: partial))
            try await OperationCommand.report(begun, client: client, wait: wait, options: options)
        }

        private func show(_ plan: API.DrainPlan) throws {
            try options.show(plan.steps, empty: "\(host) has no virtual servers.") {
                var table = Table(.left("instance"), .left("would go to"), .left("obstacle"))
                for step in plan.steps {
                    table.add(
                        Table.Cell(step.instance), Table.Cell(step.destination),
                        Table.Cell(step.obstacle.map(Table.printable)))
                }
                return table
            }
        }
    }

    struct AbortDrain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Stop emptying a physical server; it stays closed until it is activated.")
        @Argument(help: "The physical server's name.") var host: String
        @OptionGroup var options: GlobalOptions

        func run() async throws { try await options.client().abortDrain(ofPhysicalServer: host) }
    }

    struct Activate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a physical server that was drained take virtual servers again.")
        @Argument(help: "The physical server's name.") var host: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            try await options.client().activate(physicalServer: host)
            Terminal.current.progress("\(host) takes virtual servers.")
        }
    }

    struct ConfirmOff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say that you have seen that a physical server is off.",
            discussion: """
                What ran on it is started on others. If it still runs, two copies will write to the same storage: be \
                sure. One that answers is refused.
                """)
        @Argument(help: "The physical server's name.") var host: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            try await options.client().confirmOff(physicalServer: host)
            Terminal.current.progress("\(host) counts as off; what ran on it is started elsewhere.")
        }
    }
}

struct VirtualServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "virtual-server", abstract: "Virtual servers of service instances.",
        subcommands: [
            List.self, Migrate.self, AbortMigration.self, Suspend.self, Resume.self, VirtualServerConsoleCommand.self,
        ])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the virtual servers with their hosts.")
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let servers = try await options.client().virtualServers()
            try options.show(servers, empty: "There are no virtual servers. See: cloudwright service list") {
                var table = Table(
                    .left("instance"), .left("service"), .left("physical server"), .left("state"), .left("address"),
                    .right("millicores"), .right("memory"), .left("moving to"))
                for server in servers {
                    table.add(
                        Table.Cell(server.instance), Table.Cell(server.service), Table.Cell(server.host),
                        Table.Cell(server.phase.rawValue, server.phase == .running ? .good : .doubtful),
                        Table.Cell(server.address), Table.Cell(server.cpuMillicores),
                        Table.Cell(ByteCount(bytes: server.memoryBytes).text), Table.Cell(server.destination))
                }
                return table
            }
        }
    }

    struct Migrate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Move the virtual server of an instance to another physical server, while it runs.")
        @Option(help: "The physical server to move it to; without it the best one.") var to: String?
        @Option(help: "How: live while it runs, or suspended.") var mode: API.MigrationMode = .live
        @OptionGroup var change: InstanceChangeOptions

        func run() async throws {
            let client = try change.options.client()
            let begun = try await client.migrate(change.instance, API.Migration(host: to, mode: mode))
            try await OperationCommand.report(begun, client: client, wait: change.wait, options: change.options)
        }
    }

    struct AbortMigration: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Abort a migration: the virtual server stays where it is.")
        @Argument(help: "The instance's name.") var instance: String
        @OptionGroup var options: GlobalOptions

        func run() async throws { try await options.client().abortMigration(of: instance) }
    }

    struct Suspend: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Put an instance into maintenance and let its virtual server stand still.")
        @OptionGroup var change: InstanceChangeOptions

        func run() async throws {
            let client = try change.options.client()
            let begun = try await client.suspend(virtualServer: change.instance)
            try await OperationCommand.report(begun, client: client, wait: change.wait, options: change.options)
        }
    }

    struct Resume: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Let a suspended virtual server go on, and give its instance work again.")
        @OptionGroup var change: InstanceChangeOptions

        func run() async throws {
            let client = try change.options.client()
            let begun = try await client.resume(virtualServer: change.instance)
            try await OperationCommand.report(begun, client: client, wait: change.wait, options: change.options)
        }
    }
}

import AdministrationAPI
import AdministrationClient
import ArgumentParser
import CloudModel

struct PhysicalServerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "physical-server", abstract: "Physical servers.",
        subcommands: [List.self, ConfirmOff.self])

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
                    .left("physical server"), .left("state"), .left("maintenance"), .right("millicores"),
                    .right("used"), .right("memory"), .right("used"), .right("virtual servers"), .left("hypervisor"))
                for server in servers {
                    table.add(
                        Table.Cell(server.id), Table.Cell(server.phase.rawValue, server.phase == .up ? .good : .bad),
                        Table.Cell(server.maintenance ? "yes" : "no"), Table.Cell(server.cpuMillicores),
                        Table.Cell(server.cpuMillicoresUsed), Table.Cell(ByteCount(bytes: server.memoryBytes).text),
                        Table.Cell(ByteCount(bytes: server.memoryBytesUsed).text), Table.Cell(server.virtualServers),
                        Table.Cell(server.hypervisor))
                }
                return table
            }
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
        subcommands: [List.self, Migrate.self, AbortMigration.self, Suspend.self, Resume.self])

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

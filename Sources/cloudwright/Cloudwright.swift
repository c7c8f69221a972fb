import AdministrationClient
import ArgumentParser
import Glibc

/// The one binary: runs the platform (`serve`), and is its administrators' tool (everything else).
///
/// Exit codes: 0 done, 1 not done (the reason is on standard error), 2 the command line is wrong.
@main
struct Cloudwright: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "cloudwright",
        abstract: "Turn a few Linux servers into a cloud.",
        discussion: """
            Commands for administrators talk to the server that --server or CLOUDWRIGHT_SERVER names, with the token \
            from --token-file, CLOUDWRIGHT_TOKEN or `cloudwright login`. Data goes to standard output, the rest to \
            standard error. NO_COLOR turns colours off. Shell completions: \
            cloudwright --generate-completion-script bash|zsh|fish
            """,
        version: "0.1.0",
        groupedSubcommands: [
            CommandGroup(
                name: "The platform",
                subcommands: [Serve.self, Upgrade.self, Simulate.self, Health.self, Login.self, MigrateLog.self]),
            CommandGroup(name: "Configuration", subcommands: [Apply.self, Validate.self, Export.self]),
            CommandGroup(
                name: "Services",
                subcommands: [
                    ServiceCommand.self, InstanceCommands.self, ConstraintCommand.self, FailoverCommand.self,
                    ScalingCommand.self, OperationCommand.self,
                ]),
            CommandGroup(
                name: "Infrastructure",
                subcommands: [PhysicalServerCommand.self, VirtualServerCommand.self, ImageCommand.self]),
            CommandGroup(name: "People", subcommands: [ConsumerCommand.self, AdministratorCommand.self]),
            CommandGroup(
                name: "What happened",
                subcommands: [
                    Top.self, TimelineCommand.self, EventCommand.self, IncidentCommand.self, NotificationCommand.self,
                    UsageCommand.self, AuditCommand.self,
                ]),
            CommandGroup(
                name: "Money", subcommands: [BillCommand.self, Verify.self, BudgetCommand.self, Reconcile.self]),
        ])

    static func main() async {
        // A reader that went away is noticed when writing to it.
        signal(SIGPIPE, SIG_IGN)
        Glibc.exit(await CommandRunner.execute(Array(CommandLine.arguments.dropFirst())))
    }
}

/// Runs command lines, in a process of their own or in tests.
package enum CommandRunner {
    /// Runs one command line and gives back its exit code.
    package static func execute(_ arguments: [String]) async -> Int32 {
        do {
            var command = try Cloudwright.parseAsRoot(arguments)
            if var asynchronous = command as? any AsyncParsableCommand {
                try await asynchronous.run()
            } else {
                try command.run()
            }
            return 0
        } catch {
            return report(error)
        }
    }

    private static func report(_ error: any Error) -> Int32 {
        let terminal = Terminal.current
        switch error {
        case let failure as CommandFailure: terminal.note("error: \(failure.description)")
        case let failure as ClientError: terminal.note("error: \(failure.description)")
        case let code as ExitCode: return code.rawValue
        default:
            let code = Cloudwright.exitCode(for: error)
            if code == .success {
                terminal.output(Cloudwright.fullMessage(for: error))
                return 0
            }
            if code == .validationFailure {
                terminal.note(Cloudwright.fullMessage(for: error))
                return 2
            }
            terminal.note("error: \(error)")
        }
        return 1
    }
}

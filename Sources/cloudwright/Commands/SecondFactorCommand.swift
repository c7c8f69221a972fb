import AdministrationAPI
import AdministrationClient
import ArgumentParser

struct SecondFactorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "second-factor",
        abstract: "The authenticator app that logins by password need a code of (TOTP, RFC 6238).",
        subcommands: [Show.self, Enrol.self, Remove.self])

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show whether a second factor is active.")
        @Argument(help: "The administrator's name.") var name: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let factor = try await options.client().secondFactor(of: name)
            try options.show(factor) {
                factor.isActive
                    ? "active since \(Formats.time(factor.since)); \(factor.recoveryCodesLeft) recovery codes are left"
                    : "not active"
            }
        }
    }

    struct Enrol: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an authenticator app the second factor of your logins by password.",
            discussion: """
                The secret is printed once, for the app; then a first code of the app is asked for (typed, or piped \
                in). Nothing changes until it was right. The recovery codes are printed once: each stands in for the \
                app one time. Tokens need no code.
                """)
        @Argument(help: "Your name as an administrator.") var name: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let terminal = Terminal.current
            let client = try options.client()
            let enrolment = try await withPresentPassword(of: name) { password throws(ClientError) in
                try await client.enrolSecondFactor(of: name, currentPassword: password)
            }
            terminal.note("Secret for the app: \(enrolment.secret)")
            terminal.note("The same as an address:  \(enrolment.address)")
            guard let code = terminal.readSecret("The code that the app shows now: ")?.trimmed, !code.isEmpty else {
                throw CommandFailure("no code was given; nothing was changed")
            }
            let made = try await client.confirmSecondFactor(of: name, code: code)
            try options.show(made) { made.codes.joined(separator: "\n") }
            terminal.note(
                "Logins of \(name) by password need a code from now on. These are the recovery codes; keep them safe.")
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove a second factor.",
            discussion: """
                Your own needs a code of the app, or a recovery code (typed, or piped in). The role administrator \
                removes those of others who lost theirs, which the event log tells.
                """)
        @Argument(help: "The administrator's name.") var name: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let terminal = Terminal.current
            let client = try options.client()
            var code: String?
            if try await client.whoAmI().name == name {
                code = terminal.readSecret("A code of the app, or a recovery code: ")?.trimmed
            }
            try await client.removeSecondFactor(of: name, code: code)
            terminal.note("Logins of \(name) by password need no code any more.")
        }
    }
}

/// Does what needs the present password in a session and not with a token: the password is asked for where the platform
/// says that it is wanted.
func withPresentPassword<Value>(
    of name: String, _ work: (String?) async throws(ClientError) -> Value
) async throws -> Value {
    do { return try await work(nil) } catch {
        guard case .refused(let problem) = error, problem.faults.contains(where: { $0.pointer == "/currentPassword" })
        else { throw error }
        guard let password = Terminal.current.readSecret("Present password of \(name): "), !password.isEmpty else {
            throw error
        }
        return try await work(password)
    }
}

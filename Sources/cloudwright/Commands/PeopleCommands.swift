import AdministrationAPI
import AdministrationClient
import ArgumentParser
import CloudModel

/// When a key or token stops working.
struct ExpiryOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "When it stops working: 2026-11-24T02:30:00Z, 2026-11-24, or 90d for ninety days from now; without it "
                + "never.",
            valueName: "time"))
    var expires: String?

    func validate() throws {
        guard let expires, TypedTime.future(expires, now: .epoch) == nil else { return }
        throw ValidationError("--expires '\(expires)' is no time; give 2026-11-24T02:30:00Z, 2026-11-24 or 90d.")
    }

    var moment: Moment? {
        expires.flatMap { TypedTime.future($0, now: Clock.now()) }.map { Moment(rfc3339: $0.rfc3339) }
    }
}

struct ConsumerCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "consumer", abstract: "Cloud consumers and their API keys.",
        subcommands: [List.self, CreateKey.self, RevokeKey.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the consumers and what is kept of their keys.")
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let consumers = try await options.client().consumers()
            try options.show(consumers, empty: "There are no consumers. Declare some: cloudwright apply -f cloud.yaml")
            {
                var table = Table(
                    .left("consumer"), .left("name"), .left("services"), .left("credential"), .left("key"),
                    .left("state"), .left("expires"))
                for consumer in consumers {
                    let services = consumer.entitlements.map { $0.isEmpty ? "none" : $0.joined(separator: ",") }
                    for credential in consumer.credentials {
                        table.add(
                            Table.Cell(consumer.id), Table.Cell(Table.printable(consumer.displayName)),
                            Table.Cell(services ?? "all"), Table.Cell(credential.id),
                            Table.Cell(credential.prefix + "…"),
                            credential.revoked ? Table.Cell("revoked", .bad) : Table.Cell("valid", .good),
                            Table.Cell(Formats.time(credential.expiresAt)))
                    }
                    if consumer.credentials.isEmpty {
                        table.add(
                            Table.Cell(consumer.id), Table.Cell(Table.printable(consumer.displayName)),
                            Table.Cell(services ?? "all"), "-", "-", Table.Cell("no key", .doubtful), "-")
                    }
                }
                return table
            }
        }
    }

    struct CreateKey: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "create-key", abstract: "Make an API key; it is printed this once.",
            discussion: "The key alone goes to standard output, so that it can be piped to where it is kept.")
        @Argument(help: "The consumer's name.") var consumer: String
        @OptionGroup var expiry: ExpiryOptions
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let made = try await options.client().createCredential(
                for: consumer, API.CredentialRequest(expiresAt: expiry.moment))
            try options.show(made) { made.key ?? "" }
            guard made.key != nil else {
                throw CommandFailure(
                    """
                    the key was made, but the answer with it got lost; it is shown only once. Revoke it and make \
                    another:
                    cloudwright consumer revoke-key \(consumer) \(made.credential.id)
                    """)
            }
            Terminal.current.note(
                "Credential \(made.credential.id) of \(consumer). The key is not shown again; keep it safe.")
        }
    }

    struct RevokeKey: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "revoke-key", abstract: "Revoke an API key at once.")
        @Argument(help: "The consumer's name.") var consumer: String
        @Argument(help: "The credential's name, as `consumer list` shows it.") var credential: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            try await options.client().revokeCredential(credential, of: consumer)
            Terminal.current.note("Credential \(credential) of \(consumer) admits nobody any more.")
        }
    }
}

struct AdministratorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "administrator", abstract: "Who may administer the platform.",
        subcommands: [List.self, Create.self, SetPassword.self, SecondFactorCommand.self, Remove.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the administrators.")
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let administrators = try await options.client().administrators()
            try options.show(administrators, empty: "There are no administrators.") {
                var table = Table(
                    .left("name"), .left("role"), .left("consumer"), .left("created"), .left("expires"))
                for administrator in administrators {
                    table.add(
                        Table.Cell(administrator.name), Table.Cell(administrator.role.rawValue),
                        Table.Cell(administrator.consumer), Table.Cell(Formats.time(administrator.createdAt)),
                        Table.Cell(Formats.time(administrator.expiresAt)))
                }
                return table
            }
        }
    }

    struct Create: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make an administrator; its token is printed this once.",
            discussion: """
                administrator: everything. operator: everything but administrators and keys. auditor: reads \
                everything. consumer: reads what is its consumer's own (--consumer). reporter: reports what a \
                service has counted itself, and nothing else.
                """)
        @Argument(help: "The name: lower-case letters, digits and hyphens.") var name: String
        @Option(help: "administrator, operator, auditor, consumer or reporter.") var role: API.Role
        @Option(help: "For the role consumer: whom the token speaks for.") var consumer: String?
        @OptionGroup var expiry: ExpiryOptions
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            guard (role == .consumer) == (consumer != nil) else {
                throw ValidationError("--consumer belongs to --role consumer, and to no other role.")
            }
        }

        func run() async throws {
            let made = try await options.client().createAdministrator(
                API.AdministratorRequest(name: name, role: role, consumer: consumer, expiresAt: expiry.moment))
            try options.show(made) { made.token ?? "" }
            guard made.token != nil else {
                throw CommandFailure(
                    """
                    \(name) was made, but the answer with the token got lost; it is shown only once. Make it anew:
                    cloudwright administrator remove \(name)
                    """)
            }
            Terminal.current.note(
                "Administrator \(name) (\(role.rawValue)). The token is not shown again; keep it safe.")
        }
    }

    struct SetPassword: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "set-password", abstract: "Set the password for logging in to the web console.",
            discussion: """
                The password is typed without being shown, or piped in; it is never given on the command line. \
                Everybody may set their own, the role administrator anybody's. The administrator's open sessions in \
                the console end; the token goes on working.
                """)
        @Argument(help: "The administrator's name.") var name: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let terminal = Terminal.current
            let client = try options.client()
            guard let password = terminal.readSecret("New password for \(name): "), !password.isEmpty else {
                throw CommandFailure("no password was given; type it, or pipe it in")
            }
            // What was piped in has one line.
            if let again = terminal.readSecret("Again: "), again != password {
                throw CommandFailure("the two passwords are not the same; nothing was changed")
            }
            try await withPresentPassword(of: name) { present throws(ClientError) in
                try await client.setPassword(of: name, to: password, currentPassword: present)
            }
            terminal.note("The password of \(name) was set. The console is at \(client.server)/console/")
        }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Remove an administrator; its token is worth nothing from now on.")
        @Argument(help: "The administrator's name.") var name: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            try await options.client().removeAdministrator(name)
            Terminal.current.note("Administrator \(name) was removed.")
        }
    }
}

struct Login: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a token and keep it for this server.",
        discussion: """
            The token is read from --token-file, or typed without being shown, or piped in. It is kept in \
            ~/.config/cloudwright/credentials, readable by you only. With --name the password is asked for instead, \
            and a code where the administrator has a second factor; the session that begins ends after 12 hours, or \
            one without use.
            """)
    @Option(help: ArgumentHelp("Log in with the password of this administrator.", valueName: "administrator"))
    var name: String?
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard name == nil || options.tokenFile == nil else {
            throw ValidationError("--name and --token-file are two ways to log in; give one.")
        }
    }

    func run() async throws {
        if let name { return try await logIn(as: name) }
        let terminal = Terminal.current
        let client = try AdministrationClient(
            server: options.serverAddress, token: nil, timeoutSeconds: options.timeout)
        let typed: String? =
            if let file = options.tokenFile { try SecretFile.secret(in: file) } else {
                terminal.readSecret("Token for \(client.server): ")
            }
        guard let token = typed?.trimmed, !token.isEmpty else {
            throw CommandFailure("no token was given; type it, pipe it in, or name a file with --token-file")
        }
        let session = try await client.logIn(token: token)
        let store = CredentialStore(environment: terminal.environment)
        try store.keep(token, for: client.server)
        try options.show(session) { "Logged in to \(client.server) as \(session.name) (\(session.role.rawValue))." }
        terminal.note("The token is kept in \(store.path).")
    }

    private func logIn(as name: String) async throws {
        let terminal = Terminal.current
        let client = try AdministrationClient(
            server: options.serverAddress, token: nil, timeoutSeconds: options.timeout)
        guard let password = terminal.readSecret("Password of \(name): "), !password.isEmpty else {
            throw CommandFailure("no password was given; type it, or pipe it in")
        }
        var session = try await session(client, name, password)
        guard let token = session.token else { throw CommandFailure("the platform's answer has no token") }
        // What is shown may be kept in a log.
        session.token = nil
        let store = CredentialStore(environment: terminal.environment)
        try store.keep(token, for: client.server)
        let shown = session
        try options.show(shown) { "Logged in to \(client.server) as \(shown.name) (\(shown.role.rawValue))." }
        terminal.note("The session's token is kept in \(store.path); it ends at \(Formats.time(shown.expiresAt)).")
    }

    private func session(
        _ client: AdministrationClient, _ name: String, _ password: String
    ) async throws -> API.Session {
        do throws(ClientError) { return try await client.logIn(name: name, password: password, code: nil) } catch {
            guard case .refused(let problem) = error, problem.faults.contains(where: { $0.pointer == "/code" }) else {
                throw error
            }
            guard let code = Terminal.current.readSecret("Code of the second factor: ")?.trimmed, !code.isEmpty else {
                throw error
            }
            return try await client.logIn(name: name, password: password, code: code)
        }
    }
}

extension String {
    /// Without spaces and line ends around it.
    var trimmed: String {
        String(drop { $0.isWhitespace }.reversed().drop { $0.isWhitespace }.reversed())
    }
}

/// The time that typed times are relative to.
enum Clock {
    static func now() -> Timestamp {
        Timestamp(microseconds: Int64(Terminal.current.now().timeIntervalSince1970 * 1_000_000))
    }
}

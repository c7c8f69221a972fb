import AdministrationAPI
import AdministrationClient
import ArgumentParser
import Foundation
import Yams

enum OutputFormat: String, ExpressibleByArgument, CaseIterable {
    case table, json, yaml
}

/// What every command that talks to a server can be told.
struct GlobalOptions: ParsableArguments {
    static let usualServer = "http://127.0.0.1:8081"

    @Option(
        help: ArgumentHelp(
            "The administration address of the server. (CLOUDWRIGHT_SERVER; usually \(usualServer))",
            valueName: "url"))
    var server: String?

    @Option(
        help: ArgumentHelp(
            """
            A file with the token in its first line, readable by you only, as `serve --administrator-token-file` \
            writes it. Without this option CLOUDWRIGHT_TOKEN, then what `login` kept.
            """, valueName: "file"))
    var tokenFile: String?

    @Option(name: [.customShort("o"), .long], help: "How to print: table, json or yaml.")
    var output = OutputFormat.table

    @Option(help: ArgumentHelp("How long the server may be silent, in seconds.", valueName: "seconds"))
    var timeout = 30

    func validate() throws {
        guard (1...86_400).contains(timeout) else {
            throw ValidationError("--timeout must be from 1 to 86400 seconds.")
        }
    }

    var serverAddress: String {
        let named = server ?? Terminal.current.environment["CLOUDWRIGHT_SERVER"]
        return named.flatMap { $0.isEmpty ? nil : $0 } ?? Self.usualServer
    }

    /// With the token that is found first: the file that was named, the environment, what `login` kept.
    func client() throws -> AdministrationClient {
        try AdministrationClient(server: serverAddress, token: try token(), timeoutSeconds: timeout)
    }

    private func token() throws -> String? {
        if let tokenFile { return try SecretFile.secret(in: tokenFile) }
        let environment = Terminal.current.environment
        if let token = environment["CLOUDWRIGHT_TOKEN"], !token.isEmpty { return token }
        let unadorned = try AdministrationClient(server: serverAddress, token: nil)
        return try CredentialStore(environment: environment).token(for: unadorned.server)
    }

    /// Prints the value as it is, or what `table` makes of it.
    func show(_ value: some Encodable, _ table: () -> String) throws {
        switch output {
        case .table: Terminal.current.output(table())
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
            Terminal.current.output(String(decoding: try encoder.encode(value), as: UTF8.self))
        case .yaml:
            let encoder = YAMLEncoder()
            encoder.options.allowUnicode = true
            Terminal.current.output(try encoder.encode(value))
        }
    }

    /// Prints a table, or why there is nothing in it and what to do about it.
    func show(_ value: [some Encodable], empty: String, _ table: () -> Table) throws {
        guard output == .table, value.isEmpty else {
            return try show(value) { table().rendered(inColour: Terminal.current.hasColour) }
        }
        Terminal.current.note(empty)
    }
}

/// Times that a report is about.
struct PeriodOptions: ParsableArguments {
    @Option(
        help: ArgumentHelp(
            "Only from this time on: 2026-11-24T02:30:00Z, 2026-11-24, or 2h for two hours ago.", valueName: "time"))
    var from: String?

    @Option(help: ArgumentHelp("Only before this time, written as for --from.", valueName: "time"))
    var until: String?

    func validate() throws {
        for (name, text) in [("--from", from), ("--until", until)] {
            guard let text, TypedTime.past(text, now: .epoch) == nil else { continue }
            throw ValidationError("\(name) '\(text)' is no time; give 2026-11-24T02:30:00Z, 2026-11-24 or 2h.")
        }
    }

    var rfc3339: (from: String?, until: String?) {
        let now = Clock.now()
        return (
            from.flatMap { TypedTime.past($0, now: now)?.rfc3339 },
            until.flatMap { TypedTime.past($0, now: now)?.rfc3339 }
        )
    }
}

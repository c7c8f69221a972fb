import AdministrationFixture
import Foundation
import Testing

/// docs/reference/cli.md against the command tree.
@Suite struct ReferenceTests {
    private struct Tool: Decodable {
        struct Command: Decodable {
            var commandName: String
            var superCommands: [String]?
            var abstract: String?
            var discussion: String?
            var arguments: [Argument]?
            var subcommands: [Command]?
        }

        struct Argument: Decodable {
            struct Name: Decodable {
                var kind: String
                var name: String
            }

            var kind: String
            var shouldDisplay: Bool
            var isOptional: Bool
            var names: [Name]?
            var valueName: String?
            var defaultValue: String?
            var allValues: [String]?
            var abstract: String?
        }

        var command: Command
    }

    /// Described once for all commands.
    private static let common: Set<String> = ["server", "token-file", "output", "timeout", "version", "help"]

    @Test("the reference says of every command what the code says")
    func reference() async throws {
        let dump = await CommandLine.run("--experimental-dump-help")
        let tool = try dump.json(Tool.self)
        let all = (tool.command.subcommands ?? []).filter { $0.commandName != "help" }.flatMap { leaves(of: $0, []) }
        #expect(all.count > 30)
        let part = all.map(section).joined(separator: "\n\n")
        let difference = try ReferenceFile("cli.md").difference(from: part)
        #expect(difference == nil, "\(difference ?? "")")
    }

    private func leaves(of command: Tool.Command, _ path: [String]) -> [(path: [String], command: Tool.Command)] {
        let path = path + [command.commandName]
        let below = (command.subcommands ?? []).filter { $0.commandName != "help" }
        return below.isEmpty ? [(path, command)] : below.flatMap { leaves(of: $0, path) }
    }

    private func section(_ leaf: (path: [String], command: Tool.Command)) -> String {
        let arguments = (leaf.command.arguments ?? []).filter { argument in
            argument.shouldDisplay && !(argument.names ?? []).contains { Self.common.contains($0.name) }
        }
        let positional = arguments.filter { $0.kind == "positional" }.map { argument in
            let name = "<\(argument.valueName ?? "")>"
            return argument.isOptional ? " [\(name)]" : " \(name)"
        }
        var lines = ["## `cloudwright \(leaf.path.joined(separator: " "))\(positional.joined())`", ""]
        lines.append(leaf.command.abstract ?? "")
        if let discussion = leaf.command.discussion { lines += ["", discussion.replacing("\n", with: " ")] }
        let rows = arguments.map { argument in
            "| \(spelling(argument)) | \(meaning(argument)) |"
        }
        if !rows.isEmpty { lines += ["", "| | |", "|---|---|"] + rows }
        return lines.joined(separator: "\n")
    }

    private func spelling(_ argument: Tool.Argument) -> String {
        guard argument.kind != "positional" else { return "`<\(argument.valueName ?? "")>`" }
        let names = (argument.names ?? []).map { ($0.kind == "short" ? "-" : "--") + $0.name }
        let value = argument.kind == "option" ? " <\(argument.valueName ?? "")>" : ""
        return names.map { "`\($0)\(value)`" }.joined(separator: ", ")
    }

    private func meaning(_ argument: Tool.Argument) -> String {
        var text = (argument.abstract ?? "").replacing("\n", with: " ")
        if let usual = argument.defaultValue { text += " Without it: `\(usual)`." }
        if argument.kind == "option", !argument.isOptional { text += " Required." }
        return text.replacing("|", with: "\\|")
    }
}

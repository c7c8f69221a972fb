import AdministrationAPI
import AdministrationClient
import ArgumentParser
import CloudModel
import ConfigurationFile
import Foundation

/// A configuration file that is read and checked here, so that faults are told with their lines.
enum DeclaredFile {
    static func read(_ path: String) throws -> (text: String, document: ConfigurationDocument) {
        let data: Data
        do {
            data =
                path == "-"
                ? try FileHandle.standardInput.readToEnd() ?? Data() : try Data(contentsOf: URL(fileURLWithPath: path))
        } catch {
            throw CommandFailure("cannot read \(path): \(error.localizedDescription)")
        }
        guard let text = String(validating: data, as: UTF8.self) else {
            throw CommandFailure("\(path) is not UTF-8 text; save it as UTF-8")
        }
        do {
            return (text, try ConfigurationDocument(parsing: text, file: path == "-" ? "standard input" : path))
        } catch {
            throw CommandFailure("\(path) has \(error.faults.count) faults\n\(error.description)")
        }
    }
}

struct Apply: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Make a configuration true on a server.",
        discussion: """
            What is not in the file is removed, but for API keys that were made by a command. A change that somebody \
            made since the server was asked is not lost: then nothing is done.
            """)
    @Option(name: [.customShort("f"), .long], help: "The configuration (YAML); - for standard input.") var file: String
    @Flag(help: "Only show what would change.") var dryRun = false
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let declared = try DeclaredFile.read(file)
        let client = try options.client()
        let tag = dryRun ? "*" : try await client.configuration(.json).tag
        let outcome = try await client.apply(
            Array(declared.text.utf8), mediaType: "application/yaml", ifMatch: tag, dryRun: dryRun)
        try options.show(outcome) { Self.text(outcome) }
    }

    static func text(_ outcome: API.ConfigurationOutcome) -> String {
        guard !outcome.changes.isEmpty else { return "Nothing changes: it is as the file says already." }
        let lines = outcome.changes.flatMap { change in
            let sign =
                switch change.change {
                case .created: "+"
                case .changed: "~"
                case .removed: "-"
                }
            return ["\(sign) \(change.kind)/\(change.name) \(change.change.rawValue)"]
                + change.details.map { "    \(Table.printable($0))" }
        }
        let end =
            outcome.applied
            ? "Applied." : "Nothing was changed (dry run)."
        return (lines + [end]).joined(separator: "\n")
    }
}

struct Validate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a configuration file without a server.",
        discussion: "Every fault is told with file, line, column and what to do; exit code 1 if there is any.")
    @Option(name: [.customShort("f"), .long], help: "The configuration (YAML); - for standard input.") var file: String

    func run() async throws {
        let configuration = try DeclaredFile.read(file).document.configuration
        func count(_ number: Int, _ what: String) -> String { "\(number) \(what)\(number == 1 ? "" : "s")" }
        Terminal.current.output(
            "\(file) is valid: " + count(configuration.services.count, "service") + ", "
                + count(configuration.consumers.count, "consumer") + ", "
                + count(configuration.failoverGroups.count, "failover group") + ", "
                + count(configuration.pricePlans.count, "price plan") + ".")
    }
}

struct Export: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Print a server's configuration as a file that can be applied again.",
        discussion: "YAML, or one JSON object with -o json. API keys appear as their digests.")
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let client = try options.client()
        let text = try await client.configuration(options.output == .json ? .json : .yaml).value
        Terminal.current.output(String(decoding: text, as: UTF8.self))
    }
}

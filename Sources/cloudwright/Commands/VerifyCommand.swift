import ArgumentParser
import Bookkeeping
import CloudPorts
import Foundation
import LogDatabasePostgres
import LogDatabaseSQLite
import MerkleLog
import SealedBooks

/// What an auditor keeps, and reads without any server.
enum AuditorFiles {
    static func key(_ path: String) throws -> CheckpointVerifier {
        let text = try text(of: path, remedy: "give a file with what `cloudwright audit key` prints")
        return try CheckpointVerifier(String(text.prefix { !$0.isNewline }))
    }

    static func notes(_ path: String?) throws -> [String] {
        guard let path else { return [] }
        return LogVerification.notes(in: try text(of: path, remedy: "give the file that spec.witnessFile names"))
    }

    /// A copy of the log database: a file, or `postgres:FILE`, whose content says how to connect to a server that holds
    /// a restored backup or a replica's copy.
    static func database(_ name: String) async throws -> any LogDatabase {
        if name.hasPrefix("postgres:") {
            let file = String(name.dropFirst("postgres:".count))
            do { return try await PostgresLogDatabase.open(PostgresConnectionSettings(file: file)) } catch {
                throw CommandFailure("\(name) cannot be opened: \(error.message)")
            }
        }
        let path = name.hasPrefix("sqlite:") ? String(name.dropFirst("sqlite:".count)) : name
        try checkDatabase(path)
        return try SQLiteLogDatabase(path: path)
    }

    static func checkDatabase(_ path: String) throws {
        guard FileManager.default.fileExists(atPath: path) else {
            throw CommandFailure("there is no file \(path); give a copy of log.sqlite of the data directory")
        }
    }

    private static func text(of path: String, remedy: String) throws -> String {
        String(decoding: try content(of: path, remedy: remedy), as: UTF8.self)
    }

    static func content(of path: String, remedy: String) throws -> Data {
        guard let content = FileManager.default.contents(atPath: path) else {
            throw CommandFailure("\(path) cannot be read; \(remedy)")
        }
        return content
    }
}

/// `cloudwright verify`: checks a bill's proof without any server.
struct Verify: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Check a bill's proof offline, with the public key alone.",
        discussion: """
            Checks the signatures of the checkpoints, that each record is in the sealed log that it claims to be from, \
            that the logs have only grown, that the bill is the one that was closed, and that the records and the \
            price plan give it to the same bytes. Take the key (`cloudwright audit key`) once and keep it. A witness \
            file (spec.witnessFile) finds a history that was written anew; a copy of the log database shows as well \
            that no record was left out. Exits with 1 where something is forged or not proven.
            """)
    @Argument(help: "What `cloudwright bill export --format proof` printed.") var file: String
    @Option(help: ArgumentHelp("A file with the public key of the seals.", valueName: "file")) var keyFile: String
    @Option(help: ArgumentHelp("Checkpoints that were kept elsewhere.", valueName: "file")) var witness: String?
    @Option(help: ArgumentHelp("A copy of the log database: its file, or postgres:FILE.", valueName: "file"))
    var logDatabase: String?
    @Flag(help: "Print the checks as JSON.") var json = false

    func run() async throws {
        let content = try AuditorFiles.content(
            of: file, remedy: "give what `cloudwright bill export --format proof` printed")
        let verifier = try AuditorFiles.key(keyFile)
        let notes = try AuditorFiles.notes(witness)
        var database: (any LogDatabase)?
        if let logDatabase { database = try await AuditorFiles.database(logDatabase) }
        let verification = try BillVerification(
            Array(content), verifier: verifier, witnessed: notes, database: database)
        let checks = try await verification.run()
        await database?.close()
        try show(checks)
        guard checks.allSatisfy({ $0.state == .proven }) else { throw ExitCode(1) }
    }

    private func show(_ checks: [BillVerification.Check]) throws {
        guard !json else {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .prettyPrinted, .withoutEscapingSlashes]
            return Terminal.current.output(String(decoding: try encoder.encode(checks), as: UTF8.self) + "\n")
        }
        var table = Table(.left("what"), .left("state"), .left("detail"))
        for check in checks {
            let tone: Table.Tone =
                switch check.state {
                case .proven: .good
                case .unproven: .doubtful
                case .forged: .bad
                }
            table.add(
                Table.Cell(Table.printable(check.subject)), Table.Cell(check.state.rawValue, tone),
                Table.Cell(Table.printable(check.detail)))
        }
        var text = table.rendered(inColour: Terminal.current.hasColour)
        if logDatabase == nil {
            text += "That no record was left out is shown with --log-database only.\n"
        }
        Terminal.current.output(text)
    }
}

import AdministrationAPI
import AdministrationClient
import ArgumentParser
import CloudPorts
import Foundation
import MerkleLog
import RemoteAdministration
import SealedBooks

extension AuditCommand {
    /// Checks the append-only logs against their seals: by the server, or offline with nothing but a copy of the
    /// database and the public key.
    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Find out whether a record of the books was changed, removed, inserted or moved.",
            discussion: """
                Asks the server, which reads its logs anew. With --database it checks a copy of the log database \
                itself and trusts the key alone; postgres:FILE names the file with the connection string of a \
                PostgreSQL server that holds the copy. Take the key (`cloudwright audit key`) once and keep it. A \
                witness file (spec.witnessFile) also finds a history that was written anew together with its seals. \
                Exits with 1 where something was altered.
                """)
        @Option(
            help: ArgumentHelp(
                "A copy of the log database, checked here: its file, or postgres:FILE.", valueName: "file"))
        var database: String?
        @Option(help: ArgumentHelp("A file with the public key of the seals; with --database.", valueName: "file"))
        var keyFile: String?
        @Option(help: ArgumentHelp("Seals that were kept elsewhere; with --database.", valueName: "file"))
        var witness: String?
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            guard (database == nil) == (keyFile == nil) else {
                throw ValidationError("--database and --key-file go together: the copy is checked with the key.")
            }
            guard witness == nil || database != nil else {
                throw ValidationError("--witness goes with --database.")
            }
        }

        func run() async throws {
            let found: [API.LogIntegrity]
            if let database, let keyFile {
                found = try await Self.verify(database: database, keyFile: keyFile, witness: witness)
            } else {
                found = try await options.client().verifyLogs()
            }
            try options.show(found, empty: "There is nothing to check yet.") { Self.table(found) }
            guard found.allSatisfy({ $0.fault == nil }) else { throw ExitCode(1) }
        }

        private static func verify(database path: String, keyFile: String, witness: String?) async throws
            -> [API.LogIntegrity]
        {
            let verifier = try AuditorFiles.key(keyFile)
            let notes = try AuditorFiles.notes(witness)
            let database = try await AuditorFiles.database(path)
            let verification = try LogVerification(of: database, verifier: verifier, witnessed: notes)
            let findings = try await verification.run()
            await database.close()
            return findings.map(API.LogIntegrity.init)
        }

        private static func table(_ logs: [API.LogIntegrity]) -> Table {
            var table = Table(
                .left("log"), .right("records"), .right("sealed"), .right("seals"), .left("last sealed"),
                .left("finding"))
            for log in logs {
                table.add(
                    Table.Cell(log.log), Table.Cell(log.records), Table.Cell(log.sealed), Table.Cell(log.seals),
                    Table.Cell(log.lastSealedAt.map(Formats.time)),
                    finding(of: log))
            }
            return table
        }

        private static func finding(of log: API.LogIntegrity) -> Table.Cell {
            if let fault = log.fault { return Table.Cell(Table.printable(fault), .bad) }
            guard log.records > 0 else { return Table.Cell("empty", .quiet) }
            return log.sealed > 0 ? Table.Cell("as sealed", .good) : Table.Cell("not sealed yet", .doubtful)
        }
    }

    struct Key: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print the public key that the books are sealed with.")
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let key = try await options.client().verificationKey()
            try options.show(key) { key.key }
        }
    }
}

import ArgumentParser
import CloudPorts
import Foundation
import LogDatabasePostgres
import LogDatabaseSQLite
import LogRecords
import SealedBooks

/// `cloudwright migrate-log`: moves the log database from a file to a server.
struct MigrateLog: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "migrate-log",
        abstract: "Copy the log database from SQLite to PostgreSQL, and compare the two.",
        discussion: """
            Stop the platform first. Everything is copied in one transaction as it is, then read back and compared row \
            by row; where anything differs, nothing is kept. With --key-file the seals are verified in the new place, \
            too. The file stays as it is. Afterwards name the server in the configuration (spec.logDatabase).
            """)
    @Option(help: ArgumentHelp("The log database as it is.", valueName: "sqlite:file")) var from: String
    @Option(
        help: ArgumentHelp(
            "An empty database, by a file with its connection string (mode 0600).", valueName: "postgres:file"))
    var to: String
    @Option(help: ArgumentHelp("A file with the public key of the seals.", valueName: "file")) var keyFile: String?

    private static let rowsAtOnce = 5_000

    func validate() throws {
        guard Self.place(from, "sqlite") != nil else {
            throw ValidationError("--from is '\(from)'; write sqlite:/var/lib/cloudwright/log.sqlite")
        }
        guard Self.place(to, "postgres") != nil else {
            throw ValidationError("--to is '\(to)'; write postgres:/etc/cloudwright/postgres")
        }
    }

    private static func place(_ text: String, _ kind: String) -> String? {
        text.hasPrefix(kind + ":") && text.count > kind.count + 1 ? String(text.dropFirst(kind.count + 1)) : nil
    }

    func run() async throws {
        guard let file = Self.place(from, "sqlite"), let connectionFile = Self.place(to, "postgres") else { return }
        do {
            try await migrate(file, connectionFile)
        } catch let error as LogDatabaseError {
            throw CommandFailure("\(error.message); nothing was moved")
        }
    }

    private func migrate(_ file: String, _ connectionFile: String) async throws {
        try AuditorFiles.checkDatabase(file)
        let settings = try PostgresConnectionSettings(file: connectionFile)
        let source = try SQLiteLogDatabase(path: file)
        let target = try await LogImport(into: settings)
        do {
            for table in LogTable.all {
                let moved = try await copy(table, from: source, to: target)
                guard try await target.sum(of: table) == moved else {
                    throw LogDatabaseError(.corrupted, "\(table.name) does not read back as it was written")
                }
                if moved.rows > 0 { Terminal.current.note("\(table.name): \(moved.rows) rows, all equal") }
            }
            // Whoever wrote meanwhile would be left behind.
            for table in LogTable.all {
                guard try await sum(of: table, in: source) == target.sum(of: table) else {
                    throw LogDatabaseError(
                        .unavailable, "\(table.name) of \(file) has changed meanwhile; stop the platform first")
                }
            }
        } catch {
            await target.cancel()
            await source.close()
            throw error
        }
        try await target.finish()
        await source.close()
        if let keyFile { try await verify(settings, keyFile) }
        Terminal.current.note("Moved to \(settings). Name it in the configuration: spec.logDatabase")
    }

    private func copy(
        _ table: LogTable, from source: SQLiteLogDatabase, to target: LogImport
    ) async throws -> TableSum {
        try await walk(table, in: source) { rows in try await target.add(rows, to: table) }
    }

    private func sum(of table: LogTable, in source: SQLiteLogDatabase) async throws -> TableSum {
        try await walk(table, in: source) { _ in }
    }

    private func walk(
        _ table: LogTable, in source: SQLiteLogDatabase, _ body: ([[StoredValue]]) async throws -> Void
    ) async throws -> TableSum {
        var sum = TableSum()
        var key: [StoredValue]?
        let places = table.key.compactMap { name in table.columns.firstIndex { $0.name == name } }
        while true {
            let rows = try await source.rows(of: table, after: key, limit: Self.rowsAtOnce)
            guard let last = rows.last else { return sum }
            try await body(rows)
            for row in rows {
                var line: [UInt8] = []
                CopyLine.append(row, of: table, to: &line)
                sum.add(line)
            }
            key = places.map { last[$0] }
        }
    }

    private func verify(_ settings: PostgresConnectionSettings, _ keyFile: String) async throws {
        let database = try await PostgresLogDatabase.open(settings)
        let findings = try await LogVerification(of: database, verifier: try AuditorFiles.key(keyFile)).run()
        await database.close()
        let faults = findings.compactMap { finding in finding.fault.map { "\(finding.log): \($0)" } }
        guard faults.isEmpty else {
            throw CommandFailure("everything was moved, and the seals do not verify: \(faults.joined(separator: "; "))")
        }
        Terminal.current.note("The seals of \(findings.count) logs verify")
    }
}

import CPostgres
package import CloudPorts
package import LogRecords

/// Fills an empty log database with the rows of another one: all of them, or none where it is not finished.
package final class LogImport: Sendable {
    private let thread: ConnectionThreads

    /// Makes the schema, and refuses a database that holds anything already.
    package init(into settings: PostgresConnectionSettings) async throws(LogDatabaseError) {
        await (try await PostgresLogDatabase.open(settings)).close()
        thread = ConnectionThreads(settings, count: 1, name: "books-import")
        do throws(LogDatabaseError) {
            try await run("beginning to import into \(settings)") { connection in
                try connection.command("BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0")
                for table in LogTable.all {
                    guard try connection.run("SELECT 1 FROM \(table.name) LIMIT 1").count == 0 else {
                        throw LogDatabaseError(
                            .storage,
                            "\(settings) holds a log already (\(table.name) has rows); name an empty database")
                    }
                }
            }
        } catch {
            await thread.close()
            throw error
        }
    }

    package func add(_ rows: [[StoredValue]], to table: LogTable) async throws(LogDatabaseError) {
        try await inTransaction("importing \(table.name)") { connection in
            if table.name == "usage_record",
                let place = table.columns.firstIndex(where: { $0.name == "completed_at" })
            {
                for row in rows {
                    guard case .integer(let completed) = row[place] else { continue }
                    try UsageMonth(containing: completed)?.create(on: connection)
                }
            }
            var bytes: [UInt8] = []
            for row in rows { CopyLine.append(row, of: table, to: &bytes) }
            try connection.copy("COPY \(table.name) (\(Self.columns(of: table))) FROM STDIN") { stream in
                try bytes.withUnsafeBytes { try stream.send($0) }
            }
        }
    }

    /// Of what is stored, read anew.
    package func sum(of table: LogTable) async throws(LogDatabaseError) -> TableSum {
        try await inTransaction("comparing \(table.name)") { connection in
            var sum = TableSum()
            let rows = "SELECT \(Self.columns(of: table)) FROM \(table.name)"
            try connection.copyOut("COPY (\(rows)) TO STDOUT") { sum.add($0) }
            return sum
        }
    }

    /// Whatever counts on goes on from what was imported. Durable on return.
    package func finish() async throws(LogDatabaseError) {
        try await inTransaction("finishing the import") { connection in
            for log in ["platform_event", "audit_event", "lifecycle_event", "usage_event"] {
                try connection.command(
                    """
                    UPDATE log_position SET last = (SELECT coalesce(max(position), 0) FROM \(log)) WHERE log = '\(log)'
                    """)
            }
            for (table, column) in [
                ("source", "id"), ("name", "id"), ("record_gap", "position"), ("record_conflict", "position"),
                ("usage_late", "position"), ("bill", "position"), ("credit", "position"), ("notification", "position"),
            ] {
                try connection.command(
                    """
                    SELECT setval(
                        pg_get_serial_sequence('\(table)', '\(column)'), coalesce(max(\(column)), 0) + 1, false)
                    FROM \(table)
                    """)
            }
            try connection.command("COMMIT")
            try connection.command("ANALYZE")
        }
        await thread.close()
    }

    /// Nothing of it stays.
    package func cancel() async {
        // Where this fails the connection is lost, and the server undoes the transaction by itself.
        _ = try? await run("cancelling the import") { try $0.command("ROLLBACK") }
        await thread.close()
    }

    private static func columns(of table: LogTable) -> String {
        table.columns.map { "\"\($0.name)\"" }.joined(separator: ", ")
    }

    /// A connection that was lost has lost the transaction: another one must not go on without it.
    private func inTransaction<Value: Sendable>(
        _ what: String, _ body: @escaping @Sendable (Connection) throws -> Value
    ) async throws(LogDatabaseError) -> Value {
        try await run(what) { connection in
            guard connection.isInTransaction else {
                throw LogDatabaseError(.unavailable, "the connection was lost; nothing was imported, begin anew")
            }
            return try body(connection)
        }
    }

    @discardableResult
    private func run<Value: Sendable>(
        _ what: String, _ body: @escaping @Sendable (Connection) throws -> Value
    ) async throws(LogDatabaseError) -> Value {
        do { return try await thread.run(body) } catch { throw LogDatabaseError(cause: error, doing: what) }
    }
}

import CloudModel
import CloudPorts
import Foundation
import LogDatabasePostgres
import PostgresFixture
import Spool

/// The same records into PostgreSQL, beside the least that storing them there can cost: one COPY of the same rows, from
/// a file on the server, into a table with the same columns and keys.
struct PostgresJob {
    let records: Int
    let folder: URL
    /// The time in which the requests were completed.
    let span: TimeSpan

    func run() async throws {
        if let obstacle = PostgresServer.obstacle {
            print("\nPostgreSQL is left out: \(obstacle)")
            return
        }
        let server = try await PostgresServer.make(settings: ["max_wal_size = 8GB", "shared_buffers = 512MB"])
        try await server.start()
        do {
            var ratios: [Double] = []
            for round in 0..<Self.rounds { ratios.append(try await measure(on: server, round)) }
            let all = ratios.map { String(format: "%.2f", $0) }.joined(separator: ", ")
            let median = ratios.sorted()[Self.rounds / 2]
            print("\nInto PostgreSQL at \(String(format: "%.2f", median)) of the rate of a bare COPY (\(all)).")
        } catch {
            await server.remove()
            throw error
        }
        await server.remove()
    }

    /// Each with a database of its own, so that what else the machine does falls on both.
    private static let rounds = 3

    private func measure(on server: PostgresServer, _ round: Int) async throws -> Double {
        let connection = try await server.makeDatabase()
        let name = connection.split(separator: "=").last.map(String.init) ?? ""
        let database = try await PostgresLogDatabase.open(PostgresConnectionSettings(connection))
        let spool = try SpoolDirectory(
            path: folder.appendingPathComponent("spool-postgres-\(span.microseconds)-\(round)").path,
            settings: SpoolSettings(maximumBytesPerWriter: .mebibytes(Int64(max(1_024, records / 4_096)))))
        try BooksBenchmark.write(records, to: spool, within: span)
        try await server.sql("CHECKPOINT", database: name)
        let step = "carried into PostgreSQL, of \(span.microseconds / 3_600_000_000) h"
        let carried = try await BooksBenchmark.measure(step, records) {
            await BooksBenchmark.carry(spool, of: records, to: database)
        }
        spool.close()
        await database.close()
        let file = "\(server.directory)/rows-\(round)"
        try await server.sql("COPY (SELECT * FROM usage_record) TO '\(file)' (FORMAT binary)", database: name)
        try await server.sql(
            """
            CREATE TABLE bare (LIKE usage_record);
            ALTER TABLE bare ADD PRIMARY KEY (source, sequence);
            CREATE UNIQUE INDEX ON bare (request_high, request_low);
            CREATE INDEX ON bare (completed_at);
            """, database: name)
        try await server.sql("CHECKPOINT", database: name)
        let bare = try await BooksBenchmark.measure("a bare COPY of the same rows", records) {
            try await server.sql("COPY bare FROM '\(file)' (FORMAT binary)", database: name)
        }
        let stored = try await server.sql("SELECT count(*) FROM bare", database: name)
        precondition(stored == "\(records)", "the bare COPY stored \(stored) rows")
        return carried / bare
    }
}

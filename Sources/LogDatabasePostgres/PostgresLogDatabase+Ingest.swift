public import CloudModel
public import CloudPorts
import LogRecords

extension PostgresLogDatabase {
    /// Decisions are stored over another connection and under other locks: a batch keeps none of them waiting. The more
    /// records, the fewer commits and hourly sums for each; a batch and the one that is read ahead are some 15 MB.
    public var recordsOfBatch: Int { 32_000 }

    /// Exactly once: the high-water mark is committed together with the records. A record whose number lies in a gap
    /// that was recorded before is new, and is stored; the gap stays on record.
    @discardableResult
    public func ingest(_ batch: SpoolBatch) async throws(LogDatabaseError) -> IngestOutcome {
        guard !batch.records.isEmpty else { return IngestOutcome(stored: 0, duplicates: 0, conflicts: 0, gap: 0) }
        try batch.checkNumbers()
        return try await write("storing records of \(batch.source)", isFenced: false) { connection in
            var ingestion = try Ingestion(batch, on: connection)
            try ingestion.run()
            return ingestion.outcome
        }
    }

    public func highWaterMark(ofSource source: String) async throws(LogDatabaseError) -> UInt64? {
        try await read("reading the high-water mark of \(source)") { connection in
            try connection.run("SELECT high_water_mark FROM source WHERE name = $1", source)
                .first?.number("high_water_mark")
        }
    }
}

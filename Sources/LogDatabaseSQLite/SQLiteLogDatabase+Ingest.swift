public import CloudModel
public import CloudPorts
import GRDB
import LogRecords
import Synchronization

extension SQLiteLogDatabase {
    /// Exactly once: the high-water mark is committed together with the records. A record whose number lies in a gap
    /// that was recorded before is new, and is stored; the gap stays on record.
    @discardableResult
    public func ingest(_ batch: SpoolBatch) async throws(LogDatabaseError) -> IngestOutcome {
        guard !batch.records.isEmpty else { return IngestOutcome(stored: 0, duplicates: 0, conflicts: 0, gap: 0) }
        try batch.checkNumbers()
        let known = names.withLock { $0 }
        let (outcome, learnt) = try await write("storing records of \(batch.source)") { database in
            var ingestion = try Ingestion(batch, names: known, in: database)
            try ingestion.run()
            return (ingestion.outcome, ingestion.names)
        }
        // Only what was committed; an id of a transaction that failed may name something else later.
        names.withLock { $0 = learnt }
        return outcome
    }

    public func highWaterMark(ofSource source: String) async throws(LogDatabaseError) -> UInt64? {
        try await read("reading the high-water mark of \(source)") { database in
            let mark = try Int64.fetchOne(
                database, sql: "SELECT high_water_mark FROM source WHERE name = ?",
                arguments: [SQLText.encoded(source)])
            return mark.map { UInt64($0) }
        }
    }
}

/// One batch on its way into the books, inside one transaction.
struct Ingestion {
    private let batch: SpoolBatch
    private let database: Database
    private let source: Int64
    /// The mark before this batch.
    private let mark: UInt64
    private let storedAt = SQLiteLogDatabase.now()
    private let books: Books
    private var hours: [UsageHour.Key: UsageHour] = [:]
    private(set) var names: NameTable
    private(set) var outcome = IngestOutcome(stored: 0, duplicates: 0, conflicts: 0, gap: 0)

    init(_ batch: SpoolBatch, names: NameTable, in database: Database) throws {
        self.batch = batch
        self.names = names
        self.database = database
        let name = SQLText.encoded(batch.source)
        try database.execute(
            sql: "INSERT INTO source (name, high_water_mark) VALUES (?, 0) ON CONFLICT DO NOTHING", arguments: [name])
        let row = try Row.fetchOne(
            database, sql: "SELECT id, high_water_mark FROM source WHERE name = ?", arguments: [name])
        guard let row else { throw LogDatabaseError(.corrupted, "the source \(batch.source) was not stored") }
        source = row["id"]
        mark = UInt64(row["high_water_mark"] as Int64)
        books = try Books(database: database, source: source, storedAt: storedAt)
    }

    mutating func run() throws {
        if batch.firstSequence > mark + 1 {
            outcome.gap = batch.firstSequence - mark - 1
            try books.insertGap("missing", first: mark + 1, last: batch.firstSequence - 1, records: outcome.gap)
        }
        for (index, record) in batch.records.enumerated() {
            try take(record, sequence: batch.firstSequence + UInt64(index))
        }
        try UsageHour.add(hours, to: database)
        try database.execute(
            sql: "UPDATE source SET high_water_mark = max(high_water_mark, ?) WHERE id = ?",
            arguments: [Int64(batch.lastSequence), source])
    }

    private mutating func take(_ record: SpoolRecord, sequence: UInt64) throws {
        if sequence <= mark, let stored = try books.record(at: sequence) {
            return try settle(record, sequence: sequence, stored: stored)
        }
        switch record {
        case .usage(let usage):
            let consumer = try names.id(of: usage.consumer.rawValue, in: database)
            let service = try names.id(of: usage.service.rawValue, in: database)
            let instance = try usage.instance.map { try names.id(of: $0.rawValue, in: database) }
            let row = UsageRow(usage, sequence: sequence, consumer: consumer, service: service, instance: instance)
            guard try books.insert(row) else {
                return try settle(record, sequence: sequence, stored: books.usageRecord(usage.requestID))
            }
            if sequence <= mark { try books.markLate(sequence) }
            let key = UsageHour.Key(row)
            hours[key, default: UsageHour(key)].add(row)
        case .audit(let event):
            guard try books.insert(event, sequence: sequence) else {
                return try settle(record, sequence: sequence, stored: books.auditEvent(event.requestID))
            }
        case .lost(let count, let since, let until):
            try books.insertGap(
                "lost", first: sequence, last: sequence, records: count, since: since, until: until)
        }
        outcome.stored += 1
    }

    /// The number, or the request, is in the books already.
    private mutating func settle(_ record: SpoolRecord, sequence: UInt64, stored: SpoolRecord?) throws {
        let (storedAt, database) = (storedAt, database)
        try outcome.settle(record, sequence: sequence, of: batch.source, stored: stored) { conflict in
            try Books.insertConflict(
                kind: conflict.kind, id: conflict.id, source: conflict.source, sequence: conflict.sequence,
                stored: conflict.stored, offered: conflict.offered, storedAt: storedAt, in: database)
        }
    }
}

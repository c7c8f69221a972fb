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
        let (outcome, learnt) = try await writeRecords("storing records of \(batch.source)") { database in
            var ingestion = try Ingestion(batch, names: known, in: database)
            try ingestion.run()
            return (ingestion.outcome, ingestion.names)
        }
        // Only what was committed; an id of a transaction that failed may name something else later.
        names.withLock { $0 = learnt }
        return outcome
    }

    /// As `write`, without the look into the table that each foreign key refers to, once for each key of each record:
    /// `Ingestion.checkNames` looks once for each name. The setting cannot be changed within a transaction.
    private func writeRecords<Value: Sendable>(
        _ what: String, _ body: @escaping @Sendable (Database) throws -> Value
    ) async throws(LogDatabaseError) -> Value {
        do {
            return try await pool.writeWithoutTransaction { database in
                try database.execute(sql: "PRAGMA foreign_keys = OFF")
                let result = Result { try database.inTransaction(.immediate, giving: body) }
                let restored = Result { try database.execute(sql: "PRAGMA foreign_keys = ON") }
                let value = try result.get()
                try restored.get()
                return value
            }
        } catch {
            throw LogDatabaseError(cause: error, doing: what)
        }
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

extension Database {
    fileprivate func inTransaction<Value>(
        _ kind: TransactionKind, giving body: (Database) throws -> Value
    ) throws -> Value {
        var value: Value?
        try inTransaction(kind) {
            value = try body(self)
            return .commit
        }
        return value!
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
    /// Names that came lately, by their last octet: those of services and instances come again and again.
    private var recent = [(name: String, id: Int64)](repeating: ("", 0), count: 32)
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
        if try !insertAllUsage() {
            for (index, record) in batch.records.enumerated() {
                try take(record, sequence: batch.firstSequence + UInt64(index))
            }
        }
        try checkNames()
        try UsageHour.add(hours, to: database)
        try database.execute(
            sql: "UPDATE source SET high_water_mark = max(high_water_mark, ?) WHERE id = ?",
            arguments: [Int64(batch.lastSequence), source])
    }

    /// The usual case: all usage records at once, then what else the batch has. False where a number or a request is in
    /// the books already, or twice in the batch: nothing has been stored then.
    private mutating func insertAllUsage() throws -> Bool {
        guard batch.firstSequence > mark else { return false }
        var rows: [UsageRow] = []
        rows.reserveCapacity(batch.records.count)
        for (index, record) in batch.records.enumerated() {
            guard case .usage(let usage) = record else { continue }
            rows.append(try row(usage, sequence: batch.firstSequence + UInt64(index)))
        }
        guard try books.insert(rows) else { return false }
        for row in rows { count(row) }
        outcome.stored += rows.count
        guard rows.count < batch.records.count else { return true }
        for (index, record) in batch.records.enumerated() {
            if case .usage = record { continue }
            try take(record, sequence: batch.firstSequence + UInt64(index))
        }
        return true
    }

    private mutating func row(_ usage: UsageRecord, sequence: UInt64) throws -> UsageRow {
        UsageRow(
            usage, sequence: sequence, consumer: try id(of: usage.consumer.rawValue),
            service: try id(of: usage.service.rawValue), instance: try usage.instance.map { try id(of: $0.rawValue) })
    }

    private mutating func id(of name: String) throws -> Int64 {
        let place = Int(name.utf8.last ?? 0) % recent.count
        if recent[place].id != 0, recent[place].name == name { return recent[place].id }
        let id = try names.id(of: name, in: database)
        recent[place] = (name, id)
        return id
    }

    private mutating func count(_ row: UsageRow) {
        let key = UsageHour.Key(row)
        hours[key, default: UsageHour(key)].add(row)
    }

    /// Whether the ids that were remembered still stand for something: what foreign keys would find.
    private func checkNames() throws {
        var ids = Set<Int64>()
        for key in hours.keys { ids.formUnion([key.consumer, key.service, key.instance]) }
        ids.remove(0)
        let statement = try RawStatement("SELECT 1 FROM name WHERE id = ?", in: database)
        for id in ids.sorted() {
            try statement.bind(1, id)
            let isThere = try statement.next()
            statement.reset()
            if !isThere {
                throw LogDatabaseError(.corrupted, "records of \(batch.source) name \(id), which has no name any more")
            }
        }
    }

    private mutating func take(_ record: SpoolRecord, sequence: UInt64) throws {
        if sequence <= mark, let stored = try books.record(at: sequence) {
            return try settle(record, sequence: sequence, stored: stored)
        }
        switch record {
        case .usage(let usage):
            let row = try row(usage, sequence: sequence)
            guard try books.insert(row) else {
                return try settle(record, sequence: sequence, stored: books.usageRecord(usage.requestID))
            }
            if sequence <= mark { try books.markLate(sequence) }
            count(row)
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

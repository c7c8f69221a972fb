import CloudModel
import CloudPorts
import LogRecords

/// One batch on its way into the books, inside one transaction, one batch at a time.
struct Ingestion {
    private let batch: SpoolBatch
    private let connection: Connection
    private let source: Int64
    /// The mark before this batch.
    private let mark: UInt64
    private let storedAt = PostgresLogDatabase.now()
    private let books: Books
    private var hours: [UsageHour.Key: UsageHour] = [:]
    private var auditPositions: PositionCounter?
    private(set) var outcome = IngestOutcome(stored: 0, duplicates: 0, conflicts: 0, gap: 0)

    init(_ batch: SpoolBatch, on connection: Connection) throws {
        self.batch = batch
        self.connection = connection
        // From here on until the commit nobody else stores usage records: what is looked up stays true.
        _ = try PositionCounter("usage_record", on: connection)
        try connection.run(
            "INSERT INTO source (name, high_water_mark) VALUES ($1, 0) ON CONFLICT DO NOTHING", batch.source)
        let row = try connection.run("SELECT id, high_water_mark FROM source WHERE name = $1", batch.source).first
        guard let row else { throw LogDatabaseError(.corrupted, "the source \(batch.source) was not stored") }
        source = try row.number("id")
        mark = try row.number("high_water_mark")
        books = Books(connection: connection, source: source, storedAt: storedAt)
    }

    mutating func run() throws {
        if batch.firstSequence > mark + 1 {
            outcome.gap = batch.firstSequence - mark - 1
            try books.insertGap("missing", first: mark + 1, last: batch.firstSequence - 1, records: outcome.gap)
        }
        if try areNew() {
            try copyAll()
        } else {
            for (index, record) in batch.records.enumerated() {
                try take(record, sequence: batch.firstSequence + UInt64(index))
            }
        }
        try UsageHour.add(hours, on: connection)
        try auditPositions?.store()
        try connection.run(
            "UPDATE source SET high_water_mark = greatest(high_water_mark, $1) WHERE id = $2",
            Int64(batch.lastSequence), source)
    }

    // MARK: All new

    /// Whether no number and no request of a usage record is in the books, nor twice in the batch.
    private func areNew() throws -> Bool {
        guard batch.firstSequence > mark else { return false }
        var ids: [RequestID] = []
        ids.reserveCapacity(batch.records.count)
        for case .usage(let usage) in batch.records { ids.append(usage.requestID) }
        return try Self.areDistinct(ids) && !Books.holdsAny(of: ids, on: connection)
    }

    /// A loop counts its ids up, so that mostly they need not be put in a set to be told apart.
    private static func areDistinct(_ ids: [RequestID]) -> Bool {
        let isAscending = zip(ids, ids.dropFirst()).allSatisfy { ($0.high, $0.low) < ($1.high, $1.low) }
        return isAscending || Set(ids).count == ids.count
    }

    /// Names and months first: while rows are copied nothing else can be asked. What is no usage record goes one by
    /// one.
    private mutating func copyAll() throws {
        var rows: [UsageRow] = []
        rows.reserveCapacity(batch.records.count)
        var months: Set<UsageMonth?> = []
        var latest: (from: Int64, until: Int64) = (0, 0)
        for (index, record) in batch.records.enumerated() {
            let sequence = batch.firstSequence + UInt64(index)
            guard case .usage(let usage) = record else {
                try take(record, sequence: sequence)
                continue
            }
            let completedAt = usage.completedAt.microseconds
            if completedAt < latest.from || completedAt >= latest.until {
                let month = UsageMonth(containing: completedAt)
                try month?.create(on: connection)
                months.insert(month)
                latest = month.map { ($0.start, $0.next.start) } ?? (0, 0)
            }
            rows.append(try named(usage, sequence: sequence))
        }
        guard !rows.isEmpty else { return }
        // Of one month: into its partition, and no row has to be routed there.
        let table = (months.count == 1 ? months.first ?? nil : nil)?.table ?? "usage_record"
        try connection.copy(UsageCopy.statement(into: table)) { stream in
            var copy = UsageCopy(stream, source: source, storedAt: storedAt.microseconds)
            for row in rows {
                try copy.append(row)
                count(row)
            }
            try copy.end()
        }
        outcome.stored += rows.count
    }

    private func row(_ usage: UsageRecord, sequence: UInt64) throws -> UsageRow {
        try UsageMonth(containing: usage.completedAt.microseconds)?.create(on: connection)
        return try named(usage, sequence: sequence)
    }

    private func named(_ usage: UsageRecord, sequence: UInt64) throws -> UsageRow {
        UsageRow(
            usage, sequence: sequence, consumer: try connection.names.id(of: usage.consumer.rawValue, on: connection),
            service: try connection.names.id(of: usage.service.rawValue, on: connection),
            instance: try usage.instance.map { try connection.names.id(of: $0.rawValue, on: connection) })
    }

    private mutating func count(_ row: UsageRow) {
        let key = UsageHour.Key(row)
        hours[key, default: UsageHour(key)].add(row)
    }

    // MARK: One by one

    private mutating func take(_ record: SpoolRecord, sequence: UInt64) throws {
        if sequence <= mark, let stored = try books.record(at: sequence) {
            return try settle(record, sequence: sequence, stored: stored)
        }
        switch record {
        case .usage(let usage):
            if let stored = try Books.usageRecord(usage.requestID, on: connection) {
                return try settle(record, sequence: sequence, stored: .usage(stored.record))
            }
            let row = try row(usage, sequence: sequence)
            try books.insert(row)
            if sequence <= mark { try books.markLate(sequence) }
            count(row)
        case .audit(let event):
            var positions = try auditPositions ?? PositionCounter("audit_event", on: connection)
            let isNew = try Books.insert(
                event, source: source, sequence: sequence, position: positions.next, storedAt: storedAt,
                on: connection)
            if isNew { positions.advance() }
            auditPositions = positions
            guard isNew else {
                let stored = try Books.auditEvent(event.requestID, on: connection)
                return try settle(record, sequence: sequence, stored: stored.map { .audit($0.event) })
            }
        case .lost(let count, let since, let until):
            try books.insertGap(
                "lost", first: sequence, last: sequence, records: count, since: since, until: until)
        }
        outcome.stored += 1
    }

    /// The number, or the request, is in the books already.
    private mutating func settle(_ record: SpoolRecord, sequence: UInt64, stored: SpoolRecord?) throws {
        let (storedAt, connection) = (storedAt, connection)
        try outcome.settle(record, sequence: sequence, of: batch.source, stored: stored) { conflict in
            try Books.insertConflict(
                kind: conflict.kind, id: conflict.id, source: conflict.source, sequence: conflict.sequence,
                stored: conflict.stored, offered: conflict.offered, storedAt: storedAt, on: connection)
        }
    }
}

extension UsageHour {
    /// Adds the sums of a batch to what is stored. Sums stay at the most that a column holds, as those of the batch do.
    static func add(_ hours: [Key: UsageHour], on connection: Connection) throws {
        guard !hours.isEmpty else { return }
        let sums = hours.values.sorted { $0.key < $1.key }
        func saturated(_ column: String) -> String {
            """
            \(column) = CASE WHEN usage_hour.\(column) > \(Int64.max) - excluded.\(column) THEN \(Int64.max)
                ELSE usage_hour.\(column) + excluded.\(column) END
            """
        }
        try connection.run(
            """
            INSERT INTO usage_hour (hour, consumer, service, instance, requests, rejected, failed, aborted, bytes_in,
                bytes_out, busy_microseconds)
            SELECT * FROM unnest($1::bigint[], $2::bigint[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[],
                $7::bigint[], $8::bigint[], $9::bigint[], $10::bigint[], $11::bigint[])
            ON CONFLICT (hour, consumer, service, instance) DO UPDATE SET
                requests = usage_hour.requests + excluded.requests,
                rejected = usage_hour.rejected + excluded.rejected, failed = usage_hour.failed + excluded.failed,
                aborted = usage_hour.aborted + excluded.aborted, \(saturated("bytes_in")),
                \(saturated("bytes_out")), \(saturated("busy_microseconds"))
            """,
            arrays: [
                sums.map(\.key.hour), sums.map(\.key.consumer), sums.map(\.key.service), sums.map(\.key.instance),
                sums.map(\.requests), sums.map(\.rejected), sums.map(\.failed), sums.map(\.aborted),
                sums.map(\.bytesIn), sums.map(\.bytesOut), sums.map(\.busyMicroseconds),
            ])
    }
}

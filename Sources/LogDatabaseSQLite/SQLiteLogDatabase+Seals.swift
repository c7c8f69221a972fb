public import CloudModel
public import CloudPorts
import Foundation
import GRDB
import LogRecords

extension SQLiteLogDatabase {
    public func usageSources() async throws(LogDatabaseError) -> [String] {
        try await read("reading the sources of usage records") { database in
            try Row.fetchAll(
                database,
                sql: """
                    SELECT name FROM source
                    WHERE EXISTS (SELECT 1 FROM usage_record WHERE usage_record.source = source.id)
                    """
            ).map { $0.text("name") }.sorted()
        }
    }

    public func usageRecords(
        ofSource source: String, after sequence: UInt64, limit: Int
    ) async throws(LogDatabaseError) -> [StoredUsageRecord] {
        try await read("reading usage records of \(source)") { database in
            var scan = UsageScan(source: source)
            return try scan.records(after: sequence, limit: limit, in: database)
        }
    }

    public func lateUsageRecords(
        after position: Int64, limit: Int
    ) async throws(LogDatabaseError) -> [LateUsageRecord] {
        let sql =
            Books.usageQuery.replacing(
                "SELECT usage_record.*", with: "SELECT usage_record.*, usage_late.position AS late_position",
                maxReplacements: 1) + """
                 JOIN usage_late ON usage_late.source = usage_record.source
                    AND usage_late.sequence = usage_record.sequence
                WHERE usage_late.position > ? ORDER BY usage_late.position LIMIT ?
                """
        return try await read("reading late usage records") { database in
            try Row.fetchAll(database, sql: sql, arguments: [position, limit]).map { row in
                LateUsageRecord(position: row["late_position"], stored: try Books.usageRecord(row))
            }
        }
    }

    public func storedLifecycleEvents(
        after position: Int64, limit: Int
    ) async throws(LogDatabaseError) -> [StoredLifecycleEvent] {
        try await read("reading lifecycle events") { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM lifecycle_event WHERE position > ? ORDER BY position LIMIT ?",
                arguments: [position, limit]
            ).map { StoredLifecycleEvent(position: $0["position"], event: try Self.lifecycleEvent($0)) }
        }
    }

    public func newestSeal(ofLog log: String) async throws(LogDatabaseError) -> StoredSeal? {
        try await read("reading the newest seal of \(log)") { database in
            try Row.fetchOne(
                database, sql: "SELECT * FROM seal WHERE log = ? ORDER BY size DESC LIMIT 1",
                arguments: [SQLText.encoded(log)]
            ).map(Self.seal)
        }
    }

    public func dailySeals(
        ofLog log: String, from: Timestamp, until: Timestamp
    ) async throws(LogDatabaseError) -> [StoredSeal] {
        let sql = """
            SELECT log, max(size) AS size, last_position, peaks, note, at FROM seal
            WHERE log = ? AND at >= ? AND at < ? GROUP BY at / 86400000000 ORDER BY size
            """
        let arguments: StatementArguments = [SQLText.encoded(log), from.microseconds, until.microseconds]
        return try await read("reading seals of \(log)") { database in
            try Row.fetchAll(database, sql: sql, arguments: arguments).map(Self.seal)
        }
    }

    public func seals(ofLog log: String) async throws(LogDatabaseError) -> [StoredSeal] {
        try await read("reading seals of \(log)") { database in
            try Row.fetchAll(
                database, sql: "SELECT * FROM seal WHERE log = ? ORDER BY size", arguments: [SQLText.encoded(log)]
            ).map(Self.seal)
        }
    }

    /// SQLite takes the other columns of a `max()` from the row that has it.
    private static func seal(_ row: Row) -> StoredSeal {
        StoredSeal(
            log: row.text("log"), size: row["size"], lastPosition: row["last_position"],
            peaks: Array(row["peaks"] as Data), note: row.text("note"), at: row.time("at"))
    }

    public func store(_ seal: StoredSeal) async throws(LogDatabaseError) {
        try await write("storing a seal of \(seal.log)") { database in
            try database.execute(
                sql: "INSERT INTO seal (log, size, last_position, peaks, note, at) VALUES (?, ?, ?, ?, ?, ?)",
                arguments: [
                    SQLText.encoded(seal.log), seal.size, seal.lastPosition, Data(seal.peaks),
                    SQLText.encoded(seal.note), seal.at.microseconds,
                ])
        }
    }
}

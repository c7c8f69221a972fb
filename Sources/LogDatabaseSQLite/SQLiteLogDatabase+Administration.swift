public import CloudModel
public import CloudPorts
import Foundation
import GRDB
import LogRecords

extension SQLiteLogDatabase {
    public func administrators() async throws(LogDatabaseError) -> [Administrator] {
        try await read("reading administrators") { database in
            try Row.fetchAll(database, sql: "SELECT * FROM administrator ORDER BY name").map { row in
                Administrator(
                    name: row.text("name"), role: try row.word("role"), consumer: row.optionalIdentifier("consumer"),
                    tokenDigest: row.text("token_digest"), createdAt: row.time("created_at"),
                    expiresAt: row.optionalTime("expires_at"))
            }
        }
    }

    public func store(_ administrator: Administrator) async throws(LogDatabaseError) {
        try await write("storing administrator \(administrator.name)") { database in
            try database.execute(
                sql: """
                    INSERT INTO administrator VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO UPDATE
                    SET role = excluded.role, consumer = excluded.consumer, token_digest = excluded.token_digest,
                        created_at = excluded.created_at, expires_at = excluded.expires_at
                    """,
                arguments: [
                    SQLText.encoded(administrator.name), administrator.role.rawValue,
                    (administrator.consumer?.rawValue).map(SQLText.encoded),
                    SQLText.encoded(administrator.tokenDigest), administrator.createdAt.microseconds,
                    administrator.expiresAt?.microseconds,
                ])
        }
    }

    public func removeAdministrator(named name: String) async throws(LogDatabaseError) {
        try await write("removing administrator \(name)") { database in
            try database.execute(
                sql: "DELETE FROM administrator WHERE name = ?", arguments: [SQLText.encoded(name)])
        }
    }

    public func spend(token: String, at: Timestamp) async throws(LogDatabaseError) -> Bool {
        try await write("spending a token") { database in
            try database.execute(
                sql: "INSERT INTO spent_token VALUES (?, ?) ON CONFLICT DO NOTHING",
                arguments: [SQLText.encoded(token), at.microseconds])
            return database.changesCount == 1
        }
    }

    public func setting(_ name: String) async throws(LogDatabaseError) -> String? {
        try await read("reading setting \(name)") { database in
            try String.fetchOne(
                database, sql: "SELECT value FROM setting WHERE name = ?", arguments: [SQLText.encoded(name)]
            ).map(SQLText.decoded)
        }
    }

    public func setSetting(_ name: String, to value: String) async throws(LogDatabaseError) {
        try await write("storing setting \(name)") { try Self.store(setting: name, value, in: $0) }
    }

    static func store(setting name: String, _ value: String, in database: Database) throws {
        try database.execute(
            sql: "INSERT INTO setting VALUES (?, ?) ON CONFLICT DO UPDATE SET value = excluded.value",
            arguments: [SQLText.encoded(name), SQLText.encoded(value)])
    }

    // MARK: Idempotency

    public func storedResponse(idempotencyKey: String) async throws(LogDatabaseError) -> StoredResponse? {
        try await read("reading a stored response") { database in
            let row = try Row.fetchOne(
                database, sql: "SELECT * FROM stored_response WHERE idempotency_key = ?",
                arguments: [SQLText.encoded(idempotencyKey)])
            guard let row else { return nil }
            let body: Data = row["body"]
            return StoredResponse(
                requestDigest: row.text("request_digest"), status: row["status"],
                headers: try Document.value([String: String].self, from: row["headers"], what: "a stored response"),
                body: Array(body), at: row.time("at"))
        }
    }

    /// The first answer to a key stays; those more than 24 hours older than this one go.
    public func store(_ response: StoredResponse, idempotencyKey: String) async throws(LogDatabaseError) {
        try await write("storing a response") { database in
            try database.execute(
                sql: "DELETE FROM stored_response WHERE at < ?",
                arguments: [(response.at - .hours(24)).microseconds])
            try database.execute(
                sql: "INSERT INTO stored_response VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT DO NOTHING",
                arguments: [
                    SQLText.encoded(idempotencyKey), SQLText.encoded(response.requestDigest), response.status,
                    try Document.text(response.headers), Data(response.body), response.at.microseconds,
                ])
        }
    }
}

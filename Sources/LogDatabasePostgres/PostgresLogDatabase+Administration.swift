public import CloudModel
public import CloudPorts
import LogRecords

extension PostgresLogDatabase {
    public func administrators() async throws(LogDatabaseError) -> [Administrator] {
        try await read("reading administrators") { connection in
            try connection.run("SELECT * FROM administrator ORDER BY name").map { row in
                Administrator(
                    name: try row.text("name"), role: try row.word("role"),
                    consumer: try row.optionalIdentifier("consumer"), tokenDigest: try row.text("token_digest"),
                    createdAt: try row.time("created_at"), expiresAt: try row.optionalTime("expires_at"))
            }
        }
    }

    public func store(_ administrator: Administrator) async throws(LogDatabaseError) {
        try await write("storing administrator \(administrator.name)") { connection in
            _ = try connection.run(
                """
                INSERT INTO administrator VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT (name) DO UPDATE
                SET role = excluded.role, consumer = excluded.consumer, token_digest = excluded.token_digest,
                    created_at = excluded.created_at, expires_at = excluded.expires_at
                """, administrator.name, administrator.role.rawValue, administrator.consumer,
                administrator.tokenDigest, administrator.createdAt, administrator.expiresAt)
        }
    }

    public func removeAdministrator(named name: String) async throws(LogDatabaseError) {
        try await write("removing administrator \(name)") { connection in
            _ = try connection.run("DELETE FROM administrator WHERE name = $1", name)
        }
    }

    public func spend(token: String, at: Timestamp) async throws(LogDatabaseError) -> Bool {
        try await write("spending a token") { connection in
            try connection.run("INSERT INTO spent_token VALUES ($1, $2) ON CONFLICT DO NOTHING", token, at)
                .affected == 1
        }
    }

    public func setting(_ name: String) async throws(LogDatabaseError) -> String? {
        try await read("reading setting \(name)") { connection in
            try connection.run("SELECT value FROM setting WHERE name = $1", name).first?.text("value")
        }
    }

    public func setSetting(_ name: String, to value: String) async throws(LogDatabaseError) {
        try await write("storing setting \(name)") { try Self.store(setting: name, value, on: $0) }
    }

    static func store(setting name: String, _ value: String, on connection: Connection) throws {
        try connection.run(
            "INSERT INTO setting VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET value = excluded.value", name, value)
    }

    // MARK: Idempotency

    public func storedResponse(idempotencyKey: String) async throws(LogDatabaseError) -> StoredResponse? {
        try await read("reading a stored response") { connection in
            let row = try connection.run("SELECT * FROM stored_response WHERE idempotency_key = $1", idempotencyKey)
                .first
            guard let row else { return nil }
            return StoredResponse(
                requestDigest: try row.text("request_digest"), status: try row.number("status"),
                headers: try Document.value(
                    [String: String].self, from: try row.text("headers"), what: "a stored response"),
                body: try row.bytes("body"), at: try row.time("at"))
        }
    }

    /// The first answer to a key stays; those more than 24 hours older than this one go.
    public func store(_ response: StoredResponse, idempotencyKey: String) async throws(LogDatabaseError) {
        try await write("storing a response") { connection in
            try connection.run("DELETE FROM stored_response WHERE at < $1", response.at - .hours(24))
            try connection.run(
                "INSERT INTO stored_response VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING", idempotencyKey,
                response.requestDigest, response.status, try Document.text(response.headers),
                SQLBytes(response.body), response.at)
        }
    }
}

public import CloudModel
public import CloudPorts

extension PostgresLogDatabase {
    public func newestSeal(ofLog log: String) async throws(LogDatabaseError) -> StoredSeal? {
        try await read("reading the newest seal of \(log)") { connection in
            try connection.run("SELECT * FROM seal WHERE log = $1 ORDER BY size DESC LIMIT 1", log).first
                .map(Self.seal)
        }
    }

    public func dailySeals(
        ofLog log: String, from: Timestamp, until: Timestamp
    ) async throws(LogDatabaseError) -> [StoredSeal] {
        let sql = """
            SELECT * FROM (
                SELECT DISTINCT ON (at / 86400000000) * FROM seal WHERE log = $1 AND at >= $2 AND at < $3
                ORDER BY at / 86400000000, size DESC
            ) AS daily ORDER BY size
            """
        return try await read("reading seals of \(log)") { connection in
            try connection.run(sql, log, from, until).map(Self.seal)
        }
    }

    public func seals(ofLog log: String) async throws(LogDatabaseError) -> [StoredSeal] {
        try await read("reading seals of \(log)") { connection in
            try connection.run("SELECT * FROM seal WHERE log = $1 ORDER BY size", log).map(Self.seal)
        }
    }

    public func store(_ seal: StoredSeal) async throws(LogDatabaseError) {
        try await write("storing a seal of \(seal.log)") { connection in
            _ = try connection.run(
                "INSERT INTO seal (log, size, last_position, peaks, note, at) VALUES ($1, $2, $3, $4, $5, $6)",
                seal.log, seal.size, seal.lastPosition, SQLBytes(seal.peaks), seal.note, seal.at)
        }
    }

    private static func seal(_ row: Row) throws -> StoredSeal {
        StoredSeal(
            log: try row.text("log"), size: try row.number("size"), lastPosition: try row.number("last_position"),
            peaks: try row.bytes("peaks"), note: try row.text("note"), at: try row.time("at"))
    }
}

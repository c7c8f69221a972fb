import CloudPorts
import GRDB
import LogRecords

/// Ids of consumers, services and instances as usage records name them.
struct NameTable: Sendable {
    private var ids: [String: Int64] = [:]
    /// Beyond this the table is emptied and filled anew: instances come and go for as long as the process runs.
    private static let limit = 100_000

    mutating func id(of name: String, in database: Database) throws -> Int64 {
        if let id = ids[name] { return id }
        let text = SQLText.encoded(name)
        let insert = try database.cachedStatement(sql: "INSERT INTO name (text) VALUES (?) ON CONFLICT DO NOTHING")
        try insert.execute(arguments: [text])
        guard let id = try Int64.fetchOne(database, sql: "SELECT id FROM name WHERE text = ?", arguments: [text])
        else { throw LogDatabaseError(.corrupted, "the name \(name) was not stored") }
        if ids.count >= Self.limit { ids = [:] }
        ids[name] = id
        return id
    }
}

/// What the ids in usage records stand for: the other way round, for one reading.
struct NameTexts {
    private var texts: [Int64: String] = [:]

    mutating func text(of id: Int64, in database: Database) throws -> String {
        if let text = texts[id] { return text }
        let statement = try database.cachedStatement(sql: "SELECT text FROM name WHERE id = ?")
        let found = try String.fetchOne(statement, arguments: [id])
        guard let found else { throw LogDatabaseError(.corrupted, "a usage record names \(id), which has no name") }
        let text = SQLText.decoded(found)
        texts[id] = text
        return text
    }
}

import CloudPorts
import LogRecords

/// Ids of consumers, services and instances as usage records name them.
struct NameTable {
    private var ids: [String: Int64] = [:]
    /// Beyond this the table is emptied and filled anew: instances come and go for as long as the process runs.
    private static let limit = 100_000

    mutating func id(of name: String, on connection: Connection) throws -> Int64 {
        if let id = ids[name] { return id }
        try connection.run("INSERT INTO name (text) VALUES ($1) ON CONFLICT DO NOTHING", name)
        guard let row = try connection.run("SELECT id FROM name WHERE text = $1", name).first else {
            throw LogDatabaseError(.corrupted, "the name \(name) was not stored")
        }
        let id: Int64 = try row.number("id")
        if ids.count >= Self.limit { ids = [:] }
        ids[name] = id
        return id
    }
}

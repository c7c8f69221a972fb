import CloudModel
import CloudPorts
import Foundation
import GRDB
import LogDatabaseSQLite

/// A database file in a directory of its own, removed at the end.
final class DatabaseFile: Sendable {
    let directory: String
    var path: String { directory + "/log.sqlite" }

    init() throws {
        directory = NSTemporaryDirectory() + "/cloudwright-log-" + UUID().uuidString
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func open() throws(LogDatabaseError) -> SQLiteLogDatabase { try SQLiteLogDatabase(path: path) }

    /// The file as any other program sees it.
    func raw<Value>(_ body: (Database) throws -> Value) throws -> Value {
        let queue = try DatabaseQueue(path: path)
        defer { try? queue.close() }
        return try queue.writeWithoutTransaction(body)
    }
}

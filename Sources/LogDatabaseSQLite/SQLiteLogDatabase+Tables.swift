package import CloudPorts
import Foundation
import GRDB
package import LogRecords

extension SQLiteLogDatabase {
    /// Rows of a table as they are stored, in the order of their key, those after a key.
    package func rows(
        of table: LogTable, after key: [StoredValue]?, limit: Int
    ) async throws(LogDatabaseError) -> [[StoredValue]] {
        let columns = table.columns.map { "\"\($0.name)\"" }.joined(separator: ", ")
        let order = table.key.joined(separator: ", ")
        let places = table.key.map { _ in "?" }.joined(separator: ", ")
        let condition = key == nil ? "" : " WHERE (\(order)) > (\(places))"
        let sql = "SELECT \(columns) FROM \"\(table.name)\"\(condition) ORDER BY \(order) LIMIT \(limit)"
        let arguments = StatementArguments((key ?? []).map(\.databaseValue))
        return try await read("reading \(table.name)") { database in
            let cursor = try Row.fetchCursor(database, sql: sql, arguments: arguments)
            var rows: [[StoredValue]] = []
            while let row = try cursor.next() {
                rows.append(row.databaseValues.map(StoredValue.init))
            }
            return rows
        }
    }
}

extension StoredValue {
    fileprivate init(_ value: DatabaseValue) {
        switch value.storage {
        case .null: self = .null
        case .int64(let number): self = .integer(number)
        // No column holds one: the tables are STRICT.
        case .double(let number): self = .text(String(number))
        case .string(let text): self = .text(text)
        case .blob(let data): self = .bytes(Array(data))
        }
    }

    fileprivate var databaseValue: DatabaseValue {
        switch self {
        case .null: .null
        case .integer(let number): number.databaseValue
        case .text(let text): text.databaseValue
        case .bytes(let bytes): Data(bytes).databaseValue
        }
    }
}

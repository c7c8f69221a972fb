import CloudModel
import CloudPorts
import Foundation
import GRDB
import LogRecords

extension Row {
    func text(_ column: String) -> String { SQLText.decoded(self[column]) }

    func optionalText(_ column: String) -> String? {
        let text: String? = self[column]
        return text.map(SQLText.decoded)
    }

    func identifier<Entity>(_ column: String) -> Identifier<Entity> { Identifier(text(column)) }

    func optionalIdentifier<Entity>(_ column: String) -> Identifier<Entity>? {
        optionalText(column).map { Identifier($0) }
    }

    func time(_ column: String) -> Timestamp { Timestamp(microseconds: self[column]) }

    func optionalTime(_ column: String) -> Timestamp? {
        let microseconds: Int64? = self[column]
        return microseconds.map { Timestamp(microseconds: $0) }
    }

    /// An enumeration's case by its raw text.
    func word<Word: RawRepresentable<String>>(_ column: String, _: Word.Type = Word.self) throws -> Word {
        let text: String = self[column]
        guard let word = Word(rawValue: text) else {
            throw LogDatabaseError(.corrupted, "\(column) is '\(text)', which is no \(Word.self)")
        }
        return word
    }
}

/// The conditions of a query, put together with their values.
struct Conditions {
    private var parts: [String] = []
    private(set) var arguments = StatementArguments()

    mutating func add(_ condition: String, _ values: (any DatabaseValueConvertible)?...) {
        parts.append(condition)
        arguments += StatementArguments(values)
    }

    /// Nothing where the value is nil.
    mutating func add<Entity>(_ column: String, equals identifier: Identifier<Entity>?) {
        if let identifier { add("\(column) = ?", SQLText.encoded(identifier.rawValue)) }
    }

    mutating func add(_ column: String, equals text: String?) {
        if let text { add("\(column) = ?", SQLText.encoded(text)) }
    }

    /// From `from` on, until before `until`.
    mutating func add(_ column: String, from: Timestamp?, until: Timestamp?) {
        if let from { add("\(column) >= ?", from.microseconds) }
        if let until { add("\(column) < ?", until.microseconds) }
    }

    var sql: String { parts.isEmpty ? "" : " WHERE " + parts.joined(separator: " AND ") }
}

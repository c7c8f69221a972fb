import CloudModel
import CloudPorts
import Foundation
import GRDB

/// Text as it lies in a column. SQLite cuts text at a NUL character, and what consumers send may have one: it is stored
/// as U+2400 `0`, and U+2400 itself twice. Any other text is stored as it is.
enum SQLText {
    private static let mark: Unicode.Scalar = "\u{2400}"

    static func encoded(_ text: String) -> String {
        guard text.unicodeScalars.contains(where: { $0.value == 0 || $0 == mark }) else { return text }
        var scalars = String.UnicodeScalarView()
        for scalar in text.unicodeScalars {
            switch scalar {
            case mark: scalars.append(contentsOf: [mark, mark])
            case "\0": scalars.append(contentsOf: [mark, "0"])
            default: scalars.append(scalar)
            }
        }
        return String(scalars)
    }

    static func decoded(_ column: String) -> String {
        guard column.unicodeScalars.contains(mark) else { return column }
        var scalars = String.UnicodeScalarView()
        var rest = column.unicodeScalars[...]
        while let scalar = rest.popFirst() {
            guard scalar == mark else {
                scalars.append(scalar)
                continue
            }
            scalars.append(rest.popFirst() == mark ? mark : "\0")
        }
        return String(scalars)
    }
}

/// A value as JSON text, keys sorted: equal values have equal texts.
enum Document {
    static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    static func value<Value: Decodable>(_: Value.Type, from text: String, what: String) throws -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
        } catch {
            throw LogDatabaseError(.corrupted, "\(what) cannot be understood: \(error)")
        }
    }
}

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

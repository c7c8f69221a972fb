import CPostgres
import CloudModel
import CloudPorts
import LogRecords

/// What a statement gave.
final class Rows {
    private let result: OpaquePointer
    let count: Int

    /// Owns the result from here on.
    init(_ result: OpaquePointer) {
        self.result = result
        count = Int(PQntuples(result))
    }

    deinit { PQclear(result) }

    /// Rows that the statement inserted, changed or deleted.
    var affected: Int { PQcmdTuples(result).flatMap { Int(String(cString: $0)) } ?? 0 }

    var first: Row? { count > 0 ? Row(rows: self, index: 0) : nil }

    func map<Value>(_ body: (Row) throws -> Value) throws -> [Value] {
        try (0..<count).map { try body(Row(rows: self, index: Int32($0))) }
    }

    func column(_ name: String) throws -> Int32 {
        let column = PQfnumber(result, name)
        guard column >= 0 else { throw LogDatabaseError(.corrupted, "a statement gave no column \(name)") }
        return column
    }

    /// Nil for NULL. The memory is the result's.
    func value(_ row: Int32, _ column: Int32) -> UnsafeMutablePointer<CChar>? {
        PQgetisnull(result, row, column) == 1 ? nil : PQgetvalue(result, row, column)
    }
}

/// One row, its columns by name. Reading a column as what it is not is an error that says so.
struct Row {
    let rows: Rows
    let index: Int32

    func optionalText(_ column: String) throws -> String? {
        rows.value(index, try rows.column(column)).map { SQLText.decoded(String(cString: $0)) }
    }

    func text(_ column: String) throws -> String {
        guard let text = try optionalText(column) else { throw missing(column) }
        return text
    }

    func optionalNumber<Number: FixedWidthInteger>(_ column: String, _: Number.Type = Number.self) throws -> Number? {
        guard let text = rows.value(index, try rows.column(column)) else { return nil }
        guard let number = Number(String(cString: text)) else {
            throw LogDatabaseError(
                .corrupted, "\(column) is '\(String(cString: text))', which is out of range of \(Number.self)")
        }
        return number
    }

    func number<Number: FixedWidthInteger>(_ column: String, _: Number.Type = Number.self) throws -> Number {
        guard let number: Number = try optionalNumber(column) else { throw missing(column) }
        return number
    }

    func flag(_ column: String) throws -> Bool { try text(column) == "t" }

    func bytes(_ column: String) throws -> [UInt8] {
        guard let text = rows.value(index, try rows.column(column)) else { throw missing(column) }
        var length = 0
        guard let bytes = PQunescapeBytea(UnsafeRawPointer(text).assumingMemoryBound(to: UInt8.self), &length) else {
            throw LogDatabaseError(.unavailable, "there is no memory for \(column)")
        }
        defer { PQfreemem(bytes) }
        return Array(UnsafeBufferPointer(start: bytes, count: length))
    }

    func identifier<Entity>(_ column: String) throws -> Identifier<Entity> { Identifier(try text(column)) }

    func optionalIdentifier<Entity>(_ column: String) throws -> Identifier<Entity>? {
        try optionalText(column).map { Identifier($0) }
    }

    func time(_ column: String) throws -> Timestamp { Timestamp(microseconds: try number(column)) }

    func optionalTime(_ column: String) throws -> Timestamp? {
        try optionalNumber(column).map { Timestamp(microseconds: $0) }
    }

    /// An enumeration's case by its raw text.
    func word<Word: RawRepresentable<String>>(_ column: String, _: Word.Type = Word.self) throws -> Word {
        let text = try text(column)
        guard let word = Word(rawValue: text) else {
            throw LogDatabaseError(.corrupted, "\(column) is '\(text)', which is no \(Word.self)")
        }
        return word
    }

    private func missing(_ column: String) -> LogDatabaseError {
        LogDatabaseError(.corrupted, "\(column) is empty and must not be")
    }
}

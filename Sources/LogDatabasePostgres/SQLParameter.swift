import CloudModel
import LogRecords

/// A value on its way to the server, as the text that its type reads there.
protocol SQLParameter {
    var sqlText: String { get }
}

extension Int64: SQLParameter { var sqlText: String { String(self) } }
extension Int: SQLParameter { var sqlText: String { String(self) } }
extension UInt16: SQLParameter { var sqlText: String { String(self) } }
extension Bool: SQLParameter { var sqlText: String { self ? "t" : "f" } }
extension String: SQLParameter { var sqlText: String { SQLText.encoded(self) } }
extension Timestamp: SQLParameter { var sqlText: String { String(microseconds) } }
extension Identifier: SQLParameter { var sqlText: String { SQLText.encoded(rawValue) } }

/// Bytes for a `bytea`, in its hex form (PostgreSQL manual, section 8.4.1).
struct SQLBytes: SQLParameter {
    private let bytes: [UInt8]

    init(_ bytes: [UInt8]) { self.bytes = bytes }

    var sqlText: String {
        let digits = Array("0123456789abcdef".utf8)
        var text: [UInt8] = Array("\\x".utf8)
        text.reserveCapacity(2 + 2 * bytes.count)
        for byte in bytes {
            text.append(digits[Int(byte >> 4)])
            text.append(digits[Int(byte & 15)])
        }
        return String(decoding: text, as: UTF8.self)
    }
}

/// Numbers for a `bigint[]`.
struct SQLNumbers: SQLParameter {
    private let numbers: [Int64]

    init(_ numbers: [Int64]) { self.numbers = numbers }

    var sqlText: String { "{" + numbers.map(String.init).joined(separator: ",") + "}" }
}

/// The conditions of a query, put together with their values. `?` stands for the next value.
struct Conditions {
    private var parts: [String] = []
    private(set) var parameters: [(any SQLParameter)?] = []

    /// `first`: values that the statement has before these.
    init(after parameters: [(any SQLParameter)?] = []) { self.parameters = parameters }

    mutating func add(_ condition: String, _ values: any SQLParameter...) {
        var text = ""
        var rest = values[...]
        for character in condition {
            guard character == "?", let value = rest.popFirst() else {
                text.append(character)
                continue
            }
            text += place(of: value)
        }
        parts.append(text)
    }

    /// Nothing where the value is nil.
    mutating func add(_ column: String, equals value: (any SQLParameter)?) {
        if let value { add("\(column) = ?", value) }
    }

    /// From `from` on, until before `until`.
    mutating func add(_ column: String, from: Timestamp?, until: Timestamp?) {
        if let from { add("\(column) >= ?", from) }
        if let until { add("\(column) < ?", until) }
    }

    /// Takes a value in and gives back what stands for it.
    mutating func place(of value: any SQLParameter) -> String {
        parameters.append(value)
        return "$\(parameters.count)"
    }

    var sql: String { parts.isEmpty ? "" : " WHERE " + parts.joined(separator: " AND ") }
}

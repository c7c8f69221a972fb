import CloudPorts
import Foundation

/// Text as it lies in a column. SQLite cuts text at a NUL character and PostgreSQL refuses it, and what consumers send
/// may have one: it is stored as U+2400 `0`, and U+2400 itself twice. Any other text is stored as it is.
package enum SQLText {
    private static let mark: Unicode.Scalar = "\u{2400}"

    package static func encoded(_ text: String) -> String {
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

    package static func decoded(_ column: String) -> String {
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
package enum Document {
    package static func text(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    package static func value<Value: Decodable>(_: Value.Type, from text: String, what: String) throws -> Value {
        do {
            return try JSONDecoder().decode(Value.self, from: Data(text.utf8))
        } catch {
            throw LogDatabaseError(.corrupted, "\(what) cannot be understood: \(error)")
        }
    }
}

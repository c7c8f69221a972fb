import AdministrationAPI
import FoundationEssentials

/// JSON as the API writes and reads it.
enum JSON {
    static let mediaType = "application/json"

    static func bytes(of value: some Encodable) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        // Wire types are strings, integers and collections of them: those always have a JSON form.
        return (try? encoder.encode(value)).map { [UInt8]($0) } ?? []
    }

    /// Reads a request's body, and says of a faulty one what is wrong, where, and how to mend it.
    static func read<Value: WireType>(_ type: Value.Type, from bytes: [UInt8]) throws(API.Problem) -> Value {
        guard !bytes.isEmpty else {
            throw .invalid("The request has no body; send a JSON object with \(Self.names(of: type)).")
        }
        if let fault = JSONSyntax.fault(in: bytes) {
            throw .invalid("The body is no JSON: \(fault).", faults: [API.Fault(detail: "\(fault)")])
        }
        let data = Data(bytes)
        do {
            if let members = try? JSONDecoder().decode([String: Ignored].self, from: data) {
                let unknown = members.keys.filter { Value.fields[$0] == nil }.sorted()
                guard unknown.isEmpty else {
                    throw API.Problem.invalid(
                        "The body has fields that are not known; leave them out.",
                        faults: unknown.map {
                            API.Fault(detail: "'\($0)' is none of \(Self.names(of: type))", pointer: "/\($0)")
                        })
                }
            }
            return try JSONDecoder().decode(type, from: data)
        } catch let problem as API.Problem {
            throw problem
        } catch let error as DecodingError {
            let fault = Self.fault(error)
            throw .invalid("The body is not as documented: \(fault.detail).", faults: [fault])
        } catch {
            throw .invalid("The body cannot be read as JSON: \(error).")
        }
    }

    private static func names(of type: (some WireType).Type) -> String {
        type.fields.keys.sorted().map { "'\($0)'" }.joined(separator: ", ")
    }

    private static func fault(_ error: DecodingError) -> API.Fault {
        switch error {
        case .typeMismatch(let type, let context):
            API.Fault(detail: "expected \(words(for: type))", pointer: pointer(context.codingPath))
        case .valueNotFound(let type, let context):
            API.Fault(detail: "expected \(words(for: type)), found null", pointer: pointer(context.codingPath))
        case .keyNotFound(let key, let context):
            API.Fault(
                detail: "the field '\(key.stringValue)' is missing; add it",
                pointer: pointer(context.codingPath + [key]))
        case .dataCorrupted(let context):
            API.Fault(detail: context.debugDescription, pointer: pointer(context.codingPath))
        @unknown default: API.Fault(detail: "\(error)")
        }
    }

    private static func words(for type: Any.Type) -> String {
        switch type {
        case is String.Type: "text in double quotes"
        case is Bool.Type: "true or false"
        case is any BinaryInteger.Type: "a whole number"
        case is any Collection.Type: "a JSON object, or the list that is documented here"
        default: "a value of the documented kind (\(type))"
        }
    }

    private static func pointer(_ path: [any CodingKey]) -> String {
        path.map { key in
            "/" + (key.intValue.map(String.init) ?? key.stringValue)
        }.joined()
    }

    /// Any JSON value, unread.
    private struct Ignored: Decodable {
        init(from decoder: any Decoder) {}
    }
}

/// A JSON value that is put together by hand.
enum JSONValue: Codable, Hashable, Sendable, ExpressibleByStringLiteral, ExpressibleByBooleanLiteral,
    ExpressibleByIntegerLiteral, ExpressibleByArrayLiteral, ExpressibleByDictionaryLiteral
{
    case string(String)
    case integer(Int64)
    case real(Double)
    case boolean(Bool)
    case null
    case array([JSONValue])
    case object([String: JSONValue])

    init(stringLiteral value: String) { self = .string(value) }
    init(booleanLiteral value: Bool) { self = .boolean(value) }
    init(integerLiteral value: Int64) { self = .integer(value) }
    init(arrayLiteral elements: JSONValue...) { self = .array(elements) }
    init(dictionaryLiteral elements: (String, JSONValue)...) {
        self = .object(Dictionary(elements, uniquingKeysWith: { _, last in last }))
    }

    init(from decoder: any Decoder) throws {
        if let container = try? decoder.container(keyedBy: Member.self) {
            var members: [String: JSONValue] = [:]
            for key in container.allKeys {
                members[key.stringValue] = try container.decode(JSONValue.self, forKey: key)
            }
            self = .object(members)
        } else if var container = try? decoder.unkeyedContainer() {
            var elements: [JSONValue] = []
            while !container.isAtEnd { elements.append(try container.decode(JSONValue.self)) }
            self = .array(elements)
        } else {
            let container = try decoder.singleValueContainer()
            if container.decodeNil() {
                self = .null
            } else if let value = try? container.decode(Bool.self) {
                self = .boolean(value)
            } else if let value = try? container.decode(Int64.self) {
                self = .integer(value)
            } else if let value = try? container.decode(Double.self) {
                self = .real(value)
            } else {
                self = .string(try container.decode(String.self))
            }
        }
    }

    func encode(to encoder: any Encoder) throws {
        switch self {
        case .null:
            var container = encoder.singleValueContainer()
            try container.encodeNil()
        case .real(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .string(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .integer(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .boolean(let value):
            var container = encoder.singleValueContainer()
            try container.encode(value)
        case .array(let elements):
            var container = encoder.unkeyedContainer()
            for element in elements { try container.encode(element) }
        case .object(let members):
            var container = encoder.container(keyedBy: Member.self)
            for (name, value) in members.sorted(by: { $0.key < $1.key }) {
                try container.encode(value, forKey: Member(stringValue: name))
            }
        }
    }

    private struct Member: CodingKey {
        var stringValue: String
        var intValue: Int? { nil }
        init(stringValue: String) { self.stringValue = stringValue }
        init?(intValue: Int) { nil }
    }
}

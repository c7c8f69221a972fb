import AdministrationAPI

/// Finds out the JSON schema of a wire type by watching what it decodes, so that the API document cannot say anything
/// else than the code.
struct SchemaRecorder {
    /// By schema name.
    var schemas: [String: JSONValue] = [:]

    /// Records the type and those that it is made of; gives back a reference to it.
    mutating func reference(to type: any WireType.Type) -> JSONValue {
        let name = type.schemaName
        if schemas[name] == nil {
            schemas[name] = true
            schemas[name] = schema(of: type)
        }
        return ["$ref": .string("#/components/schemas/\(name)")]
    }

    private mutating func schema(of type: any WireType.Type) -> JSONValue {
        let log = MemberLog()
        do { _ = try type.init(from: RecordingDecoder(log: log)) } catch {
            preconditionFailure("\(type) cannot be decoded from recorded values: \(error)")
        }
        var properties: [String: JSONValue] = [:]
        for member in log.members {
            guard let words = type.fields[member.name] else {
                preconditionFailure("\(type).fields does not describe '\(member.name)'")
            }
            properties[member.name] = described(shape(of: member.type), words)
        }
        let required = log.members.filter { !$0.mayBeAbsent }.map { JSONValue.string($0.name) }
        return [
            "type": "object", "description": .string(type.summary), "properties": .object(properties),
            "required": .array(required),
        ]
    }

    private func described(_ schema: JSONValue, _ words: String) -> JSONValue {
        guard case .object(var members) = schema else { return schema }
        members["description"] = .string(words)
        return .object(members)
    }

    private mutating func shape(of type: Any.Type) -> JSONValue {
        switch type {
        case let wire as any WireType.Type: return reference(to: wire)
        case let words as any WireEnumeration.Type:
            return ["type": "string", "enum": .array(Self.words(of: words).map { .string($0) })]
        case let optional as any OptionalShape.Type:
            return ["oneOf": [shape(of: optional.wrapped), ["type": "null"]]]
        case let array as any ArrayShape.Type: return ["type": "array", "items": shape(of: array.element)]
        case let map as any MapShape.Type:
            return ["type": "object", "additionalProperties": shape(of: map.value)]
        case is Moment.Type: return ["type": "string", "format": "date-time"]
        case is String.Type: return ["type": "string"]
        case is Bool.Type: return ["type": "boolean"]
        case is UInt64.Type: return ["type": "integer", "minimum": 0]
        case is any FixedWidthInteger.Type: return ["type": "integer"]
        default: preconditionFailure("wire types have no members of type \(type)")
        }
    }

    private static func words<Words: WireEnumeration>(of type: Words.Type) -> [String] {
        type.allCases.map(\.rawValue)
    }
}

private protocol OptionalShape { static var wrapped: Any.Type { get } }
private protocol ArrayShape { static var element: Any.Type { get } }
private protocol MapShape { static var value: Any.Type { get } }
extension Optional: OptionalShape { fileprivate static var wrapped: Any.Type { Wrapped.self } }
extension Array: ArrayShape { fileprivate static var element: Any.Type { Element.self } }
extension Dictionary: MapShape where Key == String { fileprivate static var value: Any.Type { Value.self } }

/// The members that a type decoded, in order.
private final class MemberLog {
    struct Member {
        var name: String
        var type: Any.Type
        var mayBeAbsent: Bool
    }

    var members: [Member] = []
    /// The member that `decodeIfPresent` is about to decode.
    var optional: String?

    func record(_ name: String, _ type: Any.Type) {
        members.append(Member(name: name, type: type, mayBeAbsent: optional == name))
        optional = nil
    }
}

private struct RecordingDecoder: Decoder {
    var log: MemberLog
    var codingPath: [any CodingKey] { [] }
    var userInfo: [CodingUserInfoKey: Any] { [:] }

    func container<Key: CodingKey>(keyedBy type: Key.Type) -> KeyedDecodingContainer<Key> {
        KeyedDecodingContainer(RecordingContainer<Key>(log: log))
    }

    func unkeyedContainer() throws -> any UnkeyedDecodingContainer { throw Unsupported() }
    func singleValueContainer() throws -> any SingleValueDecodingContainer { throw Unsupported() }

    struct Unsupported: Error {}
}

private struct RecordingContainer<Key: CodingKey>: KeyedDecodingContainerProtocol {
    var log: MemberLog
    var codingPath: [any CodingKey] { [] }
    var allKeys: [Key] { [] }

    func contains(_ key: Key) -> Bool { true }

    /// Asked only by `decodeIfPresent`: the member may be absent.
    func decodeNil(forKey key: Key) -> Bool {
        log.optional = key.stringValue
        return false
    }

    private func record<Value>(_ value: Value, _ key: Key) -> Value {
        log.record(key.stringValue, Value.self)
        return value
    }

    func decode(_ type: Bool.Type, forKey key: Key) -> Bool { record(false, key) }
    func decode(_ type: String.Type, forKey key: Key) -> String { record("", key) }
    func decode(_ type: Double.Type, forKey key: Key) -> Double { record(0, key) }
    func decode(_ type: Float.Type, forKey key: Key) -> Float { record(0, key) }
    func decode(_ type: Int.Type, forKey key: Key) -> Int { record(0, key) }
    func decode(_ type: Int8.Type, forKey key: Key) -> Int8 { record(0, key) }
    func decode(_ type: Int16.Type, forKey key: Key) -> Int16 { record(0, key) }
    func decode(_ type: Int32.Type, forKey key: Key) -> Int32 { record(0, key) }
    func decode(_ type: Int64.Type, forKey key: Key) -> Int64 { record(0, key) }
    func decode(_ type: UInt.Type, forKey key: Key) -> UInt { record(0, key) }
    func decode(_ type: UInt8.Type, forKey key: Key) -> UInt8 { record(0, key) }
    func decode(_ type: UInt16.Type, forKey key: Key) -> UInt16 { record(0, key) }
    func decode(_ type: UInt32.Type, forKey key: Key) -> UInt32 { record(0, key) }
    func decode(_ type: UInt64.Type, forKey key: Key) -> UInt64 { record(0, key) }

    func decode<Value: Decodable>(_ type: Value.Type, forKey key: Key) throws -> Value {
        log.record(key.stringValue, type)
        guard let value = try Self.sample(of: type) as? Value else { throw RecordingDecoder.Unsupported() }
        return value
    }

    private static func sample(of type: Any.Type) throws -> Any {
        switch type {
        case let wire as any WireType.Type: return try wire.init(from: RecordingDecoder(log: MemberLog()))
        case let words as any WireEnumeration.Type: return try first(of: words)
        case let empty as any EmptySample.Type: return empty.empty
        case is Moment.Type: return Moment(rfc3339: "")
        default: throw RecordingDecoder.Unsupported()
        }
    }

    private static func first<Words: WireEnumeration>(of type: Words.Type) throws -> Any {
        guard let first = type.allCases.first else { throw RecordingDecoder.Unsupported() }
        return first
    }

    func nestedContainer<Nested: CodingKey>(keyedBy type: Nested.Type, forKey key: Key) throws
        -> KeyedDecodingContainer<Nested>
    { throw RecordingDecoder.Unsupported() }

    func nestedUnkeyedContainer(forKey key: Key) throws -> any UnkeyedDecodingContainer {
        throw RecordingDecoder.Unsupported()
    }

    func superDecoder() throws -> any Decoder { throw RecordingDecoder.Unsupported() }
    func superDecoder(forKey key: Key) throws -> any Decoder { throw RecordingDecoder.Unsupported() }
}

/// Collections that a sample may have empty.
private protocol EmptySample { static var empty: Any { get } }
extension Optional: EmptySample { fileprivate static var empty: Any { Self.none as Any } }
extension Array: EmptySample { fileprivate static var empty: Any { Self() } }
extension Dictionary: EmptySample { fileprivate static var empty: Any { Self() } }

import Foundation

/// The messages of opentelemetry-proto (trace/v1, common/v1, resource/v1) as a table, and what JSON each field is by
/// Protocol Buffers' mapping with OTLP's exceptions. Written from the specification, not from the encoder.
enum ProtoJSON {
    private indirect enum Kind: Sendable {
        case text
        /// uint64, fixed64, int64: decimal text.
        case wide
        /// uint32, fixed32, int32 and enumerations: a number within the range.
        case number(ClosedRange<Int>)
        /// Bytes of ids: so many lower-case hex digits.
        case hex(Int)
        case message(String)
        case list(Kind)
    }

    private static let messages: [String: [String: Kind]] = [
        "Request": ["resourceSpans": .list(.message("ResourceSpans"))],
        "ResourceSpans": [
            "resource": .message("Resource"), "scopeSpans": .list(.message("ScopeSpans")), "schemaUrl": .text,
        ],
        "Resource": ["attributes": .list(.message("KeyValue")), "droppedAttributesCount": .number(0...4_294_967_295)],
        "ScopeSpans": ["scope": .message("Scope"), "spans": .list(.message("Span")), "schemaUrl": .text],
        "Scope": ["name": .text, "version": .text, "attributes": .list(.message("KeyValue"))],
        "KeyValue": ["key": .text, "value": .message("AnyValue")],
        "AnyValue": ["stringValue": .text, "intValue": .wide],
        "Span": [
            "traceId": .hex(32), "spanId": .hex(16), "traceState": .text, "parentSpanId": .hex(16),
            "flags": .number(0...4_294_967_295), "name": .text, "kind": .number(0...5), "startTimeUnixNano": .wide,
            "endTimeUnixNano": .wide, "attributes": .list(.message("KeyValue")), "links": .list(.message("Link")),
            "status": .message("Status"),
        ],
        "Link": ["traceId": .hex(32), "spanId": .hex(16), "attributes": .list(.message("KeyValue"))],
        "Status": ["message": .text, "code": .number(0...2)],
    ]

    /// What in the document is not as the protocol has it.
    static func faults(in data: Data) throws -> [String] {
        faults(try JSONSerialization.jsonObject(with: data), .message("Request"), "")
    }

    static func spans(in data: Data) throws -> [[String: Any]] {
        func list(_ value: Any?, _ key: String) -> [[String: Any]] {
            (value as? [String: Any])?[key] as? [[String: Any]] ?? []
        }
        let document = try JSONSerialization.jsonObject(with: data)
        return list(document, "resourceSpans").flatMap { list($0, "scopeSpans") }.flatMap { list($0, "spans") }
    }

    private static func faults(_ value: Any, _ kind: Kind, _ path: String) -> [String] {
        switch kind {
        case .text: return value is String ? [] : ["\(path) is no text"]
        case .wide:
            guard let text = value as? String, Int64(text) != nil || UInt64(text) != nil else {
                return ["\(path) is no number as text"]
            }
            return []
        case .number(let range):
            guard !(value is String), let number = value as? Int, range.contains(number) else {
                return ["\(path) is no number of the range"]
            }
            return []
        case .hex(let count):
            let isHex = (value as? String)?.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
            return isHex == true && (value as? String)?.utf8.count == count ? [] : ["\(path) is no id"]
        case .list(let element):
            guard let list = value as? [Any] else { return ["\(path) is no list"] }
            return list.enumerated().flatMap { faults($1, element, "\(path)[\($0)]") }
        case .message(let name):
            guard let object = value as? [String: Any], let fields = messages[name] else {
                return ["\(path) is no message"]
            }
            return object.keys.sorted().flatMap { key -> [String] in
                guard let kind = fields[key], let value = object[key] else { return ["\(path).\(key) is no field"] }
                return faults(value, kind, "\(path).\(key)")
            }
        }
    }
}

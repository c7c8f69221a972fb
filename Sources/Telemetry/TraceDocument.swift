public import CloudModel
public import Foundation

/// An `ExportTraceServiceRequest` of opentelemetry-proto (version 1) in its JSON form: Protocol Buffers' JSON mapping
/// (names in lower camel case, 64-bit integers as text) with OTLP's own exceptions (ids in hex, enumerations as
/// numbers).
public struct TraceDocument: Encodable, Sendable {
    /// Who sends.
    public struct Resource: Hashable, Sendable {
        /// `service.name`, `service.instance.id`, `service.version`.
        public var name: String
        public var instance: String
        public var version: String

        public init(name: String = "cloudwright", instance: String, version: String) {
            self.name = name
            self.instance = instance
            self.version = version
        }
    }

    private var resourceSpans: [ResourceSpans]

    public init(_ spans: [TraceSpan], from resource: Resource) {
        let attributes = [
            ("service.name", resource.name), ("service.instance.id", resource.instance),
            ("service.version", resource.version),
        ]
        resourceSpans = [
            ResourceSpans(
                resource: Attributes(attributes: attributes.map { KeyValue($0, .text($1)) }),
                scopeSpans: [
                    ScopeSpans(
                        scope: Scope(name: "cloudwright", version: resource.version), spans: spans.map(Span.init))
                ])
        ]
    }

    /// The document's octets; the same for the same spans.
    public var data: Data {
        get throws {
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            return try encoder.encode(self)
        }
    }
}

private struct ResourceSpans: Encodable, Sendable {
    var resource: Attributes
    var scopeSpans: [ScopeSpans]
}

private struct Attributes: Encodable, Sendable { var attributes: [KeyValue] }

private struct ScopeSpans: Encodable, Sendable {
    var scope: Scope
    var spans: [Span]
}

private struct Scope: Encodable, Sendable {
    var name: String
    var version: String
}

private struct KeyValue: Encodable, Sendable {
    var key: String
    var value: AnyValue

    init(_ key: String, _ value: TraceSpan.Value) {
        self.key = key
        switch value {
        case .text(let text): self.value = AnyValue(stringValue: text)
        case .number(let number): self.value = AnyValue(intValue: String(number))
        }
    }
}

/// One of them.
private struct AnyValue: Encodable, Sendable {
    var stringValue: String?
    var intValue: String?
}

private struct Link: Encodable, Sendable {
    var traceId: String
    var spanId: String
    var attributes: [KeyValue]
}

private struct Status: Encodable, Sendable {
    /// STATUS_CODE_ERROR is 2; what is not an error stays unset.
    var code: Int
    var message: String?
}

private struct Span: Encodable, Sendable {
    var traceId: String
    var spanId: String
    var parentSpanId: String?
    var name: String
    var kind: Int
    var startTimeUnixNano: String
    var endTimeUnixNano: String
    var attributes: [KeyValue]
    var links: [Link]?
    var status: Status?
    /// W3C's flags; bit 0: sampled.
    var flags = 1

    init(_ span: TraceSpan) {
        traceId = span.trace.description
        spanId = span.id.description
        parentSpanId = span.parent?.description
        name = span.name
        kind = span.kind.rawValue
        startTimeUnixNano = Self.nanoseconds(span.start)
        endTimeUnixNano = Self.nanoseconds(max(span.start, span.end))
        attributes = span.attributes.map { KeyValue($0.key, $0.value) }
        links =
            span.links.isEmpty
            ? nil
            : span.links.map {
                Link(
                    traceId: $0.trace.description, spanId: $0.span.description,
                    attributes: [KeyValue("cloudwright.relation", .text($0.relation))])
            }
        status = span.failure.map { Status(code: 2, message: $0.isEmpty ? nil : $0) }
    }

    private static func nanoseconds(_ time: Timestamp) -> String {
        let (product, overflow) = UInt64(max(0, time.microseconds)).multipliedReportingOverflow(by: 1_000)
        return String(overflow ? UInt64.max : product)
    }
}

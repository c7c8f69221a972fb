/// Where spans go, and of how many requests (OpenTelemetry).
public struct TraceSettings: Codable, Hashable, Sendable {
    /// A collector's base URL, as `http://127.0.0.1:4318`; OTLP over HTTP with JSON is posted to `/v1/traces` below it.
    public var endpoint: String
    /// A file with header fields for the collector, one `Name: value` a line, mode 0600: they may hold a secret.
    public var headersFile: String?
    /// The part of the requests that is traced, of those whose consumer did not decide it already (`traceparent`).
    public var ratio: ExactDecimal

    public static let usualRatio = ExactDecimal("0.01") ?? .zero

    public init(endpoint: String, headersFile: String? = nil, ratio: ExactDecimal = Self.usualRatio) {
        self.endpoint = endpoint
        self.headersFile = headersFile
        self.ratio = ratio
    }

    func check(_ collector: inout FaultCollector, _ path: String) {
        let rest =
            endpoint.hasPrefix("https://")
            ? endpoint.dropFirst(8)
            : endpoint.hasPrefix("http://") ? endpoint.dropFirst(7) : ""
        collector.require(
            !rest.isEmpty && rest.first != "/" && endpoint.utf8.allSatisfy { (0x21...0x7E).contains($0) },
            "\(path).endpoint", "'\(endpoint)' is not an http or https URL", "write https://collector.example.org:4318")
        collector.checkAbsolutePath(headersFile, "\(path).headersFile")
        collector.require(
            ratio >= .zero && ratio <= ExactDecimal(1), "\(path).ratio", "\(ratio) is out of range", "give 0 to 1")
    }

    /// Of 2^56 equally likely values, how many are traced: what the random part of a trace id is compared with.
    public var threshold: UInt64 {
        var whole = UInt64(1) << 56
        var part = UInt64(0)
        var digits = ratio.coefficient
        var scale = UInt64(1)
        for _ in 0..<ratio.scale { scale *= 10 }
        digits = max(0, min(digits, Int64(scale)))
        if digits == Int64(scale) { return whole }
        // Long division, bit by bit: exact without wider numbers.
        var rest = UInt64(digits)
        while whole > 1 {
            whole >>= 1
            rest *= 2
            part *= 2
            if rest >= scale {
                rest -= scale
                part += 1
            }
        }
        return part
    }
}

/// The id of a trace: 16 bytes, not all of them zero (W3C Trace Context, section 3.2.2.3).
public struct TraceID: Hashable, Sendable, CustomStringConvertible {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    /// The same for the same text, on every machine.
    public init(derivedFrom text: String) {
        var first = FNV1a()
        first.add(part: text)
        var second = FNV1a(offset: first.value ^ 0x9E37_79B9_7F4A_7C15)
        second.add(part: text)
        self.init(high: first.value | 1, low: second.value)
    }

    /// 32 lower-case hex digits.
    public var description: String { SpanID(high).description + SpanID(low).description }
}

/// The id of a span: 8 bytes, not all of them zero.
public struct SpanID: Hashable, Sendable, CustomStringConvertible {
    public var value: UInt64

    public init(_ value: UInt64) { self.value = value }

    /// The same for the same text, on every machine.
    public init(derivedFrom text: String) {
        var hash = FNV1a()
        hash.add(part: text)
        value = hash.value == 0 ? 1 : hash.value
    }

    /// 16 lower-case hex digits.
    public var description: String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 16 - digits.utf8.count) + digits
    }
}

/// A piece of work in a trace, in OpenTelemetry's terms.
public struct TraceSpan: Hashable, Sendable {
    /// As numbered in opentelemetry-proto (`Span.SpanKind`).
    public enum Kind: Int, Hashable, Sendable {
        case `internal` = 1
        case server = 2
        case client = 3
    }

    public enum Value: Hashable, Sendable {
        case text(String)
        case number(Int64)
    }

    public struct Attribute: Hashable, Sendable {
        public var key: String
        public var value: Value

        public init(_ key: String, _ value: Value) {
            self.key = key
            self.value = value
        }
    }

    /// To a span of another trace: what this one brought about, or was brought about by.
    public struct Link: Hashable, Sendable {
        public var trace: TraceID
        public var span: SpanID
        /// How the two belong together: `effect`, `cause`.
        public var relation: String

        public init(trace: TraceID, span: SpanID, relation: String) {
            self.trace = trace
            self.span = span
            self.relation = relation
        }
    }

    public var trace: TraceID
    public var id: SpanID
    public var parent: SpanID?
    public var kind: Kind
    public var name: String
    public var start: Timestamp
    public var end: Timestamp
    public var attributes: [Attribute]
    public var links: [Link]
    /// Why it failed, for people and possibly empty; nil where it did not.
    public var failure: String?

    public init(
        trace: TraceID, id: SpanID, parent: SpanID? = nil, kind: Kind = .internal, name: String, start: Timestamp,
        end: Timestamp, attributes: [Attribute] = [], links: [Link] = [], failure: String? = nil
    ) {
        self.trace = trace
        self.id = id
        self.parent = parent
        self.kind = kind
        self.name = name
        self.start = start
        self.end = end
        self.attributes = attributes
        self.links = links
        self.failure = failure
    }

    public mutating func add(_ key: String, _ text: String) {
        if !text.isEmpty { attributes.append(Attribute(key, .text(text))) }
    }

    public mutating func add(_ key: String, _ number: some BinaryInteger) {
        attributes.append(Attribute(key, .number(Int64(clamping: number))))
    }
}

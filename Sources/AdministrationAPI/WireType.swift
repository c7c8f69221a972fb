/// The types that cross the administration API. Names on the wire are stable; times are RFC 3339 in UTC; a quantity's
/// unit is in its name; an absent field means that there is no value.
public enum API {
    /// Where the API begins: everything but `/healthz`, `/metrics` and `/openapi.json` is below it.
    public static let root = "/api/v1"
    /// The media type of every error.
    public static let problemMediaType = "application/problem+json"
    /// The greatest number of entries in one page.
    public static let maximumPageSize = 1_000

    /// Where lists go on that are no JSON; empty at the end.
    public static let nextCursorHeader = "x-next-cursor"
}

/// A value that crosses the administration API. The API document takes its schema's structure from how it is decoded,
/// and its words from `summary` and `fields`; a field without words fails a test.
public protocol WireType: Codable, Hashable, Sendable {
    /// The name of its schema in the API document.
    static var schemaName: String { get }
    /// What it is, in one sentence.
    static var summary: String { get }
    /// What each field means, by its name on the wire.
    static var fields: [String: String] { get }
}

extension WireType {
    public static var schemaName: String { "\(Self.self)" }
}

/// One of a fixed number of words on the wire.
public protocol WireEnumeration: RawRepresentable<String>, CaseIterable, Codable, Hashable, Sendable {}

extension WireEnumeration {
    /// Says of an unknown word which ones there are.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        let text = try container.decode(String.self)
        guard let word = Self(rawValue: text) else {
            let words = Self.allCases.map { "'\($0.rawValue)'" }.joined(separator: ", ")
            throw DecodingError.dataCorruptedError(
                in: container, debugDescription: "'\(text)' is none of \(words)")
        }
        self = word
    }
}

/// A point in time on the wire: RFC 3339 in UTC with six decimals.
public struct Moment: Codable, Hashable, Comparable, Sendable, CustomStringConvertible {
    public var rfc3339: String

    public init(rfc3339: String) { self.rfc3339 = rfc3339 }
    public init(from decoder: any Decoder) throws {
        rfc3339 = try decoder.singleValueContainer().decode(String.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rfc3339)
    }

    public var description: String { rfc3339 }
    public static func < (left: Self, right: Self) -> Bool { left.rfc3339 < right.rfc3339 }
}

extension API {
    /// One part of a list that may be longer.
    public struct Page<Item: WireType>: WireType {
        public var items: [Item]
        public var nextCursor: String?

        public init(items: [Item], nextCursor: String? = nil) {
            self.items = items
            self.nextCursor = nextCursor
        }

        public static var schemaName: String { "\(Item.schemaName)Page" }
        public static var summary: String { "One part of a list that may be longer." }
        public static var fields: [String: String] {
            [
                "items": "The entries of this part.",
                "nextCursor": "Give it as the query parameter `cursor` to get the next part; absent at the end.",
            ]
        }
    }

    /// Why a request was not carried out (RFC 9457).
    public struct Problem: WireType, Error {
        public var type: String
        public var title: String
        public var status: Int
        public var detail: String
        public var faults: [Fault]

        public init(type: String, title: String, status: Int, detail: String, faults: [Fault] = []) {
            self.type = type
            self.title = title
            self.status = status
            self.detail = detail
            self.faults = faults
        }

        public static let summary = "Why a request was not carried out (RFC 9457)."
        public static let fields = [
            "type": "Names the kind of problem for programs: `urn:cloudwright:problem:` and a stable word.",
            "title": "The kind of problem, for people.",
            "status": "The response's status.",
            "detail": "What happened here, and what to do.",
            "faults": "Every fault that was found; empty where `detail` says it all.",
        ]
    }

    /// One thing that is wrong with a request.
    public struct Fault: WireType {
        public var detail: String
        public var pointer: String?

        public init(detail: String, pointer: String? = nil) {
            self.detail = detail
            self.pointer = pointer
        }

        public static let summary = "One thing that is wrong with a request."
        public static let fields = [
            "detail": "What is wrong, and how to mend it.",
            "pointer": "Where in the request's body, as a JSON pointer (RFC 6901).",
        ]
    }

    /// One value of a metric, over all instances of the service.
    public struct MetricReport: WireType {
        public var value: Int

        public init(value: Int) { self.value = value }

        public static let summary = "A value of a metric, over all instances of the service."
        public static let fields = ["value": "From 0 on, in the unit of the metric's targetPerInstance."]
    }

    /// A constraint is set to a value, or lifted.
    public struct ConstraintChange: WireType {
        public var constraint: ConstraintKind
        public var value: Int?

        public init(constraint: ConstraintKind, value: Int?) {
            self.constraint = constraint
            self.value = value
        }

        /// A missing value is a fault: nobody lifts a limit by forgetting a field.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            constraint = try container.decode(ConstraintKind.self, forKey: .constraint)
            value = try container.decode(Int?.self, forKey: .value)
        }

        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            try container.encode(constraint, forKey: .constraint)
            try container.encode(value, forKey: .value)
        }

        private enum CodingKeys: String, CodingKey { case constraint, value }

        public static let summary = "A constraint is set to a value, or lifted."
        public static let fields = [
            "constraint": "The constraint.",
            "value": "Its new value; null for no limit (`maximum-instances` always has one).",
        ]
    }
}

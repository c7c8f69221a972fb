import AdministrationAPI
import CloudModel

/// A query parameter of a route.
struct QueryParameter: Hashable, Sendable {
    enum Kind: Hashable, Sendable {
        case text
        case integer(ClosedRange<Int64>)
        case time
        case boolean
        case oneOf([String])
    }

    var name: String
    var kind: Kind
    var meaning: String

    init(_ name: String, _ kind: Kind, _ meaning: String) {
        self.name = name
        self.kind = kind
        self.meaning = meaning
    }

    init(_ name: String, _ meaning: String) { self.init(name, .text, meaning) }

    static func oneOf<Words: WireEnumeration>(_ name: String, _ words: Words.Type, _ meaning: String) -> Self {
        QueryParameter(name, .oneOf(words.allCases.map(\.rawValue)), meaning)
    }
}

/// The query parameters that were given, each of its declared kind.
struct QueryValues: Hashable, Sendable {
    private var texts: [String: String] = [:]

    init() {}

    /// Reads `a=b&c=d` and names every fault: a name that is not known or is given twice, a value of another kind.
    init(_ query: String, allowed: [QueryParameter]) throws(API.Problem) {
        var faults: [API.Fault] = []
        for pair in query.split(separator: "&") {
            let halves = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = Self.decoded(halves[0]), let value = Self.decoded(halves.count > 1 ? halves[1] : "") else {
                faults.append(API.Fault(detail: "'\(pair)' is not percent-encoded UTF-8"))
                continue
            }
            guard let parameter = allowed.first(where: { $0.name == name }) else {
                let names = allowed.map { "'\($0.name)'" }.joined(separator: ", ")
                faults.append(
                    API.Fault(
                        detail: "'\(name)' is not known here"
                            + (names.isEmpty ? "; nothing can be asked for" : "; known: \(names)")))
                continue
            }
            if texts[name] != nil { faults.append(API.Fault(detail: "'\(name)' is given twice; give it once")) }
            if let remedy = Self.remedy(for: value, of: parameter.kind) {
                faults.append(API.Fault(detail: "'\(name)' is '\(value)'; \(remedy)"))
            }
            texts[name] = value
        }
        guard faults.isEmpty else {
            throw .invalid("The query: \(faults.map(\.detail).joined(separator: "; ")).", faults: faults)
        }
    }

    /// The same text for the same values, whatever their order.
    var canonical: String { texts.sorted { $0.key < $1.key }.map { "\($0.key)=\($0.value)" }.joined(separator: "\n") }

    func text(_ name: String) -> String? { texts[name] }
    func integer(_ name: String) -> Int64? { texts[name].flatMap { Int64($0) } }
    func time(_ name: String) -> Timestamp? { texts[name].flatMap(Self.time) }
    func boolean(_ name: String) -> Bool { texts[name] == "true" }
    func identifier<Entity>(_ name: String) -> Identifier<Entity>? { texts[name].map { Identifier($0) } }

    /// A date alone is its midnight in UTC.
    private static func time(_ text: String) -> Timestamp? {
        Timestamp(rfc3339: text) ?? Timestamp(rfc3339: text + "T00:00:00Z")
    }

    private static func remedy(for value: String, of kind: QueryParameter.Kind) -> String? {
        switch kind {
        case .text: value.isEmpty ? "give a value" : nil
        case .integer(let range):
            Int64(value).map(range.contains) == true
                ? nil : "give a whole number from \(range.lowerBound) to \(range.upperBound)"
        case .time: time(value) == nil ? "give a time as 2026-11-24T02:30:00Z, or a date" : nil
        case .boolean: ["true", "false"].contains(value) ? nil : "give true or false"
        case .oneOf(let words): words.contains(value) ? nil : "give one of \(words.joined(separator: ", "))"
        }
    }

    /// Undoes percent-encoding; in a query `+` is a space, as forms write it.
    static func decoded(_ text: some StringProtocol, plusIsSpace: Bool = true) -> String? {
        var bytes: [UInt8] = []
        var rest = text.utf8.makeIterator()
        while let byte = rest.next() {
            switch byte {
            case UInt8(ascii: "+") where plusIsSpace: bytes.append(0x20)
            case UInt8(ascii: "%"):
                guard let high = rest.next().flatMap(hexDigit), let low = rest.next().flatMap(hexDigit) else {
                    return nil
                }
                bytes.append(high << 4 | low)
            default: bytes.append(byte)
            }
        }
        return String(validating: bytes, as: UTF8.self)
    }

    private static func hexDigit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case 0x30...0x39: byte - 0x30
        case 0x41...0x46: byte - 0x41 + 10
        case 0x61...0x66: byte - 0x61 + 10
        default: nil
        }
    }
}

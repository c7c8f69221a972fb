import CloudModel
import Yams

/// Reads the values of one mapping, and reports what is unknown, missing or of the wrong type. A getter gives nil where
/// the key is left out or its value cannot be used (which is reported).
struct SectionReader {
    let context: ReadingContext
    let section: ConfigurationSchema.Section
    let path: String
    /// The mapping itself.
    let node: Node
    private let values: [String: Node]

    /// Nil where `node` is no mapping.
    init?(_ node: Node, _ section: ConfigurationSchema.Section, path: String, context: ReadingContext) {
        context.note(path, at: node)
        guard case .mapping(let mapping) = node else {
            context.fault(
                "\(Self.shown(path)) is not a mapping", at: node, path: path,
                remedy: "write it as keys and values: \(section.fields.map(\.key).joined(separator: ", "))")
            return nil
        }
        self.context = context
        self.section = section
        self.path = path
        self.node = node
        var values: [String: Node] = [:]
        for (key, value) in mapping {
            guard let name = key.string, section.contains(name) else {
                Self.reportUnknown(key, in: section, path: path, context: context)
                continue
            }
            if !Self.isNull(value) { values[name] = value }
            context.note(Self.joined(path, name), at: Self.isNull(value) ? key : value)
        }
        self.values = values
    }

    private static func reportUnknown(
        _ key: Node, in section: ConfigurationSchema.Section, path: String, context: ReadingContext
    ) {
        let name = key.string ?? "(not a text)"
        let known = section.fields.map(\.key)
        let remedy =
            NearestKey.nearest(to: name, among: known).map { "did you mean '\($0)'?" }
            ?? "known are: \(known.joined(separator: ", "))"
        context.fault(
            "unknown key '\(name)' in \(shown(path))", at: key, path: joined(path, name), remedy: remedy)
    }

    func pathOf(_ key: String) -> String { Self.joined(path, key) }

    func has(_ key: String) -> Bool { values[key] != nil }

    /// The value of a key that the section documents.
    func value(_ key: String) -> Node? {
        precondition(section.contains(key), "\(section.title) does not document '\(key)'")
        return values[key]
    }

    func requiredValue(_ key: String, remedy: String) -> Node? {
        if let value = value(key) { return value }
        context.fault("'\(pathOf(key))' is missing", at: node, path: pathOf(key), remedy: remedy)
        return nil
    }

    // MARK: Scalars

    func text(_ key: String) -> String? {
        guard let value = value(key) else { return nil }
        return text(of: value, path: pathOf(key))
    }

    func requiredText(_ key: String, remedy: String) -> String? {
        guard let value = requiredValue(key, remedy: remedy) else { return nil }
        return text(of: value, path: pathOf(key))
    }

    func integer(_ key: String) -> Int? {
        scalar(key, "a whole number", "write digits only, without quotes, sign or unit") {
            ScalarText.wholeNumber($0)
        }
    }

    func decimal(_ key: String) -> ExactDecimal? {
        scalar(key, "a decimal number", "write 12 or 0.05: 18 digits at most, 12 of them decimals") { ExactDecimal($0) }
    }

    func requiredDecimal(_ key: String, remedy: String) -> ExactDecimal? {
        guard requiredValue(key, remedy: remedy) != nil else { return nil }
        return decimal(key)
    }

    func port(_ key: String) -> UInt16? {
        scalar(key, "a port", "give a number from 1 to 65535") {
            ScalarText.wholeNumber($0).flatMap(UInt16.init(exactly:))
        }
    }

    func boolean(_ key: String) -> Bool? {
        scalar(key, "true or false", "write true or false") { $0 == "true" ? true : $0 == "false" ? false : nil }
    }

    func duration(_ key: String) -> TimeSpan? {
        scalar(key, "a duration", "write a whole number and a unit: 200ms, 5s, 2m or 1h") { TimeSpan(parsing: $0) }
    }

    func size(_ key: String) -> ByteCount? {
        scalar(key, "a size", "write a whole number and a unit: 512KiB, 10MiB or 1GB") { ByteCount(parsing: $0) }
    }

    func statusRange(_ key: String) -> ClosedRange<Int>? {
        scalar(key, "a status or a range of them", "write 200, or 200-399", ScalarText.statusRange)
    }

    func endpoint(_ key: String) -> Endpoint? {
        scalar(key, "an address with a port", Self.endpointRemedy) { Endpoint(parsing: $0) }
    }

    func time(_ key: String) -> Timestamp? {
        scalar(key, "a time", "write it as in RFC 3339: 2027-01-31T00:00:00Z") { Timestamp(rfc3339: $0) }
    }

    func choice<Value: RawRepresentable<String> & CaseIterable>(
        _ key: String, _ type: Value.Type, remedy: String? = nil
    ) -> Value? {
        let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
        return scalar(key, "one of \(words)", remedy ?? "write one of \(words)", Value.init(rawValue:))
    }

    func choices<Value: RawRepresentable<String> & CaseIterable>(_ key: String, _ type: Value.Type) -> [Value]? {
        let words = Value.allCases.map(\.rawValue).joined(separator: ", ")
        return items(key)?.compactMap {
            scalar($0.node, path: $0.path, "one of \(words)", "write one of \(words)", Value.init(rawValue:))
        }
    }

    func timeOfDay(_ key: String) -> TimeOfDay? {
        scalar(key, "a time of day", "write hours and minutes in UTC, in quotes: \"08:00\"") { TimeOfDay($0) }
    }

    private static let textRemedy = "write one text, in quotes if it has special characters"
    private static let endpointRemedy = "write 127.0.0.1:8080, or [::1]:8080"

    private func scalar<Value>(_ key: String, _ kind: String, _ remedy: String, _ convert: (String) -> Value?) -> Value?
    {
        guard let value = value(key) else { return nil }
        return scalar(value, path: pathOf(key), kind, remedy, convert)
    }

    private func scalar<Value>(
        _ node: Node, path: String, _ kind: String, _ remedy: String, _ convert: (String) -> Value?
    ) -> Value? {
        guard case .scalar(let scalar) = node else {
            context.fault("\(path) is \(Self.kind(of: node)), not \(kind)", at: node, path: path, remedy: remedy)
            return nil
        }
        if let value = convert(scalar.string) { return value }
        context.fault(
            "\(path) is '\(scalar.string.prefix(60))', not \(kind)", at: node, path: path, remedy: remedy)
        return nil
    }

    /// Any scalar as it is written: a number needs no quotes where a text is wanted.
    private func text(of node: Node, path: String) -> String? {
        scalar(node, path: path, "a text", Self.textRemedy) { $0.isEmpty ? nil : $0 }
    }

    // MARK: Lists and mappings

    /// The items of a list with their paths.
    func items(_ key: String) -> [(node: Node, path: String)]? {
        guard let value = value(key) else { return nil }
        guard case .sequence(let sequence) = value else {
            context.fault(
                "\(pathOf(key)) is \(Self.kind(of: value)), not a list", at: value, path: pathOf(key),
                remedy: "write its items each after '- ', or in brackets")
            return nil
        }
        return sequence.enumerated().map { index, node in
            let path = "\(pathOf(key))[\(index)]"
            context.note(path, at: node)
            return (node, path)
        }
    }

    /// An empty text is a text in a list (an argument of a command may be empty).
    func texts(_ key: String) -> [String]? {
        items(key)?.compactMap { scalar($0.node, path: $0.path, "a text", Self.textRemedy) { $0 } }
    }

    func endpoints(_ key: String) -> [Endpoint]? {
        items(key)?.compactMap { endpoint($0.node, path: $0.path) }
    }

    func endpoint(_ node: Node, path: String) -> Endpoint? {
        scalar(node, path: path, "an address with a port", Self.endpointRemedy) { Endpoint(parsing: $0) }
    }

    func subsection(_ key: String, _ section: ConfigurationSchema.Section) -> SectionReader? {
        value(key).flatMap { SectionReader($0, section, path: pathOf(key), context: context) }
    }

    /// A mapping whose keys are the file's own.
    func textMapping(_ key: String) -> [String: String]? {
        guard let value = value(key) else { return nil }
        guard case .mapping(let mapping) = value else {
            context.fault(
                "\(pathOf(key)) is \(Self.kind(of: value)), not a mapping", at: value, path: pathOf(key),
                remedy: "write it as NAME: value")
            return nil
        }
        var texts: [String: String] = [:]
        for (name, value) in mapping {
            let path = "\(pathOf(key)).\(name.string ?? "")"
            context.note(path, at: value)
            // An empty value is a value here.
            if let name = name.string, case .scalar(let scalar) = value {
                texts[name] = Self.isNull(value) ? "" : scalar.string
            } else {
                context.fault(
                    "\(path) is not a text", at: value, path: path, remedy: "write it as NAME: value")
            }
        }
        return texts
    }

    static func isNull(_ node: Node) -> Bool {
        guard case .scalar(let scalar) = node, scalar.style == .plain || scalar.style == .any else { return false }
        return ["", "~", "null", "Null", "NULL"].contains(scalar.string)
    }

    static func kind(of node: Node) -> String {
        switch node {
        case .scalar: "a single value"
        case .mapping: "a mapping"
        case .sequence: "a list"
        case .alias: "an alias"
        }
    }

    private static func joined(_ path: String, _ key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
    private static func shown(_ path: String) -> String { path.isEmpty ? "the document" : path }
}

import Foundation

/// Checks a JSON value against a schema of the API document. What the schema does not name is an error, so that an
/// undocumented field is found.
struct SchemaChecker {
    let schemas: [String: Any]

    init(document: [String: Any]) {
        let components = document["components"] as? [String: Any]
        schemas = components?["schemas"] as? [String: Any] ?? [:]
    }

    /// What is wrong, each with its place; empty where all is as documented.
    func faults(_ value: Any, _ schema: Any, at place: String = "$") -> [String] {
        if schema is Bool { return [] }
        guard let schema = schema as? [String: Any] else { return ["\(place): no schema"] }
        if let reference = schema["$ref"] as? String {
            let name = String(reference.split(separator: "/").last ?? "")
            guard let target = schemas[name] else { return ["\(place): no schema \(name)"] }
            return faults(value, target, at: place)
        }
        if let choices = schema["oneOf"] as? [Any] {
            let matching = choices.filter { faults(value, $0, at: place).isEmpty }
            return matching.count == 1 ? [] : ["\(place): \(matching.count) of oneOf match"]
        }
        switch schema["type"] as? String {
        case "object": return objectFaults(value, schema, at: place)
        case "array":
            guard let items = value as? [Any] else { return ["\(place): no array"] }
            return items.enumerated().flatMap {
                faults($0.element, schema["items"] ?? true, at: "\(place)[\($0.offset)]")
            }
        case "string": return stringFaults(value, schema, at: place)
        case "integer":
            guard let number = value as? NSNumber, !Self.isBoolean(number),
                Double(number.int64Value) == number.doubleValue
            else { return ["\(place): no integer"] }
            if let minimum = schema["minimum"] as? NSNumber, number.int64Value < minimum.int64Value {
                return ["\(place): below \(minimum)"]
            }
            return []
        case "boolean":
            return (value as? NSNumber).map(Self.isBoolean) == true ? [] : ["\(place): no boolean"]
        case "null": return value is NSNull ? [] : ["\(place): not null"]
        default: return ["\(place): a schema without type"]
        }
    }

    private func objectFaults(_ value: Any, _ schema: [String: Any], at place: String) -> [String] {
        guard let object = value as? [String: Any] else { return ["\(place): no object"] }
        if let values = schema["additionalProperties"] {
            return object.flatMap { faults($0.value, values, at: "\(place).\($0.key)") }
        }
        let properties = schema["properties"] as? [String: Any]
        guard let properties else { return [] }
        let missing = (schema["required"] as? [String] ?? []).filter { object[$0] == nil }
        return missing.map { "\(place): \($0) is missing" }
            + object.flatMap { name, member in
                properties[name].map { faults(member, $0, at: "\(place).\(name)") }
                    ?? ["\(place).\(name): not documented"]
            }
    }

    private func stringFaults(_ value: Any, _ schema: [String: Any], at place: String) -> [String] {
        guard let text = value as? String else { return ["\(place): no string"] }
        if let words = schema["enum"] as? [String], !words.contains(text) { return ["\(place): '\(text)' is no word"] }
        if let word = schema["const"] as? String, word != text { return ["\(place): '\(text)' is not \(word)"] }
        if schema["format"] as? String == "date-time" {
            let pattern = #/\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z/#
            if text.wholeMatch(of: pattern) == nil { return ["\(place): '\(text)' is no time"] }
        }
        return []
    }

    /// Whether the number came from `true` or `false`.
    private static func isBoolean(_ number: NSNumber) -> Bool { String(cString: number.objCType) == "c" }
}

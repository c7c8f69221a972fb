import AdministrationFixture
import Foundation
import RemoteAdministration
import Testing

/// docs/reference/api.md against the API document.
@Suite struct ReferenceTests {
    @Test("the reference says of every route and type what the code says")
    func reference() throws {
        let document = try JSONSerialization.jsonObject(with: Data(OpenAPIDocument.bytes)) as? [String: Any] ?? [:]
        let part = ["## Routes", routes(document), "## Types", types(document)].joined(separator: "\n\n")
        let difference = try ReferenceFile("api.md").difference(from: part)
        #expect(difference == nil, "\(difference ?? "")")
    }

    private func routes(_ document: [String: Any]) -> String {
        let paths = document["paths"] as? [String: [String: [String: Any]]] ?? [:]
        return RouteDescription.all.map { route in
            let operation = paths[route.path]?[route.method.lowercased()] ?? [:]
            var lines = ["### `\(route.method) \(route.path)`", "", route.summary, ""]
            lines.append("- Who: " + who(operation))
            for parameter in operation["parameters"] as? [[String: Any]] ?? []
            where parameter["in"] as? String == "query" {
                lines.append("- `?\(parameter["name"] ?? "")=`: \(parameter["description"] ?? "")\(values(parameter))")
            }
            if route.needsIfMatch { lines.append("- Needs `If-Match`\(route.isTrial ? ", but for a dry run" : "").") }
            if let body = operation["requestBody"] as? [String: Any] { lines.append("- Body: " + content(body)) }
            let responses = operation["responses"] as? [String: [String: Any]] ?? [:]
            let success = responses[String(route.answerStatus)] ?? [:]
            lines.append(
                "- Answers \(route.answerStatus)\(success["content"] == nil ? "" : " with " + content(success)): "
                    + "\(success["description"] ?? "")")
            lines.append("- Refuses with \(route.errorStatuses.map(String.init).joined(separator: ", ")).")
            return lines.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    private func who(_ operation: [String: Any]) -> String {
        guard let security = operation["security"] as? [Any], !security.isEmpty else {
            return "anybody, without a token."
        }
        return (operation["description"] as? String ?? "").replacing("Roles: ", with: "")
    }

    private func values(_ parameter: [String: Any]) -> String {
        guard let schema = parameter["schema"] as? [String: Any] else { return "" }
        if let words = schema["enum"] as? [String] {
            return " " + words.map { "`\($0)`" }.joined(separator: ", ") + "."
        }
        return ""
    }

    private func content(_ part: [String: Any]) -> String {
        let content = part["content"] as? [String: [String: Any]] ?? [:]
        return content.keys.sorted().map { mediaType in
            let schema = content[mediaType]?["schema"] as? [String: Any]
            let name = (schema?["$ref"] as? String)?.split(separator: "/").last.map { " `\($0)`" } ?? ""
            return "\(mediaType)\(name)"
        }.joined(separator: " or ")
    }

    private func types(_ document: [String: Any]) -> String {
        let components = document["components"] as? [String: Any]
        let schemas = components?["schemas"] as? [String: [String: Any]] ?? [:]
        return schemas.keys.sorted().map { name in
            let schema = schemas[name] ?? [:]
            let properties = schema["properties"] as? [String: [String: Any]] ?? [:]
            let required = Set(schema["required"] as? [String] ?? [])
            var lines = ["### \(name)", "", schema["description"] as? String ?? "", ""]
            lines += ["| field | type | meaning |", "|---|---|---|"]
            for field in properties.keys.sorted() {
                let property = properties[field] ?? [:]
                let optional = required.contains(field) ? "" : ", may be absent"
                lines.append("| `\(field)` | \(type(of: property))\(optional) | \(property["description"] ?? "") |")
            }
            return lines.joined(separator: "\n")
        }.joined(separator: "\n\n")
    }

    private func type(of schema: [String: Any]) -> String {
        if let reference = schema["$ref"] as? String { return "`\(reference.split(separator: "/").last ?? "")`" }
        if let choices = schema["oneOf"] as? [[String: Any]] {
            return choices.map(type).joined(separator: " or ")
        }
        if let words = schema["enum"] as? [String] { return words.map { "`\($0)`" }.joined(separator: ", ") }
        switch schema["type"] as? String {
        case "array": return "list of " + type(of: schema["items"] as? [String: Any] ?? [:])
        case "object":
            return "map of " + type(of: schema["additionalProperties"] as? [String: Any] ?? [:])
        case "string": return schema["format"] as? String == "date-time" ? "time" : "text"
        case let other: return other ?? "any"
        }
    }
}

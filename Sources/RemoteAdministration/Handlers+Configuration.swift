import AdministrationAPI
import CloudModel
import CloudPorts
import ConfigurationFile
import FoundationEssentials
import Yams

extension RouteTable {
    static let configuration: [Route] = [
        Route(
            name: "getConfiguration", method: .get, path: "/api/v1/configuration", right: .read,
            summary: "Gives the whole configuration, as a file declares it; as YAML where Accept asks for it.",
            answer: Route.Answer(
                status: 200, meaning: "The configuration.", schema: ConfigurationText.schema,
                mediaType: JSON.mediaType, headers: ["ETag": "Its version, for If-Match."])
        ) { try await $0.getConfiguration($1) },
        Route(
            name: "applyConfiguration", method: .put, path: "/api/v1/configuration", right: .operate,
            summary: "Makes a configuration true: what is not named in it is removed, but for API keys.",
            query: [QueryParameter("dryRun", .boolean, "Only say what would change.")],
            body: Route.RequestBody(
                schema: ConfigurationText.schema, mediaTypes: [JSON.mediaType, ConfigurationText.yamlMediaType],
                limitInBytes: Int(ConfigurationDocument.longestFile.bytes)),
            needsIfMatch: true,
            answer: .json(
                API.ConfigurationOutcome.self, "What was changed, or would be.",
                headers: ["ETag": "The version after the change, for If-Match."])
        ) { try await $0.applyConfiguration($1) },
    ]
}

extension Handlers {
    func getConfiguration(_ call: Call) async throws -> Reply {
        let text = ConfigurationText(await document())
        var reply = Reply(
            status: 200, headers: ["etag": text.entityTag, "vary": "Accept"],
            body: .bytes(try text.json, mediaType: JSON.mediaType))
        if call.headers["accept"]?.contains("yaml") == true {
            reply.body = .bytes(Array(text.yaml.utf8), mediaType: ConfigurationText.yamlMediaType)
        }
        return reply
    }

    func applyConfiguration(_ call: Call) async throws -> Reply {
        let isJSON = call.headers["content-type"]?.lowercased().hasPrefix(JSON.mediaType) ?? true
        let declared =
            isJSON ? try ConfigurationText.read(json: call.body) : try ConfigurationText.read(yaml: call.body)
        if call.query.boolean("dryRun") {
            return outcome(from: await document(), to: declared, applied: false)
        }
        return try await lane.run {
            let present = await document()
            try requireMatch(call, ConfigurationText(present).entityTag)
            let merged = declared.configuration.keepingCredentials(of: present.configuration)
            try requireSameCredentials(call, from: present.configuration, to: merged)
            if merged != present.configuration {
                try await administration.apply(merged, actor: call.actor)
            }
            var reply = outcome(from: present, to: declared, applied: true)
            reply.headers["etag"] = ConfigurationText(await document()).entityTag
            return reply
        }
    }

    private func document() async -> ConfigurationDocument {
        ConfigurationDocument(settings: settings.platform, configuration: await administration.configuration())
    }

    private func outcome(
        from present: ConfigurationDocument, to declared: ConfigurationDocument, applied: Bool
    ) -> Reply {
        var merged = declared
        merged.configuration = declared.configuration.keepingCredentials(of: present.configuration)
        let changes = ConfigurationDocument.difference(from: present, to: merged).map { difference in
            API.ResourceChange(
                kind: difference.kind.rawValue, name: difference.name, change: .init(difference.change),
                details: difference.fields.map(Self.text))
        }
        return .json(API.ConfigurationOutcome(applied: applied, changes: changes))
    }

    /// The platform's settings are read from the server's own file when it starts, and only then.
    private static func text(_ field: FieldDifference) -> String {
        guard field.effect == .atPlatformRestart else { return field.description }
        return "\(field.path): \(field.old ?? "not set") -> \(field.new ?? "not set") "
            + "(not applied: change the file that the server was started with, and restart it)"
    }

    /// Credentials are an administrator's to change, in whatever way.
    private func requireSameCredentials(
        _ call: Call, from present: CloudConfiguration, to new: CloudConfiguration
    ) throws(API.Problem) {
        guard call.identity?.role != .administrator else { return }
        let before = Dictionary(
            present.consumers.map { ($0.id, $0.credentials) }, uniquingKeysWith: { first, _ in first })
        let changed = new.consumers.filter { Set($0.credentials) != Set(before[$0.id] ?? []) }
        guard changed.isEmpty else {
            throw .forbidden(
                "This changes the credentials of \(changed.map(\.id.rawValue).joined(separator: ", ")), which takes "
                    + "the role administrator; leave them as they are.")
        }
    }
}

/// A configuration as a text: the YAML that a file has, or the same resources in one JSON object.
struct ConfigurationText {
    static let yamlMediaType = "application/yaml"

    static let schema: JSONValue = [
        "type": "object", "required": ["resources"],
        "description": "The documents of a configuration file; the same as application/yaml, one document each.",
        "properties": [
            "resources": [
                "type": "array",
                "items": [
                    "type": "object", "required": ["apiVersion", "kind", "metadata", "spec"],
                    "properties": [
                        "apiVersion": ["type": "string", "const": "cloudwright/v1"],
                        "kind": [
                            "type": "string", "enum": .array(ResourceKind.allCases.map { .string($0.rawValue) }),
                        ],
                        "metadata": [
                            "type": "object", "required": ["name"], "properties": ["name": ["type": "string"]],
                        ],
                        "spec": ["type": "object", "description": "As the configuration reference says."],
                    ],
                ],
            ]
        ],
    ]

    let yaml: String

    init(_ document: ConfigurationDocument) { yaml = document.yaml }

    var entityTag: String { Handlers.entityTag(of: Array(yaml.utf8)) }

    var json: [UInt8] {
        get throws {
            let resources = try compose_all(yaml: yaml).map(Self.value)
            return JSON.bytes(of: JSONValue.object(["resources": .array(resources)]))
        }
    }

    /// What is written without quotes and reads as a whole number or a truth value is one; all else is text.
    private static func value(_ node: Node) -> JSONValue {
        switch node {
        case .mapping(let mapping):
            return .object(
                Dictionary(
                    mapping.map { ($0.key.string ?? "", value($0.value)) }, uniquingKeysWith: { first, _ in first }))
        case .sequence(let sequence): return .array(sequence.map(value))
        case .scalar(let scalar):
            guard scalar.style == .plain || scalar.style == .any else { return .string(scalar.string) }
            switch scalar.string {
            case "true": return true
            case "false": return false
            case let text: return Int64(text).map { .integer($0) } ?? .string(text)
            }
        case .alias(let alias): return .string(alias.anchor.rawValue)
        }
    }

    static func read(yaml bytes: [UInt8]) throws(API.Problem) -> ConfigurationDocument {
        guard let text = String(validating: bytes, as: UTF8.self) else {
            throw .invalid("The body is not UTF-8 text; save the file as UTF-8.")
        }
        do { return try ConfigurationDocument(parsing: text, file: "body") } catch {
            throw .invalid(
                "The configuration has \(error.faults.count) faults; nothing was changed.",
                faults: error.faults.map { fault in
                    API.Fault(detail: "line \(fault.line), column \(fault.column): \(fault.message); \(fault.remedy)")
                })
        }
    }

    private struct Resources: Decodable {
        var resources: [JSONValue]
    }

    static func read(json bytes: [UInt8]) throws(API.Problem) -> ConfigurationDocument {
        let resources: [JSONValue]
        do { resources = try JSONDecoder().decode(Resources.self, from: Data(bytes)).resources } catch {
            throw .invalid(
                "The body is no JSON object with the list 'resources'; send one, or YAML as application/yaml.")
        }
        // JSON is YAML: resource `n` (from 0) becomes the document that stands in line 2n + 2.
        let text = resources.map { "---\n" + String(decoding: JSON.bytes(of: $0), as: UTF8.self) + "\n" }.joined()
        do { return try ConfigurationDocument(parsing: text, file: "body") } catch {
            throw .invalid(
                "The configuration has \(error.faults.count) faults; nothing was changed.",
                faults: error.faults.map { fault in
                    API.Fault(
                        detail: "\(fault.message); \(fault.remedy)",
                        pointer: resources.isEmpty ? "/resources" : "/resources/\(max(0, fault.line / 2 - 1))")
                })
        }
    }
}

public import CloudModel
import Yams

extension ConfigurationDocument {
    /// The document as a file that reads back as the same: the cloud, then consumers, services, failover groups and
    /// price plans, physical servers, each by name. What has its default is left out.
    public var yaml: String {
        var documents = [
            Self.document(
                .cloud, settings.name,
                .spec(of: settings, channels: configuration.administratorChannels, configuration.rebalancing))
        ]
        documents += Self.documents(of: configuration)
        return Self.text(documents)
    }

    /// The resources without the platform's settings: what can be exported over the administration API. Not a whole
    /// file: `kind: Cloud` is missing.
    public static func yaml(of configuration: CloudConfiguration) -> String { text(documents(of: configuration)) }

    private static func documents(of configuration: CloudConfiguration) -> [ResourceTree] {
        configuration.consumers.map { document(.consumer, $0.id.rawValue, .spec(of: $0)) }
            + configuration.services.map { document(.service, $0.id.rawValue, .spec(of: $0)) }
            + configuration.failoverGroups.map { document(.failoverGroup, $0.id.rawValue, .spec(of: $0)) }
            + configuration.pricePlans.map { document(.pricePlan, $0.id.rawValue, .spec(of: $0)) }
            + configuration.physicalServers.map { document(.physicalServer, $0.id.rawValue, .spec(of: $0)) }
    }

    private static func document(_ kind: ResourceKind, _ name: String, _ spec: ResourceTree) -> ResourceTree {
        var document = MappingBuilder()
        document.add("apiVersion", .plain("cloudwright/v1"))
        document.add("kind", .plain(kind.rawValue))
        document.add("metadata") { $0.add("name", text: name) }
        document.add("spec", spec)
        return document.tree.withoutDefaults
    }

    private static func text(_ documents: [ResourceTree]) -> String {
        documents.map { document in
            // Only a tree that is not one, or no memory, makes the emitter fail: neither can be here.
            guard let text = try? serialize(node: document.node, width: -1, allowUnicode: true) else {
                preconditionFailure("a resource cannot be written as YAML")
            }
            return text
        }.joined(separator: "---\n")
    }
}

extension ResourceTree {
    fileprivate var node: Node {
        switch self {
        case .plain(let text): return Node(text, Tag(.implicit), .plain)
        case .text(let text): return Node(text, Tag(.implicit), Self.isPlain(text) ? .plain : .doubleQuoted)
        case .list(let items):
            let isFlat = items.allSatisfy { if case .mapping = $0 { false } else { true } }
            return Node(items.map(\.node), Tag(.implicit), isFlat ? .flow : .block)
        case .mapping(let entries):
            let pairs = entries.map {
                (Node($0.key, Tag(.implicit), Self.isPlain($0.key) ? .plain : .doubleQuoted), $0.value.node)
            }
            return Node(pairs, Tag(.implicit), entries.isEmpty ? .flow : .block)
        }
    }

    /// Whether any reader of YAML, of version 1.1 too, takes the unquoted text for a text.
    private static func isPlain(_ text: String) -> Bool {
        guard let first = text.utf8.first, isLetter(first) || first == UInt8(ascii: "/") else { return false }
        let safe = text.utf8.allSatisfy { byte in
            isLetter(byte) || (0x30...0x39).contains(byte) || "/._-@".utf8.contains(byte)
        }
        let words = ["y", "n", "yes", "no", "on", "off", "true", "false", "null"]
        return safe && !words.contains(text.lowercased())
    }

    private static func isLetter(_ byte: UInt8) -> Bool { (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte) }
}

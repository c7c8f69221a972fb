public import CloudModel

/// What applying a configuration changes in one resource.
public struct ResourceDifference: Hashable, Sendable {
    public var kind: ResourceKind
    public var name: String
    public var change: Change
    /// By path, in the order of the reference.
    public var fields: [FieldDifference]

    public enum Change: String, Hashable, Sendable, CaseIterable {
        case created, changed, removed
    }

    public init(kind: ResourceKind, name: String, change: Change, fields: [FieldDifference]) {
        self.kind = kind
        self.name = name
        self.change = change
        self.fields = fields
    }

    /// The most that any of its fields asks for.
    public var effect: FieldDifference.Effect { fields.map(\.effect).max() ?? .immediate }
}

/// One field that changes.
public struct FieldDifference: Hashable, Sendable, CustomStringConvertible {
    public var path: String
    /// As in a file; nil where it is not set.
    public var old: String?
    public var new: String?
    public var effect: Effect

    /// When the change takes effect.
    public enum Effect: Int, Hashable, Sendable, Comparable {
        case immediate
        /// Running instances go on as they are: it counts for those that are started from now on.
        case atInstanceStart
        /// The platform has to be restarted.
        case atPlatformRestart

        public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }
    }

    public init(path: String, old: String?, new: String?, effect: Effect) {
        self.path = path
        self.old = old
        self.new = new
        self.effect = effect
    }

    public var description: String {
        let when =
            switch effect {
            case .immediate: ""
            case .atInstanceStart: " (for instances started from now on)"
            case .atPlatformRestart: " (needs a restart of the platform)"
            }
        return "\(path): \(old ?? "not set") -> \(new ?? "not set")\(when)"
    }
}

extension ConfigurationDocument {
    /// What applying `new` changes, by kind and name; empty where nothing does.
    public static func difference(from old: CloudConfiguration, to new: CloudConfiguration) -> [ResourceDifference] {
        var all: [ResourceDifference] = []
        all += difference(
            .consumer, old.consumers.map { ($0.id.rawValue, .spec(of: $0)) },
            new.consumers.map { ($0.id.rawValue, .spec(of: $0)) })
        all += difference(
            .service, old.services.map { ($0.id.rawValue, .spec(of: $0)) },
            new.services.map { ($0.id.rawValue, .spec(of: $0)) })
        all += difference(
            .failoverGroup, old.failoverGroups.map { ($0.id.rawValue, .spec(of: $0)) },
            new.failoverGroups.map { ($0.id.rawValue, .spec(of: $0)) })
        all += difference(
            .pricePlan, old.pricePlans.map { ($0.id.rawValue, .spec(of: $0)) },
            new.pricePlans.map { ($0.id.rawValue, .spec(of: $0)) })
        all += difference(
            .physicalServer, old.physicalServers.map { ($0.id.rawValue, .spec(of: $0)) },
            new.physicalServers.map { ($0.id.rawValue, .spec(of: $0)) })
        return all
    }

    /// The same with the platform's settings and the administrators' channels, which stand in the same document.
    public static func difference(from old: ConfigurationDocument, to new: ConfigurationDocument)
        -> [ResourceDifference]
    {
        let cloud = fields(
            .cloud,
            .spec(of: old.settings, channels: old.configuration.administratorChannels, old.configuration.rebalancing),
            .spec(of: new.settings, channels: new.configuration.administratorChannels, new.configuration.rebalancing))
        var all = cloud
        if old.settings.name != new.settings.name {
            all.insert(
                FieldDifference(
                    path: "metadata.name", old: old.settings.name, new: new.settings.name,
                    effect: .atPlatformRestart), at: 0)
        }
        let changed =
            all.isEmpty
            ? [] : [ResourceDifference(kind: .cloud, name: new.settings.name, change: .changed, fields: all)]
        return changed + difference(from: old.configuration, to: new.configuration)
    }

    private static func difference(
        _ kind: ResourceKind, _ old: [(name: String, spec: ResourceTree)], _ new: [(name: String, spec: ResourceTree)]
    ) -> [ResourceDifference] {
        let before = Dictionary(old.map { ($0.name, $0.spec) }, uniquingKeysWith: { first, _ in first })
        let after = Dictionary(new.map { ($0.name, $0.spec) }, uniquingKeysWith: { first, _ in first })
        return Set(before.keys).union(after.keys).sorted().compactMap { name in
            switch (before[name], after[name]) {
            case (let old?, let new?):
                let fields = fields(kind, old, new)
                return fields.isEmpty
                    ? nil : ResourceDifference(kind: kind, name: name, change: .changed, fields: fields)
            case (nil, let new?):
                let fields = fields(kind, .mapping([]), new.withoutDefaults)
                return ResourceDifference(kind: kind, name: name, change: .created, fields: fields)
            case (let old?, nil):
                let fields = fields(kind, old.withoutDefaults, .mapping([]))
                return ResourceDifference(kind: kind, name: name, change: .removed, fields: fields)
            case (nil, nil): return nil
            }
        }
    }

    private static func fields(_ kind: ResourceKind, _ old: ResourceTree, _ new: ResourceTree) -> [FieldDifference] {
        let old = old.fields(under: "spec"), new = new.fields(under: "spec")
        let before = Dictionary(old.map { ($0.path, $0.value) }, uniquingKeysWith: { first, _ in first })
        let after = Dictionary(new.map { ($0.path, $0.value) }, uniquingKeysWith: { first, _ in first })
        let removed = old.map(\.path).filter { after[$0] == nil }
        return (new.map(\.path) + removed).filter { before[$0] != after[$0] }.map { path in
            FieldDifference(path: path, old: before[path], new: after[path], effect: effect(kind, path))
        }
    }

    private static func effect(_ kind: ResourceKind, _ path: String) -> FieldDifference.Effect {
        switch kind {
        case .cloud:
            path.hasPrefix("spec.notifications") || path.hasPrefix("spec.rebalancing")
                ? .immediate : .atPlatformRestart
        case .service:
            path.hasPrefix("spec.process.") || path.hasPrefix("spec.virtualServer.") ? .atInstanceStart : .immediate
        case .consumer, .failoverGroup, .pricePlan, .physicalServer: .immediate
        }
    }
}

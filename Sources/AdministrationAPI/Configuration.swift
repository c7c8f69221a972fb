extension API {
    /// What applying a configuration does to one resource.
    public struct ResourceChange: WireType {
        public var kind: String
        public var name: String
        public var change: ChangeKind
        public var details: [String]

        public init(kind: String, name: String, change: ChangeKind, details: [String]) {
            self.kind = kind
            self.name = name
            self.change = change
            self.details = details
        }

        public static let summary = "What applying a configuration does to one resource."
        public static let fields = [
            "kind": "`CloudService`, `CloudConsumer`, `FailoverGroup` or `Cloud`.",
            "name": "The resource's name.",
            "change": "What happens to it.",
            "details": "The fields that change: path, old value, new value, and when it takes effect if not at once.",
        ]
    }

    /// What applying a configuration changes, or would change.
    public struct ConfigurationOutcome: WireType {
        public var applied: Bool
        public var changes: [ResourceChange]

        public init(applied: Bool, changes: [ResourceChange]) {
            self.applied = applied
            self.changes = changes
        }

        public static let summary = "What applying a configuration changes, or would change."
        public static let fields = [
            "applied": "Whether it was done; false for a dry run.",
            "changes": "By kind and name.",
        ]
    }
}

import CloudModel

/// A resource as it stands in a file: what the writer writes and what differences are taken from.
indirect enum ResourceTree: Hashable {
    /// A number, quantity or word of the format.
    case plain(String)
    /// A text of the operator's, to be quoted where it could be read as something else.
    case text(String)
    case list([ResourceTree])
    case mapping([Entry])

    struct Entry: Hashable {
        var key: String
        var value: ResourceTree
        /// It counts also where it is left out.
        var isDefault: Bool
    }

    /// Without the entries that need not be written, and the mappings that would be empty.
    var withoutDefaults: ResourceTree {
        switch self {
        case .plain, .text: self
        case .list(let items): .list(items.map(\.withoutDefaults))
        case .mapping(let entries):
            .mapping(
                entries.filter { !$0.isDefault }.map { entry in
                    Entry(key: entry.key, value: entry.value.withoutDefaults, isDefault: false)
                })
        }
    }

    /// The value of every field by its path (`spec.routes[0].path`), as it is shown to people. Items of a list of
    /// mappings that have an `id` are told apart by it.
    func fields(under path: String = "") -> [(path: String, value: String)] {
        switch self {
        case .plain(let text), .text(let text): return [(path, text)]
        case .list(let items):
            guard items.contains(where: \.isMapping) else {
                return [(path, "[\(items.map(\.shown).joined(separator: ", "))]")]
            }
            return items.enumerated().flatMap { index, item in
                item.fields(under: "\(path)[\(item.identity ?? String(index))]")
            }
        case .mapping(let entries):
            return entries.flatMap { $0.value.fields(under: path.isEmpty ? $0.key : "\(path).\($0.key)") }
        }
    }

    private var isMapping: Bool { if case .mapping = self { true } else { false } }

    private var identity: String? {
        guard case .mapping(let entries) = self, let id = entries.first(where: { $0.key == "id" }) else { return nil }
        return id.value.shown
    }

    private var shown: String {
        switch self {
        case .plain(let text): text
        case .text(let text): text.contains(where: { " ,\"'".contains($0) }) || text.isEmpty ? "'\(text)'" : text
        case .list, .mapping: fields().map(\.value).joined(separator: " ")
        }
    }
}

/// Builds a mapping, in the order of the reference.
struct MappingBuilder {
    private(set) var entries: [ResourceTree.Entry] = []

    var tree: ResourceTree { .mapping(entries) }

    /// A field that is written whenever it has a value.
    mutating func add(_ key: String, _ value: ResourceTree?) {
        if let value { entries.append(ResourceTree.Entry(key: key, value: value, isDefault: false)) }
    }

    mutating func add(_ key: String, text: String?) { add(key, text.map { .text($0) }) }

    mutating func add(_ key: String, list: [ResourceTree]) { if !list.isEmpty { add(key, .list(list)) } }

    /// A field that need not be written where it has its default.
    mutating func add<Value: Equatable>(
        _ key: String, _ value: Value, default usual: Value, _ shown: (Value) -> ResourceTree
    ) {
        entries.append(ResourceTree.Entry(key: key, value: shown(value), isDefault: value == usual))
    }

    mutating func add(_ key: String, _ value: Int, default usual: Int) {
        add(key, value, default: usual) { .plain(String($0)) }
    }

    mutating func add(_ key: String, _ value: TimeSpan, default usual: TimeSpan) {
        add(key, value, default: usual) { .plain($0.text) }
    }

    mutating func add<Value: RawRepresentable<String> & Equatable>(_ key: String, _ value: Value, default usual: Value)
    {
        add(key, value, default: usual) { .plain($0.rawValue) }
    }

    mutating func add(_ key: String, number: Int?) { add(key, number.map { .plain(String($0)) }) }

    mutating func add(_ key: String, size: ByteCount?) { add(key, size.map { .plain($0.text) }) }

    /// A mapping of its own; not written where all in it are defaults.
    mutating func add(_ key: String, _ build: (inout MappingBuilder) -> Void) {
        var builder = MappingBuilder()
        build(&builder)
        guard !builder.entries.isEmpty else { return }
        let isDefault = builder.entries.allSatisfy(\.isDefault)
        entries.append(ResourceTree.Entry(key: key, value: builder.tree, isDefault: isDefault))
    }
}

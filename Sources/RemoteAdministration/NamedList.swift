/// What is asked for of a list by name that may be long: what fits a search, from a name on, so many of them.
struct NamedList {
    /// Parameters of every such list. Without a limit the whole list is given, as long as it is.
    static let parameters: [QueryParameter] = [
        QueryParameter("search", "Only what has this text in its name or what it belongs to; case does not count."),
        QueryParameter("cursor", "Where the list goes on: `nextCursor` of the part before."),
        QueryParameter("limit", .integer(1...1_000), "So many entries at most; all if not given."),
    ]

    private let sought: String?
    private let after: String?
    private let limit: Int?

    init(_ query: QueryValues) {
        sought = query.text("search")?.lowercased()
        after = query.text("cursor")
        limit = query.integer("limit").map { Int($0) }
    }

    /// The part of the items that was asked for, by name, and the cursor of the next one; nil at the end.
    ///
    /// - Parameters:
    ///   - name: unlike any other item's.
    ///   - words: what a search looks through.
    func part<Item>(
        of items: [Item], name: (Item) -> String, words: (Item) -> [String]
    ) -> (items: [Item], next: String?) {
        let found = items.filter { item in
            if let after, name(item) <= after { return false }
            guard let sought else { return true }
            return words(item).contains { $0.lowercased().contains(sought) }
        }
        .sorted { name($0) < name($1) }
        guard let limit, found.count > limit else { return (found, nil) }
        let part = Array(found.prefix(limit))
        return (part, part.last.map(name))
    }
}

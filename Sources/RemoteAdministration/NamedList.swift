import AdministrationAPI
import CloudModel

/// What a list is sorted by.
enum SortValue: Hashable, Sendable, Comparable {
    case number(Double)
    case text(String)

    init(_ number: some BinaryInteger) { self = .number(Double(number)) }
    init(_ time: Timestamp) { self = .number(Double(time.microseconds)) }
    init(_ moment: Moment?) { self.init(moment.flatMap { Timestamp(rfc3339: $0.rfc3339) } ?? .epoch) }
    /// What is not there comes before everything that is.
    init(_ identifier: Identifier<some Any>?) { self = .text(identifier?.rawValue ?? "") }

    static func < (left: Self, right: Self) -> Bool {
        switch (left, right) {
        case (.number(let left), .number(let right)): left < right
        // By code units, so that every machine gives the same order.
        case (.text(let left), .text(let right)): left.utf8.lexicographicallyPrecedes(right.utf8)
        case (.number, .text): true
        case (.text, .number): false
        }
    }

    /// As a cursor carries it; `Double` writes as many digits as it takes to read the same value again.
    fileprivate var written: String {
        switch self {
        case .number(let number): "n\(number)"
        case .text(let text): "t\(text)"
        }
    }

    fileprivate init?(written: Substring) {
        switch written.first {
        case "n":
            guard let number = Double(written.dropFirst()), !number.isNaN else { return nil }
            self = .number(number)
        case "t": self = .text(String(written.dropFirst()))
        default: return nil
        }
    }
}

/// How a list that the platform has in memory is searched, sorted and read in parts. It is declared once, beside the
/// list's route: the route's parameters and what its handler does follow from it.
struct NamedList<Item>: Sendable {
    /// What the first column is called; the order if no other is asked for.
    private let title: String
    /// Unlike any other item's.
    private let name: @Sendable (Item) -> String
    /// What a search looks through.
    private let words: @Sendable (Item) -> [String]
    private let columns: [(title: String, value: @Sendable (Item) -> SortValue)]

    /// - Parameter columns: what else it can be sorted by.
    init(
        by title: String = "name", name: @escaping @Sendable (Item) -> String,
        words: @escaping @Sendable (Item) -> [String],
        columns: KeyValuePairs<String, @Sendable (Item) -> SortValue> = [:]
    ) {
        self.title = title
        self.name = name
        self.words = words
        self.columns = columns.map { ($0.key, $0.value) }
    }

    /// Parameters of the route. Without a limit the whole list is given, as long as it is.
    var parameters: [QueryParameter] {
        let titles = [title] + columns.map(\.title)
        return [
            QueryParameter(
                "search", "Only what has this text in its name or what it belongs to; case does not count."),
            QueryParameter(
                "sort", .oneOf(titles + titles.map { "-\($0)" }),
                "The order, `-` for descending; \(title) if not given."
            ),
            QueryParameter("cursor", "Where the list goes on: `nextCursor` of the part before, in the same order."),
            QueryParameter("limit", .integer(1...1_000), "So many entries at most; all if not given."),
        ]
    }

    /// The part of the items that was asked for, and the cursor of the next one; nil at the end.
    func part(of items: [Item], _ query: QueryValues) throws(API.Problem) -> (items: [Item], next: String?) {
        let sought = query.text("search")?.lowercased()
        let sort = query.text("sort") ?? title
        let isDescending = sort.hasPrefix("-")
        let chosen = columns.first { $0.title == sort.drop { $0 == "-" } }
        var start: Place?
        if let cursor = query.text("cursor") { start = try place(cursor, hasValue: chosen != nil) }
        var found: [(place: Place, item: Item)] = []
        for item in items {
            if let sought, !words(item).contains(where: { $0.lowercased().contains(sought) }) { continue }
            let place = Place(value: chosen?.value(item), name: name(item))
            if let start, isDescending ? !(place < start) : !(start < place) { continue }
            found.append((place, item))
        }
        found.sort { isDescending ? $1.place < $0.place : $0.place < $1.place }
        guard let limit = query.integer("limit").map({ Int($0) }), found.count > limit else {
            return (found.map(\.item), nil)
        }
        return (found.prefix(limit).map(\.item), found[limit - 1].place.cursor)
    }

    /// Where an item stands in the order.
    private struct Place {
        /// Nil where the order is that of names.
        var value: SortValue?
        var name: String

        static func < (left: Self, right: Self) -> Bool {
            if let first = left.value, let second = right.value, first != second { return first < second }
            return left.name.utf8.lexicographicallyPrecedes(right.name.utf8)
        }

        /// The name alone, or the value's length, the value, and the name.
        var cursor: String {
            guard let text = value?.written else { return name }
            return "\(text.utf8.count):\(text)\(name)"
        }
    }

    private func place(_ cursor: String, hasValue: Bool) throws(API.Problem) -> Place {
        guard hasValue else { return Place(value: nil, name: cursor) }
        if let colon = cursor.firstIndex(of: ":"), let length = Int(cursor[..<colon]), length > 0 {
            let rest = cursor.utf8[cursor.utf8.index(after: colon)...]
            if length <= rest.count, let text = String(rest.prefix(length)), let value = SortValue(written: text[...]),
                let name = String(rest.dropFirst(length))
            {
                return Place(value: value, name: name)
            }
        }
        throw .invalid("'\(cursor)' is no cursor of a list in this order; begin again without one.")
    }
}

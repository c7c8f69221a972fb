import AdministrationAPI
import CloudPorts

/// What a caller must be allowed to do to use a route.
enum Right: String, Hashable, Sendable, CaseIterable {
    /// Nobody is asked who they are.
    case open
    /// Any valid token but a reporter's; the role `consumer` sees what is its consumer's own.
    case own
    /// Reads everything.
    case read
    /// Reports use that was counted elsewhere.
    case report
    /// Changes everything but administrators and credentials.
    case operate
    /// Everything.
    case administer

    func permits(_ role: Administrator.Role) -> Bool {
        switch self {
        case .open: true
        case .own: role != .reporter
        case .read: role != .consumer && role != .reporter
        case .report: role == .administrator || role == .operator || role == .reporter
        case .operate: role == .administrator || role == .operator
        case .administer: role == .administrator
        }
    }

    /// The roles that have the right, for people.
    var roles: String {
        Administrator.Role.allCases.filter(permits).map(\.rawValue).joined(separator: ", ")
    }
}

enum Method: String, Hashable, Sendable, CaseIterable {
    case get = "GET"
    case post = "POST"
    case put = "PUT"
    case patch = "PATCH"
    case delete = "DELETE"
}

/// One thing that the API can do. The table of routes is the only description of the API: requests are matched,
/// authorised and read by it, and the API document is made of it.
struct Route: Sendable {
    struct RequestBody: Sendable {
        /// Nil for a body that has no wire type.
        var type: (any WireType.Type)?
        /// The schema of a body that has no wire type.
        var schema: JSONValue?
        var mediaTypes: [String]
        /// Of a streamed body the server's settings say it.
        var limitInBytes: Int
        /// It is passed to the handler as it comes.
        var isStreamed = false

        static func json(_ type: any WireType.Type) -> Self {
            RequestBody(type: type, mediaTypes: [JSON.mediaType], limitInBytes: 65_536)
        }
    }

    struct Answer: Sendable {
        var status: Int
        var meaning: String
        /// Nil for no body, or one that has no wire type.
        var type: (any WireType.Type)?
        /// The schema of a body that has no wire type.
        var schema: JSONValue?
        /// Nil for no body.
        var mediaType: String?
        /// By name on the wire: what each header means.
        var headers: [String: String] = [:]

        static func json(
            _ type: any WireType.Type, _ meaning: String, status: Int = 200, headers: [String: String] = [:]
        ) -> Self {
            Answer(status: status, meaning: meaning, type: type, mediaType: JSON.mediaType, headers: headers)
        }

        static func text(_ mediaType: String, _ meaning: String) -> Self {
            Answer(status: 200, meaning: meaning, mediaType: mediaType)
        }

        static func noContent(_ meaning: String) -> Self { Answer(status: 204, meaning: meaning) }
    }

    var name: String
    var method: Method
    /// From the root of the server; `{name}` is a placeholder for one segment.
    var path: String
    var right: Right
    var summary: String
    var query: [QueryParameter] = []
    var body: RequestBody?
    /// If-Match must say which version the change is based on.
    var needsIfMatch = false
    var answer: Answer
    /// The body has a secret that people chose: nothing made of it is kept, not even to know it again.
    var hasWeakSecret = false
    /// Other statuses that this route can answer with, beyond those that follow from its properties.
    var refusals: [Int] = []
    var handler: @Sendable (Handlers, Call) async throws -> Reply

    var segments: [Substring] { path.split(separator: "/") }
    var placeholders: [String] {
        segments.filter { $0.hasPrefix("{") }.map { String($0.dropFirst().dropLast()) }
    }

    /// Whether the route can be tried without changing anything; then it needs no If-Match.
    var isTrial: Bool { query.contains { $0.name == "dryRun" } }

    private var takesStream: Bool { body?.isStreamed ?? false }

    /// Whether a repeated request with the same Idempotency-Key is answered as the first one was.
    var isRepeatable: Bool { method != .get && right != .open && !hasWeakSecret && !takesStream }

    /// All error statuses that the route can answer with.
    var errors: [Int] {
        var statuses: Set<Int> = Set(refusals)
        // A known path may be asked for with a query that is not known.
        statuses.insert(400)
        if right != .open { statuses.formUnion([401, 429, 503]) }
        if right != .open, right != .own { statuses.insert(403) }
        if !placeholders.isEmpty { statuses.insert(404) }
        if body != nil { statuses.formUnion([413, 415]) }
        if needsIfMatch { statuses.formUnion([412, 428]) }
        if isRepeatable { statuses.formUnion([409, 422]) }
        return statuses.sorted()
    }

    /// The placeholders' values where the path is the route's; nil where it is not.
    func match(_ path: [String]) -> [String: String]? {
        let own = segments
        guard own.count == path.count else { return nil }
        var values: [String: String] = [:]
        for (pattern, segment) in zip(own, path) {
            if pattern.hasPrefix("{") {
                guard !segment.isEmpty else { return nil }
                values[String(pattern.dropFirst().dropLast())] = segment
            } else if pattern != segment[...] {
                return nil
            }
        }
        return values
    }
}

/// Where a request leads.
enum Destination {
    case route(Route, placeholders: [String: String])
    case wrongMethod(allowed: [String])
    case unknown
}

enum RouteTable {
    static let all: [Route] =
        platform + overview + services + scaling + sizes + instances + traffic + infrastructure + consoles + images
        + consumers + bills + budgets
        + configuration + operations + events + usage + cloudEvents
        + audit + erasure + integrity + notifications + administrators + secondFactor + console

    /// HEAD is answered as GET is, without the body.
    static func destination(method: String, path: String) -> Destination {
        let segments = path.split(separator: "/", omittingEmptySubsequences: false).dropFirst()
            .map { QueryValues.decoded($0, plusIsSpace: false) }
        let decoded = segments.compactMap { $0 }
        guard path.hasPrefix("/"), decoded.count == segments.count else { return .unknown }
        let matches = all.compactMap { route in route.match(decoded).map { (route, $0) } }
        // A literal segment goes before a placeholder: `/events/stream` before `/events/{position}`.
        let fewest = matches.map(\.1.count).min()
        let best = matches.filter { $0.1.count == fewest }
        let wanted = method == "HEAD" ? Method.get.rawValue : method
        if let (route, placeholders) = best.first(where: { $0.0.method.rawValue == wanted }) {
            return .route(route, placeholders: placeholders)
        }
        guard !best.isEmpty else { return .unknown }
        var allowed = best.map(\.0.method.rawValue)
        if allowed.contains("GET") { allowed.append("HEAD") }
        return .wrongMethod(allowed: allowed.sorted())
    }
}

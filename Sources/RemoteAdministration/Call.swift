import AdministrationAPI
import CloudModel
import CloudPorts
import Credentials
import Hummingbird

/// Who calls: the administrator that a token belongs to.
struct Identity: Hashable, Sendable {
    var name: String
    var role: Administrator.Role
    /// For the role `consumer`: whom it speaks for, and the only one that it sees.
    var consumer: ConsumerID?
    var expiresAt: Timestamp?
    /// The console's session that the request belongs to; nil where it carries a token.
    var session: KeyDigest?

    init(_ administrator: Administrator, session: KeyDigest? = nil) {
        self.session = session
        name = administrator.name
        role = administrator.role
        consumer = administrator.consumer
        expiresAt = administrator.expiresAt
    }
}

/// A request that has been routed, authorised and read.
struct Call: Sendable {
    var route: Route
    /// Without query.
    var path: String
    /// Values of the path's placeholders.
    var placeholders: [String: String]
    var query: QueryValues
    /// By lower-case name.
    var headers: [String: String]
    var body: [UInt8]
    /// A body that is passed on as it comes; nil where the route takes none.
    var upload: RequestBody?
    /// The caller's address, without port.
    var source: String
    var receivedAt: Timestamp
    /// Nil only where the route asks nobody who they are.
    var identity: Identity?

    /// Who is written into the event log.
    var actor: String { identity?.name ?? "anonymous" }

    /// The placeholder's value. The route's path names it, or the route table is wrong.
    func placeholder(_ name: String) -> String { placeholders[name] ?? "" }

    /// Whether the caller asks for a page for people.
    var wantsHTML: Bool { headers["accept"]?.contains("text/html") ?? false }
}

/// What a handler answers.
struct Reply: Sendable {
    enum Body: Sendable {
        case bytes([UInt8], mediaType: String)
        case none
        /// Written piece by piece until it returns; every piece waits until the last one has left.
        case stream(mediaType: String, @Sendable (any PieceWriter) async throws -> Void)
        /// The connection is a WebSocket until it returns; nil where it could not become one.
        case webSocket(@Sendable (WebSocketConnection?) async -> Void)
    }

    var status: Int
    /// By lower-case name.
    var headers: [String: String] = [:]
    var body: Body
    /// What is kept for a repeated request where it is not `body`: an answer without its secret.
    var repeatableBody: [UInt8]?

    static func json(_ value: some WireType, status: Int = 200, headers: [String: String] = [:]) -> Reply {
        Reply(
            status: status, headers: headers, body: .bytes(JSON.bytes(of: value), mediaType: JSON.mediaType))
    }

    static let noContent = Reply(status: 204, body: .none)
}

/// Takes the pieces of a streamed body.
protocol PieceWriter: Sendable {
    func write(_ piece: String) async throws
}

/// How long a list may be and where it goes on.
struct PageRequest {
    /// The cursor; nil where the list begins.
    var given: Int64?
    var limit: Int

    var after: Int64 { given ?? 0 }

    init(_ query: QueryValues) {
        given = query.integer("cursor")
        limit = Int(query.integer("limit") ?? 100)
    }
}

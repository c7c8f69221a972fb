/// A request method. Names are case-sensitive (RFC 9110 section 9.1), so `get` is an extension method.
public enum RequestMethod: UInt8, Hashable, Sendable, CaseIterable {
    case get, head, post, put, delete, connect, options, trace, patch
    /// Any other token; its name is in `RequestHead.methodRange`.
    case other

    /// The client asks for no change (RFC 9110 section 9.2.1). Of an unknown method nothing is promised.
    @inlinable
    public var isSafe: Bool {
        switch self {
        case .get, .head, .options, .trace: true
        case .post, .put, .delete, .connect, .patch, .other: false
        }
    }

    /// Several of the same have the effect of one (RFC 9110 section 9.2.2): may be sent again when a connection broke.
    @inlinable
    public var isIdempotent: Bool { isSafe || self == .put || self == .delete }
}

/// The version of a message. A higher minor version of HTTP/1 counts as 1.1 (RFC 9110 section 6.2).
public enum HTTPVersion: UInt8, Hashable, Sendable, CaseIterable {
    case http10, http11
}

/// How the end of a message's body is found (RFC 9112 section 6.3).
@frozen
public enum BodyFraming: Hashable, Sendable {
    case none
    /// Octets, at most `Int64.max`. Zero octets is `none` for a request and `length(0)` for a response, where the
    /// field itself has to be passed on.
    case length(UInt64)
    case chunked
    /// Responses only: the connection's end is the body's end.
    case untilClose
}

/// What became of the octets given to a head's parser.
public enum HeadOutcome: Hashable, Sendable {
    /// All octets so far may belong to a good head; give the same octets and more.
    case incomplete
    /// The head ends before this offset; what follows is its body, or the next message.
    case complete(length: Int)
    /// The message has no certain end: answer, then close the connection.
    case malformed(MessageFault)
}

/// How much a head may hold.
@frozen
public struct HeadLimits: Hashable, Sendable {
    /// Octets of the request line, its line end included; a longer one is 414. RFC 9112 section 3 asks for at least
    /// 8000.
    public var requestLine: Int
    /// Octets of the whole head, the request or status line included; a longer one is 431.
    public var head: Int
    /// Field lines; more are 431. HAProxy takes 101, Apache 100.
    public var fields: Int

    /// The longest head that can be configured, in octets.
    public static let ceiling = 1 << 20

    public init(requestLine: Int = 16 * 1024, head: Int = 32 * 1024, fields: Int = 100) {
        precondition(head >= 64 && head <= Self.ceiling, "a head takes 64 octets to 1 MiB")
        precondition(fields >= 1 && fields <= 1000, "a head takes 1 to 1000 fields")
        precondition(requestLine >= 32, "a request line takes at least 32 octets")
        self.requestLine = min(requestLine, head)
        self.head = head
        self.fields = fields
    }
}

/// Parses the head of an upstream server's response in place, as `RequestHead` does for requests. A malformed one is
/// a 502 for the client and the end of the upstream connection.
///
/// Interim responses (1xx) are heads without body: pass them on or drop them, `reset`, and parse the next.
public struct ResponseHead: ~Copyable {
    public let limits: HeadLimits
    public internal(set) var fields: HeadFields

    /// 100 to 999.
    public internal(set) var status = 0
    /// May be empty.
    public internal(set) var reason = OctetRange(0, 0)
    public internal(set) var version = HTTPVersion.http11
    public internal(set) var body = BodyFraming.none
    /// The upstream connection may be used again once the body was read to its end.
    public internal(set) var keepsAlive = true
    /// The protocol of a 101.
    public internal(set) var upgradeProtocol: OctetRange?

    private var cursor = 0
    private var scanned = 0
    private var hasStatusLine = false

    public init(limits: HeadLimits = HeadLimits()) {
        self.limits = limits
        fields = HeadFields(capacity: limits.fields)
    }

    /// Another head follows: 100 to 199 without 101, which ends HTTP on the connection.
    @inlinable
    public var isInterim: Bool { status < 200 && status != 101 }

    /// Forgets the message; call it before the next head. Nothing is released.
    public mutating func reset() {
        fields.removeAll()
        body = .none
        upgradeProtocol = nil
        cursor = 0
        scanned = 0
        hasStatusLine = false
    }

    /// Reads on in a head; see `RequestHead.parse`. `request` is the method that this answers: the answer to HEAD has
    /// no body whatever its fields say.
    public mutating func parse(_ buffer: UnsafeRawBufferPointer, answering request: RequestMethod) -> HeadOutcome {
        let octets = Octets(buffer)
        let limit = min(octets.count, limits.head)
        if scanned > cursor {
            let from = min(scanned, limit)
            if octets.firstIndex(of: .lineFeed, from: from, to: limit) == limit { return unfinished(octets.count) }
        }
        if !hasStatusLine {
            switch parseStatusLine(octets, end: limit) {
            case .incomplete: return unfinished(octets.count)
            case .malformed(let fault): return .malformed(fault)
            case .complete(let next):
                cursor = next
                hasStatusLine = true
            }
        }
        // RFC 9112 section 5.1: white space before the colon is removed from responses, since some servers send it.
        switch fields.parseLines(octets, cursor: &cursor, end: limit, allowsSpaceBeforeColon: true) {
        case .incomplete: return unfinished(octets.count)
        case .malformed(let fault): return .malformed(fault)
        case .complete(let length):
            if let fault = conclude(octets, request) { return .malformed(fault) }
            return .complete(length: length)
        }
    }

    private mutating func unfinished(_ count: Int) -> HeadOutcome {
        if count >= limits.head { return .malformed(.headTooLarge) }
        scanned = count
        return .incomplete
    }

    /// `HTTP-version SP status SP reason CRLF`; the second space may be missing where there is no reason, since some
    /// servers leave it out and nothing can be read into it.
    private mutating func parseStatusLine(_ octets: Octets, end: Int) -> LinesOutcome {
        guard end > 0 else { return .incomplete }
        guard octets[0] == UInt8(ascii: "H") else { return .malformed(.invalidStatusLine) }
        switch MessageVersion.parse(octets, 0, end) {
        case .incomplete: return .incomplete
        case .malformed(let fault): return .malformed(fault ?? .invalidStatusLine)
        case .parsed(let parsed): version = parsed
        }
        var lineEnd = octets.firstControl(from: MessageVersion.length, to: end)
        while lineEnd < end, octets[lineEnd] == .tab { lineEnd = octets.firstControl(from: lineEnd &+ 1, to: end) }
        guard lineEnd < end else { return .incomplete }
        guard octets[lineEnd] == .carriageReturn else {
            return .malformed(octets[lineEnd] == .lineFeed ? .bareLineFeed : .controlInValue)
        }
        guard lineEnd &+ 1 < end else { return .incomplete }
        guard octets[lineEnd &+ 1] == .lineFeed else { return .malformed(.bareCarriageReturn) }

        let codeStart = MessageVersion.length &+ 1
        let codeEnd = codeStart &+ 3
        guard codeEnd <= lineEnd, octets[codeStart &- 1] == .space,
            octets[codeStart].isDigit, octets[codeStart &+ 1].isDigit, octets[codeStart &+ 2].isDigit,
            octets[codeStart] != UInt8(ascii: "0"), codeEnd == lineEnd || octets[codeEnd] == .space
        else { return .malformed(.invalidStatusLine) }
        status = 0
        for index in codeStart..<codeEnd { status = status &* 10 &+ Int(octets[index] &- UInt8(ascii: "0")) }
        reason = OctetRange(min(codeEnd &+ 1, lineEnd), lineEnd)
        return .complete(lineEnd &+ 2)
    }

    /// RFC 9112 section 6.3, the strict reading: what a server ought not to send is refused rather than guessed at.
    private mutating func conclude(_ octets: Octets, _ request: RequestMethod) -> MessageFault? {
        let codings = fields.codings
        if codings.isPresent {
            if fields.hasContentLength { return .transferEncodingWithContentLength }
            if version == .http10 { return .transferEncodingInHTTP10 }
            if let fault = codings.fault { return fault }
        }
        keepsAlive = fields.connection.persists(version)
        fields.markConnectionListed(octets)
        if status < 200 || status == 204 {
            // These have neither body nor framing fields; a server that sends one may well send a body too, so
            // nothing more is read from its connection.
            if codings.isPresent || fields.contentLength > 0 { keepsAlive = false }
            if status == 101 { takeUpgrade(octets) }
        } else if status == 304 || request == .head {
            body = .none
        } else if codings.isPresent {
            body = .chunked
        } else if fields.hasContentLength {
            body = .length(fields.contentLength)
        } else {
            body = .untilClose
            keepsAlive = false
        }
        return nil
    }

    private mutating func takeUpgrade(_ octets: Octets) {
        keepsAlive = false
        guard fields.connection.upgrade, !fields.isRepeated(.upgrade) else { return }
        if let value = fields.firstValue(.upgrade), !value.isEmpty { upgradeProtocol = value }
    }
}

extension ResponseHead: Sendable {}

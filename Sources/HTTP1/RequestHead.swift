/// Parses a request's head (RFC 9112 sections 2 to 5) in place and keeps what it says: ranges of the receive buffer
/// and derived facts. One value serves a connection for all its requests; its memory is allocated once.
///
/// ```
/// switch head.parse(received) {
/// case .incomplete: read more, then call parse again with the same octets and more
/// case .complete(let length): use head; the body begins at length
/// case .malformed(let fault): answer fault.status and close
/// }
/// head.reset()
/// ```
public struct RequestHead: ~Copyable {
    public let limits: HeadLimits
    /// The field lines, and how to find one.
    public internal(set) var fields: HeadFields

    public internal(set) var method = RequestMethod.other
    /// The method as it was written.
    public internal(set) var methodRange = OctetRange(0, 0)
    /// The target as it was written.
    public internal(set) var target = OctetRange(0, 0)
    /// Path without query. Empty means `/` (an absolute target without path); `*` for `OPTIONS *`.
    public internal(set) var path = OctetRange(0, 0)
    /// Path with query, the origin form of the target; where the path is empty, a `/` belongs before it.
    public internal(set) var pathAndQuery = OctetRange(0, 0)
    public internal(set) var version = HTTPVersion.http11
    /// From the target where it has one (then Host is ignored, RFC 9112 section 3.2.2), else from Host. Nil only for
    /// an HTTP/1.0 request without Host.
    public internal(set) var authority: RequestAuthority?
    public internal(set) var isAbsoluteForm = false

    public internal(set) var body = BodyFraming.none
    /// The client would send another request on this connection.
    public internal(set) var keepsAlive = true
    /// The client waits for 100 before it sends the body.
    public internal(set) var expectsContinue = false
    /// The protocol that the client asks to switch to (Connection lists upgrade, and the version is 1.1).
    public internal(set) var upgradeProtocol: OctetRange?
    public internal(set) var isWebSocketUpgrade = false
    /// The client takes trailers (TE: trailers).
    public internal(set) var acceptsTrailers = false

    private var cursor = 0
    private var scanned = 0
    private var hasRequestLine = false

    public init(limits: HeadLimits = HeadLimits()) {
        self.limits = limits
        fields = HeadFields(capacity: limits.fields)
    }

    /// Forgets the message; call it before the next head. Nothing is released.
    public mutating func reset() {
        fields.removeAll()
        authority = nil
        isAbsoluteForm = false
        body = .none
        expectsContinue = false
        upgradeProtocol = nil
        isWebSocketUpgrade = false
        acceptsTrailers = false
        cursor = 0
        scanned = 0
        hasRequestLine = false
    }

    /// Reads on in a head. `buffer` begins where the head begins and holds all that came so far, also what was given
    /// before; octets behind the head are not looked at. Each octet is read a bounded number of times however the head
    /// arrives; a fault may be told only when its line has ended. After `complete` and `malformed` the value has to be
    /// reset.
    public mutating func parse(_ buffer: UnsafeRawBufferPointer) -> HeadOutcome {
        let octets = Octets(buffer)
        let limit = min(octets.count, limits.head)
        if scanned > cursor {
            // A line was incomplete before: look only at what is new until it ends.
            let from = min(scanned, limit)
            if octets.firstIndex(of: .lineFeed, from: from, to: limit) == limit { return unfinished(octets.count) }
        }
        if !hasRequestLine {
            switch parseRequestLine(octets, end: min(limit, limits.requestLine)) {
            case .incomplete: return unfinished(octets.count)
            case .malformed(let fault): return .malformed(fault)
            case .complete(let next):
                cursor = next
                hasRequestLine = true
            }
        }
        switch fields.parseLines(octets, cursor: &cursor, end: limit, allowsSpaceBeforeColon: false) {
        case .incomplete: return unfinished(octets.count)
        case .malformed(let fault): return .malformed(fault)
        case .complete(let length):
            if let fault = conclude(octets) { return .malformed(fault) }
            return .complete(length: length)
        }
    }

    /// More octets are needed; a fault if they could not help.
    private mutating func unfinished(_ count: Int) -> HeadOutcome {
        if !hasRequestLine, count >= limits.requestLine { return .malformed(.requestLineTooLong) }
        if count >= limits.head { return .malformed(.headTooLarge) }
        scanned = count
        return .incomplete
    }

    /// `method SP target SP HTTP-version CRLF`, one empty line before it being ignored (RFC 9112 section 2.2).
    private mutating func parseRequestLine(_ octets: Octets, end: Int) -> LinesOutcome {
        var start = 0
        if end > 0, octets[0] == .carriageReturn {
            guard end > 1 else { return .incomplete }
            guard octets[1] == .lineFeed else { return .malformed(.bareCarriageReturn) }
            start = 2
        }
        let methodEnd = octets.firstOutsideToken(from: start, to: min(end, start &+ Self.longestMethod &+ 1))
        guard methodEnd &- start <= Self.longestMethod else { return .malformed(.invalidMethod) }
        guard methodEnd < end else { return .incomplete }
        guard octets[methodEnd] == .space, methodEnd > start else {
            let isLineEnd = octets[methodEnd] == .lineFeed || octets[methodEnd] == .carriageReturn
            return .malformed(isLineEnd && methodEnd > start ? .invalidRequestLine : .invalidMethod)
        }
        let targetStart = methodEnd &+ 1
        let targetEnd = octets.firstOutsideTarget(from: targetStart, to: end)
        guard targetEnd < end else { return .incomplete }
        guard octets[targetEnd] == .space, targetEnd > targetStart else {
            let isLineEnd = octets[targetEnd] == .lineFeed || octets[targetEnd] == .carriageReturn
            return .malformed(isLineEnd || targetEnd == targetStart ? .invalidRequestLine : .invalidTarget)
        }
        let versionStart = targetEnd &+ 1
        switch MessageVersion.parse(octets, versionStart, end) {
        case .incomplete: return .incomplete
        case .malformed(let fault): return .malformed(fault ?? .invalidRequestLine)
        case .parsed(let parsed): version = parsed
        }
        let lineEnd = versionStart &+ MessageVersion.length
        guard lineEnd &+ 1 < end else { return Self.missingLineEnd(octets, lineEnd, end) }
        guard octets[lineEnd] == .carriageReturn, octets[lineEnd &+ 1] == .lineFeed else {
            return Self.missingLineEnd(octets, lineEnd, end)
        }
        methodRange = OctetRange(start, methodEnd)
        method = RequestMethod(octets, start, methodEnd)
        target = OctetRange(targetStart, targetEnd)
        if let fault = take(target, octets) { return .malformed(fault) }
        return .complete(lineEnd &+ 2)
    }

    private static let longestMethod = 32

    /// The request line goes on where it should end.
    private static func missingLineEnd(_ octets: Octets, _ lineEnd: Int, _ end: Int) -> LinesOutcome {
        guard lineEnd < end else { return .incomplete }
        if octets[lineEnd] == .lineFeed { return .malformed(.bareLineFeed) }
        guard octets[lineEnd] == .carriageReturn else { return .malformed(.invalidRequestLine) }
        return lineEnd &+ 1 < end ? .malformed(.bareCarriageReturn) : .incomplete
    }

    private mutating func take(_ range: OctetRange, _ octets: Octets) -> MessageFault? {
        if method == .connect { return .connectNotSupported }
        guard let parsed = RequestTarget.parse(octets, range, method) else { return .invalidTarget }
        path = parsed.path
        pathAndQuery = parsed.pathAndQuery
        isAbsoluteForm = parsed.form == .absolute
        authority = parsed.authority
        return nil
    }
}

extension RequestHead: Sendable {}

extension RequestHead {
    /// All lines are read: what they say together.
    private mutating func conclude(_ octets: Octets) -> MessageFault? {
        if let fault = checkHost(octets) { return fault }
        if fields.codings.isPresent {
            if fields.hasContentLength { return .transferEncodingWithContentLength }
            if version == .http10 { return .transferEncodingInHTTP10 }
            if let fault = fields.codings.fault { return fault }
            body = .chunked
        } else {
            body = fields.contentLength > 0 ? .length(fields.contentLength) : .none
        }
        keepsAlive = fields.connection.persists(version)
        fields.markConnectionListed(octets)
        if fields.contains(.expect), version == .http11, let fault = checkExpectation(octets) { return fault }
        if fields.contains(.te) { acceptsTrailers = listsTrailers(octets) }
        if fields.connection.upgrade, version == .http11 { takeUpgrade(octets) }
        return nil
    }

    /// One valid Host for HTTP/1.1, at most one for 1.0, also beside an absolute target (RFC 9112 section 3.2).
    private mutating func checkHost(_ octets: Octets) -> MessageFault? {
        if fields.isRepeated(.host) { return .repeatedHost }
        guard let value = fields.firstValue(.host) else { return version == .http11 ? .missingHost : nil }
        guard let host = RequestAuthority(octets, value) else { return .invalidHost }
        if authority == nil { authority = host }
        return nil
    }

    /// The list of expectations may have `100-continue` only (RFC 9110 section 10.1.1).
    private mutating func checkExpectation(_ octets: Octets) -> MessageFault? {
        for index in 0..<fields.count where fields[index].known == .expect {
            var list = ListCursor(octets, fields[index].value)
            while let element = list.next() {
                if element.isEmpty { continue }
                guard octets.matches("100-continue", from: element.lowerBound, to: element.upperBound) else {
                    return .unknownExpectation
                }
                // Without a body there is nothing to wait with; the expectation is then ignored.
                expectsContinue = body != .none
            }
        }
        return nil
    }

    private func listsTrailers(_ octets: Octets) -> Bool {
        for index in 0..<fields.count where fields[index].known == .te {
            var list = ListCursor(octets, fields[index].value)
            while let element = list.next() {
                if octets.matches("trailers", from: element.lowerBound, to: element.upperBound) { return true }
            }
        }
        return false
    }

    /// One protocol in one field, and never `h2c`: a tunnel in which HTTP/2 requests pass unseen is a way around
    /// everything that the gateway is for. Anything else is a request without upgrade, as RFC 9110 section 7.8 allows.
    private mutating func takeUpgrade(_ octets: Octets) {
        guard let value = fields.firstValue(.upgrade), !value.isEmpty, !fields.isRepeated(.upgrade) else { return }
        let (start, end) = (value.lowerBound, value.upperBound)
        guard octets.firstIndex(of: UInt8(ascii: ","), from: start, to: end) == end else { return }
        guard !octets.matches("h2c", from: start, to: end) else { return }
        upgradeProtocol = value
        isWebSocketUpgrade = octets.matches("websocket", from: start, to: end)
    }
}

/// `HTTP/1.1` (RFC 9112 section 2.3).
enum MessageVersion {
    static let length = 8

    enum Outcome {
        case incomplete
        case parsed(HTTPVersion)
        /// Nil: not a version at all.
        case malformed(MessageFault?)
    }

    /// Reads the eight octets at `start`. Case-sensitive, one digit on each side of the dot.
    @inline(__always)
    static func parse(_ octets: Octets, _ start: Int, _ end: Int) -> Outcome {
        guard start &+ length <= end else {
            return octets.firstIndex(of: .lineFeed, from: start, to: end) < end ? .malformed(nil) : .incomplete
        }
        let word = octets.word(at: start)
        if word == http11 { return .parsed(.http11) }
        if word == http10 { return .parsed(.http10) }
        let major = octets[start &+ 5]
        let minor = octets[start &+ 7]
        let pattern: UInt64 = 0x00FF_00FF_FFFF_FFFF
        guard word & pattern == http11 & pattern, major.isDigit, minor.isDigit else { return .malformed(nil) }
        return major == UInt8(ascii: "1") ? .parsed(.http11) : .malformed(.unsupportedVersion)
    }

    /// `HTTP/1.1` and `HTTP/1.0`, the first character in the lowest bits.
    private static let http11: UInt64 = 0x312E_312F_5054_5448
    private static let http10: UInt64 = 0x302E_312F_5054_5448
}

extension RequestMethod {
    @inline(__always)
    init(_ octets: Octets, _ start: Int, _ end: Int) {
        func isExactly(_ text: StaticString) -> Bool {
            guard end &- start == text.utf8CodeUnitCount else { return false }
            for offset in 0..<text.utf8CodeUnitCount where octets[start &+ offset] != text.utf8Start[offset] {
                return false
            }
            return true
        }
        switch end &- start {
        case 3: self = isExactly("GET") ? .get : isExactly("PUT") ? .put : .other
        case 4: self = isExactly("POST") ? .post : isExactly("HEAD") ? .head : .other
        case 5: self = isExactly("PATCH") ? .patch : isExactly("TRACE") ? .trace : .other
        case 6: self = isExactly("DELETE") ? .delete : .other
        case 7: self = isExactly("OPTIONS") ? .options : isExactly("CONNECT") ? .connect : .other
        default: self = .other
        }
    }
}

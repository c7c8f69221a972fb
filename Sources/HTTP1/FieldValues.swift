/// Walks over the elements of a comma-separated list (RFC 9110 section 5.6.1): each without white space around it,
/// empty ones included, so that the caller decides about them. Quoted strings are not treated: the lists read here
/// hold tokens and numbers.
struct ListCursor {
    private let octets: Octets
    private var position: Int
    private let end: Int
    private var finished = false

    @inline(__always)
    init(_ octets: Octets, _ range: OctetRange) {
        self.octets = octets
        position = range.lowerBound
        end = range.upperBound
    }

    mutating func next() -> OctetRange? {
        guard !finished else { return nil }
        var lower = position
        var upper = octets.firstIndex(of: UInt8(ascii: ","), from: position, to: end)
        if upper < end { position = upper &+ 1 } else { finished = true }
        while lower < upper, octets[lower].isWhitespace { lower &+= 1 }
        while upper > lower, octets[upper &- 1].isWhitespace { upper &-= 1 }
        return OctetRange(lower, upper)
    }
}

/// The transfer codings of a message, over all its Transfer-Encoding fields.
struct TransferCodings {
    private var total = 0
    private var chunkedCount = 0
    private var unknownCount = 0
    private var lastIsChunked = false
    private var lastIsUnknown = false

    var isPresent: Bool { total > 0 }
    /// The body is framed as chunks and nothing else was done to it.
    var isChunkedOnly: Bool { total == 1 && chunkedCount == 1 }

    /// Parameters are refused together with empty elements: `chunked` has none, and other codings are not supported.
    mutating func add(_ octets: Octets, _ value: OctetRange) -> MessageFault? {
        var list = ListCursor(octets, value)
        while let coding = list.next() {
            let (start, end) = (coding.lowerBound, coding.upperBound)
            guard start < end, octets.firstOutsideToken(from: start, to: end) == end else {
                return .invalidTransferEncoding
            }
            total &+= 1
            lastIsChunked = octets.matches("chunked", from: start, to: end)
            lastIsUnknown = !lastIsChunked && !Self.isRegistered(octets, start, end)
            if lastIsChunked { chunkedCount &+= 1 }
            if lastIsUnknown { unknownCount &+= 1 }
        }
        return nil
    }

    /// RFC 9112 section 6.1 and 6.3: a coding that is not supported is 501; a body that does not end with one single
    /// `chunked` has no end that can be found, which is 400.
    var fault: MessageFault? {
        guard isPresent, !isChunkedOnly else { return nil }
        if chunkedCount > 1 { return .chunkedNotLast }
        if lastIsUnknown || lastIsChunked { return .unsupportedTransferCoding }
        return .chunkedNotLast
    }

    /// The other codings of the registry (RFC 9112 section 7), with the withdrawn `identity`.
    private static func isRegistered(_ octets: Octets, _ start: Int, _ end: Int) -> Bool {
        octets.matches("gzip", from: start, to: end) || octets.matches("x-gzip", from: start, to: end)
            || octets.matches("deflate", from: start, to: end) || octets.matches("compress", from: start, to: end)
            || octets.matches("x-compress", from: start, to: end) || octets.matches("identity", from: start, to: end)
    }
}

/// The options of a message's Connection fields (RFC 9110 section 7.6.1).
struct ConnectionOptions {
    /// Most names that Connection may list beside the usual ones; each is looked for among all fields.
    static let maximum = 32

    var close = false
    var keepAlive = false
    var upgrade = false
    /// Options that name other fields, TE included: those are not passed on.
    var others = 0

    mutating func add(_ octets: Octets, _ value: OctetRange) -> MessageFault? {
        var list = ListCursor(octets, value)
        while let option = list.next() {
            let (start, end) = (option.lowerBound, option.upperBound)
            if start == end { continue }
            switch end &- start {
            case 5 where octets.matches("close", from: start, to: end): close = true
            case 10 where octets.matches("keep-alive", from: start, to: end): keepAlive = true
            case 7 where octets.matches("upgrade", from: start, to: end): upgrade = true
            default:
                guard octets.firstOutsideToken(from: start, to: end) == end else { return .invalidConnection }
                others &+= 1
                guard others <= Self.maximum else { return .tooManyConnectionOptions }
            }
        }
        return nil
    }

    /// Whether the connection may carry another message after this one (RFC 9112 section 9.3).
    func persists(_ version: HTTPVersion) -> Bool {
        !close && (version == .http11 || keepAlive)
    }
}

/// The authority of a request: who is asked.
@frozen
public struct RequestAuthority: Hashable, Sendable {
    /// Name or address literal with the port, as it is sent on in Host.
    public var whole: OctetRange
    /// Without port; an IPv6 address keeps its brackets. Upper and lower case mean the same.
    public var name: OctetRange
    /// Nil if it was not given.
    public var port: UInt16?

    @inlinable
    public init(whole: OctetRange, name: OctetRange, port: UInt16?) {
        self.whole = whole
        self.name = name
        self.port = port
    }
}

extension RequestAuthority {
    /// Reads `host [":" port]`; nil if it is not one. User information is refused (RFC 9110 section 4.2.4).
    init?(_ octets: Octets, _ range: OctetRange) {
        let (start, end) = (range.lowerBound, range.upperBound)
        guard start < end else { return nil }
        var nameEnd = start
        if octets[start] == UInt8(ascii: "[") {
            guard let close = Self.addressLiteralEnd(octets, start, end) else { return nil }
            nameEnd = close
        } else {
            while nameEnd < end, OctetSet.hostName.contains(octets[nameEnd]) { nameEnd &+= 1 }
            guard nameEnd > start else { return nil }
        }
        var port: UInt16?
        if nameEnd < end {
            guard octets[nameEnd] == UInt8(ascii: ":"), end &- nameEnd <= 6 else { return nil }
            var number = 0
            for index in (nameEnd &+ 1)..<end {
                guard octets[index].isDigit else { return nil }
                number = number &* 10 &+ Int(octets[index] &- UInt8(ascii: "0"))
            }
            guard number <= Int(UInt16.max) else { return nil }
            if nameEnd &+ 1 < end { port = UInt16(truncatingIfNeeded: number) }
        }
        self.init(whole: range, name: OctetRange(start, nameEnd), port: port)
    }

    /// Where `[...]` ends. Two colons at least and no zone: RFC 3986 has none.
    private static func addressLiteralEnd(_ octets: Octets, _ start: Int, _ end: Int) -> Int? {
        var index = start &+ 1
        var colons = 0
        while index < end, OctetSet.addressLiteral.contains(octets[index]) {
            if octets[index] == UInt8(ascii: ":") { colons &+= 1 }
            index &+= 1
        }
        guard index < end, octets[index] == UInt8(ascii: "]"), colons >= 2, index &- start <= 46 else { return nil }
        return index &+ 1
    }
}

/// What the request line's target says (RFC 9112 section 3.2).
struct RequestTarget {
    enum Form: UInt8 { case origin, absolute, asterisk }

    var form = Form.origin
    /// With the query; empty if an absolute target has no path, which means `/`.
    var pathAndQuery = OctetRange(0, 0)
    var path = OctetRange(0, 0)
    var authority: RequestAuthority?
    var isSecureScheme = false

    /// Takes a target apart; its characters are already known to be allowed. Nil if it has no allowed form.
    static func parse(_ octets: Octets, _ range: OctetRange, _ method: RequestMethod) -> RequestTarget? {
        var target = RequestTarget()
        let (start, end) = (range.lowerBound, range.upperBound)
        guard start < end else { return nil }
        var pathStart = start
        if octets[start] != UInt8(ascii: "/") {
            if octets[start] == UInt8(ascii: "*"), end &- start == 1 {
                guard method == .options else { return nil }
                target.form = .asterisk
                target.pathAndQuery = range
                target.path = range
                return target
            }
            guard let authorityStart = target.readScheme(octets, start, end) else { return nil }
            pathStart = authorityStart
            while pathStart < end, octets[pathStart] != UInt8(ascii: "/"), octets[pathStart] != UInt8(ascii: "?") {
                pathStart &+= 1
            }
            target.form = .absolute
            target.authority = RequestAuthority(octets, OctetRange(authorityStart, pathStart))
            guard target.authority != nil else { return nil }
        }
        target.pathAndQuery = OctetRange(pathStart, end)
        target.path = OctetRange(pathStart, octets.firstIndex(of: UInt8(ascii: "?"), from: pathStart, to: end))
        return target
    }

    /// Where the authority begins, after `http://` or `https://`.
    private mutating func readScheme(_ octets: Octets, _ start: Int, _ end: Int) -> Int? {
        if end &- start > 7, octets.matches("http://", from: start, to: start &+ 7) { return start &+ 7 }
        guard end &- start > 8, octets.matches("https://", from: start, to: start &+ 8) else { return nil }
        isSecureScheme = true
        return start &+ 8
    }
}

extension RequestHead {
    /// Whether the path has a segment `.` or `..`, percent-encoded or not, or an encoded slash, backslash or NUL: after
    /// an upstream server resolves it, the path may lie outside the prefix that the request was routed by.
    public func pathLeavesItsPrefix(in buffer: UnsafeRawBufferPointer) -> Bool {
        let octets = Octets(buffer)
        let (start, end) = (path.lowerBound, path.upperBound)
        var index = start
        var segmentLength = 0
        var dots = 0
        while index < end {
            var octet = octets[index]
            index &+= 1
            if octet == UInt8(ascii: "%"), index &+ 1 < end,
                let upper = octets[index].hexadecimalValue, let lower = octets[index &+ 1].hexadecimalValue
            {
                octet = upper &* 16 &+ lower
                index &+= 2
                if octet == UInt8(ascii: "/") || octet == UInt8(ascii: "\\") || octet == 0 { return true }
            } else if octet == UInt8(ascii: "/") || octet == UInt8(ascii: "\\") {
                if dots > 0, dots == segmentLength, dots <= 2 { return true }
                segmentLength = 0
                dots = 0
                continue
            }
            segmentLength &+= 1
            if octet == UInt8(ascii: ".") { dots &+= 1 }
        }
        return dots > 0 && dots == segmentLength && dots <= 2
    }
}

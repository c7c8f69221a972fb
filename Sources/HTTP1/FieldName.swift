/// The field names that the gateway knows; recognised once, while the head is parsed. Fewer than 64, so that a head
/// says in one word which of them it has.
public enum FieldName: UInt8, Hashable, Sendable, CaseIterable {
    /// Any name that is not below.
    case other = 0
    /// A name that differs from one that the gateway writes or reads only in `_` for `-`. Servers that turn names into
    /// variables (CGI and its descendants) hold both for the same, so it is never passed on.
    case disguised
    // Message framing and routing.
    case host, contentLength, transferEncoding, connection, expect, upgrade, te, trailer, keepAlive
    case proxyConnection, proxyAuthorization, proxyAuthenticate, http2Settings
    // Who asks, and how it came here.
    case authorization, xAPIKey, prefer, contentType, contentEncoding
    case xForwardedFor, xForwardedProto, xForwardedHost, xForwardedPort, forwarded, via, xRealIP, xRequestID, userAgent
    // Nothing is done with these; recognising them is quicker than checking each character.
    case accept, acceptEncoding, acceptLanguage, cookie, referer, origin, cacheControl, range, pragma
    case ifNoneMatch, ifModifiedSince, traceparent, tracestate
    case date, server, eTag, lastModified, vary, location, setCookie, age, retryAfter

    /// The bit of this name in a head's set of names.
    @inlinable
    var bit: UInt64 { 1 &<< UInt64(rawValue) }

    /// Fields that concern one connection only and are never passed on as they came (RFC 9110 section 7.6.1, and
    /// credentials meant for a proxy, which is us).
    @inlinable
    public var isHopByHop: Bool {
        switch self {
        case .connection, .keepAlive, .proxyConnection, .proxyAuthorization, .te, .transferEncoding, .upgrade,
            .http2Settings:
            true
        default: false
        }
    }
}

extension FieldName {
    /// The name in `start..<end`; `other` says nothing about its characters, any known name is a valid token.
    @inline(__always)
    init(_ octets: Octets, from start: Int, to end: Int) {
        switch end &- start {
        case 2...6: self = Self.short(octets, start, end)
        case 7...10: self = Self.medium(octets, start, end)
        case 11...14: self = Self.long(octets, start, end)
        case 15...19: self = Self.longest(octets, start, end)
        default: self = .other
        }
    }

    @inline(__always)
    private static func short(_ octets: Octets, _ start: Int, _ end: Int) -> FieldName {
        @inline(__always) func matches(_ text: StaticString) -> Bool { octets.matches(text, from: start, to: end) }
        switch end &- start {
        case 2: return matches("te") ? .te : .other
        case 3: return matches("via") ? .via : matches("age") ? .age : .other
        case 4:
            return matches("host")
                ? .host : matches("date") ? .date : matches("etag") ? .eTag : matches("vary") ? .vary : .other
        case 5: return matches("range") ? .range : .other
        default:
            if matches("accept") { return .accept }
            if matches("cookie") { return .cookie }
            if matches("expect") { return .expect }
            if matches("prefer") { return .prefer }
            if matches("origin") { return .origin }
            if matches("pragma") { return .pragma }
            return matches("server") ? .server : .other
        }
    }

    @inline(__always)
    private static func medium(_ octets: Octets, _ start: Int, _ end: Int) -> FieldName {
        @inline(__always) func matches(_ text: StaticString) -> Bool { octets.matches(text, from: start, to: end) }
        switch end &- start {
        case 7:
            return matches("upgrade")
                ? .upgrade : matches("referer") ? .referer : matches("trailer") ? .trailer : .other
        case 8: return matches("location") ? .location : .other
        case 9:
            if matches("x-api-key") { return .xAPIKey }
            return matches("forwarded") ? .forwarded : matches("x-real-ip") ? .xRealIP : .other
        default:
            if matches("connection") { return .connection }
            if matches("user-agent") { return .userAgent }
            if matches("tracestate") { return .tracestate }
            return matches("set-cookie") ? .setCookie : matches("keep-alive") ? .keepAlive : .other
        }
    }

    @inline(__always)
    private static func long(_ octets: Octets, _ start: Int, _ end: Int) -> FieldName {
        @inline(__always) func matches(_ text: StaticString) -> Bool { octets.matches(text, from: start, to: end) }
        switch end &- start {
        case 11: return matches("traceparent") ? .traceparent : matches("retry-after") ? .retryAfter : .other
        case 12: return matches("content-type") ? .contentType : matches("x-request-id") ? .xRequestID : .other
        case 13:
            if matches("authorization") { return .authorization }
            if matches("cache-control") { return .cacheControl }
            return matches("if-none-match") ? .ifNoneMatch : matches("last-modified") ? .lastModified : .other
        default:
            if matches("content-length") { return .contentLength }
            return matches("http2-settings") ? .http2Settings : .other
        }
    }

    @inline(__always)
    private static func longest(_ octets: Octets, _ start: Int, _ end: Int) -> FieldName {
        @inline(__always) func matches(_ text: StaticString) -> Bool { octets.matches(text, from: start, to: end) }
        switch end &- start {
        case 15:
            return matches("accept-encoding")
                ? .acceptEncoding
                : matches("accept-language") ? .acceptLanguage : matches("x-forwarded-for") ? .xForwardedFor : .other
        case 16:
            if matches("x-forwarded-host") { return .xForwardedHost }
            if matches("x-forwarded-port") { return .xForwardedPort }
            return matches("content-encoding")
                ? .contentEncoding : matches("proxy-connection") ? .proxyConnection : .other
        case 17:
            if matches("transfer-encoding") { return .transferEncoding }
            return matches("x-forwarded-proto")
                ? .xForwardedProto
                : matches("if-modified-since") ? .ifModifiedSince : .other
        case 18: return matches("proxy-authenticate") ? .proxyAuthenticate : .other
        default: return matches("proxy-authorization") ? .proxyAuthorization : .other
        }
    }
}

extension FieldName {
    /// Whether a name has an underscore where one of the gateway's own has a hyphen.
    static func isDisguised(_ octets: Octets, from start: Int, to end: Int) -> Bool {
        guard (7...19).contains(end &- start) else { return false }
        guard octets.firstIndex(of: UInt8(ascii: "_"), from: start, to: end) < end else { return false }
        return disguises("x-forwarded-for", octets, start, end) || disguises("x-forwarded-proto", octets, start, end)
            || disguises("x-forwarded-host", octets, start, end) || disguises("x-forwarded-port", octets, start, end)
            || disguises("x-real-ip", octets, start, end) || disguises("x-request-id", octets, start, end)
            || disguises("x-api-key", octets, start, end) || disguises("content-length", octets, start, end)
            || disguises("transfer-encoding", octets, start, end)
            || disguises("proxy-authorization", octets, start, end)
    }

    private static func disguises(_ text: StaticString, _ octets: Octets, _ start: Int, _ end: Int) -> Bool {
        guard end &- start == text.utf8CodeUnitCount else { return false }
        for offset in 0..<text.utf8CodeUnitCount {
            let octet = octets[start &+ offset]
            let plain = octet == UInt8(ascii: "_") ? UInt8(ascii: "-") : octet.asciiLowercased
            if plain != text.utf8Start[offset] { return false }
        }
        return true
    }
}

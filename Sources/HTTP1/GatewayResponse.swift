/// A response of the gateway's own: head and body in one go.
///
/// ```
/// var writer = OctetWriter(memory)
/// writer.beginResponse(status: 429)
/// writer.appendField("retry-after", decimal: 2)
/// writer.endResponse(status: 429, contentType: "application/problem+json", body: text, to: answer)
/// send writer.written octets
/// ```
extension OctetWriter {
    /// The status line. A status without registered phrase gets none.
    public mutating func beginResponse(status: Int) {
        append("HTTP/1.1 ")
        append(decimal: UInt64(max(status, 0)))
        append(" ")
        append(ReasonPhrase.of(status))
        append("\r\n")
    }

    /// The fields about body, connection, date and id, the empty line, and the body, which for HEAD is left out. The
    /// body is complete here, so it is framed by its length. For 1xx, 204 and 304 give an empty body.
    public mutating func endResponse(
        status: Int, contentType: StaticString, body: UnsafeRawBufferPointer, to forwarding: ResponseForwarding
    ) {
        if status >= 200, status != 204, status != 304 {
            if !body.isEmpty { appendField("content-type", contentType) }
            appendField("content-length", decimal: UInt64(body.count))
        }
        if status >= 200 {
            appendConnection(keepsAlive: forwarding.keepsAlive, version: forwarding.requestVersion)
            if !forwarding.date.isEmpty { appendField("date", forwarding.date) }
            if !forwarding.requestID.isEmpty { appendField("x-request-id", forwarding.requestID) }
        }
        append("\r\n")
        if forwarding.requestMethod != .head { append(body) }
    }

    /// `HTTP/1.1 100 Continue` and the empty line.
    public mutating func appendContinue() { append("HTTP/1.1 100 Continue\r\n\r\n") }
}

/// The phrases of RFC 9110 section 15, RFC 6585 and RFC 4918 for the statuses that a gateway sends.
public enum ReasonPhrase {
    public static func of(_ status: Int) -> StaticString {
        switch status {
        case 100: "Continue"
        case 101: "Switching Protocols"
        case 103: "Early Hints"
        case 200: "OK"
        case 201: "Created"
        case 202: "Accepted"
        case 204: "No Content"
        case 301: "Moved Permanently"
        case 302: "Found"
        case 303: "See Other"
        case 304: "Not Modified"
        case 307: "Temporary Redirect"
        case 308: "Permanent Redirect"
        case 400: "Bad Request"
        case 401: "Unauthorized"
        case 402: "Payment Required"
        case 403: "Forbidden"
        case 404: "Not Found"
        case 405: "Method Not Allowed"
        case 406: "Not Acceptable"
        case 408: "Request Timeout"
        case 409: "Conflict"
        case 410: "Gone"
        case 411: "Length Required"
        case 412: "Precondition Failed"
        case 413: "Content Too Large"
        case 414: "URI Too Long"
        case 415: "Unsupported Media Type"
        case 416: "Range Not Satisfiable"
        case 417: "Expectation Failed"
        case 421: "Misdirected Request"
        case 422: "Unprocessable Content"
        case 425: "Too Early"
        case 426: "Upgrade Required"
        case 428: "Precondition Required"
        case 429: "Too Many Requests"
        case 431: "Request Header Fields Too Large"
        case 500: "Internal Server Error"
        case 501: "Not Implemented"
        case 502: "Bad Gateway"
        case 503: "Service Unavailable"
        case 504: "Gateway Timeout"
        case 505: "HTTP Version Not Supported"
        case 507: "Insufficient Storage"
        case 511: "Network Authentication Required"
        default: ""
        }
    }
}

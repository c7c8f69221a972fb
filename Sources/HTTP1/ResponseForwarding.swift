/// How a response's head is written for the client.
public struct ResponseForwarding {
    /// Of the client's request.
    public var requestVersion: HTTPVersion
    public var requestMethod: RequestMethod
    /// The gateway will read another request from this client (its wish, the limits and the gateway's state agree).
    public var keepsAlive: Bool
    /// Written as `x-request-id`; one from the upstream server is dropped. Empty: none is written.
    public var requestID = UnsafeRawBufferPointer(start: nil, count: 0)
    /// IMF-fixdate for a response that has no Date (RFC 9110 section 6.6.1). Empty: none is written.
    public var date = UnsafeRawBufferPointer(start: nil, count: 0)

    public init(requestVersion: HTTPVersion, requestMethod: RequestMethod, keepsAlive: Bool) {
        self.requestVersion = requestVersion
        self.requestMethod = requestMethod
        self.keepsAlive = keepsAlive
    }
}

/// What the client is told about the body's end, and so what the loop has to do with it.
public struct ClientFraming: Hashable, Sendable {
    /// `untilClose`: send the payload alone (of a chunked body without its framing), then close.
    public var body: BodyFraming
    /// The client was told that the connection stays.
    public var keepsAlive: Bool

    public init(body: BodyFraming, keepsAlive: Bool) {
        self.body = body
        self.keepsAlive = keepsAlive
    }
}

extension ResponseHead {
    /// How the body goes to this client. HTTP/1.0 knows no chunks, so there a chunked body ends with the connection.
    public func clientFraming(_ forwarding: ResponseForwarding) -> ClientFraming {
        switch body {
        case .none: ClientFraming(body: .none, keepsAlive: forwarding.keepsAlive && status != 101)
        case .length: ClientFraming(body: body, keepsAlive: forwarding.keepsAlive)
        case .chunked where forwarding.requestVersion == .http11:
            ClientFraming(body: .chunked, keepsAlive: forwarding.keepsAlive)
        case .chunked, .untilClose: ClientFraming(body: .untilClose, keepsAlive: false)
        }
    }

    /// Writes this head for the client: hop-by-hop and Connection-listed fields removed, the body framed as
    /// `clientFraming` says, Connection as the client's version needs it. `buffer` is the one that was parsed. An
    /// interim response is written as it is without fields about connection or framing; the caller sends none to an
    /// HTTP/1.0 client (RFC 9110 section 15.2). Nil if `output` is too small: a received head of n octets needs less
    /// than n + 256 and the request id.
    public func write(
        _ forwarding: ResponseForwarding, from buffer: UnsafeRawBufferPointer,
        to output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        var writer = OctetWriter(output)
        writer.append("HTTP/1.1 ")
        writer.append(decimal: UInt64(status))
        writer.append(" ")
        writer.append(reason.octets(in: buffer))
        writer.append("\r\n")
        let framing = clientFraming(forwarding)
        var removed = Self.alwaysRemoved
        if isInterim || framing.body != .chunked { removed |= FieldName.trailer.bit }
        if !forwarding.requestID.isEmpty { removed |= FieldName.xRequestID.bit }
        fields.copy(from: buffer, without: removed, to: &writer)
        guard !isInterim else {
            writer.append("\r\n")
            return writer.written
        }
        writeFraming(framing, forwarding, &writer)
        writeConnection(framing, forwarding, buffer, &writer)
        if !fields.contains(.date), !forwarding.date.isEmpty { writer.appendField("date", forwarding.date) }
        if !forwarding.requestID.isEmpty { writer.appendField("x-request-id", forwarding.requestID) }
        writer.append("\r\n")
        return writer.written
    }

    /// Where there is no body by rule, the fields still say what a GET would have brought (RFC 9110 section 8.6),
    /// except in 204 and 101, which must not have them.
    private func writeFraming(
        _ framing: ClientFraming, _ forwarding: ResponseForwarding, _ writer: inout OctetWriter
    ) {
        switch framing.body {
        case .length(let length): writer.appendField("content-length", decimal: length)
        case .chunked: writer.append("transfer-encoding: chunked\r\n")
        case .untilClose: break
        case .none:
            guard status != 204, status != 101 else { return }
            if fields.hasContentLength {
                writer.appendField("content-length", decimal: fields.contentLength)
            } else if fields.codings.isPresent, forwarding.requestVersion == .http11 {
                writer.append("transfer-encoding: chunked\r\n")
            }
        }
    }

    private func writeConnection(
        _ framing: ClientFraming, _ forwarding: ResponseForwarding, _ buffer: UnsafeRawBufferPointer,
        _ writer: inout OctetWriter
    ) {
        if let upgradeProtocol {
            writer.appendField("upgrade", upgradeProtocol.octets(in: buffer))
            writer.append("connection: upgrade\r\n")
            return
        }
        if status == 426, let offered = fields.firstValue(.upgrade) {
            // 426 has to name the protocols (RFC 9110 section 15.5.22).
            writer.appendField("upgrade", offered.octets(in: buffer))
            writer.append(framing.keepsAlive ? "connection: upgrade\r\n" : "connection: upgrade, close\r\n")
            return
        }
        writer.appendConnection(keepsAlive: framing.keepsAlive, version: forwarding.requestVersion)
    }

    private static var alwaysRemoved: UInt64 {
        FieldName.contentLength.bit | FieldName.transferEncoding.bit | FieldName.connection.bit
            | FieldName.keepAlive.bit | FieldName.proxyConnection.bit | FieldName.te.bit | FieldName.upgrade.bit
            | FieldName.http2Settings.bit | FieldName.disguised.bit
    }
}

extension OctetWriter {
    /// Connection, where the client's version would otherwise expect the opposite (RFC 9112 section 9.3).
    public mutating func appendConnection(keepsAlive: Bool, version: HTTPVersion) {
        if !keepsAlive {
            append("connection: close\r\n")
        } else if version == .http10 {
            append("connection: keep-alive\r\n")
        }
    }
}

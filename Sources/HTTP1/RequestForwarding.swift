/// How a request's head is written for the upstream server.
public struct RequestForwarding {
    /// What the gateway believes of `x-forwarded-*` and `forwarded` fields that a request brings.
    public enum ForwardedTrust: Hashable, Sendable {
        /// The client is anybody: its fields are dropped and the gateway's own written. The default.
        case replace
        /// The client is a proxy of the operator's: `x-forwarded-for` is continued, `x-forwarded-proto` and
        /// `x-forwarded-host` are kept where they came (they tell of the first hop), `forwarded` is passed on as it is.
        case append
    }

    /// What becomes of `expect: 100-continue`.
    public enum Expectation: Hashable, Sendable {
        /// Passed on; the upstream server's 100, or its refusal, goes back to the client. The default: the gateway has
        /// already refused what it refuses, and the upstream server may still refuse before the body moves.
        case forward
        /// Removed, because the gateway answered (or will answer) 100 itself, as it does when it reads the body before
        /// it chooses where to send it.
        case answered
    }

    /// The client's address as text, an IPv6 address without brackets.
    public var clientAddress: UnsafeRawBufferPointer
    /// The client came over TLS.
    public var isSecure = false
    public var trust = ForwardedTrust.replace
    public var expectation = Expectation.forward
    /// The id to send on as `x-request-id`; the one received is dropped. To keep that one, give it here
    /// (`RequestHead.acceptableRequestID`).
    public var requestID: UnsafeRawBufferPointer
    /// Host for a request of HTTP/1.0 that named none.
    public var fallbackHost = UnsafeRawBufferPointer(start: nil, count: 0)
    /// `authorization` carried the gateway's own key, which is none of the upstream server's business. `x-api-key` is
    /// always removed.
    public var removesAuthorization = false
    /// The upgrade that the client asked for is passed on.
    public var forwardsUpgrade = false

    /// What is sent on as `traceparent` in the place of the one received; empty: that one is passed on.
    public var traceParent = UnsafeRawBufferPointer(start: nil, count: 0)
    /// `tracestate` belongs to a trace that is not gone on with (W3C Trace Context, section 3.3).
    public var removesTraceState = false

    public init(clientAddress: UnsafeRawBufferPointer, requestID: UnsafeRawBufferPointer) {
        self.clientAddress = clientAddress
        self.requestID = requestID
    }
}

extension RequestHead {
    /// The client's own request id if it is 1 to 128 letters, digits, `-`, `_`, `.`, `~` and came once.
    public func acceptableRequestID(in buffer: UnsafeRawBufferPointer) -> OctetRange? {
        guard let value = fields.firstValue(.xRequestID), !fields.isRepeated(.xRequestID) else { return nil }
        guard (1...128).contains(value.count) else { return nil }
        let octets = Octets(buffer)
        for index in value.lowerBound..<value.upperBound where !OctetSet.hostName.contains(octets[index]) { return nil }
        return value
    }

    /// Writes this head for the upstream server: target in origin form, Host from the authority, hop-by-hop and
    /// Connection-listed fields removed, the body framed as it came, and what the gateway adds. `buffer` is the one
    /// that was parsed. Nil if `output` is too small; a received head of n octets needs less than
    /// n + 512 + twice the client address and the request id.
    public func write(
        _ forwarding: RequestForwarding, from buffer: UnsafeRawBufferPointer, to output: UnsafeMutableRawBufferPointer
    ) -> Int? {
        var writer = OctetWriter(output)
        writer.append(methodRange.octets(in: buffer))
        // An absolute target without path means `/`, and `*` for OPTIONS (RFC 9112 section 3.2.4).
        writer.append(path.isEmpty ? (method == .options && pathAndQuery.isEmpty ? " *" : " /") : " ")
        writer.append(pathAndQuery.octets(in: buffer))
        writer.append(" HTTP/1.1\r\nhost: ")
        writer.append(authority?.whole.octets(in: buffer) ?? forwarding.fallbackHost)
        writer.append("\r\n")
        let upgrading = forwarding.forwardsUpgrade && upgradeProtocol != nil
        var removed = Self.alwaysRemoved
        if forwarding.trust == .replace { removed |= Self.forwardedFields }
        if forwarding.removesAuthorization { removed |= FieldName.authorization.bit }
        if !forwarding.traceParent.isEmpty { removed |= FieldName.traceparent.bit }
        if forwarding.removesTraceState { removed |= FieldName.tracestate.bit }
        if forwarding.expectation == .answered || !expectsContinue { removed |= FieldName.expect.bit }
        if body != .chunked { removed |= FieldName.trailer.bit }
        fields.copy(from: buffer, without: removed, to: &writer)
        writeConnection(upgrading: upgrading, buffer, &writer)
        switch body {
        case .none:
            // A length of zero is told where the client told it: a POST without it may be refused.
            if fields.hasContentLength { writer.append("content-length: 0\r\n") }
        case .length(let length): writer.appendField("content-length", decimal: length)
        case .chunked: writer.append("transfer-encoding: chunked\r\n")
        case .untilClose: break
        }
        writeForwarded(forwarding, buffer, &writer)
        writer.append(version == .http11 ? "via: 1.1 cloudwright\r\n" : "via: 1.0 cloudwright\r\n")
        writer.appendField("x-request-id", forwarding.requestID)
        if !forwarding.traceParent.isEmpty { writer.appendField("traceparent", forwarding.traceParent) }
        writer.append("\r\n")
        return writer.written
    }

    /// TE and Upgrade are the gateway's own on the next connection, so its Connection field lists them.
    private func writeConnection(upgrading: Bool, _ buffer: UnsafeRawBufferPointer, _ writer: inout OctetWriter) {
        if acceptsTrailers { writer.append("te: trailers\r\n") }
        if upgrading, let upgradeProtocol {
            writer.appendField("upgrade", upgradeProtocol.octets(in: buffer))
            writer.append(acceptsTrailers ? "connection: upgrade, te\r\n" : "connection: upgrade\r\n")
        } else if acceptsTrailers {
            writer.append("connection: te\r\n")
        }
    }

    private func writeForwarded(
        _ forwarding: RequestForwarding, _ buffer: UnsafeRawBufferPointer, _ writer: inout OctetWriter
    ) {
        // All received x-forwarded-for lines become one, in their order (RFC 9110 section 5.3).
        writer.append("x-forwarded-for: ")
        if forwarding.trust == .append, fields.contains(.xForwardedFor) {
            for index in 0..<fields.count where fields[index].known == .xForwardedFor {
                guard !fields[index].value.isEmpty else { continue }
                writer.append(fields[index].value.octets(in: buffer))
                writer.append(", ")
            }
        }
        writer.append(forwarding.clientAddress)
        let keeps = forwarding.trust == .append
        if !(keeps && fields.contains(.xForwardedProto)) {
            writer.append(forwarding.isSecure ? "\r\nx-forwarded-proto: https" : "\r\nx-forwarded-proto: http")
        }
        if !(keeps && fields.contains(.xForwardedHost)), let authority {
            writer.append("\r\nx-forwarded-host: ")
            writer.append(authority.whole.octets(in: buffer))
        }
        writer.append("\r\n")
    }

    /// Written anew or never passed on.
    private static var alwaysRemoved: UInt64 {
        FieldName.host.bit | FieldName.contentLength.bit | FieldName.transferEncoding.bit | FieldName.connection.bit
            | FieldName.keepAlive.bit | FieldName.proxyConnection.bit | FieldName.proxyAuthorization.bit
            | FieldName.te.bit | FieldName.upgrade.bit | FieldName.http2Settings.bit | FieldName.xAPIKey.bit
            | FieldName.xForwardedFor.bit | FieldName.xRequestID.bit | FieldName.disguised.bit
    }

    /// What only a trusted proxy may say.
    private static var forwardedFields: UInt64 {
        FieldName.xForwardedProto.bit | FieldName.xForwardedHost.bit | FieldName.xForwardedPort.bit
            | FieldName.forwarded.bit | FieldName.xRealIP.bit
    }
}

package import CloudModel
package import ScalingListener

/// Every refusal that the gateway gives for itself.
package enum ProblemKind: UInt8, CaseIterable, Sendable {
    case malformedRequest
    case unreadableLogin
    case ambiguousPath
    case missingCredential
    case invalidCredential
    case expiredCredential
    case revokedCredential
    case notEntitled
    case noRoute
    case requestTimeout
    case lengthRequired
    case contentTooLarge
    case targetTooLong
    case expectationFailed
    case misdirectedRequest
    case limitReached
    case quotaExhausted
    case lockedOut
    case headTooLarge
    case notImplemented
    case badGateway
    case untrustedInstance
    case noInstance
    case queueFull
    case queueTimeout
    case overloaded
    case unmeterable
    case unauditable
    case shuttingDown
    case gatewayTimeout
    case versionNotSupported
}

/// The parts of a problem that are the same each time.
private struct ProblemText {
    let status: UInt16
    /// The last part of the type's name.
    let slug: StaticString
    let title: StaticString
    let detail: StaticString
    /// What the caller can do about it.
    let remedy: StaticString
}

/// A problem document of RFC 9457 with what the gateway knows of the case, ready to be written into a caller's buffer
/// without allocating.
///
/// Members beyond the RFC's: `remedy` (what the caller can do), `service`, `requestID`; where a constraint refused the
/// request `constraint`, `limit`, `current`; where a quota is used up `quota`, `limit`, `used`, `balance`, `currency`,
/// `resetsAt`; `retryAfterSeconds` as in the Retry-After field; `maximumWaitSeconds`, the
/// longest wait that `Prefer: wait` may ask for.
package struct ProblemDocument {
    /// The buffer that always suffices for `writeBody`.
    package static let maximumBodySize = 2_048
    /// The buffer that always suffices for `writeFields`.
    package static let maximumFieldsSize = 512

    package var kind: ProblemKind
    /// Says more exactly what is wrong than the kind's own text; plain words without quotes of the request.
    package var detail: StaticString?
    package var service: ServiceID?
    package var requestID: RequestID?
    package var constraint: ConstraintKind?
    package var limit = 0
    package var current = 0
    /// Zero: no Retry-After.
    package var retryAfterSeconds = 0
    /// Zero: the service lets nobody wait.
    package var maximumWaitSeconds = 0
    /// Where a consumer asks for a limit to be changed: a URL or an address, of which the first 256 bytes are shown.
    package var changeContact: String?
    package var quota: QuotaRefusal?

    package init(
        _ kind: ProblemKind, detail: StaticString? = nil, service: ServiceID? = nil, requestID: RequestID? = nil
    ) {
        self.kind = kind
        self.detail = detail
        self.service = service
        self.requestID = requestID
    }

    /// The refusal of the scaling listener.
    package init(
        _ refusal: AdmissionRefusal, maximumWait: TimeSpan, service: ServiceID, requestID: RequestID?,
        changeContact: String?
    ) {
        let kind: ProblemKind =
            switch refusal.barrier {
            case .rate, .consumerConcurrency, .seats, .requests: .limitReached
            case .queueFull: .queueFull
            case .queueTimeout: .queueTimeout
            }
        self.init(kind, service: service, requestID: requestID)
        constraint = refusal.constraint
        limit = refusal.limit
        current = refusal.current
        // Rounded up: whoever comes back then is not refused for the same reason.
        retryAfterSeconds = Int(max(1, refusal.retryAfter.millisecondsRoundedUp.advanced(by: 999) / 1_000))
        maximumWaitSeconds = refusal.isWaitable ? Int(maximumWait.microseconds / 1_000_000) : 0
        self.changeContact = changeContact
    }

    /// Why a caller was not let in; nil where they were.
    package init?(_ verdict: IdentifiedCaller.Verdict, service: ServiceID?, requestID: RequestID?) {
        switch verdict {
        case .admitted: return nil
        case .noCredential: self.init(.missingCredential, service: service, requestID: requestID)
        case .unknownCredential: self.init(.invalidCredential, service: service, requestID: requestID)
        case .expired: self.init(.expiredCredential, service: service, requestID: requestID)
        case .revoked: self.init(.revokedCredential, service: service, requestID: requestID)
        case .notEntitled: self.init(ProblemKind.notEntitled, service: service, requestID: requestID)
        }
    }

    /// Why a path has no normal form.
    package init(_ fault: NormalPath.Fault, requestID: RequestID?) {
        let detail: StaticString =
            switch fault {
            case .notAbsolute: "The path does not begin with a slash."
            case .dotSegment: "The path has a dot segment (. or .., written out or as an escape)."
            case .malformedEscape: "The path has a percent sign that no two hex digits follow."
            case .controlCharacter: "The path has a control character, written out or as an escape."
            case .backslash: "The path has a backslash that is not escaped."
            case .separatorInParameters: "The path has an escaped separator behind a semicolon."
            case .tooLong: "The path is longer than the gateway takes."
            }
        self.init(fault == .tooLong ? .targetTooLong : .ambiguousPath, detail: detail, requestID: requestID)
    }

    package var status: UInt16 { Self.text(of: kind).status }

    /// Whether the connection cannot be used on: what follows on it may not be where the next request begins, or the
    /// gateway wants it gone.
    package var closesConnection: Bool {
        switch kind {
        case .malformedRequest, .requestTimeout, .lengthRequired, .contentTooLarge, .targetTooLong, .headTooLarge,
            .notImplemented, .overloaded, .shuttingDown, .versionNotSupported:
            true
        case .ambiguousPath, .unreadableLogin, .missingCredential, .invalidCredential, .expiredCredential,
            .revokedCredential, .notEntitled, .noRoute, .expectationFailed, .misdirectedRequest, .limitReached,
            .quotaExhausted, .lockedOut, .badGateway, .untrustedInstance, .noInstance, .queueFull, .queueTimeout,
            .unmeterable, .unauditable, .gatewayTimeout:
            false
        }
    }

    /// Writes the fields that belong to the problem, each with CRLF: content-type, cache-control, www-authenticate
    /// (401; RFC 6750, section 3), retry-after. Gives back how many bytes. `buffer` has `maximumFieldsSize` at least.
    package func writeFields(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        precondition(buffer.count >= Self.maximumFieldsSize)
        var writer = ByteWriter(buffer)
        writer.write("content-type: application/problem+json\r\ncache-control: no-store\r\n")
        switch kind {
        case .missingCredential:
            writer.write("www-authenticate: Bearer realm=\"cloudwright\"\r\n")
        case .invalidCredential, .expiredCredential, .revokedCredential:
            writer.write("www-authenticate: Bearer realm=\"cloudwright\", error=\"invalid_token\"\r\n")
        default: break
        }
        if retryAfterSeconds > 0 {
            writer.write("retry-after: ")
            writer.write(retryAfterSeconds)
            writer.write("\r\n")
        }
        return writer.count
    }

    /// Writes the JSON document. Gives back how many bytes. `buffer` has `maximumBodySize` at least.
    package func writeBody(into buffer: UnsafeMutableRawBufferPointer) -> Int {
        precondition(buffer.count >= Self.maximumBodySize)
        var writer = ByteWriter(buffer)
        let text = Self.text(of: kind)
        writer.write("{\"type\":\"urn:cloudwright:problem:")
        writer.write(text.slug)
        writer.write("\",\"title\":\"")
        writer.write(text.title)
        writer.write("\",\"status\":")
        writer.write(Int(text.status))
        writer.write(",\"detail\":\"")
        writer.write(detail ?? text.detail)
        writer.write("\",\"remedy\":\"")
        writeRemedy(text, into: &writer)
        writer.write("\"")
        if let service {
            writer.write(",\"service\":\"")
            writer.writeEscaped(service.rawValue, atMost: 128)
            writer.write("\"")
        }
        if let requestID {
            writer.write(",\"requestID\":\"")
            writer.writeHex(requestID.high)
            writer.writeHex(requestID.low)
            writer.write("\"")
        }
        writeConstraint(into: &writer)
        writeQuota(into: &writer)
        if retryAfterSeconds > 0 { writer.writeMember(",\"retryAfterSeconds\":", retryAfterSeconds) }
        if maximumWaitSeconds > 0 { writer.writeMember(",\"maximumWaitSeconds\":", maximumWaitSeconds) }
        writer.write("}\n")
        return writer.count
    }

    private func writeConstraint(into writer: inout ByteWriter) {
        guard let constraint else { return }
        writer.write(",\"constraint\":\"")
        writer.write(Self.name(of: constraint))
        writer.write("\"")
        writer.writeMember(",\"limit\":", limit)
        writer.writeMember(",\"current\":", current)
    }

    /// Figures as text: amounts are decimals, which JSON's numbers are not.
    private func writeQuota(into writer: inout ByteWriter) {
        guard let quota else { return }
        writer.write(quota.kind == .requests ? ",\"quota\":\"requests-per-month\"" : ",\"quota\":\"amount-per-month\"")
        for (name, value) in [
            (",\"limit\":\"", quota.limit), (",\"used\":\"", quota.used), (",\"balance\":\"", quota.balance),
            (",\"resetsAt\":\"", quota.resetsAtText),
        ] as [(StaticString, String)] {
            writer.write(name)
            writer.writeEscaped(value, atMost: 64)
            writer.write("\"")
        }
        guard let currency = quota.currency else { return }
        writer.write(",\"currency\":\"")
        writer.writeEscaped(currency, atMost: 3)
        writer.write("\"")
    }

    private func writeRemedy(_ text: ProblemText, into writer: inout ByteWriter) {
        writer.write(text.remedy)
        guard kind == .limitReached, let constraint, let service else { return }
        if maximumWaitSeconds > 0 {
            writer.write(" Or wait in line: send the field Prefer: wait=N with up to ")
            writer.write(maximumWaitSeconds)
            writer.write(" seconds.")
        }
        writer.write(" To have the limit raised, ask ")
        if let changeContact {
            writer.writeEscaped(changeContact, atMost: 256)
        } else {
            writer.write("the cloud's administrator")
        }
        writer.write("; it is changed with: cloudwright constraint set ")
        writer.writeEscaped(service.rawValue, atMost: 128)
        writer.write(" ")
        writer.write(Self.name(of: constraint))
        writer.write(" NUMBER")
    }

    /// The same words as `ConstraintKind.rawValue`, which would be a `String`.
    private static func name(of constraint: ConstraintKind) -> StaticString {
        switch constraint {
        case .maximumInstances: "maximum-instances"
        case .concurrentRequestsPerInstance: "concurrent-requests-per-instance"
        case .activeConsumersPerInstance: "active-consumers-per-instance"
        case .concurrentRequestsPerConsumer: "concurrent-requests-per-consumer"
        case .requestsPerSecondPerConsumer: "requests-per-second-per-consumer"
        }
    }
}

extension ProblemDocument {
    private static func text(of kind: ProblemKind) -> ProblemText {
        switch kind {
        case .missingCredential, .invalidCredential, .expiredCredential, .revokedCredential, .notEntitled:
            callerText(of: kind)
        case .unreadableLogin, .lockedOut: loginText(of: kind)
        case .malformedRequest, .ambiguousPath, .noRoute, .requestTimeout, .lengthRequired,
            .contentTooLarge, .targetTooLong, .expectationFailed, .misdirectedRequest, .limitReached, .quotaExhausted,
            .headTooLarge:
            requestText(of: kind)
        case .notImplemented, .badGateway, .untrustedInstance, .noInstance, .queueFull, .queueTimeout, .overloaded,
            .unmeterable, .unauditable, .shuttingDown, .gatewayTimeout, .versionNotSupported:
            serverText(of: kind)
        }
    }

    private static func loginText(of kind: ProblemKind) -> ProblemText {
        guard kind == .lockedOut else {
            return ProblemText(
                status: 400, slug: "unreadable-login", title: "Login cannot be read",
                detail: "The login does not say once and in plain form who logs in, which its rule asks for.",
                remedy: "Name who logs in in one field, in the form that the service's login rule has.")
        }
        return ProblemText(
            status: 429, slug: "locked-out", title: "Locked out",
            detail: "Too many logins of this name have failed from this address.",
            remedy: "Wait until the lockout is over; from other addresses the name is not locked out.")
    }

    private static func callerText(of kind: ProblemKind) -> ProblemText {
        switch kind {
        case .missingCredential:
            ProblemText(
                status: 401, slug: "missing-credential", title: "API key required",
                detail: "The service asks for an API key and the request has none.",
                remedy: "Send the key as the field Authorization: Bearer KEY or x-api-key: KEY.")
        case .expiredCredential:
            ProblemText(
                status: 401, slug: "expired-credential", title: "API key expired",
                detail: "The API key has expired.",
                remedy: "Ask the cloud's administrator for a new key.")
        case .revokedCredential:
            ProblemText(
                status: 401, slug: "revoked-credential", title: "API key revoked",
                detail: "The API key has been revoked.",
                remedy: "Ask the cloud's administrator for a new key.")
        case .notEntitled:
            ProblemText(
                status: 403, slug: "not-entitled", title: "Not entitled to this service",
                detail: "The API key is good, but its consumer is not entitled to this service.",
                remedy: "Ask the cloud's administrator to add the service to the consumer's entitlements.")
        default:
            ProblemText(
                status: 401, slug: "invalid-credential", title: "API key not known",
                detail: "No consumer has this API key.",
                remedy: "Check that the whole key was copied: its last six characters are a checksum.")
        }
    }

    private static func requestText(of kind: ProblemKind) -> ProblemText {
        switch kind {
        case .ambiguousPath:
            ProblemText(
                status: 400, slug: "ambiguous-path", title: "Ambiguous path",
                detail: "Servers differ on what the path means.",
                remedy: "Send the path in its shortest form, without dot segments, backslashes or control characters.")
        case .noRoute:
            ProblemText(
                status: 404, slug: "no-route", title: "No such service",
                detail: "No cloud service has this host and path.",
                remedy: "Check the host and the first part of the path against the service's routes.")
        case .requestTimeout:
            ProblemText(
                status: 408, slug: "request-timeout", title: "Request timeout",
                detail: "The request did not arrive in time.",
                remedy: "Send the whole request without long pauses.")
        case .lengthRequired:
            ProblemText(
                status: 411, slug: "length-required", title: "Length required",
                detail: "The request has a body whose length cannot be told.",
                remedy: "Send a Content-Length field or the chunked transfer coding.")
        case .contentTooLarge:
            ProblemText(
                status: 413, slug: "content-too-large", title: "Content too large",
                detail: "The request's body is larger than the service takes.",
                remedy: "Send less at once, or ask the cloud's administrator to raise requests.maximumBodySize.")
        case .targetTooLong:
            ProblemText(
                status: 414, slug: "uri-too-long", title: "URI too long",
                detail: "The request's target is longer than the gateway takes.",
                remedy: "Send long parameters in the body.")
        case .expectationFailed:
            ProblemText(
                status: 417, slug: "expectation-failed", title: "Expectation failed",
                detail: "The gateway meets no expectation but 100-continue.",
                remedy: "Leave the Expect field out.")
        case .misdirectedRequest:
            ProblemText(
                status: 421, slug: "misdirected-request", title: "Misdirected request",
                detail: "This connection is not for the request's host.",
                remedy: "Open a connection of its own for the host.")
        case .limitReached:
            ProblemText(
                status: 429, slug: "limit-reached", title: "Workload limit reached",
                detail: "Admitting the request would exceed a limit of the service's workload.",
                remedy: "Try again later.")
        case .quotaExhausted:
            ProblemText(
                status: 429, slug: "quota-exhausted", title: "Quota used up",
                detail: "The consumer has used up its quota of this month.",
                remedy: "Wait until the quota is reset, or ask the cloud's administrator to raise spec.quota.")
        case .headTooLarge:
            ProblemText(
                status: 431, slug: "header-fields-too-large", title: "Request header fields too large",
                detail: "The request's head is larger than the gateway takes.",
                remedy: "Send fewer or shorter fields (cookies, as a rule).")
        default:
            ProblemText(
                status: 400, slug: "malformed-request", title: "Malformed request",
                detail: "The request is not valid HTTP.",
                remedy: "See RFC 9112; the connection is closed, because nobody can tell where the next request begins."
            )
        }
    }

    private static func serverText(of kind: ProblemKind) -> ProblemText {
        switch kind {
        case .notImplemented:
            ProblemText(
                status: 501, slug: "not-implemented", title: "Not implemented",
                detail: "The gateway does not know the method or transfer coding.",
                remedy: "Use another method, and no transfer coding but chunked.")
        case .badGateway:
            ProblemText(
                status: 502, slug: "bad-gateway", title: "Bad gateway",
                detail: "The service's instance failed before it had answered.",
                remedy: "Try again if the request may safely be repeated: it may have been carried out.")
        case .untrustedInstance:
            ProblemText(
                status: 502, slug: "untrusted-instance", title: "Instance not trusted",
                detail: "The service's instance did not prove over TLS that it is the one it should be.",
                remedy: "Tell the cloud's administrator: requests.tls of the service and its certificates differ.")
        case .queueFull:
            ProblemText(
                status: 503, slug: "queue-full", title: "Queue full",
                detail: "As many requests as may wait for an instance of the service wait already.",
                remedy: "Try again later.")
        case .queueTimeout:
            ProblemText(
                status: 503, slug: "queue-timeout", title: "No instance became free in time",
                detail: "The request waited for an instance of the service as long as it may.",
                remedy: "Try again later.")
        case .overloaded:
            ProblemText(
                status: 503, slug: "overloaded", title: "Gateway overloaded",
                detail: "The gateway has as many connections as it takes.",
                remedy: "Try again later.")
        case .unmeterable:
            ProblemText(
                status: 503, slug: "unmeterable", title: "Usage cannot be recorded",
                detail: "The service's usage cannot be recorded at present, so that it is not served.",
                remedy: "Try again later; the cloud's administrator has to make room for the gateway's spool.")
        case .unauditable:
            ProblemText(
                status: 503, slug: "unauditable", title: "Logins cannot be recorded",
                detail: "The service takes no logins while they cannot be recorded.",
                remedy: "Try again later; the cloud's administrator has to see to the log database.")
        case .shuttingDown:
            ProblemText(
                status: 503, slug: "shutting-down", title: "Gateway shutting down",
                detail: "The gateway is about to stop and takes no new requests.",
                remedy: "Try again on a new connection.")
        case .gatewayTimeout:
            ProblemText(
                status: 504, slug: "gateway-timeout", title: "Gateway timeout",
                detail: "The service's instance did not answer in time.",
                remedy: "Try again if the request may safely be repeated: it may have been carried out.")
        case .versionNotSupported:
            ProblemText(
                status: 505, slug: "http-version-not-supported", title: "HTTP version not supported",
                detail: "The gateway speaks HTTP/1.1 and HTTP/1.0 on this connection.",
                remedy: "Use one of them.")
        default:
            ProblemText(
                status: 503, slug: "no-instance", title: "No instance available",
                detail: "No instance of the service takes work at present.",
                remedy: "Try again later.")
        }
    }
}

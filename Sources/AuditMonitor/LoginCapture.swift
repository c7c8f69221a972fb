public import CloudModel
public import Credentials

/// One login request from its head to its answer: the audit monitor's steps (2) to (5).
///
/// The loop that carries the request calls, in this order: `takeRequestHead`, `takeRequestBody` with each piece of
/// content as it passes, `endRequest`; then, if an instance answers, `takeResponseStatus`, `takeResponseField` for each
/// field, `takeResponseBody` while `wantsResponseBody`; and at the end `event`, once. What is kept of the request is
/// bounded, and overwritten as soon as principal and tag have been taken from it.
///
/// Belongs to one loop. A capture that is dropped overwrites what it holds.
public final class LoginCapture {
    /// How much of a request's or a response's content is read at most; a login's is a few hundred bytes.
    public static let contentLimit = 16_384

    public let rule: LoginRule
    private let tagger: SecretTagger
    private var request: SecretBuffer?
    private var requestIsEncoded = false
    private var credential = PresentedCredential()
    private var response: SecretBuffer?
    private var sign = ResponseSign.absent
    private var responseIsEncoded = false
    private var status: UInt16?

    private enum ResponseSign {
        case absent, other, present
    }

    public init(rule: LoginRule, tagger: SecretTagger) {
        self.rule = rule
        self.tagger = tagger
        switch rule.principal {
        case .basicAuthorization: request = nil
        case .form, .json: request = SecretBuffer(capacity: Self.contentLimit)
        }
        if case .json = rule.success { response = SecretBuffer(capacity: Self.contentLimit) }
    }

    // MARK: Request

    /// The values of the fields Authorization and Content-Encoding; nil where the request has none.
    public func takeRequestHead(authorization: UnsafeRawBufferPointer?, contentEncoding: UnsafeRawBufferPointer?) {
        requestIsEncoded = Self.isEncoded(contentEncoding)
        if case .basicAuthorization = rule.principal {
            credential = CredentialReader(tagger: tagger).readAuthorization(authorization)
        }
    }

    /// Whom a request names, for who has to know before it goes on.
    public enum Named: Hashable, Sendable {
        case principal(String)
        /// Nobody tries to log in: there are no credentials of the rule's kind.
        case nobody
        /// Servers may differ on whom it names, or it cannot be read.
        case uncertain
    }

    /// Whether that is only known once the content is there.
    public var isNamedByContent: Bool { if case .basicAuthorization = rule.principal { false } else { true } }

    /// Reads the name alone, and changes nothing.
    /// - Parameter content: all of it, with transfer codings taken off; empty for a rule that does not look at it.
    public func named(in content: UnsafeRawBufferPointer) -> Named {
        let reader = CredentialReader(tagger: tagger)
        let presented: PresentedCredential
        switch rule.principal {
        case .basicAuthorization:
            guard credential.kind == .basic else { return .nobody }
            presented = credential
        case .form(let field, _):
            presented = reader.readForm(content, isWhole: true, field: field, secret: nil)
        case .json(let field, _):
            presented = reader.readJSON(content, isWhole: true, field: field, secret: nil)
        }
        guard presented.fault == nil, !requestIsEncoded || !isNamedByContent else { return .uncertain }
        return .principal(presented.principal)
    }

    /// A piece of the content, with transfer codings taken off.
    public func takeRequestBody(_ bytes: UnsafeRawBufferPointer) { request?.append(bytes) }

    /// The request is over: all of it has passed (`complete`), or it was broken off. Calling it again changes nothing.
    public func endRequest(complete: Bool) {
        guard let content = request else { return }
        request = nil
        defer { content.wipe() }
        if requestIsEncoded {
            credential = PresentedCredential(fault: .requestEncoded)
            return
        }
        let isWhole = complete && !content.isTruncated
        let reader = CredentialReader(tagger: tagger)
        switch rule.principal {
        case .basicAuthorization: break
        case .form(let field, let secret):
            credential = reader.readForm(content.bytes, isWhole: isWhole, field: field, secret: secret)
        case .json(let field, let secret):
            credential = reader.readJSON(content.bytes, isWhole: isWhole, field: field, secret: secret)
        }
    }

    // MARK: Response

    /// Of the final response (not 1xx).
    public func takeResponseStatus(_ status: UInt16) { self.status = status }

    /// One field line of the response. Those that do not matter are passed over.
    public func takeResponseField(name: UnsafeRawBufferPointer, value: UnsafeRawBufferPointer) {
        if Self.isField(name, "content-encoding") { responseIsEncoded = Self.isEncoded(value) }
        guard case .header(let wantedName, let wantedValue) = rule.success, sign != .present,
            Self.isField(name, wantedName)
        else { return }
        let matches = wantedValue.map { value.elementsEqual($0.utf8) } ?? true
        sign = matches ? .present : .other
    }

    /// Whether the response's content matters, so that the loop need not take transfer codings off for nothing.
    public var wantsResponseBody: Bool { response != nil && !responseIsEncoded }

    public func takeResponseBody(_ bytes: UnsafeRawBufferPointer) { response?.append(bytes) }

    // MARK: Event

    /// How the exchange ended.
    public enum Ending: Hashable, Sendable {
        /// The instance's response passed, whole or broken off.
        case responded(complete: Bool)
        /// No instance answered: the gateway did, with this status (0: nobody did), or the consumer left before.
        case noResponse(status: UInt16)
        /// The gateway refused the request before an instance had it.
        case refused(status: UInt16)
        /// As well, since who tried is locked out.
        case lockedOut(status: UInt16)
    }

    /// The event for the books. Texts in `context` may come as they were received: they are bounded and escaped here.
    public func event(_ context: LoginContext, _ ending: Ending) -> AuditEvent {
        endRequest(complete: false)
        let verdict = verdict(of: ending)
        response?.wipe()
        let reasons = [verdict.reason, credential.fault?.rawValue ?? ""].filter { !$0.isEmpty }
        return AuditEvent(
            requestID: context.requestID, observer: context.observer, service: context.service,
            consumer: context.consumer, principal: credential.principal, credentialKind: credential.kind,
            credentialTag: credential.tag, sourceAddress: context.sourceAddress,
            userAgent: PrintableText.escaped(context.userAgent), method: PrintableText.escaped(context.method),
            path: PrintableText.escaped(context.path), outcome: verdict.outcome,
            reason: reasons.joined(separator: ","), status: verdict.status, receivedAt: context.receivedAt,
            forwardedAt: context.forwardedAt, respondedAt: context.respondedAt)
    }

    private func verdict(of ending: Ending) -> LoginVerdict {
        switch ending {
        // What the gateway or the cloud could not do says nothing of who tried: an outage is no attack.
        case .refused(let status):
            return LoginVerdict(status >= 500 ? .unknown : .failure, "refused-by-gateway", status)
        case .lockedOut(let status): return LoginVerdict(.failure, "locked-out", status)
        case .noResponse(let status): return LoginVerdict(.unknown, "no-response", status)
        case .responded(let complete):
            guard let status else { return LoginVerdict(.unknown, "no-response", 0) }
            return verdict(status: status, complete: complete)
        }
    }

    private func verdict(status: UInt16, complete: Bool) -> LoginVerdict {
        switch rule.success {
        case .status(let range):
            return range.contains(Int(status)) ? LoginVerdict(.success, "", status) : LoginVerdict(withoutSign: status)
        case .header:
            if sign == .present { return LoginVerdict(.success, "", status) }
            return LoginVerdict(withoutSign: status, otherwise: sign == .other ? "header-differs" : "header-missing")
        case .json(let field, let value):
            if responseIsEncoded { return LoginVerdict(unreadable: status, "response-encoded") }
            guard let response else { return LoginVerdict(unreadable: status, "response-not-json") }
            return JSONSign(field: field, value: value).verdict(
                on: response.bytes, isWhole: complete && !response.isTruncated, status: status)
        }
    }

    private static func isEncoded(_ value: UnsafeRawBufferPointer?) -> Bool {
        guard let value, !value.isEmpty else { return false }
        return !isField(value, "identity")
    }

    private static func isField(_ name: UnsafeRawBufferPointer, _ wanted: String) -> Bool {
        name.count == wanted.utf8.count
            && zip(name, wanted.utf8).allSatisfy { LoginRules.lowercased($0) == LoginRules.lowercased($1) }
    }
}

/// What the gateway knows of a login request beside its content.
public struct LoginContext: Sendable {
    public var requestID: RequestID
    public var observer: String
    public var service: ServiceID
    public var consumer: ConsumerID?
    public var sourceAddress: String
    public var userAgent: String
    public var method: String
    /// As the consumer wrote it, without query (which may hold secrets).
    public var path: String
    public var receivedAt: Timestamp
    public var forwardedAt: Timestamp?
    public var respondedAt: Timestamp

    public init(
        requestID: RequestID, observer: String, service: ServiceID, consumer: ConsumerID?, sourceAddress: String,
        userAgent: String, method: String, path: String, receivedAt: Timestamp, forwardedAt: Timestamp?,
        respondedAt: Timestamp
    ) {
        self.requestID = requestID
        self.observer = observer
        self.service = service
        self.consumer = consumer
        self.sourceAddress = sourceAddress
        self.userAgent = userAgent
        self.method = method
        self.path = path
        self.receivedAt = receivedAt
        self.forwardedAt = forwardedAt
        self.respondedAt = respondedAt
    }
}

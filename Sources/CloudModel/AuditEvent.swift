/// A login that the audit monitor intercepted.
public struct AuditEvent: Codable, Hashable, Sendable {
    public var requestID: RequestID
    /// Who observed it: the gateway's name.
    public var observer: String
    /// The service that was logged in to; `administration` is the platform's own.
    public var service: ServiceID
    /// The consumer whose key carried the login request, where the service asks for one.
    public var consumer: ConsumerID?
    /// Who tried to log in, as the request says; empty where it does not.
    public var principal: String
    public var credentialKind: CredentialKind
    /// `hmac-sha256:` and a keyed tag of the presented secret, by which repeated guesses can be told apart; never the
    /// secret, never an unkeyed hash of it. Nil where none was presented.
    public var credentialTag: String?
    /// The address that the request came from, without port.
    public var sourceAddress: String
    public var userAgent: String
    public var method: String
    public var path: String
    public var outcome: Outcome
    /// Why it failed, or why the outcome is unknown: a stable word (`bad-credential`, `no-response`, …).
    public var reason: String
    public var status: UInt16
    /// The steps: the login request was intercepted, forwarded, its response intercepted.
    public var receivedAt: Timestamp
    public var forwardedAt: Timestamp?
    public var respondedAt: Timestamp

    public enum Outcome: String, Codable, Hashable, Sendable, CaseIterable {
        case success, failure
        /// The authentication service did not answer.
        case unknown
    }

    public enum CredentialKind: String, Codable, Hashable, Sendable, CaseIterable {
        case password, basic = "http-basic", apiKey = "api-key", token, none
        /// A code of the second factor, after a password that was right.
        case totp
    }

    public init(
        requestID: RequestID, observer: String, service: ServiceID, consumer: ConsumerID?, principal: String,
        credentialKind: CredentialKind, credentialTag: String?, sourceAddress: String, userAgent: String,
        method: String, path: String, outcome: Outcome, reason: String, status: UInt16, receivedAt: Timestamp,
        forwardedAt: Timestamp?, respondedAt: Timestamp
    ) {
        self.requestID = requestID
        self.observer = observer
        self.service = service
        self.consumer = consumer
        self.principal = principal
        self.credentialKind = credentialKind
        self.credentialTag = credentialTag
        self.sourceAddress = sourceAddress
        self.userAgent = userAgent
        self.method = method
        self.path = path
        self.outcome = outcome
        self.reason = reason
        self.status = status
        self.receivedAt = receivedAt
        self.forwardedAt = forwardedAt
        self.respondedAt = respondedAt
    }
}

extension AuditEvent {
    /// The login without what tells of the person: name, address, client, path and the credential's tag.
    public var withoutPersonalData: AuditEvent {
        var event = self
        event.principal = ""
        event.credentialTag = nil
        event.sourceAddress = ""
        event.userAgent = ""
        event.path = ""
        return event
    }
}

/// How a login's personal data is bound into the leaf that seals it.
public enum PersonalDataBinding: Codable, Hashable, Sendable {
    /// The leaf is the hash of the data itself: it cannot be erased. So were logins stored before schema 5.
    case direct
    /// The leaf has a commitment under this salt (64 hex digits) in the data's place.
    case salted(String)
    /// Data and salt are gone; the commitment (64 hex digits) stays, and tells nothing of either.
    case erased(commitment: String)
}

/// A record of the data plane on its way to the log database.
public enum SpoolRecord: Codable, Hashable, Sendable {
    case usage(UsageRecord)
    case audit(AuditEvent)
    /// So many records could not be spooled (the service is served even when it cannot be metered).
    case lost(count: UInt64, since: Timestamp, until: Timestamp)
}

/// Records of one source in order: the unit of an exactly-once transfer to the log database.
public struct SpoolBatch: Hashable, Sendable {
    /// Names the writer for good: `<gateway>/<loop>`.
    public var source: String
    /// The sequence number of the first record; the others follow without a gap.
    public var firstSequence: UInt64
    public var records: [SpoolRecord]

    public init(source: String, firstSequence: UInt64, records: [SpoolRecord]) {
        self.source = source
        self.firstSequence = firstSequence
        self.records = records
    }
}

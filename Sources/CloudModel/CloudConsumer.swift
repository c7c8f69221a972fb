/// Who uses cloud services, and is told, limited and billed.
public struct CloudConsumer: Codable, Hashable, Sendable {
    public var id: ConsumerID
    public var displayName: String
    /// Where notifications for the consumer go.
    public var contacts: [NotificationChannel]
    /// The services that the consumer may use; nil for all.
    public var entitlements: [ServiceID]?
    public var credentials: [APICredential]
    /// What the consumer pays by; nil: it is not billed.
    public var pricePlan: PricePlanID?
    public var budget: Budget?
    public var quota: MonthlyQuota?

    public init(
        id: ConsumerID, displayName: String = "", contacts: [NotificationChannel] = [],
        entitlements: [ServiceID]? = nil, credentials: [APICredential] = [], pricePlan: PricePlanID? = nil,
        budget: Budget? = nil, quota: MonthlyQuota? = nil
    ) {
        self.id = id
        self.displayName = displayName
        self.contacts = contacts
        self.entitlements = entitlements
        self.credentials = credentials
        self.pricePlan = pricePlan
        self.budget = budget
        self.quota = quota
    }
}

/// What a consumer is known by, at rest: an API key's digest, never the key; or a certificate's.
public struct APICredential: Codable, Hashable, Sendable {
    public var id: CredentialID
    public var kind: Kind
    /// The first characters of the key, or what people know the certificate by, shown so that they can tell theirs
    /// apart.
    public var prefix: String
    /// SHA-256 in lower-case hex: of the whole key (unsalted: it has 128+ random bits), of the certificate in DER, or
    /// of `subject:` with the certificate's subject in the form of RFC 2253 behind it.
    public var digest: String
    public var expiresAt: Timestamp?
    /// A revoked credential stays in the books and admits nobody.
    public var revoked: Bool

    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        case apiKey = "api-key"
        /// A certificate that the consumer shows in the TLS handshake.
        case certificate
    }

    public init(
        id: CredentialID, kind: Kind = .apiKey, prefix: String, digest: String, expiresAt: Timestamp? = nil,
        revoked: Bool = false
    ) {
        self.id = id
        self.kind = kind
        self.prefix = prefix
        self.digest = digest
        self.expiresAt = expiresAt
        self.revoked = revoked
    }
}

extension APICredential {
    /// Credentials that were stored before there were kinds are API keys.
    public init(from decoder: any Decoder) throws {
        let fields = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            id: try fields.decode(CredentialID.self, forKey: .id),
            kind: try fields.decodeIfPresent(Kind.self, forKey: .kind) ?? .apiKey,
            prefix: try fields.decode(String.self, forKey: .prefix),
            digest: try fields.decode(String.self, forKey: .digest),
            expiresAt: try fields.decodeIfPresent(Timestamp.self, forKey: .expiresAt),
            revoked: try fields.decode(Bool.self, forKey: .revoked))
    }
}

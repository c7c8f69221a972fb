/// Something that a person must be told, once per incident.
public struct Notification: Codable, Hashable, Sendable {
    /// Derived from the incident and the recipient, so that a repeated decision gives the same id.
    public var id: NotificationID
    public var at: Timestamp
    public var severity: Severity
    /// What kind of thing happened: `limit-reached`, `failover`, `breaker-open`, …; stable, for matching.
    public var kind: String
    public var service: ServiceID?
    /// The consumer that it is for; nil for the administrators.
    public var consumer: ConsumerID?
    public var title: String
    public var body: String
    /// The change of a constraint that the recipient may make from the notification, by a signed link.
    public var offer: ConstraintOffer?

    public enum Severity: String, Codable, Hashable, Sendable, CaseIterable {
        case info, warning, critical
    }

    public init(
        id: NotificationID, at: Timestamp, severity: Severity, kind: String, service: ServiceID? = nil,
        consumer: ConsumerID? = nil, title: String, body: String, offer: ConstraintOffer? = nil
    ) {
        self.id = id
        self.at = at
        self.severity = severity
        self.kind = kind
        self.service = service
        self.consumer = consumer
        self.title = title
        self.body = body
        self.offer = offer
    }
}

/// A change of one constraint that may be made with one click.
public struct ConstraintOffer: Codable, Hashable, Sendable {
    public var service: ServiceID
    public var constraint: ConstraintKind
    public var from: Int
    public var to: Int

    public init(service: ServiceID, constraint: ConstraintKind, from: Int, to: Int) {
        self.service = service
        self.constraint = constraint
        self.from = from
        self.to = to
    }
}

/// Where a notification is delivered.
public enum NotificationChannel: Codable, Hashable, Sendable {
    /// The platform's own log.
    case log
    /// HTTP POST signed as Standard Webhooks says; `secretFile` holds the `whsec_…` secret.
    case webhook(url: String, secretFile: String?)
    /// Mail through the platform's SMTP relay.
    case email(address: String)
}

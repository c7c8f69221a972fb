/// Which requests to a service are logins, and how to read one: the audit monitor's policy for one route.
public struct LoginRule: Codable, Hashable, Sendable {
    public var method: String
    /// The exact path, without query.
    public var path: String
    public var principal: PrincipalLocation
    public var success: SuccessSign
    /// What becomes of a login while its event cannot be stored in the log database.
    public var whenUnauditable: Unauditable
    /// Who fails too often at one address is kept from the service there; nil: nobody is.
    public var lockout: Lockout?

    /// When, and for how long, a principal is locked out at the address that its failures came from.
    public struct Lockout: Codable, Hashable, Sendable {
        /// Failures in a row.
        public var failures: Int
        /// How long; a failure that is older does not count any more.
        public var duration: TimeSpan

        /// fail2ban's usual time.
        public static let usualDuration = TimeSpan.minutes(10)

        public init(failures: Int, duration: TimeSpan = Self.usualDuration) {
            self.failures = failures
            self.duration = duration
        }
    }

    public enum Unauditable: String, Codable, Hashable, Sendable, CaseIterable {
        /// It is served; its event waits in the gateway's durable spool.
        case spool
        /// It is refused with 503: nobody comes in unseen by whoever reads the log database.
        case refuse
    }

    /// Where the request says who logs in.
    public enum PrincipalLocation: Codable, Hashable, Sendable {
        /// RFC 7617 `Authorization: Basic`.
        case basicAuthorization
        /// A field of an `application/x-www-form-urlencoded` body; `secret` names the field with the credential.
        case form(field: String, secret: String?)
        /// A top-level field of a JSON object body.
        case json(field: String, secret: String?)
    }

    /// How the response says that the login succeeded.
    public enum SuccessSign: Codable, Hashable, Sendable {
        case status(ClosedRange<Int>)
        /// The response has this header with this value; a nil value accepts any.
        case header(name: String, value: String?)
        /// The response is a JSON object whose top-level field has this value as text; a nil value accepts any.
        case json(field: String, value: String?)
    }

    public init(
        method: String = "POST", path: String, principal: PrincipalLocation, success: SuccessSign = .status(200...399),
        whenUnauditable: Unauditable = .spool, lockout: Lockout? = nil
    ) {
        self.method = method
        self.path = path
        self.principal = principal
        self.success = success
        self.whenUnauditable = whenUnauditable
        self.lockout = lockout
    }

    /// A rule that was stored before there was a choice has the usual one.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            method: try container.decode(String.self, forKey: .method),
            path: try container.decode(String.self, forKey: .path),
            principal: try container.decode(PrincipalLocation.self, forKey: .principal),
            success: try container.decode(SuccessSign.self, forKey: .success),
            whenUnauditable: try container.decodeIfPresent(Unauditable.self, forKey: .whenUnauditable) ?? .spool,
            lockout: try container.decodeIfPresent(Lockout.self, forKey: .lockout))
    }
}

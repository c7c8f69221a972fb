extension API {
    /// An API key as it is kept: never the key, only what tells it apart.
    public struct Credential: WireType {
        public var id: String
        public var prefix: String
        public var expiresAt: Moment?
        public var revoked: Bool

        public init(id: String, prefix: String, expiresAt: Moment? = nil, revoked: Bool) {
            self.id = id
            self.prefix = prefix
            self.expiresAt = expiresAt
            self.revoked = revoked
        }

        public static let summary = "An API key as it is kept: never the key, only what tells it apart."
        public static let fields = [
            "id": "Its name.",
            "prefix": "The first characters of the key.",
            "expiresAt": "When it stops working; absent for never.",
            "revoked": "Whether it was revoked.",
        ]
    }

    /// Who uses cloud services, and is told, limited and billed.
    public struct Consumer: WireType {
        public var id: String
        public var displayName: String
        public var contacts: [String]
        public var entitlements: [String]?
        public var credentials: [Credential]

        public init(
            id: String, displayName: String, contacts: [String], entitlements: [String]? = nil,
            credentials: [Credential]
        ) {
            self.id = id
            self.displayName = displayName
            self.contacts = contacts
            self.entitlements = entitlements
            self.credentials = credentials
        }

        public static let summary = "Who uses cloud services, and is told, limited and billed."
        public static let fields = [
            "id": "Its name.",
            "displayName": "Its name for people.",
            "contacts": "Where its notifications go: `log`, `webhook:URL` or `email:ADDRESS`.",
            "entitlements": "The services that it may use; absent for all.",
            "credentials": "Its API keys.",
        ]
    }

    /// A new API key is asked for.
    public struct CredentialRequest: WireType {
        public var expiresAt: Moment?

        public init(expiresAt: Moment? = nil) {
            self.expiresAt = expiresAt
        }

        public static let summary = "A new API key is asked for."
        public static let fields = [
            "expiresAt": "When it shall stop working; absent for never."
        ]
    }

    /// A new API key.
    public struct CreatedCredential: WireType {
        public var consumer: String
        public var credential: Credential
        public var key: String?

        public init(consumer: String, credential: Credential, key: String? = nil) {
            self.consumer = consumer
            self.credential = credential
            self.key = key
        }

        public static let summary = "A new API key."
        public static let fields = [
            "consumer": "Whose key it is.",
            "credential": "The key as it is kept.",
            "key": "The whole key. It is shown this once; a replayed answer does not have it.",
        ]
    }

    /// A person or program that may use this API.
    public struct Administrator: WireType {
        public var name: String
        public var role: Role
        public var consumer: String?
        public var createdAt: Moment
        public var expiresAt: Moment?

        public init(name: String, role: Role, consumer: String? = nil, createdAt: Moment, expiresAt: Moment? = nil) {
            self.name = name
            self.role = role
            self.consumer = consumer
            self.createdAt = createdAt
            self.expiresAt = expiresAt
        }

        public static let summary = "A person or program that may use this API."
        public static let fields = [
            "name": "Its name, as it appears in the event log.",
            "role": "What it may do.",
            "consumer": "For the role `consumer`: whom it speaks for.",
            "createdAt": "When it was made.",
            "expiresAt": "When its token stops working; absent for never.",
        ]
    }

    /// A new administrator is asked for.
    public struct AdministratorRequest: WireType {
        public var name: String
        public var role: Role
        public var consumer: String?
        public var expiresAt: Moment?

        public init(name: String, role: Role, consumer: String? = nil, expiresAt: Moment? = nil) {
            self.name = name
            self.role = role
            self.consumer = consumer
            self.expiresAt = expiresAt
        }

        public static let summary = "A new administrator is asked for."
        public static let fields = [
            "name": "Lower-case letters, digits and hyphens, 63 at most.",
            "role": "What it may do.",
            "consumer": "For the role `consumer`, and only there: whom it speaks for.",
            "expiresAt": "When its token shall stop working; absent for never.",
        ]
    }

    /// A new administrator and its token.
    public struct CreatedAdministrator: WireType {
        public var administrator: Administrator
        public var token: String?

        public init(administrator: Administrator, token: String? = nil) {
            self.administrator = administrator
            self.token = token
        }

        public static let summary = "A new administrator and its token."
        public static let fields = [
            "administrator": "The administrator.",
            "token": "The token. It is shown this once; a replayed answer does not have it.",
        ]
    }

    /// A login to the platform: a token to be checked, or a name and a password that a session is begun with.
    public struct SessionRequest: WireType {
        public var token: String?
        public var name: String?
        public var password: String?
        public var code: String?

        public init(token: String) {
            self.token = token
        }

        public init(name: String, password: String, code: String? = nil) {
            self.name = name
            self.password = password
            self.code = code
        }

        public static let summary =
            "A login to the platform: a token to be checked, or a name and a password that a session is begun with."
        public static let fields = [
            "token": "The token, as it was shown when the administrator was made.",
            "name": "Without a token: the administrator's name.",
            "password": "With a name: the password that was set for the administrator.",
            "code": "Where the administrator has a second factor: the app's six digits, or a recovery code.",
        ]
    }

    /// Who a token belongs to.
    public struct Session: WireType {
        public var name: String
        public var role: Role
        public var consumer: String?
        public var expiresAt: Moment?
        public var token: String?

        public init(
            name: String, role: Role, consumer: String? = nil, expiresAt: Moment? = nil, token: String? = nil
        ) {
            self.name = name
            self.role = role
            self.consumer = consumer
            self.expiresAt = expiresAt
            self.token = token
        }

        public static let summary = "Who a token belongs to."
        public static let fields = [
            "name": "The administrator's name.",
            "role": "What it may do.",
            "consumer": "For the role `consumer`: whom it speaks for.",
            "expiresAt": "When the token stops working; absent for never.",
            "token": "After a login by password: the session's token, shown this once. It ends as sessions do.",
        ]
    }
}

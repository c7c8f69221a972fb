extension API {
    /// The header in which a page proves that it belongs to the session whose cookie the browser sends.
    public static let csrfHeader = "x-cloudwright-csrf"

    /// A login to the web console: with a name and a password, or with a token.
    public struct ConsoleLogin: WireType {
        public var name: String?
        public var password: String?
        public var code: String?
        public var token: String?

        public init(name: String? = nil, password: String? = nil, code: String? = nil, token: String? = nil) {
            self.name = name
            self.password = password
            self.code = code
            self.token = token
        }

        public static let summary = "A login to the web console: with a name and a password, or with a token."
        public static let fields = [
            "name": "The administrator's name, with `password`.",
            "password": "The password that was set for the administrator.",
            "code": "Where the administrator has a second factor: the app's six digits, or a recovery code.",
            "token": "Instead of both: the administrator's token.",
        ]
    }

    /// Who is logged in to the web console with the request's cookie.
    public struct ConsoleSession: WireType {
        public var session: Session?
        public var csrfToken: String?
        public var platform: String?
        public var version: String?
        public var endsAt: Moment?

        public init(
            session: Session? = nil, csrfToken: String? = nil, platform: String? = nil, version: String? = nil,
            endsAt: Moment? = nil
        ) {
            self.session = session
            self.csrfToken = csrfToken
            self.platform = platform
            self.version = version
            self.endsAt = endsAt
        }

        public static let summary = "Who is logged in to the web console with the request's cookie."
        public static let fields = [
            "session": "Who it is; absent where nobody is logged in.",
            "csrfToken": "What every request that changes something has to carry in `x-cloudwright-csrf`.",
            "platform": "The platform's name; told to those who are logged in.",
            "version": "The platform's version; told to those who are logged in.",
            "endsAt": "When they have to log in again, whatever they do.",
        ]
    }

    /// An administrator gets another password.
    public struct PasswordChange: WireType {
        public var password: String
        public var currentPassword: String?

        public init(password: String, currentPassword: String? = nil) {
            self.password = password
            self.currentPassword = currentPassword
        }

        public static let summary = "An administrator gets another password."
        public static let fields = [
            "password": "The new password: 12 characters or more, 1024 bytes at most.",
            "currentPassword":
                "The present one: needed in the web console for one's own password, where there is one already.",
        ]
    }
}

extension API {
    /// The second factor of an administrator's logins by password: an authenticator app.
    public struct SecondFactor: WireType {
        public var isActive: Bool
        public var since: Moment?
        public var recoveryCodesLeft: Int

        public init(isActive: Bool, since: Moment? = nil, recoveryCodesLeft: Int = 0) {
            self.isActive = isActive
            self.since = since
            self.recoveryCodesLeft = recoveryCodesLeft
        }

        public static let summary = "The second factor of an administrator's logins by password: an authenticator app."
        public static let fields = [
            "isActive": "Whether a login by password needs a code.",
            "since": "When it was confirmed; absent where it is not active.",
            "recoveryCodesLeft": "How many recovery codes were not used yet.",
        ]
    }

    /// An authenticator app is to be the second factor.
    public struct SecondFactorRequest: WireType {
        public var currentPassword: String?

        public init(currentPassword: String? = nil) {
            self.currentPassword = currentPassword
        }

        public static let summary = "An authenticator app is to be the second factor."
        public static let fields = [
            "currentPassword": "The present password: needed in a session, not with a token."
        ]
    }

    /// What an authenticator app has to know.
    public struct SecondFactorEnrolment: WireType {
        public var secret: String
        public var address: String

        public init(secret: String, address: String) {
            self.secret = secret
            self.address = address
        }

        public static let summary = "What an authenticator app has to know. It is shown this once."
        public static let fields = [
            "secret": "The secret in base 32, for typing.",
            "address": "The same as an `otpauth:` address, for apps that read one.",
        ]
    }

    /// A code of the second factor.
    public struct SecondFactorCode: WireType {
        public var code: String?

        public init(code: String? = nil) {
            self.code = code
        }

        public static let summary = "A code of the second factor."
        public static let fields = [
            "code": "The six digits that the app shows, or a recovery code where the app was confirmed already; an "
                + "administrator needs none for others."
        ]
    }

    /// The second factor is active.
    public struct RecoveryCodes: WireType {
        public var codes: [String]

        public init(codes: [String]) {
            self.codes = codes
        }

        public static let summary = "The second factor is active; these codes stand in for an app that was lost."
        public static let fields = [
            "codes": "Each works once. They are shown this once."
        ]
    }
}

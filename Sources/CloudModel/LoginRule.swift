/// Which requests to a service are logins, and how to read one: the audit monitor's policy for one route.
public struct LoginRule: Codable, Hashable, Sendable {
    public var method: String
    /// The exact path, without query.
    public var path: String
    public var principal: PrincipalLocation
    public var success: SuccessSign

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
        method: String = "POST", path: String, principal: PrincipalLocation, success: SuccessSign = .status(200...399)
    ) {
        self.method = method
        self.path = path
        self.principal = principal
        self.success = success
    }
}

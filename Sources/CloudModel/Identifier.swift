/// The name of one `Entity`: stable for its whole life, unique among its kind.
///
/// The phantom type keeps a consumer's name from being passed where an instance's is expected.
public struct Identifier<Entity>: Hashable, Comparable, Codable, Sendable, CustomStringConvertible,
    ExpressibleByStringLiteral
{
    public let rawValue: String

    public init(_ rawValue: String) { self.rawValue = rawValue }
    public init(stringLiteral value: String) { self.rawValue = value }
    public init(from decoder: any Decoder) throws {
        rawValue = try decoder.singleValueContainer().decode(String.self)
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(rawValue)
    }

    public var description: String { rawValue }
    public static func < (left: Self, right: Self) -> Bool { left.rawValue < right.rawValue }

    /// Whether the name fits in a URL, a file name and a DNS label: `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, 63 at most
    /// (RFC 1123, section 2.1).
    public var isValidLabel: Bool {
        let bytes = rawValue.utf8
        guard (1...63).contains(bytes.count), bytes.first != 0x2D, bytes.last != 0x2D else { return false }
        return bytes.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    }
}

public typealias ServiceID = Identifier<CloudService>
public typealias InstanceID = Identifier<ServiceInstance>
public typealias ConsumerID = Identifier<CloudConsumer>
public typealias CredentialID = Identifier<APICredential>
public typealias FailoverGroupID = Identifier<FailoverGroup>
public typealias NotificationID = Identifier<Notification>
public typealias OperationID = Identifier<Operation>

extension Identifier where Entity == CloudConsumer {
    /// Who calls a service that admits callers without a credential. Never a valid label, so no one can be named so.
    public static var anonymous: ConsumerID { ConsumerID("(anonymous)") }
}

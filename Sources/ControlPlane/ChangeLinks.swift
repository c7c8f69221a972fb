public import CloudModel
import CloudPorts
import Credentials

/// Makes the links that change a constraint from a notification, and reads them again.
public struct ChangeLinks: Sendable {
    private let signer: ChangeLinkSigner
    /// How long a link works. A day: a limit that was reached last night can be raised in the morning.
    public static let validity = TimeSpan.hours(24)

    /// `key`: 32 random bytes, used for nothing else.
    public init(key: [UInt8]) { signer = ChangeLinkSigner(key: key) }

    /// The link for one notification: the same however often the notification is delivered.
    func link(for offer: ConstraintOffer, of notification: Notification, base: String) -> String {
        let link = ChangeLink(
            offer: offer, expiresAt: notification.at + Self.validity, nonce: notification.id.rawValue)
        return "\(base)/api/v1/constraint-changes/\(signer.token(for: link))"
    }

    func verify(_ token: String, at now: Timestamp) throws(AdministrationRefusal) -> ChangeLink {
        do { return try signer.verify(token, at: now) } catch {
            throw AdministrationRefusal(error == .expired ? .gone : .notFound, [error.description])
        }
    }
}

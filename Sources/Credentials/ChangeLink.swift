public import CloudModel
internal import Crypto

/// The offer to change a constraint that a signed link carries.
public struct ChangeLink: Hashable, Sendable {
    public var offer: ConstraintOffer
    public var expiresAt: Timestamp
    /// Spent when the change is made, so that the link works once. Links with the same nonce are one link: give the
    /// notification's id, and a notification that is delivered twice still changes a constraint once.
    public var nonce: String

    public init(offer: ConstraintOffer, expiresAt: Timestamp, nonce: String) {
        self.offer = offer
        self.expiresAt = expiresAt
        self.nonce = nonce
    }
}

/// Why a link changes nothing.
public enum ChangeLinkError: Error, Hashable, Sendable, CaseIterable, CustomStringConvertible {
    /// Not in the form of a link: a part was cut off or changed on the way.
    case malformed
    /// Not signed with this platform's key.
    case forged
    case expired

    public var description: String {
        switch self {
        case .malformed: "the link is not complete; copy the whole of it"
        case .forged: "the link was not made by this cloud, or with a key that it no longer has"
        case .expired: "the link has expired; make the change with: cloudwright constraint set"
        }
    }
}

/// Makes and checks the links: `base64url(payload).base64url(HMAC-SHA256(payload))`. Whether a link has been used is
/// for the log database to say (`LogDatabase.spend`, with the nonce).
public struct ChangeLinkSigner: Sendable {
    private let key: SymmetricKey

    /// Tokens longer than this are not looked at.
    public static let longestToken = 2_048

    /// `key` has 32 random bytes and no other use.
    public init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

    public func token(for link: ChangeLink) -> String {
        let payload = Self.encoded(link)
        let tag = HMAC<SHA256>.authenticationCode(for: payload, using: key)
        return Base64.encoded(payload, .url) + "." + Base64.encoded(Array(tag), .url)
    }

    /// The link that `token` is. Looks at the payload only once its signature has been found good.
    public func verify(_ token: String, at now: Timestamp) throws(ChangeLinkError) -> ChangeLink {
        guard token.utf8.count <= Self.longestToken else { throw .malformed }
        let parts = token.utf8.split(separator: UInt8(ascii: "."), omittingEmptySubsequences: false)
        guard parts.count == 2, let payload = Base64.decoded(Array(parts[0]), .url),
            let tag = Base64.decoded(Array(parts[1]), .url), tag.count == 32
        else { throw .malformed }
        guard HMAC<SHA256>.isValidAuthenticationCode(tag, authenticating: payload, using: key) else { throw .forged }
        guard let link = Self.decoded(payload) else { throw .malformed }
        guard now < link.expiresAt else { throw .expired }
        return link
    }

    /// The fields in order, each as its length, a colon and its text: no field can be taken for a part of another.
    private static func encoded(_ link: ChangeLink) -> [UInt8] {
        let fields = [
            "1", link.offer.service.rawValue, link.offer.constraint.rawValue, String(link.offer.from),
            String(link.offer.to), String(link.expiresAt.microseconds), link.nonce,
        ]
        return fields.flatMap { Array("\($0.utf8.count):\($0)".utf8) }
    }

    private static func decoded(_ payload: [UInt8]) -> ChangeLink? {
        var rest = payload[...]
        var fields: [String] = []
        while !rest.isEmpty {
            guard let colon = rest.firstIndex(of: UInt8(ascii: ":")),
                let length = Int(String(decoding: rest[..<colon], as: UTF8.self)),
                length >= 0, length <= rest.endIndex - colon - 1
            else { return nil }
            fields.append(String(decoding: rest[(colon + 1)..<(colon + 1 + length)], as: UTF8.self))
            rest = rest[(colon + 1 + length)...]
        }
        guard fields.count == 7, fields[0] == "1", let constraint = ConstraintKind(rawValue: fields[2]),
            let from = Int(fields[3]), let to = Int(fields[4]), let expiry = Int64(fields[5])
        else { return nil }
        return ChangeLink(
            offer: ConstraintOffer(service: ServiceID(fields[1]), constraint: constraint, from: from, to: to),
            expiresAt: Timestamp(microseconds: expiry), nonce: fields[6])
    }
}

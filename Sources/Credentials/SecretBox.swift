internal import Crypto

/// Keeps secrets that have to be read again: AES-256-GCM under a key that lies elsewhere than they do.
public struct SecretBox: Sendable {
    private let key: SymmetricKey

    /// `key` has 32 random bytes and no other use.
    public init(key: [UInt8]) { self.key = SymmetricKey(data: SHA256.hash(data: key)) }

    /// The secret for storing; it opens only for the same owner.
    public func sealed(_ secret: [UInt8], for owner: String) -> String? {
        let box = try? AES.GCM.seal(secret, using: key, authenticating: Array(owner.utf8))
        return (box?.combined).map { Base64.encoded(Array($0), .standard) }
    }

    /// Nil where it was sealed with another key, for another owner, or was altered.
    public func opened(_ text: String, for owner: String) -> [UInt8]? {
        guard let bytes = Base64.decoded(Array(text.utf8), .standard),
            let box = try? AES.GCM.SealedBox(combined: bytes),
            let secret = try? AES.GCM.open(box, using: key, authenticating: Array(owner.utf8))
        else { return nil }
        return Array(secret)
    }
}

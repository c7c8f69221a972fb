internal import Crypto

/// Makes the tags that stand for captured secrets in the audit log: `hmac-sha256:` and HMAC-SHA256 in hex. Equal
/// secrets have equal tags, so that repeated guesses can be told apart; without the key no tag can be tried out.
public struct SecretTagger: Sendable {
    private let key: SymmetricKey

    /// `key` has 16 random bytes at least, and no other use.
    public init(key: [UInt8]) { self.key = SymmetricKey(data: key) }

    public func tag(of secret: UnsafeRawBufferPointer) -> String {
        var code = HMAC<SHA256>(key: key)
        code.update(data: secret)
        return "hmac-sha256:" + Hexadecimal.text(code.finalize())
    }

    public func tag(of secret: String) -> String {
        var secret = secret
        return secret.withUTF8 { tag(of: UnsafeRawBufferPointer($0)) }
    }
}

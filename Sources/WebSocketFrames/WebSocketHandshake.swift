import Crypto
import Credentials

/// What a WebSocket's handshake is checked by (RFC 6455, section 4).
public enum WebSocketHandshake {
    public static let version = "13"

    /// What a server answers to a client's key in Sec-WebSocket-Accept: it shows that it has understood, no more; SHA-1
    /// is what the protocol says.
    public static func accept(ofKey key: String) -> String {
        let digest = Insecure.SHA1.hash(data: Array("\(key)258EAFA5-E914-47DA-95CA-C5AB0DC85B11".utf8))
        return Base64.encoded(Array(digest), .standard)
    }

    /// Whether it is the form of 16 octets, as a key has to be.
    public static func isKey(_ text: String) -> Bool {
        text.utf8.count == 24 && Base64.decoded(Array(text.utf8), .standard)?.count == 16
    }

    /// A client's key.
    public static func key(using random: inout some RandomNumberGenerator) -> String {
        Base64.encoded((0..<16).map { _ in UInt8.random(in: .min ... .max, using: &random) }, .standard)
    }
}

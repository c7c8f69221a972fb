import Credentials
import Crypto

/// A statement that a log has so many leaves and this root, signed by its owner: what is kept by others, a log cannot
/// take back.
///
/// The format is C2SP's tlog-checkpoint in a signed note (https://c2sp.org/tlog-checkpoint,
/// https://c2sp.org/signed-note), which any witness for transparency logs reads.
public struct Checkpoint: Hashable, Sendable {
    /// Names the log, for good and among all logs.
    public var origin: String
    public var size: UInt64
    public var root: MerkleHash

    public init(origin: String, size: UInt64, root: MerkleHash) {
        self.origin = origin
        self.size = size
        self.root = root
    }

    /// What is signed.
    public var body: String { "\(origin)\n\(size)\n\(Base64.encoded(root.bytes, .standard))\n" }

    /// The signed note.
    public func signed(by key: CheckpointSigner) throws -> String {
        let signature = try key.key.signature(for: Array(body.utf8))
        let text = Base64.encoded(key.verifier.keyID + Array(signature), .standard)
        return "\(body)\n— \(key.verifier.name) \(text)\n"
    }

    /// Reads a note, and throws where it is none or is not signed by this key. Signatures of others are passed over.
    public init(note: String, verifiedBy key: CheckpointVerifier) throws(CheckpointError) {
        let lines = note.split(separator: "\n", omittingEmptySubsequences: false)
        guard let gap = lines.firstIndex(of: "") else { throw .malformed("no blank line") }
        let body = lines[..<gap].map { $0 + "\n" }.joined()
        let isSigned = lines[gap...].contains { line in
            let words = line.split(separator: " ")
            guard words.count == 3, words[0] == "—", words[1] == key.name,
                let bytes = Base64.decoded(Array(words[2].utf8), .standard), bytes.count == 4 + 64,
                Array(bytes.prefix(4)) == key.keyID
            else { return false }
            return key.key.isValidSignature(bytes[4...], for: Array(body.utf8))
        }
        guard isSigned else { throw .notSigned(by: key.name) }
        guard gap >= 3, !lines[0].isEmpty else { throw .malformed("fewer than three lines") }
        guard let size = UInt64(lines[1]), "\(size)" == lines[1] else { throw .malformed("the size is '\(lines[1])'") }
        guard let bytes = Base64.decoded(Array(lines[2].utf8), .standard), let root = MerkleHash(bytes) else {
            throw .malformed("the root is '\(lines[2])'")
        }
        self.init(origin: String(lines[0]), size: size, root: root)
    }
}

public enum CheckpointError: Error, Hashable, Sendable, CustomStringConvertible {
    case malformed(String)
    case notSigned(by: String)
    case badKey(String)

    public var description: String {
        switch self {
        case .malformed(let why): "this is no checkpoint: \(why)"
        case .notSigned(let name): "the checkpoint has no valid signature of \(name)"
        case .badKey(let text):
            "'\(text)' is no verification key: it is NAME+8 hex digits+base64, as 'cloudwright audit key' prints it"
        }
    }
}

/// The key that checkpoints are signed with: Ed25519 (RFC 8032), from a seed of 32 secret bytes.
public struct CheckpointSigner: Sendable {
    let key: Curve25519.Signing.PrivateKey
    public let verifier: CheckpointVerifier

    public init(name: String, seed: [UInt8]) throws {
        key = try Curve25519.Signing.PrivateKey(rawRepresentation: seed)
        verifier = CheckpointVerifier(name: name, key: key.publicKey)
    }
}

/// The public half, which an auditor keeps. As text it is a "vkey" of C2SP's signed notes.
public struct CheckpointVerifier: Sendable, CustomStringConvertible {
    /// Without spaces and plus signs.
    public let name: String
    let key: Curve25519.Signing.PublicKey
    /// The first four bytes of SHA-256(name, line feed, 1, key): tells keys of the same name apart.
    let keyID: [UInt8]

    init(name: String, key: Curve25519.Signing.PublicKey) {
        self.name = name
        self.key = key
        var hash = SHA256()
        hash.update(data: Array(name.utf8) + [0x0A, 0x01] + Array(key.rawRepresentation))
        keyID = Array(hash.finalize().prefix(4))
    }

    public init(_ text: String) throws(CheckpointError) {
        let words = text.split(separator: "+", maxSplits: 2)
        guard words.count == 3, let bytes = Base64.decoded(Array(words[2].utf8), .standard), bytes.count == 33,
            bytes.first == 0x01,
            let key = try? Curve25519.Signing.PublicKey(rawRepresentation: bytes[1...])
        else { throw .badKey(text) }
        self.init(name: String(words[0]), key: key)
        guard Hexadecimal.text(keyID) == words[1] else { throw .badKey(text) }
    }

    public var description: String {
        let encoded = Base64.encoded([0x01] + Array(key.rawRepresentation), .standard)
        return "\(name)+\(Hexadecimal.text(keyID))+\(encoded)"
    }
}

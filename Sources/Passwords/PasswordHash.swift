import CArgon2
import Dispatch

/// A password as it is kept: Argon2id with a salt of its own, in the encoding that names its own cost
/// (`$argon2id$v=19$m=…,t=…,p=…$salt$hash`), so that costs can be raised later without asking anybody for a new
/// password.
public struct PasswordHash: Hashable, Sendable {
    public let encoded: String

    public init(encoded: String) { self.encoded = encoded }

    /// What one check costs. The default is the second recommended option of RFC 9106, section 4, with one thread: the
    /// control plane has other work to do meanwhile.
    public struct Cost: Hashable, Sendable {
        public var memoryKiB: UInt32
        public var passes: UInt32
        public var lanes: UInt32

        public init(memoryKiB: UInt32, passes: UInt32, lanes: UInt32) {
            self.memoryKiB = memoryKiB
            self.passes = passes
            self.lanes = lanes
        }

        public static let standard = Cost(memoryKiB: 65_536, passes: 3, lanes: 4)
    }

    /// The library refused, which it does where memory is short.
    public struct Failure: Error, Hashable, Sendable, CustomStringConvertible {
        public var description: String
    }

    /// Bytes of salt and of hash, as RFC 9106, section 4, recommends.
    private static let saltLength = 16
    private static let hashLength = 32
    /// Longer passwords are refused before they are hashed: hashing them would be work for whoever asks for it.
    public static let maximumPasswordLength = 1_024

    /// Hashes a password. Takes some hundred milliseconds of one processor.
    public static func make(
        of password: String, cost: Cost = .standard, using random: inout some RandomNumberGenerator
    ) throws(Failure) -> PasswordHash {
        let salt = (0..<saltLength).map { _ in UInt8.random(in: .min ... .max, using: &random) }
        let bytes = Array(password.utf8)
        var encoded = [CChar](
            repeating: 0,
            count: argon2_encodedlen(
                cost.passes, cost.memoryKiB, cost.lanes, UInt32(saltLength), UInt32(hashLength), Argon2_id))
        var context = [UInt8](repeating: 0, count: hashLength)
        let code = argon2_hash(
            cost.passes, cost.memoryKiB, cost.lanes, bytes, bytes.count, salt, saltLength, &context, hashLength,
            &encoded, encoded.count, Argon2_id, UInt32(ARGON2_VERSION_13.rawValue))
        guard code == ARGON2_OK.rawValue else { throw Failure(code) }
        return PasswordHash(encoded: String(decoding: encoded.prefix { $0 != 0 }.map(UInt8.init), as: UTF8.self))
    }

    /// Whether this is the hash of the password; compared in constant time. Takes as long as making the hash did.
    public func matches(_ password: String) -> Bool {
        guard password.utf8.count <= Self.maximumPasswordLength else { return false }
        let bytes = Array(password.utf8)
        return argon2id_verify(encoded, bytes, bytes.count) == ARGON2_OK.rawValue
    }
}

extension PasswordHash.Failure {
    fileprivate init(_ code: Int32) {
        self.init(description: "the password cannot be hashed: \(String(cString: argon2_error_message(code)))")
    }
}

/// Hashes and checks passwords on a thread of its own, one at a time: each takes 64 MiB, and a flood of logins must not
/// take the memory or the processors that the platform works with.
public actor PasswordChecker {
    /// Checks and hashes that may wait; more are refused.
    public static let maximumWaiting = 32

    public struct Overload: Error, Hashable, Sendable {}

    private let queue = DispatchQueue(label: "cloudwright.passwords", qos: .utility)
    private let cost: PasswordHash.Cost
    private var waiting = 0
    /// What is compared with where there is no password, so that it takes as long to find that out.
    private var decoy: PasswordHash?

    public init(cost: PasswordHash.Cost = .standard) { self.cost = cost }

    public func hash(_ password: String) async throws -> PasswordHash {
        let cost = cost
        return try await perform {
            var random = SystemRandomNumberGenerator()
            return try PasswordHash.make(of: password, cost: cost, using: &random)
        }
    }

    /// Whether it is the password. False after the same time where there is none to compare with.
    public func check(_ password: String, against hash: PasswordHash?) async throws -> Bool {
        if let hash { return try await perform { hash.matches(password) } }
        let other: PasswordHash
        if let decoy { other = decoy } else { other = try await self.hash("decoy") }
        decoy = other
        _ = try await perform { other.matches(password) }
        return false
    }

    private func perform<Value: Sendable>(_ work: @escaping @Sendable () throws -> Value) async throws -> Value {
        guard waiting < Self.maximumWaiting else { throw Overload() }
        waiting += 1
        defer { waiting -= 1 }
        return try await withCheckedThrowingContinuation { continuation in
            queue.async { continuation.resume(with: Result { try work() }) }
        }
    }
}

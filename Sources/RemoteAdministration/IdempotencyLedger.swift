import AdministrationAPI
import CloudModel
import CloudPorts
import Credentials
import Logging

/// Answers a repeated request as the first one was answered (Idempotency-Key).
///
/// A key belongs to who sent it. Only answers of requests that changed something are kept: one that was refused changed
/// nothing and may be tried again under the same key.
actor IdempotencyLedger {
    /// A key is opaque to us: 1 to 255 visible ASCII characters.
    private static let maximumKeyLength = 255
    /// How long an answer is repeated.
    private static let memory = TimeSpan.hours(24)

    private let database: any LogDatabase
    private let now: @Sendable () -> Timestamp
    private let logger: Logger
    private var running: Set<String> = []

    init(database: any LogDatabase, now: @escaping @Sendable () -> Timestamp, logger: Logger) {
        self.database = database
        self.now = now
        self.logger = logger
    }

    func answer(
        _ call: Call, key text: String, by work: @Sendable () async throws -> Reply
    ) async throws -> Reply {
        let key = try Self.key(text, of: call.actor)
        let digest = Self.digest(of: call)
        guard running.insert(key).inserted else {
            throw API.Problem.conflict(
                "A request with this Idempotency-Key is being worked on; wait for its answer, then repeat it.")
        }
        defer { running.remove(key) }
        if let stored = try await database.storedResponse(idempotencyKey: key), now() - stored.at < Self.memory {
            guard stored.requestDigest == digest else {
                throw API.Problem.reusedKey(
                    "This Idempotency-Key was used for another request in the last 24 hours; use a new one.")
            }
            return Self.reply(stored)
        }
        let reply = try await work()
        if (200..<300).contains(reply.status) { await store(response(reply, digest), key: key) }
        return reply
    }

    /// The change has been made whether its answer can be kept or not, so the caller is told that it was.
    private func store(_ response: StoredResponse, key: String) async {
        do { try await database.store(response, idempotencyKey: key) } catch {
            logger.error("An answer cannot be kept for a repeated request", metadata: ["error": "\(error)"])
        }
    }

    /// Structured-field strings (RFC 8941) come in double quotes; the bare form is as common.
    private static func key(_ text: String, of actor: String) throws(API.Problem) -> String {
        var bare = text
        if bare.count >= 2, bare.hasPrefix("\""), bare.hasSuffix("\"") { bare = String(bare.dropFirst().dropLast()) }
        guard (1...maximumKeyLength).contains(bare.utf8.count), bare.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { throw .invalid("Idempotency-Key must be 1 to \(maximumKeyLength) visible ASCII characters.") }
        return KeyDigest(of: "\(actor)\n\(bare)").description
    }

    private static func digest(of call: Call) -> String {
        let head = "\(call.route.method.rawValue)\n\(call.path)\n\(call.headers["if-match"] ?? "")\n"
        return (Array((head + call.query.canonical + "\n").utf8) + call.body).withUnsafeBytes { KeyDigest(of: $0) }
            .description
    }

    private func response(_ reply: Reply, _ digest: String) -> StoredResponse {
        var headers = reply.headers
        var body: [UInt8] = []
        if case .bytes(let bytes, let mediaType) = reply.body {
            headers["content-type"] = mediaType
            body = reply.repeatableBody ?? bytes
        }
        return StoredResponse(requestDigest: digest, status: reply.status, headers: headers, body: body, at: now())
    }

    private static func reply(_ stored: StoredResponse) -> Reply {
        var headers = stored.headers
        headers["idempotency-replayed"] = "true"
        guard let mediaType = headers.removeValue(forKey: "content-type") else {
            return Reply(status: stored.status, headers: headers, body: .none)
        }
        return Reply(status: stored.status, headers: headers, body: .bytes(stored.body, mediaType: mediaType))
    }
}

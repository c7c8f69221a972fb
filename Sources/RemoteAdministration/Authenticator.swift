import AdministrationAPI
import AuditMonitor
import CloudModel
import CloudPorts
import Credentials
import Logging
import Passwords

/// Finds out whose a token is, and has every login written into the audit log.
///
/// A failed attempt is recorded with its reason and a keyed tag of what was presented, within the limits of
/// `FailureLimiter`; a success is recorded at every session and at a token's first use from a source.
actor Authenticator {
    /// A login attempt as the audit log describes it.
    struct Attempt: Sendable {
        var source: String
        var userAgent: String
        var method: String
        var path: String
        var receivedAt: Timestamp

        init(source: String, userAgent: String, method: String, path: String, receivedAt: Timestamp) {
            self.source = source
            self.userAgent = String(userAgent.prefix(256))
            self.method = method
            self.path = String(path.prefix(256))
            self.receivedAt = receivedAt
        }
    }

    /// What the platform's own logins are recorded under.
    static let service: ServiceID = "administration"
    /// Longer ones are no tokens; they are not even hashed.
    private static let maximumTokenLength = 512
    /// How long the list of administrators is used before it is read again.
    private static let freshness = TimeSpan.seconds(1)
    /// Token and source pairs that are remembered as recorded.
    private static let maximumKnownUses = 10_000

    private struct KnownUse: Hashable {
        var administrator: String
        var digest: String
        var source: String
    }

    let database: any LogDatabase
    private let observer: String
    private let tagger: SecretTagger
    /// Seals the secrets of second factors.
    let secrets: SecretBox
    let now: @Sendable () -> Timestamp
    private let logger: Logger
    /// Failed attempts by where they come from.
    var limiter = FailureLimiter()
    /// Wrong passwords by whose they should be.
    var passwordLimiter = FailureLimiter()
    var sessions = ConsoleSessions()
    let passwords = PasswordChecker()
    /// One login by password at a time: what it counts is there before the next one is looked at, however many come.
    let passwordLane = CommandLane()
    private(set) var administrators: [(digest: KeyDigest, administrator: Administrator)] = []
    private var readAt: Timestamp?
    /// Grows when the list has changed: what was being read then is old.
    private var generation: UInt64 = 0
    private var knownUses: Set<KnownUse> = []
    /// Names that are locked out where too many wrong passwords came from.
    var lockout: LoginLockout
    /// Accounts that take no code of a second factor for a while.
    var codeLockout = LoginLockout(Authenticator.codeLockout)
    /// Where administrators have logged in from: guesses from elsewhere do not hold them up there.
    private var homes: Set<Home> = []

    private struct Home: Hashable {
        var administrator: String
        var network: String
    }

    init(
        database: any LogDatabase, observer: String, tagger: SecretTagger, secrets: SecretBox,
        lockout: LoginLockout.Settings?, now: @escaping @Sendable () -> Timestamp, logger: Logger
    ) {
        self.lockout = LoginLockout(lockout)
        self.database = database
        self.observer = observer
        self.tagger = tagger
        self.secrets = secrets
        self.now = now
        self.logger = logger
    }

    /// The list has changed: read it again at the next use.
    func invalidate() {
        readAt = nil
        generation += 1
    }

    /// Attempts that the audit log does not have, because their sources made too many.
    var suppressedAttempts: UInt64 { limiter.suppressed }

    /// Who sends a request with this Authorization header.
    func identify(authorization: String?, _ attempt: Attempt) async throws -> Identity {
        guard let authorization else {
            // Nothing was presented, so nobody has tried to log in.
            throw API.Problem.unauthenticated(
                "Send 'Authorization: Bearer TOKEN' with an administrator's token; see `cloudwright login --help`.")
        }
        let parts = authorization.split(separator: " ", maxSplits: 1)
        guard parts.count == 2, parts[0].lowercased() == "bearer" else {
            throw await failure(
                attempt, principal: "", presented: authorization, kind: .none, reason: "unsupported-scheme")
        }
        // The token of a session that a login by password began.
        if let found = try? await session(ofSecret: String(parts[1])) { return found.identity }
        let found = try await check(String(parts[1]), attempt)
        await recordFirstUse(of: found, attempt, presented: String(parts[1]))
        return Identity(found)
    }

    /// A login: always recorded, whether it succeeds or not.
    func logIn(token: String, _ attempt: Attempt) async throws -> Identity {
        let found = try await check(token, attempt)
        await record(
            attempt, principal: found.name, presented: token, kind: .token, outcome: .success, reason: "accepted",
            status: 200)
        remember(found, source: attempt.source)
        return Identity(found)
    }

    /// A guess at a change link counts as a failed attempt of its source; gives back when it may try again.
    func countFailure(from source: String) -> Int64? { limiter.failure(from: source, at: now()).retryAfterSeconds }

    /// Whether the identity's token is still good (for streams that outlive the request's check).
    func isStillValid(_ identity: Identity) async -> Bool {
        if let session = identity.session, sessions.session(session, at: now()) == nil { return false }
        guard (try? await refresh()) != nil else { return true }
        return administrators.contains { entry in
            Identity(entry.administrator, session: identity.session) == identity && !isExpired(entry.administrator)
        }
    }

    func check(_ token: String, _ attempt: Attempt) async throws -> Administrator {
        do { try await refresh() } catch { throw API.Problem(error) }
        guard token.utf8.count <= Self.maximumTokenLength else {
            throw await failure(attempt, principal: "", presented: token, kind: .token, reason: "bad-credential")
        }
        let digest = KeyDigest(of: token)
        var found: Administrator?
        // All are compared, each in constant time: how long it takes does not depend on which one it is.
        for entry in administrators where entry.digest == digest { found = entry.administrator }
        guard let found else {
            throw await failure(attempt, principal: "", presented: token, kind: .token, reason: "bad-credential")
        }
        guard !isExpired(found) else {
            throw await failure(attempt, principal: found.name, presented: token, kind: .token, reason: "expired")
        }
        return found
    }

    func isExpired(_ administrator: Administrator) -> Bool {
        administrator.expiresAt.map { $0 <= now() } ?? false
    }

    func refresh() async throws(LogDatabaseError) {
        let time = now()
        if let readAt, time >= readAt, time - readAt < Self.freshness { return }
        let beginning = generation
        let read = try await database.administrators()
        administrators = read.compactMap { administrator in
            KeyDigest(hex: administrator.tokenDigest).map { ($0, administrator) }
        }
        if generation == beginning { readAt = time }
    }

    /// Counts a failed attempt, has it recorded, and says how it is refused.
    func failure(
        _ attempt: Attempt, principal: String, presented: String, kind: AuditEvent.CredentialKind, reason: String
    ) async -> any Error {
        let verdict = limiter.failure(from: attempt.source, at: now())
        let status: UInt16 = verdict.retryAfterSeconds == nil ? 401 : 429
        if verdict.record {
            await record(
                attempt, principal: principal, presented: presented, kind: kind, outcome: .failure,
                reason: status == 429 ? "too-many-failures" : reason, status: status)
        }
        if let seconds = verdict.retryAfterSeconds {
            return Refusal(
                problem: .tooMany(
                    "Too many failed attempts came from \(attempt.source); wait \(seconds) s, then send a "
                        + "valid \(kind == .password ? "password" : kind == .totp ? "code" : "token")."),
                headers: ["retry-after": String(seconds)])
        }
        if kind == .password {
            return API.Problem.unauthenticated("The name or the password is wrong, or no password was set.")
        }
        if kind == .totp {
            return Self.codeProblem("The code is wrong, was used before, or its time is over; give the next one.")
        }
        return API.Problem.unauthenticated(
            reason == "expired"
                ? "The token has expired; ask an administrator for a new one."
                : "The token is not valid; send 'Authorization: Bearer TOKEN' with one that was not removed.")
    }

    private func recordFirstUse(of administrator: Administrator, _ attempt: Attempt, presented: String) async {
        let use = KnownUse(
            administrator: administrator.name, digest: administrator.tokenDigest, source: attempt.source)
        guard !knownUses.contains(use) else { return }
        remember(administrator, source: attempt.source)
        let isStored = await record(
            attempt, principal: administrator.name, presented: presented, kind: .token, outcome: .success,
            reason: "first-use", status: 200)
        // The next use tries again.
        if !isStored { knownUses.remove(use) }
    }

    func isHome(_ administrator: Administrator, source: String) -> Bool {
        homes.contains(Home(administrator: administrator.name, network: SourceNetwork.of(source)))
    }

    func remember(_ administrator: Administrator, source: String) {
        if homes.count >= Self.maximumKnownUses { homes.removeAll() }
        homes.insert(Home(administrator: administrator.name, network: SourceNetwork.of(source)))
        if knownUses.count >= Self.maximumKnownUses { knownUses.removeAll() }
        knownUses.insert(
            KnownUse(administrator: administrator.name, digest: administrator.tokenDigest, source: source))
    }

    @discardableResult
    func record(
        _ attempt: Attempt, principal: String, presented: String, kind: AuditEvent.CredentialKind,
        outcome: AuditEvent.Outcome, reason: String, status: UInt16
    ) async -> Bool {
        var random = SystemRandomNumberGenerator()
        let event = AuditEvent(
            requestID: RequestID(high: random.next(), low: random.next()), observer: observer, service: Self.service,
            consumer: nil, principal: principal, credentialKind: kind, credentialTag: tagger.tag(of: presented),
            sourceAddress: attempt.source, userAgent: attempt.userAgent, method: attempt.method, path: attempt.path,
            outcome: outcome, reason: reason, status: status, receivedAt: attempt.receivedAt, forwardedAt: nil,
            respondedAt: now())
        do {
            try await database.record(event)
            return true
        } catch {
            // Whoever repairs the log database must be able to log in while it is broken.
            logger.error("A login could not be recorded", metadata: ["error": "\(error)", "outcome": "\(outcome)"])
            return false
        }
    }
}

/// A problem that is told with more headers than every problem is.
struct Refusal: Error {
    var problem: API.Problem
    var headers: [String: String]
}

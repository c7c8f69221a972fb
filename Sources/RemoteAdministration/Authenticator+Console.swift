import AdministrationAPI
import CloudModel
import CloudPorts
import Credentials
import Foundation
import Passwords

/// Logins to the web console and its sessions.
extension Authenticator {
    /// A session that has just begun: the secret is for the cookie and nothing else.
    struct BegunSession: Sendable {
        var identity: Identity
        var secret: String
        var endsAt: Timestamp
    }

    /// Longer names are nobody's; they are cut in the audit log.
    private static let maximumNameLength = 128

    func beginSession(token: String, _ attempt: Attempt) async throws -> BegunSession {
        let found = try await check(token, attempt)
        await record(
            attempt, principal: found.name, presented: token, kind: .token, outcome: .success, reason: "accepted",
            status: 200)
        remember(found, source: attempt.source)
        return begin(found)
    }

    /// Passwords can be guessed, so a source has to wait after ten failures in a minute, the right password or not, and
    /// so has an account, but for where it has logged in from before. Where a lockout is declared, a name and an
    /// address that had too many failures in a row have to wait longer. Nobody is locked out by guesses from elsewhere:
    /// tokens and sessions work on, and so do passwords from the usual places.
    ///
    /// Where a second factor is active, the code is looked at only behind the right password.
    func beginSession(
        name: String, password: String, code: String?, _ attempt: Attempt
    ) async throws -> BegunSession {
        try await passwordLane.run {
            try await self.checkedSession(name: name, password: password, code: code, attempt)
        }
    }

    private func checkedSession(
        name: String, password: String, code: String?, _ attempt: Attempt
    ) async throws -> BegunSession {
        do { try await refresh() } catch { throw API.Problem(error) }
        let principal = String(name.prefix(Self.maximumNameLength))
        let found = administrators.first { $0.administrator.name == name }?.administrator
        let time = now()
        if let wait = wait(principal, found, attempt, at: time) {
            // Counted and recorded as every failure is; the password was not looked at.
            _ = await failure(
                attempt, principal: principal, presented: password, kind: .password, reason: "too-many-failures")
            throw Refusal(
                problem: .tooMany(
                    "Too many logins failed; wait \(wait) s, or log in with a token, which is not held up."),
                headers: ["retry-after": String(wait)])
        }
        let hash = try await storedPassword(of: found)
        guard try await isRight(password, hash), let found, !isExpired(found) else {
            if let found { _ = passwordLimiter.failure(from: found.name, at: now()) }
            lockout.failed(principal, from: attempt.source, at: now())
            throw await failure(
                attempt, principal: principal, presented: password, kind: .password, reason: "bad-credential")
        }
        let codeReason = try await requireSecondFactor(code, of: found, password: password, attempt)
        lockout.succeeded(principal, from: attempt.source)
        remember(found, source: attempt.source)
        await record(
            attempt, principal: found.name, presented: codeReason == nil ? password : code ?? "",
            kind: codeReason == nil ? .password : .totp, outcome: .success, reason: codeReason ?? "accepted",
            status: 200)
        return begin(found)
    }

    /// Seconds until a password is looked at again; nil where it is now. A name that is nobody's is locked as any other
    /// is, so that it does not show.
    private func wait(
        _ principal: String, _ found: Administrator?, _ attempt: Attempt, at time: Timestamp
    ) -> Int64? {
        let locked = lockout.lockedUntil(principal, from: attempt.source, at: time).map { end in
            max(1, ((end - time).millisecondsRoundedUp + 999) / 1_000)
        }
        let account = found.flatMap { administrator in
            isHome(administrator, source: attempt.source)
                ? nil : passwordLimiter.retryAfterSeconds(for: administrator.name, at: time)
        }
        return [limiter.retryAfterSeconds(for: attempt.source, at: time), account, locked].compactMap { $0 }.max()
    }

    private func begin(_ administrator: Administrator) -> BegunSession {
        var random = SystemRandomNumberGenerator()
        let time = now()
        let secret = sessions.begin(administrator, at: time, using: &random)
        return BegunSession(
            identity: Identity(administrator, session: KeyDigest(of: secret)), secret: secret,
            endsAt: time + ConsoleSessions.longest)
    }

    /// Who a session's cookie speaks for.
    func identify(sessionSecret secret: String) async throws -> Identity {
        guard let found = try await session(ofSecret: secret) else {
            throw API.Problem.unauthenticated("The session has ended; log in again.")
        }
        return found.identity
    }

    /// The session of a cookie; nil where it has ended or its administrator is gone.
    func session(ofSecret secret: String) async throws -> (identity: Identity, endsAt: Timestamp)? {
        do { try await refresh() } catch { throw API.Problem(error) }
        let digest = KeyDigest(of: String(secret.prefix(Self.maximumNameLength)))
        guard let session = sessions.use(digest, at: now()) else { return nil }
        let found = administrators.first { entry in
            entry.administrator.name == session.administrator
                && entry.administrator.createdAt == session.administratorSince
        }
        guard let found, !isExpired(found.administrator) else {
            sessions.end(digest)
            return nil
        }
        return (Identity(found.administrator, session: digest), session.endsAt)
    }

    func endSession(_ digest: KeyDigest) { sessions.end(digest) }

    // MARK: Passwords

    /// A password at rest. It belongs to one administrator: a later one of the same name does not inherit it.
    private struct StoredPassword: Codable {
        var administratorSince: Int64
        var hash: String
    }

    private static func setting(of name: String) -> String { "administrator.password.\(name)" }

    func hasPassword(_ administrator: Administrator) async throws -> Bool {
        try await storedPassword(of: administrator) != nil
    }

    /// Whether it is the administrator's present password; failures count as failed logins do.
    func confirm(_ password: String?, of administrator: Administrator, _ attempt: Attempt) async throws {
        guard let password, !password.isEmpty else {
            var problem = API.Problem.forbidden("Give the present password too: this is a session, not a token.")
            problem.faults = [API.Fault(detail: "the present password is needed", pointer: "/currentPassword")]
            throw problem
        }
        try await passwordLane.run { try await self.confirmInTurn(password, of: administrator, attempt) }
    }

    private func confirmInTurn(_ password: String, of administrator: Administrator, _ attempt: Attempt) async throws {
        let hash = try await storedPassword(of: administrator)
        let isHeldUp = passwordLimiter.retryAfterSeconds(for: administrator.name, at: now()) != nil
        if !isHeldUp, try await isRight(password, hash) { return }
        _ = passwordLimiter.failure(from: administrator.name, at: now())
        _ = await failure(
            attempt, principal: administrator.name, presented: password, kind: .password, reason: "bad-credential")
        throw API.Problem.forbidden(
            isHeldUp
                ? "Too many wrong passwords were given; wait a minute." : "The present password is wrong.")
    }

    func setPassword(_ password: String, of administrator: Administrator, keeping session: KeyDigest?) async throws {
        let stored = StoredPassword(
            administratorSince: administrator.createdAt.microseconds,
            hash: try await withoutOverload { try await self.passwords.hash(password).encoded })
        let text = String(decoding: try JSONEncoder().encode(stored), as: UTF8.self)
        try await database.setSetting(Self.setting(of: administrator.name), to: text)
        sessions.endAll(of: administrator.name, except: session)
    }

    func removePassword(of name: String) async throws {
        try await database.setSetting(Self.setting(of: name), to: "")
        sessions.endAll(of: name, except: nil)
    }

    private func storedPassword(of administrator: Administrator?) async throws -> PasswordHash? {
        guard let administrator, let text = try await database.setting(Self.setting(of: administrator.name)),
            let stored = try? JSONDecoder().decode(StoredPassword.self, from: Data(text.utf8)),
            stored.administratorSince == administrator.createdAt.microseconds
        else { return nil }
        return PasswordHash(encoded: stored.hash)
    }

    private func isRight(_ password: String, _ hash: PasswordHash?) async throws -> Bool {
        try await withoutOverload { try await self.passwords.check(password, against: hash) }
    }

    private func withoutOverload<Value: Sendable>(
        _ work: @Sendable () async throws -> Value
    ) async throws -> Value {
        do { return try await work() } catch is PasswordChecker.Overload {
            throw API.Problem.unavailable("Too many logins are being checked; try again in a moment.")
        }
    }
}

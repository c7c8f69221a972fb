import AdministrationAPI
import AuditMonitor
import CloudModel
import CloudPorts
import Credentials
import Foundation

/// The second factor of logins by password (RFC 6238), and the recovery codes that stand in for it.
extension Authenticator {
    /// A second factor at rest. It belongs to one administrator: a later one of the same name does not inherit it.
    struct StoredFactor: Codable {
        var administratorSince: Int64
        /// Sealed by `secrets`.
        var secret: String
        /// Nil until a first code has shown that the app has the secret.
        var confirmedAt: Int64?
        /// The last step whose code was taken: it is not taken again, nor is one before it (RFC 6238, section 5.2).
        var lastStep: Int64?
        /// Digests of the recovery codes that are left.
        var recovery: [String]
    }

    /// Wrong codes in a row, and for how long the account takes none then. Who gets as far has the password already,
    /// so that nobody else can hold the account up. Guessing three valid codes of a million five at a time takes years.
    static let codeLockout = LoginLockout.Settings(failures: 5, duration: .minutes(10))

    /// The field of a login that a refusal for want of a code points to.
    private static let codePointer = "/code"

    private static func factorSetting(of name: String) -> String { "administrator.second-factor.\(name)" }
    private static func owner(_ administrator: Administrator) -> String {
        "totp \(administrator.name) \(administrator.createdAt.microseconds)"
    }

    // MARK: Logging in

    /// Refuses a login whose password was right where a code is wanted and not given, or not right. Gives back how
    /// it was accepted; nil where none is wanted.
    func requireSecondFactor(
        _ code: String?, of administrator: Administrator, password: String, _ attempt: Attempt
    ) async throws -> String? {
        guard let factor = try await storedFactor(of: administrator), factor.confirmedAt != nil else { return nil }
        guard let code, !code.isEmpty else {
            await record(
                attempt, principal: administrator.name, presented: password, kind: .password, outcome: .success,
                reason: "second-factor-needed", status: 401)
            throw Self.codeProblem("The password is right; give the code of the second factor as well.")
        }
        return try await spend(code, factor, of: administrator, attempt)
    }

    /// Takes a code for good, and says how; or refuses it as a failed login.
    @discardableResult
    private func spend(
        _ code: String, _ factor: StoredFactor, of administrator: Administrator, _ attempt: Attempt
    ) async throws -> String {
        let time = now()
        var reason = "accepted"
        var factor = factor
        let lockedUntil = codeLockout.lockedUntil(administrator.name, from: "", at: time)
        if let digest = RecoveryCode.digest(of: code)?.description, factor.recovery.contains(digest) {
            factor.recovery.removeAll { $0 == digest }
            try await store(factor, of: administrator)
            reason = "recovery-code"
        } else if let lockedUntil {
            _ = await failure(
                attempt, principal: administrator.name, presented: code, kind: .totp, reason: "too-many-failures")
            let seconds = max(1, ((lockedUntil - time).millisecondsRoundedUp + 999) / 1_000)
            throw Refusal(
                problem: .tooMany(
                    "Too many wrong codes were given; wait \(seconds) s, or use a recovery code or a token."),
                headers: ["retry-after": String(seconds)])
        } else {
            guard let secret = secrets.opened(factor.secret, for: Self.owner(administrator)) else {
                throw API.Problem.unavailable(
                    "The second factor of '\(administrator.name)' cannot be read: second-factor.key is not the one it "
                        + "was stored with. Use a recovery code, or have an administrator remove it.")
            }
            let step = TimeBasedCode(secret: secret).step(of: code, at: time)
            let isReplayed = step.map { $0 <= (factor.lastStep ?? .min) } ?? false
            guard let step, !isReplayed else {
                codeLockout.failed(administrator.name, from: "", at: time)
                _ = passwordLimiter.failure(from: administrator.name, at: time)
                lockout.failed(administrator.name, from: attempt.source, at: time)
                throw await failure(
                    attempt, principal: administrator.name, presented: code, kind: .totp,
                    reason: isReplayed ? "replayed-code" : "bad-credential")
            }
            factor.lastStep = step
            // Stored before it counts: after a crash the code is not taken again.
            try await store(factor, of: administrator)
        }
        codeLockout.succeeded(administrator.name, from: "")
        return reason
    }

    /// How a login without a code, or with a wrong one, is refused.
    static func codeProblem(_ detail: String) -> API.Problem {
        var problem = API.Problem.unauthenticated(detail)
        problem.faults = [API.Fault(detail: "the app's six digits, or a recovery code", pointer: codePointer)]
        return problem
    }

    // MARK: Enrolment

    /// Begins anew; nothing changes for logins until a first code confirms it.
    func enrolSecondFactor(_ administrator: Administrator) async throws -> TimeBasedCode {
        try await passwordLane.run { try await self.enrolInTurn(administrator) }
    }

    private func enrolInTurn(_ administrator: Administrator) async throws -> TimeBasedCode {
        guard try await hasPassword(administrator) else {
            throw API.Problem.conflict(
                "'\(administrator.name)' has no password that a code could be asked after; set one.")
        }
        if try await storedFactor(of: administrator)?.confirmedAt != nil {
            throw API.Problem.conflict("The second factor is active; remove it before another is enrolled.")
        }
        var random = SystemRandomNumberGenerator()
        let code = TimeBasedCode.generate(using: &random)
        guard let sealed = secrets.sealed(code.secret, for: Self.owner(administrator)) else {
            throw API.Problem.failed("The secret could not be sealed; the platform's log has nothing more.")
        }
        try await store(
            StoredFactor(administratorSince: administrator.createdAt.microseconds, secret: sealed, recovery: []),
            of: administrator)
        return code
    }

    /// Makes the second factor active, where the code shows that the app has the secret; gives back the recovery
    /// codes. `intent` is recorded before anything changes.
    func confirmSecondFactor(
        _ code: String, of administrator: Administrator, keeping session: KeyDigest?, _ attempt: Attempt,
        intent: @Sendable @escaping () async throws -> Void
    ) async throws -> [String] {
        try await passwordLane.run {
            guard let factor = try await self.storedFactor(of: administrator), factor.confirmedAt == nil else {
                throw API.Problem.conflict("Nothing waits to be confirmed; begin the enrolment first.")
            }
            // A wrong clock or app is no attack, but guesses are limited all the same.
            do { try await self.spend(code, factor, of: administrator, attempt) } catch {
                throw Self.asForbidden(error)
            }
            try await intent()
            return try await self.activate(administrator, keeping: session)
        }
    }

    private func activate(_ administrator: Administrator, keeping session: KeyDigest?) async throws -> [String] {
        var random = SystemRandomNumberGenerator()
        let codes = (0..<RecoveryCode.count).map { _ in RecoveryCode.generate(using: &random) }
        guard var factor = try await storedFactor(of: administrator) else { return [] }
        factor.confirmedAt = now().microseconds
        factor.recovery = codes.compactMap { RecoveryCode.digest(of: $0)?.description }
        try await store(factor, of: administrator)
        sessions.endAll(of: administrator.name, except: session)
        return codes
    }

    /// Removes the second factor: one's own with a code, somebody else's without.
    func removeSecondFactor(
        of administrator: Administrator, code: String?, isOwn: Bool, _ attempt: Attempt,
        intent: @Sendable @escaping () async throws -> Void
    ) async throws {
        try await passwordLane.run {
            guard let factor = try await self.storedFactor(of: administrator) else {
                throw API.Problem.conflict("'\(administrator.name)' has no second factor.")
            }
            if isOwn, factor.confirmedAt != nil {
                guard let code, !code.isEmpty else {
                    throw API.Problem.invalid(
                        "Give a code of the second factor that is to be removed.",
                        faults: [API.Fault(detail: "a code is needed", pointer: Self.codePointer)])
                }
                do { try await self.spend(code, factor, of: administrator, attempt) } catch {
                    throw Self.asForbidden(error)
                }
            }
            try await intent()
            try await self.forgetSecondFactor(of: administrator.name)
        }
    }

    /// Who is logged in stays so: a wrong code of theirs is refused as a wrong present password is.
    private static func asForbidden(_ error: any Error) -> any Error {
        guard let problem = error as? API.Problem, problem.status == 401 else { return error }
        var refusal = API.Problem.forbidden("The code is wrong, was used before, or its time is over.")
        refusal.faults = problem.faults
        return refusal
    }

    func forgetSecondFactor(of name: String) async throws {
        try await database.setSetting(Self.factorSetting(of: name), to: "")
    }

    func secondFactor(of administrator: Administrator) async throws -> API.SecondFactor {
        guard let factor = try await storedFactor(of: administrator), let since = factor.confirmedAt else {
            return API.SecondFactor(isActive: false)
        }
        return API.SecondFactor(
            isActive: true, since: Moment(Timestamp(microseconds: since)), recoveryCodesLeft: factor.recovery.count)
    }

    // MARK: At rest

    private func storedFactor(of administrator: Administrator) async throws -> StoredFactor? {
        let text: String?
        do { text = try await database.setting(Self.factorSetting(of: administrator.name)) } catch {
            throw API.Problem(error)
        }
        guard let text, !text.isEmpty else { return nil }
        guard let stored = try? JSONDecoder().decode(StoredFactor.self, from: Data(text.utf8)) else {
            // Nobody gets in with less because what is stored cannot be read.
            throw API.Problem.unavailable(
                "What is stored of the second factor of '\(administrator.name)' cannot be read; log in with a token.")
        }
        return stored.administratorSince == administrator.createdAt.microseconds ? stored : nil
    }

    private func store(_ factor: StoredFactor, of administrator: Administrator) async throws {
        let text = String(decoding: try JSONEncoder().encode(factor), as: UTF8.self)
        try await database.setSetting(Self.factorSetting(of: administrator.name), to: text)
    }
}

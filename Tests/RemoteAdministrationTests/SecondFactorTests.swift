import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Credentials
import Foundation
import Synchronization
import Testing

/// Logins by password with an authenticator app as the second factor.
@Suite struct SecondFactorTests {
    private static let password = "correct horse battery"
    private static let path = "/api/v1/administrators/test-operator/second-factor"

    /// A clock that is set by hand.
    private final class HandClock: Sendable {
        private let time = Mutex(Timestamp(microseconds: 1_790_000_010_000_000))
        var now: Timestamp { time.withLock { $0 } }
        func advance(_ span: TimeSpan) { time.withLock { $0 = $0 + span } }
    }

    /// The app that a secret was given to.
    struct App {
        let code: TimeBasedCode

        init(_ enrolment: API.SecondFactorEnrolment) {
            var bits: UInt64 = 0
            var count = 0
            var secret: [UInt8] = []
            let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZ234567".utf8)
            for character in enrolment.secret.utf8 {
                bits = bits << 5 | UInt64(alphabet.firstIndex(of: character) ?? 0)
                count += 5
                if count >= 8 {
                    count -= 8
                    secret.append(UInt8(bits >> UInt64(count) & 255))
                }
            }
            code = TimeBasedCode(secret: secret)
        }

        func shown(at time: Timestamp) -> String { code.code(ofStep: TimeBasedCode.step(at: time)) }
    }

    private static func enrol(
        _ live: LiveServer, name: String = "test-operator", as role: Administrator.Role = .operator, at now: Timestamp
    ) async throws -> (app: App, recovery: [String]) {
        let path = "/api/v1/administrators/\(name)"
        let isSet = try await live.send("PUT", path + "/password", as: role, body: #"{"password":"\#(password)"}"#)
        #expect(isSet.status == 204)
        let begun = try await live.send("POST", path + "/second-factor", as: role, body: "{}")
        let app = App(try begun.value(API.SecondFactorEnrolment.self))
        let confirmed = try await live.send(
            "POST", path + "/second-factor/confirmation", as: role, body: #"{"code":"\#(app.shown(at: now))"}"#)
        return (app, try confirmed.value(API.RecoveryCodes.self).codes)
    }

    /// A request about the administrator's own second factor that succeeds, and what has to be there for it.
    static func request(_ route: String, _ live: LiveServer) async throws -> (path: String, body: String)? {
        let path = "/api/v1/administrators/test-administrator/second-factor"
        switch route {
        case "enrolSecondFactor":
            _ = try await live.send(
                "PUT", "/api/v1/administrators/test-administrator/password", body: #"{"password":"\#(password)"}"#)
            return (path, "{}")
        case "confirmSecondFactor":
            let begun = try await live.send("POST", path, body: "{}")
            let app = App(try begun.value(API.SecondFactorEnrolment.self))
            return (path + "/confirmation", #"{"code":"\#(app.shown(at: LiveServer.now()))"}"#)
        case "removeSecondFactor":
            let operators = try await enrol(live, at: LiveServer.now())
            #expect(!operators.recovery.isEmpty)
            return (path.replacing("test-administrator", with: "test-operator") + "/removal", "{}")
        default: return nil
        }
    }

    private func logIn(_ live: LiveServer, code: String?) async throws -> LiveServer.Answer {
        let second = code.map { #","code":"\#($0)""# } ?? ""
        return try await ConsoleTests.logIn(
            live, body: #"{"name":"test-operator","password":"\#(Self.password)"\#(second)}"#
        ).answer
    }

    private func audited(_ live: LiveServer) async throws -> [AuditEvent] {
        var query = AuditQuery()
        query.service = "administration"
        return try await live.database.auditEvents(query).elements.map(\.event).filter { $0.credentialKind != .token }
    }

    @Test("enrolled, asked for, drift taken, replay refused, audited, and never in clear")
    func life() async throws {
        let clock = HandClock()
        try await LiveServer.run(now: { clock.now }) { live in
            let (app, recovery) = try await Self.enrol(live, at: clock.now)
            #expect(recovery.count == 10)
            let shown = try await live.send("GET", Self.path, as: .operator).value(API.SecondFactor.self)
            #expect(shown.isActive && shown.recoveryCodesLeft == 10 && shown.since != nil)

            let without = try await logIn(live, code: nil)
            #expect(without.status == 401 && without.problem?.faults.first?.pointer == "/code")
            let wrongPassword = try await ConsoleTests.logIn(
                live, body: #"{"name":"test-operator","password":"wrong","code":"\#(app.shown(at: clock.now))"}"#)
            #expect(wrongPassword.answer.problem?.faults == [], "whether a code is wanted is told behind the password")
            #expect(
                try await logIn(live, code: app.shown(at: clock.now)).status == 401, "it was spent by the confirmation")
            clock.advance(.seconds(30))
            // Of the step to come: the app's clock is ahead.
            let ahead = app.shown(at: clock.now + .seconds(30))
            #expect(try await logIn(live, code: ahead).status == 200)
            #expect(try await logIn(live, code: ahead).status == 401, "not twice")
            #expect(try await logIn(live, code: app.shown(at: clock.now)).status == 401, "nor one before it")
            clock.advance(.seconds(60))
            #expect(try await logIn(live, code: app.shown(at: clock.now)).status == 200)

            let events = try await audited(live)
            #expect(events.map(\.credentialKind) == [.password, .password, .totp, .totp, .totp, .totp, .totp])
            #expect(
                events.map(\.reason) == [
                    "second-factor-needed", "bad-credential", "replayed-code", "accepted", "replayed-code",
                    "replayed-code", "accepted",
                ])
            #expect(
                events.map(\.outcome) == [.success, .failure, .failure, .success, .failure, .failure, .success])
            let kept = try await live.database.setting("administrator.second-factor.test-operator") ?? ""
            #expect(kept.contains("secret") && !kept.contains(app.code.base32))
            for code in recovery { #expect(!kept.contains(code.replacing("-", with: ""))) }
        }
    }

    @Test("a session of a password is a token for programs, and ends with the logout")
    func sessionToken() async throws {
        let clock = HandClock()
        try await LiveServer.run(now: { clock.now }) { live in
            let (app, _) = try await Self.enrol(live, at: clock.now)
            clock.advance(.seconds(30))
            let body = #"{"name":"test-operator","password":"\#(Self.password)","code":"\#(app.shown(at: clock.now))"}"#
            let session = try await live.send("POST", "/api/v1/sessions", as: nil, body: body).value(API.Session.self)
            let headers = ["Authorization": "Bearer \(session.token ?? "")"]
            let me = try await live.send("GET", "/api/v1/whoami", as: nil, headers: headers)
            #expect(try me.value(API.Session.self).name == "test-operator")
            let both = try await live.send(
                "POST", "/api/v1/sessions", as: nil, body: #"{"token":"x","name":"a","password":"b"}"#)
            #expect(both.status == 400)
            #expect(try await live.send("DELETE", ConsoleTests.path, as: nil, headers: headers).status == 204)
            #expect(try await live.send("GET", "/api/v1/whoami", as: nil, headers: headers).status == 401)
        }
    }

    @Test("guessed codes lock the account's codes; a recovery code works once, whatever is locked")
    func guesses() async throws {
        let clock = HandClock()
        try await LiveServer.run(now: { clock.now }) { live in
            let (app, recovery) = try await Self.enrol(live, at: clock.now)
            clock.advance(.seconds(90))
            for _ in 0..<5 {
                let wrong = app.shown(at: clock.now - .hours(1))
                #expect(try await logIn(live, code: wrong).status == 401)
            }
            clock.advance(.seconds(90))
            let locked = try await logIn(live, code: app.shown(at: clock.now))
            #expect(locked.status == 429 && locked.headers["retry-after"] != nil, "the right code too")
            #expect(try await logIn(live, code: recovery[3].uppercased()).status == 200)
            #expect(try await logIn(live, code: recovery[3]).status == 401, "once")
            let left = try await live.send("GET", Self.path).value(API.SecondFactor.self)
            #expect(left.recoveryCodesLeft == 9)
            #expect(try await audited(live).contains { $0.reason == "recovery-code" && $0.outcome == .success })
            clock.advance(.minutes(11))
            #expect(try await logIn(live, code: app.shown(at: clock.now)).status == 200)
        }
    }

    @Test("removed by its owner with a code, by an administrator without, and with its administrator")
    func removal() async throws {
        let clock = HandClock()
        try await LiveServer.run(now: { clock.now }) { live in
            let (_, recovery) = try await Self.enrol(live, at: clock.now)
            let path = Self.path + "/removal"
            #expect(try await live.send("POST", Self.path, as: .operator, body: "{}").status == 409, "active already")
            #expect(try await live.send("POST", path, as: .auditor, body: "{}").status == 403)
            #expect(try await live.send("POST", path, as: .operator, body: "{}").status == 400)
            let wrong = try await live.send("POST", path, as: .operator, body: #"{"code":"000000"}"#)
            #expect(wrong.status == 403)
            let right = try await live.send("POST", path, as: .operator, body: #"{"code":"\#(recovery[0])"}"#)
            #expect(right.status == 204, "\(right.text)")
            #expect(try await logIn(live, code: nil).status == 200)

            clock.advance(.minutes(11))
            _ = try await Self.enrol(live, at: clock.now)
            #expect(try await logIn(live, code: nil).status == 401)
            #expect(try await live.send("POST", path, body: "{}").status == 204)
            #expect(try await logIn(live, code: nil).status == 200)
            var query = EventQuery()
            query.kindPrefix = "administrator.second-factor"
            let events = try await live.database.events(query).elements
            #expect(events.map(\.actor) == ["test-operator", "test-operator", "test-operator", "test-administrator"])

            _ = try await Self.enrol(live, at: clock.now + .seconds(30))
            #expect(try await live.send("DELETE", "/api/v1/administrators/test-operator").status == 204)
            #expect(try await live.database.setting("administrator.second-factor.test-operator") == "")
        }
    }

    @Test("in a session the present password is needed, so that an open console keeps nobody out")
    func openConsole() async throws {
        let clock = HandClock()
        try await LiveServer.run(now: { clock.now }) { live in
            let body = #"{"password":"\#(Self.password)"}"#
            _ = try await live.send("PUT", "/api/v1/administrators/test-operator/password", body: body)
            let login = try await ConsoleTests.logIn(live, as: .operator)
            let headers = ["Cookie": login.cookie, "X-Cloudwright-CSRF": login.csrf]
            let without = try await live.send("POST", Self.path, as: nil, body: "{}", headers: headers)
            #expect(without.status == 403 && without.problem?.faults.first?.pointer == "/currentPassword")
            let wrong = try await live.send(
                "POST", Self.path, as: nil, body: #"{"currentPassword":"wrong"}"#, headers: headers)
            #expect(wrong.status == 403)
            let right = try await live.send(
                "POST", Self.path, as: nil, body: #"{"currentPassword":"\#(Self.password)"}"#, headers: headers)
            #expect(right.status == 201)
            #expect(try await logIn(live, code: nil).status == 200, "not before it was confirmed")
        }
    }
}

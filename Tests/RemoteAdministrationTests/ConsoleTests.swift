import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Credentials
import Foundation
import RemoteAdministration
import Testing

/// Logging in to the web console, and its files.
@Suite struct ConsoleTests {
    static let path = "/api/v1/console/session"

    struct Login {
        var answer: LiveServer.Answer
        var cookie: String
        var csrf: String
    }

    static func logIn(_ live: LiveServer, as role: Administrator.Role) async throws -> Login {
        try await logIn(live, body: #"{"token":"\#(live.tokens[role] ?? "")"}"#)
    }

    static func logIn(_ live: LiveServer, body: String) async throws -> Login {
        let answer = try await live.send("POST", path, as: nil, body: body)
        let cookie = String((answer.headers["set-cookie"] ?? "").prefix { $0 != ";" })
        return Login(
            answer: answer, cookie: cookie, csrf: (try? answer.value(API.ConsoleSession.self).csrfToken) ?? "")
    }

    private func audited(_ live: LiveServer) async throws -> [AuditEvent] {
        var query = AuditQuery()
        query.service = "administration"
        return try await live.database.auditEvents(query).elements.map(\.event)
    }

    @Test("a session in a cookie has its administrator's rights, and a change needs the page's proof")
    func session() async throws {
        try await LiveServer.run { live in
            let login = try await Self.logIn(live, as: .operator)
            #expect(login.answer.status == 200)
            let setting = login.answer.headers["set-cookie"] ?? ""
            for attribute in ["HttpOnly", "SameSite=Strict", "Path=/api/v1", "Max-Age="] {
                #expect(setting.contains(attribute), "\(setting)")
            }
            #expect(!login.answer.text.contains(login.cookie.dropFirst("cloudwright_session=".count)))
            var headers = ["Cookie": "other=1; \(login.cookie)"]
            let me = try await live.send("GET", "/api/v1/whoami", as: nil, headers: headers)
            #expect(try me.value(API.Session.self).name == "test-operator")
            let shown = try await live.send("GET", Self.path, as: nil, headers: headers)
            #expect(try shown.value(API.ConsoleSession.self).csrfToken == login.csrf)

            let change = #"{"constraint":"maximum-instances","value":5}"#
            let limits = "/api/v1/services/shop/constraints"
            headers["If-Match"] = "*"
            #expect(try await live.send("PATCH", limits, as: nil, body: change, headers: headers).status == 403)
            headers["X-Cloudwright-CSRF"] = String(login.csrf.reversed())
            #expect(try await live.send("PATCH", limits, as: nil, body: change, headers: headers).status == 403)
            headers["X-Cloudwright-CSRF"] = login.csrf
            headers["Sec-Fetch-Site"] = "same-site"
            #expect(try await live.send("PATCH", limits, as: nil, body: change, headers: headers).status == 403)
            headers["Sec-Fetch-Site"] = "same-origin"
            #expect(try await live.send("PATCH", limits, as: nil, body: change, headers: headers).status == 200)
            #expect(try await live.send("GET", "/api/v1/administrators", as: nil, headers: headers).status == 403)

            #expect(try await live.send("DELETE", Self.path, as: nil, headers: headers).status == 204)
            #expect(try await live.send("GET", "/api/v1/whoami", as: nil, headers: headers).status == 401)
            let nobody = try await live.send("GET", Self.path, as: nil, headers: headers)
            #expect(try nobody.value(API.ConsoleSession.self) == API.ConsoleSession())
        }
    }

    @Test("sessions end with their administrator, and a later one of the same name does not get them")
    func removed() async throws {
        try await LiveServer.run { live in
            let login = try await Self.logIn(live, as: .auditor)
            let headers = ["Cookie": login.cookie]
            #expect(try await live.send("GET", "/api/v1/whoami", as: nil, headers: headers).status == 200)
            #expect(try await live.send("DELETE", "/api/v1/administrators/test-auditor").status == 204)
            let body = #"{"name":"test-auditor","role":"auditor"}"#
            #expect(try await live.send("POST", "/api/v1/administrators", body: body).status == 201)
            #expect(try await live.send("GET", "/api/v1/whoami", as: nil, headers: headers).status == 401)
        }
    }

    @Test("a password is set, logs in, is changed, and is gone with its administrator")
    func password() async throws {
        try await LiveServer.run { live in
            let path = "/api/v1/administrators/test-operator/password"
            func body(_ password: String) -> String { #"{"name":"test-operator","password":"\#(password)"}"# }
            #expect(try await Self.logIn(live, body: body("correct horse battery")).answer.status == 401)
            let short = try await live.send("PUT", path, as: .operator, body: #"{"password":"short"}"#)
            #expect(short.status == 400 && short.text.contains("12 characters"))
            let other = #"{"password":"correct horse battery"}"#
            #expect(try await live.send("PUT", path, as: .auditor, body: other).status == 403)
            #expect(try await live.send("PUT", path, as: .operator, body: other).status == 204)
            let login = try await Self.logIn(live, body: body("correct horse battery"))
            #expect(login.answer.status == 200)
            let kept = try await live.database.setting("administrator.password.test-operator") ?? ""
            #expect(kept.contains("$argon2id$") && !kept.contains("correct horse"))

            var headers = ["Cookie": login.cookie, "X-Cloudwright-CSRF": login.csrf]
            let taken = try await live.send(
                "PUT", path, as: nil, body: #"{"password":"somebody else's own"}"#, headers: headers)
            #expect(taken.problem?.faults.first?.pointer == "/currentPassword")
            let guessed = try await live.send(
                "PUT", path, as: nil, body: #"{"password":"somebody else's own","currentPassword":"a guess"}"#,
                headers: headers)
            #expect(guessed.status == 403)
            #expect(taken.status == 403, "the present password is needed in the console")
            let second = try await Self.logIn(live, as: .operator)
            let changed = try await live.send(
                "PUT", path, as: nil,
                body: #"{"password":"another good one","currentPassword":"correct horse battery"}"#, headers: headers)
            #expect(changed.status == 204, "\(changed.text)")
            #expect(try await live.send("GET", "/api/v1/whoami", as: nil, headers: headers).status == 200)
            headers["Cookie"] = second.cookie
            #expect(
                try await live.send("GET", "/api/v1/whoami", as: nil, headers: headers).status == 401,
                "other sessions have ended")
            #expect(try await Self.logIn(live, body: body("correct horse battery")).answer.status == 401)

            let events = try await audited(live).filter { $0.credentialKind == .password }
            #expect(events.map(\.outcome) == [.failure, .success, .failure, .failure])
            #expect(events.allSatisfy { $0.principal == "test-operator" })
            #expect(events.last?.reason == "bad-credential")
            #expect(try await live.send("DELETE", "/api/v1/administrators/test-operator").status == 204)
            #expect(try await live.database.setting("administrator.password.test-operator") == "")
        }
    }

    @Test("guessed passwords have to wait, the right one too; a token does not")
    func guesses() async throws {
        try await LiveServer.run { live in
            let path = "/api/v1/administrators/test-operator/password"
            #expect(try await live.send("PUT", path, body: #"{"password":"correct horse battery"}"#).status == 204)
            // At once: none of them may slip in between the check and the count of another.
            let statuses = try await withThrowingTaskGroup(of: Int.self) { group in
                for number in 0..<12 {
                    let body = #"{"name":"test-operator","password":"guess \#(number)"}"#
                    group.addTask { try await Self.logIn(live, body: body).answer.status }
                }
                return try await group.reduce(into: [Int]()) { $0.append($1) }
            }
            #expect(statuses.sorted() == Array(repeating: 401, count: 10) + [429, 429])
            let right = try await Self.logIn(
                live, body: #"{"name":"test-operator","password":"correct horse battery"}"#)
            #expect(right.answer.status == 429 && right.answer.headers["retry-after"] != nil)
            #expect(try await Self.logIn(live, as: .operator).answer.status == 200)
            #expect(try await audited(live).filter { $0.credentialKind == .password }.count == 11)
        }
    }

    @Test("a declared lockout is of a name where it was guessed, whether it is anybody's or not")
    func lockout() async throws {
        let audit = AuditSettings(lockoutFailures: 3, lockoutDuration: .minutes(10))
        try await LiveServer.run(audit: audit) { live in
            let path = "/api/v1/administrators/test-operator/password"
            #expect(try await live.send("PUT", path, body: #"{"password":"correct horse battery"}"#).status == 204)
            for name in ["test-operator", "nobody"] {
                for _ in 0..<3 {
                    let body = #"{"name":"\#(name)","password":"guess"}"#
                    #expect(try await Self.logIn(live, body: body).answer.status == 401, "\(name)")
                }
                let locked = try await Self.logIn(live, body: #"{"name":"\#(name)","password":"guess"}"#).answer
                // Longer than the minute that ten failures take.
                #expect(locked.status == 429, "\(name)")
                #expect((Int(locked.headers["retry-after"] ?? "") ?? 0) > 500, "\(name)")
            }
            let right = try await Self.logIn(
                live, body: #"{"name":"test-operator","password":"correct horse battery"}"#)
            #expect(right.answer.status == 429, "the right password as well")
            #expect(try await Self.logIn(live, as: .operator).answer.status == 200, "a token is not held up")
        }
    }

    @Test("the console's files are for anybody, with a strict policy, and are not sent twice")
    func files() async throws {
        try await LiveServer.run { live in
            let page = try await live.send("GET", "/", as: nil)
            #expect(page.status == 200 && page.headers["content-type"] == "text/html; charset=utf-8")
            let policy = page.headers["content-security-policy"] ?? ""
            #expect(policy.contains("default-src 'none'") && policy.contains("script-src 'self';"))
            #expect(!policy.contains("unsafe"))
            #expect(page.headers["x-content-type-options"] == "nosniff")
            let script = try await live.send("GET", "/console/app.js", as: nil)
            #expect(script.headers["content-type"] == "text/javascript; charset=utf-8" && script.body.count > 1_000)
            let tag = script.headers["etag"] ?? ""
            #expect(tag.count > 10 && script.headers["cache-control"] == "no-cache")
            let raw = try RawConnection(to: live.address)
            raw.send("GET /console/app.js HTTP/1.1\r\nhost: x\r\nif-none-match: \(tag)\r\nconnection: close\r\n\r\n")
            #expect(await raw.read { _ in false }.hasPrefix("HTTP/1.1 304"))
            for path in ["/console/none.js", "/console/../app.js", "/console/app.js/", "/console//app.js"] {
                #expect(try await live.send("GET", path, as: nil).status == 404, "\(path)")
            }
            #expect(try await live.send("POST", "/console/app.js", as: nil, body: "{}").status == 404)
        }
    }

    @Test("sessions end when they are idle, when they are old, and when there are too many")
    func endings() {
        var random = SystemRandomNumberGenerator()
        let begin = Timestamp(microseconds: 1_790_000_000_000_000)
        let ada = Administrator(name: "ada", role: .operator, tokenDigest: "", createdAt: .epoch)
        var sessions = ConsoleSessions()
        let idle = KeyDigest(of: sessions.begin(ada, at: begin, using: &random))
        let almost = begin + ConsoleSessions.longestIdle - .microseconds(1)
        #expect(sessions.use(idle, at: almost) != nil)
        #expect(sessions.use(idle, at: almost + ConsoleSessions.longestIdle) == nil)
        #expect(sessions.count == 0)

        let long = KeyDigest(of: sessions.begin(ada, at: begin, using: &random))
        for minute in 1..<(12 * 60) { #expect(sessions.use(long, at: begin + .minutes(Int64(minute))) != nil) }
        #expect(sessions.use(long, at: begin + ConsoleSessions.longest) == nil)

        let first = KeyDigest(of: sessions.begin(ada, at: begin, using: &random))
        let others = (1...ConsoleSessions.maximum).map { number in
            KeyDigest(of: sessions.begin(ada, at: begin + .microseconds(Int64(number)), using: &random))
        }
        #expect(sessions.count == ConsoleSessions.maximum)
        let later = begin + .seconds(1)
        #expect(sessions.session(first, at: later) == nil)
        #expect(others.allSatisfy { sessions.session($0, at: later) != nil })
        sessions.endAll(of: "ada", except: others[5])
        #expect(sessions.count == 1 && sessions.session(others[5], at: later) != nil)
    }
}

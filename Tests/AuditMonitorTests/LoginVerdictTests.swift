import AuditMonitor
import CloudModel
import Testing

@Suite struct LoginVerdictTests {
    private func event(
        _ success: LoginRule.SuccessSign, status: UInt16? = 200, fields: [(String, String)] = [], body: String = "",
        ending: LoginCapture.Ending = .responded(complete: true)
    ) -> AuditEvent {
        Login(
            rule: LoginRule(path: "/login", principal: .form(field: "u", secret: nil), success: success),
            body: Array("u=alice".utf8), status: status, fields: fields, responseBody: Array(body.utf8), ending: ending
        ).event()
    }

    @Test(
        arguments: [
            (200, AuditEvent.Outcome.success, ""), (302, .success, ""), (399, .success, ""),
            (400, .failure, "status-400"), (401, .failure, "bad-credential"), (403, .failure, "forbidden"),
            (423, .failure, "locked"), (429, .failure, "too-many-attempts"), (199, .failure, "status-199"),
            (500, .unknown, "service-error"), (503, .unknown, "service-error"),
        ] as [(UInt16, AuditEvent.Outcome, String)])
    func byStatus(_ status: UInt16, _ outcome: AuditEvent.Outcome, _ reason: String) {
        let event = event(.status(200...399), status: status)
        #expect(event.outcome == outcome && event.reason == reason && event.status == status)
    }

    @Test func aStatusThatIsASignCountsEvenIfItIsAnError() {
        #expect(event(.status(500...500), status: 500).outcome == .success)
    }

    @Test func byHeader() {
        let any = LoginRule.SuccessSign.header(name: "X-Login", value: nil)
        #expect(event(any, fields: [("x-login", "")]).outcome == .success)
        #expect(event(any, fields: [("x-logins", "ok")]).reason == "header-missing")
        let exact = LoginRule.SuccessSign.header(name: "x-login", value: "ok")
        #expect(event(exact, fields: [("X-LOGIN", "no"), ("X-Login", "ok")]).outcome == .success)
        #expect(event(exact, fields: [("x-login", "ok"), ("x-login", "no")]).outcome == .success)
        #expect(event(exact, fields: [("x-login", "OK")]).reason == "header-differs")
        #expect(event(exact, status: 401).reason == "bad-credential")
        #expect(event(exact, status: 502).outcome == .unknown)
        #expect(event(exact, status: 204).outcome == .failure)
    }

    @Test func byJSON() {
        let sign = LoginRule.SuccessSign.json(field: "ok", value: "true")
        #expect(event(sign, body: #"{"ok":true}"#).outcome == .success)
        #expect(event(sign, body: #"{"ok":"true"}"#).outcome == .success)
        #expect(event(sign, body: #"{"ok":false}"#).reason == "field-differs")
        #expect(event(sign, body: #"{"ok":true,"ok":false}"#).outcome == .failure)
        #expect(event(sign, body: #"{"a":{"ok":true}}"#).reason == "field-missing")
        #expect(event(sign, status: 401, body: #"{"ok":false}"#).reason == "bad-credential")
        #expect(event(sign, status: 500, body: #"{"ok":false}"#).outcome == .unknown)
        let any = LoginRule.SuccessSign.json(field: "token", value: nil)
        #expect(event(any, body: #"{"token":"x"}"#).outcome == .success)
        #expect(event(any, body: #"{"token":null}"#).outcome == .failure)
    }

    @Test func aResponseThatCannotBeReadProvesNothing() {
        let sign = LoginRule.SuccessSign.json(field: "ok", value: nil)
        #expect(event(sign, body: "<html>").reason == "response-not-json")
        #expect(event(sign, body: "<html>").outcome == .unknown)
        #expect(event(sign, body: "").reason == "response-not-json")
        #expect(event(sign, status: 403, body: "<html>").reason == "forbidden")
        let encoded = event(sign, fields: [("content-encoding", "gzip")], body: #"{"ok":1}"#)
        #expect(encoded.outcome == .unknown && encoded.reason == "response-encoded")
        let long = event(sign, body: #"{"ok":1,"junk":""# + String(repeating: "x", count: 20_000) + "\"}")
        #expect(long.outcome == .unknown && long.reason == "response-truncated")
        let brokenOff = event(sign, body: #"{"ok":1"#, ending: .responded(complete: false))
        #expect(brokenOff.outcome == .unknown && brokenOff.reason == "response-truncated")
    }

    @Test func withoutAnAnswerTheOutcomeIsUnknown() {
        let silent = event(.status(200...399), status: nil, ending: .noResponse(status: 504))
        #expect(silent.outcome == .unknown && silent.reason == "no-response" && silent.status == 504)
        let gone = event(.status(200...399), status: nil, ending: .responded(complete: false))
        #expect(gone.outcome == .unknown && gone.reason == "no-response" && gone.status == 0)
    }

    @Test func whatTheGatewayRefusesFails() {
        let refused = event(.status(200...399), status: nil, ending: .refused(status: 429))
        #expect(refused.outcome == .failure && refused.reason == "refused-by-gateway" && refused.status == 429)
        #expect(refused.principal == "alice")
    }

    @Test func reasonsAreJoined() {
        let login = Login(
            rule: LoginRule(path: "/login", principal: .json(field: "u", secret: nil)), body: Array("u=alice".utf8),
            status: 401)
        #expect(login.event().reason == "bad-credential,request-not-json")
    }

    @Test func theEventHasWhatTheGatewayKnows() {
        let event = event(.status(200...399))
        #expect(event.requestID == RequestID(high: 1, low: 2) && event.observer == "edge" && event.service == "web")
        #expect(event.consumer == "acme" && event.sourceAddress == "192.0.2.1" && event.userAgent == "curl/8")
        #expect(event.method == "POST" && event.path == "/login")
        #expect(event.receivedAt.microseconds == 1 && event.forwardedAt?.microseconds == 2)
        #expect(event.respondedAt.microseconds == 3)
    }
}

@Suite struct PrintableTextTests {
    @Test(arguments: [
        ("alice", "alice"), ("DOMAIN\\user", "DOMAIN\\user"), ("a\nb", "a\\u{a}b"), ("a\u{0}", "a\\u{0}"),
        ("\u{1B}[31m", "\\u{1b}[31m"), ("a\u{202E}b", "a\\u{202e}b"), ("a\u{2028}b", "a\\u{2028}b"),
        ("\u{200B}", "\\u{200b}"), ("日本 é", "日本 é"), ("\u{85}", "\\u{85}"), ("\u{E000}", "\\u{e000}"),
    ])
    func whatIsNotToBeSeenIsEscaped(_ text: String, _ shown: String) { #expect(PrintableText.escaped(text) == shown) }

    @Test func longTextIsCutBetweenCharacters() {
        let cut = PrintableText.escaped(String(repeating: "é", count: 1_000))
        #expect(cut == String(repeating: "é", count: 128) + "…")
        #expect(PrintableText.escaped(String(repeating: "a", count: 256)).utf8.count == 256)
        let bytes = [UInt8](repeating: 0x61, count: 100_000)
        #expect(bytes.withUnsafeBytes { PrintableText.escaped($0) } == String(repeating: "a", count: 256) + "…")
    }

    /// Neither the log's lines nor its readers' terminals can be forged by what somebody calls themselves.
    @Test func nothingForgesTheLog() {
        let login = Login(
            rule: LoginRule(path: "/login", principal: .form(field: "u", secret: nil)),
            body: Array("u=root%0a2026-11-24+login+ok%1b%5b2J".utf8), path: "/login\u{202E}", userAgent: "x\r\ny")
        let event = login.event()
        #expect(event.principal == "root\\u{a}2026-11-24 login ok\\u{1b}[2J")
        #expect(event.userAgent == "x\\u{d}\\u{a}y" && event.path == "/login\\u{202e}")
    }
}

@Suite struct LoginRulesTests {
    private func match(_ rules: LoginRules, _ method: String, _ path: String) -> Int? {
        guard let path = NormalPath.normalise(path) else { return nil }
        return Array(method.utf8).withUnsafeBytes { method in
            Array(path.utf8).withUnsafeBytes { rules.match(method: method, path: $0) }
        }
    }

    private let rules = LoginRules([
        LoginRule(path: "/login", principal: .basicAuthorization),
        LoginRule(path: "/..", principal: .basicAuthorization),
        LoginRule(method: "GET", path: "/App/Session/", principal: .basicAuthorization),
    ])

    @Test(arguments: ["/login", "/login/", "//login", "/%6Cogin", "/LOGIN", "/login;jsessionid=1", "/login%2f"])
    func everySpellingOfALoginIsWatched(_ path: String) { #expect(match(rules, "POST", path) == 0) }

    @Test func otherRequestsAreNot() {
        #expect(match(rules, "GET", "/login") == nil)
        #expect(match(rules, "post", "/login") == nil)
        #expect(match(rules, "POST", "/login/x") == nil)
        #expect(match(rules, "POST", "/") == nil)
        #expect(match(rules, "GET", "/app/session") == 2)
        #expect(match(LoginRules([]), "POST", "/login") == nil)
    }
}

import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Credentials
import Foundation
import Testing

/// Logins to the platform itself, as the audit monitor has them.
@Suite struct LoginTests {
    private func audited(_ live: LiveServer, _ outcome: AuditEvent.Outcome? = nil) async throws -> [AuditEvent] {
        var query = AuditQuery()
        query.service = "administration"
        query.outcome = outcome
        query.limit = 1_000
        return try await live.database.auditEvents(query).elements.map(\.event)
    }

    private func wrong(_ token: String) -> [String: String] { ["Authorization": "Bearer \(token)"] }

    @Test("a session is a login, recorded as success or failure")
    func session() async throws {
        try await LiveServer.run { live in
            let token = live.tokens[.operator] ?? ""
            let good = try await live.send("POST", "/api/v1/sessions", as: nil, body: #"{"token":"\#(token)"}"#)
            #expect(try good.value(API.Session.self).name == "test-operator")
            let bad = try await live.send("POST", "/api/v1/sessions", as: nil, body: #"{"token":"cwa_no"}"#)
            #expect(bad.status == 401)
            let events = try await audited(live)
            #expect(events.map(\.outcome) == [.success, .failure])
            #expect(events.map(\.principal) == ["test-operator", ""])
            #expect(events.map(\.reason) == ["accepted", "bad-credential"])
            #expect(events.map(\.status) == [200, 401])
            for event in events {
                #expect(event.observer == "testcloud" && event.sourceAddress == "127.0.0.1")
                #expect(event.credentialKind == .token && event.path == "/api/v1/sessions" && event.method == "POST")
                #expect(event.credentialTag?.hasPrefix("hmac-sha256:") == true)
            }
            #expect(events[0].credentialTag != events[1].credentialTag)
        }
    }

    @Test("the first use of a token from a source is recorded, the next ones are not")
    func firstUse() async throws {
        try await LiveServer.run { live in
            for _ in 0..<3 { #expect(try await live.send("GET", "/api/v1/whoami", as: .auditor).status == 200) }
            let events = try await audited(live, .success)
            #expect(events.map(\.principal) == ["test-auditor"])
            #expect(events.first?.reason == "first-use")
        }
    }

    @Test("a request without a token is no login attempt; one with another scheme is")
    func missing() async throws {
        try await LiveServer.run { live in
            #expect(try await live.send("GET", "/api/v1/whoami", as: nil).status == 401)
            #expect(try await audited(live).isEmpty)
            _ = try await live.send(
                "GET", "/api/v1/whoami", as: nil, headers: ["Authorization": "Basic YTpi"])
            #expect(try await audited(live).map(\.reason) == ["unsupported-scheme"])
        }
    }

    @Test("an expired token is refused with its owner's name, a removed one as unknown")
    func expiredAndRemoved() async throws {
        try await LiveServer.run { live in
            var random = SystemRandomNumberGenerator()
            let key = APIKey(.administrator, using: &random)
            try await live.database.store(
                Administrator(
                    name: "old", role: .auditor, tokenDigest: key.digest, createdAt: .epoch,
                    expiresAt: LiveServer.now() - .seconds(1)))
            let expired = try await live.send("GET", "/api/v1/whoami", as: nil, headers: wrong(key.text))
            #expect(expired.status == 401 && expired.text.contains("expired"))
            let event = try await audited(live).first
            #expect(event?.principal == "old" && event?.reason == "expired")

            #expect(try await live.send("GET", "/api/v1/whoami", as: .auditor).status == 200)
            #expect(try await live.send("DELETE", "/api/v1/administrators/test-auditor").status == 204)
            #expect(try await live.send("GET", "/api/v1/whoami", as: .auditor).status == 401)
        }
    }

    @Test("a flood of failures is recorded in part, and does not lock out a valid token")
    func flood() async throws {
        try await LiveServer.run { live in
            var statuses: [Int] = []
            for number in 0..<40 {
                let answer = try await live.send("GET", "/api/v1/whoami", as: nil, headers: wrong("cwa_guess\(number)"))
                statuses.append(answer.status)
                if answer.status == 429 { #expect(Int(answer.headers["retry-after"] ?? "").map { $0 > 0 } == true) }
            }
            #expect(statuses.prefix(10).allSatisfy { $0 == 401 })
            #expect(statuses.dropFirst(10).allSatisfy { $0 == 429 })
            let events = try await audited(live, .failure)
            #expect(events.count == 11)
            #expect(events.last?.reason == "too-many-failures")
            #expect(Set(events.map(\.credentialTag)).count == 11)
            #expect(try await live.send("GET", "/api/v1/whoami", as: .administrator).status == 200)
            let ranked = try await live.send("GET", "/api/v1/audit/failed-logins?service=administration")
                .value(API.Page<API.FailedLogins>.self).items
            #expect(ranked.first?.failures == 11 && ranked.first?.distinctCredentials == 11)
            let metrics = try await live.send("GET", "/metrics", as: nil).text
            #expect(metrics.contains("cloudwright_login_failures_suppressed_total 29"))
        }
    }

    @Test("guessed change links are slowed down, good ones still work")
    func guessedLinks() async throws {
        try await LiveServer.run { live in
            await live.cloud.addLink(Samples.link, Samples.offer)
            var statuses: [Int] = []
            for _ in 0..<11 {
                statuses.append(try await live.send("GET", "/api/v1/constraint-changes/guess", as: nil).status)
            }
            #expect(statuses == Array(repeating: 404, count: 10) + [429])
            let good = try await live.send("GET", "/api/v1/constraint-changes/\(Samples.link)", as: nil)
            #expect(good.status == 200)
        }
    }

    @Test("the last administrator stays, names are given once, and both are in the event log")
    func administrators() async throws {
        try await LiveServer.run { live in
            #expect(try await live.send("DELETE", "/api/v1/administrators/test-administrator").status == 409)
            let body = #"{"name":"ada","role":"administrator","expiresAt":"2999-01-01T00:00:00+01:00"}"#
            let made = try await live.send("POST", "/api/v1/administrators", body: body)
            #expect(made.status == 201)
            #expect(
                try made.value(API.CreatedAdministrator.self).administrator.expiresAt?.rfc3339
                    == "2998-12-31T23:00:00.000000Z")
            #expect(try await live.send("POST", "/api/v1/administrators", body: body).status == 409)
            #expect(try await live.send("DELETE", "/api/v1/administrators/test-administrator").status == 204)
            let token = try #require(try made.value(API.CreatedAdministrator.self).token)
            let events = try await live.send(
                "GET", "/api/v1/events?kind=administrator.", as: nil, headers: wrong(token)
            )
            .value(API.Page<API.Event>.self).items
            #expect(events.map(\.kind) == ["administrator.created", "administrator.removed"])
            #expect(events.allSatisfy { $0.actor == "test-administrator" })
            for faulty in [
                #"{"name":"Ada","role":"auditor"}"#, #"{"name":"a","role":"consumer"}"#,
                #"{"name":"a","role":"auditor","consumer":"acme"}"#,
                #"{"name":"a","role":"consumer","consumer":"nobody"}"#,
                #"{"name":"a","role":"auditor","expiresAt":"2001-01-01T00:00:00Z"}"#,
                #"{"name":"a","role":"auditor","expiresAt":"soon"}"#, #"{"name":"a","role":"root"}"#,
            ] {
                let refused = try await live.send(
                    "POST", "/api/v1/administrators", as: nil, body: faulty, headers: wrong(token))
                #expect(refused.status == 400, "\(faulty)")
                #expect(refused.problem?.faults.isEmpty == false, "\(faulty)")
            }
        }
    }
}

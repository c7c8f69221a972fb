import CloudModel
import Foundation
import Testing

extension GatewayTests {
    /// The audit monitor on the path of a login.
    @Suite struct Audits {
        private static func fixture(_ origin: TestOrigin) async throws -> GatewayFixture {
            try await GatewayFixture.serving(origin) { service in
                service.loginRules = [
                    LoginRule(path: "/login", principal: .form(field: "user", secret: "password")),
                    LoginRule(
                        path: "/api/login", principal: .json(field: "user", secret: "password"),
                        success: .json(field: "ok", value: "true")),
                ]
            }
        }

        @Test func loginsAreStoredBeforeTheirAnswersAreOut() async throws {
            let origin = try TestOrigin.http { request in
                let isGood = String(decoding: request.body, as: UTF8.self).contains("opensesame")
                return TestAnswer(status: isGood ? "200 OK" : "401 Unauthorized", body: Array("done".utf8))
            }
            let fixture = try await Self.fixture(origin)
            try await blocking {
                let client = try fixture.connect()
                for (index, password) in ["wrong", "wrong", "opensesame"].enumerated() {
                    let body = "user=eve%40a&password=\(password)"
                    let form = "content-type: application/x-www-form-urlencoded\r\nuser-agent: test\r\n"
                    let length = "content-length: \(body.utf8.count)\r\n"
                    let head = "POST /login?x=1 HTTP/1.1\r\nhost: web\r\n\(form)\(length)\r\n"
                    _ = try client.exchange(head + body)
                    #expect(try fixture.audits().count == index + 1)
                }
                #expect(try client.exchange("GET /login HTTP/1.1\r\nhost: web\r\n\r\n").status == 401)
                let events = try fixture.audits()
                #expect(events.map(\.outcome) == [.failure, .failure, .success])
                #expect(events.allSatisfy { $0.principal == "eve@a" && $0.sourceAddress == "127.0.0.1" })
                #expect(events.allSatisfy { $0.userAgent == "test" && $0.path == "/login" && $0.observer == "test" })
                #expect(events[0].credentialTag == events[1].credentialTag)
                #expect(events[0].credentialTag != events[2].credentialTag)
                #expect(events[0].forwardedAt != nil)
                #expect(try fixture.usage(count: 4).map(\.requestID).contains(events[2].requestID))
            }
            await fixture.stop()
        }

        @Test func chunksHideNothing() async throws {
            let origin = try TestOrigin.http { _ in TestAnswer(body: Array("{\"ok\":true}".utf8), isChunked: true) }
            let fixture = try await Self.fixture(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write("POST /api/login HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n")
                try client.write("9\r\n{\"user\":\"\r\n")
                usleep(20_000)
                _ = try client.exchange("6\r\nmallet\r\n14\r\n\",\"password\":\"open\"}\r\n0\r\n\r\n")
                let event = try #require(try fixture.audits().first)
                #expect(event.principal == "mallet")
                #expect(event.outcome == .success)
                #expect(event.credentialTag?.hasPrefix("hmac-sha256:") == true)
            }
            await fixture.stop()
        }

        @Test func whileTheLogDatabaseIsAwayLoginsGoOnOrAreRefusedAsTheirRuleSays() async throws {
            let origin = try TestOrigin.http { _ in TestAnswer(body: Array("done".utf8)) }
            let fixture = try await GatewayFixture.serving(origin) { service in
                service.loginRules = [
                    LoginRule(path: "/login", principal: .form(field: "user", secret: "password")),
                    LoginRule(
                        path: "/vault", principal: .form(field: "user", secret: "password"), whenUnauditable: .refuse),
                ]
            }
            try await blocking {
                let client = try fixture.connect()
                func post(_ path: String) throws -> TestResponse {
                    let body = "user=eve&password=x"
                    return try client.exchange(
                        "POST \(path) HTTP/1.1\r\nhost: web\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)")
                }
                #expect(try post("/vault").status == 200)
                fixture.gateway.spool.isStoreAway = true
                let refusal = try post("/vault")
                #expect(refusal.status == 503)
                #expect(String(decoding: refusal.body, as: UTF8.self).contains("unauditable"))
                // Only what the rule names, and only where it says so.
                #expect(try post("/login").status == 200)
                #expect(try post("/else").status == 200)
                fixture.gateway.spool.isStoreAway = false
                #expect(try post("/vault").status == 200)
                let events = try fixture.audits()
                #expect(events.map(\.outcome) == [.success, .unknown, .success, .success])
                #expect(events[1].reason.hasPrefix("refused-by-gateway"))
            }
            await fixture.stop()
        }

        @Test func aLoginWithoutAnAnswerIsUnknown() async throws {
            let origin = try TestOrigin { connection, _ in _ = try TestRequest(from: connection) }
            let fixture = try await Self.fixture(origin)
            try await blocking {
                let body = "user=bob&password=x"
                let request = "POST /login HTTP/1.1\r\nhost: web\r\ncontent-length: \(body.utf8.count)\r\n\r\n\(body)"
                #expect(try fixture.connect().exchange(request).status == 502)
                let event = try #require(try fixture.audits().first)
                #expect(event.principal == "bob")
                #expect(event.outcome == .unknown)
                #expect(event.reason.hasPrefix("no-response"))
            }
            await fixture.stop()
        }
    }
}

import CloudModel
import Foundation
import Gateway
import Synchronization
import Testing

extension GatewayTests {
    /// Who fails too often is kept from the service, at the address that it fails from and nowhere else.
    @Suite struct Lockouts {
        /// What the service has heard.
        final class Heard: Sendable {
            let bodies = Mutex<[String]>([])
            var count: Int { bodies.withLock { $0.count } }
        }

        static func fixture(
            _ heard: Heard, loops: Int = 1, timeouts: GatewayTimeouts = .init()
        ) async throws -> GatewayFixture {
            let origin = try TestOrigin.http { request in
                let body = String(decoding: request.body, as: UTF8.self)
                heard.bodies.withLock { $0.append(body) }
                return TestAnswer(status: body.contains("opensesame") ? "200 OK" : "401 Unauthorized")
            }
            return try await GatewayFixture.serving(origin, loops: loops, timeouts: timeouts) { service in
                service.loginRules = [
                    LoginRule(
                        path: "/login", principal: .form(field: "user", secret: "password"),
                        lockout: .init(failures: 3, duration: .minutes(10))),
                    LoginRule(
                        path: "/api/login", principal: .json(field: "user", secret: "password"),
                        lockout: .init(failures: 3, duration: .minutes(10))),
                    LoginRule(path: "/free", principal: .form(field: "user", secret: "password")),
                    LoginRule(
                        method: "GET", path: "/basic", principal: .basicAuthorization,
                        lockout: .init(failures: 2, duration: .seconds(1))),
                ]
            }
        }

        static func form(_ path: String, _ body: String, extra: String = "") -> String {
            "POST \(path) HTTP/1.1\r\nhost: web\r\n\(extra)content-length: \(body.utf8.count)\r\n\r\n\(body)"
        }

        @Test func whoFailsTooOftenDoesNotReachTheService() async throws {
            let heard = Heard()
            let fixture = try await Self.fixture(heard, loops: 2)
            try await blocking {
                func attempt(_ user: String, _ password: String, path: String = "/login") throws -> TestResponse {
                    // Each from a connection of its own, over either loop.
                    try fixture.connect().exchange(Self.form(path, "user=\(user)&password=\(password)"))
                }
                for _ in 0..<3 { #expect(try attempt("eve", "guess").status == 401) }
                let refusal = try attempt("eve", "opensesame")
                #expect(refusal.status == 429)
                #expect(refusal.text.contains("locked-out"))
                let seconds = refusal["retry-after"].flatMap { Int($0) } ?? 0
                #expect((590...600).contains(seconds))
                #expect(heard.count == 3, "the service has not heard of it")
                // In JSON as well: one lockout for rules that are alike.
                let json = try fixture.connect().exchange(Self.form("/api/login", "{\"user\":\"eve\"}"))
                #expect(json.status == 429)
                // Another principal, and a rule without a lockout.
                #expect(try attempt("ada", "opensesame").status == 200)
                #expect(try attempt("eve", "guess", path: "/free").status == 401)
                let events = try fixture.audits().filter { $0.path == "/login" && $0.principal == "eve" }
                #expect(events.map(\.outcome) == [.failure, .failure, .failure, .failure])
                #expect(events.map(\.reason).filter { $0 == "locked-out" }.count == 1)
            }
            await fixture.stop()
        }

        @Test func aSuccessEndsTheRowAndARefusalOfOursIsNone() async throws {
            let heard = Heard()
            let fixture = try await Self.fixture(heard)
            try await blocking {
                let client = try fixture.connect()
                func attempt(_ body: String) throws -> Int {
                    try client.exchange(Self.form("/login", body)).status
                }
                for _ in 0..<4 {
                    for _ in 0..<2 { #expect(try attempt("user=eve&password=guess") == 401) }
                    #expect(try attempt("user=eve&password=opensesame") == 200)
                }
                // What cannot be read is refused, and counts for nobody.
                for _ in 0..<5 { #expect(try attempt("user=eve&user=ada&password=x") == 400) }
                #expect(try attempt("user=eve&password=opensesame") == 200)
                #expect(heard.count == 13)
            }
            await fixture.stop()
        }

        @Test func aLoginIsHeldUntilItNamesSomebody() async throws {
            let heard = Heard()
            let fixture = try await Self.fixture(heard)
            try await blocking {
                let client = try fixture.connect()
                let body = "user=eve&password=opensesame"
                let request = Self.form("/login", body)
                for byte in request { try client.write(String(byte)) }
                #expect(try #require(try client.readResponse(to: "POST")).status == 200)
                #expect(heard.bodies.withLock { $0 } == [body])
                // In chunks, with the next request right behind it.
                try client.write("POST /login HTTP/1.1\r\nhost: web\r\ntransfer-encoding: chunked\r\n\r\n")
                try client.write("9\r\nuser=eve&\r\n")
                #expect(heard.count == 1, "nothing goes on before the name is there")
                try client.write("7\r\nx=guess\r\n0\r\n\r\n" + Self.form("/free", "user=bob"))
                #expect(try #require(try client.readResponse(to: "POST")).status == 401)
                #expect(try #require(try client.readResponse(to: "POST")).status == 401)
                #expect(heard.bodies.withLock { $0 } == [body, "user=eve&x=guess", "user=bob"])
                // One that ends in the middle is nobody's, and is told to the audit log.
                let gone = try fixture.connect()
                try gone.write("POST /login HTTP/1.1\r\nhost: web\r\ncontent-length: 50\r\n\r\nuser=mallory&")
                gone.close()
                try waitUntil("it is on record") { try fixture.audits().count >= 4 }
                let last = try #require(try fixture.audits().last)
                #expect(last.principal == "mallory" && last.outcome == .unknown)
                #expect(heard.count == 3)
            }
            await fixture.stop()
        }

        @Test func nobodyHoldsMoreThanABufferOrForLong() async throws {
            let heard = Heard()
            let fixture = try await Self.fixture(heard, timeouts: GatewayTimeouts(requestHead: .milliseconds(300)))
            try await blocking {
                let long = "user=eve&password=" + String(repeating: "x", count: 40_000)
                let refusal = try fixture.connect().exchange(Self.form("/login", long))
                #expect(refusal.status == 413)
                #expect(refusal.text.contains("16 KiB"))
                let slow = try fixture.connect()
                try slow.write("POST /login HTTP/1.1\r\nhost: web\r\ncontent-length: 50\r\n\r\nuser=eve&")
                #expect(try #require(try slow.readResponse(to: "POST")).status == 408)
                #expect(heard.count == 0)
                // Neither is a failure of a name's.
                let other = try fixture.connect()
                #expect(try other.exchange(Self.form("/login", "user=eve&password=opensesame")).status == 200)
            }
            await fixture.stop()
        }

        @Test func basicAuthorizationNeedsNoBody() async throws {
            let heard = Heard()
            let fixture = try await Self.fixture(heard)
            try await blocking {
                func attempt(_ field: String) throws -> Int {
                    let head = "GET /basic HTTP/1.1\r\nhost: web\r\n\(field)\r\n"
                    return try fixture.connect().exchange(head).status
                }
                let eve = "authorization: Basic \(Data("eve:x".utf8).base64EncodedString())\r\n"
                // Browsers ask without a name first: nobody tries to log in.
                for _ in 0..<4 { #expect(try attempt("") == 401) }
                for _ in 0..<2 { #expect(try attempt(eve) == 401) }
                #expect(try attempt(eve) == 429)
                #expect(try attempt("") == 401)
                #expect(try attempt("authorization: Basic ====\r\n") == 400)
                #expect(heard.count == 7)
                let deadline = Date(timeIntervalSinceNow: 10)
                while try attempt(eve) == 429, Date() < deadline { usleep(50_000) }
                #expect(heard.count == 8, "the lockout ends by itself")
            }
            await fixture.stop()
        }
    }
}

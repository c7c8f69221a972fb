import CloudModel
import Foundation
import Gateway
import Testing

/// The same rules over HTTP/2, and logins whose consumer waits for 100 before it says whose they are.
extension GatewayTests.Lockouts {
    private static func content(_ user: String, _ password: String) -> [UInt8] {
        Array("user=\(user)&password=\(password)".utf8)
    }

    @Test func whoFailsTooOftenOverHTTP2DoesNotReachTheService() async throws {
        let heard = Heard()
        let fixture = try await Self.fixture(heard)
        try await blocking {
            let client = try HTTP2Connection(port: fixture.port)
            var stream: UInt32 = 1
            func attempt(_ path: String, _ content: [UInt8]) throws -> HTTP2Connection.Message {
                defer { stream += 2 }
                return try client.exchange(stream, "POST", path, body: content)
            }
            for _ in 0..<3 { #expect(try attempt("/login", Self.content("eve", "guess")).status == 401) }
            let refusal = try attempt("/login", Self.content("eve", "opensesame"))
            #expect(refusal.status == 429 && refusal.hasEnded && refusal.reset == nil)
            #expect(refusal.text.contains("locked-out"))
            #expect((590...600).contains(refusal["retry-after"].flatMap { Int($0) } ?? 0))
            #expect(heard.count == 3, "the service has not heard of it")
            // One lockout for rules that are alike, and for both protocols.
            #expect(try attempt("/api/login", Array("{\"user\":\"eve\"}".utf8)).status == 429)
            let plain = try fixture.connect()
            #expect(try plain.exchange(Self.form("/login", "user=eve&password=opensesame")).status == 429)
            // The connection goes on, for another principal and for a rule without a lockout.
            #expect(try attempt("/login", Self.content("ada", "opensesame")).status == 200)
            #expect(try attempt("/free", Self.content("eve", "guess")).status == 401)
            let events = try fixture.audits()
            let reasons = events.filter { $0.path == "/login" && $0.principal == "eve" }.map(\.reason)
            #expect(reasons.filter { $0 == "locked-out" }.count == 2, "\(events)")
        }
        await fixture.stop()
    }

    @Test func aLoginOverHTTP2IsHeldUntilItNamesSomebody() async throws {
        let heard = Heard()
        let fixture = try await Self.fixture(heard)
        try await blocking {
            let client = try HTTP2Connection(port: fixture.port)
            let login = HTTP2Connection.request("POST", "/login")
            try client.sendHead(1, login, ends: false)
            try client.sendData(1, Array("user=eve&".utf8))
            // Another stream is served meanwhile.
            #expect(try client.exchange(3, "POST", "/free", body: Self.content("bob", "x")).status == 401)
            #expect(heard.bodies.withLock { $0 } == ["user=bob&password=x"], "the other one is held")
            try client.sendData(1, Array("password=opensesame".utf8), ends: true)
            #expect(try client.response(on: 1).status == 200)
            #expect(heard.bodies.withLock { $0.last } == "user=eve&password=opensesame")
            // More than is read of one, and one that is taken back in the middle.
            let long = try client.exchange(
                5, "POST", "/login", body: Self.content("eve", String(repeating: "x", count: 16_100)))
            #expect(long.status == 200 || long.status == 401, "it just fits")
            try client.sendHead(7, login, ends: false)
            for _ in 0..<2 { try client.sendData(7, Array(repeating: 0x78, count: 10_000)) }
            #expect(try client.response(on: 7).status == 413)
            try client.sendHead(9, login, ends: false)
            try client.sendData(9, Array("user=mallory&".utf8))
            // Once the next one is answered this much of it has been read.
            #expect(try client.exchange(11, "POST", "/free", body: Self.content("bob", "x")).status == 401)
            try client.send(.reset, 0, 9, HTTP2Connection.bytes(8))
            try waitUntil("it is on record") { try fixture.audits().contains { $0.principal == "mallory" } }
            let last = try #require(try fixture.audits().last { $0.principal == "mallory" })
            #expect(last.outcome == .unknown)
            #expect(heard.count == 4)
        }
        await fixture.stop()
    }

    /// Who waits for 100 is answered at once, though the instance is not asked before the content is there (RFC 9110,
    /// section 10.1.1); the instance sees no expectation, or it would answer 100 a second time.
    @Test func whoWaitsFor100IsAsked() async throws {
        let heard = Heard()
        let fixture = try await Self.fixture(heard)
        try await blocking {
            let client = try fixture.connect()
            func begin(_ length: Int) throws -> Int? {
                try client.write(
                    "POST /login HTTP/1.1\r\nhost: web\r\nexpect: 100-continue\r\ncontent-length: \(length)\r\n\r\n")
                return try client.readResponse(to: "POST")?.status
            }
            for (password, status) in [("opensesame", 200), ("guess", 401), ("guess", 401), ("guess", 401)] {
                let content = Self.content("eve", password)
                #expect(try begin(content.count) == 100)
                try client.write(content)
                #expect(try client.readResponse(to: "POST")?.status == status)
            }
            let content = Self.content("eve", "opensesame")
            #expect(try begin(content.count) == 100, "nobody knows yet whose it is")
            try client.write(content)
            #expect(try client.readResponse(to: "POST")?.status == 429)
            #expect(heard.count == 4)
            #expect(try begin(40_000) == 413, "what will not be read is refused instead")
        }
        await fixture.stop()
    }

    @Test func whoWaitsFor100OverHTTP2IsAsked() async throws {
        let heard = Heard()
        let fixture = try await Self.fixture(heard)
        try await blocking {
            let client = try HTTP2Connection(port: fixture.port)
            func begin(_ stream: UInt32, _ fields: [(String, String)] = []) throws {
                let expectation = [("expect", "100-continue")]
                try client.sendHead(
                    stream, HTTP2Connection.request("POST", "/login", expectation + fields), ends: false)
            }
            for (stream, status) in [(UInt32(1), "401"), (3, "401"), (5, "401"), (7, "429")] {
                try begin(stream)
                try client.read("100 has come") { $0.messages[stream]?.heads.count == 1 }
                try client.sendData(stream, Self.content("eve", "guess"), ends: true)
                #expect(try client.response(on: stream).heads.map { $0[0].value } == ["100", status])
            }
            #expect(heard.count == 3)
            try begin(9, [("content-length", "40000")])
            try client.read("a final answer") { $0.messages[9]?.heads.isEmpty == false }
            #expect(client.messages[9]?.heads.map { $0[0].value } == ["413"])
        }
        await fixture.stop()
    }
}

import CloudModel
import Foundation
import Testing

extension GatewayTests {
    /// What RFC 9112 and RFC 9110 demand of a proxy, as far as it can be asked over HTTP/2 (RFC 9113, section 8): each
    /// rule with requests that break it. An instance must never see them.
    @Suite struct HTTP2Conformance {
        struct Rule: Sendable, CustomTestStringConvertible {
            var name: String
            var heads: [[(String, String)]]
            var testDescription: String { name }

            init(_ name: String, _ heads: [(String, String)]...) {
                self.name = name
                self.heads = heads
            }
        }

        private static func get(_ fields: (String, String)...) -> [(String, String)] {
            HTTP2Connection.request("GET", "/", fields)
        }

        private static func lengths(_ values: [String]) -> [[(String, String)]] {
            values.map { HTTP2Connection.request("POST", "/", [("content-length", $0)]) }
        }

        private static func bare(_ method: String, _ authority: String?, _ path: String) -> [(String, String)] {
            [(":method", method), (":scheme", "http")] + (authority.map { [(":authority", $0)] } ?? [])
                + [(":path", path)]
        }

        static var rules: [Rule] {
            var lengthRule = Rule("8 a content-length that is none")
            lengthRule.heads = lengths(["+5", "-0", "0x5", "1_0", "", "1 0"])
            var overflow = Rule("9 a content-length that no number holds")
            overflow.heads = lengths(["99999999999999999999999999"])
            return [
                Rule("1 white space before the colon", get(("x-a ", "1"))),
                Rule("2 a folded line", get(("x-a", "1\r\n 2"))),
                Rule(
                    "3 no host, an empty one, one that is none", bare("GET", nil, "/"), bare("GET", "", "/"),
                    bare("GET", "a b", "/")),
                Rule("4 a bare CR", get(("x-a", "1\r2"))),
                Rule("5 LF and NUL in a value", get(("x-a", "1\n2")), get(("x-a", "1\02"))),
                Rule(
                    "6 white space before the first field, or around a value", get((" x-a", "1")),
                    get(("\tx-a", "1")), get((" ", "1")), get(("\r\n x-a", "1")), get(("x-a", " 1")),
                    get(("x-a", "1\t"))),
                Rule(
                    "7 names that are no tokens", get(("", "1")), get(("x(a", "1")), get(("X-A", "1")),
                    get(("x:a", "1"))),
                lengthRule, overflow,
                Rule(
                    "10 to 13 a transfer coding", get(("transfer-encoding", "chunked")),
                    get(("transfer-encoding", "gzip"))),
                Rule(
                    "12 a transfer coding beside what stands for a version", get(("transfer-encoding", "chunked")),
                    [(":version", "HTTP/1.0")] + get(("transfer-encoding", "chunked"))),
                Rule("16 a target with another host in it", bare("GET", "web", "http://other/")),
                Rule(
                    "17 fields of one connection", get(("connection", "x-a")), get(("keep-alive", "5")),
                    get(("proxy-connection", "close")), get(("upgrade", "websocket")), get(("te", "gzip"))),
            ]
        }

        @Test(arguments: rules)
        func isNeverPassedOn(_ rule: Rule) async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                for head in rule.heads {
                    let client = try HTTP2Connection(port: fixture.port)
                    try client.sendHead(1, head)
                    let answer = try client.response(on: 1)
                    #expect(answer.reset != nil || answer.status == 400, "\(head): \(answer.status)")
                }
                #expect(origin.requests.isEmpty)
            }
            await fixture.stop()
        }

        /// 14: trailers are never merged into the head.
        @Test func trailersStayTrailers() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, HTTP2Connection.request("POST"), ends: false)
                try client.sendData(1, Array("abc".utf8))
                try client.sendHead(1, [("x-late", "1")])
                #expect(try client.response(on: 1).text == "abc")
                #expect(origin.requests.first?["x-late"] == nil)
            }
            await fixture.stop()
        }

        /// 15: a body that is shorter than it was said to be ends the connection to the instance.
        @Test func aShortBodyIsNoRequest() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                let head = HTTP2Connection.request("POST", "/", [("content-length", "10")])
                try client.sendHead(1, head, ends: false)
                try client.sendData(1, Array("abc".utf8), ends: true)
                #expect(try client.response(on: 1).reset != nil)
                #expect(try client.exchange(3).text == "hello")
                #expect(origin.requests.count { $0.body.isEmpty } == origin.requests.count)
            }
            await fixture.stop()
        }

        /// 6 and 12 of an instance's answer: it is none, its bytes reach nobody, and the connection is not used again.
        @Test(arguments: [
            "HTTP/1.1 200 OK\r\n x-a: 1\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.1 200 OK\r\n\tx-a: 1\r\ncontent-length: 5\r\n\r\nhello",
            "HTTP/1.0 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
            "HTTP/1.0 200 OK\r\nconnection: keep-alive\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ])
        func anAnswerOfDoubtfulFramingIsABadGateway(_ answer: String) async throws {
            let origin = try TestOrigin { connection, origin in
                while try TestRequest(from: connection) != nil {
                    try connection.write(
                        origin.accepted == 1 ? answer : "HTTP/1.1 200 OK\r\ncontent-length: 4\r\n\r\ngood")
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                let refused = try client.exchange(1)
                #expect(refused.status == 502)
                #expect(!refused.text.contains("hello"))
                #expect(try client.exchange(3).text == "good")
                #expect(origin.accepted == 2, "another connection")
            }
            await fixture.stop()
        }

        /// 18: nobody asked the instance to switch.
        @Test func aSwitchThatNobodyAskedForIsABadGateway() async throws {
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection)
                try connection.write("HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: x\r\n\r\n")
                _ = try connection.byte()
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                let answer = try client.exchange(1)
                #expect(answer.status == 502)
            }
            await fixture.stop()
        }

        /// 19: answers without a body, whatever their fields say.
        @Test func answersWithoutBody() async throws {
            let origin = try TestOrigin { connection, _ in
                for answer in [
                    "200 OK\r\ncontent-length: 5", "204 No Content", "304 Not Modified\r\ncontent-length: 5",
                ] {
                    guard try TestRequest(from: connection) != nil else { return }
                    try connection.write("HTTP/1.1 \(answer)\r\n\r\n")
                }
            }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                for (stream, method, status) in [(UInt32(1), "HEAD", 200), (3, "GET", 204), (5, "GET", 304)] {
                    let answer = try client.exchange(stream, method)
                    #expect(answer.status == status)
                    #expect(answer.body.isEmpty)
                    #expect(answer.reset == nil)
                }
            }
            await fixture.stop()
        }

        /// 20: a target of 8,000 octets passes, one that is too long is 414.
        @Test func longTargets() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                let long = "/" + String(repeating: "a", count: 8_000)
                #expect(try client.exchange(1, "GET", long).status == 200)
                #expect(origin.requests.first?.target == long)
                let tooLong = HTTP2Connection.block(
                    HTTP2Connection.request("GET", "/" + String(repeating: "a", count: 17_000)))
                try client.send(.headers, HTTP2Connection.endStream, 3, Array(tooLong[..<16_000]))
                try client.send(.continuation, HTTP2Connection.endHeaders, 3, Array(tooLong[16_000...]))
                #expect(try client.response(on: 3).status == 414)
            }
            await fixture.stop()
        }
    }
}

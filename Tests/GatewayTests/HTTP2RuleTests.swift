import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    /// What RFC 9113 forbids, and what a peer may cost.
    @Suite struct HTTP2Rules {
        private static func fixture() async throws -> GatewayFixture {
            try await GatewayFixture.serving(try TestOrigin.echo())
        }

        /// Heads that are malformed (RFC 9113, sections 8.1 to 8.3): the stream is reset, and no instance sees it.
        static let malformed: [[(String, String)]] = [
            [(":method", "GET"), (":scheme", "http"), (":authority", "web")],
            [(":scheme", "http"), (":authority", "web"), (":path", "/")],
            [(":method", "GET"), (":authority", "web"), (":path", "/")],
            HTTP2Connection.request() + [(":path", "/again")],
            [("x-early", "1")] + HTTP2Connection.request(),
            HTTP2Connection.request() + [(":status", "200")],
            HTTP2Connection.request() + [(":odd", "1")],
            HTTP2Connection.request("GET", ""),
            HTTP2Connection.request("GET", "/", [("connection", "close")]),
            HTTP2Connection.request("GET", "/", [("keep-alive", "1")]),
            HTTP2Connection.request("GET", "/", [("proxy-connection", "close")]),
            HTTP2Connection.request("GET", "/", [("transfer-encoding", "chunked")]),
            HTTP2Connection.request("GET", "/", [("upgrade", "h2c")]),
            HTTP2Connection.request("GET", "/", [("te", "gzip")]),
            HTTP2Connection.request("GET", "/", [("X-Upper", "1")]),
            HTTP2Connection.request("GET", "/", [("x-value", "a\r\nx-smuggled: 1")]),
            HTTP2Connection.request("GET", "/", [("x-value", "a\0b")]),
            HTTP2Connection.request("GET", "/", [("x na me", "1")]),
            HTTP2Connection.request("GET", "/", [("x:y", "1")]),
            HTTP2Connection.request("GET", "/ HTTP/1.1\r\nx: y", []),
            HTTP2Connection.request("GET", "/", [("host", "other")]),
            HTTP2Connection.request("GET", "/", [("content-length", "5")]),
            HTTP2Connection.request("GET", "/", [("content-length", "-1")]),
            HTTP2Connection.request("GET", "/", [("content-length", "0"), ("content-length", "0")]),
        ]

        @Test func malformedHeadsReachNoInstance() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                for fields in Self.malformed {
                    let client = try HTTP2Connection(port: fixture.port)
                    try client.sendHead(1, fields)
                    let answer = try client.response(on: 1)
                    // Either way of RFC 9113, section 8.1.1: an answer of 400, or a reset.
                    #expect(answer.reset != nil || answer.status == 400, "\(fields)")
                    #expect(try client.exchange(3).status == 200, "\(fields)")
                }
                #expect(origin.requests.count == Self.malformed.count)
                #expect(origin.requests.allSatisfy { $0.target == "/" && $0["x-smuggled"] == nil })
            }
            await fixture.stop()
        }

        @Test func contentLengthIsKeptTo() async throws {
            let fixture = try await Self.fixture()
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                for (stream, body) in [(UInt32(1), "abc"), (3, "abcdefg")] {
                    try client.sendHead(
                        stream, HTTP2Connection.request("POST", "/", [("content-length", "5")]), ends: false)
                    try client.sendData(stream, Array(body.utf8), ends: true)
                    #expect(try client.response(on: stream).reset != nil)
                }
                #expect(
                    try client.exchange(5, "POST", "/", [("content-length", "5")], body: Array("abcde".utf8)).text
                        == "abcde")
            }
            await fixture.stop()
        }

        @Test func connectIsRefused() async throws {
            let fixture = try await Self.fixture()
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, [(":method", "CONNECT"), (":authority", "web:80")], ends: false)
                let answer = try client.response(on: 1)
                #expect(answer.status == 501)
            }
            await fixture.stop()
        }

        @Test func hostStandsInForTheAuthority() async throws {
            let fixture = try await Self.fixture()
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, [(":method", "GET"), (":scheme", "http"), (":path", "/"), ("host", "web")])
                #expect(try client.response(on: 1).status == 200)
                #expect(try client.exchange(3, "GET", "/", [("host", "WEB")]).status == 200)
            }
            await fixture.stop()
        }

        @Test func aHeadThatIsTooLargeIsAnsweredSo() async throws {
            let fixture = try await Self.fixture()
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.read("settings have come") { !$0.settings.isEmpty }
                #expect(client.settings[6] == 24_576)
                let part = [("x-part", String(repeating: "a", count: 6_000))]
                let block = HTTP2Connection.block(HTTP2Connection.request() + part + part + part + part + part)
                try client.send(.headers, HTTP2Connection.endStream, 1, Array(block[..<16_000]))
                try client.send(.continuation, HTTP2Connection.endHeaders, 1, Array(block[16_000...]))
                #expect(try client.response(on: 1).status == 431)
                #expect(try client.exchange(3).status == 200)
                let many = (0..<200).map { ("x-\($0)", "1") }
                #expect(try client.exchange(5, "GET", "/", many).status == 431)
            }
            await fixture.stop()
        }

        @Test func noMoreStreamsThanTold() async throws {
            let gate = Tally()
            let origin = try TestOrigin.held(gate)
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.read("settings have come") { !$0.settings.isEmpty }
                #expect(client.settings[3] == 100)
                for stream in stride(from: UInt32(1), through: 201, by: 2) {
                    try client.sendHead(stream, HTTP2Connection.request())
                }
                // One that goes on after having been told is at fault as a whole (RFC 9113, section 5.1.2).
                #expect(try client.readToEnd() == 1)
                #expect(origin.requests.count <= 100)
                try waitUntil("nothing is held") { fixture.gateway.statistics.connectionsOpen == 0 }
                gate.add()
            }
            await fixture.stop()
        }

        // MARK: Floods

        /// ENHANCE_YOUR_CALM
        private static let calm: UInt32 = 11

        /// What may be written again and again; the gateway must end the connection before it has all of it.
        private static func expectEnd(
            after count: Int, _ fixture: GatewayFixture, write: (HTTP2Connection, Int) throws -> Void
        ) throws -> HTTP2Connection {
            let client = try HTTP2Connection(port: fixture.port)
            try client.read("settings have come") { !$0.settings.isEmpty }
            do {
                for index in 0..<count { try write(client, index) }
            } catch {
                // Closed while we were writing.
            }
            let code = try client.readToEnd()
            // A reset of the connection may overtake the last words.
            #expect(code == nil || code == calm || code == 1)
            return client
        }

        @Test(arguments: [
            HTTP2Connection.frame(6, 0, 0, [1, 2, 3, 4, 5, 6, 7, 8]), HTTP2Connection.frame(4, 0, 0),
            HTTP2Connection.frame(2, 0, 1, [0, 0, 0, 3, 9]), HTTP2Connection.frame(0xB7, 0, 0),
            HTTP2Connection.frame(8, 0, 0, [0, 0, 0, 1]),
        ])
        func framesThatAskNothingAreLimited(frame: [UInt8]) async throws {
            let fixture = try await Self.fixture()
            let batch = Array([[UInt8]](repeating: frame, count: 100).joined())
            try await blocking {
                _ = try Self.expectEnd(after: 400, fixture) { client, _ in try client.socket.write(batch) }
                #expect(try HTTP2Connection(port: fixture.port).exchange(1).status == 200)
                #expect(fixture.gateway.statistics.total("http2_floods") == 1)
            }
            await fixture.stop()
        }

        /// Who reads late opens its windows late, and for all that it was sent at once: more than a flood may have.
        @Test func whoOpensItsWindowsLateIsNoFlood() async throws {
            let body = [UInt8](repeating: 7, count: 30_000_000)
            let origin = try TestOrigin.http { TestAnswer(body: $0.head.hasPrefix("GET /much ") ? body : []) }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port, settings: [(4, 0x7FFF_FFFF)])
                client.reads = false
                client.keepsBodies = false
                try client.openWindow(0, 0x7000_0000)
                try client.sendHead(1, HTTP2Connection.request("GET", "/much"))
                var frames = 0
                try client.read("all has come") {
                    frames += 1
                    return $0.messages[1]?.received == body.count && $0.messages[1]?.hasEnded == true
                }
                #expect(frames > 1_500)
                let update = HTTP2Connection.frame(8, 0, 0, [0, 0, 0, 1])
                try client.socket.write(Array([[UInt8]](repeating: update, count: frames * 2 - 50).joined()))
                #expect(try client.exchange(3).status == 200)
                #expect(fixture.gateway.statistics.total("http2_floods") == 0)
            }
            await fixture.stop()
        }

        @Test func emptyDataIsLimited() async throws {
            let fixture = try await Self.fixture()
            try await blocking {
                let batch = Array([[UInt8]](repeating: HTTP2Connection.frame(0, 0, 1), count: 100).joined())
                _ = try Self.expectEnd(after: 400, fixture) { client, index in
                    if index == 0 { try client.sendHead(1, HTTP2Connection.request("POST"), ends: false) }
                    try client.socket.write(batch)
                }
                #expect(fixture.gateway.statistics.total("http2_floods") == 1)
                #expect(try fixture.usage(count: 1)[0].outcome == .abortedByConsumer)
            }
            await fixture.stop()
        }

        @Test func streamsThatAreOpenedOnlyToBeResetAreLimited() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                _ = try Self.expectEnd(after: 5_000, fixture) { client, index in
                    let stream = UInt32(index * 2 + 1)
                    try client.socket.write(
                        HTTP2Connection.frame(1, 5, stream, HTTP2Connection.block(HTTP2Connection.request()))
                            + HTTP2Connection.frame(3, 0, stream, HTTP2Connection.bytes(8)))
                }
                #expect(fixture.gateway.statistics.total("http2_floods") == 1)
                #expect(origin.requests.count < 400)
                try waitUntil("nothing is held") { fixture.gateway.statistics.connectionsOpen == 0 }
                #expect(try HTTP2Connection(port: fixture.port).exchange(1).status == 200)
            }
            await fixture.stop()
        }

        @Test func continuationsAreLimited() async throws {
            let fixture = try await Self.fixture()
            try await blocking {
                _ = try Self.expectEnd(after: 1_000, fixture) { client, index in
                    if index == 0 {
                        try client.send(.headers, 0, 1, HTTP2Connection.block(HTTP2Connection.request()))
                    }
                    try client.send(.continuation, 0, 1, HTTP2Connection.block([("x", "1")]))
                }
                #expect(try HTTP2Connection(port: fixture.port).exchange(1).status == 200)
            }
            await fixture.stop()
        }

        @Test func aHeadThatDoesNotEndIsGivenUp() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(
                origin, timeouts: GatewayTimeouts(requestHead: .milliseconds(300)))
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                // Within a head no other frame may come, the acknowledgement of settings neither.
                try client.read("settings have come") { !$0.settings.isEmpty }
                try client.send(.headers, 0, 1, HTTP2Connection.block(HTTP2Connection.request()))
                try client.read("the stream is reset") { $0.messages[1]?.reset != nil }
            }
            await fixture.stop()
        }

        @Test func anIdleConnectionIsEndedWithAWord() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(
                origin, timeouts: GatewayTimeouts(keepAliveIdle: .milliseconds(300)))
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                #expect(try client.exchange(1).status == 200)
                #expect(try client.readToEnd() == 0)
                #expect(client.goAways.last?.last == 1)
            }
            await fixture.stop()
        }

        @Test func whatIsNoPrefaceIsAnsweredInHTTP1() async throws {
            let fixture = try await Self.fixture()
            try await blocking {
                let odd = try fixture.connect()
                try odd.write("PRI * HTTP/2.0\r\n\r\nXX\r\n\r\n")
                #expect(try odd.readResponse()?.status == 505)
            }
            await fixture.stop()
        }
    }
}

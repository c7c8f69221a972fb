import CloudModel
import Foundation
import Testing

extension GatewayTests {
    /// WebSocket within a stream of HTTP/2 (extended CONNECT, RFC 8441).
    @Suite struct HTTP2Tunnels {
        private static let connect = [
            (":method", "CONNECT"), (":protocol", "websocket"), (":scheme", "http"), (":authority", "web"),
            (":path", "/chat"), ("sec-websocket-version", "13"),
        ]

        /// Switches, greets in the same breath, then echoes until the other side has finished.
        private static func origin() throws -> TestOrigin {
            try TestOrigin { connection, origin in
                guard let request = try TestRequest(from: connection) else { return }
                origin.note(request)
                try connection.write(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
                        + "sec-websocket-accept: x\r\n\r\nhi")
                while let byte = try connection.byte() { try connection.write([byte]) }
                try connection.write("bye")
            }
        }

        @Test func theSettingsOfferIt() async throws {
            let fixture = try await GatewayFixture.serving(try Self.origin())
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.read("settings have come") { !$0.settings.isEmpty }
                #expect(client.settings[8] == 1)
            }
            await fixture.stop()
        }

        @Test func bytesPassBothWaysAndAreMetered() async throws {
            let origin = try Self.origin()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, Self.connect, ends: false)
                try client.read("the tunnel is open") { $0.messages[1]?.text == "hi" }
                let message = try #require(client.messages[1])
                #expect(message.status == 200)
                #expect(message["sec-websocket-accept"] == nil)
                #expect(message["upgrade"] == nil)
                let request = try #require(origin.requests.first)
                #expect(request.head.hasPrefix("GET /chat HTTP/1.1\r\n"))
                #expect(request["upgrade"] == "websocket")
                #expect(Data(base64Encoded: request["sec-websocket-key"] ?? "")?.count == 16)
                // Other requests pass beside it.
                var expected = Array("hi".utf8)
                for part in 0..<20 {
                    let bytes = (0..<10_000).map { UInt8(truncatingIfNeeded: $0 + part) }
                    try client.read("a window is open") { $0.mayHaveSent(bytes.count, on: 1) }
                    try client.sendData(1, bytes)
                    expected += bytes
                }
                try client.sendData(1, Array("end".utf8), ends: true)
                let whole = try client.response(on: 1)
                #expect(whole.reset == nil)
                #expect(whole.body == expected + Array("endbye".utf8))
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.outcome == .tunnel)
                #expect(record.status == 101)
                #expect(record.bytesIn > 200_003)
                #expect(record.bytesOut > 200_008)
            }
            await fixture.stop()
        }

        @Test func anInstanceThatRefusesIsHeard() async throws {
            let origin = try TestOrigin.http { _ in TestAnswer(status: "403 Forbidden", body: Array("no".utf8)) }
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, Self.connect, ends: false)
                try client.read("the answer is whole") { $0.messages[1]?.hasEnded == true }
                #expect(client.messages[1]?.status == 403)
                #expect(client.messages[1]?.text == "no")
            }
            await fixture.stop()
        }

        /// A good answer says that the tunnel is open: one that is not must not look so.
        @Test func anAnswerInsteadOfASwitchIsNoTunnel() async throws {
            let fixture = try await GatewayFixture.serving(try TestOrigin.echo())
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, Self.connect, ends: false)
                try client.read("the answer is whole") { $0.messages[1]?.hasEnded == true }
                #expect(client.messages[1]?.status == 502)
            }
            await fixture.stop()
        }

        @Test func aConsumerThatResetsEndsIt() async throws {
            let origin = try Self.origin()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, Self.connect, ends: false)
                try client.read("the tunnel is open") { $0.messages[1]?.text == "hi" }
                try client.send(.reset, 0, 1, HTTP2Connection.bytes(8))
                try waitUntil("the instance has no connection") { origin.openConnections == 0 }
                #expect(try fixture.usage(count: 1).first?.outcome == .tunnel)
            }
            await fixture.stop()
        }

        @Test func aLengthHasNoPlaceInATunnel() async throws {
            let origin = try Self.origin()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try HTTP2Connection(port: fixture.port)
                try client.sendHead(1, Self.connect + [("content-length", "5")], ends: false)
                #expect(try client.response(on: 1).reset != nil)
                #expect(origin.requests.isEmpty)
            }
            await fixture.stop()
        }
    }
}

import CloudModel
import Foundation
import Testing

extension GatewayTests {
    @Suite struct Tunnels {
        private static let upgrade =
            "GET /chat HTTP/1.1\r\nhost: web\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n"

        /// Switches, greets in the same breath, then echoes until the other side has finished.
        private static func origin() throws -> TestOrigin {
            try TestOrigin { connection, origin in
                guard let request = try TestRequest(from: connection) else { return }
                origin.note(request)
                try connection.write(
                    "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\nhi")
                while let byte = try connection.byte() { try connection.write([byte]) }
                try connection.write("bye")
            }
        }

        @Test func bytesPassBothWaysAndAreMetered() async throws {
            let origin = try Self.origin()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                try client.write(Self.upgrade + "early")
                let head = try #require(try client.readHead())
                #expect(head.hasPrefix("HTTP/1.1 101"))
                #expect(head.lowercased().contains("upgrade: websocket"))
                #expect(origin.requests.first?["upgrade"] == "websocket")
                #expect(try client.read(7) == Array("hiearly".utf8))
                let big = (0..<100_000).map { UInt8(truncatingIfNeeded: $0) }
                Thread.detachNewThread { try? client.write(big) }
                #expect(try client.read(big.count) == big)
                client.finishWriting()
                #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "bye")
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.outcome == .tunnel)
                #expect(record.status == 101)
                #expect(record.bytesIn == UInt64(Self.upgrade.utf8.count + 5 + big.count))
                #expect(record.bytesOut == UInt64(head.utf8.count + 7 + big.count + 3))
            }
            await fixture.stop()
        }

        @Test func aSwitchThatNobodyAskedForIsABadGateway() async throws {
            let origin = try Self.origin()
            let fixture = try await GatewayFixture.serving(origin)
            #expect(try await blocking { try fixture.get().status } == 502)
            await fixture.stop()
        }

        @Test func anAnswerInsteadOfASwitchIsAnAnswer() async throws {
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin)
            try await blocking {
                let client = try fixture.connect()
                #expect(try client.exchange(Self.upgrade).text == "hello")
                #expect(try client.exchange(Self.upgrade).text == "hello")
            }
            await fixture.stop()
        }

        @Test func silenceEndsATunnel() async throws {
            let origin = try Self.origin()
            let fixture = try await GatewayFixture.serving(origin) { $0.gateway.tunnelTimeout = .milliseconds(200) }
            try await blocking {
                let client = try fixture.connect()
                try client.write(Self.upgrade)
                _ = try client.readHead()
                #expect(String(decoding: try client.readToEnd(), as: UTF8.self) == "hi")
                #expect(try fixture.usage(count: 1).first?.outcome == .tunnel)
            }
            await fixture.stop()
        }
    }
}

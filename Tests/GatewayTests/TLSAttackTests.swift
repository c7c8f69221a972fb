import CloudModel
import Foundation
import Gateway
import Glibc
import Testing

extension GatewayTests {
    /// Consumers that break off, dawdle, or are not what they should be.
    @Suite struct TLSFaults {
        private static func serving(
            _ origin: TestOrigin, _ certificates: TestCertificates, limits: GatewayLimits = .init(),
            timeouts: GatewayTimeouts = .init()
        ) async throws -> GatewayFixture {
            let files = try certificates.make("web")
            let listener = GatewayListener(
                Endpoint(address: "127.0.0.1", port: 0), tls: ListenerTLS(certificates: [files]))
            return try await GatewayFixture.serving(origin, listeners: [listener], limits: limits, timeouts: timeouts)
        }

        @Test func aHandshakeThatIsNotFinishedEndsAtItsTime() async throws {
            let certificates = try TestCertificates()
            let fixture = try await Self.serving(
                try TestOrigin.echo(), certificates, timeouts: GatewayTimeouts(handshake: .milliseconds(300)))
            try await blocking {
                let silent = try TestSocket(port: fixture.port(1))
                let slow = try TestSocket(port: fixture.port(1))
                // A record of a ClientHello that never comes.
                try slow.write([0x16, 0x03, 0x01, 0x02, 0x00, 0x01])
                #expect(try silent.isAtEnd())
                #expect(try slow.isAtEnd())
                #expect(fixture.gateway.statistics.total("handshake_timeouts") == 2)
                // The peer sees its end before the loop has counted it.
                try waitUntil("both are closed") { fixture.gateway.statistics.connectionsOpen == 0 }
            }
            await fixture.stop()
        }

        @Test func manyUnfinishedHandshakesKeepNobodyOut() async throws {
            let certificates = try TestCertificates()
            let limit = 50
            let fixture = try await Self.serving(
                try TestOrigin.echo(), certificates, limits: GatewayLimits(openingsPerLoop: limit))
            try await blocking {
                let attackers = try (0..<(limit * 3)).map { _ in try TestSocket(port: fixture.port(1)) }
                let (client, _) = try TestSocket.secure(port: fixture.port(1))
                #expect(try client.exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n").status == 200)
                let statistics = fixture.gateway.statistics
                #expect(statistics.total("handshakes_displaced") >= UInt64(limit * 2))
                #expect(statistics.connectionsOpen <= UInt64(limit + 1))
                // Those that came first went first.
                #expect(try attackers[0].isAtEnd())
                _ = attackers
            }
            await fixture.stop()
        }

        @Test func whatIsNotTLSIsAnsweredWithAnAlert() async throws {
            let certificates = try TestCertificates()
            let fixture = try await Self.serving(try TestOrigin.echo(), certificates)
            try await blocking {
                for text in ["GET / HTTP/1.1\r\nhost: a\r\n\r\n", "\u{01}\u{02}\u{03}garbage garbage"] {
                    let client = try TestSocket(port: fixture.port(1))
                    try client.write(text)
                    client.finishWriting()
                    let answer = try client.readToEnd()
                    // 21: an alert record.
                    #expect(answer.isEmpty || answer[0] == 21)
                }
                try waitUntil("both are counted") { fixture.gateway.statistics.total("tls_failures") == 2 }
            }
            await fixture.stop()
        }

        @Test func anEndWithoutCloseNotifyIsNoEndOfAMessage() async throws {
            let certificates = try TestCertificates()
            let origin = try TestOrigin.echo()
            let fixture = try await Self.serving(origin, certificates)
            try await blocking {
                let (client, _) = try TestSocket.secure(port: fixture.port(1))
                try client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 1000\r\n\r\nabc")
                try waitUntil("the instance has the beginning") { origin.openConnections == 1 }
                client.cut()
                let record = try #require(try fixture.usage(count: 1).first)
                #expect(record.outcome == .abortedByConsumer)
                #expect(origin.requests.isEmpty)
            }
            await fixture.stop()
        }

        @Test func aConsumerThatHasSaidItsLastIsStillAnswered() async throws {
            let certificates = try TestCertificates()
            let origin = try TestOrigin.http { request in
                TestAnswer(body: Array(repeating: 0x61, count: request.body.count))
            }
            let fixture = try await Self.serving(origin, certificates)
            try await blocking {
                let (client, tls) = try TestSocket.secure(port: fixture.port(1))
                try client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 3\r\n\r\nabc")
                // close_notify, the socket stays open: the answer comes, then the same from the other side.
                tls.finish()
                #expect(try client.readResponse()?.body.count == 3)
                #expect(try client.isAtEnd())
            }
            await fixture.stop()
        }

        @Test func anInstanceThatBreaksOffIsSeenByTheConsumer() async throws {
            let certificates = try TestCertificates()
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection)
                try connection.write("HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\nabc")
            }
            let untilClose = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection)
                try connection.write("HTTP/1.1 200 OK\r\n\r\n")
                try connection.write([UInt8](repeating: 0x61, count: 100_000))
            }
            let fixture = try await Self.serving(origin, certificates)
            try await blocking {
                let (client, _) = try TestSocket.secure(port: fixture.port(1))
                #expect(throws: TestSocket.Failure.self) {
                    try client.exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n")
                }
            }
            // A body that ends with the connection ends with close_notify, which says that it is whole.
            await fixture.apply(GatewayFixture.service, [untilClose.port])
            try await blocking {
                let (client, _) = try TestSocket.secure(port: fixture.port(1))
                #expect(try client.exchange("GET / HTTP/1.1\r\nhost: a\r\n\r\n").body.count == 100_000)
            }
            await fixture.stop()
        }

        @Test func anUpgradedConnectionCarriesBytesBothWays() async throws {
            let certificates = try TestCertificates()
            let origin = try TestOrigin { connection, _ in
                _ = try TestRequest(from: connection)
                try connection.write("HTTP/1.1 101 Switching\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
                while let byte = try connection.byte() { try connection.write([byte &+ 1]) }
                try connection.write("bye")
            }
            let fixture = try await Self.serving(origin, certificates)
            try await blocking {
                let (client, _) = try TestSocket.secure(port: fixture.port(1))
                try client.write("GET / HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: echo\r\n\r\n")
                #expect(try client.readHead()?.hasPrefix("HTTP/1.1 101") == true)
                try client.write("abc")
                #expect(try client.read(3) == Array("bcd".utf8))
                client.finishWriting()
                #expect(try client.readToEnd() == Array("bye".utf8))
            }
            await fixture.stop()
        }
    }
}

import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    /// HTTP/2 as browsers speak it: agreed on in the TLS handshake (RFC 9113, section 3.2).
    @Suite struct HTTP2OverTLS {
        @Test func theHandshakeAgreesOnHTTP2AndStreamsAreServed() async throws {
            let certificates = try TestCertificates()
            let listener = GatewayListener(
                Endpoint(address: "127.0.0.1", port: 0), tls: ListenerTLS(certificates: [try certificates.make("web")]))
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin, listeners: [listener])
            try await blocking {
                let (socket, tls) = try TestSocket.secure(port: fixture.port(1), .init(protocolName: "h2"))
                #expect(tls.agreedProtocol == "h2")
                let client = try HTTP2Connection(socket)
                #expect(try client.exchange(1, "GET", "/").text == "hello")
                let body = [UInt8](repeating: 7, count: 16_000)
                let posted = try client.exchange(3, "POST", "/", [("content-length", "16000")], body: body)
                #expect(posted.body == body)
                #expect(origin.requests.allSatisfy { $0["x-forwarded-proto"] == "https" })
                let records = try fixture.usage(count: 2)
                #expect(records.allSatisfy { $0.outcome == .completed })
                #expect(fixture.gateway.statistics.total("tls_handshakes") == 1)
                #expect(fixture.gateway.statistics.total("http2_streams") == 2)
            }
            await fixture.stop()
        }
    }
}

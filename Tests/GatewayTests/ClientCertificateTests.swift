import CloudModel
import Credentials
import Foundation
import Gateway
import Testing

extension GatewayTests {
    /// Consumers that are known by the certificates that they show.
    @Suite struct ClientCertificateIdentity {
        private static let get = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"

        private static func serving(
            _ certificates: TestCertificates, optional: Bool
        ) async throws -> GatewayFixture {
            try certificates.makeAuthority("consumers")
            try certificates.makeAuthority("strangers")
            let files = try certificates.make("web")
            let tls = ListenerTLS(
                certificates: [files],
                clientCertificates: ClientCertificates(
                    authorityFile: certificates.path("consumers.pem"), isOptional: optional))
            return try await GatewayFixture.serving(
                try TestOrigin.echo(), listeners: [GatewayListener(Endpoint(address: "127.0.0.1", port: 0), tls: tls)]
            ) { $0.access = .required }
        }

        private static func credential(_ id: CredentialID, digest: String, revoked: Bool = false) -> APICredential {
            APICredential(id: id, kind: .certificate, prefix: "test", digest: digest, revoked: revoked)
        }

        @Test func aCertificateIdentifiesItsConsumerOrNobody() async throws {
            let certificates = try TestCertificates()
            let fixture = try await Self.serving(certificates, optional: false)
            for (name, authority) in [
                ("carol", "consumers"), ("dave", "consumers"), ("erin", "consumers"), ("mallory", "strangers"),
            ] {
                try certificates.make(name, subject: "/O=Example/CN=\(name)", for: "DNS:\(name)", by: authority)
            }
            let subject = KeyDigest(of: "subject:CN=dave,O=Example").description
            let fingerprint = try certificates.fingerprint("carol")
            fixture.moreConsumers.withLock {
                $0 = [
                    CloudConsumer(
                        id: "carol",
                        credentials: [Self.credential("c", digest: fingerprint)]),
                    CloudConsumer(id: "dave", credentials: [Self.credential("d", digest: subject)]),
                ]
            }
            let origin = try TestOrigin.echo()
            var service = GatewayFixture.service
            service.access = .required
            await fixture.apply(service, [origin.port])
            try await blocking {
                func visit(_ name: String, version: Int32, fields: String = "") throws -> Int {
                    let (client, _) = try TestSocket.secure(
                        port: fixture.port(1),
                        .init(certificate: certificates.files(name), versions: version...version))
                    let request = "GET / HTTP/1.1\r\nhost: a\r\n\(fields)\r\n"
                    _ = try client.exchange(request)
                    return try client.exchange(request).status
                }
                for version in [Int32(0x0303), 0x0304] {
                    let statuses = try [
                        visit("carol", version: version), visit("dave", version: version),
                        // Of the right authority, but nobody's.
                        visit("erin", version: version),
                        // A key counts before a certificate, and must be good.
                        visit("erin", version: version, fields: "x-api-key: \(GatewayFixture.key)\r\n"),
                        visit("carol", version: version, fields: "x-api-key: cw_wrong\r\n"),
                    ]
                    #expect(statuses == [200, 200, 401, 200, 401])
                    // Of another authority, and none at all: the handshake ends it, in TLS 1.3 after the client's part.
                    #expect(throws: TestSocket.Failure.self) { try visit("mallory", version: version) }
                    #expect(throws: TestSocket.Failure.self) {
                        let (client, _) = try TestSocket.secure(
                            port: fixture.port(1), .init(versions: version...version))
                        _ = try client.exchange(Self.get)
                    }
                }
                let records = try fixture.usage(count: 12)
                #expect(Set(records.map(\.consumer)) == ["carol", "dave", "alice"])
            }
            // What is revoked admits nobody, also on a connection that stands.
            let standing = try await blocking {
                let (client, _) = try TestSocket.secure(
                    port: fixture.port(1), .init(certificate: certificates.files("carol")))
                #expect(try client.exchange(Self.get).status == 200)
                return client
            }
            fixture.moreConsumers.withLock { $0[0].credentials[0].revoked = true }
            await fixture.apply(service, [origin.port])
            #expect(try standing.exchange(Self.get).status == 401)
            await fixture.stop()
        }

        /// Over HTTP/2 each stream has its connection's certificate.
        @Test func aCertificateIdentifiesEachStream() async throws {
            let certificates = try TestCertificates()
            let fixture = try await Self.serving(certificates, optional: false)
            try certificates.make("carol", by: "consumers")
            try certificates.make("erin", by: "consumers")
            let fingerprint = try certificates.fingerprint("carol")
            fixture.moreConsumers.withLock {
                $0 = [CloudConsumer(id: "carol", credentials: [Self.credential("c", digest: fingerprint)])]
            }
            let origin = try TestOrigin.echo()
            var service = GatewayFixture.service
            service.access = .required
            await fixture.apply(service, [origin.port])
            try await blocking {
                for (name, status) in [("carol", 200), ("erin", 401)] {
                    let (socket, _) = try TestSocket.secure(
                        port: fixture.port(1), .init(certificate: certificates.files(name), protocolName: "h2"))
                    let client = try HTTP2Connection(socket)
                    #expect(try client.exchange(1, "GET", "/").status == status, "\(name)")
                    #expect(try client.exchange(3, "GET", "/").status == status, "\(name)")
                }
            }
            await fixture.stop()
        }

        @Test func aKeyCannotPassForACertificate() async throws {
            let certificates = try TestCertificates()
            let fixture = try await Self.serving(certificates, optional: true)
            let pretended = "subject:CN=dave"
            fixture.moreConsumers.withLock {
                $0 = [
                    CloudConsumer(
                        id: "dave",
                        credentials: [Self.credential("d", digest: KeyDigest(of: pretended).description)])
                ]
            }
            let origin = try TestOrigin.echo()
            var service = GatewayFixture.service
            service.access = .required
            await fixture.apply(service, [origin.port])
            try await blocking {
                let (client, _) = try TestSocket.secure(port: fixture.port(1))
                func status(_ fields: String) throws -> Int {
                    try client.exchange("GET / HTTP/1.1\r\nhost: a\r\n\(fields)\r\n").status
                }
                let statuses = try [
                    status("x-api-key: \(pretended)\r\n"), status(""), status("x-api-key: \(GatewayFixture.key)\r\n"),
                ]
                #expect(statuses == [401, 401, 200])
            }
            await fixture.stop()
        }

        @Test func aSessionIsResumedWithWhomItWasMadeFor() async throws {
            let certificates = try TestCertificates()
            let fixture = try await Self.serving(certificates, optional: false)
            let files = try certificates.make("carol", by: "consumers")
            let digest = try certificates.fingerprint("carol")
            fixture.moreConsumers.withLock {
                $0 = [CloudConsumer(id: "carol", credentials: [Self.credential("c", digest: digest)])]
            }
            let origin = try TestOrigin.echo()
            var service = GatewayFixture.service
            service.access = .required
            await fixture.apply(service, [origin.port])
            try await blocking {
                var settings = TestTLS.Settings(certificate: files)
                for isSecond in [false, true] {
                    let (client, tls) = try TestSocket.secure(port: fixture.port(1), settings)
                    let status = try client.exchange(Self.get).status
                    #expect(status == 200)
                    #expect(tls.isResumed == isSecond)
                    settings.session = tls.session
                }
            }
            await fixture.stop()
        }
    }
}

import CloudModel
import Foundation
import Gateway
import Glibc
import Testing

extension GatewayTests {
    /// Consumers over TLS.
    @Suite struct TLS {
        private static func listener(
            _ certificates: CertificateFiles..., minimum: TLSVersion = .v12, clients: ClientCertificates? = nil
        ) -> GatewayListener {
            GatewayListener(
                Endpoint(address: "127.0.0.1", port: 0),
                tls: ListenerTLS(
                    certificates: certificates, minimumVersion: minimum, clientCertificates: clients))
        }

        private static let get = "GET / HTTP/1.1\r\nhost: localhost\r\n\r\n"

        @Test(arguments: [Int32(0x0303), 0x0304])
        func eachVersionCarriesRequestsOneAfterAnother(version: Int32) async throws {
            let certificates = try TestCertificates()
            try certificates.makeAuthority("ca")
            let files = try certificates.make("web", by: "ca")
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(origin, listeners: [Self.listener(files)])
            try await blocking {
                let (client, tls) = try TestSocket.secure(
                    port: fixture.port(1),
                    .init(
                        authorities: certificates.path("ca.pem"), serverName: "localhost",
                        versions: version...version, protocolName: "http/1.1"))
                #expect(tls.version == version)
                #expect(tls.agreedProtocol == "http/1.1")
                for _ in 0..<3 { #expect(try client.exchange(Self.get).text == "hello") }
                #expect(origin.requests.allSatisfy { $0["x-forwarded-proto"] == "https" })
                #expect(fixture.gateway.statistics.total("tls_handshakes") == 1)
                // Said in so many words, not by breaking off.
                let last = try client.exchange("GET / HTTP/1.1\r\nhost: a\r\nconnection: close\r\n\r\n")
                #expect(last.status == 200)
                #expect(try client.isAtEnd())
            }
            #expect(origin.requests.count == 4)
            await fixture.stop()
        }

        @Test func whatIsOldOrWeakIsNotSpoken() async throws {
            let certificates = try TestCertificates()
            let files = try certificates.make("web", key: "rsa:2048")
            let fixture = try await GatewayFixture.serving(
                try TestOrigin.echo(), listeners: [Self.listener(files), Self.listener(files, minimum: .v13)])
            try await blocking {
                // TLS 1.1; ciphers without forward secrecy or without authentication of what they encrypt.
                let refused: [TestTLS.Settings] = [
                    .init(versions: 0x0302...0x0302, ciphers: "ALL:@SECLEVEL=0"),
                    .init(versions: 0x0303...0x0303, ciphers: "AES128-GCM-SHA256"),
                    .init(versions: 0x0303...0x0303, ciphers: "ECDHE-RSA-AES128-SHA256"),
                ]
                for settings in refused {
                    #expect(throws: TestSocket.Failure.self) {
                        try TestSocket.secure(port: fixture.port(1), settings)
                    }
                }
                #expect(throws: TestSocket.Failure.self) {
                    try TestSocket.secure(port: fixture.port(2), .init(versions: 0x0303...0x0303))
                }
                // A protocol that is not spoken here is refused, not ignored (RFC 7301).
                #expect(throws: TestSocket.Failure.self) {
                    try TestSocket.secure(port: fixture.port(1), .init(protocolName: "nonsense"))
                }
                try waitUntil("the failures are counted") {
                    fixture.gateway.statistics.total("tls_failures") == 5
                }
                _ = try TestSocket.secure(port: fixture.port(2), .init(versions: 0x0304...0x0304))
            }
            await fixture.stop()
        }

        @Test func theNameThatIsAskedForChoosesTheCertificate() async throws {
            let certificates = try TestCertificates()
            let first = try certificates.make("first", for: "DNS:one.example")
            let second = try certificates.make("second", for: "DNS:two.example,DNS:*.wild.example")
            let fixture = try await GatewayFixture.serving(
                try TestOrigin.echo(), listeners: [Self.listener(first, second)])
            try await blocking {
                let expected: [(String?, String)] = [
                    ("one.example", "first"), ("two.example", "second"), ("a.wild.example", "second"),
                    ("A.WILD.example", "second"), ("a.b.wild.example", "first"), ("other.example", "first"),
                    (nil, "first"),
                ]
                for (name, certificate) in expected {
                    let (client, tls) = try TestSocket.secure(port: fixture.port(1), .init(serverName: name))
                    #expect(tls.peerName == certificate, "for \(name ?? "no name")")
                    #expect(try client.exchange(Self.get).status == 200)
                }
            }
            await fixture.stop()
        }

        @Test(arguments: [Int32(0x0303), 0x0304])
        func aSessionIsResumedOnEveryLoopAndAfterAReload(version: Int32) async throws {
            let certificates = try TestCertificates()
            let files = try certificates.make("web")
            let fixture = try await GatewayFixture.serving(
                try TestOrigin.echo(), listeners: [Self.listener(files)], loops: 2)
            try await blocking {
                var settings = TestTLS.Settings(versions: version...version)
                func visit() throws -> Bool {
                    let (client, tls) = try TestSocket.secure(port: fixture.port(1), settings)
                    #expect(try client.exchange(Self.get).status == 200)
                    settings.session = tls.session
                    return tls.isResumed
                }
                var resumed = try (0..<9).map { _ in try visit() }
                try fixture.gateway.reloadCertificates()
                resumed.append(try visit())
                #expect(resumed == [false] + Array(repeating: true, count: 9))
                #expect(fixture.gateway.statistics.total("tls_resumptions") == 9)
            }
            await fixture.stop()
        }

        @Test func certificatesChangeUnderTrafficWithoutAFailedRequest() async throws {
            let certificates = try TestCertificates()
            try certificates.make("web", subject: "/CN=old")
            let fixture = try await GatewayFixture.serving(
                try TestOrigin.echo(), listeners: [Self.listener(certificates.files("web"))])
            let reloads = 5
            let served = Tally()
            let ended = Tally()
            async let traffic = concurrently(4) { index in
                var names: Set<String> = []
                let (kept, _) = try TestSocket.secure(port: fixture.port(1))
                while ended.count == 0 {
                    let (client, tls) = try TestSocket.secure(port: fixture.port(1))
                    names.insert(tls.peerName)
                    for socket in [client, kept] {
                        #expect(try socket.exchange(Self.get).status == 200)
                        served.add()
                    }
                }
                return names
            }
            try await blocking {
                for reload in 1...reloads {
                    let before = served.count
                    try waitUntil("requests are served") { served.count > before + 8 }
                    try certificates.make("web", subject: "/CN=new-\(reload)")
                    #expect(try fixture.gateway.reloadCertificates(onlyIfChanged: true))
                    #expect(try fixture.gateway.reloadCertificates(onlyIfChanged: true) == false)
                    try waitUntil("the new certificate is shown") {
                        try TestSocket.secure(port: fixture.port(1)).1.peerName == "new-\(reload)"
                    }
                }
                ended.add()
            }
            let names = try await traffic.reduce(into: Set<String>()) { $0.formUnion($1) }
            #expect(names.contains("old"))
            #expect(names.count > 1)
            await fixture.stop()
        }

        @Test func aCertificateThatCannotBeUsedLeavesTheOldOneInPlace() async throws {
            let certificates = try TestCertificates()
            try certificates.make("web", subject: "/CN=old")
            try certificates.make("other")
            let fixture = try await GatewayFixture.serving(
                try TestOrigin.echo(), listeners: [Self.listener(certificates.files("web"))])
            try await blocking {
                let key = try Data(contentsOf: URL(fileURLWithPath: certificates.path("other.key")))
                try key.write(to: URL(fileURLWithPath: certificates.path("web.key")))
                let error = #expect(throws: GatewayError.self) { try fixture.gateway.reloadCertificates() }
                #expect(error?.message.contains("web.key: key values mismatch") == true, "\(String(describing: error))")
                let (client, tls) = try TestSocket.secure(port: fixture.port(1))
                #expect(tls.peerName == "old")
                #expect(try client.exchange(Self.get).status == 200)
            }
            await fixture.stop()
        }

        @Test func weakOrMismatchedFilesAreRefusedAtTheStart() throws {
            let certificates = try TestCertificates()
            try certificates.make("small", key: "rsa:1024")
            try certificates.make("sha1", options: "-sha1")
            try certificates.make("open")
            chmod(certificates.path("open.key"), 0o644)
            try certificates.make("good")
            let missing = CertificateFiles(
                certificateFile: certificates.path("missing.pem"), keyFile: certificates.path("good.key"))
            let cases: [(CertificateFiles, String)] = [
                (certificates.files("small"), "ee key too small"),
                (certificates.files("open"), "everybody may read the key"), (missing, "No such file"),
            ]
            for (files, reason) in cases {
                let error = #expect(throws: GatewayError.self) {
                    _ = try GatewayFixture(listeners: [Self.listener(files)])
                }
                #expect(error?.message.contains(reason) == true, "\(String(describing: error)) for \(reason)")
            }
        }

        @Test func bigBodiesPassBothWaysAndPipelinedRequestsAreAnsweredInOrder() async throws {
            let certificates = try TestCertificates()
            let files = try certificates.make("web")
            let origin = try TestOrigin.http { TestAnswer(body: $0.body) }
            let fixture = try await GatewayFixture.serving(origin, listeners: [Self.listener(files)])
            try await blocking {
                let size = 8 << 20
                let body = (0..<size).map { UInt8(truncatingIfNeeded: $0 &* 7 ^ $0 >> 9) }
                let (client, _) = try TestSocket.secure(port: fixture.port(1))
                for _ in 0..<2 {
                    try client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \(size)\r\n\r\n")
                    // Pieces that are no whole records, on a connection that the reading side holds back.
                    for start in stride(from: 0, to: size, by: 50_001) {
                        try client.write(Array(body[start..<min(size, start + 50_001)]))
                    }
                    #expect(try client.readResponse()?.body == body)
                }
                let pipelined = (1...20).map { number in
                    "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \(String(number).count)\r\n\r\n\(number)"
                }
                try client.write(pipelined.joined())
                for number in 1...20 { #expect(try client.readResponse()?.text == String(number)) }
                let records = try fixture.usage(count: 22)
                #expect(records.prefix(2).allSatisfy { $0.bytesIn > UInt64(size) && $0.bytesOut > UInt64(size) })
            }
            await fixture.stop()
        }
    }
}

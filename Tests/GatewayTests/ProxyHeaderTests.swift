import CloudModel
import Foundation
import Gateway
import Glibc
import Testing

@Suite struct ProxyHeaderTests {
    private static func parse(_ bytes: [UInt8]) -> ProxyHeader.Outcome {
        bytes.withUnsafeBytes { ProxyHeader.parse($0) }
    }

    private static func parse(_ text: String) -> ProxyHeader.Outcome { parse(Array(text.utf8)) }

    private static func peer(_ address: String, _ port: UInt16) throws -> ProxyHeader.Peer {
        ProxyHeader.Peer(address: try #require(IPAddressBits(address)), port: port)
    }

    @Test func textOfVersion1() throws {
        let four = "PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n"
        #expect(
            Self.parse(four + "GET") == .complete(length: four.utf8.count, source: try Self.peer("192.0.2.1", 56_324)))
        let six = "PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"
        #expect(Self.parse(six) == .complete(length: six.utf8.count, source: try Self.peer("2001:db8::1", 1)))
        #expect(Self.parse("PROXY UNKNOWN\r\n") == .complete(length: 15, source: nil))
        #expect(Self.parse("PROXY UNKNOWN ffff:: whatever 1 2\r\n") == .complete(length: 35, source: nil))
        for length in 0..<four.utf8.count { #expect(Self.parse(Array(four.utf8.prefix(length))) == .incomplete) }
        for text in [
            "GET / HTTP/1.1\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 56324\r\n", "PROXY TCP4 ::1 ::1 1 2\r\n",
            "PROXY TCP6 1.2.3.4 1.2.3.4 1 2\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 65536 443\r\n",
            "PROXY TCP4 192.0.2.1 198.51.100.2 -1 443\r\n", "PROXY  TCP4 192.0.2.1 198.51.100.2 1 443\r\n",
            "PROXY TCP4 192.0.2.01 198.51.100.2 1 443\r\n", "PROXY TCP4 192.0.2.1 198.51.100.2 1 443\n",
            "PROXY " + String(repeating: "x", count: 120), "P\r\n",
        ] { #expect(Self.parse(text) == .malformed, "\(text)") }
    }

    @Test func whatIsWrittenIsReadBack() throws {
        let pairs: [(String, String)] = [
            ("192.0.2.1", "198.51.100.255"), ("2001:db8::ffff", "::1"), ("192.0.2.1", "2001:db8::1"),
        ]
        for (source, destination) in pairs {
            for version in ProxyProtocol.allCases {
                var buffer = [UInt8](repeating: 0, count: ProxyHeader.maximumWritten)
                let from = try Self.peer(source, 65_535)
                let to = try Self.peer(destination, 443)
                let count = buffer.withUnsafeMutableBytes {
                    ProxyHeader.write(version, source: from, destination: to, to: $0)
                }
                let bytes = Array(buffer[..<count])
                #expect(Self.parse(bytes) == .complete(length: count, source: from))
                for length in 0..<count { #expect(Self.parse(Array(bytes[..<length])) == .incomplete) }
            }
        }
    }

    @Test func binaryOfVersion2() throws {
        let signature: [UInt8] = [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A]
        let addresses: [UInt8] = [192, 0, 2, 1, 198, 51, 100, 2, 0xDC, 0x04, 0x01, 0xBB]
        // With three bytes of something else behind the addresses.
        let proxied = signature + [0x21, 0x11, 0, 15] + addresses + [1, 2, 3]
        #expect(Self.parse(proxied) == .complete(length: 31, source: try Self.peer("192.0.2.1", 56_324)))
        #expect(Self.parse(signature + [0x20, 0x00, 0, 0]) == .complete(length: 16, source: nil))
        #expect(Self.parse(signature + [0x21, 0x31, 0, 0]) == .complete(length: 16, source: nil))
        for bytes in [
            signature + [0x11, 0x11, 0, 12] + addresses, signature + [0x22, 0x11, 0, 12] + addresses,
            signature + [0x21, 0x11, 0, 11] + addresses, signature + [0x21, 0x21, 0, 12] + addresses,
            signature + [0x21, 0x11, 0xFF, 0xFF], [0x0D, 0x0A, 0x0D, 0x0B],
        ] { #expect(Self.parse(bytes) == .malformed) }
    }

    /// Whatever comes, the answer is about no more than what came.
    @Test func noBytesLeadAstray() {
        var random = SystemRandomNumberGenerator()
        let seeds = [
            Array("PROXY TCP4 192.0.2.1 198.51.100.2 56324 443\r\n".utf8),
            [0x0D, 0x0A, 0x0D, 0x0A, 0x00, 0x0D, 0x0A, 0x51, 0x55, 0x49, 0x54, 0x0A, 0x21, 0x21, 0, 36]
                + [UInt8](repeating: 9, count: 36),
        ]
        for _ in 0..<20_000 {
            var bytes = seeds.randomElement(using: &random) ?? []
            for _ in 0..<Int.random(in: 1...4, using: &random) {
                bytes[Int.random(in: 0..<bytes.count, using: &random)] = .random(in: 0...255, using: &random)
            }
            bytes = Array(bytes.prefix(Int.random(in: 0...bytes.count, using: &random)))
            if case .complete(let length, _) = Self.parse(bytes) { #expect(length <= bytes.count) }
        }
    }

    @Test func networksHoldTheirAddresses() throws {
        let cases: [(String, String, Bool)] = [
            ("10.0.0.0/8", "10.255.1.2", true), ("10.0.0.0/8", "11.0.0.1", false), ("0.0.0.0/0", "8.8.8.8", true),
            ("0.0.0.0/0", "2001:db8::1", false), ("192.0.2.7", "192.0.2.7", true), ("192.0.2.7", "192.0.2.6", false),
            ("fd00::/8", "fdff::1", true), ("fd00::/8", "fe00::1", false), ("::/0", "1.2.3.4", true),
            ("::1", "::1", true), ("10.0.0.0/8", "::ffff:10.1.1.1", true),
            ("1:2:3:4:5:6:7:8/127", "1:2:3:4:5:6:7:9", true),
        ]
        for (network, address, isIn) in cases {
            let prefix = try #require(NetworkPrefix(network))
            #expect(prefix.contains(try #require(IPAddressBits(address))) == isIn, "\(address) in \(network)")
        }
        for text in ["", "10.0.0.0/33", "::/129", "10.0.0/8", "x", "10.0.0.0/", "10.0.0.0/-1"] {
            #expect(NetworkPrefix(text) == nil, "\(text)")
        }
    }
}

extension GatewayTests {
    @Suite struct ProxyProtocolPath {
        private static let request = "GET / HTTP/1.1\r\nhost: a\r\n\r\n"

        @Test func aTrustedLoadBalancerSaysWhoTheConsumerIs() async throws {
            let certificates = try TestCertificates()
            let files = try certificates.make("web")
            let endpoint = Endpoint(address: "127.0.0.1", port: 0)
            let origin = try TestOrigin.echo()
            let fixture = try await GatewayFixture.serving(
                origin,
                listeners: [
                    GatewayListener(endpoint, proxyProtocolFrom: ["127.0.0.0/8"]),
                    GatewayListener(
                        endpoint, tls: ListenerTLS(certificates: [files]), proxyProtocolFrom: ["127.0.0.1/32"]),
                    GatewayListener(endpoint, proxyProtocolFrom: ["10.0.0.0/8"]),
                ])
            try await blocking {
                func seen() -> String? { origin.requests.last?["x-forwarded-for"] }
                let header = "PROXY TCP4 192.0.2.99 127.0.0.1 1234 80\r\n"
                let whole = try TestSocket(port: fixture.port(1))
                #expect(try whole.exchange(header + Self.request).status == 200)
                #expect(seen() == "192.0.2.99")
                // In pieces, on one connection for the consumer and its next request.
                let pieces = try TestSocket(port: fixture.port(1))
                for byte in "PROXY TCP6 2001:db8::9 ::1 1 2\r\n".utf8 { try pieces.write([byte]) }
                for _ in 0..<2 {
                    #expect(try pieces.exchange(Self.request).status == 200)
                    #expect(seen() == "2001:db8::9")
                }
                // Before the TLS handshake.
                let plain = try TestSocket(port: fixture.port(2))
                try plain.write(header)
                let tls = try TestTLS(descriptor: plain.descriptor, .init())
                let secure = TestSocket(descriptor: dup(plain.descriptor), tls: tls)
                #expect(try secure.exchange(Self.request).status == 200)
                #expect(seen() == "192.0.2.99")
                #expect(origin.requests.last?["x-forwarded-proto"] == "https")
                // A check of the load balancer's own.
                let check = try TestSocket(port: fixture.port(1))
                #expect(try check.exchange("PROXY UNKNOWN\r\n" + Self.request).status == 200)
                #expect(seen() == "127.0.0.1")
                // Nobody else is believed, and a load balancer may not leave it out.
                let stranger = try TestSocket(port: fixture.port(3))
                #expect(try stranger.exchange(header + Self.request).status == 400)
                #expect(try TestSocket(port: fixture.port(3)).exchange(Self.request).status == 200)
                let silent = try TestSocket(port: fixture.port(1))
                try silent.write(Self.request)
                #expect((try? silent.isAtEnd()) != false)
                #expect(fixture.gateway.statistics.total("proxy_header_faults") == 1)
            }
            await fixture.stop()
        }

        @Test(arguments: ProxyProtocol.allCases)
        func instancesAreToldWhoTheConsumerIs(version: ProxyProtocol) async throws {
            let sources = Tally()
            let origin = try TestOrigin { connection, origin in
                var bytes: [UInt8] = []
                var length: Int?
                while length == nil, let byte = try connection.byte() {
                    bytes.append(byte)
                    if case .complete(let end, let source) = bytes.withUnsafeBytes({ ProxyHeader.parse($0) }) {
                        length = end
                        if source?.address == IPAddressBits("127.0.0.1"), let port = source?.port {
                            sources.add(Int(port))
                        }
                    }
                }
                while let request = try TestRequest(from: connection) {
                    origin.note(request)
                    try connection.write(TestAnswer(body: Array("hello".utf8)).bytes(for: request))
                }
            }
            let fixture = try await GatewayFixture.serving(origin) { $0.gateway.proxyProtocol = version }
            try await blocking {
                var ports = 0
                for _ in 0..<3 {
                    let client = try fixture.connect()
                    var address = sockaddr_in()
                    var length = socklen_t(MemoryLayout<sockaddr_in>.size)
                    withUnsafeMutablePointer(to: &address) {
                        $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                            _ = getsockname(client.descriptor, $0, &length)
                        }
                    }
                    ports += Int(UInt16(bigEndian: address.sin_port))
                    #expect(try client.exchange(Self.request).text == "hello")
                }
                #expect(sources.count == ports)
                #expect(origin.accepted == 3)
            }
            await fixture.stop()
        }
    }

    /// Instances that are spoken with over TLS.
    @Suite struct TLSToInstances {
        private static func origin(_ files: CertificateFiles, authorities: String? = nil) throws -> TestOrigin {
            try TestOrigin { connection, origin in
                let tls = try TestTLS(
                    descriptor: connection.descriptor,
                    .init(isServer: true, authorities: authorities, certificate: files))
                let secure = TestSocket(descriptor: dup(connection.descriptor), tls: tls)
                while let request = try TestRequest(from: secure) {
                    origin.note(request)
                    try secure.write(TestAnswer(body: request.body).bytes(for: request))
                }
            }
        }

        @Test func anInstanceProvesWhoItIsAndSoDoesTheGateway() async throws {
            let certificates = try TestCertificates()
            try certificates.makeAuthority("ca")
            let files = try certificates.make("db", for: "DNS:db.example.org", by: "ca")
            let own = try certificates.make("gateway", by: "ca")
            let origin = try Self.origin(files, authorities: certificates.path("ca.pem"))
            let fixture = try await GatewayFixture.serving(origin) {
                $0.gateway.tls = InstanceTLS(
                    serverName: "db.example.org", authorityFile: certificates.path("ca.pem"), certificate: own)
            }
            try await blocking {
                let client = try fixture.connect()
                let body = (0..<(2 << 20)).map { UInt8(truncatingIfNeeded: $0 &* 13 ^ $0 >> 8) }
                for _ in 0..<3 {
                    try client.write("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: \(body.count)\r\n\r\n")
                    try client.write(body)
                    #expect(try client.readResponse()?.body == body)
                }
                // One handshake for all of them.
                #expect(origin.accepted == 1)
            }
            await fixture.stop()
        }

        @Test func anInstanceThatIsNotTrustedIsSentNothing() async throws {
            let certificates = try TestCertificates()
            try certificates.makeAuthority("ca")
            try certificates.makeAuthority("other")
            let right = try certificates.make("right", for: "DNS:db.example.org,IP:127.0.0.1", by: "ca")
            let stranger = try certificates.make("stranger", for: "DNS:db.example.org", by: "other")
            let misnamed = try certificates.make("misnamed", for: "DNS:web.example.org", by: "ca")
            let plain = try TestOrigin { connection, _ in try connection.write("HTTP/1.1 400 Bad Request\r\n\r\n") }
            let cases: [(TestOrigin, String, String, Int)] = [
                (try Self.origin(right), "db.example.org", "ca.pem", 200),
                (try Self.origin(right), "127.0.0.1", "ca.pem", 200),
                (try Self.origin(stranger), "db.example.org", "ca.pem", 502),
                (try Self.origin(misnamed), "db.example.org", "ca.pem", 502),
                (plain, "db.example.org", "ca.pem", 502),
                (try Self.origin(right), "db.example.org", "missing.pem", 502),
            ]
            for (origin, name, authorities, status) in cases {
                let fixture = try await GatewayFixture.serving(origin) {
                    $0.gateway.tls = InstanceTLS(serverName: name, authorityFile: certificates.path(authorities))
                }
                try await blocking {
                    let response = try fixture.get()
                    #expect(response.status == status, "\(name) of \(authorities)")
                    guard status == 502 else { return }
                    #expect(response.json["type"] as? String == "urn:cloudwright:problem:untrusted-instance")
                    #expect(origin.requests.isEmpty)
                }
                await fixture.stop()
            }
        }

        @Test func aBodyThatWasCutShortIsNotTakenForWhole() async throws {
            let certificates = try TestCertificates()
            let files = try certificates.make("db", for: "DNS:db.example.org")
            let origin = try TestOrigin { connection, _ in
                let tls = try TestTLS(descriptor: connection.descriptor, .init(isServer: true, certificate: files))
                let secure = TestSocket(descriptor: dup(connection.descriptor), tls: tls)
                let request = try TestRequest(from: secure)
                try secure.write("HTTP/1.1 200 OK\r\n\r\nabc")
                // Ends by close_notify, or without it as somebody on the way could make it end.
                if request?.target == "/whole" { secure.finishWriting() } else { secure.cut() }
            }
            let fixture = try await GatewayFixture.serving(origin) {
                $0.gateway.tls = InstanceTLS(
                    serverName: "db.example.org", authorityFile: certificates.path("db.pem"))
            }
            try await blocking {
                let whole = try fixture.get("/whole").text
                #expect(whole == "abc")
                #expect(throws: TestSocket.Failure.self) { try fixture.get("/cut") }
            }
            await fixture.stop()
        }
    }
}

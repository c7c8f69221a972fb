import CTLSPeer
import CloudModel
import CloudPorts
import Foundation
import Notifications
import Synchronization
import Testing

/// Syslog over TLS to receivers of OpenSSL's own, which prove who they are, or fail to.
@Suite(.serialized, .timeLimit(.minutes(1)))
struct SyslogTLSTests {
    private static let lines = (1...300).map { "<84>1 2026-11-27T06:00:00Z gateway cloudwright - \($0) - 雲 login" }

    /// What receivers got: whole messages, and who sent them.
    private final class Inbox: Sendable {
        let octets = Mutex<[UInt8]>([])
        let senders = Mutex<[String]>([])
        let versions = Mutex<[Int32]>([])

        var messages: [String] {
            var rest = octets.withLock { $0[...] }
            var found: [String] = []
            while let space = rest.firstIndex(of: UInt8(ascii: " ")),
                let count = Int(String(decoding: rest[..<space], as: UTF8.self)), rest.endIndex - space - 1 >= count
            {
                found.append(String(decoding: rest[(space + 1)...].prefix(count), as: UTF8.self))
                rest = rest[(space + 1 + count)...]
            }
            return found
        }
    }

    private struct Server {
        var certificate: CertificateFiles
        /// Asks for a certificate of these authorities.
        var authorities: String?
        /// Reads no more than this, and then is gone without a word.
        var dies = Int.max

        func serve(_ connection: Connection, into inbox: Inbox) {
            var reason = [CChar](repeating: 0, count: 256)
            let texts = [authorities, certificate.certificateFile, certificate.keyFile].map {
                $0.flatMap { strdup($0) }
            }
            defer { for text in texts { free(text) } }
            var settings = ctlspeer_settings(
                is_server: true, authorities: texts[0], certificate: texts[1], key: texts[2], server_name: nil,
                minimum_version: 0x0303, maximum_version: 0x0304, ciphers: nil, session: nil, protocol: nil)
            guard let peer = ctlspeer_open(connection.descriptor, &settings, &reason) else { return }
            defer { ctlspeer_free(peer) }
            inbox.versions.withLock { $0.append(ctlspeer_version(peer)) }
            var name = [CChar](repeating: 0, count: 128)
            ctlspeer_common_name(peer, &name, name.count)
            inbox.senders.withLock {
                $0.append(String(decoding: name.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self))
            }
            var buffer = [UInt8](repeating: 0, count: 4_096)
            var total = 0
            while total < dies {
                let count = ctlspeer_read(peer, &buffer, buffer.count)
                if count == 0 { return ctlspeer_finish(peer) }
                guard count > 0 else { return }
                total += count
                inbox.octets.withLock { $0 += buffer[..<count] }
            }
        }
    }

    /// Sends to a receiver; gives back why it was not taken, nil where it was.
    private func send(
        to server: Server, _ tls: AuditForwarding.SyslogTLS, host: String = "localhost", into inbox: Inbox
    ) async throws -> String? {
        let listener = try LocalListener { server.serve($0, into: inbox) }
        defer { listener.close() }
        do { try await SyslogReceiver(host: host, port: listener.port, tls: tls).take(Self.lines) } catch {
            return error.message
        }
        return nil
    }

    @Test func aReceiverThatProvesWhoItIsHasAll() async throws {
        let files = try Certificates()
        let server = Server(certificate: try files.make("logs", for: "DNS:localhost,IP:127.0.0.1"))
        for host in ["localhost", "127.0.0.1"] {
            let inbox = Inbox()
            let refusal = try await send(
                to: server, .init(authorityFile: files.path("ca.pem")), host: host, into: inbox)
            #expect(refusal == nil)
            #expect(inbox.messages == Self.lines)
            #expect(inbox.versions.withLock { $0 } == [0x0304])
        }
        // The certificate may be for another name than what is connected to.
        let other = Server(certificate: try files.make("other", for: "DNS:logs.example.org"))
        let inbox = Inbox()
        let refusal = try await send(
            to: other, .init(serverName: "logs.example.org", authorityFile: files.path("ca.pem")), into: inbox)
        #expect(refusal == nil && inbox.messages == Self.lines)
    }

    @Test func nothingIsSentToAReceiverThatIsNotTrusted() async throws {
        let files = try Certificates()
        let stranger = try Certificates()
        let trust = AuditForwarding.SyslogTLS(authorityFile: files.path("ca.pem"))
        let inbox = Inbox()
        let ofAnother = Server(certificate: try stranger.make("logs", for: "DNS:localhost"))
        let untrusted = try await send(to: ofAnother, trust, into: inbox)
        #expect(untrusted?.contains("its certificate is not trusted") == true, "\(untrusted ?? "taken")")
        let forAnother = Server(certificate: try files.make("wrong", for: "DNS:logs.example.org"))
        let misnamed = try await send(to: forAnother, trust, into: inbox)
        #expect(misnamed?.contains("hostname mismatch") == true, "\(misnamed ?? "taken")")
        // Without authorities of its own, those of the machine count; this one is not among them.
        let unknown = try await send(to: ofAnother, .init(), into: inbox)
        #expect(unknown?.contains("its certificate is not trusted") == true, "\(unknown ?? "taken")")
        #expect(inbox.messages.isEmpty)
        #expect(inbox.octets.withLock { $0.isEmpty })
    }

    @Test func whoSendsIsShownWhereItIsAsked() async throws {
        let files = try Certificates()
        let server = Server(
            certificate: try files.make("logs", for: "DNS:localhost"), authorities: files.path("ca.pem"))
        let own = try files.make("platform", for: "DNS:platform")
        let inbox = Inbox()
        let shown = try await send(
            to: server, .init(authorityFile: files.path("ca.pem"), certificate: own), into: inbox)
        #expect(shown == nil)
        #expect(inbox.senders.withLock { $0 } == ["platform"])
        #expect(inbox.messages == Self.lines)
        let refused = Inbox()
        let refusal = try await send(to: server, .init(authorityFile: files.path("ca.pem")), into: refused)
        #expect(refusal != nil && refused.messages.isEmpty, "a receiver that wants a certificate gets nothing without")
    }

    /// What lies in the buffers of one that is killed is not taken for received.
    @Test func aReceiverThatDiesIsNotBelieved() async throws {
        let files = try Certificates()
        let server = Server(certificate: try files.make("logs", for: "DNS:localhost"), dies: 2_000)
        let inbox = Inbox()
        let refusal = try await send(to: server, .init(authorityFile: files.path("ca.pem")), into: inbox)
        #expect(refusal != nil)
        #expect(inbox.messages.count < Self.lines.count)
    }

    @Test func aReceiverWithoutTLSIsRefused() async throws {
        let listener = try LocalListener { connection in
            _ = connection.read(count: 1)
            connection.write("login: \n")
        }
        defer { listener.close() }
        let receiver = SyslogReceiver(host: "127.0.0.1", port: listener.port, tls: .init())
        let refusal = await #expect(throws: DeliveryError.self) { try await receiver.take(Self.lines) }
        #expect(refusal?.message.contains("no TLS") == true)
        let missing = SyslogReceiver(
            host: "127.0.0.1", port: listener.port, tls: .init(authorityFile: "/nonexistent/authority.pem"))
        let unreadable = await #expect(throws: DeliveryError.self) { try await missing.take(Self.lines) }
        #expect(unreadable?.message.contains("/nonexistent/authority.pem") == true)
    }
}

/// An authority, `ca.pem`, and certificates of it, in a directory of their own.
private final class Certificates {
    private let directory = NSTemporaryDirectory() + "syslog-certificates-\(UUID().uuidString)"

    init() throws {
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try Self.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=authority",
            ["-keyout", path("ca.key"), "-out", path("ca.pem")])
    }

    deinit { try? FileManager.default.removeItem(atPath: directory) }

    func path(_ name: String) -> String { "\(directory)/\(name)" }

    func make(_ name: String, for names: String) throws -> CertificateFiles {
        try Self.openssl(
            "req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 2 -subj /CN=\(name)",
            [
                "-addext", "subjectAltName=\(names)", "-addext", "basicConstraints=critical,CA:FALSE",
                "-CA", path("ca.pem"), "-CAkey", path("ca.key"), "-keyout", path("\(name).key"),
                "-out", path("\(name).pem"),
            ])
        return CertificateFiles(certificateFile: path("\(name).pem"), keyFile: path("\(name).key"))
    }

    private static func openssl(_ words: String, _ more: [String]) throws {
        let process = Process()
        process.executableURL = URL(fileURLWithPath: "/usr/bin/openssl")
        process.arguments = words.split(separator: " ").map(String.init) + more
        process.standardError = FileHandle.nullDevice
        try process.run()
        process.waitUntilExit()
        try #require(process.terminationStatus == 0, "openssl \(words) \(more)")
    }
}

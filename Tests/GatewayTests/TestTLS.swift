import CTLSPeer
import CloudModel
import Foundation
import Glibc

/// The tests' side of a TLS connection: OpenSSL itself, used as plainly as can be.
final class TestTLS: @unchecked Sendable {
    /// What is asked for in the handshake.
    struct Settings {
        var isServer = false
        /// The authorities that the other side has to be of; nil takes anybody.
        var authorities: String?
        var certificate: CertificateFiles?
        var serverName: String?
        var versions: ClosedRange<Int32> = 0x0303...0x0304
        var ciphers: String?
        var session: Session?
        var protocolName: String?
    }

    /// What a connection can be resumed by.
    final class Session: @unchecked Sendable {
        fileprivate let pointer: UnsafeMutableRawPointer
        fileprivate init(_ pointer: UnsafeMutableRawPointer) { self.pointer = pointer }
        deinit { ctlspeer_session_free(pointer) }
    }

    private let peer: OpaquePointer

    /// Shakes hands; throws why it failed.
    init(descriptor: Int32, _ settings: Settings) throws {
        var reason = [CChar](repeating: 0, count: 256)
        let texts = [
            settings.authorities, settings.certificate?.certificateFile, settings.certificate?.keyFile,
            settings.serverName, settings.ciphers, settings.protocolName,
        ].map { $0.flatMap { strdup($0) } }
        defer { for text in texts { free(text) } }
        var plain = ctlspeer_settings(
            is_server: settings.isServer, authorities: texts[0], certificate: texts[1], key: texts[2],
            server_name: texts[3], minimum_version: settings.versions.lowerBound,
            maximum_version: settings.versions.upperBound, ciphers: texts[4], session: settings.session?.pointer,
            protocol: texts[5])
        guard let made = ctlspeer_open(descriptor, &plain, &reason) else {
            let length = reason.firstIndex(of: 0) ?? 0
            let text = String(decoding: reason[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw TestSocket.Failure(description: "no TLS: \(text)")
        }
        peer = made
    }

    deinit { ctlspeer_free(peer) }

    func read(_ bytes: UnsafeMutableRawPointer, _ count: Int) -> Int { ctlspeer_read(peer, bytes, count) }
    func write(_ bytes: UnsafeRawPointer, _ count: Int) -> Int { ctlspeer_write(peer, bytes, count) }
    func finish() { ctlspeer_finish(peer) }
    var version: Int32 { ctlspeer_version(peer) }
    var isResumed: Bool { ctlspeer_is_resumed(peer) }
    var session: Session { Session(ctlspeer_session(peer)) }
    var peerName: String { text(ctlspeer_common_name) }
    var agreedProtocol: String { text(ctlspeer_protocol) }

    private func text(_ body: (OpaquePointer, UnsafeMutablePointer<CChar>, Int) -> Void) -> String {
        var name = [CChar](repeating: 0, count: 128)
        body(peer, &name, name.count)
        let length = name.firstIndex(of: 0) ?? 0
        return String(decoding: name[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }
}

extension TestSocket {
    /// Connects to 127.0.0.1 over TLS.
    static func secure(port: UInt16, _ settings: TestTLS.Settings = .init()) throws -> (TestSocket, TestTLS) {
        let plain = try TestSocket(port: port)
        // The number lives on in the second socket object.
        let descriptor = dup(plain.descriptor)
        plain.close()
        do {
            let tls = try TestTLS(descriptor: descriptor, settings)
            return (TestSocket(descriptor: descriptor, tls: tls), tls)
        } catch {
            Glibc.close(descriptor)
            throw error
        }
    }
}

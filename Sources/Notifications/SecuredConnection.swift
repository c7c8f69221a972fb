import CGateway
import CloudModel
import CloudPorts
import Foundation

/// A connection over TLS to a receiver that has proven who it is; used by one thread, which it blocks.
///
/// OpenSSL as the gateway uses it: the same rules of trust and versions (1.2 and 1.3) hold for all of the platform.
final class SecuredConnection {
    private let descriptor: Int32
    private let context: OpaquePointer
    private let connection: OpaquePointer
    /// For each step that does not move.
    private let timeout: timeval
    private let place: String

    /// Shakes hands over a connected socket, which stays the caller's to close.
    init(
        _ descriptor: Int32, serverName: String, _ settings: AuditForwarding.SyslogTLS, timeout: timeval, place: String
    ) throws(DeliveryError) {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 else {
            throw DeliveryError(permanent: false, message: "\(place): \(String(cString: strerror(errno)))")
        }
        let context = try Self.context(serverName, settings, place)
        guard let connection = cgateway_tls_open(context, descriptor) else {
            cgateway_tls_context_free(context)
            throw DeliveryError(permanent: false, message: "\(place): there is no memory for TLS")
        }
        self.descriptor = descriptor
        self.context = context
        self.connection = connection
        self.timeout = timeout
        self.place = place
        // From here on `deinit` gives both back, also where this throws.
        try shakeHands()
    }

    deinit {
        cgateway_tls_free(connection)
        cgateway_tls_context_free(context)
    }

    func send(_ octets: [UInt8]) throws(DeliveryError) {
        var sent = 0
        while sent < octets.count {
            let step = octets.withUnsafeBytes { bytes in
                cgateway_tls_send(connection, bytes.baseAddress.map { $0 + sent }, octets.count - sent)
            }
            if step > 0 {
                sent += step
            } else {
                try waitOrFail(step, "sending")
            }
        }
    }

    /// Says that nothing more comes, and returns once the receiver has said that it has read up to there.
    func awaitEnd() throws(DeliveryError) {
        while cgateway_tls_finish(connection) != 0 { try wait(for: POLLOUT, "ending") }
        let doing = "waiting for the receiver to have read all"
        var answer = [UInt8](repeating: 0, count: 1_024)
        for _ in 0..<64 {
            var more = false
            let count = cgateway_tls_receive(connection, &answer, answer.count, &more)
            if count == 0 { return }
            if count < 0 { try waitOrFail(count, doing) }
        }
        throw DeliveryError(permanent: false, message: "\(place) answers, which syslog receivers do not")
    }

    private static func context(
        _ serverName: String, _ settings: AuditForwarding.SyslogTLS, _ place: String
    ) throws(DeliveryError) -> OpaquePointer {
        var reason = [CChar](repeating: 0, count: Int(CGATEWAY_TLS_REASON))
        let made = cgateway_tls_client(
            settings.authorityFile, serverName, settings.certificate?.certificateFile, settings.certificate?.keyFile,
            &reason)
        guard let made else {
            let text = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw DeliveryError(permanent: false, message: "TLS to \(place): \(text)")
        }
        return made
    }

    private func shakeHands() throws(DeliveryError) {
        while true {
            let outcome = cgateway_tls_handshake(connection)
            if outcome == 0 { return }
            guard outcome == -EAGAIN else {
                let reason = String(cString: cgateway_tls_reason(connection))
                let text = reason.isEmpty ? String(cString: strerror(-outcome)) : reason
                let subject = outcome == -EKEYREJECTED ? "its certificate is not trusted" : "no TLS"
                throw DeliveryError(permanent: false, message: "\(place): \(subject): \(text)")
            }
            try wait(for: cgateway_tls_wants_write(connection) ? POLLOUT : POLLIN, "shaking hands")
        }
    }

    private func waitOrFail(_ outcome: Int, _ doing: String) throws(DeliveryError) {
        guard outcome == -Int(EAGAIN) else {
            throw DeliveryError(
                permanent: false, message: "\(place), \(doing): \(String(cString: strerror(Int32(-outcome))))")
        }
        try wait(for: cgateway_tls_wants_write(connection) ? POLLOUT : POLLIN, doing)
    }

    private func wait(for events: Int32, _ doing: String) throws(DeliveryError) {
        var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
        let milliseconds = Int32(timeout.tv_sec * 1_000 + Int(timeout.tv_usec) / 1_000)
        let count = poll(&entry, 1, milliseconds)
        if count < 0, errno != EINTR {
            throw DeliveryError(
                permanent: false, message: "\(place), \(doing): \(String(cString: strerror(errno)))")
        }
        guard count != 0 else {
            throw DeliveryError(
                permanent: false, message: "\(place), \(doing): no progress within \(timeout.tv_sec) s")
        }
    }
}

public import CloudModel
public import CloudPorts
import Foundation

/// Sends messages of syslog over TCP, each behind its length in octets (RFC 6587, section 3.4.1), or over TLS, in the
/// same form (RFC 5425).
///
/// The protocol has no acknowledgement, and what was sent may still be in the buffers of a receiver that is killed. So
/// each list has a connection of its own: after the last message our side is closed, and the receiver's closing of its
/// side says that it has read up to there. One that is killed with unread octets resets the connection, and one that
/// keeps it open is not believed. Over TLS both ends are told by `close_notify`, which nobody between can forge.
public final class SyslogReceiver: LogReceiver {
    /// For connecting, for each write that does not move, and for the receiver's end.
    private static let timeout = timeval(tv_sec: 10, tv_usec: 0)

    private let host: String
    private let port: UInt16
    private let tls: AuditForwarding.SyslogTLS?
    private let threads = DeliveryThreads(count: 1, waiting: 1)

    /// - Parameter tls: nil sends in the clear.
    public init(host: String, port: UInt16, tls: AuditForwarding.SyslogTLS? = nil) {
        self.host = host
        self.port = port
        self.tls = tls
    }

    public func take(_ lines: [String]) async throws(DeliveryError) {
        try await threads.run { [self] () throws(DeliveryError) in
            let connection = try connect()
            defer { close(connection) }
            var octets: [UInt8] = []
            for line in lines {
                octets += Array("\(line.utf8.count) ".utf8)
                octets += Array(line.utf8)
            }
            guard let tls else { return try sendPlainly(octets, over: connection) }
            let secured = try SecuredConnection(
                connection, serverName: tls.serverName ?? host, tls, timeout: Self.timeout, place: "\(host):\(port)")
            try secured.send(octets)
            try secured.awaitEnd()
        }
    }

    private func sendPlainly(_ octets: [UInt8], over connection: Int32) throws(DeliveryError) {
        var sent = 0
        while sent < octets.count {
            let step = octets.withUnsafeBytes {
                send(connection, $0.baseAddress.map { $0 + sent }, octets.count - sent, Int32(MSG_NOSIGNAL))
            }
            guard step > 0 else { throw failure("sending", errno) }
            sent += step
        }
        shutdown(connection, Int32(SHUT_WR))
        try awaitEnd(of: connection)
    }

    /// Receivers say nothing; what one says all the same is passed over, within bounds.
    private func awaitEnd(of connection: Int32) throws(DeliveryError) {
        var answer = [UInt8](repeating: 0, count: 1_024)
        for _ in 0..<64 {
            let count = recv(connection, &answer, answer.count, 0)
            if count == 0 { return }
            if count < 0 { throw failure("waiting for the receiver to have read all", errno) }
        }
        throw DeliveryError(permanent: false, message: "\(host):\(port) answers, which syslog receivers do not")
    }

    private func connect() throws(DeliveryError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var list: UnsafeMutablePointer<addrinfo>?
        let code = getaddrinfo(host, "\(port)", &hints, &list)
        guard code == 0 else {
            throw DeliveryError(
                permanent: false, message: "the name \(host) is not resolved: \(String(cString: gai_strerror(code)))")
        }
        defer { freeaddrinfo(list) }
        var refusal = ENOENT
        var next = list
        while let address = next?.pointee {
            next = address.ai_next
            let descriptor = socket(address.ai_family, address.ai_socktype | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else {
                refusal = errno
                continue
            }
            var timeout = Self.timeout
            let size = socklen_t(MemoryLayout<timeval>.size)
            setsockopt(descriptor, SOL_SOCKET, SO_SNDTIMEO, &timeout, size)
            setsockopt(descriptor, SOL_SOCKET, SO_RCVTIMEO, &timeout, size)
            if Foundation.connect(descriptor, address.ai_addr, address.ai_addrlen) == 0 { return descriptor }
            refusal = errno
            close(descriptor)
        }
        throw failure("connecting", refusal)
    }

    private func failure(_ doing: String, _ code: Int32) -> DeliveryError {
        let reason = [EAGAIN, EINPROGRESS].contains(code) ? "no progress within 10 s" : String(cString: strerror(code))
        return DeliveryError(permanent: false, message: "\(host):\(port), \(doing): \(reason)")
    }
}

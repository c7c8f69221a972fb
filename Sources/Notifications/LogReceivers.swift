public import CloudPorts
import CloudModel
import Foundation

/// Posts lines of JSON as one list. The receiver's status 2xx says that it has them.
public final class WebhookReceiver: LogReceiver {
    private static let connectTimeout = TimeSpan.seconds(5)
    private static let timeout = TimeSpan.seconds(30)

    private let url: String
    private let tokenFile: String?
    private let threads = DeliveryThreads(count: 1, waiting: 1)

    /// - Parameter tokenFile: holds a bearer token, and is read for each list, so that it can be changed.
    public init(url: String, tokenFile: String?) {
        self.url = url
        self.tokenFile = tokenFile
    }

    public func take(_ lines: [String]) async throws(DeliveryError) {
        try await threads.run { [url, tokenFile] () throws(DeliveryError) in
            var headers: [(name: String, value: String)] = []
            if let tokenFile { headers.append(("Authorization", "Bearer \(try Self.token(in: tokenFile))")) }
            try WebhookTransfer(url: url).post(
                Data("[\(lines.joined(separator: ",\n"))]".utf8), headers: headers,
                connectTimeout: Self.connectTimeout, timeout: Self.timeout)
        }
    }

    private static func token(in file: String) throws(DeliveryError) -> String {
        guard let data = FileManager.default.contents(atPath: file) else {
            throw DeliveryError(permanent: false, message: "\(file) cannot be read; write the token into it, mode 0600")
        }
        let token = String(decoding: data, as: UTF8.self).trimmingCharacters(in: .whitespacesAndNewlines)
        guard !token.isEmpty, token.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw DeliveryError(permanent: false, message: "\(file) must hold one line, the token")
        }
        return token
    }
}

/// Sends messages of syslog over TCP, each behind its length in octets (RFC 6587, section 3.4.1).
///
/// The protocol has no acknowledgement, and what was sent may still be in the buffers of a receiver that is killed. So
/// each list has a connection of its own: after the last message our side is closed, and the receiver's closing of its
/// side says that it has read up to there. One that is killed with unread octets resets the connection, and one that
/// keeps it open is not believed.
public final class SyslogReceiver: LogReceiver {
    /// For connecting, for each write that does not move, and for the receiver's end.
    private static let timeout = timeval(tv_sec: 10, tv_usec: 0)

    private let host: String
    private let port: UInt16
    private let threads = DeliveryThreads(count: 1, waiting: 1)

    public init(host: String, port: UInt16) {
        self.host = host
        self.port = port
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

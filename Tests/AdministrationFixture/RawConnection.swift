import Foundation
import Glibc

/// A TCP connection to a port of this machine that shows every byte: for streams and for what no HTTP library sends.
public final class RawConnection: Sendable {
    private let descriptor: Int32

    public init(to address: String) throws {
        guard let port = URL(string: address)?.port else { throw URLError(.badURL) }
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        guard descriptor >= 0 else { throw POSIXError(.EMFILE) }
        var target = sockaddr_in()
        target.sin_family = sa_family_t(AF_INET)
        target.sin_port = in_port_t(UInt16(port).bigEndian)
        target.sin_addr.s_addr = inet_addr("127.0.0.1")
        let result = withUnsafePointer(to: &target) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard result == 0 else {
            close(descriptor)
            throw POSIXError(.ECONNREFUSED)
        }
    }

    deinit { close(descriptor) }

    public func send(_ text: String) {
        let bytes = Array(text.utf8)
        _ = Glibc.send(descriptor, bytes, bytes.count, Int32(MSG_NOSIGNAL))
    }

    /// Reads until `isEnough` says so, the other side closes, or `limit` has passed; gives back all that came.
    public func read(within limit: Duration = .seconds(20), until isEnough: (String) -> Bool) async -> String {
        var received: [UInt8] = []
        let deadline = ContinuousClock.now.advanced(by: limit)
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while ContinuousClock.now < deadline {
            let count = recv(descriptor, &buffer, buffer.count, Int32(MSG_DONTWAIT))
            if count == 0 { break }
            if count > 0 {
                received += buffer[..<count]
                if isEnough(String(decoding: received, as: UTF8.self)) { break }
            } else if errno == EAGAIN || errno == EINTR {
                try? await Task.sleep(for: .milliseconds(5))
            } else {
                break
            }
        }
        return String(decoding: received, as: UTF8.self)
    }
}

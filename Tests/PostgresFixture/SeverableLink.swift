import Foundation
import Glibc

/// A network between a program and a server that can be cut: a port of 127.0.0.1 whose octets go to the server.
///
/// While it is cut nothing is passed on and nothing is refused, as when a switch between two machines fails. When it is
/// healed the connections of before are closed, as those are that both sides have given up by then.
public final class SeverableLink: @unchecked Sendable {
    public struct Failure: Error, CustomStringConvertible {
        public let description: String
    }

    public let port: UInt16
    private let listener: Int32
    private let server: String
    private let condition = NSCondition()
    private var isCut = false
    private var isClosed = false
    /// How often it has been healed: connections made before are over.
    private var age = 0

    /// - Parameter socket: the path of the server's Unix socket.
    public init(to socket: String) throws {
        server = socket
        listener = Glibc.socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let listener = listener
        let isListening = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(listener, $0, length) == 0 && listen(listener, 64) == 0 && getsockname(listener, $0, &length) == 0
            }
        }
        guard isListening else { throw Failure(description: "no port to listen on: error \(errno)") }
        port = UInt16(bigEndian: address.sin_port)
        Thread.detachNewThread { [self] in accept() }
    }

    public func cut() { change { $0.isCut = true } }

    public func heal() {
        change {
            $0.isCut = false
            $0.age += 1
        }
    }

    public func close() {
        change { $0.isClosed = true }
        shutdown(listener, Int32(SHUT_RDWR))
    }

    private func change(_ body: (SeverableLink) -> Void) {
        condition.lock()
        body(self)
        condition.broadcast()
        condition.unlock()
    }

    /// Waits while it is cut. False where a connection of that age is over.
    private func mayPass(_ age: Int) -> Bool {
        condition.lock()
        defer { condition.unlock() }
        while isCut, !isClosed { condition.wait() }
        return !isClosed && age == self.age
    }

    private var currentAge: Int {
        condition.lock()
        defer { condition.unlock() }
        return age
    }

    private func accept() {
        while case let client = Glibc.accept(listener, nil, nil), client >= 0 {
            let age = currentAge
            _ = fcntl(client, F_SETFD, FD_CLOEXEC)
            Thread.detachNewThread { [self] in serve(client, age) }
        }
        Glibc.close(listener)
    }

    private func serve(_ client: Int32, _ age: Int) {
        defer { Glibc.close(client) }
        guard mayPass(age), let upstream = connect() else { return }
        defer { Glibc.close(upstream) }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            var ready = [
                pollfd(fd: client, events: Int16(POLLIN), revents: 0),
                pollfd(fd: upstream, events: Int16(POLLIN), revents: 0),
            ]
            // Looks up now and then, so that a connection without octets ends with its age too.
            let count = poll(&ready, 2, 50)
            guard mayPass(age) else { return }
            guard count > 0 else { continue }
            for (from, to) in [(0, upstream), (1, client)] where ready[from].revents != 0 {
                let received = recv(ready[from].fd, &buffer, buffer.count, 0)
                guard received > 0, mayPass(age), send(buffer, received, to: to) else { return }
            }
        }
    }

    private func send(_ buffer: [UInt8], _ count: Int, to descriptor: Int32) -> Bool {
        var sent = 0
        while sent < count {
            let step = buffer.withUnsafeBytes {
                Glibc.send(descriptor, $0.baseAddress.map { $0 + sent }, count - sent, Int32(MSG_NOSIGNAL))
            }
            guard step > 0 else { return false }
            sent += step
        }
        return true
    }

    private func connect() -> Int32? {
        let descriptor = Glibc.socket(AF_UNIX, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: server.utf8.prefix($0.count - 1)) }
        let connected = withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size)) == 0
            }
        }
        if connected { return descriptor }
        Glibc.close(descriptor)
        return nil
    }
}

extension PostgresServer {
    /// A network of its own to this server.
    public func makeLink() throws -> SeverableLink { try SeverableLink(to: "\(directory)/.s.PGSQL.\(port)") }

    /// How a program reaches a database of it over a link.
    public func connectionString(database: String, over link: SeverableLink) -> String {
        "host=127.0.0.1 port=\(link.port) user=books dbname=\(database)"
    }
}

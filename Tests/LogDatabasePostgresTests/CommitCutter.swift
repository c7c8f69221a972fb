import Foundation
import Glibc
import Synchronization

/// Stands between a program and the server's Unix socket, and can cut a connection at the worst moment: when the server
/// has committed and its answer is on the way.
final class CommitCutter: Sendable {
    /// Where programs connect instead.
    let directory: String
    private let target: String
    private let listener: Int32
    private let isArmed = Mutex(false)

    init(to target: String, port: Int) throws {
        var template = Array((FileManager.default.temporaryDirectory.path + "/cut-XXXXXX").utf8CString)
        guard let made = mkdtemp(&template) else { throw POSIXError(.EIO) }
        directory = String(cString: made)
        self.target = target
        listener = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        let bound = Self.withAddress("\(directory)/.s.PGSQL.\(port)") { bind(listener, $0, $1) }
        guard bound == 0, listen(listener, 16) == 0 else { throw POSIXError(.EADDRINUSE) }
        Thread.detachNewThread { [self] in accept() }
    }

    /// The next COMMIT is carried out and not answered.
    func cutNext() { isArmed.withLock { $0 = true } }

    func close() {
        shutdown(listener, Int32(SHUT_RDWR))
        try? FileManager.default.removeItem(atPath: directory)
    }

    private func accept() {
        while true {
            let client = Glibc.accept(listener, nil, nil)
            guard client >= 0 else { break }
            Thread.detachNewThread { [self] in carry(client) }
        }
        Glibc.close(listener)
    }

    /// Both directions in one thread, message for message as far as the cut needs it.
    private func carry(_ client: Int32) {
        let server = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        defer {
            Glibc.close(client)
            Glibc.close(server)
        }
        guard Self.withAddress(target, { connect(server, $0, $1) }) == 0 else { return }
        var buffer = [UInt8](repeating: 0, count: 65_536)
        var ends = [client, server].map { pollfd(fd: $0, events: Int16(POLLIN), revents: 0) }
        let commit = Array("COMMIT\0".utf8)
        while poll(&ends, 2, -1) > 0 {
            for (from, to) in [(client, server), (server, client)] where ends[from == client ? 0 : 1].revents != 0 {
                let count = read(from, &buffer, buffer.count)
                guard count > 0, write(to, buffer, count) == count else { return }
                // A simple query is 'Q', its length, its text and a NUL.
                guard from == client, buffer[0] == UInt8(ascii: "Q"), count == 5 + commit.count,
                    Array(buffer[5..<count]) == commit
                else { continue }
                let cuts = isArmed.withLock { isArmed in
                    defer { isArmed = false }
                    return isArmed
                }
                guard cuts else { continue }
                _ = read(server, &buffer, buffer.count)
                return
            }
        }
    }

    private static func withAddress<Value>(
        _ path: String, _ body: (UnsafePointer<sockaddr>, socklen_t) -> Value
    ) -> Value {
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { place in
            place.copyBytes(from: Array(path.utf8).prefix(place.count - 1))
        }
        return withUnsafePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                body($0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
    }
}

import CLibvirt
import CloudModel
import CloudPorts
import Glibc
import Synchronization

extension LibvirtHypervisor {
    /// libvirt hands the screen's connection over where it is on this machine; from elsewhere it is reached where the
    /// host says that it listens.
    func openDisplay(_ server: VirtualServerID) async throws(HypervisorError) -> any ConsoleLine {
        let descriptor = try await call { connection, _ throws(HypervisorError) in
            let domain = try LibvirtDomain.named(server, connection)
            guard try domain.isActive("opening the display of \(server)") else {
                throw HypervisorError(.invalidState, "\(server) does not run")
            }
            guard let elements = XMLElements(try domain.xml()),
                let graphics = elements.all.first(where: { $0.path == "domain/devices/graphics" }),
                graphics.attributes["type"] == "vnc"
            else {
                throw HypervisorError(
                    .unsupported, "\(server) has no display; give its service's virtualServer one: display: vnc")
            }
            let host = try Self.hostName(of: connection)
            // Asked for it over a network, a libvirtd ends the connection: a descriptor cannot pass there.
            if host.isEmpty {
                let handed = virDomainOpenGraphicsFD(
                    domain.handle, 0, VIR_DOMAIN_OPEN_GRAPHICS_SKIPAUTH.rawValue)
                if handed >= 0 { return handed }
            }
            return try DisplayAddress(server, graphics.attributes, ofHost: host).connected()
        }
        return SocketLine(descriptor)
    }

    /// Of the connection's address; empty on this machine.
    private static func hostName(of connection: OpaquePointer) throws(HypervisorError) -> String {
        guard let text = virConnectGetURI(connection) else { throw .last("asking for the host's address") }
        defer { free(text) }
        let parts = String(cString: text).split(separator: "/", omittingEmptySubsequences: false)
        let named = parts.count > 2 ? parts[2].split(separator: "@").last ?? "" : ""
        return named.hasPrefix("[")
            ? String(named.dropFirst().prefix { $0 != "]" }) : String(named.prefix { $0 != ":" })
    }
}

/// Where a screen is reached over the network.
private struct DisplayAddress {
    private static let timeoutMilliseconds: Int32 = 5_000
    var host: String
    var port: String

    init(
        _ server: VirtualServerID, _ graphics: [String: String], ofHost name: String
    ) throws(HypervisorError) {
        guard let port = graphics["port"], let number = Int(port), number > 0 else {
            throw HypervisorError(.failed, "the host does not say where the display of \(server) listens")
        }
        self.port = port
        let listens = graphics["listen"] ?? "127.0.0.1"
        switch listens {
        case "127.0.0.1", "::1", "localhost":
            throw HypervisorError(
                .unsupported,
                "the display of \(server) listens on \(listens) of its host only; set vnc_listen in the host's "
                    + "/etc/libvirt/qemu.conf to its address on the private network, and restart the virtual server")
        case "0.0.0.0", "::": host = name.isEmpty ? "127.0.0.1" : name
        default: host = listens
        }
    }

    func connected() throws(HypervisorError) -> Int32 {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        guard getaddrinfo(host, port, &hints, &found) == 0, let first = found else {
            throw HypervisorError(.unreachable, "the name \(host) is not known")
        }
        defer { freeaddrinfo(first) }
        let descriptor = socket(
            first.pointee.ai_family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw HypervisorError(.exhausted, "no more connections are possible here") }
        var entry = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        let begun = connect(descriptor, first.pointee.ai_addr, first.pointee.ai_addrlen)
        var failure = begun == 0 || errno == EINPROGRESS ? 0 : errno
        if begun != 0, failure == 0 {
            var size = socklen_t(MemoryLayout<Int32>.size)
            failure = poll(&entry, 1, Self.timeoutMilliseconds) == 1 ? 0 : ETIMEDOUT
            if failure == 0 { getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size) }
        }
        guard failure == 0 else {
            close(descriptor)
            throw HypervisorError(
                .unreachable, "the display at \(host) port \(port): \(String(cString: strerror(failure)))")
        }
        return descriptor
    }
}

/// A connection whose octets are carried as they are. Nothing is kept: it is read when somebody asks, and written while
/// somebody waits.
final class SocketLine: ConsoleLine {
    private let descriptor: Int32
    private let hasEnded = Mutex(false)
    /// One that reads and one that writes.
    private let calls = BlockingCalls(maximumThreads: 2, maximumWaiting: 4)

    init(_ descriptor: Int32) {
        self.descriptor = descriptor
        _ = fcntl(descriptor, F_SETFL, fcntl(descriptor, F_GETFL) & ~O_NONBLOCK)
    }

    deinit { Glibc.close(descriptor) }

    func receive() async -> [UInt8]? {
        let bytes = try? await calls.run { () -> Result<[UInt8], HypervisorError> in
            var piece = [UInt8](repeating: 0, count: 16_384)
            while true {
                let count = recv(self.descriptor, &piece, piece.count, 0)
                if count < 0, errno == EINTR { continue }
                return .success(Array(piece.prefix(max(0, count))))
            }
        }
        guard let bytes, !bytes.isEmpty else {
            end()
            return nil
        }
        return bytes
    }

    func send(_ bytes: [UInt8]) async throws(HypervisorError) {
        try await calls.run { () -> Result<Void, HypervisorError> in
            var sent = 0
            while sent < bytes.count {
                let count = bytes.withUnsafeBytes {
                    Glibc.send(
                        self.descriptor, $0.baseAddress?.advanced(by: sent), bytes.count - sent,
                        Int32(MSG_NOSIGNAL))
                }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { return .failure(HypervisorError(.invalidState, "the display has been closed")) }
                sent += count
            }
            return .success(())
        }
    }

    func close() async { end() }

    /// Wakes who waits for it; the number is given back with the last reference.
    private func end() {
        let isFirst = hasEnded.withLock { ended in
            defer { ended = true }
            return !ended
        }
        if isFirst { shutdown(descriptor, Int32(SHUT_RDWR)) }
    }
}

import CloudModel
import Glibc

/// The other side of an address that leads there over TCP.
///
/// libvirt's own attempt to connect has no limit: it waits for as long as the kernel repeats its first packet, and for
/// the greeting of a machine that has lost its power meanwhile it waits for ever. Nothing ends it from outside.
package struct HypervisorPeer: Sendable {
    /// As the system has it: the octets of a `sockaddr`.
    typealias SocketAddress = [UInt8]

    package let host: String
    package let port: String

    /// Nil where libvirt gets there in another way: by a socket of this machine, or by a program as `ssh`, which has
    /// names and detours of its own.
    package init?(_ address: String) {
        guard let colon = address.firstRange(of: "://") else { return nil }
        let scheme = address[..<colon.lowerBound].split(separator: "+", maxSplits: 1)
        let ends = address[colon.upperBound...].prefix { $0 != "/" && $0 != "?" }
        let place = ends[(ends.lastIndex(of: "@").map(ends.index(after:)) ?? ends.startIndex)...]
        guard let driver = scheme.first, driver != "test", !place.isEmpty else { return nil }
        switch scheme.count > 1 ? scheme[1] : "tls" {
        case "tcp": (host, port) = Self.parts(place, ifNone: "16509")
        case "tls": (host, port) = Self.parts(place, ifNone: "16514")
        default: return nil
        }
    }

    private static func parts(_ place: Substring, ifNone port: String) -> (String, String) {
        if place.first == "[", let end = place.firstIndex(of: "]") {
            let rest = place[end...].dropFirst(2)
            return (String(place[..<end].dropFirst()), rest.isEmpty ? port : String(rest))
        }
        guard let colon = place.lastIndex(of: ":") else { return (String(place), port) }
        return (String(place[..<colon]), String(place[colon...].dropFirst()))
    }

    /// Whether it takes connections. Blocks, at most as long for each of its addresses.
    /// - Returns: the address that does.
    func reach(within limit: Duration) throws(HypervisorError) -> SocketAddress {
        var hints = addrinfo()
        hints.ai_socktype = Int32(SOCK_STREAM.rawValue)
        var found: UnsafeMutablePointer<addrinfo>?
        let status = getaddrinfo(host, port, &hints, &found)
        guard status == 0 else {
            throw HypervisorError(.unreachable, "\(host) has no address: \(String(cString: gai_strerror(status)))")
        }
        defer { freeaddrinfo(found) }
        var failure = ETIMEDOUT
        var next = found
        while let candidate = next?.pointee {
            failure = Self.connect(candidate, within: limit)
            if failure == 0, let octets = candidate.ai_addr {
                return SocketAddress(UnsafeRawBufferPointer(start: octets, count: Int(candidate.ai_addrlen)))
            }
            next = candidate.ai_next
        }
        throw HypervisorError(.unreachable, "\(host) port \(port): \(String(cString: strerror(failure)))")
    }

    /// The system's number of the failure; 0 where there is none.
    private static func connect(_ candidate: addrinfo, within limit: Duration) -> Int32 {
        let kind = candidate.ai_socktype | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(candidate.ai_family, kind, candidate.ai_protocol)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        if Glibc.connect(descriptor, candidate.ai_addr, candidate.ai_addrlen) == 0 { return 0 }
        guard errno == EINPROGRESS else { return errno }
        let end = ContinuousClock.now + limit
        var wish = pollfd(fd: descriptor, events: Int16(POLLOUT), revents: 0)
        while true {
            let left = max(.zero, end - .now)
            let milliseconds = left.components.seconds * 1_000 + left.components.attoseconds / 1_000_000_000_000_000
            let count = poll(&wish, 1, Int32(clamping: milliseconds))
            if count == 0 { return ETIMEDOUT }
            if count > 0 { break }
            guard errno == EINTR else { return errno }
        }
        var failure: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 else { return errno }
        return failure
    }

    /// Lets the kernel end this process's connections to the address once the machine there is gone. One that answers
    /// nothing and is there stays. libvirt has no such setting and gives no way to its socket, so they are looked up;
    /// that this may meet another connection to the same hypervisor does no harm.
    static func noticeDeath(of peer: SocketAddress) {
        guard let folder = opendir("/proc/self/fd") else { return }
        defer { closedir(folder) }
        while let entry = readdir(folder) {
            let name = withUnsafeBytes(of: entry.pointee.d_name) {
                String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self)
            }
            guard let descriptor = Int32(name), isConnected(descriptor, to: peer) else { continue }
            for (level, option, value) in endings {
                var value = value
                setsockopt(descriptor, level, option, &value, socklen_t(MemoryLayout<Int32>.size))
            }
        }
    }

    /// After 5 s of silence it is asked every 5 s; the third question without an answer ends it, as do 20 s in which
    /// nothing that was sent arrived.
    private static let endings: [(level: Int32, option: Int32, value: Int32)] = [
        (SOL_SOCKET, SO_KEEPALIVE, 1), (Int32(IPPROTO_TCP), TCP_KEEPIDLE, 5), (Int32(IPPROTO_TCP), TCP_KEEPINTVL, 5),
        (Int32(IPPROTO_TCP), TCP_KEEPCNT, 3), (Int32(IPPROTO_TCP), TCP_USER_TIMEOUT, 20_000),
    ]

    private static func isConnected(_ descriptor: Int32, to peer: SocketAddress) -> Bool {
        var storage = sockaddr_storage()
        var size = socklen_t(MemoryLayout<sockaddr_storage>.size)
        let status = withUnsafeMutablePointer(to: &storage) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getpeername(descriptor, $0, &size) }
        }
        return status == 0 && withUnsafeBytes(of: storage) { $0.prefix(Int(size)).elementsEqual(peer) }
    }
}

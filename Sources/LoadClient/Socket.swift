import Glibc

/// A TCP connection's descriptor and the few calls on it.
struct Socket {
    let descriptor: Int32

    enum Progress {
        case done(Int)
        case wouldBlock
        /// The peer has ended its side.
        case ended
        case failed(Int32)
    }

    /// Begins a connection without waiting for it, without Nagle's delay.
    static func connecting(to target: HTTPTarget) throws(LoadClientError) -> Socket {
        var storage = sockaddr_storage()
        guard let length = encode(target, &storage) else {
            throw LoadClientError(.invalid, "\(target.address) is not an IP address")
        }
        let type = Int32(SOCK_STREAM.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
        let descriptor = socket(Int32(storage.ss_family), type, 0)
        guard descriptor >= 0 else { throw LoadClientError(.system, "no socket: \(describe(errno))") }
        var on: Int32 = 1
        setsockopt(descriptor, Int32(IPPROTO_TCP), TCP_NODELAY, &on, socklen_t(MemoryLayout<Int32>.size))
        let result = withUnsafePointer(to: &storage) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { connect(descriptor, $0, length) }
        }
        if result != 0 && errno != EINPROGRESS {
            let failure = errno
            close(descriptor)
            throw LoadClientError(.notConnected, "\(target): \(describe(failure))")
        }
        return Socket(descriptor: descriptor)
    }

    private static func encode(_ target: HTTPTarget, _ storage: inout sockaddr_storage) -> socklen_t? {
        var four = sockaddr_in()
        if inet_pton(AF_INET, target.address, &four.sin_addr) == 1 {
            four.sin_family = sa_family_t(AF_INET)
            four.sin_port = target.port.bigEndian
            withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: four, as: sockaddr_in.self) }
            return socklen_t(MemoryLayout<sockaddr_in>.size)
        }
        var six = sockaddr_in6()
        guard inet_pton(AF_INET6, target.address, &six.sin6_addr) == 1 else { return nil }
        six.sin6_family = sa_family_t(AF_INET6)
        six.sin6_port = target.port.bigEndian
        withUnsafeMutableBytes(of: &storage) { $0.storeBytes(of: six, as: sockaddr_in6.self) }
        return socklen_t(MemoryLayout<sockaddr_in6>.size)
    }

    /// What became of a connection that was begun: nil where it is made.
    func connectFailure() -> Int32? {
        var failure: Int32 = 0
        var size = socklen_t(MemoryLayout<Int32>.size)
        guard getsockopt(descriptor, SOL_SOCKET, SO_ERROR, &failure, &size) == 0 else { return errno }
        return failure == 0 ? nil : failure
    }

    func send(_ bytes: UnsafeRawBufferPointer) -> Progress {
        while true {
            let count = Glibc.send(descriptor, bytes.baseAddress, bytes.count, Int32(MSG_NOSIGNAL))
            if count >= 0 { return .done(count) }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wouldBlock : .failed(errno)
        }
    }

    func receive(_ buffer: UnsafeMutableRawBufferPointer) -> Progress {
        while true {
            let count = recv(descriptor, buffer.baseAddress, buffer.count, 0)
            if count > 0 { return .done(count) }
            if count == 0 { return .ended }
            if errno == EINTR { continue }
            return errno == EAGAIN ? .wouldBlock : .failed(errno)
        }
    }

    /// Waits until the descriptor is ready for one of the events; false where the deadline came first.
    func wait(for events: Int32, until deadline: Int64) -> Bool {
        while true {
            let left = deadline - MonotonicClock.microseconds()
            guard left > 0 else { return false }
            var entry = pollfd(fd: descriptor, events: Int16(events), revents: 0)
            let count = poll(&entry, 1, Int32(clamping: (left + 999) / 1_000))
            if count > 0 { return true }
            if count < 0 && errno != EINTR { return true }
        }
    }

    func close() { Socket.close(descriptor) }

    private static func close(_ descriptor: Int32) { _ = Glibc.close(descriptor) }

    static func describe(_ code: Int32) -> String { String(cString: strerror(code)) }
}

enum MonotonicClock {
    static func microseconds() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}

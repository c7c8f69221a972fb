import CGateway
import Glibc

// How bytes get to a peer and from it: the only place that receives from, sends to, or ends a connection. Everything
// else of the loop is the same for each kind of transport.
//
// Receiving and sending give back what the system calls do: a count, 0 for the peer's orderly end, or -errno with
// -EAGAIN for "not now". They also keep the connection's `readable` and `writable` true to what is known of the
// transport, which only they can know: a short read of a socket says that it is empty, one of a decoder says nothing.

/// What lies between the loop and the peer.
enum Transport: UInt8 {
    /// A TCP connection.
    case plain
    /// TLS over one.
    case tls
    /// A stream of a connection that speaks HTTP/2.
    case stream
}

// MARK: Consumers

extension EventLoop {
    /// Receives what there is, `capacity` bytes at most.
    @inline(__always)
    func receive(_ client: Client, into bytes: UnsafeMutableRawPointer, capacity: Int) -> Int {
        switch client.pointee.transport {
        case .plain:
            let count = cgateway_receive(client.pointee.descriptor, bytes, capacity)
            if count <= 0 {
                client.pointee.flags.remove(.readable)
            } else if count < capacity, client.pointee.flags.isDisjoint(with: [.peerFinished, .broken]) {
                client.pointee.flags.remove(.readable)
            }
            return count
        case .tls:
            let isEnding = !client.pointee.flags.isDisjoint(with: [.peerFinished, .broken])
            let received = decrypt(client.pointee.tls, into: bytes, capacity: capacity, isEnding: isEnding)
            if !received.mayHaveMore { client.pointee.flags.remove(.readable) }
            return received.count
        case .stream:
            let stream = http2.consumers.streams + index(of: client)
            let count = receive(stream, into: bytes, capacity: capacity)
            if !stream.pointee.hasMore { client.pointee.flags.remove(.readable) }
            return count
        }
    }

    /// Receives what nobody wants to read any more.
    func discard(_ client: Client, into bytes: UnsafeMutableRawPointer, capacity: Int) -> Int {
        let count = cgateway_receive(client.pointee.descriptor, bytes, capacity)
        if count <= 0 { client.pointee.flags.remove(.readable) }
        return count
    }

    /// Sends what is taken of the bytes.
    @inline(__always)
    func send(_ client: Client, _ bytes: UnsafeRawPointer, count: Int) -> Int {
        let sent =
            switch client.pointee.transport {
            case .plain: cgateway_send(client.pointee.descriptor, bytes, count)
            case .tls: cgateway_tls_send(client.pointee.tls, bytes, count)
            case .stream: send(http2.consumers.streams + index(of: client), bytes, count: count)
            }
        if sent < count { client.pointee.flags.remove(.writable) }
        return sent
    }

    /// Tells the peer that nothing more comes; all that was sent gets there first. Where the transport does not take
    /// even this now, another call does it.
    func finishSending(_ client: Client) {
        switch client.pointee.transport {
        case .plain: break
        case .tls: if cgateway_tls_finish(client.pointee.tls) != 0 { return }
        // The end of a message has told it, or the stream's end will.
        case .stream:
            finishTunnel(http2.consumers.streams + index(of: client))
            return
        }
        cgateway_shutdown_writing(client.pointee.descriptor)
    }

    /// Ends the transport; with a reset, the peer cannot take the end of the bytes for the end of the message.
    func closeTransport(_ client: Client, withReset: Bool) {
        switch client.pointee.transport {
        case .plain: break
        case .tls:
            if !withReset { _ = cgateway_tls_finish(client.pointee.tls) }
            cgateway_tls_free(client.pointee.tls)
            client.pointee.tls = nil
            client.pointee.certificate = nil
        case .stream:
            closeStream(http2.consumers.streams + index(of: client), withReset: withReset)
            return
        }
        state.pointee.files &-= 1
        if withReset {
            cgateway_close_with_reset(client.pointee.descriptor)
        } else {
            cgateway_close(client.pointee.descriptor)
        }
    }

    @inline(never)
    private func decrypt(
        _ tls: OpaquePointer?, into bytes: UnsafeMutableRawPointer, capacity: Int, isEnding: Bool
    ) -> (count: Int, mayHaveMore: Bool) {
        var hasMore = false
        let count = cgateway_tls_receive(tls, bytes, capacity, &hasMore)
        if count > 0 { return (count, hasMore || isEnding) }
        // What is to be read may wait for something to be sent first: then the socket's next change is one to read on.
        return (count, count == -Int(EAGAIN) && cgateway_tls_wants_write(tls))
    }
}

// MARK: Instances

extension EventLoop {
    @inline(__always)
    func receive(_ upstream: Upstream, into bytes: UnsafeMutableRawPointer, capacity: Int) -> Int {
        switch upstream.pointee.transport {
        case .plain:
            let count = cgateway_receive(upstream.pointee.descriptor, bytes, capacity)
            if count <= 0 {
                upstream.pointee.flags.remove(.readable)
            } else if count < capacity, upstream.pointee.flags.isDisjoint(with: [.peerFinished, .broken]) {
                upstream.pointee.flags.remove(.readable)
            }
            return count
        case .tls:
            let isEnding = !upstream.pointee.flags.isDisjoint(with: [.peerFinished, .broken])
            let received = decrypt(upstream.pointee.tls, into: bytes, capacity: capacity, isEnding: isEnding)
            if !received.mayHaveMore { upstream.pointee.flags.remove(.readable) }
            return received.count
        case .stream:
            let stream = http2.instances.streams + index(of: upstream)
            let count = receive(stream, into: bytes, capacity: capacity)
            if !stream.pointee.hasMore { upstream.pointee.flags.remove(.readable) }
            return count
        }
    }

    @inline(__always)
    func send(_ upstream: Upstream, _ bytes: UnsafeRawPointer, count: Int) -> Int {
        let sent =
            switch upstream.pointee.transport {
            case .plain: cgateway_send(upstream.pointee.descriptor, bytes, count)
            case .tls: cgateway_tls_send(upstream.pointee.tls, bytes, count)
            case .stream: send(http2.instances.streams + index(of: upstream), bytes, count: count)
            }
        if sent < count { upstream.pointee.flags.remove(.writable) }
        return sent
    }

    func finishSending(_ upstream: Upstream) {
        switch upstream.pointee.transport {
        case .plain: break
        case .tls: if cgateway_tls_finish(upstream.pointee.tls) != 0 { return }
        case .stream: return
        }
        cgateway_shutdown_writing(upstream.pointee.descriptor)
    }

    func closeTransport(_ upstream: Upstream, withReset: Bool) {
        switch upstream.pointee.transport {
        case .plain: break
        case .tls:
            if !withReset { _ = cgateway_tls_finish(upstream.pointee.tls) }
            cgateway_tls_free(upstream.pointee.tls)
            upstream.pointee.tls = nil
        case .stream:
            closeStream(http2.instances.streams + index(of: upstream), withReset: true)
            return
        }
        state.pointee.files &-= 1
        if withReset {
            cgateway_close_with_reset(upstream.pointee.descriptor)
        } else {
            cgateway_close(upstream.pointee.descriptor)
        }
    }

    /// Whether an idle connection, on which nobody should speak, is still fit for a request.
    @inline(__always)
    func isQuiet(_ upstream: Upstream) -> Bool {
        upstream.pointee.transport != .stream && cgateway_is_quiet(upstream.pointee.descriptor)
    }
}

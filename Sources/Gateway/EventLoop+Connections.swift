import CGateway
import CloudModel
import Glibc
import Logging

/// A listening socket of one loop; others of the same address share the port (SO_REUSEPORT), and the kernel spreads
/// new connections over them.
struct LoopListener: Sendable {
    var descriptor: Int32
    var port: UInt16
    /// Keys of the sessions of those who connect over TLS; nil where nobody does.
    var ticketKeys: TicketKeys?
    /// From where connections begin with a PROXY header.
    var trustedProxies: [NetworkPrefix] = []
}

// MARK: Accepting

extension EventLoop {
    /// Connections taken at once before those that are there get their turn.
    private static var acceptBatch: Int { 64 }

    func accept(on listener: Int) { accept(from: listeners[listener].descriptor, number: listener, service: nil) }

    /// - Parameters:
    ///   - number: of the listener; `serviceListener` where it is the service's own.
    ///   - service: which the connections are for, where the listener says it.
    func accept(from listener: Int32, number: Int, service: UnsafeMutablePointer<LoopService>?) {
        for _ in 0..<Self.acceptBatch {
            guard state.pointee.isAccepting else { return }
            guard !clients.isFull else {
                pauseAccepting(retryAt: .max)
                return
            }
            guard hasFileForClient() else {
                // A file may become free without a client's leaving, which is what acceptance is resumed at otherwise.
                pauseAccepting(retryAt: state.pointee.clock.monotonic + 100_000)
                return
            }
            var peer = cgateway_address_text()
            let descriptor = cgateway_accept(listener, &peer)
            if descriptor >= 0 {
                open(descriptor, peer: peer, listener: number, service: service)
                continue
            }
            switch -descriptor {
            case EAGAIN: return
            case EMFILE, ENFILE, ENOBUFS, ENOMEM:
                // The connection stays in the kernel's queue; trying at once again would only burn time.
                warn("no descriptors or memory for another connection", error: -descriptor)
                pauseAccepting(retryAt: state.pointee.clock.monotonic + 100_000)
                return
            // The consumer gave up before it was accepted, or the network failed for it.
            case ECONNABORTED, EPROTO, EPERM, ENETDOWN, ENOPROTOOPT, EHOSTDOWN, ENONET, EHOSTUNREACH, ENETUNREACH:
                continue
            default:
                warn("cannot accept connections", error: -descriptor)
                pauseAccepting(retryAt: state.pointee.clock.monotonic + 1_000_000)
                return
            }
        }
    }

    /// An idle connection to an instance gives way to a client.
    private func hasFileForClient() -> Bool {
        while state.pointee.files >= configuration.limits.filesWhileAccepting {
            guard closeSomeIdle() else { return false }
        }
        return true
    }

    /// Logs, once a second at most: what it is about comes with every request.
    func warn(_ message: Logger.Message, error: Int32) {
        let now = state.pointee.clock.monotonic
        guard now >= state.pointee.nextWarning else { return }
        state.pointee.nextWarning = now + 1_000_000
        logger.warning(message, metadata: ["loop": "\(index)", "error": "\(error)"])
    }

    func resumeAccepting() {
        guard !state.pointee.isAccepting, !state.pointee.isDraining else { return }
        state.pointee.isAccepting = true
        state.pointee.acceptRetryAt = .max
        setAcceptInterest(cgateway_listener_interest())
    }

    func pauseAccepting(retryAt: Int64) {
        state.pointee.isAccepting = false
        state.pointee.acceptRetryAt = retryAt
        state.pointee.nextHousekeeping = min(state.pointee.nextHousekeeping, retryAt)
        counters.add(.acceptPauses)
        setAcceptInterest(0)
    }

    private func setAcceptInterest(_ interest: UInt32) {
        for (index, listener) in listeners.enumerated() {
            let token = Token.make(.listener, index: UInt32(index), generation: 0)
            if cgateway_epoll_modify(epoll, listener.descriptor, interest, token) == -ENOENT {
                _ = cgateway_epoll_add(epoll, listener.descriptor, interest, token)
            }
        }
        setServiceAcceptInterest(interest)
    }

    private func open(
        _ descriptor: Int32, peer: cgateway_address_text, listener: Int, service: UnsafeMutablePointer<LoopService>?
    ) {
        guard let index = clients.acquire() else {
            cgateway_close(descriptor)
            return
        }
        state.pointee.files &+= 1
        let client = clients[index]
        // The ready queue may still hold this place for a connection that is gone.
        let kept = client.pointee.flags.intersection(.inReadyQueue)
        client.initialize(
            to: ClientConnection(
                descriptor: descriptor, generation: client.pointee.generation, phase: .idle, transport: .plain,
                listener: UInt16(truncatingIfNeeded: listener),
                flags: kept, exchangeNumber: client.pointee.exchangeNumber, requestsServed: 0, lingered: 0, parser: nil,
                input: .none, output: .none, peer: peer, tls: nil, isSecure: false, certificate: nil,
                nextOpening: OpeningList.none, previousOpening: OpeningList.none, exchange: .none))
        client.pointee.exchange.service = service
        counters.add(.connectionsAccepted)
        let token = Token.make(.client, index: UInt32(index), generation: client.pointee.generation)
        guard cgateway_epoll_add(epoll, descriptor, cgateway_connection_interest(), token) == 0 else {
            close(client)
            return
        }
        if acceptingContext(client) != nil || !trustedProxies(client).isEmpty {
            beginOpening(client)
            if client.pointee.phase == .opening { return }
        }
        if service != nil {
            beginConnection(client)
            return
        }
        timers.schedule(index, at: state.pointee.clock.monotonic + configuration.timeouts.requestHead.microseconds)
    }
}

// MARK: Closing

extension EventLoop {
    @inline(__always)
    func index(of client: Client) -> Int { client - clients.base }

    /// Ends the connection at once. What the exchange held must have been given back before.
    func close(_ client: Client, withReset: Bool = false) {
        let index = index(of: client)
        if client.pointee.phase == .session { endSession(client) }
        if client.pointee.phase == .opening { state.pointee.openings.remove(client, in: clients) }
        if pipes.inUse > 0 { pipes.forget(index) }
        closeTransport(client, withReset: withReset)
        buffers.release(&client.pointee.input)
        buffers.release(&client.pointee.output)
        buffers.release(&client.pointee.exchange.head)
        if let parser = client.pointee.parser {
            parsers.give(parser)
            client.pointee.parser = nil
        }
        timers.cancel(index)
        client.pointee.phase = .free
        client.pointee.generation &+= 1
        client.pointee.exchangeNumber &+= 1
        clients.release(index)
        if client.pointee.transport != .stream { counters.add(.connectionsClosed) }
        if !state.pointee.isAccepting, state.pointee.acceptRetryAt == .max { resumeAccepting() }
        if state.pointee.isDraining, clients.inUse == 0 { state.pointee.isStopped = true }
    }

    /// Ends a connection whose peer may still be sending: says that nothing more comes, then reads on for a while, so
    /// that the kernel does not answer the peer's bytes with a reset that would destroy the last response.
    func linger(_ client: Client) {
        buffers.release(&client.pointee.input)
        buffers.release(&client.pointee.output)
        client.pointee.phase = .lingering
        client.pointee.lingered = 0
        timers.schedule(
            index(of: client), at: state.pointee.clock.monotonic + configuration.timeouts.linger.microseconds)
        drain(client)
    }

    /// The most that is read from a connection that is being closed.
    private static var lingerBytes: Int32 { 1 << 20 }

    func drain(_ client: Client) {
        guard !client.pointee.flags.contains(.broken) else {
            close(client)
            return
        }
        // What says that nothing more comes may not have gone yet.
        finishSending(client)
        var lease = buffers.acquire()
        defer { buffers.release(&lease) }
        while client.pointee.flags.contains(.readable) || client.pointee.flags.contains(.peerFinished) {
            let count = discard(client, into: lease.base! + lease.start, capacity: buffers.receiveCapacity)
            if count == -Int(EAGAIN) { return }
            client.pointee.lingered += Int32(max(0, count))
            if count <= 0 || client.pointee.lingered > Self.lingerBytes {
                close(client)
                return
            }
        }
    }

    func closeEverything() {
        for index in 0..<clients.highWater where clients[index].pointee.phase != .free {
            let client = clients[index]
            if client.pointee.exchange.isActive {
                let hasBegun = client.pointee.exchange.flags.contains(.responseBegun)
                abandon(client, outcome: hasBegun ? .abortedByInstance : .failed)
            }
            if client.pointee.phase != .free { close(client, withReset: true) }
        }
        for index in 0..<upstreams.highWater where upstreams[index].pointee.state != .free {
            closeUpstream(upstreams[index])
        }
        for listener in listeners { cgateway_close(listener.descriptor) }
        for listener in state.pointee.serviceListeners { listener?.close(loop: index) }
        cgateway_close(epoll)
        spool.close()
    }
}

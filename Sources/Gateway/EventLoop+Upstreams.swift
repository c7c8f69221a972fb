import CGateway
import CloudModel
import Glibc
import LoadBalancing

// Connections to instances: making, pooling and ending them. Each belongs to one loop and one backend of one service.

extension EventLoop {
    @inline(__always)
    func index(of upstream: Upstream) -> Int { upstream - upstreams.base }

    /// The loop's own record of a backend; looked up at the gate the first time. Nil where the backend is gone.
    @inline(__always)
    func backend(
        _ service: UnsafeMutablePointer<LoopService>, _ slot: BackendSlot
    ) -> UnsafeMutablePointer<LoopBackend>? {
        let index = Int(slot.index)
        if index >= 0, index < service.pointee.backendCapacity {
            let backend = service.pointee.backends + index
            if backend.pointee.isKnown, backend.pointee.generation == slot.generation { return backend }
        }
        return meet(slot, of: service)
    }

    @inline(never)
    private func meet(
        _ slot: BackendSlot, of service: UnsafeMutablePointer<LoopService>
    ) -> UnsafeMutablePointer<LoopBackend>? {
        guard slot.index >= 0, let target = service.pointee.gate._withUnsafeGuaranteedRef({ $0.target(of: slot) })
        else { return nil }
        let index = Int(slot.index)
        if index >= service.pointee.backendCapacity { grow(service, toHold: index) }
        let backend = service.pointee.backends + index
        if backend.pointee.isKnown { closeIdle(of: service, index) }
        backend.pointee.name.deallocate()
        let name = UnsafeMutableRawBufferPointer.allocate(
            byteCount: target.instance.rawValue.utf8.count, alignment: 1)
        name.copyBytes(from: target.instance.rawValue.utf8)
        backend.pointee = .unknown
        backend.pointee.name = name
        backend.pointee.generation = slot.generation
        let parsed = cgateway_parse_address(target.endpoint.address, target.endpoint.port, &backend.pointee.address)
        if parsed != 0 {
            logger.error(
                "an instance's address is not an IP address; give it as one",
                metadata: ["instance": "\(target.instance)", "endpoint": "\(target.endpoint)"])
        }
        let row = reports.traffic.row(service: serviceID(service), instance: target.instance)
        backend.pointee.trafficRow = row
        backend.pointee.traffic = row.cells
        backend.pointee.speaksHTTP2 = service.pointee.settings.speaksHTTP2
        backend.pointee.isKnown = true
        return backend
    }

    private func grow(_ service: UnsafeMutablePointer<LoopService>, toHold index: Int) {
        let capacity = max(8, (index + 1) * 2)
        let grown = UnsafeMutablePointer<LoopBackend>.allocate(capacity: capacity)
        grown.moveInitialize(from: service.pointee.backends, count: service.pointee.backendCapacity)
        (grown + service.pointee.backendCapacity).initialize(
            repeating: .unknown, count: capacity - service.pointee.backendCapacity)
        service.pointee.backends.deallocate()
        service.pointee.backends = grown
        service.pointee.backendCapacity = capacity
    }

    // MARK: Making and ending

    /// Begins a connection for the client's request. Nil, with an error number, where it failed at once.
    func connect(
        _ client: Client, to slot: BackendSlot, _ backend: UnsafeMutablePointer<LoopBackend>
    ) -> (upstream: Upstream?, error: Int32) {
        guard let service = client.pointee.exchange.service, backend.pointee.address.length > 0 else {
            return (nil, EADDRNOTAVAIL)
        }
        guard state.pointee.files < configuration.limits.filesPerLoop else { return (nil, EMFILE) }
        // The slab holds as many as there are clients and idle connections: it is never full.
        guard let index = upstreams.acquire() else { return (nil, ENOBUFS) }
        var inProgress = false
        let descriptor = cgateway_connect(&backend.pointee.address, &inProgress)
        guard descriptor >= 0 else {
            upstreams.release(index)
            return (nil, -descriptor)
        }
        counters.add(.upstreamConnections)
        state.pointee.files &+= 1
        let upstream = upstreams[index]
        let needsOpening = service.pointee.settings.speaksTLS || service.pointee.settings.proxyProtocol != nil
        upstream.initialize(
            to: UpstreamConnection(
                descriptor: descriptor, generation: upstream.pointee.generation,
                state: inProgress || needsOpening ? .connecting : .active, transport: .plain,
                flags: inProgress ? [] : .writable,
                tls: nil, client: UInt32(self.index(of: client)), service: service, backend: slot.index,
                backendGeneration: slot.generation, nextIdle: UpstreamConnection.none,
                previousIdle: UpstreamConnection.none, idleSince: 0, parser: nil, input: .none))
        let token = Token.make(.upstream, index: UInt32(index), generation: upstream.pointee.generation)
        let added = cgateway_epoll_add(epoll, descriptor, cgateway_connection_interest(), token)
        guard added == 0 else {
            closeUpstream(upstream)
            return (nil, -added)
        }
        if needsOpening, !prepareOpening(upstream, service) {
            closeUpstream(upstream)
            return (nil, ENOMEM)
        }
        return (upstream, 0)
    }

    func closeUpstream(_ upstream: Upstream, withReset: Bool = false) {
        if upstream.pointee.state == .idle { unlinkIdle(upstream) }
        if upstream.pointee.state == .session { endSession(upstream) }
        closeTransport(upstream, withReset: withReset)
        buffers.release(&upstream.pointee.input)
        if let parser = upstream.pointee.parser {
            parsers.give(parser)
            upstream.pointee.parser = nil
        }
        upstream.pointee.state = .free
        upstream.pointee.generation &+= 1
        upstreams.release(index(of: upstream))
    }

    // MARK: The pools

    /// An idle connection to the backend, the one used last, which is the least likely to have been closed.
    ///
    /// - Parameter checked: look whether the instance has closed it before handing it out, for requests that cannot be
    ///   repeated; for the others a retry costs less than the check.
    func takeIdle(
        _ service: UnsafeMutablePointer<LoopService>, _ backend: UnsafeMutablePointer<LoopBackend>, checked: Bool
    ) -> Upstream? {
        while backend.pointee.newestIdle != UpstreamConnection.none {
            let upstream = upstreams[Int(backend.pointee.newestIdle)]
            unlinkIdle(upstream)
            upstream.pointee.state = .active
            if !checked || isQuiet(upstream) { return upstream }
            closeUpstream(upstream)
        }
        return nil
    }

    /// Gives a connection back after a whole response. One more than the loop may keep is closed instead.
    func giveBack(_ upstream: Upstream) {
        let service = upstream.pointee.service
        let index = Int(upstream.pointee.backend)
        guard index < service.pointee.backendCapacity, upstream.pointee.transport != .stream, !state.pointee.isDraining,
            service.pointee.backends[index].isKnown,
            service.pointee.backends[index].generation == upstream.pointee.backendGeneration,
            !service.pointee.backends[index].isRemoved,
            state.pointee.idleUpstreams < configuration.limits.idleUpstreamConnectionsPerLoop,
            upstream.pointee.flags.isDisjoint(with: [.peerFinished, .broken, .isProxied])
        else {
            closeUpstream(upstream)
            return
        }
        buffers.release(&upstream.pointee.input)
        let backend = service.pointee.backends + index
        let own = UInt32(truncatingIfNeeded: self.index(of: upstream))
        upstream.pointee.state = .idle
        upstream.pointee.flags.insert(.reused)
        upstream.pointee.client = UpstreamConnection.none
        upstream.pointee.idleSince = state.pointee.clock.monotonic
        upstream.pointee.previousIdle = UpstreamConnection.none
        upstream.pointee.nextIdle = backend.pointee.newestIdle
        if backend.pointee.newestIdle == UpstreamConnection.none {
            backend.pointee.oldestIdle = own
        } else {
            upstreams[Int(backend.pointee.newestIdle)].pointee.previousIdle = own
        }
        backend.pointee.newestIdle = own
        state.pointee.idleUpstreams &+= 1
    }

    private func unlinkIdle(_ upstream: Upstream) {
        let backend = upstream.pointee.service.pointee.backends + Int(upstream.pointee.backend)
        let next = upstream.pointee.nextIdle
        let previous = upstream.pointee.previousIdle
        if previous == UpstreamConnection.none {
            backend.pointee.newestIdle = next
        } else {
            upstreams[Int(previous)].pointee.nextIdle = next
        }
        if next == UpstreamConnection.none {
            backend.pointee.oldestIdle = previous
        } else {
            upstreams[Int(next)].pointee.previousIdle = previous
        }
        state.pointee.idleUpstreams &-= 1
    }

    func closeIdle(of service: UnsafeMutablePointer<LoopService>, _ index: Int) {
        let backend = service.pointee.backends + index
        while backend.pointee.newestIdle != UpstreamConnection.none {
            closeUpstream(upstreams[Int(backend.pointee.newestIdle)])
        }
        leaveSessions(of: backend)
    }

    /// Frees a descriptor where the machine has no more. False where there is no idle connection.
    func closeSomeIdle() -> Bool {
        guard state.pointee.idleUpstreams > 0 else { return false }
        for service in state.pointee.servicesByNumber {
            guard let service else { continue }
            for index in 0..<service.pointee.backendCapacity {
                let oldest = service.pointee.backends[index].oldestIdle
                guard oldest != UpstreamConnection.none else { continue }
                closeUpstream(upstreams[Int(oldest)])
                return true
            }
        }
        return false
    }

    /// Closes connections that have been idle for too long, the oldest of each pool first.
    func closeExpiredIdle() {
        let limit = state.pointee.clock.monotonic - configuration.timeouts.upstreamIdle.microseconds
        for service in state.pointee.servicesByNumber {
            guard let service else { continue }
            for index in 0..<service.pointee.backendCapacity {
                let backend = service.pointee.backends + index
                closeExpiredSessions(of: backend, before: limit)
                while backend.pointee.oldestIdle != UpstreamConnection.none,
                    upstreams[Int(backend.pointee.oldestIdle)].pointee.idleSince < limit
                {
                    closeUpstream(upstreams[Int(backend.pointee.oldestIdle)])
                }
            }
        }
    }
}

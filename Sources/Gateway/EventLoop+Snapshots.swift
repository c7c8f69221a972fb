import CGateway
import CloudModel
import HTTP1
import LoadBalancing
import ScalingListener

// What a loop does between requests: takes a new snapshot, keeps house, drains.

extension EventLoop {
    /// Goes by the snapshot from now on. Requests in flight stay where they are, but for those that wait for an answer
    /// of a backend that is gone and may be repeated: they go to another.
    func take(_ snapshot: CompiledSnapshot) {
        let table = UnsafeMutablePointer<UnsafeMutablePointer<LoopService>>.allocate(
            capacity: max(1, snapshot.services.count))
        for service in state.pointee.servicesByNumber { service?.pointee.index = -1 }
        for (index, compiled) in snapshot.services.enumerated() {
            let service = loopService(compiled)
            service.pointee.index = Int32(index)
            if service.pointee.settings.speaksHTTP2 != compiled.settings.speaksHTTP2 { changeProtocol(service) }
            if service.pointee.settings.isTCP != compiled.settings.isTCP { closeIdle(of: service) }
            service.pointee.settings = compiled.settings
            service.pointee.tlsContext = compiled.tlsContext?.pointer
            state.pointee.instanceContexts[compiled.number] = compiled.tlsContext
            (table + index).initialize(to: service)
        }
        state.pointee.services.deallocate()
        state.pointee.services = table
        state.pointee.routes = Unmanaged.passUnretained(snapshot.routes)
        state.pointee.consumers = Unmanaged.passUnretained(snapshot.consumers)
        state.pointee.names = Unmanaged.passUnretained(snapshot.names)
        state.pointee.snapshot = snapshot
        takeListeners(snapshot)
        var anyRemoved = false
        for removed in snapshot.removed {
            for slot in removed.backends where dropBackend(slot, ofService: removed.service) { anyRemoved = true }
        }
        if anyRemoved { redispatch() }
        writeGauges()
    }

    /// Its instances speak another protocol from now on; what is under way ends in the former one.
    private func changeProtocol(_ service: UnsafeMutablePointer<LoopService>) {
        for index in 0..<service.pointee.backendCapacity where service.pointee.backends[index].isKnown {
            closeIdle(of: service, index)
            service.pointee.backends[index].speaksHTTP2.toggle()
        }
    }

    private func takeListeners(_ snapshot: CompiledSnapshot) {
        for service in snapshot.services { take(service.accepting, ofService: service.number) }
        for number in state.pointee.serviceListeners.indices
        where state.pointee.servicesByNumber[number]?.pointee.index == -1 {
            take(ServiceAccepting(), ofService: number)
        }
    }

    /// What was spoken on these connections is not what will be.
    private func closeIdle(of service: UnsafeMutablePointer<LoopService>) {
        for index in 0..<service.pointee.backendCapacity where service.pointee.backends[index].isKnown {
            closeIdle(of: service, index)
        }
    }

    private func loopService(_ compiled: CompiledService) -> UnsafeMutablePointer<LoopService> {
        while state.pointee.servicesByNumber.count <= compiled.number {
            state.pointee.servicesByNumber.append(nil)
            state.pointee.instanceContexts.append(nil)
        }
        if let known = state.pointee.servicesByNumber[compiled.number] { return known }
        state.pointee.gates.append(compiled.gate)
        let service = UnsafeMutablePointer<LoopService>.allocate(capacity: 1)
        service.initialize(
            to: LoopService(
                number: compiled.number, gate: Unmanaged.passUnretained(compiled.gate), name: compiled.name.bytes,
                traffic: reports.traffic.row(service: compiled.id).cells, index: -1, settings: compiled.settings,
                tlsContext: nil, backends: .allocate(capacity: 1), backendCapacity: 0))
        state.pointee.servicesByNumber[compiled.number] = service
        return service
    }

    /// Closes the idle connections to a backend that is out of the balance. False where this loop never used it.
    private func dropBackend(_ slot: BackendSlot, ofService number: Int) -> Bool {
        guard number < state.pointee.servicesByNumber.count, let service = state.pointee.servicesByNumber[number],
            Int(slot.index) < service.pointee.backendCapacity
        else { return false }
        let backend = service.pointee.backends + Int(slot.index)
        guard backend.pointee.isKnown, backend.pointee.generation == slot.generation else { return false }
        backend.pointee.isRemoved = true
        closeIdle(of: service, Int(slot.index))
        return true
    }

    /// Requests at a removed backend of which nothing has come back go elsewhere, where repeating them is safe.
    private func redispatch() {
        for index in 0..<clients.highWater {
            let client = clients[index]
            guard client.pointee.phase == .awaiting || client.pointee.phase == .connecting,
                client.pointee.exchange.mayBeRepeated, let service = client.pointee.exchange.service,
                let backend = backend(service, client.pointee.exchange.backend), backend.pointee.isRemoved
            else { continue }
            releaseUpstream(client)
            // The request did not fail there; each snapshot moves it once at most.
            client.pointee.exchange.attempts &-= 1
            retryElsewhere(client, service, isMove: true, whenRefused: .badGateway)
        }
    }

    // MARK: Keeping house

    func housekeepIfDue() {
        let now = state.pointee.clock.monotonic
        if state.pointee.isTrimming, now >= state.pointee.nextTrim {
            let (hasMore, hasMoreInboxes) = (buffers.trim(), http2.inboxes.trim())
            state.pointee.isTrimming = hasMore || hasMoreInboxes
            state.pointee.nextTrim = now + 20_000
        }
        guard now >= state.pointee.nextHousekeeping else { return }
        state.pointee.nextHousekeeping = now + 1_000_000
        if now >= state.pointee.acceptRetryAt { resumeAccepting() }
        closeExpiredIdle()
        buffers.noteIdle()
        http2.inboxes.noteIdle()
        state.pointee.isTrimming = true
        writeDate()
        writeGauges()
        counters.set(.userMicroseconds, UInt64(max(0, cgateway_thread_user_microseconds())))
        guard state.pointee.isDraining else { return }
        if now >= state.pointee.drainDeadline || clients.inUse == 0 { state.pointee.isStopped = true }
        state.pointee.nextHousekeeping = min(state.pointee.nextHousekeeping, state.pointee.drainDeadline)
    }

    private func writeGauges() {
        counters.set(.buffersInUse, UInt64(buffers.inUse))
        counters.set(.upstreamsOpen, UInt64(upstreams.inUse))
    }

    func writeDate() {
        var writer = OctetWriter(dateText)
        HTTPDate.write(unixSeconds: state.pointee.clock.timestamp.microseconds / 1_000_000, to: &writer)
    }

    // MARK: Draining

    func beginDraining(until deadline: Int64, keepsIdle: Bool) {
        guard !state.pointee.isDraining else { return }
        // Whoever has connected already is in the kernel's queue, and would be reset by the closing of the listeners.
        for index in listeners.indices { accept(on: index) }
        for number in state.pointee.serviceListeners.indices { accept(ofService: number) }
        if state.pointee.isAccepting { pauseAccepting(retryAt: .max) }
        state.pointee.isDraining = true
        state.pointee.keepsIdle = keepsIdle
        state.pointee.drainDeadline = deadline
        state.pointee.nextHousekeeping = min(state.pointee.nextHousekeeping, deadline)
        for index in 0..<clients.highWater {
            let client = clients[index]
            if client.pointee.phase == .session { leave(http2.consumers.sessions + index) }
            // A connection that has just been opened may have its first request on the way.
            guard !keepsIdle, client.pointee.phase == .idle, client.pointee.requestsServed > 0,
                client.pointee.input.isEmpty,
                !client.pointee.flags.contains(.readable)
            else { continue }
            close(client)
        }
        if clients.inUse == 0 { state.pointee.isStopped = true }
    }
}

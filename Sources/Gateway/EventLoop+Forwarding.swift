import CGateway
import CloudModel
import Glibc
import HTTP1
import LoadBalancing
import ScalingListener

// An admitted request on its way to an instance: head, connection, body; and again elsewhere where that is safe.

extension EventLoop {
    /// Writes the head as the instance gets it, and as much of the body behind it as has come and fits: the bytes that
    /// are sent, and sent again on a retry. Gives back why it cannot be done; nil where it is.
    func prepareHead(
        _ client: Client, _ parser: UnsafeMutablePointer<RequestHead>, _ head: UnsafeRawBufferPointer,
        removesAuthorization: Bool
    ) -> ProblemKind? {
        var lease = buffers.acquire()
        writeHex(client.pointee.exchange.requestID, to: requestIDText)
        var forwarding = RequestForwarding(
            clientAddress: client.pointee.peerAddress,
            requestID: UnsafeRawBufferPointer(start: requestIDText, count: 32))
        forwarding.isSecure = client.pointee.isSecure
        forwarding.removesAuthorization = removesAuthorization
        forwarding.forwardsUpgrade = true
        if client.pointee.exchange.flags.contains(.bodyInvited) { forwarding.expectation = .answered }
        if client.pointee.exchange.flags.contains(.hasTrace) { propagateTrace(client, &forwarding) }
        let room = UnsafeMutableRawBufferPointer(
            start: lease.base! + lease.start, count: buffers.bufferSize - lease.start)
        guard let written = parser.pointee.write(forwarding, from: head, to: room) else {
            buffers.release(&lease)
            return .headTooLarge
        }
        lease.end = lease.start + written
        client.pointee.exchange.head = lease
        if client.pointee.exchange.requestBody.isComplete {
            client.pointee.exchange.flags.insert(.replayable)
        } else if !takeBodyPrefix(client) {
            return .contentTooLarge
        }
        if client.pointee.input.isEmpty { buffers.release(&client.pointee.input) }
        return nil
    }

    /// The part of the body that came with the head goes behind it. A fault in it shows when the rest is read. False
    /// where it is more than the service takes.
    private func takeBodyPrefix(_ client: Client) -> Bool {
        guard !client.pointee.input.isEmpty else { return true }
        let available = client.pointee.input.bytes
        let end = client.pointee.exchange.head.end
        guard available.count <= buffers.bufferSize - end, let base = client.pointee.exchange.head.base else {
            return true
        }
        let progress = client.pointee.exchange.requestBody.read(available)
        audit(client, requestBytes: available, progress.consumed)
        if progress.consumed > 0 {
            (base + end).copyMemory(from: available.baseAddress!, byteCount: progress.consumed)
        }
        client.pointee.exchange.head.end += progress.consumed
        client.pointee.exchange.bytesIn += UInt64(progress.consumed)
        client.pointee.input.start += progress.consumed
        if progress.isComplete { client.pointee.exchange.flags.insert(.replayable) }
        return isWithinSize(client)
    }

    @inline(__always)
    private func isWithinSize(_ client: Client) -> Bool {
        guard let service = client.pointee.exchange.service else { return true }
        return client.pointee.exchange.requestBody.payloadCount <= service.pointee.settings.maximumBodySize
    }

    // MARK: To one backend

    /// Sends the request to a backend at which a place is held.
    func forward(_ client: Client, to slot: BackendSlot) {
        client.pointee.exchange.backend = slot
        client.pointee.exchange.flags.insert(.placeHeld)
        client.pointee.exchange.flags.remove([.sent, .requestCut])
        client.pointee.exchange.headSent = 0
        client.pointee.exchange.attempts &+= 1
        client.pointee.exchange.forwardedAt = state.pointee.clock.timestamp
        guard mayBeSpokenTo(client) else {
            backendFailed(client, .untrusted)
            return
        }
        guard let service = client.pointee.exchange.service, let backend = backend(service, slot) else {
            backendFailed(client, .connectionRefused)
            return
        }
        let isIdempotent = client.pointee.exchange.flags.contains(.idempotent)
        if let upstream = takeIdle(service, backend, checked: !isIdempotent) {
            counters.add(.upstreamReuses)
            upstream.pointee.client = UInt32(truncatingIfNeeded: index(of: client))
            client.pointee.exchange.upstream = UInt32(truncatingIfNeeded: index(of: upstream))
            startSending(client, upstream)
            return
        }
        connectAndSend(client, slot, backend)
    }

    private func connectAndSend(
        _ client: Client, _ slot: BackendSlot, _ backend: UnsafeMutablePointer<LoopBackend>
    ) {
        let isHTTP2 = backend.pointee.speaksHTTP2
        func make() -> (upstream: Upstream?, error: Int32) {
            isHTTP2 ? openStream(client, to: slot, backend) : connect(client, to: slot, backend)
        }
        var (made, error) = make()
        if made == nil, Self.isOwnWant(error), closeSomeIdle() { (made, error) = make() }
        guard let upstream = made else {
            if Self.isOwnWant(error) {
                warn("no descriptors or ports for a connection to an instance", error: error)
                giveUp(client, .overloaded)
            } else {
                backendFailed(client, .connectionRefused)
            }
            return
        }
        client.pointee.exchange.upstream = UInt32(truncatingIfNeeded: index(of: upstream))
        if upstream.pointee.state == .active {
            startSending(client, upstream)
        } else {
            client.pointee.phase = .connecting
            guard let service = client.pointee.exchange.service else { return }
            timers.schedule(
                index(of: client), at: state.pointee.clock.monotonic + service.pointee.settings.connectTimeout)
        }
    }

    /// Errors that say nothing about the instance: the machine is short of something.
    private static func isOwnWant(_ error: Int32) -> Bool {
        error == EMFILE || error == ENFILE || error == ENOBUFS || error == ENOMEM || error == EADDRNOTAVAIL
    }

    /// The connection stands: from here on an answer is awaited.
    func startSending(_ client: Client, _ upstream: Upstream) {
        if isTCP(client) {
            beginRelay(client)
            return
        }
        client.pointee.phase = .awaiting
        scheduleAwaiting(client)
        sendRequest(client, upstream)
    }

    /// Until when the instance, or the consumer's next bytes, are waited for.
    @inline(__always)
    func scheduleAwaiting(_ client: Client) {
        guard let service = client.pointee.exchange.service else { return }
        let settings = service.pointee.settings
        let span =
            client.pointee.exchange.hasWholeRequest && client.pointee.exchange.bodyPending == 0
            ? settings.responseTimeout : settings.idleTimeout
        timers.schedule(index(of: client), at: state.pointee.clock.monotonic + span)
    }

    // MARK: Sending

    /// Sends what there is of the request, as far as the kernel takes it.
    @inline(__always)
    func sendRequest(_ client: Client, _ upstream: Upstream) {
        let head = client.pointee.exchange.head
        while client.pointee.exchange.headSent < head.count {
            guard upstream.pointee.flags.contains(.writable) || !client.pointee.exchange.flags.contains(.sent),
                !client.pointee.exchange.flags.contains(.requestCut)
            else { return }
            let rest = head.count &- client.pointee.exchange.headSent
            let sent = send(
                upstream, head.base! + head.start + client.pointee.exchange.headSent, count: rest)
            guard sent >= 0 else {
                sendingFailed(client, upstream, error: Int32(-sent))
                return
            }
            client.pointee.exchange.flags.insert(.sent)
            client.pointee.exchange.headSent &+= sent
        }
        if client.pointee.exchange.hasMoreToSend { pumpRequestBody(client, upstream) }
    }

    private func sendingFailed(_ client: Client, _ upstream: Upstream, error: Int32) {
        if error == EAGAIN { return }
        // The instance may have answered before it closed (413, say): what it said counts. Reading finds the fault.
        upstream.pointee.flags.formUnion([.readable, .broken])
        client.pointee.exchange.flags.insert(.requestCut)
        pumpResponse(client, upstream)
    }

    /// Reads on in the request's body and passes it on. Nothing is read while the instance takes nothing, so a fast
    /// consumer never fills more than one buffer.
    func pumpRequestBody(_ client: Client, _ upstream: Upstream) {
        for _ in 0..<Self.readsPerTurn {
            if client.pointee.exchange.bodyPending > 0, !sendBody(client, upstream) { return }
            if client.pointee.exchange.requestBody.isComplete {
                requestIsWhole(client)
                return
            }
            if client.pointee.input.isEmpty {
                guard client.pointee.flags.contains(.readable) else { return }
                switch receive(client) {
                case .some(true): scheduleProgress(client)
                case .some(false):
                    consumerLeft(client)
                    return
                case .none: return
                }
            }
            guard readBody(client) else { return }
        }
        state.pointee.ready.push(client, in: clients)
    }

    /// How often one connection is read before the others get their turn.
    static var readsPerTurn: Int { 16 }

    /// False where the kernel did not take all of it, or the exchange is over.
    private func sendBody(_ client: Client, _ upstream: Upstream) -> Bool {
        let pending = client.pointee.exchange.bodyPending
        let sent = send(
            upstream, client.pointee.input.base! + client.pointee.input.start, count: pending)
        guard sent >= 0 else {
            sendingFailed(client, upstream, error: Int32(-sent))
            return false
        }
        client.pointee.exchange.flags.insert(.sent)
        client.pointee.input.start &+= sent
        client.pointee.exchange.bodyPending &-= sent
        if sent > 0 { scheduleProgress(client) }
        return sent == pending
    }

    /// Finds out how much of the input is body. False where it is malformed or too large, after having answered.
    private func readBody(_ client: Client) -> Bool {
        let available = client.pointee.input.bytes
        let progress = client.pointee.exchange.requestBody.read(available)
        audit(client, requestBytes: available, progress.consumed)
        client.pointee.exchange.bytesIn &+= UInt64(progress.consumed)
        client.pointee.exchange.bodyPending = progress.consumed
        if let fault = progress.fault {
            bodyRefused(client, ProblemKind(fault), detail: fault.explanation)
            return false
        }
        guard isWithinSize(client) else {
            bodyRefused(client, .contentTooLarge, detail: nil)
            return false
        }
        return true
    }

    private func requestIsWhole(_ client: Client) {
        if client.pointee.flags.contains(.peerFinished) { client.pointee.flags.insert(.halfClosed) }
        if client.pointee.input.isEmpty { buffers.release(&client.pointee.input) }
        if client.pointee.phase == .awaiting { scheduleAwaiting(client) }
    }

    /// The request's body cannot be passed on. Nobody can answer any more where the response has begun.
    private func bodyRefused(_ client: Client, _ kind: ProblemKind, detail: StaticString?) {
        counters.add(.malformedRequests)
        client.pointee.exchange.bodyPending = 0
        releaseUpstream(client)
        guard !client.pointee.exchange.flags.contains(.responseBegun) else {
            abandon(client, outcome: .abortedByConsumer)
            close(client, withReset: true)
            return
        }
        releasePlace(client, .abortedByConsumer)
        refuse(client, problem(kind, client, detail: detail), .failed)
    }

    /// A request that waits for its instance goes on: interim responses, its body, its answer.
    func driveRequest(_ client: Client) {
        if !client.pointee.output.isEmpty, !sendOutput(client) { return }
        guard let upstream = upstream(of: client) else { return }
        if client.pointee.exchange.headSent < client.pointee.exchange.head.count {
            if upstream.pointee.flags.contains(.writable) { sendRequest(client, upstream) }
        } else if client.pointee.exchange.hasMoreToSend {
            pumpRequestBody(client, upstream)
        }
        // Sending may have moved the request to another connection.
        guard client.pointee.phase == .awaiting, let present = self.upstream(of: client) else { return }
        if !present.pointee.input.isEmpty, client.pointee.output.isEmpty { relayHead(client, present) }
        if client.pointee.phase == .awaiting { pumpResponse(client, present) }
    }

    @inline(__always)
    func upstream(of client: Client) -> Upstream? {
        let index = client.pointee.exchange.upstream
        return index == UpstreamConnection.none ? nil : upstreams[Int(index)]
    }

    /// Something moved: the longest silence begins anew.
    @inline(__always)
    func scheduleProgress(_ client: Client) {
        guard let service = client.pointee.exchange.service else { return }
        timers.schedule(index(of: client), at: state.pointee.clock.monotonic + service.pointee.settings.idleTimeout)
    }
}

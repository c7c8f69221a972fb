import CGateway
import CloudModel
import Glibc
import HTTP1

// From the instance's bytes to the consumer's: heads are written anew, bodies pass as they came, one buffer at a time.

extension EventLoop {
    /// The kernel told a change of a connection to an instance.
    @inline(__always)
    func upstreamReady(_ upstream: Upstream, _ events: UInt32) {
        var flags = upstream.pointee.flags
        if cgateway_is_readable(events) { flags.insert(.readable) }
        if cgateway_is_writable(events) { flags.insert(.writable) }
        if cgateway_is_peer_finished(events) { flags.formUnion([.peerFinished, .readable]) }
        if cgateway_is_broken(events) { flags.formUnion([.broken, .readable]) }
        upstream.pointee.flags = flags
        switch upstream.pointee.state {
        case .free: return
        case .idle:
            // Nobody asked anything: the instance closes, or it speaks out of turn. Either way it is of no use.
            if flags.contains(.readable) { closeUpstream(upstream) }
        case .connecting: connected(upstream)
        case .session: driveSession(upstream)
        case .active:
            let client = clients[Int(upstream.pointee.client)]
            switch client.pointee.phase {
            case .awaiting: driveRequest(client)
            case .responding: driveResponse(client)
            case .tunnel: pumpTunnel(client)
            case .free, .opening, .idle, .holding, .queued, .connecting, .flushing, .session, .lingering: break
            }
        }
    }

    private func connected(_ upstream: Upstream) {
        guard !upstream.pointee.flags.isDisjoint(with: [.writable, .broken]) else { return }
        let client = clients[Int(upstream.pointee.client)]
        let result = cgateway_connect_result(upstream.pointee.descriptor)
        guard result == 0 else {
            backendFailed(client, result == -ETIMEDOUT ? .connectTimeout : .connectionRefused)
            return
        }
        if upstream.pointee.flags.contains(.owesProxyHeader), !sendProxyHeader(client, upstream) {
            backendFailed(client, .connectionReset)
            return
        }
        switch shakeHands(upstream) {
        case .some(true):
            upstream.pointee.state = .active
            startSending(client, upstream)
        case .some(false): backendFailed(client, .untrusted)
        case .none: break
        }
    }

    /// A response on its way goes on: what the consumer has not taken yet, the request's body, the response's.
    func driveResponse(_ client: Client) {
        guard let upstream = upstream(of: client) else { return }
        if !client.pointee.output.isEmpty, !sendOutput(client) { return }
        if client.pointee.exchange.hasMoreToSend { pumpRequestBody(client, upstream) }
        if client.pointee.phase == .responding, client.pointee.output.isEmpty { pumpResponse(client, upstream) }
    }

    /// Reads from the instance while the consumer takes what is read.
    func pumpResponse(_ client: Client, _ upstream: Upstream) {
        let generation = upstream.pointee.generation
        for _ in 0..<Self.readsPerTurn {
            guard client.pointee.output.isEmpty else { return }
            if client.pointee.phase == .responding {
                switch spliceBody(client, upstream) {
                case .copies: break
                case .moved: continue
                case .waits, .ended, .failed: return
                }
            }
            guard upstream.pointee.flags.contains(.readable) else { return }
            if !upstream.pointee.input.isHeld { upstream.pointee.input = buffers.acquire() }
            if upstream.pointee.input.isEmpty {
                upstream.pointee.input.start = BufferPool.margin
                upstream.pointee.input.end = BufferPool.margin
            }
            var room = buffers.bufferSize &- BufferPool.tail &- upstream.pointee.input.end
            if upstream.pointee.flags.contains(.sendsMuch) { room = roomForHead(client, upstream, room) }
            let count = receive(
                upstream, into: upstream.pointee.input.base! + upstream.pointee.input.end, capacity: room)
            guard count > 0 else {
                if upstream.pointee.input.isEmpty { buffers.release(&upstream.pointee.input) }
                if count != -Int(EAGAIN) { upstreamEnded(client, upstream, error: Int32(-count)) }
                return
            }
            upstream.pointee.input.end &+= count
            if client.pointee.phase == .awaiting {
                relayHead(client, upstream)
            } else {
                relayBody(client, upstream)
            }
            // The exchange may be over: this connection is then pooled, closed, or another request's.
            guard upstream.pointee.generation == generation, upstream.pointee.state == .active,
                client.pointee.exchange.upstream == UInt32(truncatingIfNeeded: index(of: upstream)),
                client.pointee.phase == .awaiting || client.pointee.phase == .responding
            else { return }
        }
        state.pointee.ready.push(client, in: clients)
    }

    func upstreamEnded(_ client: Client, _ upstream: Upstream, error: Int32) {
        guard client.pointee.phase == .responding else {
            backendFailed(client, .connectionReset)
            return
        }
        guard error == 0, client.pointee.exchange.responseBody.framing == .untilClose,
            !upstream.pointee.flags.contains(.broken)
        else {
            responseBroke(client, .connectionReset)
            return
        }
        // The connection's end is the end of the response.
        var nothing = BufferLease.none
        complete(client, upstream, last: &nothing, mayReuse: false)
    }

    // MARK: Heads

    func relayHead(_ client: Client, _ upstream: Upstream) {
        while client.pointee.phase == .awaiting, !upstream.pointee.input.isEmpty, client.pointee.output.isEmpty {
            let parser = upstream.pointee.parser ?? parsers.response
            let outcome = parser.pointee.parse(
                upstream.pointee.input.bytes, answering: client.pointee.exchange.method)
            switch outcome {
            case .incomplete:
                if upstream.pointee.parser == nil { upstream.pointee.parser = parsers.keepResponse() }
                return
            case .malformed:
                parser.pointee.reset()
                malformedResponse(client)
                return
            case .complete(let length):
                let isKept = upstream.pointee.parser != nil
                upstream.pointee.parser = nil
                take(client, upstream, parser, headLength: length)
                if isKept { parsers.give(parser) } else { parser.pointee.reset() }
            }
        }
    }

    private func malformedResponse(_ client: Client) {
        guard let service = client.pointee.exchange.service else { return }
        let slot = client.pointee.exchange.backend
        let now = state.pointee.clock.timestamp
        service.pointee.gate._withUnsafeGuaranteedRef { $0.reportFailure(slot, .malformedResponse, now: now) }
        report(.malformedResponse, of: slot, service, now: now)
        counters.add(.upstreamFailures)
        giveUp(client, .badGateway)
    }

    /// The most interim responses to one request.
    private static var interimLimit: UInt16 { 32 }

    @inline(__always)
    private func take(
        _ client: Client, _ upstream: Upstream, _ parser: UnsafeMutablePointer<ResponseHead>, headLength: Int
    ) {
        if parser.pointee.isInterim {
            client.pointee.exchange.interimResponses &+= 1
            guard client.pointee.exchange.interimResponses <= Self.interimLimit else {
                malformedResponse(client)
                return
            }
            relayInterim(client, upstream, parser, headLength: headLength)
            return
        }
        if parser.pointee.status == 101 {
            guard client.pointee.exchange.flags.contains(.upgradeRequested),
                parser.pointee.upgradeProtocol != nil
            else {
                malformedResponse(client)
                return
            }
            beginTunnel(client, upstream, parser, headLength: headLength)
            return
        }
        beginResponse(client, upstream, parser, headLength: headLength)
    }

    /// 100, 102, 103: passed on, and then the next head is read. HTTP/1.0 does not know them.
    private func relayInterim(
        _ client: Client, _ upstream: Upstream, _ parser: UnsafeMutablePointer<ResponseHead>, headLength: Int
    ) {
        let head = UnsafeRawBufferPointer(rebasing: upstream.pointee.input.bytes[..<headLength])
        upstream.pointee.input.start += headLength
        scheduleAwaiting(client)
        guard !client.pointee.exchange.flags.contains(.clientIsHTTP10) else { return }
        let forwarding = ResponseForwarding(
            requestVersion: .http11, requestMethod: client.pointee.exchange.method, keepsAlive: true)
        guard let written = parser.pointee.write(forwarding, from: head, to: scratch) else { return }
        if !client.pointee.output.isHeld { client.pointee.output = buffers.acquire() }
        // A consumer that does not even take these is not sent more of them: they are advice, not content.
        guard client.pointee.output.end + written <= buffers.bufferSize else { return }
        (client.pointee.output.base! + client.pointee.output.end)
            .copyMemory(from: scratch.baseAddress!, byteCount: written)
        client.pointee.output.end += written
        _ = sendOutput(client)
    }

    /// The final head: writes it anew in front of what has come of the body, so that both leave in one send.
    private func beginResponse(
        _ client: Client, _ upstream: Upstream, _ parser: UnsafeMutablePointer<ResponseHead>, headLength: Int
    ) {
        let head = UnsafeRawBufferPointer(rebasing: upstream.pointee.input.bytes[..<headLength])
        let forwarding = responseForwarding(client)
        let framing = parser.pointee.clientFraming(forwarding)
        guard var written = parser.pointee.write(forwarding, from: head, to: scratch) else {
            malformedResponse(client)
            return
        }
        if client.pointee.exchange.flags.contains(.waited) { written = appendPreferenceApplied(written) }
        noteResponseHead(client, parser, head, framing)
        if client.pointee.exchange.headSent < client.pointee.exchange.head.count {
            client.pointee.exchange.flags.insert(.requestCut)
        }
        buffers.release(&client.pointee.exchange.head)
        var lease = upstream.pointee.input.take()
        lease.start += headLength
        let outcome = frameBody(client, &lease)
        lease.start -= written
        precondition(lease.start >= 0, "the margin is larger than any head can grow")
        (lease.base! + lease.start).copyMemory(from: scratch.baseAddress!, byteCount: written)
        pass(client, upstream, &lease, outcome)
    }

    @inline(__always)
    private func responseForwarding(_ client: Client) -> ResponseForwarding {
        writeHex(client.pointee.exchange.requestID, to: requestIDText)
        let flags = client.pointee.exchange.flags
        let keepsAlive =
            flags.contains(.keepAlive) && client.pointee.exchange.hasWholeRequest
            && client.pointee.exchange.bodyPending == 0 && !state.pointee.isDraining
            && Int(client.pointee.requestsServed) + 1 < configuration.limits.requestsPerConnection
            && !client.pointee.flags.contains(.peerFinished)
        var forwarding = ResponseForwarding(
            requestVersion: flags.contains(.clientIsHTTP10) ? .http10 : .http11,
            requestMethod: client.pointee.exchange.method, keepsAlive: keepsAlive)
        forwarding.requestID = UnsafeRawBufferPointer(start: requestIDText, count: 32)
        forwarding.date = date
        return forwarding
    }

    @inline(__always)
    private func noteResponseHead(
        _ client: Client, _ parser: UnsafeMutablePointer<ResponseHead>, _ head: UnsafeRawBufferPointer,
        _ framing: ClientFraming
    ) {
        let status = UInt16(truncatingIfNeeded: parser.pointee.status)
        client.pointee.exchange.status = status
        client.pointee.exchange.responseBody = BodyReader(parser.pointee.body)
        var flags = client.pointee.exchange.flags
        flags.insert(.responseBegun)
        if parser.pointee.keepsAlive { flags.insert(.upstreamKeepAlive) } else { flags.remove(.upstreamKeepAlive) }
        if framing.body == .untilClose {
            flags.insert(.closeDelimited)
            if parser.pointee.body == .chunked { flags.insert(.unchunksResponse) }
        }
        if !framing.keepsAlive { flags.remove(.keepAlive) }
        client.pointee.exchange.flags = flags
        client.pointee.phase = .responding
        if flags.contains(.tapped) { auditHead(client, parser, head) }
    }

    /// RFC 7240, section 3: the consumer learns that its wish to wait was met. Before the empty line at the end.
    private func appendPreferenceApplied(_ written: Int) -> Int {
        let field: StaticString = "preference-applied: wait\r\n\r\n"
        guard written - 2 + field.utf8CodeUnitCount <= scratch.count else { return written }
        (scratch.baseAddress! + (written - 2)).copyMemory(from: field.utf8Start, byteCount: field.utf8CodeUnitCount)
        return written - 2 + field.utf8CodeUnitCount
    }

    // MARK: Bodies

    private struct BodyOutcome {
        var isComplete: Bool
        var isMalformed: Bool
        /// There were bytes behind the response's end: the instance is out of step.
        var hasExcess: Bool
    }

    @inline(__always)
    private func relayBody(_ client: Client, _ upstream: Upstream) {
        var lease = upstream.pointee.input.take()
        let outcome = frameBody(client, &lease)
        pass(client, upstream, &lease, outcome)
    }

    /// Finds the response's end in the lease and leaves in it what goes to the consumer.
    @inline(__always)
    private func frameBody(_ client: Client, _ lease: inout BufferLease) -> BodyOutcome {
        let available = lease.bytes
        let progress = client.pointee.exchange.responseBody.read(available)
        if client.pointee.exchange.flags.contains(.tapped) {
            audit(client, responseBytes: available, progress.consumed)
        }
        let excess = progress.consumed < available.count
        lease.end = lease.start &+ progress.consumed
        if client.pointee.exchange.flags.contains(.unchunksResponse) { unchunk(client, &lease) }
        return BodyOutcome(
            isComplete: progress.isComplete, isMalformed: progress.fault != nil,
            hasExcess: excess && progress.isComplete)
    }

    /// Takes the chunk framing off in place: the payload only moves towards the front.
    private func unchunk(_ client: Client, _ lease: inout BufferLease) {
        guard lease.isHeld else { return }
        let bytes = lease.bytes
        var offset = 0
        var end = lease.start
        while case .payload(let start, let count) = client.pointee.exchange.unchunker.next(in: bytes, from: &offset) {
            memmove(lease.base! + end, bytes.baseAddress! + start, count)
            end += count
        }
        lease.end = end
    }

    /// Sends what is in the lease; what the consumer does not take becomes its output.
    @inline(__always)
    private func pass(_ client: Client, _ upstream: Upstream, _ lease: inout BufferLease, _ outcome: BodyOutcome) {
        if outcome.isMalformed {
            buffers.release(&lease)
            responseBroke(client, .malformedResponse)
            return
        }
        if outcome.isComplete {
            complete(client, upstream, last: &lease, mayReuse: !outcome.hasExcess)
            return
        }
        client.pointee.output = lease.take()
        scheduleProgress(client)
        _ = sendOutput(client)
    }

    /// The response is whole: the request is booked and its place given back before the last bytes leave, so that
    /// whoever has the whole response finds it in the books and the place free.
    @inline(__always)
    func complete(_ client: Client, _ upstream: Upstream, last lease: inout BufferLease, mayReuse: Bool) {
        finishResponse(client, pending: lease.count &+ heldInPipe(client))
        client.pointee.exchange.upstream = UpstreamConnection.none
        let reuse =
            mayReuse && isReadUp(upstream) && client.pointee.exchange.flags.contains(.upstreamKeepAlive)
            && !client.pointee.exchange.flags.contains(.requestCut) && client.pointee.exchange.hasWholeRequest
            && client.pointee.exchange.bodyPending == 0
        if reuse { giveBack(upstream) } else { closeUpstream(upstream) }
        releasePlace(client, .completed)
        client.pointee.output = lease.take()
        client.pointee.phase = .flushing
        flush(client)
    }

    /// Whether nothing is behind the response: what is left unread must not be taken for another's.
    @inline(__always)
    private func isReadUp(_ upstream: Upstream) -> Bool {
        guard upstream.pointee.flags.contains(.readable), upstream.pointee.transport == .plain else { return true }
        guard isQuiet(upstream) else { return false }
        upstream.pointee.flags.remove(.readable)
        return true
    }

    private func finishResponse(_ client: Client, pending: Int) {
        let flags = client.pointee.exchange.flags
        if !flags.contains(.keepAlive) { client.pointee.flags.insert(.closesAfterFlush) }
        if !client.pointee.exchange.hasWholeRequest || client.pointee.exchange.bodyPending > 0 {
            client.pointee.flags.formUnion([.closesAfterFlush, .lingers])
        }
        book(client, outcome: .completed, pending: pending)
    }

    // MARK: To the consumer

    /// Sends the client's output. False where some is left, or the consumer has gone and the connection was closed.
    @inline(__always)
    func sendOutput(_ client: Client) -> Bool {
        while !client.pointee.output.isEmpty {
            let count = client.pointee.output.count
            let sent = send(
                client, client.pointee.output.base! + client.pointee.output.start, count: count)
            guard sent >= 0 else {
                if sent == -Int(EAGAIN) { return false }
                outputFailed(client)
                return false
            }
            client.pointee.output.start &+= sent
            client.pointee.exchange.bytesOut &+= UInt64(sent)
            if sent < count {
                scheduleProgress(client)
                return false
            }
        }
        buffers.release(&client.pointee.output)
        return true
    }

    func outputFailed(_ client: Client) {
        if client.pointee.phase == .flushing || client.pointee.phase == .idle {
            close(client)
        } else {
            consumerLeft(client)
        }
    }

    /// Sends the rest of a whole answer, then goes on with the connection.
    @inline(__always)
    func flush(_ client: Client) {
        guard flushPipe(client), sendOutput(client) else { return }
        buffers.release(&client.pointee.exchange.head)
        client.pointee.exchange.flags.remove(.active)
        client.pointee.exchangeNumber &+= 1
        client.pointee.requestsServed &+= 1
        if client.pointee.flags.contains(.closesAfterFlush) {
            let mayHaveMore =
                client.pointee.transport != .stream && !client.pointee.flags.isDisjoint(with: [.lingers, .readable])
            if mayHaveMore, !client.pointee.flags.contains(.endOfInput) { linger(client) } else { close(client) }
            return
        }
        client.pointee.phase = .idle
        timers.schedule(
            index(of: client), at: state.pointee.clock.monotonic + configuration.timeouts.keepAliveIdle.microseconds)
        if client.pointee.input.isEmpty {
            buffers.release(&client.pointee.input)
            guard client.pointee.flags.contains(.readable) else {
                // Its answer was on the way, with no word of closing, when the draining began.
                if state.pointee.isDraining, !state.pointee.keepsIdle { close(client) }
                return
            }
        }
        state.pointee.ready.push(client, in: clients)
    }
}

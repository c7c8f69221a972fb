import CGateway
import CloudModel
import Glibc
import HTTP1

// Upgraded connections (RFC 9110, section 7.8): bytes pass both ways, counted but not read.

extension EventLoop {
    /// The instance has switched protocols, as it was asked to.
    func beginTunnel(
        _ client: Client, _ upstream: Upstream, _ parser: UnsafeMutablePointer<ResponseHead>, headLength: Int
    ) {
        let head = UnsafeRawBufferPointer(rebasing: upstream.pointee.input.bytes[..<headLength])
        writeHex(client.pointee.exchange.requestID, to: requestIDText)
        var forwarding = ResponseForwarding(
            requestVersion: .http11, requestMethod: client.pointee.exchange.method, keepsAlive: true)
        forwarding.requestID = UnsafeRawBufferPointer(start: requestIDText, count: 32)
        guard let written = parser.pointee.write(forwarding, from: head, to: scratch) else {
            giveUp(client, .badGateway)
            return
        }
        counters.add(.tunnels)
        client.pointee.exchange.status = 101
        client.pointee.exchange.flags.formUnion([.responseBegun, .isTunnel])
        client.pointee.exchange.flags.remove(.keepAlive)
        client.pointee.phase = .tunnel
        buffers.release(&client.pointee.exchange.head)
        var lease = upstream.pointee.input.take()
        lease.start += headLength - written
        precondition(lease.start >= 0, "the margin is larger than any head can grow")
        (lease.base! + lease.start).copyMemory(from: scratch.baseAddress!, byteCount: written)
        // Interim responses that the consumer has not taken come first.
        if client.pointee.output.isEmpty {
            buffers.release(&client.pointee.output)
            client.pointee.output = lease.take()
        } else {
            upstream.pointee.input = lease.take()
        }
        beginTunnelTimes(client)
        pumpTunnel(client)
    }

    /// From now on silence ends it, and its usage is booked in stretches.
    func beginTunnelTimes(_ client: Client) {
        guard let service = client.pointee.exchange.service else { return }
        pipes.forget(index(of: client))
        let now = state.pointee.clock.monotonic
        let interval = service.pointee.settings.recordInterval
        client.pointee.exchange.movedAt = now
        client.pointee.exchange.nextRecordAt = interval == .max ? .max : now + interval
        scheduleTunnel(client, service)
    }

    private func scheduleTunnel(_ client: Client, _ service: UnsafeMutablePointer<LoopService>) {
        let silentAt = client.pointee.exchange.movedAt + service.pointee.settings.tunnelTimeout
        timers.schedule(index(of: client), at: min(silentAt, client.pointee.exchange.nextRecordAt))
    }

    /// The timer is left as it is: it is looked at again when it runs out.
    @inline(__always)
    private func noteMovement(_ client: Client) { client.pointee.exchange.movedAt = state.pointee.clock.monotonic }

    /// It was silent for too long, or it is time to book what it has used, or neither.
    func tunnelTimedOut(_ client: Client) {
        guard let service = client.pointee.exchange.service else { return }
        let now = state.pointee.clock.monotonic
        if now - client.pointee.exchange.movedAt >= service.pointee.settings.tunnelTimeout {
            counters.add(.timeouts)
            endTunnel(client)
            return
        }
        if now >= client.pointee.exchange.nextRecordAt {
            book(client, outcome: .tunnel, pending: 0)
            if !mayGoOn(client, service), let upstream = upstream(of: client) {
                breakTunnel(client, upstream)
                return
            }
            beginStretch(client)
            let interval = service.pointee.settings.recordInterval
            client.pointee.exchange.nextRecordAt = interval == .max ? .max : now + interval
        }
        scheduleTunnel(client, service)
    }

    /// What comes from here on is another record's.
    private func beginStretch(_ client: Client) {
        let now = state.pointee.clock.timestamp
        client.pointee.exchange.requestID = state.pointee.requestIDs.requestID()
        client.pointee.exchange.receivedAt = now
        client.pointee.exchange.forwardedAt = now
        client.pointee.exchange.bytesIn = 0
        client.pointee.exchange.bytesOut = 0
        client.pointee.exchange.flags.remove(.booked)
        client.pointee.exchange.flags.insert(.continues)
    }

    /// Moves what can be moved. A side that has finished is told to the other once all it sent has gone there.
    func pumpTunnel(_ client: Client) {
        guard let upstream = upstream(of: client) else { return }
        guard pumpToConsumer(client, upstream), pumpToInstance(client, upstream) else {
            breakTunnel(client, upstream)
            return
        }
        let bothShut: Exchange.Flags = [.consumerShut, .instanceShut]
        if client.pointee.exchange.flags.isSuperset(of: bothShut) { endTunnel(client) }
    }

    /// One side failed, or has to go: the other must not take the end of the bytes for the end of what was to come.
    private func breakTunnel(_ client: Client, _ upstream: Upstream) {
        client.pointee.exchange.upstream = UpstreamConnection.none
        closeUpstream(upstream, withReset: true)
        abandon(client, outcome: .tunnel)
        close(client, withReset: true)
    }

    func endTunnel(_ client: Client) {
        abandon(client, outcome: .tunnel)
        close(client)
    }

    /// False where a connection failed.
    private func pumpToConsumer(_ client: Client, _ upstream: Upstream) -> Bool {
        for _ in 0..<Self.readsPerTurn {
            if !client.pointee.output.isEmpty {
                guard let isSent = sendTunnel(client) else { return false }
                if !isSent { return true }
            }
            if !upstream.pointee.input.isEmpty {
                client.pointee.output = upstream.pointee.input.take()
                continue
            }
            switch splice(client, upstream, .toConsumer) {
            case .copies: break
            case .moved: continue
            case .waits: return true
            case .failed: return false
            case .ended:
                finishSending(client)
                client.pointee.exchange.flags.insert(.consumerShut)
                return true
            }
            guard upstream.pointee.flags.contains(.readable) else { return true }
            var lease = buffers.acquire()
            let count = receive(upstream, into: lease.base! + lease.start, capacity: buffers.receiveCapacity)
            guard count > 0 else {
                buffers.release(&lease)
                if count == -Int(EAGAIN) { return true }
                guard count == 0 else { return false }
                finishSending(client)
                client.pointee.exchange.flags.insert(.consumerShut)
                return true
            }
            lease.end += count
            client.pointee.output = lease.take()
            noteMovement(client)
            noteCopied(client, .toConsumer, isFull: count == buffers.receiveCapacity)
        }
        state.pointee.ready.push(client, in: clients)
        return true
    }

    /// True where all has gone, false where some is left, nil where the connection failed.
    private func sendTunnel(_ client: Client) -> Bool? {
        let count = client.pointee.output.count
        let sent = send(client, client.pointee.output.base! + client.pointee.output.start, count: count)
        if sent < 0 { return sent == -Int(EAGAIN) ? false : nil }
        client.pointee.output.start += sent
        client.pointee.exchange.bytesOut += UInt64(sent)
        guard sent == count else { return false }
        buffers.release(&client.pointee.output)
        return true
    }

    private func pumpToInstance(_ client: Client, _ upstream: Upstream) -> Bool {
        for _ in 0..<Self.readsPerTurn {
            if !client.pointee.input.isEmpty {
                let count = client.pointee.input.count
                let sent = send(
                    upstream, client.pointee.input.base! + client.pointee.input.start, count: count)
                if sent < 0 { return sent == -Int(EAGAIN) }
                client.pointee.input.start += sent
                client.pointee.exchange.bytesIn += UInt64(sent)
                guard sent == count else { return true }
                buffers.release(&client.pointee.input)
            }
            switch splice(client, upstream, .toInstance) {
            case .copies: break
            case .moved: continue
            case .waits: return true
            case .failed: return false
            case .ended:
                finishSending(upstream)
                client.pointee.exchange.flags.insert(.instanceShut)
                return true
            }
            guard client.pointee.flags.contains(.readable) else { return true }
            switch receive(client) {
            case .some(true):
                noteMovement(client)
                noteCopied(client, .toInstance, isFull: client.pointee.input.count >= buffers.receiveCapacity)
            case .some(false):
                guard client.pointee.flags.contains(.endOfInput) else { return false }
                finishSending(upstream)
                client.pointee.exchange.flags.insert(.instanceShut)
                return true
            case .none: return true
            }
        }
        state.pointee.ready.push(client, in: clients)
        return true
    }
}

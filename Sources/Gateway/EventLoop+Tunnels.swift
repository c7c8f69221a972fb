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
        scheduleTunnel(client)
        pumpTunnel(client)
    }

    private func scheduleTunnel(_ client: Client) {
        guard let service = client.pointee.exchange.service else { return }
        timers.schedule(index(of: client), at: state.pointee.clock.monotonic + service.pointee.settings.tunnelTimeout)
    }

    /// Moves what can be moved. A side that has finished is told to the other once all it sent has gone there.
    func pumpTunnel(_ client: Client) {
        guard let upstream = upstream(of: client) else { return }
        guard pumpToConsumer(client, upstream), pumpToInstance(client, upstream) else {
            endTunnel(client)
            return
        }
        let bothShut: Exchange.Flags = [.consumerShut, .instanceShut]
        if client.pointee.exchange.flags.isSuperset(of: bothShut) { endTunnel(client) }
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
            scheduleTunnel(client)
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
            guard client.pointee.flags.contains(.readable) else { return true }
            switch receive(client) {
            case .some(true): scheduleTunnel(client)
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

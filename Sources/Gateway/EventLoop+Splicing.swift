import CGateway
import Glibc

// Tunnels between two sockets of plain TCP that carry much: the bytes stay in the kernel, and go from one socket to the
// other through a pipe (splice(2)). They are counted as they go out, as copied ones are.

/// What a turn through a pipe came to.
enum SpliceStep {
    /// It is not for a pipe: copy.
    case copies
    /// Bytes have moved, and there may be more.
    case moved
    /// Nothing can be done before a socket changes.
    case waits
    /// The source has ended, and all that it sent has gone.
    case ended
    case failed
}

extension EventLoop {
    /// What comes in pieces smaller than this is copied: a copy of little costs less than a pipe's second call.
    private static var smallest: Int { 16_384 }

    /// A read has been copied: many that fill the buffer say that there is more to come.
    @inline(__always)
    func noteCopied(_ client: Client, _ way: SplicePipes.Way, isFull: Bool) {
        let lane = pipes.lane(index(of: client), way)
        lane.pointee.fullReads = isFull ? min(SplicePipes.bulk, lane.pointee.fullReads + 1) : 0
    }

    /// Carries on through a pipe where the direction is one with much to carry. Nothing of it may be in a buffer.
    @inline(__always)
    func splice(_ client: Client, _ upstream: Upstream, _ way: SplicePipes.Way) -> SpliceStep {
        let lane = pipes.lane(index(of: client), way)
        guard lane.pointee.fullReads >= SplicePipes.bulk else { return .copies }
        return spliceMuch(client, upstream, way, lane)
    }

    @inline(never)
    private func spliceMuch(
        _ client: Client, _ upstream: Upstream, _ way: SplicePipes.Way, _ lane: UnsafeMutablePointer<SplicePipes.Lane>
    ) -> SpliceStep {
        guard client.pointee.transport == .plain, upstream.pointee.transport == .plain else { return .copies }
        if lane.pointee.pipe == 0 {
            guard isReadable(client, upstream, way) else { return .waits }
            guard pipes.take(for: lane) else { return .copies }
        }
        let pipe = pipes.pipe(of: lane)
        if pipe.pointee.held > 0 {
            guard let isEmpty = empty(pipe, client, upstream, way) else { return .failed }
            guard isEmpty else { return .waits }
            pipe.pointee.held = 0
        }
        guard isReadable(client, upstream, way) else {
            pipes.give(from: lane)
            return .waits
        }
        let source = way == .toConsumer ? upstream.pointee.descriptor : client.pointee.descriptor
        let count = cgateway_splice(source, pipe.pointee.write, pipe.pointee.capacity)
        guard count > 0 else {
            setUnreadable(client, upstream, way)
            pipes.give(from: lane)
            if count == 0, way == .toInstance { client.pointee.flags.insert(.endOfInput) }
            return count == 0 ? .ended : count == -Int(EAGAIN) ? .waits : .failed
        }
        pipe.pointee.held = count
        client.pointee.exchange.movedAt = state.pointee.clock.monotonic
        guard let isEmpty = empty(pipe, client, upstream, way) else { return .failed }
        if count < Self.smallest { lane.pointee.fullReads = isEmpty ? 0 : lane.pointee.fullReads }
        guard isEmpty else { return .waits }
        if lane.pointee.fullReads == 0 { pipes.give(from: lane) }
        return .moved
    }

    /// True where all has gone, false where some is left, nil where the connection failed.
    private func empty(
        _ pipe: UnsafeMutablePointer<SplicePipes.Pipe>, _ client: Client, _ upstream: Upstream, _ way: SplicePipes.Way
    ) -> Bool? {
        let sink = way == .toConsumer ? client.pointee.descriptor : upstream.pointee.descriptor
        while pipe.pointee.held > 0 {
            let count = cgateway_splice(pipe.pointee.read, sink, pipe.pointee.held)
            guard count > 0 else {
                setUnwritable(client, upstream, way)
                return count == -Int(EAGAIN) ? false : nil
            }
            pipe.pointee.held -= count
            counters.add(.splicedBytes, UInt64(count))
            if way == .toConsumer {
                client.pointee.exchange.bytesOut += UInt64(count)
            } else {
                client.pointee.exchange.bytesIn += UInt64(count)
            }
        }
        return true
    }

    private func isReadable(_ client: Client, _ upstream: Upstream, _ way: SplicePipes.Way) -> Bool {
        way == .toConsumer
            ? upstream.pointee.flags.contains(.readable) : client.pointee.flags.contains(.readable)
    }

    private func setUnreadable(_ client: Client, _ upstream: Upstream, _ way: SplicePipes.Way) {
        if way == .toConsumer {
            upstream.pointee.flags.remove(.readable)
        } else {
            client.pointee.flags.remove(.readable)
        }
    }

    private func setUnwritable(_ client: Client, _ upstream: Upstream, _ way: SplicePipes.Way) {
        if way == .toConsumer {
            client.pointee.flags.remove(.writable)
        } else {
            upstream.pointee.flags.remove(.writable)
        }
    }
}

import CGateway
import Glibc

// Tunnels and bodies of responses between two sockets of plain TCP that carry much: the bytes stay in the kernel, and
// go from one socket to the other through a pipe (splice(2)). They are counted as they go out, as copied ones are.

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
    /// Of a body, so much has to be still to come.
    private static var smallestBody: UInt64 { 24_576 }
    /// What is read with the head of a response where a large body is likely.
    private static var headRoom: Int { 4_096 }
    /// So much of a body at most has not left yet when its request is booked as completed.
    private static var lastPiece: Int { 65_536 }

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
        let outcome =
            way == .toConsumer
            ? empty(pipe, downTo: 0, into: client.pointee.descriptor, countedBy: &client.pointee.exchange.bytesOut)
            : empty(pipe, downTo: 0, into: upstream.pointee.descriptor, countedBy: &client.pointee.exchange.bytesIn)
        if outcome != true { setUnwritable(client, upstream, way) }
        return outcome
    }

    /// True where no more than `rest` is left in the pipe.
    private func empty(
        _ pipe: UnsafeMutablePointer<SplicePipes.Pipe>, downTo rest: Int, into sink: Int32,
        countedBy bytes: inout UInt64
    ) -> Bool? {
        while pipe.pointee.held > rest {
            let count = cgateway_splice(pipe.pointee.read, sink, pipe.pointee.held - rest)
            guard count > 0 else { return count == -Int(EAGAIN) ? false : nil }
            pipe.pointee.held -= count
            counters.add(.splicedBytes, UInt64(count))
            bytes &+= UInt64(count)
        }
        return true
    }

    // MARK: Bodies

    /// Carries on with a response's body through a pipe where much of it is still to come and nobody looks into it.
    /// Nothing of it may be in a buffer. After `ended` or `failed` the exchange is over.
    @inline(__always)
    func spliceBody(_ client: Client, _ upstream: Upstream) -> SpliceStep {
        let isMuch = client.pointee.exchange.responseBody.remaining >= Self.smallestBody
        guard isMuch || pipes.inUse > 0 else { return .copies }
        return spliceMuch(ofBody: isMuch, client, upstream)
    }

    @inline(never)
    private func spliceMuch(ofBody isMuch: Bool, _ client: Client, _ upstream: Upstream) -> SpliceStep {
        let lane = pipes.lane(index(of: client), .toConsumer)
        if lane.pointee.pipe == 0 {
            guard isMuch, client.pointee.transport == .plain, upstream.pointee.transport == .plain,
                !client.pointee.exchange.flags.contains(.tapped), upstream.pointee.flags.contains(.readable),
                pipes.take(for: lane)
            else { return .copies }
        }
        let pipe = pipes.pipe(of: lane)
        if pipe.pointee.held > 0 {
            let step = emptyBody(pipe, client, upstream)
            guard step == .moved else { return step }
        }
        let remaining = client.pointee.exchange.responseBody.remaining
        guard remaining >= Self.smallestBody, upstream.pointee.flags.contains(.readable) else {
            pipes.give(from: lane)
            return .copies
        }
        let most = Int(min(remaining, UInt64(pipe.pointee.capacity)))
        let count = cgateway_splice(upstream.pointee.descriptor, pipe.pointee.write, most)
        guard count > 0 else {
            upstream.pointee.flags.remove(.readable)
            pipes.give(from: lane)
            if count == -Int(EAGAIN) { return .waits }
            upstreamEnded(client, upstream, error: Int32(-count))
            return .failed
        }
        pipe.pointee.held = count
        upstream.pointee.flags.insert(.sendsMuch)
        client.pointee.exchange.responseBody.skip(UInt64(count))
        return emptyBody(pipe, client, upstream)
    }

    /// Where a large body is likely, the head is read with little behind it: the rest then goes through a pipe. Only
    /// once, so that a guess that was wrong costs a connection one read.
    @inline(never)
    func roomForHead(_ client: Client, _ upstream: Upstream, _ room: Int) -> Int {
        upstream.pointee.flags.remove(.sendsMuch)
        return client.pointee.phase == .awaiting ? min(room, Self.headRoom) : room
    }

    /// The end of a body stays in the pipe until the request is booked, as the last buffer of a copied one does.
    private func emptyBody(
        _ pipe: UnsafeMutablePointer<SplicePipes.Pipe>, _ client: Client, _ upstream: Upstream
    ) -> SpliceStep {
        let isWhole = client.pointee.exchange.responseBody.remaining == 0
        let held = pipe.pointee.held
        let outcome = empty(
            pipe, downTo: isWhole ? Self.lastPiece : 0, into: client.pointee.descriptor,
            countedBy: &client.pointee.exchange.bytesOut)
        if pipe.pointee.held < held { scheduleProgress(client) }
        switch outcome {
        case .some(true):
            guard isWhole else { return .moved }
            var nothing = BufferLease.none
            complete(client, upstream, last: &nothing, mayReuse: true)
            return .ended
        case .some(false):
            client.pointee.flags.remove(.writable)
            return .waits
        case .none:
            outputFailed(client)
            return .failed
        }
    }

    /// What a body's pipe still holds.
    @inline(__always)
    func heldInPipe(_ client: Client) -> Int {
        guard pipes.inUse > 0 else { return 0 }
        let lane = pipes.lane(index(of: client), .toConsumer)
        return lane.pointee.pipe == 0 ? 0 : pipes.pipe(of: lane).pointee.held
    }

    /// Sends the rest of a whole body from its pipe. False where some is left, or the consumer has gone and the
    /// connection was closed.
    @inline(__always)
    func flushPipe(_ client: Client) -> Bool {
        guard pipes.inUse > 0 else { return true }
        let lane = pipes.lane(index(of: client), .toConsumer)
        guard lane.pointee.pipe != 0 else { return true }
        return flush(lane, client)
    }

    @inline(never)
    private func flush(_ lane: UnsafeMutablePointer<SplicePipes.Lane>, _ client: Client) -> Bool {
        switch empty(
            pipes.pipe(of: lane), downTo: 0, into: client.pointee.descriptor,
            countedBy: &client.pointee.exchange.bytesOut)
        {
        case .some(true):
            pipes.give(from: lane)
            return true
        case .some(false):
            client.pointee.flags.remove(.writable)
            scheduleProgress(client)
            return false
        case .none:
            outputFailed(client)
            return false
        }
    }

    // MARK: Both

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

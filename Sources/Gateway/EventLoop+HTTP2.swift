import CGateway
import CNghttp2
import Glibc
import HTTP1

// Connections that speak HTTP/2: beginning, moving bytes between the transport and nghttp2, leaving, ending.

extension EventLoop {
    // MARK: Beginning

    /// The client connection preface (RFC 9113, section 3.4), or its beginning: what a consumer sends that knows
    /// without asking that HTTP/2 is spoken here.
    func beginsHTTP2(_ client: Client) -> Bool {
        guard http2.settings.isEnabled, client.pointee.requestsServed == 0, client.pointee.transport != .stream else {
            return false
        }
        let preface: StaticString = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
        let input = client.pointee.input.bytes
        // Shorter than a request line could be complete in: the parser finds no fault before.
        let count = min(input.count, preface.utf8CodeUnitCount)
        guard count >= 16, let start = input.baseAddress else { return false }
        return memcmp(start, preface.utf8Start, count) == 0
    }

    /// The connection speaks HTTP/2 from its first byte on: it sent the preface, or the protocol was agreed on with the
    /// transport's handshake. What has been received is the session's.
    func beginSession(_ client: Client) {
        if let parser = client.pointee.parser {
            parsers.give(parser)
            client.pointee.parser = nil
        }
        let place = index(of: client)
        let session = http2.consumers.sessions + place
        open(session, role: .consumer, place: place)
        guard
            nghttp2_session_server_new2(
                &session.pointee.handle, http2.engine.callbacks, session, http2.engine.consumerOptions) == 0
        else {
            close(client)
            return
        }
        client.pointee.phase = .session
        client.pointee.requestsServed = 1
        counters.add(.http2Connections)
        submitSettings(session)
        http2.touch(session)
        if state.pointee.isDraining { leave(session) } else { scheduleSession(client) }
        let early = client.pointee.input.bytes
        if !early.isEmpty { feed(session, early) }
        buffers.release(&client.pointee.input)
        if client.pointee.flags.contains(.readable) { state.pointee.ready.push(client, in: clients) }
    }

    func open(_ session: Session, role: HTTP2Session.Role, place: Int) {
        // The list of touched sessions may still hold this place for one that is gone.
        let kept = session.pointee.flags.intersection(.inFlushQueue)
        let now = state.pointee.clock.monotonic
        session.initialize(
            to: HTTP2Session(
                handle: nil, loop: Unmanaged.passUnretained(self), role: role, flags: kept, place: UInt32(place),
                output: .none, carry: nil, carryCount: 0, firstStream: HTTP2Session.none, streamCount: 0, opened: 0,
                lineFirst: HTTP2Session.none, lineLast: HTTP2Session.none, movedAt: now,
                nextSession: HTTP2Session.none, floods: FloodGuard(now: now)))
    }

    private func submitSettings(_ session: Session) {
        let settings: [nghttp2_settings_entry] = [
            .init(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS.rawValue),
                value: UInt32(http2.settings.maximumStreams)),
            .init(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(configuration.limits.headSize.bytes)),
            // RFC 9113, section 5.3: priorities are deprecated, and every stream here gets its turn.
            .init(settings_id: Int32(NGHTTP2_SETTINGS_NO_RFC7540_PRIORITIES.rawValue), value: 1),
            // WebSocket within a stream (RFC 8441).
            .init(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL.rawValue), value: 1),
        ]
        _ = nghttp2_submit_settings(session.pointee.handle, 0, settings, settings.count)
        _ = nghttp2_session_set_local_window_size(session.pointee.handle, 0, 0, HTTP2State.connectionWindow)
    }

    // MARK: Receiving

    /// The kernel told a change of the connection, or its output has gone.
    func driveSession(_ client: Client) {
        let session = http2.consumers.sessions + index(of: client)
        if client.pointee.flags.contains(.broken) {
            close(client)
            return
        }
        if session.pointee.flags.contains(.isBlocked), client.pointee.flags.contains(.writable) { http2.touch(session) }
        for _ in 0..<Self.readsPerTurn {
            // What is asked while no answer can leave would only fill memory.
            guard client.pointee.flags.contains(.readable),
                session.pointee.flags.isDisjoint(with: [.isBlocked, .hasFailed])
            else { return }
            let count = receive(client, into: http2.received.baseAddress!, capacity: http2.received.count)
            guard count > 0 else {
                if count != -Int(EAGAIN) { close(client) }
                return
            }
            feed(session, UnsafeRawBufferPointer(rebasing: http2.received[..<count]))
        }
        state.pointee.ready.push(client, in: clients)
    }

    func feed(_ session: Session, _ bytes: UnsafeRawBufferPointer) {
        let useful = session.pointee.floods.useful
        let count = nghttp2_session_mem_recv(
            session.pointee.handle, bytes.baseAddress?.assumingMemoryBound(to: UInt8.self), bytes.count)
        http2.touch(session)
        if session.pointee.role == .consumer, session.pointee.floods.useful == useful,
            !session.pointee.floods.payForFrames(
                1 + bytes.count / FloodGuard.octetsOfAFrame, now: state.pointee.clock.monotonic)
        {
            flooded(session)
        }
        guard count < 0 else { return }
        fail(session)
        if session.pointee.role == .consumer { counters.add(.malformedRequests) }
        if count == Int(NGHTTP2_ERR_FLOODED.rawValue) {
            flooded(session)
        } else {
            _ = nghttp2_session_terminate_session(session.pointee.handle, NGHTTP2_PROTOCOL_ERROR.rawValue)
        }
    }

    /// Nothing is read any more; the last words have a little time to leave.
    private func fail(_ session: Session) {
        session.pointee.flags.insert(.hasFailed)
        guard session.pointee.role == .consumer else { return }
        timers.schedule(
            Int(session.pointee.place), at: state.pointee.clock.monotonic + configuration.timeouts.linger.microseconds)
    }

    /// The peer makes work without asking anything.
    func flooded(_ session: Session) {
        guard !session.pointee.flags.contains(.isCalmed) else { return }
        fail(session)
        session.pointee.flags.insert(.isCalmed)
        counters.add(.http2Floods)
        _ = nghttp2_session_terminate_session(session.pointee.handle, NGHTTP2_ENHANCE_YOUR_CALM.rawValue)
        http2.touch(session)
    }

    // MARK: Sending

    /// Makes frames of all that may be sent, as far as there is room for them. False where the transport takes no more.
    @inline(__always)
    func pumpFrames(_ session: Session) -> Bool {
        while true {
            if session.pointee.carryCount > 0, !putCarry(session) { return false }
            var bytes: UnsafePointer<UInt8>?
            let count = nghttp2_session_mem_send(session.pointee.handle, &bytes)
            guard count > 0 else {
                if count < 0 { session.pointee.flags.insert(.hasFailed) }
                return true
            }
            session.pointee.carry = bytes
            session.pointee.carryCount = count
        }
    }

    /// Puts the frame that was made into the output, sending what is in the way. False where some of it is left.
    private func putCarry(_ session: Session) -> Bool {
        while true {
            if !session.pointee.output.isHeld { session.pointee.output = buffers.acquire() }
            let room = buffers.bufferSize - session.pointee.output.end
            let taken = min(room, session.pointee.carryCount)
            if taken > 0, let carry = session.pointee.carry {
                (session.pointee.output.base! + session.pointee.output.end).copyMemory(from: carry, byteCount: taken)
                session.pointee.output.end += taken
                session.pointee.carry = carry + taken
                session.pointee.carryCount -= taken
            }
            if session.pointee.carryCount == 0 { return true }
            guard sendFrames(session) else { return false }
        }
    }

    /// Hands the output to the transport. False where some is left.
    private func sendFrames(_ session: Session) -> Bool {
        while !session.pointee.output.isEmpty {
            let count = session.pointee.output.count
            let sent = transmit(session, session.pointee.output.base! + session.pointee.output.start, count: count)
            guard sent >= 0 else {
                session.pointee.flags.insert(.isBlocked)
                if sent != -Int(EAGAIN) { transportFailed(session) }
                return false
            }
            session.pointee.output.start += sent
            session.pointee.movedAt = state.pointee.clock.monotonic
            if sent < count {
                session.pointee.flags.insert(.isBlocked)
                return false
            }
        }
        session.pointee.flags.remove(.isBlocked)
        buffers.release(&session.pointee.output)
        return true
    }

    private func transmit(_ session: Session, _ bytes: UnsafeRawPointer, count: Int) -> Int {
        switch session.pointee.role {
        case .consumer: send(clients[Int(session.pointee.place)], bytes, count: count)
        case .instance:
            session.pointee.flags.contains(.isConnecting)
                ? -Int(EAGAIN) : send(upstreams[Int(session.pointee.place)], bytes, count: count)
        }
    }

    /// Told in the midst of a stream's work: the connection ends on its own turn.
    private func transportFailed(_ session: Session) {
        session.pointee.flags.insert(.isCut)
        http2.touch(session)
    }

    /// Sends what the turns since the last wait have made, and gives the next streams in line theirs.
    func flushSessions() {
        guard http2.hasTouched else { return }
        http2.forEachTouched { session in
            guard session.pointee.handle != nil else { return }
            flush(session)
        }
    }

    private func flush(_ session: Session) {
        if session.pointee.flags.contains(.isCut) {
            endConnection(session, isCut: true)
            return
        }
        if session.pointee.flags.contains(.isBlocked) {
            guard isWritable(session), sendFrames(session) else { return }
        }
        guard pumpFrames(session), sendFrames(session) else { return }
        let isOver =
            session.pointee.flags.contains(.hasFailed)
            || (session.pointee.flags.contains(.hasLeft) && session.pointee.streamCount == 0)
            || (nghttp2_session_want_read(session.pointee.handle) == 0
                && nghttp2_session_want_write(session.pointee.handle) == 0)
        if isOver {
            endConnection(session, isCut: false)
            return
        }
        if session.pointee.role == .consumer {
            // Reading had stopped while nothing could be sent.
            let client = clients[Int(session.pointee.place)]
            if client.pointee.flags.contains(.readable) { state.pointee.ready.push(client, in: clients) }
        }
        if let stream = leaveLine(session) {
            stream.pointee.credit = HTTP2State.turn
            wake(stream, session, writable: true)
            if session.pointee.lineFirst != HTTP2Session.none { http2.touch(session) }
        }
    }

    private func isWritable(_ session: Session) -> Bool {
        switch session.pointee.role {
        case .consumer: clients[Int(session.pointee.place)].pointee.flags.contains(.writable)
        case .instance:
            upstreams[Int(session.pointee.place)].pointee.flags.contains(.writable)
                && !session.pointee.flags.contains(.isConnecting)
        }
    }

    private func endConnection(_ session: Session, isCut: Bool) {
        switch session.pointee.role {
        case .instance: closeUpstream(upstreams[Int(session.pointee.place)])
        case .consumer:
            let client = clients[Int(session.pointee.place)]
            if isCut {
                close(client)
            } else {
                endSession(client)
                linger(client)
            }
        }
    }

    // MARK: Leaving and ending

    /// Until when the connection may be without a stream, or its peer without taking anything.
    func scheduleSession(_ client: Client) {
        timers.schedule(
            index(of: client), at: state.pointee.clock.monotonic + configuration.timeouts.keepAliveIdle.microseconds)
    }

    /// Says that the connection will end: streams that are on the way are still served (RFC 9113, section 6.8).
    func leave(_ session: Session) {
        guard !session.pointee.flags.contains(.isLeaving) else { return }
        session.pointee.flags.insert(.isLeaving)
        _ = nghttp2_submit_shutdown_notice(session.pointee.handle)
        http2.touch(session)
        guard session.pointee.role == .consumer else { return }
        timers.schedule(Int(session.pointee.place), at: state.pointee.clock.monotonic + HTTP2State.leaveGrace)
    }

    func sessionTimedOut(_ client: Client) {
        let session = http2.consumers.sessions + index(of: client)
        let now = state.pointee.clock.monotonic
        let isStuck =
            session.pointee.flags.contains(.isBlocked)
            && now - session.pointee.movedAt >= configuration.timeouts.keepAliveIdle.microseconds
        if isStuck || session.pointee.flags.contains(.hasFailed) {
            close(client, withReset: true)
            return
        }
        if session.pointee.flags.contains(.isLeaving) || session.pointee.streamCount == 0 {
            let last = nghttp2_session_get_last_proc_stream_id(session.pointee.handle)
            _ = nghttp2_submit_goaway(
                session.pointee.handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), last, NGHTTP2_NO_ERROR.rawValue, nil, 0)
            session.pointee.flags.formUnion([.isLeaving, .hasLeft])
            http2.touch(session)
        }
        scheduleSession(client)
    }

    /// The connection is no session any more; its streams find themselves broken on their next turn.
    func endSession(_ client: Client) {
        let session = http2.consumers.sessions + index(of: client)
        while session.pointee.firstStream != HTTP2Session.none {
            let stream = http2.consumers.streams + Int(session.pointee.firstStream)
            unlink(stream, session)
            wake(stream, session, broken: true)
        }
        end(session)
    }

    func end(_ session: Session) {
        buffers.release(&session.pointee.output)
        session.pointee.carry = nil
        session.pointee.carryCount = 0
        guard let handle = session.pointee.handle else { return }
        session.pointee.handle = nil
        nghttp2_session_del(handle)
    }

    // MARK: The line of streams that wait for the output

    func joinLine(_ stream: Stream, _ session: Session) {
        guard !stream.pointee.flags.contains(.inLine) else { return }
        stream.pointee.flags.insert(.inLine)
        stream.pointee.nextInLine = HTTP2Session.none
        if session.pointee.lineFirst == HTTP2Session.none {
            session.pointee.lineFirst = stream.pointee.place
        } else {
            places(session).streams[Int(session.pointee.lineLast)].nextInLine = stream.pointee.place
        }
        session.pointee.lineLast = stream.pointee.place
        http2.touch(session)
    }

    private func leaveLine(_ session: Session) -> Stream? {
        guard session.pointee.lineFirst != HTTP2Session.none else { return nil }
        let stream = places(session).streams + Int(session.pointee.lineFirst)
        session.pointee.lineFirst = stream.pointee.nextInLine
        stream.pointee.flags.remove(.inLine)
        return stream
    }

    @inline(__always)
    func places(_ session: Session) -> HTTP2Places {
        session.pointee.role == .consumer ? http2.consumers : http2.instances
    }

    /// Out of the session: nothing that the peer sends reaches the stream any more.
    func unlink(_ stream: Stream, _ session: Session) {
        let streams = places(session).streams
        if stream.pointee.flags.contains(.inLine) { removeFromLine(stream, session) }
        if stream.pointee.previous == HTTP2Session.none {
            session.pointee.firstStream = stream.pointee.next
        } else {
            streams[Int(stream.pointee.previous)].next = stream.pointee.next
        }
        if stream.pointee.next != HTTP2Session.none {
            streams[Int(stream.pointee.next)].previous = stream.pointee.previous
        }
        stream.pointee.session = nil
        session.pointee.streamCount -= 1
    }

    private func removeFromLine(_ stream: Stream, _ session: Session) {
        let streams = places(session).streams
        var before = HTTP2Session.none
        var current = session.pointee.lineFirst
        while current != HTTP2Session.none, current != stream.pointee.place {
            before = current
            current = streams[Int(current)].nextInLine
        }
        guard current != HTTP2Session.none else { return }
        if before == HTTP2Session.none {
            session.pointee.lineFirst = stream.pointee.nextInLine
        } else {
            streams[Int(before)].nextInLine = stream.pointee.nextInLine
        }
        if session.pointee.lineLast == current { session.pointee.lineLast = before }
        stream.pointee.flags.remove(.inLine)
    }
}

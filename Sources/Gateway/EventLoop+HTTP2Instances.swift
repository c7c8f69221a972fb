import CGateway
import CloudModel
import CNghttp2
import Glibc
import HTTP1
import LoadBalancing

// HTTP/2 to instances that speak it: connections with prior knowledge, each of which carries several requests. A
// request has a place in the slab of connections to instances, with `Transport.stream`; the connection that carries it
// has one of its own, in the state `session`.

extension EventLoop {
    /// Requests on one connection, also where the instance would take more: then one that breaks takes fewer with it.
    private static var streamsPerConnection: Int32 { 100 }

    /// A stream for the client's request, on a connection that stands or is begun for it. Nil, with an error number,
    /// where that failed at once.
    func openStream(
        _ client: Client, to slot: BackendSlot, _ backend: UnsafeMutablePointer<LoopBackend>
    ) -> (upstream: Upstream?, error: Int32) {
        let (found, error) = session(client, to: slot, backend)
        guard let session = found, let service = client.pointee.exchange.service else { return (nil, error) }
        guard let place = upstreams.acquire() else { return (nil, ENOBUFS) }
        let upstream = upstreams[place]
        let isConnecting = session.pointee.flags.contains(.isConnecting)
        upstream.initialize(
            to: UpstreamConnection(
                descriptor: -1, generation: upstream.pointee.generation, state: isConnecting ? .connecting : .active,
                transport: .stream, flags: .writable, tls: nil, client: UInt32(truncatingIfNeeded: index(of: client)),
                service: service, backend: slot.index, backendGeneration: slot.generation,
                nextIdle: UpstreamConnection.none, previousIdle: UpstreamConnection.none, idleSince: 0, parser: nil,
                input: .none))
        link(http2.instances.streams + place, session, id: 0, place: place)
        counters.add(.http2InstanceStreams)
        return (upstream, 0)
    }

    private func session(
        _ client: Client, to slot: BackendSlot, _ backend: UnsafeMutablePointer<LoopBackend>
    ) -> (Session?, Int32) {
        var next = backend.pointee.firstSession
        while next != HTTP2Session.none {
            let session = http2.instances.sessions + Int(next)
            if mayOpen(session) { return (session, 0) }
            next = session.pointee.nextSession
        }
        let (carrier, error) = connect(client, to: slot, backend)
        guard let carrier else { return (nil, error) }
        let place = index(of: carrier)
        let session = http2.instances.sessions + place
        open(session, role: .instance, place: place)
        if carrier.pointee.state == .connecting { session.pointee.flags.insert(.isConnecting) }
        carrier.pointee.state = .session
        carrier.pointee.client = UpstreamConnection.none
        guard
            nghttp2_session_client_new2(
                &session.pointee.handle, http2.engine.callbacks, session, http2.engine.instanceOptions) == 0
        else {
            closeUpstream(carrier)
            return (nil, ENOMEM)
        }
        submitInstanceSettings(session)
        session.pointee.nextSession = backend.pointee.firstSession
        backend.pointee.firstSession = session.pointee.place
        http2.touch(session)
        return (session, 0)
    }

    private func mayOpen(_ session: Session) -> Bool {
        let allowed = nghttp2_session_get_remote_settings(
            session.pointee.handle, NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS)
        return session.pointee.flags.isDisjoint(with: [.isLeaving, .hasLeft, .hasFailed])
            && session.pointee.streamCount < min(Self.streamsPerConnection, Int32(clamping: allowed))
            && nghttp2_session_check_request_allowed(session.pointee.handle) != 0
    }

    private func submitInstanceSettings(_ session: Session) {
        let settings: [nghttp2_settings_entry] = [
            .init(settings_id: Int32(NGHTTP2_SETTINGS_ENABLE_PUSH.rawValue), value: 0),
            .init(
                settings_id: Int32(NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE.rawValue),
                value: UInt32(configuration.limits.headSize.bytes)),
        ]
        _ = nghttp2_submit_settings(session.pointee.handle, 0, settings, settings.count)
        _ = nghttp2_session_set_local_window_size(session.pointee.handle, 0, 0, HTTP2State.connectionWindow)
    }

    // MARK: The connection

    /// The kernel told a change of a connection that carries streams.
    func driveSession(_ carrier: Upstream) {
        let session = http2.instances.sessions + index(of: carrier)
        if session.pointee.flags.contains(.isConnecting), !finishConnecting(carrier, session) { return }
        if session.pointee.flags.contains(.isBlocked) { http2.touch(session) }
        // The windows bound what an instance may send before its streams are taken.
        while carrier.pointee.flags.contains(.readable), !session.pointee.flags.contains(.hasFailed) {
            let count = receive(carrier, into: http2.received.baseAddress!, capacity: http2.received.count)
            guard count > 0 else {
                if count != -Int(EAGAIN) { closeUpstream(carrier) }
                return
            }
            feed(session, UnsafeRawBufferPointer(rebasing: http2.received[..<count]))
        }
    }

    /// False while it is not made, and where it failed.
    private func finishConnecting(_ carrier: Upstream, _ session: Session) -> Bool {
        guard !carrier.pointee.flags.isDisjoint(with: [.writable, .broken]) else { return false }
        let result = cgateway_connect_result(carrier.pointee.descriptor)
        session.pointee.flags.remove([.isConnecting, .isBlocked])
        http2.touch(session)
        guard result == 0 else {
            session.pointee.flags.insert(.hasFailed)
            while session.pointee.firstStream != HTTP2Session.none {
                let upstream = upstreams[Int(session.pointee.firstStream)]
                let failure: BackendFailure = result == -ETIMEDOUT ? .connectTimeout : .connectionRefused
                // Gives the stream back, so that the next one is the first.
                backendFailed(clients[Int(upstream.pointee.client)], failure)
            }
            closeUpstream(carrier)
            return false
        }
        var next = session.pointee.firstStream
        while next != HTTP2Session.none {
            let upstream = upstreams[Int(next)]
            next = http2.instances.streams[Int(next)].next
            guard upstream.pointee.state == .connecting else { continue }
            upstream.pointee.state = .active
            let client = clients[Int(upstream.pointee.client)]
            client.pointee.phase = .awaiting
            scheduleAwaiting(client)
            state.pointee.ready.push(client, in: clients)
        }
        return true
    }

    /// The connection ends: its streams find themselves broken on their next turn.
    func endSession(_ carrier: Upstream) {
        let session = http2.instances.sessions + index(of: carrier)
        unlist(session, carrier)
        while session.pointee.firstStream != HTTP2Session.none {
            let stream = http2.instances.streams + Int(session.pointee.firstStream)
            unlink(stream, session)
            wake(stream, session, broken: true)
        }
        end(session)
    }

    /// Out of its backend's list: no request is given to it any more.
    private func unlist(_ session: Session, _ carrier: Upstream) {
        let service = carrier.pointee.service
        guard Int(carrier.pointee.backend) < service.pointee.backendCapacity else { return }
        let backend = service.pointee.backends + Int(carrier.pointee.backend)
        var before = HTTP2Session.none
        var current = backend.pointee.firstSession
        while current != HTTP2Session.none, current != session.pointee.place {
            before = current
            current = http2.instances.sessions[Int(current)].nextSession
        }
        guard current != HTTP2Session.none else { return }
        if before == HTTP2Session.none {
            backend.pointee.firstSession = session.pointee.nextSession
        } else {
            http2.instances.sessions[Int(before)].nextSession = session.pointee.nextSession
        }
    }

    /// No new requests for the connections to this backend; each ends with its last stream.
    func leaveSessions(of backend: UnsafeMutablePointer<LoopBackend>) {
        while backend.pointee.firstSession != HTTP2Session.none {
            let session = http2.instances.sessions + Int(backend.pointee.firstSession)
            backend.pointee.firstSession = session.pointee.nextSession
            session.pointee.flags.formUnion([.isLeaving, .hasLeft])
            http2.touch(session)
        }
    }

    /// Closes connections that have been without a stream for too long.
    func closeExpiredSessions(of backend: UnsafeMutablePointer<LoopBackend>, before limit: Int64) {
        var next = backend.pointee.firstSession
        while next != HTTP2Session.none {
            let session = http2.instances.sessions + Int(next)
            next = session.pointee.nextSession
            if session.pointee.streamCount == 0, session.pointee.movedAt < limit {
                closeUpstream(upstreams[Int(session.pointee.place)])
            }
        }
    }

    /// Submits the request whose head was read; its body follows where it has one.
    func submitRequest(_ stream: Stream, _ session: Session, _ message: FieldLines, hasBody: Bool) -> Bool {
        let id: Int32
        if hasBody {
            var provider = nghttp2_data_provider(source: nghttp2_data_source(), read_callback: HTTP2Engine.provider)
            id = nghttp2_submit_request(
                session.pointee.handle, nil, message.fields, message.count, &provider, stream)
        } else {
            id = nghttp2_submit_request(session.pointee.handle, nil, message.fields, message.count, nil, stream)
        }
        guard id > 0 else { return false }
        stream.pointee.id = id
        return true
    }
}

import CNghttp2
import Glibc
import HTTP1

// From frames to the octets that an exchange reads: a head of HTTP/1.1, then the body with its length or in chunks.
//
// nghttp2 checks what RFC 9113, section 8 demands of pseudo-fields, of fields about one connection, and of
// content-length beside DATA, and resets the streams that fail; the head that is written here is then read by the one
// parser of the gateway, so that a request means the same over either protocol. The callbacks that call this must not
// call nghttp2 to receive or send, so they only note what came and have the stream's exchange go on afterwards.

extension EventLoop {
    /// Every frame is told here first, unknown ones too.
    @inline(__always)
    func frameBegins(_ session: Session, _ header: UnsafePointer<nghttp2_frame_hd>) {
        guard session.pointee.role == .consumer else { return }
        let type = UInt32(header.pointee.type)
        if type == NGHTTP2_HEADERS.rawValue || (type == NGHTTP2_DATA.rawValue && header.pointee.length > 0) {
            session.pointee.floods.earn()
            return
        }
        // A last frame without content is how many end a body.
        if type == NGHTTP2_DATA.rawValue, header.pointee.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0 { return }
        if type == NGHTTP2_WINDOW_UPDATE.rawValue, session.pointee.floods.answersFrame() { return }
        let now = state.pointee.clock.monotonic
        var isWithin = session.pointee.floods.payForFrames(now: now)
        if type == NGHTTP2_RST_STREAM.rawValue, !session.pointee.floods.payForReset(now: now) { isWithin = false }
        if !isWithin { flooded(session) }
    }

    // MARK: Heads

    func fieldsBegin(_ session: Session, _ frame: UnsafePointer<nghttp2_frame>) -> Int32 {
        let id = frame.pointee.hd.stream_id
        if let stream = HTTP2Engine.stream(session.pointee.handle, id) {
            if stream.pointee.flags.contains(.hasHead) { stream.pointee.flags.insert(.receivesTrailers) }
            return 0
        }
        guard session.pointee.role == .consumer, frame.pointee.headers.cat == NGHTTP2_HCAT_REQUEST else { return 0 }
        openStream(session, id: id)
        return 0
    }

    /// A consumer begins a request: it gets a place like a connection of its own.
    private func openStream(_ session: Session, id: Int32) {
        guard session.pointee.streamCount < Int32(http2.settings.maximumStreams), !clients.isFull,
            !session.pointee.flags.contains(.hasFailed), let place = clients.acquire()
        else {
            // REFUSED_STREAM tells that nothing was done: the consumer may send it again (RFC 9113, section 8.7).
            counters.add(.http2StreamsRefused)
            _ = nghttp2_submit_rst_stream(
                session.pointee.handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, NGHTTP2_REFUSED_STREAM.rawValue)
            return
        }
        let connection = clients[Int(session.pointee.place)]
        let client = clients[place]
        let kept = client.pointee.flags.intersection(.inReadyQueue)
        client.initialize(
            to: ClientConnection(
                descriptor: -1, generation: client.pointee.generation, phase: .idle, transport: .stream,
                listener: connection.pointee.listener, flags: kept,
                exchangeNumber: client.pointee.exchangeNumber, requestsServed: 0, lingered: 0, parser: nil,
                input: .none, output: .none, peer: connection.pointee.peer, tls: nil,
                isSecure: connection.pointee.isSecure, certificate: connection.pointee.certificate,
                nextOpening: OpeningList.none, previousOpening: OpeningList.none, exchange: .none))
        client.pointee.flags.insert(.writable)
        counters.add(.http2Streams)
        let stream = http2.consumers.streams + place
        link(stream, session, id: id, place: place)
        timers.schedule(place, at: state.pointee.clock.monotonic + configuration.timeouts.requestHead.microseconds)
        if Int(session.pointee.opened) >= configuration.limits.requestsPerConnection { leave(session) }
    }

    func link(_ stream: Stream, _ session: Session, id: Int32, place: Int) {
        stream.initialize(to: .opened(session, id: id, place: UInt32(place)))
        stream.pointee.next = session.pointee.firstStream
        if session.pointee.firstStream != HTTP2Session.none {
            places(session).streams[Int(session.pointee.firstStream)].previous = stream.pointee.place
        }
        session.pointee.firstStream = stream.pointee.place
        session.pointee.streamCount += 1
        session.pointee.opened += 1
        _ = nghttp2_session_set_stream_user_data(session.pointee.handle, id, stream)
    }

    /// One field of a head or of a trailer section.
    func takeField(_ stream: Stream, _ session: Session, _ name: OpaquePointer, _ value: OpaquePointer) -> Int32 {
        let name = Self.octets(of: name)
        if stream.pointee.flags.contains(.receivesTrailers) {
            return takeTrailer(stream, name, Self.octets(of: value))
        }
        if name.first == UInt8(ascii: ":") {
            takePseudoField(stream, session, name, value)
            return 0
        }
        writeStartLine(stream)
        let text = Self.octets(of: value)
        switch name.count {
        case 4 where Self.equal(name, "host"):
            guard let authority = stream.pointee.authority else { break }
            // It must say the same as `:authority` (RFC 9113, section 8.3.1), which the Host line was written from.
            let isSame = Self.octets(of: authority).elementsEqual(text) { $0 | 0x20 == $1 | 0x20 }
            return isSame ? 0 : NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        case 6 where Self.equal(name, "cookie"): stream.pointee.cookieCount += 1
        case 14 where Self.equal(name, "content-length"):
            // A tunnel has no body that could have a length.
            if stream.pointee.flags.contains(.isTunnel) { return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue }
            stream.pointee.flags.insert(.hasLength)
        case 17 where Self.equal(name, "sec-websocket-key") && stream.pointee.flags.contains(.isTunnel): return 0
        default: break
        }
        append(stream, name)
        append(stream, ": ")
        append(stream, text)
        append(stream, "\r\n")
        return 0
    }

    private func takePseudoField(
        _ stream: Stream, _ session: Session, _ name: UnsafeRawBufferPointer, _ value: OpaquePointer
    ) {
        switch (session.pointee.role, name.count) {
        case (.consumer, 7) where name[1] == UInt8(ascii: "m"): keep(value, in: &stream.pointee.method)
        case (.consumer, 5): keep(value, in: &stream.pointee.path)
        case (.consumer, 9): keep(value, in: &stream.pointee.tunnelProtocol)
        case (.consumer, 10): keep(value, in: &stream.pointee.authority)
        case (.instance, 7): writeStatusLine(stream, Self.octets(of: value))
        default: break
        }
    }

    private func keep(_ value: OpaquePointer, in place: inout OpaquePointer?) {
        guard place == nil else { return }
        nghttp2_rcbuf_incref(value)
        place = value
    }

    /// All pseudo-fields come first, in any order; the request line needs them in its own.
    private func writeStartLine(_ stream: Stream) {
        guard !stream.pointee.flags.contains(.hasStartLine) else { return }
        stream.pointee.flags.insert(.hasStartLine)
        guard let method = stream.pointee.method else { return }
        if stream.pointee.tunnelProtocol == nil {
            append(stream, Self.octets(of: method))
        } else {
            // What asks for it in HTTP/1.1. Octets pass as they are, which is what the length is noted for.
            stream.pointee.flags.formUnion([.isTunnel, .hasLength])
            append(stream, "GET")
        }
        append(stream, " ")
        if let target = stream.pointee.path ?? stream.pointee.authority { append(stream, Self.octets(of: target)) }
        append(stream, " HTTP/1.1\r\n")
        if let authority = stream.pointee.authority {
            append(stream, "host: ")
            append(stream, Self.octets(of: authority))
            append(stream, "\r\n")
        }
        if let name = stream.pointee.tunnelProtocol { writeUpgrade(stream, to: Self.octets(of: name)) }
    }

    /// Of HTTP/1.1, in which the instance is asked. The key proves only that a server read it, and HTTP/2 has none.
    private func writeUpgrade(_ stream: Stream, to name: UnsafeRawBufferPointer) {
        append(stream, "connection: upgrade, close\r\nupgrade: ")
        append(stream, name)
        append(stream, "\r\n")
        guard Self.equal(name, "websocket") else { return }
        let nonce = state.pointee.requestIDs.requestID()
        var bits = UInt128(nonce.high) << 64 | UInt128(nonce.low)
        let key = UnsafeMutableRawBufferPointer(rebasing: http2.text[..<24])
        let alphabet: StaticString = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
        for place in 0..<22 {
            key[place] = alphabet.utf8Start[Int(truncatingIfNeeded: bits >> 122)]
            bits <<= 6
        }
        key[22] = UInt8(ascii: "=")
        key[23] = UInt8(ascii: "=")
        append(stream, "sec-websocket-key: ")
        append(stream, UnsafeRawBufferPointer(key))
        append(stream, "\r\n")
    }

    /// HTTP/2 has no reason phrases.
    private func writeStatusLine(_ stream: Stream, _ status: UnsafeRawBufferPointer) {
        stream.pointee.flags.insert(.hasStartLine)
        stream.pointee.flags.remove([.isInterim, .isBodiless])
        if status.first == UInt8(ascii: "1") { stream.pointee.flags.formUnion([.isInterim, .isBodiless]) }
        if Self.equal(status, "204") || Self.equal(status, "304") { stream.pointee.flags.insert(.isBodiless) }
        append(stream, "HTTP/1.1 ")
        append(stream, status)
        append(stream, " \r\n")
    }

    func forgetPseudoFields(_ stream: Stream) {
        nghttp2_rcbuf_decref(stream.pointee.method)
        nghttp2_rcbuf_decref(stream.pointee.path)
        nghttp2_rcbuf_decref(stream.pointee.authority)
        nghttp2_rcbuf_decref(stream.pointee.tunnelProtocol)
        stream.pointee.method = nil
        stream.pointee.path = nil
        stream.pointee.authority = nil
        stream.pointee.tunnelProtocol = nil
    }

    /// The head's last field has come.
    private func finishHead(_ stream: Stream, _ session: Session, isLast: Bool) {
        writeStartLine(stream)
        if let method = stream.pointee.method, Self.equal(Self.octets(of: method), "HEAD") {
            stream.pointee.flags.insert(.answersHead)
        }
        forgetPseudoFields(stream)
        if stream.pointee.cookieCount > 1 { joinCookies(stream) }
        if stream.pointee.flags.contains(.isInterim) {
            append(stream, "\r\n")
            stream.pointee.flags.remove([.hasStartLine, .hasLength])
            stream.pointee.headLeft = stream.pointee.inbox.count
            return
        }
        if stream.pointee.flags.contains(.isTunnel) {
            if isLast { stream.pointee.flags.insert(.peerEnded) }
            append(stream, "\r\n")
            stream.pointee.flags.insert(.hasHead)
            stream.pointee.headLeft = stream.pointee.inbox.count
            return
        }
        if isLast {
            stream.pointee.flags.formUnion([.hasNoBody, .peerEnded])
            let tellsLength =
                stream.pointee.flags.contains(.isResponse)
                && stream.pointee.flags.isDisjoint(with: [.hasLength, .isBodiless, .answersHead])
            // Without it the end of the connection would be the body's.
            if tellsLength { append(stream, "content-length: 0\r\n") }
        } else if !stream.pointee.flags.contains(.hasLength) {
            append(stream, "transfer-encoding: chunked\r\n")
        }
        if session.pointee.role == .consumer { append(stream, "connection: close\r\n") }
        append(stream, "\r\n")
        stream.pointee.flags.insert(.hasHead)
        stream.pointee.headLeft = stream.pointee.inbox.count
    }

    /// A consumer may send its cookies in several fields, which servers of HTTP/1.1 expect as one (RFC 9113, section
    /// 8.2.3). Rare enough to go over the head a second time.
    private func joinCookies(_ stream: Stream) {
        let head = stream.pointee.inbox.bytes
        var others = OctetWriter(scratch)
        var cookies = OctetWriter(http2.text)
        var start = 0
        while start < head.count {
            var end = start
            while head[end] != UInt8(ascii: "\n") { end += 1 }
            let line = UnsafeRawBufferPointer(rebasing: head[start...end])
            if line.count > 10, Self.equal(UnsafeRawBufferPointer(rebasing: line[..<8]), "cookie: ") {
                cookies.append(cookies.written == 0 ? "cookie: " : "; ")
                cookies.append(UnsafeRawBufferPointer(rebasing: line[8..<(line.count - 2)]))
            } else {
                others.append(line)
            }
            start = end + 1
        }
        cookies.append("\r\n")
        guard let first = others.written, let second = cookies.written, first + second <= head.count + 2 else { return }
        let base = stream.pointee.inbox.base! + stream.pointee.inbox.start
        base.copyMemory(from: scratch.baseAddress!, byteCount: first)
        (base + first).copyMemory(from: http2.text.baseAddress!, byteCount: second)
        stream.pointee.inbox.end = stream.pointee.inbox.start + first + second
    }

    private func takeTrailer(
        _ stream: Stream, _ name: UnsafeRawBufferPointer, _ value: UnsafeRawBufferPointer
    ) -> Int32 {
        let size = name.count + value.count + 4
        guard stream.pointee.trailerCount + size <= ChunkedDecoder.trailerLimit else {
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        makeRoom(stream, for: size)
        let before = stream.pointee.inbox.end
        append(stream, name)
        append(stream, ": ")
        append(stream, value)
        append(stream, "\r\n")
        stream.pointee.trailerCount += stream.pointee.inbox.end - before
        return 0
    }

    // MARK: Bodies

    func takeData(_ session: Session, id: Int32, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        guard let stream = HTTP2Engine.stream(session.pointee.handle, id), stream.pointee.session == session else {
            // Of a stream that nobody reads any more.
            _ = nghttp2_session_consume_connection(session.pointee.handle, bytes.count)
            return 0
        }
        session.pointee.floods.noteContent()
        makeRoom(stream, for: bytes.count)
        guard stream.pointee.inbox.end + bytes.count <= http2.inboxes.bufferSize else {
            return NGHTTP2_ERR_CALLBACK_FAILURE.rawValue
        }
        (stream.pointee.inbox.base! + stream.pointee.inbox.end).copyMemory(
            from: bytes.baseAddress!, byteCount: bytes.count)
        stream.pointee.inbox.end += bytes.count
        wake(stream, session, readable: true)
        return 0
    }

    private func makeRoom(_ stream: Stream, for count: Int) {
        if !stream.pointee.inbox.isHeld { stream.pointee.inbox = http2.inboxes.acquire() }
        if stream.pointee.inbox.end + count > http2.inboxes.bufferSize { stream.pointee.inbox.moveToFront() }
    }

    // MARK: Frames

    func takeFrame(_ session: Session, _ frame: UnsafePointer<nghttp2_frame>) -> Int32 {
        let header = frame.pointee.hd
        let endsStream = header.flags & UInt8(NGHTTP2_FLAG_END_STREAM.rawValue) != 0
        switch UInt32(header.type) {
        case NGHTTP2_HEADERS.rawValue:
            guard let stream = HTTP2Engine.stream(session.pointee.handle, header.stream_id) else { break }
            if !stream.pointee.flags.contains(.hasHead) { finishHead(stream, session, isLast: endsStream) }
            if endsStream { stream.pointee.flags.insert(.peerEnded) }
            wake(stream, session, readable: true)
        case NGHTTP2_DATA.rawValue:
            guard endsStream, let stream = HTTP2Engine.stream(session.pointee.handle, header.stream_id) else { break }
            stream.pointee.flags.insert(.peerEnded)
            wake(stream, session, readable: true)
        case NGHTTP2_WINDOW_UPDATE.rawValue:
            windowOpened(session, id: header.stream_id)
        case NGHTTP2_SETTINGS.rawValue:
            // The peer's initial window may have grown.
            windowOpened(session, id: 0)
        default: break
        }
        return 0
    }

    private func windowOpened(_ session: Session, id: Int32) {
        guard id == 0 else {
            if let stream = HTTP2Engine.stream(session.pointee.handle, id) { resume(stream, session) }
            return
        }
        var next = session.pointee.firstStream
        while next != HTTP2Session.none {
            let stream = places(session).streams + Int(next)
            next = stream.pointee.next
            resume(stream, session)
        }
    }

    private func resume(_ stream: Stream, _ session: Session) {
        guard stream.pointee.flags.contains(.awaitsWindow) else { return }
        stream.pointee.flags.remove(.awaitsWindow)
        joinLine(stream, session)
    }

    func streamClosed(_ stream: Stream, _ session: Session, code: UInt32) {
        stream.pointee.flags.insert(.isClosed)
        if session.pointee.role == .instance {
            if stream.pointee.flags.contains(.peerEnded) { return }
            // REFUSED_STREAM: the instance did nothing with it (RFC 9113, section 8.7).
            let client = clients[Int(upstreams[Int(stream.pointee.place)].pointee.client)]
            if code == NGHTTP2_REFUSED_STREAM.rawValue { client.pointee.exchange.flags.remove(.sent) }
        }
        let isWhole = stream.pointee.flags.isSuperset(of: [.hasEnded, .peerEnded])
        if isWhole, code == NGHTTP2_NO_ERROR.rawValue { return }
        wake(stream, session, broken: true)
    }

    /// The stream's exchange has something to do on its next turn.
    func wake(
        _ stream: Stream, _ session: Session, readable: Bool = false, writable: Bool = false, broken: Bool = false
    ) {
        guard session.pointee.role == .consumer else {
            let upstream = upstreams[Int(stream.pointee.place)]
            if readable || broken { upstream.pointee.flags.insert(.readable) }
            if writable { upstream.pointee.flags.insert(.writable) }
            if broken { upstream.pointee.flags.insert(.broken) }
            state.pointee.ready.push(clients[Int(upstream.pointee.client)], in: clients)
            return
        }
        let client = clients[Int(stream.pointee.place)]
        if readable || broken { client.pointee.flags.insert(.readable) }
        if writable { client.pointee.flags.insert(.writable) }
        if broken { client.pointee.flags.insert(.broken) }
        state.pointee.ready.push(client, in: clients)
    }

    // MARK: Octets

    static func octets(of buffer: OpaquePointer) -> UnsafeRawBufferPointer {
        let vector = nghttp2_rcbuf_get_buf(buffer)
        return UnsafeRawBufferPointer(start: vector.base, count: vector.len)
    }

    @inline(__always)
    static func equal(_ octets: UnsafeRawBufferPointer, _ text: StaticString) -> Bool {
        octets.count == text.utf8CodeUnitCount && memcmp(octets.baseAddress!, text.utf8Start, octets.count) == 0
    }

    private func append(_ stream: Stream, _ text: StaticString) {
        append(stream, UnsafeRawBufferPointer(start: text.utf8Start, count: text.utf8CodeUnitCount))
    }

    /// More than a head may have is left out; the stream is then answered with 431.
    private func append(_ stream: Stream, _ octets: UnsafeRawBufferPointer) {
        if !stream.pointee.inbox.isHeld { stream.pointee.inbox = http2.inboxes.acquire() }
        let isTrailer = stream.pointee.flags.contains(.receivesTrailers)
        if !isTrailer, stream.pointee.inbox.count + octets.count > Int(configuration.limits.headSize.bytes) {
            stream.pointee.flags.insert(.isOversized)
            return
        }
        guard !octets.isEmpty else { return }
        (stream.pointee.inbox.base! + stream.pointee.inbox.end).copyMemory(
            from: octets.baseAddress!, byteCount: octets.count)
        stream.pointee.inbox.end += octets.count
    }

    /// Gives the exchange what there is of the message, `capacity` octets at most; `-EAGAIN` where there is nothing
    /// now.
    func receive(_ stream: Stream, into bytes: UnsafeMutableRawPointer, capacity: Int) -> Int {
        let isGone = stream.pointee.session == nil || stream.pointee.flags.contains(.isClosed)
        // What came of a response counts, whatever became of its stream since; a request that is gone is not begun.
        guard !isGone || stream.pointee.flags.contains(.isResponse) else { return -Int(ECONNRESET) }
        let nothing = stream.pointee.isCutShort ? -Int(ECONNRESET) : -Int(EAGAIN)
        guard stream.pointee.flags.contains(.hasHead) || stream.pointee.headLeft > 0 else { return nothing }
        guard !stream.pointee.flags.contains(.isOversized) else { return -Int(EMSGSIZE) }
        var count = 0
        if stream.pointee.headLeft > 0 {
            count = min(stream.pointee.headLeft, capacity)
            bytes.copyMemory(from: stream.pointee.inbox.base! + stream.pointee.inbox.start, byteCount: count)
            stream.pointee.inbox.start += count
            stream.pointee.headLeft -= count
        }
        if stream.pointee.headLeft == 0, stream.pointee.flags.contains(.hasHead),
            !stream.pointee.flags.contains(.hasNoBody)
        {
            count += receiveBody(stream, into: bytes + count, capacity: capacity - count)
        }
        if stream.pointee.inbox.isEmpty { http2.inboxes.release(&stream.pointee.inbox) }
        let isOver =
            count == 0 && stream.pointee.inbox.count == stream.pointee.trailerCount
            && stream.pointee.flags.isSuperset(of: [.isTunnel, .peerEnded])
        if isOver {
            stream.pointee.flags.insert(.gaveEnd)
            return 0
        }
        return count > 0 ? count : nothing
    }

    /// The head had more than it may have. Its sender is there and gets an answer.
    func isOversized(_ client: Client) -> Bool {
        guard client.pointee.transport == .stream else { return false }
        let stream = http2.consumers.streams + index(of: client)
        guard stream.pointee.flags.contains(.isOversized), !stream.pointee.flags.contains(.isClosed) else {
            return false
        }
        client.pointee.flags.remove(.broken)
        return true
    }

    private func receiveBody(
        _ stream: Stream, into bytes: UnsafeMutableRawPointer, capacity: Int
    ) -> Int {
        // A chunk's framing: sixteen digits and two line ends at most.
        let overhead = 20
        let isChunked = !stream.pointee.flags.contains(.hasLength)
        let available = stream.pointee.inbox.count - stream.pointee.trailerCount
        let room = isChunked ? capacity - overhead : capacity
        let taken = max(0, min(available, room))
        var writer = OctetWriter(UnsafeMutableRawBufferPointer(start: bytes, count: max(0, capacity)))
        if taken > 0 {
            if isChunked { writer.appendChunkSize(taken) }
            writer.append(UnsafeRawBufferPointer(rebasing: stream.pointee.inbox.bytes[..<taken]))
            if isChunked { writer.appendLineEnd() }
            stream.pointee.inbox.start += taken
            if let session = stream.pointee.session {
                _ = nghttp2_session_consume(session.pointee.handle, stream.pointee.id, taken)
                http2.touch(session)
            }
        }
        let written = writer.written ?? 0
        let trailers = stream.pointee.trailerCount
        guard taken == available, stream.pointee.flags.contains(.peerEnded),
            stream.pointee.flags.isDisjoint(with: [.gaveEnd, .isTunnel]),
            !isChunked || written + trailers + 5 <= capacity
        else { return written }
        stream.pointee.flags.insert(.gaveEnd)
        if isChunked {
            writer.append("0\r\n")
            writer.append(UnsafeRawBufferPointer(rebasing: stream.pointee.inbox.bytes[..<trailers]))
            writer.appendLineEnd()
        }
        // Beside a length HTTP/1.1 has no place for trailers: they are left out (RFC 9110, section 6.5.1).
        stream.pointee.inbox.start += trailers
        stream.pointee.trailerCount = 0
        return writer.written ?? 0
    }
}

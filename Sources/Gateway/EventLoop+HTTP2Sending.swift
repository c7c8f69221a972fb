import CNghttp2
import Glibc
import HTTP1

// From the octets that an exchange sends to frames. The octets were written, or checked, by the gateway: a head, then a
// body framed as the head says. nghttp2 asks for the payload of a DATA frame when the peer's windows and the output
// have room for one, and gets it from the exchange's own buffer; what has no room stays there, and with it the rest of
// the message at its sender.

extension EventLoop {
    /// Takes what there is room for; `-EAGAIN` where there is none. The stream's turn at the output, or a window that
    /// the peer opens, makes the connection writable again.
    func send(_ stream: Stream, _ bytes: UnsafeRawPointer, count: Int) -> Int {
        guard let session = stream.pointee.session, !stream.pointee.flags.contains(.isClosed) else {
            return -Int(EPIPE)
        }
        if session.pointee.lineFirst != HTTP2Session.none || session.pointee.flags.contains(.isBlocked) {
            guard stream.pointee.credit > 0, !session.pointee.flags.contains(.isBlocked) else {
                joinLine(stream, session)
                return -Int(EAGAIN)
            }
        }
        let octets = UnsafeRawBufferPointer(start: bytes, count: count)
        var offset = 0
        let isWhole = take(stream, session, octets, &offset)
        http2.touch(session)
        guard let isWhole else { return -Int(EPIPE) }
        stream.pointee.credit -= offset
        // The last octet stays until the last frame has been made: its sender holds the place until then.
        if stream.pointee.flags.contains(.isFinishing), !stream.pointee.flags.contains(.hasEnded) {
            offset = min(offset, count - 1)
        }
        if isWhole, offset == count { return count }
        if session.pointee.flags.contains(.isBlocked) {
            joinLine(stream, session)
        } else if !stream.pointee.flags.contains(.isClosed) {
            stream.pointee.flags.insert(.awaitsWindow)
        }
        return offset > 0 ? offset : -Int(EAGAIN)
    }

    /// Makes frames of the octets from the offset on, and moves it behind what was taken. False where some are left;
    /// nil where they cannot be sent at all.
    private func take(
        _ stream: Stream, _ session: Session, _ octets: UnsafeRawBufferPointer, _ offset: inout Int
    ) -> Bool? {
        if stream.pointee.flags.contains(.isFinishing) {
            offset = octets.count
            return finish(stream, session)
        }
        while offset < octets.count {
            if stream.pointee.sending == .head {
                guard let length = takeHead(stream, session, octets, from: offset) else { return nil }
                offset += length
                continue
            }
            guard let isTaken = takeBody(stream, session, octets, &offset) else { return nil }
            if !isTaken { return false }
        }
        return pumpFrames(session)
    }

    // MARK: Heads

    /// Submits the head that begins at the offset; its length, or nil where it is none.
    private func takeHead(
        _ stream: Stream, _ session: Session, _ octets: UnsafeRawBufferPointer, from offset: Int
    ) -> Int? {
        let head = UnsafeRawBufferPointer(rebasing: octets[offset...])
        var message = FieldLines(http2.fields, http2.text)
        message.isTunnel = stream.pointee.flags.contains(.isTunnel)
        guard let length = message.read(head, isRequest: session.pointee.role == .instance) else { return nil }
        let handle = session.pointee.handle
        let id = stream.pointee.id
        if message.isInterim {
            _ = nghttp2_submit_headers(
                handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, nil, message.fields, message.count, nil)
            return length
        }
        if session.pointee.role == .instance {
            let isHead = head.starts(with: "HEAD ".utf8)
            if isHead { stream.pointee.flags.insert(.answersHead) }
            let hasBody = message.isChunked || message.length ?? 0 > 0
            noteBody(stream, message, hasBody: hasBody)
            return submitRequest(stream, session, message, hasBody: hasBody) ? length : nil
        }
        let answersHead = stream.pointee.flags.contains(.answersHead)
        let hasBody = message.hasBody && !answersHead
        noteBody(stream, message, hasBody: hasBody)
        let result: Int32
        if hasBody {
            var provider = nghttp2_data_provider(source: nghttp2_data_source(), read_callback: HTTP2Engine.provider)
            result = nghttp2_submit_response(handle, id, message.fields, message.count, &provider)
        } else {
            result = nghttp2_submit_response(handle, id, message.fields, message.count, nil)
        }
        return result == 0 ? length : nil
    }

    private func noteBody(_ stream: Stream, _ message: FieldLines, hasBody: Bool) {
        if message.isChunked {
            stream.pointee.sending = .chunks
        } else if let length = message.length {
            stream.pointee.sending = .length
            stream.pointee.remaining = length
        } else {
            stream.pointee.sending = .untilEnd
        }
        if !hasBody { stream.pointee.flags.formUnion([.isFinishing, .hasEnded]) }
    }

    // MARK: Bodies

    /// Takes the next part of the body. False where some of it has no room; nil where its framing is broken.
    private func takeBody(
        _ stream: Stream, _ session: Session, _ octets: UnsafeRawBufferPointer, _ offset: inout Int
    ) -> Bool? {
        let available = octets.count - offset
        switch stream.pointee.sending {
        case .head: return nil
        case .length:
            let payload = min(available, Int(clamping: stream.pointee.remaining))
            guard payload > 0 else {
                // Nothing belongs behind a message's end.
                offset = octets.count
                return true
            }
            stream.pointee.sourceEnds = UInt64(payload) == stream.pointee.remaining
            let left = give(stream, session, octets.baseAddress! + offset, count: payload)
            stream.pointee.remaining -= UInt64(payload - left)
            offset += payload - left
            return left == 0
        case .untilEnd:
            let left = give(stream, session, octets.baseAddress! + offset, count: available)
            offset += available - left
            return left == 0
        case .chunks: return takeChunks(stream, session, octets, &offset)
        }
    }

    private func takeChunks(
        _ stream: Stream, _ session: Session, _ octets: UnsafeRawBufferPointer, _ offset: inout Int
    ) -> Bool? {
        if stream.pointee.decodedAhead > 0 {
            let payload = min(stream.pointee.decodedAhead, octets.count - offset)
            let left = give(stream, session, octets.baseAddress! + offset, count: payload)
            stream.pointee.decodedAhead -= payload - left
            offset += payload - left
            return left == 0
        }
        let first = offset
        switch stream.pointee.chunks.next(in: octets, from: &offset) {
        case .needsMore:
            keepTrailers(stream, octets, first)
            return true
        case .malformed: return nil
        case .payload(let start, let payload):
            http2.inboxes.release(&stream.pointee.trailers)
            let left = give(stream, session, octets.baseAddress! + start, count: payload)
            stream.pointee.decodedAhead = left
            offset = start + payload - left
            return left == 0
        case .complete:
            keepTrailers(stream, octets, first, end: offset)
            offset = octets.count
            return finish(stream, session)
        }
    }

    /// Has the last frame made. False where there is no room for it yet.
    private func finish(_ stream: Stream, _ session: Session) -> Bool {
        stream.pointee.flags.insert(.isFinishing)
        if stream.pointee.flags.contains(.hasEnded) { return true }
        stream.pointee.sourceEnds = true
        _ = give(stream, session, nil, count: 0)
        return stream.pointee.flags.contains(.hasEnded)
    }

    /// Nothing more comes out of the tunnel: its stream ends on this side.
    func finishTunnel(_ stream: Stream) {
        guard let session = stream.pointee.session, stream.pointee.sending == .untilEnd,
            stream.pointee.flags.contains(.isTunnel),
            stream.pointee.flags.isDisjoint(with: [.isClosed, .isFinishing])
        else { return }
        _ = finish(stream, session)
        http2.touch(session)
    }

    /// Has nghttp2 make DATA frames of the payload as far as there is room; how much of it is left.
    private func give(_ stream: Stream, _ session: Session, _ payload: UnsafeRawPointer?, count: Int) -> Int {
        stream.pointee.source = payload
        stream.pointee.sourceCount = count
        _ = nghttp2_session_resume_data(session.pointee.handle, stream.pointee.id)
        _ = pumpFrames(session)
        let left = stream.pointee.sourceCount
        stream.pointee.source = nil
        stream.pointee.sourceCount = 0
        stream.pointee.sourceEnds = false
        if stream.pointee.flags.contains(.hasEnded) { stream.pointee.flags.insert(.isFinishing) }
        return left
    }

    /// nghttp2 makes a DATA frame: as much of the source as it has room for.
    func giveData(
        _ session: Session, id: Int32, _ room: UnsafeMutableRawBufferPointer, _ flags: UnsafeMutablePointer<UInt32>
    ) -> Int {
        guard let stream = HTTP2Engine.stream(session.pointee.handle, id), stream.pointee.session == session else {
            // A message that ended with its exchange. Its request may still be coming, for nobody.
            flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            if nghttp2_session_get_stream_remote_close(session.pointee.handle, id) == 0 { stopPeer(session, id) }
            return 0
        }
        let count = min(stream.pointee.sourceCount, room.count)
        if count > 0, let source = stream.pointee.source {
            room.baseAddress!.copyMemory(from: source, byteCount: count)
            stream.pointee.source = source + count
            session.pointee.floods.noteSent()
            stream.pointee.sourceCount -= count
        }
        let endsTunnel = stream.pointee.flags.isSuperset(of: [.isTunnel, .isFinishing])
        if stream.pointee.sourceEnds || endsTunnel, stream.pointee.sourceCount == 0 {
            flags.pointee |= NGHTTP2_DATA_FLAG_EOF.rawValue
            stream.pointee.flags.insert(.hasEnded)
            if submitTrailers(stream, session) { flags.pointee |= NGHTTP2_DATA_FLAG_NO_END_STREAM.rawValue }
            return count
        }
        return count > 0 ? count : Int(NGHTTP2_ERR_DEFERRED.rawValue)
    }

    /// The answer is whole and the rest of the request of no use (RFC 9113, section 8.1).
    func stopPeer(_ session: Session, _ id: Int32) {
        _ = nghttp2_submit_rst_stream(
            session.pointee.handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, NGHTTP2_NO_ERROR.rawValue)
    }

    // MARK: Trailers

    /// Copies what the decoder has been through without finding payload: the last chunk's line and the trailer section,
    /// as far as it has come. Before a chunk it is that chunk's framing, which is left behind when the next one begins.
    private func keepTrailers(_ stream: Stream, _ octets: UnsafeRawBufferPointer, _ start: Int, end: Int? = nil) {
        let section = UnsafeRawBufferPointer(rebasing: octets[start..<(end ?? octets.count)])
        // Most bodies end without any, in one piece.
        if end != nil, !stream.pointee.trailers.isHeld, Self.endsPlainly(section) { return }
        guard !section.isEmpty else { return }
        if !stream.pointee.trailers.isHeld { stream.pointee.trailers = http2.inboxes.acquire() }
        guard stream.pointee.trailers.end + section.count <= http2.inboxes.bufferSize else { return }
        (stream.pointee.trailers.base! + stream.pointee.trailers.end).copyMemory(
            from: section.baseAddress!, byteCount: section.count)
        stream.pointee.trailers.end += section.count
    }

    private static func endsPlainly(_ section: UnsafeRawBufferPointer) -> Bool {
        // The last chunk's line and the empty one, the end of the chunk before having come with it or not.
        equal(section, "0\r\n\r\n") || equal(section, "\r\n0\r\n\r\n")
    }

    /// Submits the trailer section, if there is one, behind the last DATA frame.
    private func submitTrailers(_ stream: Stream, _ session: Session) -> Bool {
        guard stream.pointee.trailers.isHeld else { return false }
        defer { http2.inboxes.release(&stream.pointee.trailers) }
        var message = FieldLines(http2.fields, http2.text)
        message.readTrailers(stream.pointee.trailers.bytes)
        guard message.count > 0 else { return false }
        return nghttp2_submit_trailer(session.pointee.handle, stream.pointee.id, message.fields, message.count) == 0
    }

    // MARK: Ending

    /// The exchange needs the stream no longer: ends it well where its message is whole, and with a reset where not.
    func closeStream(_ stream: Stream, withReset: Bool) {
        defer {
            http2.inboxes.release(&stream.pointee.inbox)
            http2.inboxes.release(&stream.pointee.trailers)
            forgetPseudoFields(stream)
        }
        guard let session = stream.pointee.session else { return }
        let unread = stream.pointee.inbox.count - stream.pointee.headLeft - stream.pointee.trailerCount
        if unread > 0, stream.pointee.flags.contains(.hasHead) {
            _ = nghttp2_session_consume_connection(session.pointee.handle, unread)
        }
        unlink(stream, session)
        http2.touch(session)
        if session.pointee.streamCount == 0, session.pointee.role == .consumer,
            !session.pointee.flags.contains(.isLeaving)
        {
            scheduleSession(clients[Int(session.pointee.place)])
        }
        // One whose request was never submitted has no number yet.
        guard !stream.pointee.flags.contains(.isClosed), stream.pointee.id > 0 else { return }
        let id = stream.pointee.id
        _ = nghttp2_session_set_stream_user_data(session.pointee.handle, id, nil)
        if stream.pointee.flags.contains(.hasEnded) {
            guard !stream.pointee.flags.contains(.peerEnded) else { return }
            if session.pointee.role == .consumer { stopPeer(session, id) } else { cancel(session, id) }
        } else if stream.pointee.sending == .untilEnd, !withReset {
            _ = nghttp2_session_resume_data(session.pointee.handle, id)
        } else {
            cancel(session, id)
        }
    }

    private func cancel(_ session: Session, _ id: Int32) {
        let code = session.pointee.role == .consumer ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_CANCEL
        _ = nghttp2_submit_rst_stream(
            session.pointee.handle, UInt8(NGHTTP2_FLAG_NONE.rawValue), id, code.rawValue)
    }
}

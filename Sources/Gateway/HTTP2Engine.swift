import CNghttp2

/// nghttp2's callbacks and options, the same for all sessions of a loop. Every callback gets the session's place.
struct HTTP2Engine {
    let callbacks: OpaquePointer
    let consumerOptions: OpaquePointer
    let instanceOptions: OpaquePointer

    /// CONTINUATION frames behind one HEADERS (CVE-2024-28182): a head of 32 KiB needs two.
    private static let continuations = 8
    /// Answers to SETTINGS and PING that wait for a peer that does not read (CVE-2019-9512, 9515).
    private static let outboundAnswers = 100
    private static let settingsPerFrame = 32

    init() throws(GatewayError) {
        var callbacks: OpaquePointer?
        var consumerOptions: OpaquePointer?
        var instanceOptions: OpaquePointer?
        guard nghttp2_session_callbacks_new(&callbacks) == 0, nghttp2_option_new(&consumerOptions) == 0,
            nghttp2_option_new(&instanceOptions) == 0, let callbacks, let consumerOptions, let instanceOptions
        else { throw GatewayError(.exhausted, "no memory for HTTP/2") }
        self.callbacks = callbacks
        self.consumerOptions = consumerOptions
        self.instanceOptions = instanceOptions
        for options in [consumerOptions, instanceOptions] {
            nghttp2_option_set_no_auto_window_update(options, 1)
            nghttp2_option_set_no_closed_streams(options, 1)
            nghttp2_option_set_max_outbound_ack(options, Self.outboundAnswers)
            nghttp2_option_set_max_settings(options, Self.settingsPerFrame)
            nghttp2_option_set_max_continuations(options, Self.continuations)
        }
        setCallbacks()
    }

    func deallocate() {
        nghttp2_session_callbacks_del(callbacks)
        nghttp2_option_del(consumerOptions)
        nghttp2_option_del(instanceOptions)
    }

    private static func session(_ context: UnsafeMutableRawPointer?) -> Session {
        context!.assumingMemoryBound(to: HTTP2Session.self)
    }

    static func stream(_ handle: OpaquePointer?, _ id: Int32) -> Stream? {
        nghttp2_session_get_stream_user_data(handle, id)?.assumingMemoryBound(to: HTTP2Stream.self)
    }

    private func setCallbacks() {
        nghttp2_session_callbacks_set_on_begin_frame_callback(callbacks) { _, header, context in
            let session = Self.session(context)
            session.pointee.loop._withUnsafeGuaranteedRef { $0.frameBegins(session, header!) }
            return 0
        }
        nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks) { _, frame, context in
            let session = Self.session(context)
            return session.pointee.loop._withUnsafeGuaranteedRef { $0.fieldsBegin(session, frame!) }
        }
        nghttp2_session_callbacks_set_on_header_callback2(callbacks) { handle, frame, name, value, _, _ in
            guard let stream = Self.stream(handle, frame!.pointee.hd.stream_id), let session = stream.pointee.session
            else { return 0 }
            return session.pointee.loop._withUnsafeGuaranteedRef { $0.takeField(stream, session, name!, value!) }
        }
        nghttp2_session_callbacks_set_on_invalid_header_callback2(callbacks) { _, _, _, _, _, context in
            let session = Self.session(context)
            session.pointee.loop._withUnsafeGuaranteedRef { $0.counters.add(.malformedRequests) }
            // Malformed (RFC 9113, section 8.2.1): without this nghttp2 would drop the field and go on.
            return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE.rawValue
        }
        nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks) { handle, _, id, bytes, count, context in
            let session = Self.session(context)
            return session.pointee.loop._withUnsafeGuaranteedRef {
                $0.takeData(session, id: id, UnsafeRawBufferPointer(start: bytes, count: count))
            }
        }
        nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks) { _, frame, context in
            let session = Self.session(context)
            return session.pointee.loop._withUnsafeGuaranteedRef { $0.takeFrame(session, frame!) }
        }
        nghttp2_session_callbacks_set_on_stream_close_callback(callbacks) { handle, id, code, _ in
            guard let stream = Self.stream(handle, id), let session = stream.pointee.session else { return 0 }
            session.pointee.loop._withUnsafeGuaranteedRef { $0.streamClosed(stream, session, code: code) }
            return 0
        }
    }

    /// Gives nghttp2 the payload of its next DATA frame.
    static let provider: nghttp2_data_source_read_callback = { handle, id, bytes, capacity, flags, _, context in
        let session = Self.session(context)
        return session.pointee.loop._withUnsafeGuaranteedRef {
            $0.giveData(session, id: id, UnsafeMutableRawBufferPointer(start: bytes, count: capacity), flags!)
        }
    }
}

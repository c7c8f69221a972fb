import Glibc
import NIOCore
import NIOHTTP1

/// Answers the requests of one connection, one after another.
final class RequestHandler: ChannelInboundHandler, RemovableChannelHandler {
    typealias InboundIn = HTTPServerRequestPart
    typealias OutboundOut = HTTPServerResponsePart

    static let name = "requests"
    private static let bodyLimit = 64 * 1_024
    private static let pieceSize = 64 * 1_024

    /// What becomes of the request that is being read or answered.
    private enum Work {
        case none
        /// The whole request is needed before it is answered.
        case collecting(HTTPRequestHead, ByteBuffer)
        case echoing
        /// A body of `pieces` pieces of `size` bytes, the last one of `last`.
        case sending(pieces: Int, size: Int, last: Int)
        /// The answer comes later.
        case holding
    }

    private let state: ServiceState
    private var work = Work.none
    private var keepAlive = true
    private var isHead = false
    private var requestEnded = true
    private var piece = ByteBuffer()

    init(_ state: ServiceState) { self.state = state }

    // MARK: Reading

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        switch unwrapInboundIn(data) {
        case .head(let head):
            requestEnded = false
            keepAlive = head.isKeepAlive && !state.isFinishing
            isHead = head.method == .HEAD
            begin(head, context)
        case .body(let bytes): receive(bytes, context)
        case .end:
            requestEnded = true
            end(context)
        }
    }

    private func begin(_ head: HTTPRequestHead, _ context: ChannelHandlerContext) {
        if head.path != "/healthz", !head.path.hasPrefix("/admin/") { state.requests += 1 }
        if head.method == .POST, head.path == "/echo" {
            work = .echoing
            let length = head.headers.first(name: "content-length")
            let type = head.headers.first(name: "content-type") ?? "application/octet-stream"
            sendHead(.ok, type: type, length: length.flatMap { Int($0) }, context)
            context.flush()
        } else {
            work = .collecting(head, context.channel.allocator.buffer(capacity: 0))
        }
    }

    private func receive(_ bytes: ByteBuffer, _ context: ChannelHandlerContext) {
        switch work {
        case .echoing: context.writeAndFlush(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        case .collecting(let head, var body):
            // Read on, but keep no more than can be wanted; the answer will be 413.
            var bytes = bytes
            if body.readableBytes <= Self.bodyLimit { body.writeBuffer(&bytes) }
            work = .collecting(head, body)
        case .none, .sending, .holding: break
        }
    }

    private func end(_ context: ChannelHandlerContext) {
        switch work {
        case .echoing: sendEnd(context)
        case .collecting(let head, let body):
            if body.readableBytes > Self.bodyLimit {
                answer(.payloadTooLarge, #"{"error":"a body of at most 65536 bytes, please"}"#, context)
            } else {
                answer(head, body, context)
            }
        case .none, .sending, .holding: break
        }
    }

    private func answer(_ head: HTTPRequestHead, _ body: ByteBuffer, _ context: ChannelHandlerContext) {
        switch (head.method, head.path) {
        case (.GET, "/"), (.HEAD, "/"):
            answer(.ok, #"{"instance":"\#(state.instance)","pid":\#(getpid()),"requests":\#(state.requests)}"#, context)
        case (.GET, "/healthz"), (.HEAD, "/healthz"):
            answer(
                state.isIll ? .serviceUnavailable : .ok, #"{"status":"\#(state.isIll ? "ill" : "ok")"}"#, context)
        case (.GET, "/hold"): hold(head.number("ms") ?? 0, context)
        case (.GET, "/burn"):
            let used = Self.burn(min(head.number("ms") ?? 0, 10_000))
            answer(.ok, #"{"instance":"\#(state.instance)","rounds":\#(used)}"#, context)
        case (.GET, "/bytes"), (.HEAD, "/bytes"):
            let count = head.number("n") ?? 0
            let (whole, rest) = count.quotientAndRemainder(dividingBy: Self.pieceSize)
            work = .sending(pieces: whole + 1, size: Self.pieceSize, last: rest)
            send(type: "application/octet-stream", length: count, context)
        case (.GET, "/chunks"):
            let size = min(head.number("size") ?? 1_024, 1 << 20)
            work = .sending(pieces: head.number("n") ?? 1, size: size, last: size)
            send(type: "application/octet-stream", length: nil, context)
        case (.POST, "/login"): login(head, body, context)
        case (_, "/admin/ill"):
            state.isIll = head.query("on").map { $0 != "0" } ?? true
            answer(.ok, #"{"ill":\#(state.isIll)}"#, context)
        case (_, "/admin/crash"): crash()
        case (_, "/ws"): answer(.upgradeRequired, #"{"error":"ask to upgrade to websocket or echo"}"#, context)
        default: answer(.notFound, #"{"error":"there is nothing here"}"#, context)
        }
    }

    private func login(_ head: HTTPRequestHead, _ body: ByteBuffer, _ context: ChannelHandlerContext) {
        switch LoginAttempt(head, body: Array(body.readableBytesView)).outcome {
        case .success(let user): answer(.ok, #"{"result":"ok","user":"\#(user)"}"#, context)
        case .failure(let denial):
            answer(
                .unauthorized, #"{"result":"denied","reason":"\#(denial.rawValue)"}"#,
                headers: [("www-authenticate", #"Basic realm="sample""#)], context)
        }
    }

    /// Uses so much processor time, however long that takes.
    private static func burn(_ milliseconds: Int) -> UInt64 {
        let end = clock() + clock_t(milliseconds) * clock_t(CLOCKS_PER_SEC) / 1_000
        var rounds: UInt64 = 0
        while clock() < end { rounds &+= 1 }
        return rounds
    }

    private func crash() {
        var none = sigset_t()
        sigemptyset(&none)
        pthread_sigmask(SIG_SETMASK, &none, nil)
        signal(SIGABRT, SIG_DFL)
        abort()
    }

    // MARK: Answering

    private func answer(
        _ status: HTTPResponseStatus, _ json: String, headers: [(String, String)] = [],
        _ context: ChannelHandlerContext
    ) {
        let text = json + "\n"
        sendHead(status, type: "application/json", length: text.utf8.count, headers: headers, context)
        if !isHead {
            let bytes = context.channel.allocator.buffer(string: text)
            context.write(wrapOutboundOut(.body(.byteBuffer(bytes))), promise: nil)
        }
        sendEnd(context)
    }

    private func sendHead(
        _ status: HTTPResponseStatus, type: String, length: Int?, headers extra: [(String, String)] = [],
        _ context: ChannelHandlerContext
    ) {
        var headers = HTTPHeaders([("content-type", type), ("x-instance", state.instance)])
        headers.add(contentsOf: extra)
        if let length {
            headers.add(name: "content-length", value: "\(length)")
        } else {
            headers.add(name: "transfer-encoding", value: "chunked")
        }
        if !keepAlive { headers.add(name: "connection", value: "close") }
        let head = HTTPResponseHead(version: .http1_1, status: status, headers: headers)
        context.write(wrapOutboundOut(.head(head)), promise: nil)
    }

    private func sendEnd(_ context: ChannelHandlerContext) {
        work = .none
        let close = !keepAlive || state.isFinishing
        let written = context.writeAndFlush(wrapOutboundOut(.end(nil)))
        guard close else { return }
        let channel = context.channel
        written.whenComplete { _ in channel.close(promise: nil) }
    }

    private func hold(_ milliseconds: Int, _ context: ChannelHandlerContext) {
        work = .holding
        let bound = NIOLoopBound((self, context), eventLoop: context.eventLoop)
        context.eventLoop.scheduleTask(in: .milliseconds(Int64(min(milliseconds, 3_600_000)))) {
            let (handler, context) = bound.value
            guard context.channel.isActive, case .holding = handler.work else { return }
            handler.answer(
                .ok, #"{"instance":"\#(handler.state.instance)","heldMilliseconds":\#(milliseconds)}"#, context)
        }
    }

    private func send(type: String, length: Int?, _ context: ChannelHandlerContext) {
        sendHead(.ok, type: type, length: length, context)
        if isHead { return sendEnd(context) }
        pump(context)
    }

    /// Writes as much as the connection takes.
    private func pump(_ context: ChannelHandlerContext) {
        while case .sending(let pieces, let size, let last) = work, context.channel.isWritable {
            if pieces == 0 { return sendEnd(context) }
            let count = pieces == 1 ? last : size
            if piece.readableBytes < count {
                piece.clear()
                piece.writeBytes((0..<count).map { UInt8(truncatingIfNeeded: 0x61 + $0 % 26) })
            }
            if count > 0, let part = piece.getSlice(at: 0, length: count) {
                context.write(wrapOutboundOut(.body(.byteBuffer(part))), promise: nil)
            }
            work = .sending(pieces: pieces - 1, size: size, last: last)
        }
        context.flush()
    }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        if case .sending = work { pump(context) }
        // An echo reads no faster than it can write.
        if case .echoing = work {
            context.channel.setOption(.autoRead, value: context.channel.isWritable).whenFailure { _ in }
        } else if context.channel.isWritable {
            context.channel.setOption(.autoRead, value: true).whenFailure { _ in }
        }
        context.fireChannelWritabilityChanged()
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is FinishEvent {
            keepAlive = false
            if case .none = work, requestEnded { context.close(promise: nil) }
        } else {
            context.fireUserInboundEventTriggered(event)
        }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

import NIOCore
import Synchronization
import WebSocketFrames

/// The WebSocket that a connection of the administration server has become, from its handshake to its end.
///
/// `WebSocketTakeover` sits before everything that speaks HTTP in the connection's pipeline. Both sides are held up by
/// each other: no more is read from the client than `maximumWaiting` octets that nobody has taken, and `send` returns
/// when the kernel has what is sent.
final class WebSocketConnection: Sendable {
    static let maximumFrameBytes = 65_536
    fileprivate static let maximumWaiting = 65_536

    private struct State {
        var messages: [[UInt8]] = []
        var waiting = 0
        /// Messages of any kind since it was last asked.
        var heard = false
        var isOver = false
        var reader: CheckedContinuation<Void, Never>?
    }

    private let state = Mutex(State())
    private let channel: any Channel
    private let writeTimeout: TimeAmount

    private init(_ channel: any Channel, writeTimeout: TimeAmount) {
        self.channel = channel
        self.writeTimeout = writeTimeout
    }

    /// Takes what the client sends from now on; what is sent to it is HTTP until `begin`.
    static func take(over channel: any Channel, writeTimeout: TimeAmount) async throws -> WebSocketConnection {
        let connection = WebSocketConnection(channel, writeTimeout: writeTimeout)
        try await channel.eventLoop.submit {
            try channel.pipeline.syncOperations.addHandler(
                WebSocketTakeover(connection), name: WebSocketTakeover.name, position: .first)
        }.get()
        return connection
    }

    /// From now on nothing of HTTP leaves: the answer to the handshake has.
    func begin() async throws {
        try await onTakeover { $0.speaksHTTP = false }
    }

    /// What the client sends next; nil once either side has ended it. One reader.
    func receive() async -> [UInt8]? {
        while true {
            let (next, isOver) = state.withLock { state -> ([UInt8]?, Bool) in
                guard !state.messages.isEmpty else { return (nil, state.isOver) }
                let next = state.messages.removeFirst()
                state.waiting -= next.count
                return (next, state.isOver)
            }
            if let next {
                try? await onTakeover { $0.readOn() }
                return next
            }
            if isOver { return nil }
            await withCheckedContinuation { continuation in
                let goesOn = state.withLock { state in
                    guard state.messages.isEmpty, !state.isOver else { return true }
                    state.reader = continuation
                    return false
                }
                if goesOn { continuation.resume() }
            }
        }
    }

    /// Closes the connection of a client that does not take it within the time for a write.
    func send(_ message: WebSocketMessage) async throws {
        let alarm = channel.eventLoop.scheduleTask(in: writeTimeout) { [channel] in channel.close(promise: nil) }
        defer { alarm.cancel() }
        let frame = ByteBuffer(bytes: message.frame())
        let isLast = if case .close = message { true } else { false }
        try await onTakeover { $0.write(frame, isLast: isLast) }.get()
    }

    /// Says why, and ends it. Repeated, it does nothing.
    func close(code: UInt16, reason: String) async {
        if !state.withLock({ $0.isOver }) { try? await send(.close(code: code, reason: reason)) }
        finish()
        try? await channel.close()
    }

    /// Whether anything has come since the last call.
    func takeSign() -> Bool {
        state.withLock { state in
            defer { state.heard = false }
            return state.heard
        }
    }

    private func onTakeover<Value: Sendable>(
        _ body: @escaping @Sendable (WebSocketTakeover) throws -> Value
    ) async throws -> Value {
        let channel = channel
        return try await channel.eventLoop.submit {
            try body(channel.pipeline.syncOperations.handler(type: WebSocketTakeover.self))
        }.get()
    }

    // MARK: From the pipeline

    fileprivate var hasRoom: Bool { state.withLock { $0.waiting < Self.maximumWaiting } }
    fileprivate func note() { state.withLock { $0.heard = true } }

    fileprivate func take(_ bytes: [UInt8]) {
        let reader = state.withLock { state in
            if !state.isOver {
                state.messages.append(bytes)
                state.waiting += bytes.count
            }
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }

    fileprivate func finish() {
        let reader = state.withLock { state in
            state.isOver = true
            defer { state.reader = nil }
            return state.reader
        }
        reader?.resume()
    }
}

/// Stands between the socket and HTTP. Used on its event loop only.
final class WebSocketTakeover: ChannelDuplexHandler {
    typealias InboundIn = ByteBuffer
    typealias InboundOut = ByteBuffer
    typealias OutboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    static let name = "websocket"
    private let connection: WebSocketConnection
    private var reader = WebSocketReader(side: .server, maximumFrameBytes: WebSocketConnection.maximumFrameBytes)
    private var context: ChannelHandlerContext?
    private var hasAsked = false
    private var isClosing = false
    /// A close frame was sent: the client's own is its answer, and is not answered again (RFC 6455, section 5.5.1).
    private var hasSaidClose = false
    var speaksHTTP = true

    init(_ connection: WebSocketConnection) { self.connection = connection }

    func handlerAdded(context: ChannelHandlerContext) { self.context = context }

    func handlerRemoved(context: ChannelHandlerContext) {
        self.context = nil
        connection.finish()
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        guard !isClosing else { return }
        reader.append(unwrapInboundIn(data).readableBytesView)
        do {
            while let message = try reader.next() {
                connection.note()
                switch message {
                case .data(let bytes): if !bytes.isEmpty { connection.take(bytes) }
                case .ping(let bytes): send(.pong(bytes), context)
                case .pong: break
                case .close(let code, _):
                    end(code ?? WebSocketCloseCode.normal, "", context)
                    return
                }
            }
        } catch {
            end(error.code, error.reason, context)
        }
    }

    /// Answers a close frame, or tells of a fault, and ends the connection.
    private func end(_ code: UInt16, _ reason: String, _ context: ChannelHandlerContext) {
        isClosing = true
        if !hasSaidClose { send(.close(code: code, reason: reason), context) }
        context.close(promise: nil)
        connection.finish()
    }

    private func send(_ message: WebSocketMessage, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(ByteBuffer(bytes: message.frame())), promise: nil)
    }

    /// - Parameter isLast: it is a close frame.
    func write(_ frame: ByteBuffer, isLast: Bool) -> EventLoopFuture<Void> {
        guard let context, !isClosing, !hasSaidClose else {
            return connection.failed(ChannelError.ioOnClosedChannel)
        }
        hasSaidClose = isLast
        return context.writeAndFlush(wrapOutboundOut(frame))
    }

    // MARK: Back-pressure, and the end

    func read(context: ChannelHandlerContext) {
        hasAsked = !connection.hasRoom
        if !hasAsked { context.read() }
    }

    func readOn() {
        guard hasAsked, connection.hasRoom else { return }
        hasAsked = false
        context?.read()
    }

    func write(context: ChannelHandlerContext, data: NIOAny, promise: EventLoopPromise<Void>?) {
        if speaksHTTP { context.write(data, promise: promise) } else { promise?.succeed() }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if case .some(.inputClosed) = event as? ChannelEvent { connection.finish() }
        context.fireUserInboundEventTriggered(event)
    }

    func channelInactive(context: ChannelHandlerContext) {
        connection.finish()
        context.fireChannelInactive()
    }
}

extension WebSocketConnection {
    fileprivate func failed(_ error: any Error) -> EventLoopFuture<Void> {
        channel.eventLoop.makeFailedFuture(error)
    }
}

import NIOCore
import NIOHTTP1
import NIOWebSocket

/// `Upgrade: echo` on `/ws`: from the 101 on, every byte comes back.
final class TunnelUpgrader: HTTPServerProtocolUpgrader, Sendable {
    let supportedProtocol = "echo"
    let requiredUpgradeHeaders: [String] = []
    private let state: ServiceState

    init(_ state: ServiceState) { self.state = state }

    func buildUpgradeResponse(
        channel: any Channel, upgradeRequest: HTTPRequestHead, initialResponseHeaders: HTTPHeaders
    ) -> EventLoopFuture<HTTPHeaders> {
        guard upgradeRequest.path == "/ws" else {
            return channel.eventLoop.makeFailedFuture(Options.Fault(description: "only /ws can be upgraded"))
        }
        return channel.eventLoop.makeSucceededFuture(initialResponseHeaders)
    }

    func upgrade(context: ChannelHandlerContext, upgradeRequest: HTTPRequestHead) -> EventLoopFuture<Void> {
        let channel = context.channel
        let state = state
        return channel.eventLoop.makeCompletedFuture {
            try channel.pipeline.syncOperations.addHandler(ByteEcho(state))
        }
    }
}

/// Sends back what comes, no faster than it is taken.
final class ByteEcho: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    init(_ state: ServiceState) { state.requests += 1 }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) { context.write(data, promise: nil) }
    func channelReadComplete(context: ChannelHandlerContext) { context.flush() }

    func channelWritabilityChanged(context: ChannelHandlerContext) {
        context.channel.setOption(.autoRead, value: context.channel.isWritable).whenFailure { _ in }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        if event is FinishEvent { context.close(promise: nil) }
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

/// A WebSocket (RFC 6455) on `/ws` that sends every message back.
final class WebSocketEcho: ChannelInboundHandler {
    typealias InboundIn = WebSocketFrame
    typealias OutboundOut = WebSocketFrame

    init(_ state: ServiceState) { state.requests += 1 }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let frame = unwrapInboundIn(data)
        switch frame.opcode {
        case .text, .binary, .continuation:
            send(frame.fin, frame.opcode, frame.unmaskedData, context)
        case .ping: send(true, .pong, frame.unmaskedData, context)
        case .connectionClose: close(frame.unmaskedData, context)
        default: break
        }
    }

    private func send(_ fin: Bool, _ opcode: WebSocketOpcode, _ data: ByteBuffer, _ context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(WebSocketFrame(fin: fin, opcode: opcode, data: data)), promise: nil)
    }

    private func close(_ reason: ByteBuffer, _ context: ChannelHandlerContext) {
        let channel = context.channel
        let frame = WebSocketFrame(fin: true, opcode: .connectionClose, data: reason)
        context.writeAndFlush(wrapOutboundOut(frame)).whenComplete { _ in channel.close(promise: nil) }
    }

    func userInboundEventTriggered(context: ChannelHandlerContext, event: Any) {
        guard event is FinishEvent else { return }
        var goingAway = context.channel.allocator.buffer(capacity: 2)
        goingAway.write(webSocketErrorCode: .goingAway)
        close(goingAway, context)
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) { context.close(promise: nil) }
}

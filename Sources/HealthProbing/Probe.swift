import CloudModel
import Glibc
import NIOCore
import NIOPosix

/// One check, from its start to its outcome and a little longer: the rest of a small answer is taken, so that the other
/// side can end in good order. Confined to the loop.
final class Probe: @unchecked Sendable {
    /// What is being waited for, as the end of "timed out after N ms …".
    var failureOnTimeout = "connecting"
    private(set) var hasEnded = false

    private let request: ProbeRequest
    private let loop: any EventLoop
    private let promise: EventLoopPromise<String?>
    private var deadline: Scheduled<Void>?
    private var channel: (any Channel)?
    private var onRelease: (() -> Void)?
    private var isConnecting = false
    /// How long a connection may take to be accepted before it is begun anew: the system repeats a lost first packet
    /// after a second only, which is long where an instance has just come up. Doubled each time.
    private var connectLimit = TimeAmount.milliseconds(300)

    var outcome: EventLoopFuture<String?> { promise.futureResult }

    init(_ request: ProbeRequest, on loop: any EventLoop) {
        self.request = request
        self.loop = loop
        promise = loop.makePromise()
        deadline = loop.scheduleTask(in: .microseconds(request.timeout.microseconds)) { self.timeOut() }
    }

    /// `onRelease` is called once, when nothing of the probe is open any more.
    func start(onRelease: @escaping () -> Void) {
        self.onRelease = onRelease
        failureOnTimeout = "connecting"
        connect()
    }

    private func connect() {
        isConnecting = true
        channel = nil
        let connected = ClientBootstrap(group: loop)
            .connectTimeout(connectLimit)
            .channelOption(.tcpOption(.tcp_nodelay), value: 1)
            .channelInitializer { channel in
                self.channel = channel
                channel.closeFuture.whenComplete { _ in if !self.isConnecting { self.release() } }
                return channel.eventLoop.makeCompletedFuture {
                    if let http = self.request.http {
                        let handler = ResponseHeadHandler(self, request: http.request, expected: http.expectedStatus)
                        try channel.pipeline.syncOperations.addHandler(handler)
                    }
                }
            }
            .connect(to: request.address)
        connected.whenComplete { result in
            switch result {
            case .success(let channel):
                self.isConnecting = false
                guard !self.hasEnded else { return channel.close(promise: nil) }
                self.connected(channel)
            case .failure(let error): self.notConnected(error)
            }
        }
    }

    private func notConnected(_ error: any Error) {
        if !hasEnded, case ChannelError.connectTimeout = error {
            connectLimit = connectLimit * 2
            return connect()
        }
        isConnecting = false
        end(Self.text(of: error, otherwise: "cannot connect"))
        release()
    }

    private func connected(_ channel: any Channel) {
        // A closed port of our own range can be given to the very socket that connects to it: it then talks to itself.
        if channel.localAddress == channel.remoteAddress {
            end("connection refused")
        } else if request.http == nil {
            end(nil)
        } else {
            failureOnTimeout = "waiting for the response"
            return
        }
        channel.close(promise: nil)
    }

    /// The outcome; nil where the check passed. Only the first counts.
    func end(_ failure: String?) {
        guard !hasEnded else { return }
        hasEnded = true
        promise.succeed(failure)
        if onRelease == nil { deadline?.cancel() }
    }

    /// Also of what is taken after the outcome.
    private func timeOut() {
        end("timed out after \(request.timeout.millisecondsRoundedUp) ms \(failureOnTimeout)")
        channel?.close(promise: nil)
    }

    private func release() {
        deadline?.cancel()
        end("closed before it was checked")
        onRelease?()
        onRelease = nil
    }

    static func text(of error: any Error, otherwise what: String) -> String {
        guard let error = error as? IOError else { return "\(what): \(error)" }
        switch error.errnoCode {
        case ECONNREFUSED: return "connection refused"
        case ECONNRESET, EPIPE: return "connection reset"
        default: return "\(what): \(String(cString: strerror(error.errnoCode)))"
        }
    }
}

/// Sends the request and reads the head of the response.
final class ResponseHeadHandler: ChannelInboundHandler {
    typealias InboundIn = ByteBuffer
    typealias OutboundOut = ByteBuffer

    private let probe: Probe
    private let request: String
    private var head: ResponseHeadReader
    private var drained = 0

    init(_ probe: Probe, request: String, expected: ClosedRange<Int>) {
        self.probe = probe
        self.request = request
        head = ResponseHeadReader(expected: expected)
    }

    func channelActive(context: ChannelHandlerContext) {
        context.writeAndFlush(wrapOutboundOut(context.channel.allocator.buffer(string: request)), promise: nil)
    }

    func channelRead(context: ChannelHandlerContext, data: NIOAny) {
        let bytes = unwrapInboundIn(data).readableBytesView
        if probe.hasEnded {
            drained += bytes.count
            if drained > HealthProbes.maximumDrainedSize { context.close(promise: nil) }
            return
        }
        probe.failureOnTimeout = "in the middle of the response's head"
        switch head.read(bytes) {
        case .more: break
        case .passed: probe.end(nil)
        case .status(let failure): probe.end(failure)
        case .malformed(let failure):
            probe.end(failure)
            context.close(promise: nil)
        }
    }

    func channelInactive(context: ChannelHandlerContext) {
        probe.end(
            head.isEmpty ? "closed without a response" : "closed in the middle of the response's head")
    }

    func errorCaught(context: ChannelHandlerContext, error: any Error) {
        probe.end(Probe.text(of: error, otherwise: "connection failed"))
        context.close(promise: nil)
    }
}

import Glibc
import NIOCore
import NIOHTTP1
import NIOPosix
import NIOWebSocket

/// A small HTTP service to try the platform with: it can be slow, ill, large, crash, and take logins.
@main enum SampleService {
    static func main() {
        let options: Options
        do { options = try Options(CommandLine.arguments.dropFirst()) } catch {
            say("sample-service: \(error)\n\(Options.usage)", to: STDERR_FILENO)
            exit(2)
        }
        // Blocked before any thread is made, so that `waitForEnd` alone takes them.
        var signals = sigset_t()
        sigemptyset(&signals)
        sigaddset(&signals, SIGTERM)
        sigaddset(&signals, SIGINT)
        pthread_sigmask(SIG_BLOCK, &signals, nil)
        signal(SIGPIPE, SIG_IGN)

        if options.bootDelayMilliseconds > 0 { usleep(UInt32(clamping: options.bootDelayMilliseconds * 1_000)) }
        if options.failStart {
            say("sample-service: told to fail", to: STDERR_FILENO)
            exit(1)
        }
        do { try serve(options, until: signals) } catch {
            say("sample-service: cannot serve on \(options.address):\(options.port): \(error)", to: STDERR_FILENO)
            exit(1)
        }
        exit(0)
    }

    static func say(_ text: String, to descriptor: Int32 = STDOUT_FILENO) {
        var line = text + "\n"
        line.withUTF8 { _ = write(descriptor, $0.baseAddress, $0.count) }
    }

    private static func serve(_ options: Options, until signals: sigset_t) throws {
        let loop = MultiThreadedEventLoopGroup(numberOfThreads: 1).next()
        let state = ServiceState(instance: options.instance)
        let listener = try ServerBootstrap(group: loop)
            .serverChannelOption(.backlog, value: 1_024)
            .serverChannelOption(.socketOption(.so_reuseaddr), value: 1)
            .childChannelOption(.tcpOption(.tcp_nodelay), value: 1)
            .childChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture { try addHandlers(to: channel, state) }
            }
            .bind(host: options.address, port: Int(options.port)).wait()
        say("sample-service: \(options.instance) listens on \(options.address):\(listener.localAddress?.port ?? 0)")

        var signals = signals
        var received: Int32 = 0
        sigwait(&signals, &received)
        say("sample-service: \(options.instance) finishes what it has begun")
        try listener.close().wait()
        try loop.flatSubmit { state.finish(on: loop) }.wait()
    }

    private static func addHandlers(to channel: any Channel, _ state: ServiceState) throws {
        let handler = RequestHandler(state)
        let webSocket = NIOWebSocketServerUpgrader(
            maxFrameSize: 1 << 20,
            shouldUpgrade: { channel, head in
                channel.eventLoop.makeSucceededFuture(head.path == "/ws" ? [:] : nil)
            },
            upgradePipelineHandler: { channel, _ in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(WebSocketEcho(state))
                }
            })
        let upgrade: NIOHTTPServerUpgradeSendableConfiguration = (
            upgraders: [webSocket, TunnelUpgrader(state)],
            completionHandler: { context in
                _ = context.pipeline.syncOperations.removeHandler(name: RequestHandler.name)
            }
        )
        try channel.pipeline.syncOperations.configureHTTPServerPipeline(
            withServerUpgrade: upgrade, withErrorHandling: true)
        try channel.pipeline.syncOperations.addHandler(handler, name: RequestHandler.name)
        state.opened(channel)
    }
}

extension HTTPRequestHead {
    /// Without the query.
    var path: Substring { uri.prefix { $0 != "?" } }

    /// The value of a field of the query, as it stands there.
    func query(_ name: String) -> Substring? {
        let query = uri.drop { $0 != "?" }.dropFirst()
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            if parts[0] == name { return parts.count > 1 ? parts[1] : "" }
        }
        return nil
    }

    /// A number of the query that is not negative; nil where there is none.
    func number(_ name: String) -> Int? { query(name).flatMap { Int($0) }.flatMap { $0 >= 0 ? $0 : nil } }
}

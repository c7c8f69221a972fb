import Glibc
import Hummingbird
import HummingbirdCore
import Logging
import NIOCore
import NIOPosix
import ServiceLifecycle
import Synchronization

/// Accepts administrators' connections from a socket that is there already and hands their requests to the responder:
/// what the library's own server does, which opens its socket itself and can neither be given one nor give it away.
///
/// Ends when it is shut down gracefully: it accepts no more, requests are finished, and connections without one closed.
/// Who connects from then on waits in the kernel's queue for as long as a descriptor of the socket is open anywhere.
struct AdministrationListener: Service {
    let socket: ListeningSocket
    let responder: Responder
    let settings: AdministrationServer.Settings
    let onRunning: @Sendable (Int) -> Void
    let logger: Logger

    private let connections = OpenConnections()

    init(
        socket: ListeningSocket, responder: Responder, settings: AdministrationServer.Settings, logger: Logger,
        onRunning: @escaping @Sendable (Int) -> Void
    ) {
        self.socket = socket
        self.responder = responder
        self.settings = settings
        self.logger = logger
        self.onRunning = onRunning
    }

    func run() async throws {
        let server = try await bind(makeChild())
        onRunning(server.localAddress?.port ?? 0)
        await withTaskCancellationHandler {
            await withGracefulShutdownHandler {
                try? await server.closeFuture.get()
                await connections.ended()
            } onGracefulShutdown: {
                stop(server)
            }
        } onCancel: {
            server.close(promise: nil)
            connections.close()
        }
    }

    /// Closing at once would drop a connection that has been accepted and is on its way to the loop that serves it.
    private func stop(_ server: any Channel) {
        let connections = connections
        server.setOption(ChannelOptions.autoRead, value: false).whenComplete { _ in
            server.eventLoop.scheduleTask(in: .milliseconds(250)) {
                server.close(promise: nil)
                connections.quiesce()
            }
        }
    }

    /// Each connection has a task of its own from the moment when it is set up. A stream of connections could end with
    /// some in it that nobody takes out, which the library does not forgive.
    private func bind(_ child: HTTP1Channel) async throws -> any Channel {
        let (connections, logger, most) = (connections, logger, settings.maximumConnections)
        return try await ServerBootstrap(group: MultiThreadedEventLoopGroup.singleton)
            .serverChannelInitializer { channel in
                channel.eventLoop.makeCompletedFuture {
                    try channel.pipeline.syncOperations.addHandler(
                        AvailableConnectionsChannelHandler(maxConnections: most))
                }
            }
            .childChannelOption(ChannelOptions.allowRemoteHalfClosure, value: true)
            .childChannelInitializer { channel in
                child.setup(channel: channel, logger: logger).map { connection in
                    connections.serve(channel) { await child.handle(value: connection, logger: logger) }
                }
            }
            .withBoundSocket(try socket.duplicate()).get()
    }

    private func makeChild() -> HTTP1Channel {
        let (responder, logger) = (responder, logger)
        return HTTP1Channel(
            responder: { (request, writer: consuming ResponseWriter, channel) in
                let context = RequestSource(source: ApplicationRequestContextSource(channel: channel, logger: logger))
                var response: Response
                do {
                    response = try await responder.respond(to: request, context: context)
                } catch {
                    response = Response(status: .internalServerError)
                }
                response.headers[.date] = ResponseDate.now
                do {
                    try await writer.write(response: response.head, body: response.body)
                } catch {
                    // A part of the answer may be out: another one must not follow it.
                    throw CancellationError()
                }
            },
            configuration: .init(
                idleTimeout: TimeAmount(settings.idleTimeout),
                httpDecoderConfiguration: .init(
                    maxHeaderFieldSize: 8_192, maxHeaderListSize: 16_384, maxHeaderFieldCount: 100)))
    }
}

/// The connections that are served, to be told that the server ends.
private final class OpenConnections: Sendable {
    private struct Connection {
        var channel: any Channel
        var openedAt = NIODeadline.now()
    }

    private struct State {
        var connections: [ObjectIdentifier: Connection] = [:]
        var isQuiescing = false
        /// Who waits until there are none.
        var waiting: [CheckedContinuation<Void, Never>] = []
    }

    private let state = Mutex(State())

    func serve(_ channel: any Channel, _ body: @escaping @Sendable () async -> Void) {
        let id = ObjectIdentifier(channel)
        let isQuiescing = state.withLock { state in
            state.connections[id] = Connection(channel: channel)
            return state.isQuiescing
        }
        if isQuiescing { Self.quiesce(channel, in: Self.firstRequest) }
        Task {
            await body()
            self.end(id)
        }
    }

    private func end(_ id: ObjectIdentifier) {
        let waiting = state.withLock { state in
            state.connections[id] = nil
            guard state.connections.isEmpty else { return [CheckedContinuation<Void, Never>]() }
            defer { state.waiting = [] }
            return state.waiting
        }
        for one in waiting { one.resume() }
    }

    /// Returns when none is served any more.
    func ended() async {
        await withCheckedContinuation { continuation in
            let isOver = state.withLock { state in
                if !state.connections.isEmpty { state.waiting.append(continuation) }
                return state.connections.isEmpty
            }
            if isOver { continuation.resume() }
        }
    }

    /// A connection ends after its request, or at once where it has none; one that was just opened may have its first
    /// request on the way.
    func quiesce() {
        let connections = state.withLock { state in
            state.isQuiescing = true
            return Array(state.connections.values)
        }
        let now = NIODeadline.now()
        for connection in connections {
            let isYoung = now - connection.openedAt < Self.firstRequest
            Self.quiesce(connection.channel, in: isYoung ? Self.firstRequest : .zero)
        }
    }

    private static let firstRequest = TimeAmount.milliseconds(500)

    private static func quiesce(_ channel: any Channel, in time: TimeAmount) {
        channel.eventLoop.scheduleTask(in: time) {
            channel.pipeline.fireUserInboundEventTriggered(ChannelShouldQuiesceEvent())
        }
    }

    func close() {
        for connection in state.withLock({ Array($0.connections.values) }) {
            connection.channel.close(promise: nil)
        }
    }
}

/// A listening socket of TCP, opened here or by another process.
final class ListeningSocket: Sendable {
    let descriptor: Int32
    private static let backlog: Int32 = 256

    /// The descriptor becomes this object's own.
    init(descriptor: Int32) { self.descriptor = descriptor }

    /// Throws where the address cannot be bound.
    init(_ address: SocketAddress) throws {
        let family = address.protocol == .inet6 ? AF_INET6 : AF_INET
        let descriptor = Glibc.socket(
            family, Int32(SOCK_STREAM.rawValue | SOCK_CLOEXEC.rawValue | SOCK_NONBLOCK.rawValue), 0)
        guard descriptor >= 0 else { throw IOError(errnoCode: errno, reason: "socket") }
        var on: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, socklen_t(MemoryLayout<Int32>.size))
        let bound = address.withSockAddr { name, length in Glibc.bind(descriptor, name, socklen_t(length)) }
        guard bound == 0, listen(descriptor, Self.backlog) == 0 else {
            let error = IOError(errnoCode: errno, reason: "bind")
            close(descriptor)
            throw error
        }
        self.descriptor = descriptor
    }

    deinit { close(descriptor) }

    /// Another descriptor of the same socket, for one who closes it.
    func duplicate() throws -> Int32 {
        let copy = fcntl(descriptor, F_DUPFD_CLOEXEC, 3)
        guard copy >= 0 else { throw IOError(errnoCode: errno, reason: "fcntl") }
        return copy
    }
}

/// The present time as responses say it (RFC 9110, section 5.6.7).
enum ResponseDate {
    static var now: String { text(time(nil)) }

    static func text(_ seconds: time_t) -> String {
        var (seconds, parts) = (seconds, tm())
        gmtime_r(&seconds, &parts)
        let days = ["Sun", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat"]
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int32) -> String { number < 10 ? "0\(number)" : "\(number)" }
        let clock = "\(two(parts.tm_hour)):\(two(parts.tm_min)):\(two(parts.tm_sec))"
        return "\(days[Int(parts.tm_wday)]), \(two(parts.tm_mday)) \(months[Int(parts.tm_mon)]) "
            + "\(1900 + parts.tm_year) \(clock) GMT"
    }
}

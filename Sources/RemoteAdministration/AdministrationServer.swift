import AuditMonitor
public import CloudModel
public import CloudPorts
public import Credentials
import Glibc
import Hummingbird
public import Logging
public import MerkleLog
import NIOCore
public import ServiceLifecycle
import Synchronization

/// Serves the administration API: HTTP/1.1 without TLS, which is for a proxy in front of it or for loopback.
///
/// Handlers decode, authorise, call `CloudAdministration` and encode; nothing is decided here.
public struct AdministrationServer: Service {
    public struct Settings: Sendable {
        /// Port 0 takes a free one; `boundPort()` tells which.
        public var address: Endpoint
        /// What the platform runs with: its name is the observer of the platform's own logins in the audit log, all of
        /// it is part of an exported configuration.
        public var platform: PlatformSettings
        /// The platform's version, told to those who are logged in.
        public var version: String
        /// Connections at once; more wait until one is closed.
        public var maximumConnections: Int
        /// Clients that follow the event log at once; more are answered with 503.
        public var maximumStreams: Int
        /// How often a client that follows the event log hears from us where nothing happens.
        public var heartbeat: Duration
        /// How long a connection may be silent between and within requests.
        public var idleTimeout: Duration
        /// How long one write to a client may take before its connection is closed.
        public var writeTimeout: Duration
        /// How long requests may go on when the server is to end.
        public var stopLimit: Duration
        /// Of an image that is imported.
        public var maximumImageBytes: Int64

        public init(
            address: Endpoint, platform: PlatformSettings, version: String = "", maximumConnections: Int = 512,
            maximumStreams: Int = 64,
            heartbeat: Duration = .seconds(15), idleTimeout: Duration = .seconds(60),
            writeTimeout: Duration = .seconds(30), stopLimit: Duration = .seconds(10),
            maximumImageBytes: Int64 = 1 << 40
        ) {
            self.address = address
            self.platform = platform
            self.version = version
            self.maximumConnections = maximumConnections
            self.maximumStreams = maximumStreams
            self.heartbeat = heartbeat
            self.idleTimeout = idleTimeout
            self.writeTimeout = writeTimeout
            self.stopLimit = stopLimit
            self.maximumImageBytes = maximumImageBytes
        }
    }

    let handlers: Handlers
    private let responder: Responder
    private let binding = Binding()
    private let sockets: SharedSocket

    /// - Parameters:
    ///   - tagger: makes the tags that stand for presented tokens in the audit log.
    ///   - secrets: seals the secrets of second factors.
    ///   - seals: the public key that the books are sealed with.
    ///   - sealNow: seals the books and gives back the newest seal of each log.
    ///   - images: where imported images are kept; nil: nowhere, and imports are refused.
    ///   - metrics: more figures in the Prometheus text format, after the server's own.
    ///   - traffic: what the gateway carried, by service and instance.
    ///   - now: the platform's time.
    ///   - inherited: a socket that listens at the address already, from the process before this one; it becomes the
    ///     server's own.
    public init(
        administration: any CloudAdministration, settings: Settings, tagger: SecretTagger, secrets: SecretBox,
        seals: CheckpointVerifier,
        sealNow: @escaping @Sendable () async throws -> [StoredSeal],
        images: (any ImageStore)? = nil, metrics: @escaping @Sendable () -> String = { "" },
        traffic: @escaping @Sendable () -> [TrafficFigures] = { [] }, now: @escaping @Sendable () -> Timestamp,
        inherited: Int32? = nil, logger: Logger
    ) {
        sockets = SharedSocket(inherited.map(ListeningSocket.init(descriptor:)))
        let authenticator = Authenticator(
            database: administration.logDatabase, observer: settings.platform.name, tagger: tagger,
            secrets: secrets,
            lockout: settings.platform.audit.lockoutFailures.map {
                LoginLockout.Settings(failures: $0, duration: settings.platform.audit.lockoutDuration)
            }, now: now, logger: logger)
        handlers = Handlers(
            administration: administration, authenticator: authenticator, lane: CommandLane(), hub: EventHub(),
            images: images,
            streams: StreamSlots(maximum: settings.maximumStreams), settings: settings, seals: seals,
            sealNow: sealNow, metrics: metrics, traffic: traffic, now: now, logger: logger)
        responder = Responder(
            handlers: handlers,
            ledger: IdempotencyLedger(database: administration.logDatabase, now: now, logger: logger))
    }

    /// Serves until it is shut down gracefully or cancelled; either way requests are finished and event streams ended
    /// before it returns. Throws where the address cannot be bound.
    public func run() async throws {
        let settings = handlers.settings
        var logger = handlers.logger
        // The library tells of every connection; what matters here is logged by the handlers.
        logger.logLevel = max(logger.logLevel, .warning)
        let socket: ListeningSocket
        do {
            socket = try listen()
        } catch {
            binding.resolve(.failure(error))
            throw error
        }
        let listener = AdministrationListener(
            socket: socket, responder: responder, settings: settings, logger: logger,
            onRunning: { binding.resolve(.success($0)) })
        var group = ServiceGroupConfiguration(services: [listener], logger: logger)
        group.maximumGracefulShutdownDuration = settings.stopLimit
        try await serve(ServiceGroup(configuration: group))
    }

    /// As configured: where port 0 was asked for, it is 0.
    public var configuredAddress: Endpoint { handlers.settings.address }

    /// By which the next process means the same socket.
    public static func socketName(_ address: Endpoint) -> String { "administration \(address)" }

    private func listen() throws -> ListeningSocket {
        let address = handlers.settings.address
        do {
            return try sockets.opened {
                try ListeningSocket(.makeAddressResolvingHost(address.address, port: Int(address.port)))
            }
        } catch let error as IOError {
            throw AdministrationServerError(address: address, cause: error)
        }
    }

    /// The listening socket's descriptor, which stays the server's: for the process that goes on serving from it. Nil
    /// before there is one.
    public var listeningSocket: Int32? { sockets.current?.descriptor }

    /// Being cancelled is being asked to end: it is passed on as a graceful shutdown, which the library does not do.
    private func serve(_ group: ServiceGroup) async throws {
        let follower = Task { await handlers.hub.follow(handlers.administration.eventPositions()) }
        let serving = Task { try await group.run() }
        defer { follower.cancel() }
        do {
            try await withTaskCancellationOrGracefulShutdownHandler {
                try await serving.value
            } onCancelOrGracefulShutdown: {
                Task {
                    await handlers.hub.finish()
                    await group.triggerGracefulShutdown()
                }
            }
        } catch {
            binding.resolve(.failure(error))
            throw error
        }
        binding.resolve(.failure(CancellationError()))
    }

    /// The port that the server listens on, as soon as it does. Throws where it could not begin to listen.
    public func boundPort() async throws -> Int { try await binding.port() }

    /// The address with the port that was taken.
    public func boundEndpoint() async throws -> Endpoint {
        Endpoint(address: handlers.settings.address.address, port: UInt16(clamping: try await boundPort()))
    }
}

/// The server could not begin to listen.
public struct AdministrationServerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// What happened and how to mend it.
    public var description: String

    init(address: Endpoint, cause: IOError) {
        let reason = String(cString: strerror(cause.errnoCode))
        description = """
            cannot listen on \(address) for administration: \(reason); give another address in Cloud: \
            spec.administration.address, or end what listens there
            """
    }
}

/// The server is a value, the socket is one.
private final class SharedSocket: Sendable {
    private let socket: Mutex<ListeningSocket?>

    init(_ socket: ListeningSocket?) { self.socket = Mutex(socket) }

    var current: ListeningSocket? { socket.withLock { $0 } }

    func opened(by open: () throws -> ListeningSocket) rethrows -> ListeningSocket {
        try socket.withLock { socket in
            if let socket { return socket }
            let opened = try open()
            socket = opened
            return opened
        }
    }
}

/// The port, once it is known; asked for by any number before and after.
private final class Binding: Sendable {
    private struct State {
        var result: Result<Int, any Error>?
        var waiting: [CheckedContinuation<Int, any Error>] = []
    }

    private let state = Mutex(State())

    /// Only the first result counts.
    func resolve(_ result: Result<Int, any Error>) {
        let waiting = state.withLock { state in
            guard state.result == nil else { return [CheckedContinuation<Int, any Error>]() }
            state.result = result
            defer { state.waiting = [] }
            return state.waiting
        }
        for continuation in waiting { continuation.resume(with: result) }
    }

    func port() async throws -> Int {
        try await withCheckedThrowingContinuation { continuation in
            let known = state.withLock { state in
                if state.result == nil { state.waiting.append(continuation) }
                return state.result
            }
            if let known { continuation.resume(with: known) }
        }
    }
}

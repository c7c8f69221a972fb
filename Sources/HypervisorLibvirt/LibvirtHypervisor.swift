public import CloudModel
public import CloudPorts
public import Logging
import Synchronization

/// Connects to physical servers through libvirt: any address that libvirt takes (`qemu+ssh://`, `qemu+tls://`,
/// `qemu+tcp://`, `qemu:///system`, `test:///default`).
public struct LibvirtProvider: HypervisorProvider {
    private let logger: Logger
    private let firstRetry: Duration
    private let keepaliveSeconds: Int32
    private let attemptPatience: Duration
    private let fence: any ActionFence

    public init(logger: Logger, fence: any ActionFence = NoActionFence()) {
        self.init(logger: logger, firstRetry: .milliseconds(100), fence: fence)
    }

    /// - Parameters:
    ///   - firstRetry: between the loss of a connection and the next attempt; doubled up to 3 s.
    ///   - keepaliveSeconds: between two of libvirt's own questions; the third without an answer ends the connection.
    ///   - attemptPatience: after so long it is seen to it that an attempt to connect comes to an end.
    package init(
        logger: Logger, firstRetry: Duration, keepaliveSeconds: Int32 = LibvirtHypervisor.keepaliveSeconds,
        attemptPatience: Duration = LibvirtHypervisor.attemptPatience, fence: any ActionFence = NoActionFence()
    ) {
        self.fence = fence
        self.attemptPatience = attemptPatience
        self.logger = logger
        self.firstRetry = firstRetry
        self.keepaliveSeconds = keepaliveSeconds
    }

    public func open(_ server: PhysicalServer) -> any Hypervisor {
        let hypervisor = LibvirtHypervisor(
            server, logger: logger, firstRetry: firstRetry, keepaliveSeconds: keepaliveSeconds,
            attemptPatience: attemptPatience, fence: fence)
        hypervisor.begin()
        return hypervisor
    }
}

/// One physical server's libvirtd. Carries out what it is told and reports what it sees.
final class LibvirtHypervisor: Hypervisor {
    private static let lastRetry = Duration.seconds(3)
    /// How long the first packet is repeated, and how long an attempt may take until it is seen to its end.
    static let attemptPatience = Duration.seconds(5)
    /// Then it is left behind, which only programs need that connect for libvirt, as ssh: no kernel ends theirs.
    private static let attemptLimit = Duration.seconds(120)
    static let keepaliveSeconds: Int32 = 1

    struct State {
        var connection: LibvirtConnection?
        /// The uuids of those whose migration is being waited for, with libvirt's last word on it.
        var migrations: [String: MigrationResult?] = [:]
        /// Those of them that the hypervisor has switched to post-copy.
        var postCopies: Set<String> = []
        var isClosed = false
        var connecting: Task<Void, Never>?
    }

    let host: PhysicalServerID
    let events: AsyncStream<HypervisorEvent>
    let state = Mutex(State())
    /// Consoles that are open, to be ended with the connection.
    let lines = Mutex<[WeakLine]>([])
    /// One at a time, beside those that were left behind.
    private let attempts = BlockingCalls(maximumThreads: 4, maximumWaiting: 1)
    private let attemptPatience: Duration
    private let address: String
    /// How long it may leave a question unanswered.
    private let patience: Duration
    private let keepaliveSeconds: Int32
    /// Asked right before each call that changes something.
    let fence: any ActionFence
    private let firstRetry: Duration
    private let logger: Logger
    private let sink: AsyncStream<HypervisorEvent>.Continuation

    init(
        _ server: PhysicalServer, logger: Logger, firstRetry: Duration, keepaliveSeconds: Int32,
        attemptPatience: Duration, fence: any ActionFence
    ) {
        self.fence = fence
        self.attemptPatience = attemptPatience
        host = server.id
        address = server.hypervisor
        patience = .microseconds(server.silentAfter.microseconds)
        self.keepaliveSeconds = keepaliveSeconds
        self.firstRetry = firstRetry
        self.logger = logger
        // Were a reader to fall so far behind, the newest are kept and the connection is made anew, so that it lists.
        (events, sink) = AsyncStream.makeStream(bufferingPolicy: .bufferingNewest(65_536))
    }

    func begin() {
        let task = Task { [weak self, firstRetry] in
            var retry = firstRetry
            while !Task.isCancelled, let hypervisor = self {
                if await hypervisor.connectOnce() {
                    retry = firstRetry
                } else {
                    retry = min(retry * 2, Self.lastRetry)
                }
                try? await Task.sleep(for: retry)
            }
        }
        state.withLock { $0.connecting = task }
    }

    func close() async {
        let (task, connection) = state.withLock { state in
            state.isClosed = true
            let connection = state.connection
            state.connection = nil
            return (state.connecting, connection)
        }
        task?.cancel()
        endLines()
        if let connection { await end(connection) }
        await task?.value
        sink.finish()
    }

    /// One connection from its making to its end. False where none was made.
    private func connectOnce() async -> Bool {
        let (losses, loss) = AsyncStream<String>.makeStream(bufferingPolicy: .bufferingOldest(1))
        let connection: LibvirtConnection
        switch await attempt(loss) {
        case .success(let made): connection = made
        case .failure(let error):
            logger.debug(
                "no connection to the hypervisor",
                metadata: ["host": "\(host)", "reason": "\(error.message)"])
            return false
        }
        let isClosed = state.withLock { state in
            if !state.isClosed { state.connection = connection }
            return state.isClosed
        }
        if isClosed {
            await end(connection)
            return true
        }
        emit(.connected(connection.facts.capabilities), loss)
        let reason = await lossOf(connection, losses, loss)
        state.withLock { if $0.connection === connection { $0.connection = nil } }
        // Told first: the end of a connection may wait for a peer that is not there any more.
        emit(.disconnected(reason: reason), loss)
        endLines()
        await end(connection)
        return true
    }

    /// Returns once libvirt says that the connection has ended, or the other side leaves a question unanswered.
    private func lossOf(
        _ connection: LibvirtConnection, _ losses: AsyncStream<String>, _ loss: AsyncStream<String>.Continuation
    ) async -> String {
        let watch = AnswerWatch(limit: patience, ask: { connection.ask() })
        let silence = Task { [patience] in
            await watch.untilSilent()
            if !Task.isCancelled { loss.yield("a question stays unanswered for \(patience)") }
        }
        defer { silence.cancel() }
        for await text in losses { return text }
        return "closed from here"
    }

    private func attempt(
        _ loss: AsyncStream<String>.Continuation
    ) async -> Result<LibvirtConnection, HypervisorError> {
        let observer = ConnectionObserver(
            changed: { [weak self] name, uuid, change in
                self?.emit(.virtualServer(name, uuid: uuid, change), loss)
            },
            migrated: { [weak self] uuid, result in
                self?.state.withLock { state in
                    if state.migrations.keys.contains(uuid) { state.migrations[uuid] = .some(result) }
                }
            },
            switchedToPostCopy: { [weak self] uuid in
                self?.state.withLock { state in
                    if state.migrations.keys.contains(uuid) { state.postCopies.insert(uuid) }
                }
            },
            lost: { reason in loss.yield(reason) })
        let (outcomes, outcome) = AsyncStream<Result<LibvirtConnection, HypervisorError>>.makeStream(
            bufferingPolicy: .bufferingOldest(1))
        let (address, attempts, patience) = (address, attempts, attemptPatience)
        let keepaliveSeconds = keepaliveSeconds
        let peer = ReachedPeer()
        // Not a child of this task: one that is left behind gives its connection back when it gets one.
        Task {
            do throws(HypervisorError) {
                let made = try await attempts.run {
                    Result { () throws(HypervisorError) in
                        let reached = try HypervisorPeer(address)?.reach(within: patience)
                        peer.address.withLock { $0 = reached }
                        return try LibvirtConnection(
                            uri: address, keepaliveSeconds: keepaliveSeconds, observer: observer)
                    }
                }
                if case .enqueued = outcome.yield(.success(made)) { return }
                await self.end(made)
            } catch {
                outcome.yield(.failure(error))
            }
        }
        let timer = Task {
            let end = ContinuousClock.now + Self.attemptLimit
            while ContinuousClock.now < end {
                try await Task.sleep(for: patience)
                if let reached = peer.address.withLock({ $0 }) { HypervisorPeer.noticeDeath(of: reached) }
            }
            outcome.yield(.failure(HypervisorError(.unreachable, "no answer from \(address)")))
            outcome.finish()
        }
        defer {
            timer.cancel()
            outcome.finish()
        }
        for await first in outcomes { return first }
        return .failure(HypervisorError(.unreachable, "closed from here"))
    }

    private final class ReachedPeer: Sendable {
        let address = Mutex<HypervisorPeer.SocketAddress?>(nil)
    }

    private func end(_ connection: LibvirtConnection) async {
        connection.refuse()
        // Where too many wait, it ends with its last reference instead.
        _ = try? await connection.calls.run {
            connection.end()
            return .success(true)
        }
    }

    private func emit(_ event: HypervisorEvent, _ loss: AsyncStream<String>.Continuation) {
        if case .dropped = sink.yield(event) {
            loss.yield("events came faster than they were read")
        }
    }

    // MARK: Calls

    /// Runs a call on the connection that there is; never waits for one.
    func call<Value: Sendable>(
        _ body: @escaping @Sendable (OpaquePointer, HypervisorFacts) throws(HypervisorError) -> Value
    ) async throws(HypervisorError) -> Value {
        guard let connection = state.withLock({ $0.connection }) else {
            throw HypervisorError(.unreachable, "there is no connection to \(address)")
        }
        return try await connection.calls.run {
            Result { () throws(HypervisorError) in
                try connection.use { handle throws(HypervisorError) in try body(handle, connection.facts) }
            }
        }
    }
}

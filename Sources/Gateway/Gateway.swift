import CGateway
public import CloudModel
public import CloudPorts
import Credentials
public import Logging
public import Spool
import Synchronization

/// The data plane: event loops that carry consumers' requests to service instances, and on the way identify, admit,
/// meter and audit them.
///
/// ```
/// let gateway = try Gateway(configuration: configuration, logger: logger)
/// try gateway.start()
/// await gateway.apply(snapshot)
/// for await event in gateway.events { … }
/// await gateway.drainAndStop(within: .seconds(30))
/// ```
public final class Gateway: DataPlane {
    public let configuration: GatewayConfiguration
    /// Where the records wait for the log database. Whoever moves them reads from here, also after the gateway has
    /// stopped, and closes it in the end.
    public let spool: SpoolDirectory
    private let logger: Logger
    private let mailboxes: [Mailbox<LoopMessage>]
    private let outbox = EventOutbox()
    private let traffic = TrafficBook()
    private let monitor: LoadMonitor
    private let accessLog: AccessLog?
    private let traces: GatewayTraces?
    private let certificates: CertificateStore
    private let lockouts = GatewayLockouts()
    private let inherited: SocketSource
    private let control: Mutex<SnapshotCompiler>
    private let running = Mutex(Running())

    private struct Running {
        var loops: [EventLoop] = []
        var threads: [UInt] = []
        var endpoints: [Endpoint] = []
        /// Of the configuration's listeners, of each the loops' in their order.
        var sockets: [(name: String, descriptor: Int32)] = []
        var isStopped = false
    }

    /// Opens the spool, in which records of former processes may wait.
    ///
    /// - Parameter inherited: gives the listening sockets of the process before this one, each once, by the names that
    ///   `listeningSockets` had there; nil where there is none of a name: then the gateway opens its own.
    public init(
        configuration: GatewayConfiguration, inherited: @escaping SocketSource = { _ in nil }, logger: Logger
    ) throws(GatewayError) {
        self.inherited = inherited
        let limit = cgateway_descriptor_limit()
        self.configuration = try configuration.validated().fitted(toDescriptors: limit)
        self.logger = logger
        if self.configuration.limits.connectionsPerLoop < configuration.limits.connectionsPerLoop {
            logger.warning(
                "fewer connections than configured: raise the limit of open files (ulimit -n, LimitNOFILE)",
                metadata: [
                    "open-files": "\(limit)", "configured": "\(configuration.limits.connectionsPerLoop)",
                    "connections-per-loop": "\(self.configuration.limits.connectionsPerLoop)",
                ])
        }
        do {
            spool = try SpoolDirectory(path: configuration.spoolDirectory, settings: configuration.spool)
        } catch {
            throw GatewayError(.spool, error.description)
        }
        var mailboxes: [Mailbox<LoopMessage>] = []
        for _ in 0..<configuration.loops { mailboxes.append(try Mailbox()) }
        self.mailboxes = mailboxes
        monitor = try LoadMonitor(outbox: outbox)
        if let settings = configuration.accessLog {
            accessLog = try AccessLog(settings, loops: configuration.loops, logger: logger)
        } else {
            accessLog = nil
        }
        traces = configuration.traces.map { GatewayTraces($0, loops: configuration.loops) }
        certificates = try CertificateStore(
            listeners: configuration.listeners, speaksHTTP2: configuration.http2.isEnabled)
        control = Mutex(
            SnapshotCompiler(
                loops: configuration.loops, backlog: configuration.limits.acceptBacklog, inherited: inherited
            ) { service, error in
                logger.error(
                    error.code == .cannotListen
                        ? "a service's port cannot be listened on; nobody reaches it"
                        : "a service's TLS cannot be used; its requests are refused",
                    metadata: ["service": "\(service)", "reason": "\(error.message)"])
            })
    }

    /// Listens and begins to serve. Until a snapshot has been applied every request is answered with 404.
    ///
    /// - Parameter highWaterMarks: what the log database has of each source; numbers that it has are not used again.
    public func start(highWaterMarks: [String: UInt64] = [:]) throws(GatewayError) {
        let listeners = try openListeners()
        let endpoints = zip(configuration.listeners, listeners[0]).map {
            Endpoint(address: $0.endpoint.address, port: $1.port)
        }
        let sockets = configuration.listeners.enumerated().flatMap { number, listener in
            listeners.map { (name: ListenerName.of(listener.endpoint), descriptor: $0[number].descriptor) }
        }
        try monitor.start()
        try accessLog?.start()
        // Under the lock that snapshots are applied under: none falls between the loops' first and their start.
        try control.withLock { control throws(GatewayError) in
            var loops: [EventLoop] = []
            for index in 0..<configuration.loops {
                loops.append(
                    try makeLoop(index, listeners[index], control.current, highWaterMarks: highWaterMarks))
            }
            var threads: [UInt] = []
            for loop in loops { threads.append(try startThread(loop)) }
            running.withLock { running in
                running.loops = loops
                running.threads = threads
                running.endpoints = endpoints
                running.sockets = sockets
            }
        }
    }

    private func makeLoop(
        _ index: Int, _ listeners: [LoopListener], _ snapshot: CompiledSnapshot, highWaterMarks: [String: UInt64]
    ) throws(GatewayError) -> EventLoop {
        let source = configuration.source(ofLoop: index)
        let connections = configuration.limits.connectionsPerLoop
        return try EventLoop(
            index: index, configuration: configuration, mailbox: mailboxes[index], listeners: listeners,
            tlsContexts: certificates.current, snapshot: snapshot,
            spool: try makeWriter(source, after: highWaterMarks[source] ?? 0),
            audits: AuditTaps(
                observer: configuration.name, tagger: SecretTagger(key: configuration.auditTagKey), spool: spool,
                lockouts: lockouts),
            reports: LoopReports(outbox: outbox, monitor: monitor, traffic: traffic),
            accessLog: accessLog.map { LoopAccessLog($0, loop: index) }, traces: try makeTraces(index),
            notes: accessLog == nil && traces == nil ? nil : try AccessNotes(connections: connections), logger: logger)
    }

    private func makeTraces(_ loop: Int) throws(GatewayError) -> LoopTraces? {
        guard let traces else { return nil }
        return try LoopTraces(traces, loop: loop, connections: configuration.limits.connectionsPerLoop)
    }

    /// The spans of requests; nil where there are none.
    public var spans: (any SpanSource)? { traces }

    /// Where consumers connect, with the ports that were taken for port 0; empty before `start`.
    public var boundEndpoints: [Endpoint] { running.withLock { $0.endpoints } }

    /// Every listening socket with its name, for the process that goes on serving from them. They stay this gateway's,
    /// which closes its own descriptors when it stops; who is given them must be faster.
    public var listeningSockets: [(name: String, descriptor: Int32)] {
        control.withLock { control in
            let (sockets, isStopped) = running.withLock { ($0.sockets, $0.isStopped) }
            return isStopped ? [] : sockets + control.sockets
        }
    }

    /// Where the services of TCP listen, with the ports that were taken for port 0.
    public var servicePorts: [ServiceID: UInt16] { control.withLock { $0.servicePorts } }

    private func makeWriter(_ source: String, after stored: UInt64) throws(GatewayError) -> SpoolWriter {
        do {
            return try spool.makeWriter(source: source, after: stored)
        } catch {
            throw GatewayError(.spool, error.description)
        }
    }

    private func startThread(_ loop: EventLoop) throws(GatewayError) -> UInt {
        var id: UInt = 0
        let context = Unmanaged.passRetained(loop).toOpaque()
        let failure = cgateway_start_thread(
            "gateway-\(loop.index)", { Unmanaged<EventLoop>.fromOpaque($0!).takeRetainedValue().run() }, context, &id)
        guard failure == 0 else {
            Unmanaged<EventLoop>.fromOpaque(context).release()
            throw GatewayError(.exhausted, "cannot start a thread (error \(failure))")
        }
        return id
    }

    // MARK: Listening

    /// By loop, in the order of `configuration.listeners`.
    private func openListeners() throws(GatewayError) -> [[LoopListener]] {
        var opened: [[LoopListener]] = Array(repeating: [], count: configuration.loops)
        do throws(GatewayError) {
            for (number, listener) in configuration.listeners.enumerated() {
                let endpoint = listener.endpoint
                var port = endpoint.port
                for loop in 0..<configuration.loops {
                    var opening = try LoopListener(
                        on: Endpoint(address: endpoint.address, port: port),
                        backlog: configuration.limits.acceptBacklog, isFirst: loop == 0,
                        inherited: inherited(ListenerName.of(endpoint)))
                    opening.ticketKeys = certificates.ticketKeys[number]
                    opening.trustedProxies = listener.proxyProtocolFrom.compactMap { NetworkPrefix($0) }
                    port = opening.port
                    opened[loop].append(opening)
                }
            }
        } catch {
            for listener in opened.joined() { cgateway_close(listener.descriptor) }
            throw error
        }
        return opened
    }

    // MARK: DataPlane

    /// Returns when every loop goes by the snapshot. One that is older than the last applied is ignored.
    public func apply(_ snapshot: DataPlaneSnapshot) async {
        let mailboxes = mailboxes
        let taken = Countdown(mailboxes.count)
        let (compiled, isRunning) = control.withLock { control -> (CompiledSnapshot?, Bool) in
            let isRunning = running.withLock { !$0.loops.isEmpty && !$0.isStopped }
            let now = Timestamp(microseconds: cgateway_wall_microseconds())
            let compiled = control.compile(snapshot, now: now) { service, end in
                mailboxes[Int(end.ticket.loop)].post(.waitEnded(service: service, end))
            }
            // Posted within the lock: all loops get the snapshots in the same order.
            if let compiled, isRunning {
                for mailbox in mailboxes { mailbox.post(.snapshot(compiled, taken: taken)) }
            }
            return (compiled, isRunning)
        }
        guard let compiled else { return }
        monitor.watch(
            Dictionary(uniqueKeysWithValues: compiled.services.map { ($0.number, $0.gate) }),
            consumers: compiled.consumers.consumers,
            draining: Set(
                snapshot.services.filter { service in
                    service.backends.contains { $0.administrative == .draining }
                }.map(\.service.id)))
        if isRunning { await taken.wait() }
        traffic.keep(
            Dictionary(
                snapshot.services.map { ($0.service.id, Set($0.backends.map(\.instance))) },
                uniquingKeysWith: { $0.union($1) }))
    }

    public var events: AsyncStream<DataPlaneEvent> {
        let outbox = outbox
        return AsyncStream { await outbox.next() }
    }

    // MARK: Certificates

    /// Reads certificates, keys and authorities anew, for connections that begin from now on; those that stand are not
    /// touched. Where one of them cannot be used all stay as they are, and the error says which and why.
    ///
    /// - Parameter onlyIfChanged: do nothing where no file has changed since it was last looked at.
    /// - Returns: whether they were read.
    @discardableResult
    public func reloadCertificates(onlyIfChanged: Bool = false) throws(GatewayError) -> Bool {
        guard let contexts = try certificates.reload(onlyIfChanged: onlyIfChanged) else { return false }
        control.withLock { _ in
            guard running.withLock({ !$0.loops.isEmpty && !$0.isStopped }) else { return }
            for mailbox in mailboxes { mailbox.post(.certificates(contexts)) }
        }
        return true
    }

    /// When the first certificate of the listeners ends, in seconds since 1970; nil where none uses TLS.
    public var certificateExpiry: Int64? { certificates.expiry }

    // MARK: Stopping

    /// Accepts no more, lets requests end (their responses say `connection: close`), and returns when all have ended or
    /// the time is over; what still runs then is cut off and booked as it stands.
    ///
    /// - Parameter keepsIdle: connections without a request stay until they have had their next one, or are closed for
    ///   their idleness: no request that is on its way is lost to a connection that was just closed.
    public func drainAndStop(within span: TimeSpan, keepsIdle: Bool = false) async {
        let deadline = cgateway_monotonic_microseconds() + span.microseconds
        // Under the lock that snapshots are posted under: none comes behind the end, where no loop would take it.
        let (threads, isFirst) = control.withLock { _ in
            let (threads, isFirst) = running.withLock { running in
                defer { running.isStopped = true }
                return (running.threads, !running.isStopped)
            }
            if isFirst { for mailbox in mailboxes { mailbox.post(.drain(deadline: deadline, keepsIdle: keepsIdle)) } }
            return (threads, isFirst)
        }
        guard isFirst, !threads.isEmpty else { return }
        let monitor = monitor
        let accessLog = accessLog
        await withCheckedContinuation { (continuation: CheckedContinuation<Void, Never>) in
            // Joining blocks: not on a thread of the cooperative pool.
            BlockingTask.run("gateway-stop") {
                for thread in threads { cgateway_join_thread(thread) }
                monitor.stop()
                accessLog?.stop()
                continuation.resume()
            }
        }
        outbox.finish()
    }
}

extension Gateway {
    /// What was carried for each service and each instance in the balance; sorted, a service before its instances.
    public var trafficFigures: [TrafficFigures] { traffic.figures }

    public func latencies(of services: Set<ServiceID>) async -> [ServiceID: LatencyHistogram] {
        traffic.latencies(of: services)
    }

    /// The access log's file has been moved away: goes on in a new one under the old name.
    public func reopenAccessLog() { accessLog?.reopen() }

    /// What the loops counted since the start, for `/metrics`.
    public var statistics: GatewayStatistics {
        let loops = running.withLock { $0.loops }
        let services = control.withLock { $0.serviceNumbers }
        return GatewayStatistics(
            loops.map { $0.counters }, services: services, droppedEvents: outbox.dropped,
            accessLog: accessLog?.totals)
    }
}

/// Runs a body that blocks on a thread of its own.
private enum BlockingTask {
    private final class Box {
        let body: () -> Void
        init(_ body: @escaping () -> Void) { self.body = body }
    }

    static func run(_ name: String, _ body: @escaping @Sendable () -> Void) {
        var id: UInt = 0
        let context = Unmanaged.passRetained(Box(body)).toOpaque()
        let failure = cgateway_start_thread(
            name, { Unmanaged<Box>.fromOpaque($0!).takeRetainedValue().body() }, context, &id)
        guard failure != 0 else {
            cgateway_detach_thread(id)
            return
        }
        // No thread to be had: blocking here is better than not stopping.
        Unmanaged<Box>.fromOpaque(context).takeRetainedValue().body()
    }
}

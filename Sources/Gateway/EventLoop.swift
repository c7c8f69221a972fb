import CGateway
import CloudModel
import HTTP1
import Logging
import Spool

/// What other threads tell a loop.
enum LoopMessage: Sendable {
    case waitEnded(service: Int, WaitEnd)
    /// Go by this from now on; `taken` counts the loops that do.
    case snapshot(CompiledSnapshot, taken: Countdown)
    /// Stop accepting, end connections as they become idle, and all of them at the deadline (monotonic microseconds).
    /// Where `keepsIdle`, connections without a request stay until they have had one more.
    case drain(deadline: Int64, keepsIdle: Bool)
    /// Certificates were read anew: for connections that begin from now on, by listener.
    case certificates([TLSContext?])
}

/// One thread, one epoll set, and everything that the connections in it need. Nothing here is shared with other loops
/// but the service gates, so nothing is locked; only the loop's own thread calls the methods, `init` and `post` apart.
///
/// The mutable state lies behind pointers rather than in stored properties: no exclusivity checks and no reference
/// counts on the path of a request.
final class EventLoop: @unchecked Sendable {
    let index: Int
    let configuration: GatewayConfiguration
    let logger: Logger
    let epoll: Int32
    let mailbox: Mailbox<LoopMessage>
    let clients: Slab<ClientConnection>
    let upstreams: Slab<UpstreamConnection>
    let buffers: BufferPool
    let pipes: SplicePipes
    let timers: TimerWheel
    let counters: LoopCounters
    let state: UnsafeMutablePointer<LoopState>
    let parsers: HeadParsers
    let spool: SpoolWriter
    let reports: LoopReports
    let consumerCache: ConsumerCache
    let audits: AuditTaps
    let accessLog: LoopAccessLog?
    let traces: LoopTraces?
    /// What heads said, where something is made of it when their requests have ended.
    let notes: AccessNotes?
    let listeners: [LoopListener]
    let http2: HTTP2State
    /// Room for a head, a path or an answer while it is being written.
    let scratch: UnsafeMutableRawBufferPointer
    /// 32 bytes for a request id as text.
    let requestIDText: UnsafeMutableRawPointer
    /// The present second as IMF-fixdate.
    let dateText: UnsafeMutableRawBufferPointer
    let rootPath: UnsafeRawBufferPointer
    private let events: UnsafeMutablePointer<epoll_event>
    private static let eventCapacity = 512

    /// Opens the loop's descriptors. `listeners` are listening sockets that become the loop's own.
    init(
        index: Int, configuration: GatewayConfiguration, mailbox: Mailbox<LoopMessage>, listeners: [LoopListener],
        tlsContexts: [TLSContext?], snapshot: CompiledSnapshot, spool: SpoolWriter, audits: AuditTaps,
        reports: LoopReports, accessLog: LoopAccessLog?, traces: LoopTraces?, notes: AccessNotes?, logger: Logger
    ) throws(GatewayError) {
        self.index = index
        self.configuration = configuration
        self.mailbox = mailbox
        self.listeners = listeners
        self.spool = spool
        self.audits = audits
        self.accessLog = accessLog
        self.traces = traces
        self.notes = notes
        self.reports = reports
        self.logger = logger
        let limits = configuration.limits
        epoll = cgateway_epoll_create()
        guard epoll >= 0 else {
            throw GatewayError(.exhausted, "no epoll (error \(-epoll)); raise the limit of open files")
        }
        state = .allocate(capacity: 1)
        state.initialize(to: LoopState(snapshot, tlsContexts: tlsContexts, connections: limits.connectionsPerLoop))
        clients = try Slab(capacity: limits.connectionsPerLoop)
        upstreams = try Slab(capacity: limits.upstreamsPerLoop)
        buffers = try BufferPool(connections: limits.connectionsPerLoop, bufferSize: Int(limits.bufferSize.bytes))
        pipes = try SplicePipes(connections: limits.connectionsPerLoop)
        timers = TimerWheel(capacity: limits.connectionsPerLoop, now: state.pointee.clock.monotonic)
        counters = try LoopCounters()
        parsers = HeadParsers(
            limits: HeadLimits(
                requestLine: Int(limits.requestLineSize.bytes), head: Int(limits.headSize.bytes),
                fields: limits.headFields))
        consumerCache = ConsumerCache()
        http2 = try HTTP2State(limits, settings: configuration.http2)
        events = .allocate(capacity: Self.eventCapacity)
        scratch = .allocate(byteCount: Int(limits.bufferSize.bytes), alignment: 16)
        requestIDText = .allocate(byteCount: 32, alignment: 16)
        dateText = .allocate(byteCount: HTTPDate.length, alignment: 16)
        let slash = UnsafeMutableRawBufferPointer.allocate(byteCount: 1, alignment: 1)
        slash[0] = UInt8(ascii: "/")
        rootPath = UnsafeRawBufferPointer(slash)
    }

    deinit {
        clients.deallocate()
        upstreams.deallocate()
        buffers.deallocate()
        timers.deallocate()
        http2.deallocate()
        traces?.deallocate()
        notes?.deallocate()
        counters.deallocate()
        for service in state.pointee.servicesByNumber {
            service?.pointee.deallocate()
            service?.deallocate()
        }
        state.pointee.services.deallocate()
        state.pointee.ready.deallocate()
        state.deinitialize(count: 1)
        state.deallocate()
        events.deallocate()
        scratch.deallocate()
        requestIDText.deallocate()
        dateText.deallocate()
        rootPath.deallocate()
    }

    var date: UnsafeRawBufferPointer { UnsafeRawBufferPointer(dateText) }

    /// Called by any thread.
    func post(_ message: LoopMessage) { mailbox.post(message) }

    /// The thread's whole life; returns when the loop has been drained.
    func run() {
        precondition(
            cgateway_epoll_add(epoll, mailbox.eventDescriptor, cgateway_listener_interest(), Token.mailbox) == 0,
            "the kernel refused to watch an eventfd")
        beginPrecedence()
        take(state.pointee.snapshot)
        writeDate()
        resumeAccepting()
        while !state.pointee.isStopped {
            let timeout = waitMilliseconds()
            let count = Int(cgateway_epoll_wait(epoll, events, Int32(Self.eventCapacity), Int32(timeout)))
            state.pointee.clock.read()
            for position in 0..<max(0, count) { dispatch(events + position) }
            runReady()
            expireTimers()
            flushSessions()
            keepPrecedence()
            housekeepIfDue()
        }
        closeEverything()
    }

    private func waitMilliseconds() -> Int {
        if !state.pointee.ready.isEmpty || http2.hasTouched { return 0 }
        let now = state.pointee.clock.monotonic
        var next = state.pointee.nextHousekeeping
        if state.pointee.isTrimming { next = min(next, state.pointee.nextTrim) }
        let untilHousekeeping = max(0, Int((next - now + 999) / 1_000))
        guard let untilTimer = timers.millisecondsToNext(now: now) else { return untilHousekeeping }
        return min(untilTimer, untilHousekeeping)
    }

    @inline(__always)
    private func dispatch(_ event: UnsafeMutablePointer<epoll_event>) {
        let token = cgateway_event_token(event)
        let flags = cgateway_event_flags(event)
        let index = Int(truncatingIfNeeded: token & 0xFFFF_FFFF)
        switch Token.kind(token) {
        case .client:
            // A connection that was closed earlier in this batch may have an event left in it.
            let client = clients[index]
            guard client.pointee.phase != .free, Token.matches(token, client.pointee.generation) else { return }
            state.pointee.clock.read()
            clientReady(client, flags)
        case .upstream:
            let upstream = upstreams[index]
            guard upstream.pointee.state != .free, Token.matches(token, upstream.pointee.generation) else { return }
            state.pointee.clock.read()
            upstreamReady(upstream, flags)
        case .listener:
            if index & Int(Token.serviceListener) != 0 {
                accept(ofService: index & ~Int(Token.serviceListener))
            } else {
                accept(on: index)
            }
        case .mailbox: readMailbox()
        }
    }

    /// Connections with input left over, each once a turn, so that a pipelining one does not keep the others waiting.
    private func runReady() {
        var turns = state.pointee.ready.count
        while turns > 0, let client = state.pointee.ready.pop(from: clients) {
            turns -= 1
            drive(client)
        }
    }

    private func expireTimers() {
        timers.expire(now: state.pointee.clock.monotonic) { index in
            let client = clients[index]
            if client.pointee.phase != .free { clientTimedOut(client) }
        }
    }

    private func readMailbox() {
        for message in mailbox.take() {
            switch message {
            case .waitEnded(let service, .granted(let grant)): granted(grant, service: service)
            case .waitEnded(let service, .displaced(let ticket, let rejection)):
                displaced(ticket, rejection, service: service)
            case .snapshot(let snapshot, let taken):
                take(snapshot)
                taken.countDown()
            case .drain(let deadline, let keepsIdle): beginDraining(until: deadline, keepsIdle: keepsIdle)
            case .certificates(let contexts): state.pointee.tlsContexts = contexts
            }
        }
    }
}

/// What epoll gives back with an event: which kind of descriptor, which place, and enough of the place's generation to
/// tell a late event from a present one.
enum Token {
    enum Kind: UInt64 {
        case client = 0
        case upstream, listener, mailbox
    }

    static let mailbox = Kind.mailbox.rawValue << 62
    /// Of a listener's place: it is a service's own, whose number the rest is.
    static let serviceListener: UInt32 = 1 << 31

    @inline(__always)
    static func make(_ kind: Kind, index: UInt32, generation: UInt32) -> UInt64 {
        kind.rawValue << 62 | UInt64(generation & 0x3FFF_FFFF) << 32 | UInt64(index)
    }

    @inline(__always)
    static func kind(_ token: UInt64) -> Kind { Kind(rawValue: token >> 62) ?? .mailbox }

    @inline(__always)
    static func matches(_ token: UInt64, _ generation: UInt32) -> Bool {
        (token >> 32) & 0x3FFF_FFFF == UInt64(generation & 0x3FFF_FFFF)
    }
}

import CloudModel
import HTTP1

/// What a loop changes as it runs, apart from the connections.
struct LoopState {
    var clock = LoopClock()
    var requestIDs = RequestIDGenerator()
    var ready: ReadyQueue

    var precedence = LoopPrecedence(mayBeFirst: false, now: 0)

    // MARK: What the current snapshot says
    /// Keeps alive what the unmanaged references below point to.
    var snapshot: CompiledSnapshot
    var routes: Unmanaged<RouteTable>
    var consumers: Unmanaged<ConsumerTable>
    var names: Unmanaged<ConsumerNames>
    /// By index in the snapshot.
    var services: UnsafeMutablePointer<UnsafeMutablePointer<LoopService>>
    /// By number; a service once seen stays, since requests in flight may point to it.
    var servicesByNumber: [UnsafeMutablePointer<LoopService>?] = []
    /// Keeps alive the gates that `LoopService` points to.
    var gates: [ServiceGate] = []
    /// By number of service: keeps alive what connections to instances are made with.
    var instanceContexts: [TLSContext?] = []

    // MARK: Accepting and stopping
    /// By number of service: where connections of TCP come in, and what they are spoken with over TLS.
    var serviceListeners: [ServiceListener?] = []
    var serviceContexts: [TLSContext?] = []
    /// By listener; nil where consumers connect without TLS.
    var tlsContexts: [TLSContext?]
    var openings = OpeningList()
    var isAccepting = false
    /// When to try again after the machine ran out of descriptors or memory; `Int64.max` while not waiting for that.
    var acceptRetryAt = Int64.max
    var isDraining = false
    /// While draining: connections without a request stay until they have had one more.
    var keepsIdle = false
    var drainDeadline = Int64.max
    var isStopped = false
    var nextHousekeeping: Int64 = 0
    var nextWarning: Int64 = 0
    /// Buffers that were not used lately are being given back, some at a time: a call to the kernel for each.
    var isTrimming = false
    var nextTrim: Int64 = 0
    /// Open for connections, to clients and to instances.
    var files = 0
    /// Idle connections to instances, over all pools.
    var idleUpstreams = 0

    init(_ snapshot: CompiledSnapshot, tlsContexts: [TLSContext?], connections: Int) {
        self.tlsContexts = tlsContexts
        ready = ReadyQueue(capacity: connections)
        self.snapshot = snapshot
        routes = Unmanaged.passUnretained(snapshot.routes)
        consumers = Unmanaged.passUnretained(snapshot.consumers)
        names = Unmanaged.passUnretained(snapshot.names)
        services = .allocate(capacity: 1)
    }
}

/// Connections that have something to do without waiting for the kernel, in order. Each is in it once at most, which
/// its flag says, so it never overflows.
struct ReadyQueue {
    private let slots: UnsafeMutablePointer<UInt32>
    private let mask: Int
    private var head = 0
    private var tail = 0

    init(capacity: Int) {
        var size = 8
        while size < capacity { size *= 2 }
        slots = .allocate(capacity: size)
        slots.initialize(repeating: 0, count: size)
        mask = size - 1
    }

    func deallocate() { slots.deallocate() }

    var isEmpty: Bool { head == tail }
    var count: Int { tail &- head }

    @inline(__always)
    mutating func push(_ client: Client, in clients: Slab<ClientConnection>) {
        guard !client.pointee.flags.contains(.inReadyQueue) else { return }
        client.pointee.flags.insert(.inReadyQueue)
        slots[tail & mask] = UInt32(truncatingIfNeeded: client - clients.base)
        tail &+= 1
    }

    @inline(__always)
    mutating func pop(from clients: Slab<ClientConnection>) -> Client? {
        guard head != tail else { return nil }
        let client = clients[Int(slots[head & mask])]
        head &+= 1
        client.pointee.flags.remove(.inReadyQueue)
        return client
    }
}

/// Parsers of heads. One of each kind serves all connections whose heads come in one piece; a connection whose head
/// comes in pieces keeps its parser until the head is whole, so that no byte is read twice.
final class HeadParsers {
    /// Kept of each kind for the next that need one: some kilobytes each.
    private static let spares = 64
    private let limits: HeadLimits
    private var requests: [UnsafeMutablePointer<RequestHead>] = []
    private var responses: [UnsafeMutablePointer<ResponseHead>] = []
    /// The parser for the next head; replaced when a connection keeps it.
    private(set) var request: UnsafeMutablePointer<RequestHead>
    private(set) var response: UnsafeMutablePointer<ResponseHead>

    init(limits: HeadLimits) {
        self.limits = limits
        request = .allocate(capacity: 1)
        request.initialize(to: RequestHead(limits: limits))
        response = .allocate(capacity: 1)
        response.initialize(to: ResponseHead(limits: limits))
    }

    deinit {
        for parser in requests + [request] {
            parser.deinitialize(count: 1)
            parser.deallocate()
        }
        for parser in responses + [response] {
            parser.deinitialize(count: 1)
            parser.deallocate()
        }
    }

    func keepRequest() -> UnsafeMutablePointer<RequestHead> {
        let kept = request
        if let spare = requests.popLast() {
            request = spare
        } else {
            request = .allocate(capacity: 1)
            request.initialize(to: RequestHead(limits: limits))
        }
        return kept
    }

    func give(_ parser: UnsafeMutablePointer<RequestHead>) {
        parser.pointee.reset()
        guard requests.count < Self.spares else {
            parser.deinitialize(count: 1)
            parser.deallocate()
            return
        }
        requests.append(parser)
    }

    func keepResponse() -> UnsafeMutablePointer<ResponseHead> {
        let kept = response
        if let spare = responses.popLast() {
            response = spare
        } else {
            response = .allocate(capacity: 1)
            response.initialize(to: ResponseHead(limits: limits))
        }
        return kept
    }

    func give(_ parser: UnsafeMutablePointer<ResponseHead>) {
        parser.pointee.reset()
        guard responses.count < Self.spares else {
            parser.deinitialize(count: 1)
            parser.deallocate()
            return
        }
        responses.append(parser)
    }
}

import CGateway
import CNghttp2
import HTTP1

// HTTP/2 (RFC 9113) as the loop sees it. A connection that speaks it is a session; each of its streams takes a place of
// its own in the slab, with `Transport.stream`, and goes through the same exchange as a connection of HTTP/1.1: the
// transport turns frames into the octets of HTTP/1.1 and back. So there is one reading of a message, one place where a
// request is admitted, metered and audited, and nothing that holds for one protocol only.

typealias Session = UnsafeMutablePointer<HTTP2Session>
typealias Stream = UnsafeMutablePointer<HTTP2Stream>

/// A connection that speaks HTTP/2: plain data of fixed size beside its place in the slab. The framing and the header
/// tables are nghttp2's own, in memory that it allocates.
struct HTTP2Session {
    enum Role: UInt8 {
        /// The peer is a consumer, the streams are its requests.
        case consumer
        /// The peer is an instance, the streams are requests to it.
        case instance
    }

    struct Flags: OptionSet {
        let rawValue: UInt16

        /// In the loop's list of sessions to look after before it waits.
        static let inFlushQueue = Flags(rawValue: 1 << 0)
        /// The transport takes no more at the moment.
        static let isBlocked = Flags(rawValue: 1 << 1)
        /// The peer was told that the connection will end.
        static let isLeaving = Flags(rawValue: 1 << 2)
        /// The peer was told which stream is the last one.
        static let hasLeft = Flags(rawValue: 1 << 3)
        /// Ended for a fault, the peer's or the framing's: close once the last words have gone.
        static let hasFailed = Flags(rawValue: 1 << 4)
        /// The fault was a flood.
        static let isCalmed = Flags(rawValue: 1 << 5)
        /// The transport failed.
        static let isCut = Flags(rawValue: 1 << 7)
        /// The connection to the instance is still being made.
        static let isConnecting = Flags(rawValue: 1 << 6)
    }

    /// The `nghttp2_session`; nil where the place has none.
    var handle: OpaquePointer?
    var loop: Unmanaged<EventLoop>
    var role: Role
    var flags: Flags
    /// Of the connection in its slab.
    var place: UInt32
    /// Frames on their way to the peer.
    var output: BufferLease
    /// A frame that did not fit into the output wholly; nghttp2's memory, which stays until it is asked for the next.
    var carry: UnsafePointer<UInt8>?
    var carryCount: Int
    /// Streams that hold places, the newest first.
    var firstStream: UInt32
    var streamCount: Int32
    /// Streams of this session so far.
    var opened: Int32
    /// Streams that wait for their turn at the output, the first to be served first.
    var lineFirst: UInt32
    var lineLast: UInt32
    /// When the output last moved, in monotonic microseconds.
    var movedAt: Int64
    /// The next session of the same instance.
    var nextSession: UInt32
    var floods: FloodGuard

    static let none = UInt32.max
}

/// Counts what a peer makes the gateway do without asking anything of it: frames that carry nothing, and streams that
/// are opened only to be reset (CVE-2019-9511 to 9518, CVE-2023-44487). Both are paid from accounts that fill up with
/// time, and the first one with work as well; a peer that overdraws one is cut off.
struct FloodGuard {
    /// Frames without content that a peer may send at once; after that, `framesPerSecond`, and as many more as it moves
    /// frames with content.
    static let frameBurst: Int64 = 2_000
    static let framesPerSecond: Int64 = 200
    static let frameEarnings: Int64 = 4
    /// A peer that reads answers each frame with content by two window updates, of the stream and of the connection.
    /// It may do so late: as many frames may be on their way as the usual window has octets (RFC 9113, section 6.9.2).
    static let updatesOfAFrame: Int64 = 2
    static let updatesInFlight: Int64 = updatesOfAFrame * 65_535
    /// Octets in which nothing useful came cost as much as a frame; of frames of unknown types nghttp2 tells nothing.
    static let octetsOfAFrame = 32
    /// Streams reset by the peer: nghttp2's own defaults are 1000 and 33, too many where each request may wake an
    /// instance.
    static let resetBurst: Int64 = 200
    static let resetsPerSecond: Int64 = 40

    private var frames = Self.frameBurst
    private var updates: Int64 = 0
    private var resets = Self.resetBurst
    private var updatedAt: Int64
    /// Frames with content so far.
    private(set) var useful: UInt64 = 0

    init(now: Int64) { updatedAt = now }

    @inline(__always)
    mutating func earn() {
        frames = min(Self.frameBurst, frames &+ Self.frameEarnings)
        useful &+= 1
    }

    /// A frame with content has gone to the peer.
    @inline(__always)
    mutating func noteSent() {
        earn()
        updates = min(Self.updatesInFlight, updates &+ Self.updatesOfAFrame)
    }

    /// True where a window update answers what the peer was sent: it costs nothing.
    @inline(__always)
    mutating func answersFrame() -> Bool {
        guard updates > 0 else { return false }
        updates &-= 1
        useful &+= 1
        return true
    }

    @inline(__always)
    mutating func noteContent() { useful &+= 1 }

    /// False where the account is empty.
    mutating func payForFrames(_ count: Int = 1, now: Int64) -> Bool {
        refill(now)
        frames -= Int64(count)
        return frames >= 0
    }

    mutating func payForReset(now: Int64) -> Bool {
        refill(now)
        resets -= 1
        return resets >= 0
    }

    private mutating func refill(_ now: Int64) {
        let span = now - updatedAt
        guard span >= 100_000 else { return }
        updatedAt = now
        let seconds = min(span, 60_000_000)
        frames = min(Self.frameBurst, frames + seconds * Self.framesPerSecond / 1_000_000)
        resets = min(Self.resetBurst, resets + seconds * Self.resetsPerSecond / 1_000_000)
    }
}

/// One stream: what lies between its frames and the octets of the exchange that has its place.
struct HTTP2Stream {
    struct Flags: OptionSet {
        let rawValue: UInt32

        // MARK: What comes
        /// The whole head is in the inbox.
        static let hasHead = Flags(rawValue: 1 << 0)
        /// The head's fields are being received; the start line has been written.
        static let hasStartLine = Flags(rawValue: 1 << 1)
        /// More fields than a head may have, or too large.
        static let isOversized = Flags(rawValue: 1 << 2)
        /// The peer has sent its last frame.
        static let peerEnded = Flags(rawValue: 1 << 3)
        /// Of the body: its length was told in the head; otherwise it is given on in chunks.
        static let hasLength = Flags(rawValue: 1 << 4)
        /// The head says that there is no body.
        static let hasNoBody = Flags(rawValue: 1 << 5)
        /// The end of the body was given on.
        static let gaveEnd = Flags(rawValue: 1 << 6)
        static let receivesTrailers = Flags(rawValue: 1 << 7)
        /// The stream is over for nghttp2.
        static let isClosed = Flags(rawValue: 1 << 8)
        /// What comes is a response.
        static let isResponse = Flags(rawValue: 1 << 9)
        /// The head that is being received is an interim one.
        static let isInterim = Flags(rawValue: 1 << 10)
        /// The status tells that there is no body.
        static let isBodiless = Flags(rawValue: 1 << 11)
        /// The request asks for a tunnel (extended CONNECT, RFC 8441): what follows its head is no message's body.
        static let isTunnel = Flags(rawValue: 1 << 12)
        // MARK: What goes
        /// All of the message has been taken; its last frame is still to be made.
        static let isFinishing = Flags(rawValue: 1 << 16)
        /// The last frame has been made.
        static let hasEnded = Flags(rawValue: 1 << 17)
        /// Waits in the session's line.
        static let inLine = Flags(rawValue: 1 << 18)
        /// Waits for the peer to open a window.
        static let awaitsWindow = Flags(rawValue: 1 << 19)
        /// The message answers HEAD.
        static let answersHead = Flags(rawValue: 1 << 20)
    }

    /// How the body of the message that goes ends.
    enum Sending: UInt8 {
        case head, length, chunks, untilEnd
    }

    /// Nil where the place has no stream, or the connection is gone.
    var session: Session?
    var id: Int32
    var flags: Flags
    /// Of the stream in the slab of connections.
    var place: UInt32
    var next: UInt32
    var previous: UInt32
    var nextInLine: UInt32

    // MARK: What comes
    /// The head as octets of HTTP/1.1, then the body's payload, then the trailer fields' lines.
    var inbox: BufferLease
    var headLeft: Int
    var trailerCount: Int
    var cookieCount: Int32
    /// Of the request's head, until its start line is written: nghttp2's counted buffers.
    var method: OpaquePointer?
    var path: OpaquePointer?
    var authority: OpaquePointer?
    /// `:protocol` of an extended CONNECT.
    var tunnelProtocol: OpaquePointer?

    // MARK: What goes
    var sending: Sending
    var remaining: UInt64
    var chunks: ChunkedDecoder
    /// Payload at the start of what is given next that the decoder has been through.
    var decodedAhead: Int
    /// The payload that the next DATA frames are made of; valid while something is being sent.
    var source: UnsafeRawPointer?
    var sourceCount: Int
    /// The last octets of the message are in the source.
    var sourceEnds: Bool
    /// What may be sent before it is another stream's turn.
    var credit: Int
    /// The trailer fields' lines on their way to the peer.
    var trailers: BufferLease

    /// A response that ended before its end; there may be some of it still.
    var isCutShort: Bool {
        flags.contains(.isResponse) && !flags.contains(.peerEnded) && (session == nil || flags.contains(.isClosed))
    }

    /// A receive would give something.
    var hasMore: Bool {
        !inbox.isEmpty || isCutShort
            || flags.isSuperset(of: [.isTunnel, .peerEnded]) && !flags.contains(.gaveEnd)
            || flags.isSuperset(of: .peerEnded) && flags.isDisjoint(with: [.gaveEnd, .hasNoBody, .hasLength])
    }

    static func opened(_ session: Session, id: Int32, place: UInt32) -> HTTP2Stream {
        HTTP2Stream(
            session: session, id: id, flags: session.pointee.role == .instance ? .isResponse : [], place: place,
            next: HTTP2Session.none, previous: HTTP2Session.none,
            nextInLine: HTTP2Session.none, inbox: .none, headLeft: 0, trailerCount: 0, cookieCount: 0,
            method: nil, path: nil, authority: nil, tunnelProtocol: nil, sending: .head, remaining: 0,
            chunks: ChunkedDecoder(),
            decodedAhead: 0, source: nil, sourceCount: 0, sourceEnds: false, credit: 0, trailers: .none)
    }
}

/// The memory of a loop's sessions and streams, in address space that is reserved once and backed when touched.
struct HTTP2Places {
    /// By place of the connection, and of the stream.
    let sessions: UnsafeMutablePointer<HTTP2Session>
    let streams: UnsafeMutablePointer<HTTP2Stream>
    private let capacity: Int

    init(capacity: Int) throws(GatewayError) {
        self.capacity = capacity
        guard let sessions = cgateway_reserve(capacity * MemoryLayout<HTTP2Session>.stride),
            let streams = cgateway_reserve(capacity * MemoryLayout<HTTP2Stream>.stride)
        else { throw GatewayError(.exhausted, "cannot reserve memory for streams; lower connectionsPerLoop") }
        self.sessions = sessions.bindMemory(to: HTTP2Session.self, capacity: capacity)
        self.streams = streams.bindMemory(to: HTTP2Stream.self, capacity: capacity)
    }

    func deallocate() {
        cgateway_unreserve(sessions, capacity * MemoryLayout<HTTP2Session>.stride)
        cgateway_unreserve(streams, capacity * MemoryLayout<HTTP2Stream>.stride)
    }
}

/// What a loop has for HTTP/2 altogether.
struct HTTP2State {
    /// What a peer may send on a stream before it is told to go on: HTTP/2's own default, which holds until the peer
    /// has seen our settings, so that no other value could bound the inbox.
    static let streamWindow = 65_535
    /// What a peer may send on all streams of a connection before any of it is taken.
    static let connectionWindow: Int32 = 1 << 20
    /// Octets of one stream's turn while others wait.
    static let turn = 32 * 1_024
    /// How long a peer that was told to leave may still open streams that were on the way, in microseconds.
    static let leaveGrace: Int64 = 500_000

    let settings: HTTP2Settings
    let consumers: HTTP2Places
    let instances: HTTP2Places
    let inboxes: BufferPool
    let engine: HTTP2Engine
    /// What one receive of a session gives; handed to nghttp2 at once, so one is enough for all.
    let received: UnsafeMutableRawBufferPointer
    /// The fields of a head while it is submitted, and those of their names that had to be written anew.
    let fields: UnsafeMutableBufferPointer<nghttp2_nv>
    let text: UnsafeMutableRawBufferPointer
    private let flushQueue: UnsafeMutablePointer<Session>
    private let flushCount: UnsafeMutablePointer<Int>

    init(_ limits: GatewayLimits, settings: HTTP2Settings) throws(GatewayError) {
        self.settings = settings
        let upstreams = limits.upstreamsPerLoop
        consumers = try HTTP2Places(capacity: limits.connectionsPerLoop)
        instances = try HTTP2Places(capacity: upstreams)
        let room = Int(limits.headSize.bytes) + Self.streamWindow + ChunkedDecoder.trailerLimit
        inboxes = try BufferPool(
            count: 2 * (limits.connectionsPerLoop + upstreams), bufferSize: room + BufferPool.margin + BufferPool.tail)
        engine = try HTTP2Engine()
        received = .allocate(byteCount: 64 * 1_024, alignment: 16)
        // As many as a head may have, pseudo-fields, and what the gateway adds.
        fields = .allocate(capacity: limits.headFields + 32)
        text = .allocate(byteCount: Int(limits.bufferSize.bytes), alignment: 16)
        // A session that is touched while the touched are looked after is behind them and among them.
        flushQueue = .allocate(capacity: 2 * (limits.connectionsPerLoop + upstreams))
        flushCount = .allocate(capacity: 1)
        flushCount.initialize(to: 0)
    }

    func deallocate() {
        consumers.deallocate()
        instances.deallocate()
        inboxes.deallocate()
        engine.deallocate()
        received.deallocate()
        fields.deallocate()
        text.deallocate()
        flushQueue.deallocate()
        flushCount.deallocate()
    }

    /// Has the session looked after before the loop waits.
    @inline(__always)
    func touch(_ session: Session) {
        guard !session.pointee.flags.contains(.inFlushQueue) else { return }
        session.pointee.flags.insert(.inFlushQueue)
        flushQueue[flushCount.pointee] = session
        flushCount.pointee += 1
    }

    @inline(__always) var hasTouched: Bool { flushCount.pointee > 0 }

    /// The sessions that were touched before; those that are touched meanwhile come next time.
    func forEachTouched(_ body: (Session) -> Void) {
        let count = flushCount.pointee
        for position in 0..<count {
            let session = flushQueue[position]
            session.pointee.flags.remove(.inFlushQueue)
            // A body may touch sessions: they go behind the present ones.
            body(session)
        }
        let added = flushCount.pointee - count
        if added > 0 { (flushQueue).update(from: flushQueue + count, count: added) }
        flushCount.pointee = added
    }
}

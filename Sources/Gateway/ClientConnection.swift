import CGateway
import HTTP1

/// One consumer's connection: plain data of fixed size in the loop's slab.
struct ClientConnection {
    /// What the connection is doing; each case names what may follow.
    enum Phase: UInt8 {
        /// The place is free.
        case free
        /// The PROXY header and the TLS handshake, as far as they are due, are not over. → idle, lingering, free
        case opening
        /// Between requests, or within a head that has not wholly come. → queued, connecting, awaiting, flushing
        case idle
        /// A login waits for the rest of its body, since whom it names has to be known first. → queued, connecting,
        /// awaiting, flushing, free
        case holding
        /// The request waits at the gate. → connecting, awaiting, flushing, free
        case queued
        /// A connection to the instance is being made for it. → awaiting, connecting, queued, flushing, free
        case connecting
        /// The request goes or has gone to the instance, no final response head has come. → responding, tunnel,
        /// connecting, awaiting, queued, flushing, free
        case awaiting
        /// The response goes to the consumer. → flushing, idle, lingering, free
        case responding
        /// The response is complete and booked; its last bytes wait for the consumer. → idle, lingering, free
        case flushing
        /// Both sides speak another protocol. → free
        case tunnel
        /// Speaks HTTP/2: its streams have places of their own. → lingering, free
        case session
        /// Nothing more will be answered; read on for a while so that the peer gets what was sent. → free
        case lingering
    }

    struct Flags: OptionSet {
        let rawValue: UInt16

        /// The transport may have more to give.
        static let readable = Flags(rawValue: 1 << 0)
        /// The transport took all of the last write.
        static let writable = Flags(rawValue: 1 << 1)
        /// The peer has sent its last byte, which may still be unread.
        static let peerFinished = Flags(rawValue: 1 << 2)
        static let broken = Flags(rawValue: 1 << 3)
        /// The peer had finished before its request was complete: it means to read on. One that finishes later is gone.
        static let halfClosed = Flags(rawValue: 1 << 4)
        /// In the ready queue.
        static let inReadyQueue = Flags(rawValue: 1 << 5)
        /// The answer that is being flushed is the last one.
        static let closesAfterFlush = Flags(rawValue: 1 << 6)
        /// The rest of the connection's input is not a message: linger before closing.
        static let lingers = Flags(rawValue: 1 << 7)
        /// End of file has been read.
        static let endOfInput = Flags(rawValue: 1 << 8)
        /// A load balancer has to say first who the consumer is.
        static let awaitsProxyHeader = Flags(rawValue: 1 << 9)
    }

    var descriptor: Int32
    /// Tells the connection from an earlier one in the same place; never reset.
    var generation: UInt32
    var phase: Phase
    var transport: Transport
    /// The number of the listener that it came by.
    var listener: UInt16
    var flags: Flags
    /// The number of the exchange, for tickets; never reset.
    var exchangeNumber: UInt32
    var requestsServed: Int32
    /// Bytes read while lingering.
    var lingered: Int32
    /// The parser of a head that has come in part; nil where none has.
    var parser: UnsafeMutablePointer<RequestHead>?
    /// Received and not yet used.
    var input: BufferLease
    /// On its way to the consumer.
    var output: BufferLease
    var peer: cgateway_address_text
    /// State of the transport `tls`.
    var tls: OpaquePointer?
    /// What the consumer sends cannot be read on its way here.
    var isSecure: Bool
    /// Of the certificate that the consumer has shown and that is trusted; lasts as long as `tls`.
    var certificate: UnsafePointer<cgateway_certificate_digests>?
    /// Neighbours among the connections that are `opening`.
    var nextOpening: UInt32
    var previousOpening: UInt32
    var exchange: Exchange

    var peerAddress: UnsafeRawBufferPointer {
        mutating get {
            let length = Int(peer.length)
            return withUnsafeBytes(of: &peer.bytes) { UnsafeRawBufferPointer(start: $0.baseAddress, count: length) }
        }
    }
}

typealias Client = UnsafeMutablePointer<ClientConnection>
typealias Upstream = UnsafeMutablePointer<UpstreamConnection>

/// A connection to an instance.
struct UpstreamConnection {
    enum State: UInt8 {
        case free, connecting
        /// It has a request.
        case active
        /// In its backend's pool.
        case idle
        /// Speaks HTTP/2: requests have places of their own.
        case session
    }

    struct Flags: OptionSet {
        let rawValue: UInt16

        static let readable = Flags(rawValue: 1 << 0)
        static let writable = Flags(rawValue: 1 << 1)
        static let peerFinished = Flags(rawValue: 1 << 2)
        static let broken = Flags(rawValue: 1 << 3)
        /// It has served a request before: the instance may have closed it meanwhile.
        static let reused = Flags(rawValue: 1 << 4)
        /// The PROXY header is still to be sent.
        static let owesProxyHeader = Flags(rawValue: 1 << 5)
        /// It began with a PROXY header: it is for requests of one consumer's connection only.
        static let isProxied = Flags(rawValue: 1 << 6)
        /// The last body it carried was large, so the next is likely to be: little of it is to be copied.
        static let sendsMuch = Flags(rawValue: 1 << 7)
    }

    var descriptor: Int32
    var generation: UInt32
    var state: State
    var transport: Transport
    var flags: Flags
    /// State of the transport `tls`.
    var tls: OpaquePointer?
    /// Whose request it has; valid in `connecting` and `active`.
    var client: UInt32
    /// The pool it belongs to.
    var service: UnsafeMutablePointer<LoopService>
    var backend: Int32
    var backendGeneration: UInt32
    /// Neighbours in the pool, the next one idle for longer.
    var nextIdle: UInt32
    var previousIdle: UInt32
    var idleSince: Int64
    var parser: UnsafeMutablePointer<ResponseHead>?
    var input: BufferLease

    static let none = UInt32.max
}

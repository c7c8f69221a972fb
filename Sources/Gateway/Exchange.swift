import CloudModel
import HTTP1
import LoadBalancing
import ScalingListener

/// One request and its response, from the end of the request's head to the record in the books.
struct Exchange {
    struct Flags: OptionSet {
        let rawValue: UInt32

        /// Between the end of a head and the end of its answer.
        static let active = Flags(rawValue: 1 << 0)
        static let idempotent = Flags(rawValue: 1 << 1)
        static let isHead = Flags(rawValue: 1 << 2)
        static let clientIsHTTP10 = Flags(rawValue: 1 << 3)
        /// The consumer would send another request on this connection.
        static let keepAlive = Flags(rawValue: 1 << 4)
        static let upgradeRequested = Flags(rawValue: 1 << 5)
        /// A place at a backend is held: `release` it once.
        static let placeHeld = Flags(rawValue: 1 << 6)
        /// The request was over a limit, waited, and was admitted.
        static let waited = Flags(rawValue: 1 << 7)
        static let retried = Flags(rawValue: 1 << 8)
        /// All of the request is in `head`: it can be sent again.
        static let replayable = Flags(rawValue: 1 << 9)
        /// Bytes of the request have gone to the present backend.
        static let sent = Flags(rawValue: 1 << 10)
        /// The response's head has gone to the consumer: nobody else can answer now.
        static let responseBegun = Flags(rawValue: 1 << 11)
        /// The instance sends chunks and the consumer, which speaks HTTP/1.0, gets the payload alone.
        static let unchunksResponse = Flags(rawValue: 1 << 12)
        /// The connection's end is the response's end.
        static let closeDelimited = Flags(rawValue: 1 << 13)
        /// The connection to the instance may carry another request afterwards.
        static let upstreamKeepAlive = Flags(rawValue: 1 << 14)
        /// A login: an `AuditTap` belongs to it.
        static let tapped = Flags(rawValue: 1 << 15)
        /// The request's outcome is in the spool.
        static let booked = Flags(rawValue: 1 << 16)
        /// The service is known and so is who pays: the outcome goes into the books.
        static let billable = Flags(rawValue: 1 << 17)
        /// Waits because of a limit (`Prefer: wait`), not because an instance is not there yet.
        static let waitsAtLimit = Flags(rawValue: 1 << 18)
        static let isTunnel = Flags(rawValue: 1 << 19)
        /// Of a tunnel: a stretch of it is booked already, and the connection is counted with that.
        static let continues = Flags(rawValue: 1 << 31)
        /// Of a tunnel: the consumer was told that the instance has finished, and the other way round.
        static let consumerShut = Flags(rawValue: 1 << 20)
        static let instanceShut = Flags(rawValue: 1 << 21)
        /// The answer is the gateway's own.
        static let refused = Flags(rawValue: 1 << 22)
        /// The instance takes no more of the request, or answered before it had all: nothing more is sent to it.
        static let requestCut = Flags(rawValue: 1 << 23)
        /// The gateway has answered `expect: 100-continue` itself.
        static let bodyInvited = Flags(rawValue: 1 << 24)
        /// The loop knows which trace it belongs to; of `sampled` ones spans are made.
        static let hasTrace = Flags(rawValue: 1 << 28)
        static let sampled = Flags(rawValue: 1 << 29)
        /// The loop's access notes have what the head said.
        static let noted = Flags(rawValue: 1 << 30)
    }

    var flags: Flags
    var method: RequestMethod
    var requestID: RequestID
    var service: UnsafeMutablePointer<LoopService>?
    /// Number of the consumer in the registry.
    var consumer: ConsumerKey
    /// Index in the loop's slab; `UpstreamConnection.none` where there is none.
    var upstream: UInt32
    var backend: BackendSlot
    var tried: TriedBackends
    var wait: WaitHandle
    var attempts: UInt16
    var interimResponses: UInt16
    /// Of the response that the consumer gets.
    var status: UInt16
    var requestBody: BodyReader
    var responseBody: BodyReader
    var unchunker: ChunkedDecoder
    /// The head as the instance gets it, with the body as far as it came with it: kept until the response begins, so
    /// that it can be sent again.
    var head: BufferLease
    var headSent: Int
    /// Bytes at the start of the client's input that are body and go to the instance next.
    var bodyPending: Int
    /// As they crossed the consumer's connection.
    var bytesIn: UInt64
    var bytesOut: UInt64
    /// Of the wall clock; 0 where it has not happened.
    var receivedAt: Timestamp
    var forwardedAt: Timestamp
    /// `receivedAt` of the clock that nobody sets: what latency is measured from.
    var receivedMonotonic: Int64
    /// Of a tunnel, of the clock that nobody sets: when bytes last moved, and when its usage is booked next.
    var movedAt: Int64
    var nextRecordAt: Int64
    /// Hash that places the request under consistent hashing.
    var placementHash: UInt64

    /// The exchange of a connection that is between requests.
    static var none: Exchange {
        Exchange(
            flags: [], method: .other, requestID: RequestID(high: 0, low: 0), service: nil,
            consumer: ConsumerRegistry.anonymous,
            upstream: UpstreamConnection.none, backend: .none, tried: TriedBackends(),
            wait: WaitHandle(index: -1, generation: 0), attempts: 0, interimResponses: 0, status: 0,
            requestBody: BodyReader(.none), responseBody: BodyReader(.none), unchunker: ChunkedDecoder(),
            head: .none, headSent: 0, bodyPending: 0, bytesIn: 0, bytesOut: 0, receivedAt: .epoch, forwardedAt: .epoch,
            receivedMonotonic: 0, movedAt: 0, nextRecordAt: .max, placementHash: 0)
    }

    @inline(__always) var isActive: Bool { flags.contains(.active) }
    /// The whole request has been received.
    @inline(__always) var hasWholeRequest: Bool { requestBody.isComplete }
    /// Some of the request is still to be sent to the instance.
    @inline(__always) var hasMoreToSend: Bool {
        (!requestBody.isComplete || bodyPending > 0) && !flags.contains(.requestCut)
    }
    /// Sending the request again cannot do harm, and all of it is at hand.
    @inline(__always) var mayBeRepeated: Bool {
        !flags.contains(.sent) || (flags.contains(.idempotent) && flags.contains(.replayable))
    }
}

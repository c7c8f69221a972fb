/// Finds the end of a message's body, whichever way it is framed, in the octets that arrive after its head.
public struct BodyReader: Sendable {
    /// What became of the octets given to `read`.
    public struct Progress: Hashable, Sendable {
        /// Octets that belong to this body, its framing included: pass these on. The rest is the next message.
        public var consumed: Int
        /// The body ended.
        public var isComplete: Bool
        /// The framing is broken behind the consumed octets: close both sides.
        public var fault: MessageFault?

        public init(consumed: Int, isComplete: Bool, fault: MessageFault?) {
            self.consumed = consumed
            self.isComplete = isComplete
            self.fault = fault
        }
    }

    public let framing: BodyFraming
    private var chunks = ChunkedDecoder()
    private var counted: UInt64 = 0

    public init(_ framing: BodyFraming) { self.framing = framing }

    /// Octets of content so far, without chunk framing: what is metered.
    public var payloadCount: UInt64 { framing == .chunked ? chunks.payloadCount : counted }

    /// No octet is missing. A body until close is complete when the connection ends, which only the caller sees.
    public var isComplete: Bool {
        switch framing {
        case .none: true
        case .length(let length): counted == length
        case .chunked: chunks.isComplete
        case .untilClose: false
        }
    }

    /// Octets that are still to come, where the head said how many there are; 0 for every other framing.
    @inline(__always)
    public var remaining: UInt64 {
        guard case .length(let length) = framing else { return 0 }
        return length - counted
    }

    /// Takes `count` octets, at most `remaining`, that went past without being looked at.
    public mutating func skip(_ count: UInt64) {
        precondition(count <= remaining, "more than the body has")
        counted &+= count
    }

    /// Takes the octets at the start of `buffer` as the body's next, to be passed on as they are.
    public mutating func read(_ buffer: UnsafeRawBufferPointer) -> Progress {
        var offset = 0
        while true {
            switch next(in: buffer, from: &offset) {
            case .payload: continue
            case .needsMore: return Progress(consumed: offset, isComplete: false, fault: nil)
            case .complete: return Progress(consumed: offset, isComplete: true, fault: nil)
            case .malformed(let fault): return Progress(consumed: offset, isComplete: false, fault: fault)
            }
        }
    }

    /// Reads `buffer` from `offset` on as far as the next event, and moves `offset` behind what was read: for a body
    /// that is framed anew or looked into.
    public mutating func next(in buffer: UnsafeRawBufferPointer, from offset: inout Int) -> BodyEvent {
        let available = buffer.count - offset
        precondition(available >= 0, "the offset lies beyond the buffer")
        let taken: Int
        switch framing {
        case .none: return .complete
        case .chunked: return chunks.next(in: buffer, from: &offset)
        case .untilClose: taken = available
        case .length(let length):
            if counted == length { return .complete }
            taken = Int(min(length - counted, UInt64(available)))
        }
        guard taken > 0 else { return .needsMore }
        let start = offset
        offset += taken
        counted &+= UInt64(taken)
        return .payload(start: start, count: taken)
    }
}

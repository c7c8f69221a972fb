public import CloudModel

/// A request that waits.
public struct Waiter: Hashable, Sendable {
    public var ticket: AdmissionTicket
    /// The consumer's index in the ledger.
    public var consumer: Int32
    public var hash: UInt64
    public var deadline: Timestamp
    /// What it waits at; nil: it is admitted and waits for an instance.
    public var barrier: AdmissionRefusal.Barrier?
    /// It was at an instance before, which failed it.
    public var retried: Bool
    /// The instance that failed it last.
    public var avoids = SeatBinding.none
    /// It has been admitted after it had waited at a limit, and its owner does not know the new deadline yet.
    public var isExtended = false
    /// In order of arrival over all lines.
    public internal(set) var sequence: UInt64 = 0

    public init(
        ticket: AdmissionTicket, consumer: Int32, hash: UInt64, deadline: Timestamp,
        barrier: AdmissionRefusal.Barrier?, retried: Bool = false
    ) {
        self.ticket = ticket
        self.consumer = consumer
        self.hash = hash
        self.deadline = deadline
        self.barrier = barrier
        self.retried = retried
    }
}

/// The requests of one service that wait, each in one line, in which the consumers take turns (`ConsumerTurns`).
///
/// Requests stand in lines by what they wait for, so that one that must wait for a certain instance or limit does not
/// hold up those behind it that need not. Consumers stand in line where what is waited for is a seat, which serves all
/// requests of the consumer at once. Nodes of a slab are linked in place: everything is O(1), and nothing is allocated
/// once the slab has grown to the greatest number that ever waited.
public struct AdmissionQueue: Sendable {
    /// A line of requests.
    public enum Line: Hashable, Sendable {
        /// Admitted; any instance will do.
        case ready
        /// The same, but an instance failed it before: goes first.
        case retried
        /// Admitted; was failed by the last usable instance and had better not come back to it at once.
        case deferred
        /// Admitted; an instance failed it, and waits until fewer requests are being repeated.
        case overBudget
        /// At the ceiling of requests.
        case places
        /// Admitted; waits for a place at the instance that the consumer's seat is at, by the owner's number.
        case backend(Int32)
        /// Waits with its consumer, which stands in one of the lines of consumers.
        case consumer(Int32)
        /// At the consumer's own limit.
        case own(Int32)
    }

    /// A line of consumers.
    public enum ConsumerLine: UInt8, Hashable, Sendable {
        /// Hold a seat that is not bound to an instance yet; their requests are admitted.
        case unbound = 0
        /// Wait for a seat at the ceiling; their requests are not admitted.
        case seatless
    }

    private struct Node {
        var waiter: Waiter
        var generation: UInt32 = 0
        var line = Line.ready
        var isLive = false
    }

    private struct Ends {
        var head: Int32 = -1
        var tail: Int32 = -1
    }

    private struct Place {
        var line: ConsumerLine?
        var previous: Int32 = -1
        var next: Int32 = -1
    }

    private var nodes: [Node] = []
    private var free: [Int32] = []
    private var turns = ConsumerTurns()
    private var unbound = Ends()
    private var seatless = Ends()
    private var standing: [Place] = []
    private var nextSequence: UInt64 = 0

    /// Requests that are admitted and wait for an instance.
    public private(set) var admittedCount = 0
    /// Requests that wait at a limit.
    public private(set) var limitedCount = 0
    /// The admitted ones that no instance has had yet: what may have to give way where the queue is full.
    public private(set) var admittedBacklog = ConsumerBacklog()
    /// Those that wait at a limit.
    public private(set) var limitedBacklog = ConsumerBacklog()
    public var isEmpty: Bool { admittedCount == 0 && limitedCount == 0 }

    public init() {
        nodes.reserveCapacity(64)
        free.reserveCapacity(64)
    }

    // MARK: Requests

    /// Puts a new request into a line, behind the consumer's others there.
    public mutating func append(_ waiter: Waiter, to line: Line) -> WaitHandle {
        let index: Int32
        if let reused = free.popLast() {
            index = reused
        } else {
            index = Int32(nodes.count)
            nodes.append(Node(waiter: waiter))
            free.reserveCapacity(nodes.capacity)
        }
        let position = Int(index)
        nodes[position].waiter = waiter
        nodes[position].waiter.sequence = nextSequence
        nodes[position].isLive = true
        nextSequence += 1
        link(index, to: line)
        count(index)
        return WaitHandle(index: index, generation: nodes[position].generation)
    }

    /// The index of a request that still waits; nil where the wait has ended.
    public func index(of handle: WaitHandle) -> Int32? {
        guard handle.index >= 0, handle.index < nodes.count else { return nil }
        let node = nodes[Int(handle.index)]
        return node.isLive && node.generation == handle.generation ? handle.index : nil
    }

    public func waiter(at index: Int32) -> Waiter { nodes[Int(index)].waiter }
    public func line(of index: Int32) -> Line { nodes[Int(index)].line }

    /// The next of a line: the oldest of the consumer whose turn it is; nil where the line is empty.
    public func first(of line: Line) -> Int32? { turns.first(of: Self.number(of: line)) }

    /// The one behind it of the same consumer in the same line; nil for the last.
    public func next(after index: Int32) -> Int32? { turns.next(after: index) }

    /// Ends a wait in vain; its handle is stale from here on.
    public mutating func remove(_ index: Int32) -> Waiter { end(index, served: false) }

    /// Ends a wait as was hoped for: its consumer's turn is over, and its handle is stale from here on.
    public mutating func serve(_ index: Int32) -> Waiter { end(index, served: true) }

    private mutating func end(_ index: Int32, served: Bool) -> Waiter {
        turns.remove(index, served: served)
        uncount(index)
        let position = Int(index)
        nodes[position].isLive = false
        nodes[position].generation &+= 1
        free.append(index)
        return nodes[position].waiter
    }

    /// Moves a request to another line, behind the consumer's others there, which ends its consumer's turn in the old
    /// one; `barrier` is what it waits at in the new one.
    public mutating func move(_ index: Int32, to line: Line, barrier: AdmissionRefusal.Barrier?) {
        turns.remove(index, served: true)
        let changesKind = (nodes[Int(index)].waiter.barrier == nil) != (barrier == nil)
        if changesKind { uncount(index) }
        nodes[Int(index)].waiter.barrier = barrier
        link(index, to: line)
        if changesKind { count(index) }
    }

    /// Gives a request that has been admitted the time to wait for an instance.
    public mutating func extend(_ index: Int32, until deadline: Timestamp) {
        nodes[Int(index)].waiter.deadline = deadline
        nodes[Int(index)].waiter.isExtended = true
    }

    /// The new deadline of a request that was given more time, told once.
    public mutating func takeExtension(_ index: Int32) -> Timestamp? {
        guard nodes[Int(index)].waiter.isExtended else { return nil }
        nodes[Int(index)].waiter.isExtended = false
        return nodes[Int(index)].waiter.deadline
    }

    /// Notes that a request is being repeated from here on.
    public mutating func countAsRetried(_ index: Int32) { nodes[Int(index)].waiter.retried = true }

    /// Indices of all requests that are admitted and may go to an instance, in order of arrival; those that are
    /// deferred only if asked for.
    public func admittedInOrder(withDeferred: Bool) -> [Int32] {
        nodes.indices.filter { index in
            let node = nodes[index]
            guard node.isLive, node.waiter.barrier == nil, node.line != .overBudget else { return false }
            return withDeferred || node.line != .deferred
        }
        .sorted { nodes[$0].waiter.sequence < nodes[$1].waiter.sequence }
        .map { Int32($0) }
    }

    private mutating func link(_ index: Int32, to line: Line) {
        nodes[Int(index)].line = line
        turns.append(index, of: nodes[Int(index)].waiter.consumer, to: Self.number(of: line))
    }

    private mutating func count(_ index: Int32) {
        let waiter = nodes[Int(index)].waiter
        if waiter.barrier != nil {
            limitedCount += 1
            limitedBacklog.insert(index, of: waiter.consumer)
        } else {
            admittedCount += 1
            if waiter.avoids == .none { admittedBacklog.insert(index, of: waiter.consumer) }
        }
    }

    private mutating func uncount(_ index: Int32) {
        if nodes[Int(index)].waiter.barrier != nil {
            limitedCount -= 1
            limitedBacklog.remove(index)
        } else {
            admittedCount -= 1
            admittedBacklog.remove(index)
        }
    }

    /// Lines as `ConsumerTurns` knows them.
    @inline(__always)
    private static func number(of line: Line) -> Int32 {
        switch line {
        case .ready: 0
        case .retried: 1
        case .deferred: 2
        case .overBudget: 3
        case .places: 4
        case .backend(let index): 5 + 3 * index
        case .consumer(let index): 6 + 3 * index
        case .own(let index): 7 + 3 * index
        }
    }

    // MARK: Consumers

    /// The first consumer of a line; nil where it is empty.
    public func first(of line: ConsumerLine) -> Int32? {
        let head = line == .unbound ? unbound.head : seatless.head
        return head < 0 ? nil : head
    }

    public func line(ofConsumer consumer: Int32) -> ConsumerLine? {
        Int(consumer) < standing.count ? standing[Int(consumer)].line : nil
    }

    /// Puts a consumer at the end of a line, if it does not stand there yet.
    public mutating func enlist(_ consumer: Int32, in line: ConsumerLine) {
        while standing.count <= Int(consumer) { standing.append(Place()) }
        guard standing[Int(consumer)].line != line else { return }
        delist(consumer)
        let tail = line == .unbound ? unbound.tail : seatless.tail
        standing[Int(consumer)] = Place(line: line, previous: tail, next: -1)
        if tail >= 0 { standing[Int(tail)].next = consumer }
        withEnds(of: line) { ends in
            if tail < 0 { ends.head = consumer }
            ends.tail = consumer
        }
    }

    /// Takes a consumer out of the line that it stands in, if any.
    public mutating func delist(_ consumer: Int32) {
        guard Int(consumer) < standing.count, let line = standing[Int(consumer)].line else { return }
        let place = standing[Int(consumer)]
        if place.previous >= 0 { standing[Int(place.previous)].next = place.next }
        if place.next >= 0 { standing[Int(place.next)].previous = place.previous }
        withEnds(of: line) { ends in
            if place.previous < 0 { ends.head = place.next }
            if place.next < 0 { ends.tail = place.previous }
        }
        standing[Int(consumer)] = Place()
    }

    private mutating func withEnds(of line: ConsumerLine, _ change: (inout Ends) -> Void) {
        if line == .unbound { change(&unbound) } else { change(&seatless) }
    }
}

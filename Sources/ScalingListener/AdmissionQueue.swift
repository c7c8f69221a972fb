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

/// The requests of one service that wait, each in one line, first come, first served in each.
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
        var previous: Int32 = -1
        var next: Int32 = -1
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
    private var ready = Ends()
    private var retried = Ends()
    private var deferred = Ends()
    private var overBudget = Ends()
    private var places = Ends()
    private var backends: [Ends] = []
    private var consumers: [Ends] = []
    private var own: [Ends] = []
    private var unbound = Ends()
    private var seatless = Ends()
    private var standing: [Place] = []
    private var nextSequence: UInt64 = 0

    /// Requests that are admitted and wait for an instance.
    public private(set) var admittedCount = 0
    /// Requests that wait at a limit.
    public private(set) var limitedCount = 0
    public var isEmpty: Bool { admittedCount == 0 && limitedCount == 0 }

    public init() {
        nodes.reserveCapacity(64)
        free.reserveCapacity(64)
    }

    // MARK: Requests

    /// Puts a new request at the end of a line.
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

    /// The first of a line; nil where it is empty.
    public func first(of line: Line) -> Int32? {
        let head = ends(of: line).head
        return head < 0 ? nil : head
    }

    /// The one behind it in its line; nil for the last.
    public func next(after index: Int32) -> Int32? {
        let next = nodes[Int(index)].next
        return next < 0 ? nil : next
    }

    /// Ends a wait; its handle is stale from here on.
    public mutating func remove(_ index: Int32) -> Waiter {
        unlink(index)
        let position = Int(index)
        nodes[position].isLive = false
        nodes[position].generation &+= 1
        free.append(index)
        return nodes[position].waiter
    }

    /// Moves a request to the end of another line; `barrier` is what it waits at there.
    public mutating func move(_ index: Int32, to line: Line, barrier: AdmissionRefusal.Barrier?) {
        unlink(index)
        nodes[Int(index)].waiter.barrier = barrier
        link(index, to: line)
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
        let position = Int(index)
        nodes[position].line = line
        let tail = ends(of: line).tail
        nodes[position].previous = tail
        nodes[position].next = -1
        if tail >= 0 {
            nodes[Int(tail)].next = index
            withEnds(of: line) { $0.tail = index }
        } else {
            withEnds(of: line) { $0 = Ends(head: index, tail: index) }
        }
        if nodes[position].waiter.barrier == nil { admittedCount += 1 } else { limitedCount += 1 }
    }

    private mutating func unlink(_ index: Int32) {
        let position = Int(index)
        let previous = nodes[position].previous
        let next = nodes[position].next
        if previous >= 0 { nodes[Int(previous)].next = next }
        if next >= 0 { nodes[Int(next)].previous = previous }
        if previous < 0 || next < 0 {
            withEnds(of: nodes[position].line) { ends in
                if previous < 0 { ends.head = next }
                if next < 0 { ends.tail = previous }
            }
        }
        if nodes[position].waiter.barrier == nil { admittedCount -= 1 } else { limitedCount -= 1 }
    }

    private func ends(of line: Line) -> Ends {
        switch line {
        case .ready: ready
        case .retried: retried
        case .deferred: deferred
        case .overBudget: overBudget
        case .places: places
        case .backend(let index): Int(index) < backends.count ? backends[Int(index)] : Ends()
        case .consumer(let index): Int(index) < consumers.count ? consumers[Int(index)] : Ends()
        case .own(let index): Int(index) < own.count ? own[Int(index)] : Ends()
        }
    }

    @inline(__always)
    private mutating func withEnds(of line: Line, _ change: (inout Ends) -> Void) {
        switch line {
        case .ready: change(&ready)
        case .retried: change(&retried)
        case .deferred: change(&deferred)
        case .overBudget: change(&overBudget)
        case .places: change(&places)
        case .backend(let index): Self.withElement(&backends, index, change)
        case .consumer(let index): Self.withElement(&consumers, index, change)
        case .own(let index): Self.withElement(&own, index, change)
        }
    }

    @inline(__always)
    private static func withElement(_ lines: inout [Ends], _ index: Int32, _ change: (inout Ends) -> Void) {
        while lines.count <= Int(index) { lines.append(Ends()) }
        change(&lines[Int(index)])
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

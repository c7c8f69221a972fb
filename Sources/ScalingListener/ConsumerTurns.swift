/// Lines in which consumers take turns: whose turn it is has its oldest item served, and then stands behind the others.
///
/// Deficit round robin (Shreedhar and Varghese, 1995) where each item weighs one: a consumer with a thousand items in a
/// line and one with a single item get the same share, and each consumer's own items keep their order. Items and
/// consumers are small numbers of the owner's. Everything is O(1) but for the few lines that one consumer has items in
/// at once, and nothing is allocated once the storage has grown to the greatest number there ever was.
public struct ConsumerTurns: Sendable {
    private struct Item {
        /// Below zero: in no line.
        var flow: Int32 = -1
        var previous: Int32 = -1
        var next: Int32 = -1
    }

    /// The items of one consumer in one line, oldest first.
    private struct Flow {
        var line: Int32
        var consumer: Int32
        var head: Int32 = -1
        var tail: Int32 = -1
        /// Neighbours in the line's ring; the flow itself where it is alone.
        var previousTurn: Int32 = -1
        var nextTurn: Int32 = -1
        /// Neighbours among the flows of the same consumer.
        var previousOwn: Int32 = -1
        var nextOwn: Int32 = -1
    }

    private var items: [Item] = []
    private var flows: [Flow] = []
    private var freeFlows: [Int32] = []
    /// By line: the flow whose turn it is; below zero where the line is empty.
    private var turns: [Int32] = []
    /// By consumer: its first flow.
    private var ownFlows: [Int32] = []

    public init() {}

    /// The item to be served next; nil where the line is empty.
    public func first(of line: Int32) -> Int32? {
        guard line < turns.count, case let flow = turns[Int(line)], flow >= 0 else { return nil }
        return flows[Int(flow)].head
    }

    /// The consumer's next item in the same line; nil for its last.
    public func next(after item: Int32) -> Int32? {
        let next = items[Int(item)].next
        return next < 0 ? nil : next
    }

    /// Puts an item behind the consumer's others. A consumer that had none there waits for its first turn until all
    /// others have had one. The item must be in no line.
    public mutating func append(_ item: Int32, of consumer: Int32, to line: Int32) {
        while items.count <= Int(item) { items.append(Item()) }
        let flow = existingFlow(of: consumer, in: line) ?? open(line, consumer)
        let tail = flows[Int(flow)].tail
        items[Int(item)] = Item(flow: flow, previous: tail, next: -1)
        if tail >= 0 { items[Int(tail)].next = item } else { flows[Int(flow)].head = item }
        flows[Int(flow)].tail = item
    }

    /// Takes an item out. Where it was served, its consumer's turn is over.
    public mutating func remove(_ item: Int32, served: Bool) {
        let flow = items[Int(item)].flow
        let previous = items[Int(item)].previous
        let next = items[Int(item)].next
        if previous >= 0 { items[Int(previous)].next = next } else { flows[Int(flow)].head = next }
        if next >= 0 { items[Int(next)].previous = previous } else { flows[Int(flow)].tail = previous }
        items[Int(item)] = Item()
        let line = Int(flows[Int(flow)].line)
        if flows[Int(flow)].head < 0 {
            close(flow)
        } else if served, turns[line] == flow {
            turns[line] = flows[Int(flow)].nextTurn
        }
    }

    // MARK: Flows

    private func existingFlow(of consumer: Int32, in line: Int32) -> Int32? {
        guard Int(consumer) < ownFlows.count else { return nil }
        var flow = ownFlows[Int(consumer)]
        while flow >= 0 {
            if flows[Int(flow)].line == line { return flow }
            flow = flows[Int(flow)].nextOwn
        }
        return nil
    }

    private mutating func open(_ line: Int32, _ consumer: Int32) -> Int32 {
        while turns.count <= Int(line) { turns.append(-1) }
        while ownFlows.count <= Int(consumer) { ownFlows.append(-1) }
        let flow: Int32
        if let reused = freeFlows.popLast() {
            flow = reused
            flows[Int(flow)] = Flow(line: line, consumer: consumer)
        } else {
            flow = Int32(flows.count)
            flows.append(Flow(line: line, consumer: consumer))
            freeFlows.reserveCapacity(flows.capacity)
        }
        let turn = turns[Int(line)]
        if turn >= 0 {
            let last = flows[Int(turn)].previousTurn
            flows[Int(flow)].previousTurn = last
            flows[Int(flow)].nextTurn = turn
            flows[Int(last)].nextTurn = flow
            flows[Int(turn)].previousTurn = flow
        } else {
            flows[Int(flow)].previousTurn = flow
            flows[Int(flow)].nextTurn = flow
            turns[Int(line)] = flow
        }
        let following = ownFlows[Int(consumer)]
        flows[Int(flow)].nextOwn = following
        if following >= 0 { flows[Int(following)].previousOwn = flow }
        ownFlows[Int(consumer)] = flow
        return flow
    }

    private mutating func close(_ flow: Int32) {
        let closed = flows[Int(flow)]
        if turns[Int(closed.line)] == flow {
            turns[Int(closed.line)] = closed.nextTurn == flow ? -1 : closed.nextTurn
        }
        flows[Int(closed.previousTurn)].nextTurn = closed.nextTurn
        flows[Int(closed.nextTurn)].previousTurn = closed.previousTurn
        if closed.previousOwn >= 0 {
            flows[Int(closed.previousOwn)].nextOwn = closed.nextOwn
        } else {
            ownFlows[Int(closed.consumer)] = closed.nextOwn
        }
        if closed.nextOwn >= 0 { flows[Int(closed.nextOwn)].previousOwn = closed.previousOwn }
        freeFlows.append(flow)
    }
}

/// One deadline for each client connection, kept without a system call: a hashed timing wheel (Varghese and Lauck,
/// "Hashed and hierarchical timing wheels", 1987, scheme 6) with 1024 slots of 8 ms.
///
/// A deadline that moves back, as nearly all do, only stores the new one; its place in the wheel is mended when the old
/// slot comes up.
package struct TimerWheel {
    private static let slots = 1_024
    private static let tickMicroseconds: Int64 = 8_000
    /// The list of those whose slot has come up, while it is being worked off.
    private static let expiring = slots
    private static let unlinked = UInt16.max
    private static let end = UInt32.max

    private struct Node {
        var deadline: Int64
        /// The tick whose slot it is linked into.
        var tick: Int64
        var next: UInt32
        var previous: UInt32
        var slot: UInt16
    }

    private let nodes: UnsafeMutablePointer<Node>
    private let heads: UnsafeMutablePointer<UInt32>
    private let occupied: UnsafeMutablePointer<UInt64>
    /// All ticks up to this one have been worked off.
    private let done: UnsafeMutablePointer<Int64>

    package init(capacity: Int, now: Int64) {
        nodes = .allocate(capacity: capacity)
        nodes.initialize(
            repeating: Node(deadline: 0, tick: 0, next: Self.end, previous: Self.end, slot: Self.unlinked),
            count: capacity)
        heads = .allocate(capacity: Self.slots + 1)
        heads.initialize(repeating: Self.end, count: Self.slots + 1)
        occupied = .allocate(capacity: Self.slots / 64)
        occupied.initialize(repeating: 0, count: Self.slots / 64)
        done = .allocate(capacity: 1)
        done.initialize(to: now / Self.tickMicroseconds)
    }

    package func deallocate() {
        nodes.deallocate()
        heads.deallocate()
        occupied.deallocate()
        done.deallocate()
    }

    /// Sets the deadline of `index`, in microseconds of the loop's monotonic clock.
    @inline(__always)
    package func schedule(_ index: Int, at deadline: Int64) {
        let node = nodes + index
        node.pointee.deadline = deadline
        // Never early: the tick after the one that the deadline falls into.
        let tick = max(deadline / Self.tickMicroseconds + 1, done.pointee + 1)
        if node.pointee.slot != Self.unlinked {
            if tick >= node.pointee.tick { return }
            unlink(UInt32(truncatingIfNeeded: index))
        }
        link(UInt32(truncatingIfNeeded: index), tick: tick)
    }

    @inline(__always)
    package func cancel(_ index: Int) {
        if nodes[index].slot != Self.unlinked { unlink(UInt32(truncatingIfNeeded: index)) }
    }

    /// Calls `body` for each whose deadline has passed, after taking it out of the wheel; `body` may set and
    /// cancel any.
    package func expire(now: Int64, _ body: (Int) -> Void) {
        let current = now / Self.tickMicroseconds
        guard current > done.pointee else { return }
        // After a long sleep one turn of the wheel passes every slot.
        let first = max(done.pointee + 1, current - Int64(Self.slots) + 1)
        for tick in first...current {
            done.pointee = tick
            expireSlot(Int(tick % Int64(Self.slots)), now: now, body)
        }
    }

    private func expireSlot(_ slot: Int, now: Int64, _ body: (Int) -> Void) {
        guard heads[slot] != Self.end else { return }
        var index = heads[slot]
        heads[Self.expiring] = index
        heads[slot] = Self.end
        occupied[slot >> 6] &= ~(1 << UInt64(slot & 63))
        while index != Self.end {
            nodes[Int(index)].slot = UInt16(Self.expiring)
            index = nodes[Int(index)].next
        }
        while heads[Self.expiring] != Self.end {
            let due = heads[Self.expiring]
            unlink(due)
            let deadline = nodes[Int(due)].deadline
            if deadline > now {
                link(due, tick: max(deadline / Self.tickMicroseconds + 1, done.pointee + 1))
            } else {
                body(Int(due))
            }
        }
    }

    /// How long nothing can expire, in milliseconds rounded up; nil where no deadline is set.
    package func millisecondsToNext(now: Int64) -> Int? {
        let start = Int((done.pointee + 1) % Int64(Self.slots))
        for step in 0...(Self.slots / 64) {
            let word = (start / 64 + step) % (Self.slots / 64)
            var bits = occupied[word]
            if step == 0 { bits &= ~0 << UInt64(start & 63) }
            if step == Self.slots / 64 { bits &= ~(~0 << UInt64(start & 63)) }
            guard bits != 0 else { continue }
            let slot = word * 64 + bits.trailingZeroBitCount
            let ticksAhead = Int64((slot - start + Self.slots) % Self.slots)
            let due = (done.pointee + 1 + ticksAhead) * Self.tickMicroseconds
            return max(0, Int((due - now + 999) / 1_000))
        }
        return nil
    }

    @inline(__always)
    private func link(_ index: UInt32, tick: Int64) {
        let slot = Int(tick % Int64(Self.slots))
        let node = nodes + Int(index)
        node.pointee.tick = tick
        node.pointee.slot = UInt16(truncatingIfNeeded: slot)
        node.pointee.previous = Self.end
        node.pointee.next = heads[slot]
        if heads[slot] != Self.end { nodes[Int(heads[slot])].previous = index }
        heads[slot] = index
        occupied[slot >> 6] |= 1 << UInt64(slot & 63)
    }

    @inline(__always)
    private func unlink(_ index: UInt32) {
        let node = nodes + Int(index)
        let slot = Int(node.pointee.slot)
        let next = node.pointee.next
        let previous = node.pointee.previous
        if next != Self.end { nodes[Int(next)].previous = previous }
        if previous != Self.end {
            nodes[Int(previous)].next = next
        } else {
            heads[slot] = next
            if next == Self.end, slot < Self.slots { occupied[slot >> 6] &= ~(1 << UInt64(slot & 63)) }
        }
        node.pointee.next = Self.end
        node.pointee.previous = Self.end
        node.pointee.slot = Self.unlinked
    }
}

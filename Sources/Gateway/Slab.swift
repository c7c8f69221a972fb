import CGateway

/// A fixed number of places for connections of one kind, in address space that is reserved once. A place keeps its
/// address for the loop's whole life, so a pointer to it is valid as long as its connection is.
///
/// `Element` must be plain data (no references): places are never destroyed, and hold zero bytes until first used.
struct Slab<Element> {
    let capacity: Int
    let base: UnsafeMutablePointer<Element>
    private let free: UnsafeMutablePointer<UInt32>
    private let state: UnsafeMutablePointer<State>

    private struct State {
        var available: Int
        /// Places below this have been used at some time: what a walk over all has to look at.
        var highWater: Int
    }

    init(capacity: Int) throws(GatewayError) {
        self.capacity = capacity
        let bytes = capacity * MemoryLayout<Element>.stride
        guard let memory = cgateway_reserve(bytes) else {
            throw GatewayError(
                .exhausted, "cannot reserve \(bytes) bytes for connections; lower connectionsPerLoop")
        }
        base = memory.bindMemory(to: Element.self, capacity: capacity)
        free = .allocate(capacity: capacity)
        for index in 0..<capacity { free[index] = UInt32(capacity - 1 - index) }
        state = .allocate(capacity: 1)
        state.initialize(to: State(available: capacity, highWater: 0))
    }

    func deallocate() {
        cgateway_unreserve(base, capacity * MemoryLayout<Element>.stride)
        free.deallocate()
        state.deallocate()
    }

    var inUse: Int { capacity - state.pointee.available }
    var isFull: Bool { state.pointee.available == 0 }
    var highWater: Int { state.pointee.highWater }

    @inline(__always)
    subscript(index: Int) -> UnsafeMutablePointer<Element> {
        precondition(index >= 0 && index < capacity)
        return base + index
    }

    /// The index of a place that nobody holds; nil where all are held.
    @inline(__always)
    func acquire() -> Int? {
        guard state.pointee.available > 0 else { return nil }
        state.pointee.available &-= 1
        let index = Int(free[state.pointee.available])
        if index >= state.pointee.highWater { state.pointee.highWater = index + 1 }
        return index
    }

    @inline(__always)
    func release(_ index: Int) {
        free[state.pointee.available] = UInt32(truncatingIfNeeded: index)
        state.pointee.available &+= 1
    }
}

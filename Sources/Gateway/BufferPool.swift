import CGateway
import Glibc

/// Bytes `start..<end` of one buffer of a loop's pool. It is plain data: who holds it gives it back.
///
/// The buffer's owner is the field that it is stored in; moving it on leaves `.none` behind (`take()`).
struct BufferLease {
    private(set) var base: UnsafeMutableRawPointer?
    var start: Int
    var end: Int

    static var none: BufferLease { BufferLease(base: nil, start: 0, end: 0) }

    @inline(__always)
    init(base: UnsafeMutableRawPointer?, start: Int, end: Int) {
        self.base = base
        self.start = start
        self.end = end
    }

    @inline(__always) var isHeld: Bool { base != nil }
    @inline(__always) var isEmpty: Bool { start == end }
    @inline(__always) var count: Int { end - start }

    /// The bytes; empty where no buffer is held.
    @inline(__always)
    var bytes: UnsafeRawBufferPointer {
        guard let base else { return UnsafeRawBufferPointer(start: nil, count: 0) }
        return UnsafeRawBufferPointer(start: base + start, count: end - start)
    }

    /// Moves the bytes to where a fresh buffer's begin, to make room behind them.
    mutating func moveToFront() {
        guard let base, start > BufferPool.margin else { return }
        memmove(base + BufferPool.margin, base + start, count)
        end = BufferPool.margin + count
        start = BufferPool.margin
    }

    /// Moves the lease out.
    @inline(__always)
    mutating func take() -> BufferLease {
        let taken = self
        self = .none
        return taken
    }
}

/// Fixed-size buffers of one loop, in address space that is reserved once and backed when touched. Last in, first out:
/// the buffer that is handed out next is the one that the processor's cache still has.
///
/// It never runs dry: a connection holds at most `buffersPerConnection`, and there are as many for each connection.
struct BufferPool {
    /// Received bytes, the request's head, the response on its way, and interim responses before it.
    static let buffersPerConnection = 4
    /// Where received bytes begin in a fresh buffer: a rewritten head that has grown, or a chunk's size line, is put
    /// before the body's bytes without moving them.
    static let margin = 1_024
    /// Room behind received bytes for the end of a chunk and the last chunk.
    static let tail = 32

    private static let page = 4_096
    /// How much further than the one before it a buffer begins in its first page: an odd number of cache lines, so that
    /// the beginnings of buffers, which are what is touched most, spread over all of the cache's sets.
    private static let shift = 13 * 64
    /// Of a buffer's place: whole pages, which no other buffer shares, so that all of them can be given back.
    private let stride: Int
    let bufferSize: Int
    let count: Int
    private let base: UnsafeMutableRawPointer
    private let free: UnsafeMutablePointer<UInt32>
    private let state: UnsafeMutablePointer<State>

    private struct State {
        var available: Int
        /// The fewest that were available since the last trim: the stack below it was not used.
        var fewestAvailable: Int
        /// What `noteIdle` found.
        var idle: Int
        /// Buffers from the bottom of the stack whose pages are known to be given back.
        var trimmed: Int
    }

    init(connections: Int, bufferSize: Int) throws(GatewayError) {
        try self.init(count: connections * Self.buffersPerConnection, bufferSize: bufferSize)
    }

    init(count: Int, bufferSize: Int) throws(GatewayError) {
        self.bufferSize = bufferSize
        stride = (bufferSize + 2 * Self.page - 1) & ~(Self.page - 1)
        self.count = count
        guard let base = cgateway_reserve(count * stride) else {
            throw GatewayError(
                .exhausted, "cannot reserve \(count * stride) bytes for buffers; lower connectionsPerLoop")
        }
        self.base = base
        free = .allocate(capacity: count)
        for index in 0..<count { free[index] = UInt32(count - 1 - index) }
        state = .allocate(capacity: 1)
        state.initialize(to: State(available: count, fewestAvailable: count, idle: count, trimmed: count))
    }

    func deallocate() {
        cgateway_unreserve(base, count * stride)
        free.deallocate()
        state.deallocate()
    }

    /// The most bytes that one receive puts into a fresh buffer.
    @inline(__always) var receiveCapacity: Int { bufferSize - Self.margin - Self.tail }
    var inUse: Int { count - state.pointee.available }

    /// A buffer with no bytes in it, `margin` before its first.
    @inline(__always)
    func acquire() -> BufferLease {
        precondition(state.pointee.available > 0, "a connection held more than its share of buffers")
        state.pointee.available &-= 1
        let available = state.pointee.available
        if available < state.pointee.fewestAvailable { state.pointee.fewestAvailable = available }
        let index = Int(free[available])
        let begin = index &* stride &+ (index &* Self.shift) & (Self.page &- 1)
        return BufferLease(base: base + begin, start: Self.margin, end: Self.margin)
    }

    @inline(__always)
    func release(_ lease: inout BufferLease) {
        guard let buffer = lease.base else { return }
        lease = .none
        let index = (buffer - base) / stride
        free[state.pointee.available] = UInt32(truncatingIfNeeded: index)
        state.pointee.available &+= 1
    }

    /// Looks how many buffers were not used since the last call: their memory may be given back.
    func noteIdle() {
        state.pointee.idle = state.pointee.fewestAvailable
        state.pointee.fewestAvailable = state.pointee.available
        state.pointee.trimmed = min(state.pointee.trimmed, state.pointee.idle)
    }

    /// Gives memory of buffers that may be given back to the kernel, a bounded number a call. False where none is left.
    func trim(atMost limit: Int = 64) -> Bool {
        // One that has been taken since is in use, or lies above what is known of it.
        let idle = min(state.pointee.idle, state.pointee.fewestAvailable)
        state.pointee.trimmed = min(state.pointee.trimmed, idle)
        let end = min(idle, state.pointee.trimmed + limit)
        for position in state.pointee.trimmed..<end { cgateway_discard(base + Int(free[position]) * stride, stride) }
        state.pointee.trimmed = end
        return end < idle
    }
}

import Synchronization

/// Records on their way from one loop, which writes, to the thread that puts them into the access log, which reads.
/// Bounded: where it is full, records are dropped and counted. Neither side waits for the other or makes a system call.
///
/// A record is its length (8 bytes) and its bytes, up to the next multiple of 8; it never wraps around.
package struct AccessLogRing: @unchecked Sendable {
    /// Room for the records of a tenth of a second, between two visits of the reader, at about 100,000 requests/s.
    package static let capacity = 4 << 20
    /// Counters that different threads write, each in cache lines of its own.
    private static let headOffset = 0
    private static let tailOffset = 64
    private static let droppedOffset = 128
    private static let dataOffset = 192
    /// In the place of a length: the rest up to the ring's end is unused.
    private static let skip = UInt64.max

    private let memory: UnsafeMutableRawPointer
    private let size: Int

    /// - Parameter capacity: bytes; a power of two.
    package init(capacity: Int = Self.capacity) {
        precondition(capacity & (capacity - 1) == 0, "a ring's capacity is a power of two")
        size = capacity
        memory = .allocate(byteCount: Self.dataOffset + capacity, alignment: 64)
        for offset in [Self.headOffset, Self.tailOffset, Self.droppedOffset] {
            (memory + offset).bindMemory(to: Atomic<UInt64>.self, capacity: 1).initialize(to: Atomic(0))
        }
    }

    package func deallocate() { memory.deallocate() }

    @inline(__always)
    private func cell(_ offset: Int) -> UnsafeMutablePointer<Atomic<UInt64>> {
        (memory + offset).assumingMemoryBound(to: Atomic<UInt64>.self)
    }

    /// Records that found no room.
    package var dropped: UInt64 { cell(Self.droppedOffset).pointee.load(ordering: .relaxed) }

    /// Lets `body` write a record of at most `limit` bytes; it gives back how many it wrote. The writer's thread only.
    @inline(__always)
    package func append(atMost limit: Int, _ body: (UnsafeMutableRawPointer) -> Int) {
        var tail = cell(Self.tailOffset).pointee.load(ordering: .relaxed)
        let head = cell(Self.headOffset).pointee.load(ordering: .acquiring)
        let offset = Int(tail) & (size - 1)
        let needed = (8 + limit + 7) & ~7
        let left = size - offset
        let skipped = left < needed ? left : 0
        guard Int(tail - head) + skipped + needed <= size else {
            let dropped = cell(Self.droppedOffset)
            dropped.pointee.store(dropped.pointee.load(ordering: .relaxed) &+ 1, ordering: .relaxed)
            return
        }
        let data = memory + Self.dataOffset
        if skipped > 0 { data.storeBytes(of: Self.skip, toByteOffset: offset, as: UInt64.self) }
        tail &+= UInt64(skipped)
        let place = data + (Int(tail) & (size - 1))
        let written = body(place + 8)
        precondition(written <= limit, "a record is longer than it was said to be")
        place.storeBytes(of: UInt64(written), as: UInt64.self)
        cell(Self.tailOffset).pointee.store(tail &+ UInt64((8 + written + 7) & ~7), ordering: .releasing)
    }

    /// Gives the oldest record to `body` and takes it out. False where there is none. The reader's thread only.
    package func takeFirst(_ body: (UnsafeRawBufferPointer) -> Void) -> Bool {
        var head = cell(Self.headOffset).pointee.load(ordering: .relaxed)
        let tail = cell(Self.tailOffset).pointee.load(ordering: .acquiring)
        guard head != tail else { return false }
        let data = UnsafeRawPointer(memory + Self.dataOffset)
        var offset = Int(head) & (size - 1)
        if data.load(fromByteOffset: offset, as: UInt64.self) == Self.skip {
            head &+= UInt64(size - offset)
            offset = 0
        }
        let count = Int(data.load(fromByteOffset: offset, as: UInt64.self))
        body(UnsafeRawBufferPointer(start: data + offset + 8, count: count))
        cell(Self.headOffset).pointee.store(head &+ UInt64((8 + count + 7) & ~7), ordering: .releasing)
        return true
    }
}

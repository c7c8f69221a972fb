import CGateway

/// The pipes of one loop, through which tunnels and bodies with much to carry move bytes without copying them, and
/// which connection has which. Few and bounded: who finds none copies.
final class SplicePipes {
    /// One direction of a tunnel. All zero: nothing is known of it.
    struct Lane {
        /// The pipe's place plus one; 0 for none.
        var pipe: UInt8
        /// Reads in a row that filled a buffer.
        var fullReads: UInt8
    }

    struct Pipe {
        var read: Int32
        var write: Int32
        var capacity: Int
        /// Bytes in it.
        var held: Int
    }

    enum Way: Int {
        case toConsumer = 0
        case toInstance
    }

    /// A pipe of this size costs less than half of copying; the kernel gives one user 64 MiB of pipes.
    private static let pipeBytes: Int32 = 1 << 20
    /// Through a smaller one, which is what the kernel gives beyond those 64 MiB, copying is cheaper.
    private static let smallestPipe: Int32 = 1 << 16
    /// At most so many tunnels of one loop, each in one direction, have a pipe at once.
    private static let limit = 32
    /// From so many full reads in a row on a direction is taken to have more to come.
    static let bulk: UInt8 = 4

    private let lanes: UnsafeMutablePointer<Lane>
    private let laneBytes: Int
    private let pipes: UnsafeMutablePointer<Pipe>
    private let free: UnsafeMutablePointer<UInt8>
    private var freeCount = 0
    private var made = 0
    private var mayMakeMore = true
    private(set) var inUse = 0

    init(connections: Int) throws(GatewayError) {
        laneBytes = 2 * connections * MemoryLayout<Lane>.stride
        guard let base = cgateway_reserve(laneBytes) else {
            throw GatewayError(.exhausted, "no memory for what is known of tunnels")
        }
        // Pages of zeros, which is a lane of which nothing is known.
        lanes = base.bindMemory(to: Lane.self, capacity: 2 * connections)
        pipes = .allocate(capacity: Self.limit)
        free = .allocate(capacity: Self.limit)
    }

    deinit {
        for index in 0..<freeCount { close(Int(free[index])) }
        cgateway_unreserve(UnsafeMutableRawPointer(lanes), laneBytes)
        pipes.deallocate()
        free.deallocate()
    }

    func lane(_ client: Int, _ way: Way) -> UnsafeMutablePointer<Lane> { lanes + 2 * client + way.rawValue }

    func pipe(of lane: UnsafeMutablePointer<Lane>) -> UnsafeMutablePointer<Pipe> { pipes + Int(lane.pointee.pipe) - 1 }

    /// False where there is none to be had.
    func take(for lane: UnsafeMutablePointer<Lane>) -> Bool {
        if freeCount == 0, !make() { return false }
        freeCount -= 1
        inUse += 1
        lane.pointee.pipe = free[freeCount] + 1
        return true
    }

    /// The lane's pipe is empty, and free for another.
    func give(from lane: UnsafeMutablePointer<Lane>) {
        guard lane.pointee.pipe != 0 else { return }
        free[freeCount] = lane.pointee.pipe - 1
        freeCount += 1
        inUse -= 1
        lane.pointee.pipe = 0
    }

    /// The tunnel has ended, or begins: what a pipe still holds of it must reach nobody else.
    func forget(_ client: Int) {
        for way in [Way.toConsumer, .toInstance] {
            let lane = lane(client, way)
            lane.pointee.fullReads = 0
            guard lane.pointee.pipe != 0 else { continue }
            let place = Int(lane.pointee.pipe) - 1
            if pipes[place].held > 0, !renew(place) {
                // No descriptor for another: one pipe less from here on, until the loop ends.
                lane.pointee.pipe = 0
                inUse -= 1
                continue
            }
            give(from: lane)
        }
    }

    private func make() -> Bool {
        guard mayMakeMore, made < Self.limit else { return false }
        guard open(made) else {
            // It would not go better the next time, and each costs: there are no more than these from here on.
            mayMakeMore = false
            return false
        }
        free[freeCount] = UInt8(made)
        freeCount += 1
        made += 1
        return true
    }

    private func renew(_ place: Int) -> Bool {
        close(place)
        return open(place)
    }

    private func open(_ place: Int) -> Bool {
        var ends: (Int32, Int32) = (-1, -1)
        let size = withUnsafeMutableBytes(of: &ends) {
            cgateway_pipe($0.baseAddress!.assumingMemoryBound(to: Int32.self), Self.pipeBytes)
        }
        guard size > 0 else { return false }
        guard size >= Self.smallestPipe else {
            cgateway_close(ends.0)
            cgateway_close(ends.1)
            return false
        }
        (pipes + place).initialize(to: Pipe(read: ends.0, write: ends.1, capacity: Int(size), held: 0))
        return true
    }

    private func close(_ place: Int) {
        cgateway_close(pipes[place].read)
        cgateway_close(pipes[place].write)
    }
}

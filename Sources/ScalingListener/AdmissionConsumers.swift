import CloudModel

/// The consumers that admission has to remember now: those with requests, with a seat, or with a rate to work off.
///
/// A slab of records with stable indices. Idle consumers are kept in two lists in order of the time when they became
/// idle, and forgotten when nothing depends on them any more.
struct ActiveConsumers: Sendable {
    struct Record {
        var key = ConsumerKey(0)
        /// Admitted requests that have not ended.
        var inFlight: Int32 = 0
        /// Requests that wait at a ceiling.
        var waiting: Int32 = 0
        /// Requests that wait at the consumer's own limit.
        var held: Int32 = 0
        var holdsSeat = false
        var idleList = IdleList.none
        var binding = SeatBinding.none
        var idleSince = Timestamp.epoch
        /// `RateLimit`'s theoretical arrival time, in nanoseconds.
        var arrival: Int64 = 0
        var previous: Int32 = -1
        var next: Int32 = -1
    }

    enum IdleList: UInt8 {
        case none
        /// Keeps its seat until the hold is over.
        case holding
        /// Has only a rate to work off.
        case cooling
    }

    struct List {
        var head: Int32 = -1
        var tail: Int32 = -1
        var count = 0
    }

    private(set) var records: [Record] = []
    private var free: [Int32] = []
    private var places = AdmissionIndex()
    private(set) var holding = List()
    private(set) var cooling = List()

    var count: Int { places.count }

    init() { reserve() }

    subscript(index: Int32) -> Record {
        @inline(__always) _read { yield records[Int(index)] }
        @inline(__always) _modify { yield &records[Int(index)] }
    }

    /// As many may be forgotten at once as there are: so that forgetting never allocates.
    private mutating func reserve() {
        records.reserveCapacity(places.capacity)
        free.reserveCapacity(places.capacity)
    }

    /// Below zero where there is none.
    @inline(__always)
    func index(of key: ConsumerKey) -> Int32 { places.value(of: UInt64(key.rawValue)) }

    /// The key must be new.
    mutating func insert(_ key: ConsumerKey) -> Int32 {
        let index: Int32
        if let reused = free.popLast() {
            index = reused
            records[Int(index)] = Record(key: key)
        } else {
            index = Int32(records.count)
            records.append(Record(key: key))
        }
        let capacity = places.capacity
        places.insert(UInt64(key.rawValue), index)
        if places.capacity != capacity { reserve() }
        return index
    }

    /// It must be in no idle list.
    mutating func remove(_ index: Int32) {
        places.remove(UInt64(records[Int(index)].key.rawValue))
        free.append(index)
    }

    // MARK: Idle lists

    mutating func append(_ index: Int32, to list: IdleList) {
        switch list {
        case .none: return
        case .holding: Self.append(index, to: &holding, &records)
        case .cooling: Self.append(index, to: &cooling, &records)
        }
        records[Int(index)].idleList = list
    }

    private static func append(_ index: Int32, to list: inout List, _ records: inout [Record]) {
        records[Int(index)].previous = list.tail
        records[Int(index)].next = -1
        if list.tail >= 0 { records[Int(list.tail)].next = index } else { list.head = index }
        list.tail = index
        list.count += 1
    }

    /// Takes it out of the idle list that it is in, if any.
    mutating func unlink(_ index: Int32) {
        switch records[Int(index)].idleList {
        case .none: return
        case .holding: Self.unlink(index, from: &holding, &records)
        case .cooling: Self.unlink(index, from: &cooling, &records)
        }
        records[Int(index)].idleList = .none
    }

    private static func unlink(_ index: Int32, from list: inout List, _ records: inout [Record]) {
        let previous = records[Int(index)].previous
        let next = records[Int(index)].next
        if previous >= 0 { records[Int(previous)].next = next } else { list.head = next }
        if next >= 0 { records[Int(next)].previous = previous } else { list.tail = previous }
        list.count -= 1
    }

    /// The clock was set back: moves what is remembered along with it.
    mutating func shiftTimes(by step: TimeSpan) {
        for index in records.indices {
            records[index].idleSince = records[index].idleSince + step
            records[index].arrival += step.microseconds * 1_000
        }
    }

    /// Indices of all that are remembered, in order of their keys.
    func sortedIndices() -> [Int32] {
        places.values.sorted { records[Int($0)].key.rawValue < records[Int($1)].key.rawValue }
    }
}

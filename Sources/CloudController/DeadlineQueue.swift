import CloudModel

/// What a deadline is for.
enum DeadlineSubject: Hashable, Sendable {
    case instance(ServiceID, InstanceID)
    case service(ServiceID)
    /// The driver has not answered for every recovered instance.
    case adoption
    case infrastructure
}

/// A binary heap of deadlines, the earliest first, equal ones in the order in which they were added.
///
/// Entries are never taken back: whoever is woken looks at what is really due. Each subject remembers for when it is
/// armed and adds an entry only for an earlier time, so there are few entries too many. The subjects stay in their
/// places while the heap moves only keys.
struct DeadlineQueue: Sendable {
    private struct Key {
        var at: Int64
        var number: UInt64
        var place: Int

        func precedes(_ other: Key) -> Bool { at < other.at || (at == other.at && number < other.number) }
    }

    private var heap: [Key] = []
    private var subjects: [DeadlineSubject?] = []
    private var free: [Int] = []
    private var lastNumber: UInt64 = 0

    var earliest: Timestamp? { heap.first.map { Timestamp(microseconds: $0.at) } }
    var count: Int { heap.count }

    mutating func add(_ subject: DeadlineSubject, at time: Timestamp) {
        let place: Int
        if let reused = free.popLast() {
            place = reused
            subjects[place] = subject
        } else {
            place = subjects.count
            subjects.append(subject)
        }
        lastNumber += 1
        heap.append(Key(at: time.microseconds, number: lastNumber, place: place))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    /// The earliest subject whose time has come.
    mutating func popDue(at now: Timestamp) -> DeadlineSubject? {
        guard let first = heap.first, first.at <= now.microseconds else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown()
        }
        free.append(first.place)
        return subjects[first.place].take()
    }

    private mutating func siftDown() {
        var parent = 0
        while true {
            let left = 2 * parent + 1
            let right = left + 1
            var least = parent
            if left < heap.count, heap[left].precedes(heap[least]) { least = left }
            if right < heap.count, heap[right].precedes(heap[least]) { least = right }
            guard least != parent else { return }
            heap.swapAt(parent, least)
            parent = least
        }
    }
}

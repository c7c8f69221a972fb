/// What will happen, in order of virtual time; what is due at the same time happens in the order in which it was
/// planned.
///
/// The events stay in their places while the heap moves only keys: events are large.
struct EventHeap<Event> {
    private struct Key {
        var at: Int64
        var number: UInt64
        var place: Int

        func precedes(_ other: Key) -> Bool { at < other.at || (at == other.at && number < other.number) }
    }

    private var heap: [Key] = []
    private var events: [Event?] = []
    private var free: [Int] = []
    private var lastNumber: UInt64 = 0

    /// Microseconds.
    var earliest: Int64? { heap.first?.at }

    mutating func add(_ event: Event, at time: Int64) {
        let place: Int
        if let reused = free.popLast() {
            place = reused
            events[place] = event
        } else {
            place = events.count
            events.append(event)
        }
        lastNumber += 1
        heap.append(Key(at: time, number: lastNumber, place: place))
        var child = heap.count - 1
        while child > 0 {
            let parent = (child - 1) / 2
            guard heap[child].precedes(heap[parent]) else { break }
            heap.swapAt(child, parent)
            child = parent
        }
    }

    mutating func pop() -> (at: Int64, event: Event)? {
        guard let first = heap.first else { return nil }
        let last = heap.removeLast()
        if !heap.isEmpty {
            heap[0] = last
            siftDown()
        }
        free.append(first.place)
        return events[first.place].take().map { (first.at, $0) }
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

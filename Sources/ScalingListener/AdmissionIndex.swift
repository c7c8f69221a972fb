/// Finds the place of a number in a slab: open addressing with linear probing, at most half full; deletion shifts back,
/// so there are no tombstones and nothing slows down with age. Allocates only to grow.
package struct AdmissionIndex: Sendable {
    private struct Slot {
        var key: UInt64 = 0
        /// Below zero: empty.
        var value: Int32 = -1
    }

    private var slots: [Slot]
    private var shift: UInt64
    package private(set) var count = 0

    package init() {
        slots = [Slot](repeating: Slot(), count: 64)
        shift = 64 - 6
    }

    /// How many it holds before it grows.
    var capacity: Int { slots.count / 2 }

    /// Fibonacci hashing (Knuth, volume 3, section 6.4): spreads dense numbers evenly.
    @inline(__always)
    private func home(_ key: UInt64) -> Int { Int(truncatingIfNeeded: (key &* 0x9E37_79B9_7F4A_7C15) >> shift) }

    /// Below zero where the key is not there.
    @inline(__always)
    package func value(of key: UInt64) -> Int32 {
        let mask = slots.count - 1
        var position = home(key)
        while slots[position].value >= 0 {
            if slots[position].key == key { return slots[position].value }
            position = (position + 1) & mask
        }
        return -1
    }

    /// The key must be new.
    package mutating func insert(_ key: UInt64, _ value: Int32) {
        if count == capacity { grow() }
        count += 1
        place(Slot(key: key, value: value))
    }

    private mutating func place(_ slot: Slot) {
        let mask = slots.count - 1
        var position = home(slot.key)
        while slots[position].value >= 0 { position = (position + 1) & mask }
        slots[position] = slot
    }

    private mutating func grow() {
        let old = slots
        slots = [Slot](repeating: Slot(), count: old.count * 2)
        shift -= 1
        for slot in old where slot.value >= 0 { place(slot) }
    }

    package mutating func remove(_ key: UInt64) {
        let mask = slots.count - 1
        var hole = home(key)
        while slots[hole].key != key || slots[hole].value < 0 {
            precondition(slots[hole].value >= 0, "a key was removed that is not there")
            hole = (hole + 1) & mask
        }
        var position = hole
        while true {
            position = (position + 1) & mask
            guard slots[position].value >= 0 else { break }
            // It may fill the hole only if its home is not behind the hole.
            let distance = (position - home(slots[position].key)) & mask
            guard distance >= (position - hole) & mask else { continue }
            slots[hole] = slots[position]
            hole = position
        }
        slots[hole] = Slot()
        count -= 1
    }

    /// In no particular order.
    package var values: [Int32] { slots.compactMap { $0.value >= 0 ? $0.value : nil } }
}

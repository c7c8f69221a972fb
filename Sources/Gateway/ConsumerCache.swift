/// Which credential a presented key is, as one loop found it out before: spares the hot path the SHA-256.
///
/// Fixed in size: sets of four entries, of which a newcomer evicts the one that came first. Only keys that were found
/// are kept, so that nobody can flush it with made-up keys. Keyed by a `SipHash.Tag` under a key that is random in each
/// process: entries hold neither keys nor anything from which one could be guessed. Belongs to one loop.
package final class ConsumerCache {
    private let entries: UnsafeMutableBufferPointer<Entry>
    private let state: UnsafeMutablePointer<State>
    private let setMask: Int

    private struct Entry {
        var tag = SipHash.Tag(low: 0, high: 0)
        /// Below zero: empty.
        var credential: Int32 = -1
    }

    private struct State {
        /// The generation of the table that the entries are from.
        var generation: UInt64 = .max
        /// Which way of a set is evicted next: one counter for all sets spreads well enough.
        var nextWay = 0
    }

    private static let ways = 4

    /// `capacity` is rounded up to a power of two; 4,096 entries take 96 KiB.
    package init(capacity: Int = 4_096) {
        var sets = 1
        while sets * Self.ways < capacity { sets *= 2 }
        setMask = sets - 1
        entries = .allocate(capacity: sets * Self.ways)
        entries.initialize(repeating: Entry())
        state = .allocate(capacity: 1)
        state.initialize(to: State())
    }

    deinit {
        entries.deallocate()
        state.deallocate()
    }

    /// The index of the credential in the table of this generation; nil where it is not known.
    func credential(for tag: SipHash.Tag, generation: UInt64) -> Int32? {
        if state.pointee.generation != generation {
            entries.update(repeating: Entry())
            state.pointee.generation = generation
            return nil
        }
        let start = (Int(truncatingIfNeeded: tag.low) & setMask) * Self.ways
        for way in 0..<Self.ways {
            let entry = entries[start + way]
            if entry.tag == tag && entry.credential >= 0 { return entry.credential }
        }
        return nil
    }

    /// After a lookup of the same tag and generation that found nothing.
    func remember(_ credential: Int32, for tag: SipHash.Tag) {
        let start = (Int(truncatingIfNeeded: tag.low) & setMask) * Self.ways
        var way = 0
        while way < Self.ways && entries[start + way].credential >= 0 { way += 1 }
        if way == Self.ways {
            way = state.pointee.nextWay
            state.pointee.nextWay = (way + 1) % Self.ways
        }
        entries[start + way] = Entry(tag: tag, credential: credential)
    }
}

/// How much waits of each consumer, and whose is the most: who has to give way where a queue is full.
///
/// Dropping from the longest (McKenney, 1991) makes a queue's bound fair: however much one consumer sends, the room of
/// those that have little there is theirs. Consumers of the same number of items are linked in a list for that number,
/// so that everything is O(1); storage grows to the greatest numbers there ever were and stays.
public struct ConsumerBacklog: Sendable {
    private struct Item {
        /// Below zero: not counted.
        var consumer: Int32 = -1
        var older: Int32 = -1
        var newer: Int32 = -1
    }

    private struct Consumer {
        var count: Int32 = 0
        var oldest: Int32 = -1
        var newest: Int32 = -1
        /// Neighbours among the consumers of as many items.
        var previous: Int32 = -1
        var next: Int32 = -1
    }

    private var items: [Item] = []
    private var consumers: [Consumer] = []
    /// By number of items: the first consumer that has so many.
    private var heads: [Int32] = [-1]
    /// The most items that a consumer has.
    public private(set) var greatest = 0

    public init() {}

    public func count(of consumer: Int32) -> Int {
        consumer >= 0 && Int(consumer) < consumers.count ? Int(consumers[Int(consumer)].count) : 0
    }

    /// A consumer of which the most waits; nil where nothing does.
    public var longest: Int32? { greatest > 0 ? heads[greatest] : nil }

    /// What came last of a consumer's items; nil where it has none.
    public func newest(of consumer: Int32) -> Int32? {
        count(of: consumer) > 0 ? consumers[Int(consumer)].newest : nil
    }

    public func contains(_ item: Int32) -> Bool { Int(item) < items.count && items[Int(item)].consumer >= 0 }

    /// Counts an item that is not counted yet, as the consumer's newest.
    public mutating func insert(_ item: Int32, of consumer: Int32) {
        while items.count <= Int(item) { items.append(Item()) }
        while consumers.count <= Int(consumer) { consumers.append(Consumer()) }
        let newest = consumers[Int(consumer)].newest
        items[Int(item)] = Item(consumer: consumer, older: newest, newer: -1)
        if newest >= 0 { items[Int(newest)].newer = item } else { consumers[Int(consumer)].oldest = item }
        consumers[Int(consumer)].newest = item
        count(consumer, by: 1)
    }

    /// Counts an item no longer, if it is counted.
    public mutating func remove(_ item: Int32) {
        guard contains(item) else { return }
        let removed = items[Int(item)]
        items[Int(item)] = Item()
        if removed.older >= 0 {
            items[Int(removed.older)].newer = removed.newer
        } else {
            consumers[Int(removed.consumer)].oldest = removed.newer
        }
        if removed.newer >= 0 {
            items[Int(removed.newer)].older = removed.older
        } else {
            consumers[Int(removed.consumer)].newest = removed.older
        }
        count(removed.consumer, by: -1)
    }

    private mutating func count(_ consumer: Int32, by change: Int32) {
        let old = consumers[Int(consumer)]
        if old.count > 0 {
            if old.previous >= 0 {
                consumers[Int(old.previous)].next = old.next
            } else {
                heads[Int(old.count)] = old.next
            }
            if old.next >= 0 { consumers[Int(old.next)].previous = old.previous }
        }
        let count = Int(old.count + change)
        consumers[Int(consumer)].count = Int32(count)
        consumers[Int(consumer)].previous = -1
        consumers[Int(consumer)].next = -1
        if count > 0 {
            if heads.count == count { heads.append(-1) }
            let next = heads[count]
            consumers[Int(consumer)].next = next
            if next >= 0 { consumers[Int(next)].previous = consumer }
            heads[count] = consumer
        }
        if count > greatest || (Int(old.count) == greatest && heads[greatest] < 0) { greatest = count }
    }
}

public import CloudModel

/// Which consumers were refused at which limit: so that the control plane is told often enough and not too often, and
/// told once when such a consumer is served again.
///
/// Bounded: of more consumers than that, the ones that were refused first are forgotten (they are refused again, or are
/// served without a word about it).
public struct RefusalBook: Sendable {
    /// Refusals of one consumer at one limit that have not been reported yet.
    public struct Entry: Hashable, Sendable {
        public var consumer: ConsumerKey
        public var constraint: ConstraintKind
        public var limit: Int
        public var current: Int
        /// Refusals since the last report.
        public var count: Int
        public var waiting: Bool
        /// Refused, and not served since.
        var isOpen = false
        var nextReport = Timestamp.epoch
        var nextServedReport = Timestamp.epoch
    }

    /// Ten reports a second.
    static let reportInterval = TimeSpan.milliseconds(100)
    /// A consumer at its rate is refused and served many times a second; one word about it in a second is enough.
    static let servedInterval = TimeSpan.seconds(1)

    private static let kinds: UInt64 = 5

    private let capacity: Int
    /// A ring: the oldest entry is overwritten.
    private var entries: [Entry] = []
    private var oldest = 0
    private var positions = AdmissionIndex()
    /// Entries that are open.
    public private(set) var openCount = 0

    public init(capacity: Int = 4_096) { self.capacity = max(1, capacity) }

    /// Notes a refusal.
    /// - Returns: how many to report now, this one included; 0 where it is too soon for another report.
    public mutating func note(_ consumer: ConsumerKey, _ refusal: AdmissionRefusal, waiting: Bool, now: Timestamp)
        -> Int
    {
        guard let constraint = refusal.constraint else { return 0 }
        let position = position(of: consumer, constraint)
        entries[position].limit = refusal.limit
        entries[position].current = refusal.current
        entries[position].count += 1
        entries[position].waiting = waiting
        if !entries[position].isOpen {
            entries[position].isOpen = true
            openCount += 1
        }
        let next = entries[position].nextReport
        // After a step back of the clock, the next report may not be long in coming either.
        guard now >= next || next - now > Self.reportInterval else { return 0 }
        return report(position, now)
    }

    private mutating func report(_ position: Int, _ now: Timestamp) -> Int {
        let count = entries[position].count
        entries[position].count = 0
        entries[position].nextReport = now + Self.reportInterval
        return count
    }

    private static func name(_ consumer: ConsumerKey, _ constraint: ConstraintKind) -> UInt64 {
        let kind: UInt64 =
            switch constraint {
            case .maximumInstances: 0
            case .concurrentRequestsPerInstance: 1
            case .activeConsumersPerInstance: 2
            case .concurrentRequestsPerConsumer: 3
            case .requestsPerSecondPerConsumer: 4
            }
        return UInt64(consumer.rawValue) * Self.kinds + kind
    }

    private mutating func position(of consumer: ConsumerKey, _ constraint: ConstraintKind) -> Int {
        let name = Self.name(consumer, constraint)
        let known = positions.value(of: name)
        if known >= 0 { return Int(known) }
        let entry = Entry(consumer: consumer, constraint: constraint, limit: 0, current: 0, count: 0, waiting: false)
        guard entries.count == capacity else {
            positions.insert(name, Int32(entries.count))
            entries.append(entry)
            return entries.count - 1
        }
        let position = oldest
        let replaced = entries[position]
        positions.remove(Self.name(replaced.consumer, replaced.constraint))
        if replaced.isOpen { openCount -= 1 }
        positions.insert(name, Int32(position))
        entries[position] = entry
        oldest = (oldest + 1) % capacity
        return position
    }

    /// Notes that a consumer was served.
    /// - Returns: whether that is news: it was refused before, and nobody has been told since.
    public mutating func noteServed(_ consumer: ConsumerKey, now: Timestamp) -> Bool {
        guard openCount > 0 else { return false }
        var isNews = false
        let name = UInt64(consumer.rawValue) * Self.kinds
        for kind in 0..<Self.kinds {
            let position = Int(positions.value(of: name + kind))
            guard position >= 0, entries[position].isOpen else { continue }
            let next = entries[position].nextServedReport
            guard now >= next || next - now > Self.servedInterval else { continue }
            entries[position].nextServedReport = now + Self.servedInterval
            entries[position].isOpen = false
            openCount -= 1
            isNews = true
        }
        return isNews
    }

    /// The refusals that have not been reported, in order of consumer and constraint; they count as reported now.
    public mutating func takeUnreported(now: Timestamp) -> [Entry] {
        var taken: [Entry] = []
        for position in entries.indices where entries[position].count > 0 {
            var entry = entries[position]
            entry.count = report(position, now)
            taken.append(entry)
        }
        return taken.sorted {
            ($0.consumer.rawValue, $0.constraint.rawValue) < ($1.consumer.rawValue, $1.constraint.rawValue)
        }
    }
}

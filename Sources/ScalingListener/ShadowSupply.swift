public import CloudModel

/// Instances that are started and stopped without existing: the supply that a policy would have had.
public struct ShadowSupply: Hashable, Sendable {
    private struct Start: Hashable {
        var readyAt: Timestamp
        var count: Int
    }

    public private(set) var ready: Int
    public private(set) var starting = 0
    public let startupTime: TimeSpan
    private var starts: [Start] = []
    /// Instances that wait, started, beside those that serve (`WarmPool`).
    public private(set) var warm: Int
    private var refills: [Start] = []
    private let warmPool: Int
    private let maximum: Int

    /// - Parameters:
    ///   - warmPool: so many wait at first, as far as `maximum` leaves room.
    public init(ready: Int, startupTime: TimeSpan, warmPool: Int = 0, maximum: Int = .max) {
        self.ready = max(0, ready)
        self.startupTime = startupTime
        self.warmPool = max(0, warmPool)
        self.maximum = maximum
        warm = min(self.warmPool, max(0, maximum - self.ready))
    }

    public var committed: Int { ready + starting }

    /// All that runs, or has been asked to: what is paid for.
    public var held: Int { committed + warm + refilling }

    private var refilling: Int { refills.reduce(0) { $0 + $1.count } }

    /// Those whose time has come serve.
    public mutating func advance(to now: Timestamp) {
        while let first = starts.first, first.readyAt <= now {
            ready += first.count
            starting -= first.count
            starts.removeFirst()
        }
        while let first = refills.first, first.readyAt <= now {
            warm += first.count
            refills.removeFirst()
        }
    }

    public mutating func set(_ count: Int, at now: Timestamp) {
        defer { refill(at: now) }
        if count > committed {
            let taken = min(warm, count - committed)
            warm -= taken
            ready += taken
            let new = count - committed
            if new == 0 { return }
            if startupTime <= .zero {
                ready += new
            } else {
                starts.append(Start(readyAt: now + startupTime, count: new))
                starting += new
            }
            return
        }
        // The newest of those that start go first; they serve nobody yet.
        var surplus = committed - count
        while surplus > 0, let last = starts.last {
            let taken = min(surplus, last.count)
            surplus -= taken
            starting -= taken
            if taken == last.count { starts.removeLast() } else { starts[starts.count - 1].count -= taken }
        }
        ready -= surplus
    }

    /// Starts what the pool lacks, and gives up what the work leaves no room for: first those that start.
    private mutating func refill(at now: Timestamp) {
        let wanted = min(warmPool, max(0, maximum - committed))
        while warm + refilling > wanted, let last = refills.last {
            let less = min(last.count, warm + refilling - wanted)
            if less == last.count { refills.removeLast() } else { refills[refills.count - 1].count -= less }
        }
        warm = min(warm, wanted)
        let missing = wanted - warm - refilling
        guard missing > 0 else { return }
        if startupTime <= .zero {
            warm += missing
        } else {
            refills.append(Start(readyAt: now + startupTime, count: missing))
        }
    }
}

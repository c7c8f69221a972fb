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

    public init(ready: Int, startupTime: TimeSpan) {
        self.ready = max(0, ready)
        self.startupTime = startupTime
    }

    public var committed: Int { ready + starting }

    /// Those whose time has come serve.
    public mutating func advance(to now: Timestamp) {
        while let first = starts.first, first.readyAt <= now {
            ready += first.count
            starting -= first.count
            starts.removeFirst()
        }
    }

    public mutating func set(_ count: Int, at now: Timestamp) {
        if count > committed {
            let new = count - committed
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
}

package import CloudModel

/// How soon the books have to be looked at again for quotas: the sooner, the sooner one of them is used up at the pace
/// that it is used at. So little passes beyond it, and looking costs little as long as all are far from it.
package struct QuotaPace: Sendable {
    package static let longest = TimeSpan.seconds(2)
    package static let shortest = TimeSpan.milliseconds(100)

    package struct Use: Hashable, Sendable {
        package var consumer: ConsumerID
        package var kind: ExhaustedQuota.Kind
        package var used: Int64
        package var limit: Int64

        package init(consumer: ConsumerID, kind: ExhaustedQuota.Kind, used: Int64, limit: Int64) {
            self.consumer = consumer
            self.kind = kind
            self.used = used
            self.limit = limit
        }
    }

    private struct Key: Hashable {
        var consumer: ConsumerID
        var kind: ExhaustedQuota.Kind
    }

    private var before: [Key: Int64] = [:]

    package init() {}

    /// - Parameters:
    ///   - uses: all quotas, as they are used now.
    ///   - elapsed: since the last call.
    /// - Returns: a quarter of the time until the first of them is used up, within the bounds.
    package mutating func next(_ uses: [Use], after elapsed: TimeSpan) -> TimeSpan {
        var soonest = Self.longest
        var now: [Key: Int64] = [:]
        for use in uses {
            let key = Key(consumer: use.consumer, kind: use.kind)
            now[key] = use.used
            guard let last = before[key], use.used > last, use.limit > use.used, elapsed > .zero else { continue }
            let left = Int128(use.limit - use.used) * Int128(elapsed.microseconds) / Int128(use.used - last)
            soonest = min(soonest, .microseconds(Int64(clamping: left / 4)))
        }
        before = now
        return max(Self.shortest, soonest)
    }
}

import CloudModel

/// How far the count may move now, by the rules of Kubernetes' HorizontalPodAutoscaler v2
/// (kubernetes/pkg/controller/podautoscaler/horizontal.go).
///
/// - A period's limit counts from what there was when it began: the present count without what came, and with what
///   went, since.
/// - Percentages are rounded up when scaling out, so that one instance can become more, and down when scaling in.
/// - What changed is seen from the counts that the policy is shown, so a wish that was not followed counts for nothing.
struct BehaviorLimits: Hashable, Sendable {
    let up: ScalingRules
    let down: ScalingRules
    private let remembered: TimeSpan
    /// Oldest first; no older than the longest period.
    private var changes: [Change] = []
    private var last: Change?

    private struct Change: Hashable {
        var at: Timestamp
        /// Of `last`: the count itself.
        var count: Int
    }

    init(_ behavior: ScalingBehavior) {
        up = behavior.scaleUp ?? .usualScaleUp
        down = behavior.scaleDown ?? .usualScaleDown
        remembered = max(up.longestPeriod, down.longestPeriod)
    }

    /// What was decided at the sample before is seen in this one.
    mutating func note(_ count: Int, at now: Timestamp) {
        if let last, last.count != count { changes.append(Change(at: last.at, count: count - last.count)) }
        last = Change(at: now, count: count)
        if let oldest = changes.first, now - oldest.at >= remembered {
            changes.removeAll { now - $0.at >= remembered }
        }
    }

    /// The most that there may be.
    func highest(from count: Int, at now: Timestamp) -> Int {
        let proposed = up.limits.map { limit in
            let start = Double(self.start(of: limit.period, from: count, at: now))
            return switch limit.kind {
            case .pods: wholeInstances(start + Double(limit.value))
            case .percent: wholeInstances(start * (1 + Double(limit.value) / 100))
            }
        }
        switch up.selection {
        case .max: return max(count, proposed.max() ?? count)
        case .min: return max(count, proposed.min() ?? count)
        case .disabled: return count
        }
    }

    /// The fewest that there may be.
    func lowest(from count: Int, at now: Timestamp) -> Int {
        let proposed = down.limits.map { limit in
            let start = Double(self.start(of: limit.period, from: count, at: now))
            return switch limit.kind {
            case .pods: Int(max(0, start - Double(limit.value)))
            case .percent: Int(max(0, start * (1 - Double(limit.value) / 100) + 1e-9))
            }
        }
        switch down.selection {
        case .max: return min(count, proposed.min() ?? count)
        case .min: return min(count, proposed.max() ?? count)
        case .disabled: return count
        }
    }

    private func start(of period: TimeSpan, from count: Int, at now: Timestamp) -> Int {
        changes.reduce(count) { now - $1.at < period ? $0 - $1.count : $0 }
    }
}

public import CloudModel

/// Kubernetes' HorizontalPodAutoscaler v2 (kubernetes/pkg/controller/podautoscaler, documented defaults): the ratio of
/// the mean utilisation to the target moves the count in proportion.
///
/// - Held while the ratio is within `tolerance` of 1.
/// - Instances without a measurement count as 100 % of the target when that speaks against scaling in and as idle when
///   it speaks against scaling out; instances that start count as idle when scaling out. If they turn the direction,
///   held.
/// - Out by at most the larger of 100 % and 4 in 15 s; in only to the highest wish of `scaleInWindow`.
public struct HorizontalPolicy: DemandPolicy, Hashable {
    /// Utilisation to aim at, 0 to 1.
    public var target: Double
    public var tolerance: Double
    public var scaleInWindow: TimeSpan
    private var window = MaximumWindow()
    private var isSeeded = false
    /// Counts at the beginning of changes of the last period, oldest first.
    private var additions: [Addition] = []

    private struct Addition: Hashable {
        var at: Timestamp
        var count: Int
    }

    private static let period = TimeSpan.seconds(15)

    public init(target: Double = 0.7, tolerance: Double = 0.1, scaleInWindow: TimeSpan = .seconds(300)) {
        self.target = target
        self.tolerance = tolerance
        self.scaleInWindow = scaleInWindow
    }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        if !isSeeded {
            window.add(sample.committed, at: sample.at, length: scaleInWindow)
            isSeeded = true
        }
        let raw = recommend(sample)
        window.add(raw.instances, at: sample.at, length: scaleInWindow)
        if raw.instances < sample.committed {
            let highest = min(window.maximum, sample.committed)
            return DemandWish(highest, highest > raw.instances ? .highestOfWindow : raw.reason)
        }
        guard raw.instances > sample.committed else { return raw }
        additions.removeAll { sample.at - $0.at >= Self.period }
        let atStart = sample.committed - additions.reduce(0) { $0 + $1.count }
        let limit = max(2 * atStart, atStart + 4)
        let allowed = max(sample.committed, min(raw.instances, limit))
        if allowed > sample.committed {
            additions.append(Addition(at: sample.at, count: allowed - sample.committed))
        }
        return DemandWish(allowed, raw.reason)
    }

    /// The count before behaviour limits.
    package func recommend(_ sample: DemandSample) -> DemandWish {
        let measured = sample.ready - sample.unmeasured
        guard measured > 0 else { return DemandWish(sample.committed, .steady) }
        let ratio = sample.demand / (Double(measured) * target)
        let starting = max(0, sample.committed - sample.ready)
        let hold = DemandWish(sample.committed, .withinTolerance)
        let followed = DemandReason.demand(sample.demand, target: target)
        guard sample.unmeasured > 0 || (starting > 0 && ratio > 1) else {
            if abs(1 - ratio) <= tolerance { return hold }
            return DemandWish(wholeInstances(ratio * Double(measured)), followed)
        }
        var demand = sample.demand
        var count = measured + sample.unmeasured
        if ratio < 1 { demand += Double(sample.unmeasured) * target } else { count += starting }
        let corrected = demand / (Double(count) * target)
        if abs(1 - corrected) <= tolerance || (ratio < 1) != (corrected < 1) { return hold }
        let wanted = wholeInstances(corrected * Double(count))
        // What was assumed never turns the direction.
        if (corrected < 1 && wanted > sample.committed) || (corrected > 1 && wanted < sample.committed) { return hold }
        return DemandWish(wanted, followed)
    }
}

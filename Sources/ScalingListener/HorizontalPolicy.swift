public import CloudModel

/// Kubernetes' HorizontalPodAutoscaler v2 (kubernetes/pkg/controller/podautoscaler, documented defaults): the ratio of
/// the mean utilisation to the target moves the count in proportion.
///
/// - Held while the ratio is within `tolerance` of 1.
/// - Instances without a measurement count as 100 % of the target when that speaks against scaling in and as idle when
///   it speaks against scaling out; instances that start count as idle when scaling out. If they turn the direction,
///   held.
/// - Out to the lowest wish of a window, in to the highest of one, and neither faster than `ScalingBehavior` allows.
///   Without one: out at once by at most the larger of 100 % and 4 in 15 s; in only to the highest wish of 5 minutes.
public struct HorizontalPolicy: DemandPolicy, Hashable {
    /// Utilisation to aim at, 0 to 1.
    public var target: Double
    public var tolerance: Double
    private var limits: BehaviorLimits
    private var window = MaximumWindow()
    /// Of negative wishes: its maximum is the lowest of them.
    private var outWindow = MaximumWindow()
    private var isSeeded = false

    /// - Parameter scaleInWindow: instead of that of `behavior`.
    public init(
        target: Double = 0.7, tolerance: Double = 0.1, scaleInWindow: TimeSpan? = nil,
        behavior: ScalingBehavior = ScalingBehavior()
    ) {
        self.target = target
        self.tolerance = tolerance
        var behavior = behavior
        if let scaleInWindow {
            var rules = behavior.scaleDown ?? .usualScaleDown
            rules.window = scaleInWindow
            behavior.scaleDown = rules
        }
        limits = BehaviorLimits(behavior)
    }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        let count = sample.committed
        if !isSeeded {
            remember(count, at: sample.at)
            isSeeded = true
        }
        limits.note(count, at: sample.at)
        let raw = recommend(sample)
        remember(raw.instances, at: sample.at)
        if raw.instances < count {
            let highest = limits.down.window > .zero ? min(window.maximum, count) : raw.instances
            let allowed = highest < count ? max(highest, limits.lowest(from: count, at: sample.at)) : count
            return DemandWish(allowed, reason(raw, stabilised: highest, allowed))
        }
        guard raw.instances > count else { return raw }
        let lowest = limits.up.window > .zero ? max(count, min(raw.instances, -outWindow.maximum)) : raw.instances
        let allowed = lowest > count ? min(lowest, limits.highest(from: count, at: sample.at)) : count
        return DemandWish(allowed, reason(raw, stabilised: lowest, allowed))
    }

    private mutating func remember(_ count: Int, at now: Timestamp) {
        if limits.down.window > .zero { window.add(count, at: now, length: limits.down.window) }
        if limits.up.window > .zero { outWindow.add(-count, at: now, length: limits.up.window) }
    }

    private func reason(_ raw: DemandWish, stabilised: Int, _ allowed: Int) -> DemandReason {
        if allowed != stabilised { return .limited(raw.instances) }
        if stabilised == raw.instances { return raw.reason }
        return stabilised > raw.instances ? .highestOfWindow : .lowestOfWindow
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

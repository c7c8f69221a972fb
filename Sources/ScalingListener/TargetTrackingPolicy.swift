public import CloudModel

/// AWS Auto Scaling's target tracking: two alarms on the mean utilisation of the instances that have warmed up.
///
/// - Instances that start, or serve for less than `warmUp`, or have no measurement, are no part of the mean and no
///   capacity. What they carry is not known apart, so it is counted with the others: never too little.
/// - Out when the mean was above the target for three one-minute periods. To what the whole demand asks for, and not
///   below what was asked for before: what warms up is not asked for again. Rounded up.
/// - In when it was below 90 % of the target for 15 periods; never while instances start or warm up. Rounded so that
///   fewer go.
public struct TargetTrackingPolicy: DemandPolicy, Hashable {
    /// Utilisation to aim at, 0 to 1.
    public var target: Double
    /// How long an alarm's condition has to hold, from the first to the last period.
    public var highFor: TimeSpan
    public var lowFor: TimeSpan
    /// From when an instance serves to when it counts.
    public var warmUp: TimeSpan
    private var highSince: Timestamp?
    private var lowSince: Timestamp?
    /// What warms up, oldest first.
    private var arrivals: [Arrival] = []
    /// That served at the sample before.
    private var served: Int?

    private struct Arrival: Hashable {
        var at: Timestamp
        var count: Int
    }

    public init(
        target: Double = 0.7, highFor: TimeSpan = .minutes(2), lowFor: TimeSpan = .minutes(14),
        warmUp: TimeSpan = ScalingPolicySettings.usualWarmUp
    ) {
        self.target = target
        self.highFor = highFor
        self.lowFor = lowFor
        self.warmUp = warmUp
    }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        let warming = max(warming(sample), sample.unmeasured)
        let capacity = Double(max(1, sample.ready - warming)) * target
        let followed = DemandReason.demand(sample.demand, target: target)
        highSince = sample.demand > capacity ? highSince ?? sample.at : nil
        lowSince = sample.demand < 0.9 * capacity ? lowSince ?? sample.at : nil
        if let since = highSince {
            guard sample.at - since >= highFor else { return DemandWish(sample.committed, .alarmPending) }
            return DemandWish(max(sample.committed, wholeInstances(sample.demand / target)), followed)
        }
        guard let since = lowSince else { return DemandWish(sample.committed, .steady) }
        guard sample.committed <= sample.ready, warming == 0 else {
            return DemandWish(sample.committed, .warmingUp(warming + max(0, sample.committed - sample.ready)))
        }
        guard sample.at - since >= lowFor else { return DemandWish(sample.committed, .alarmPending) }
        return DemandWish(min(sample.committed, wholeInstances(sample.demand / target)), followed)
    }

    /// Those that serve, and not long enough. The first that are seen have served for long; the newest go first.
    private mutating func warming(_ sample: DemandSample) -> Int {
        let before = served ?? sample.ready
        served = sample.ready
        if sample.ready > before { arrivals.append(Arrival(at: sample.at, count: sample.ready - before)) }
        var gone = max(0, before - sample.ready)
        while gone > 0, let last = arrivals.last {
            let taken = min(gone, last.count)
            gone -= taken
            if taken == last.count { arrivals.removeLast() } else { arrivals[arrivals.count - 1].count -= taken }
        }
        while let first = arrivals.first, sample.at - first.at >= warmUp { arrivals.removeFirst() }
        return arrivals.reduce(0) { $0 + $1.count }
    }
}

public import CloudModel

/// AWS Auto Scaling's target tracking: two alarms on the utilisation of the instances in service.
///
/// - Out when the utilisation was above the target for three one-minute periods; counted from the instances that serve,
///   since those that warm up are no capacity yet. Rounded up.
/// - In when it was below 90 % of the target for 15 periods; never while instances start. Rounded so that fewer go.
public struct TargetTrackingPolicy: DemandPolicy, Hashable {
    /// Utilisation to aim at, 0 to 1.
    public var target: Double
    /// How long an alarm's condition has to hold, from the first to the last period.
    public var highFor: TimeSpan
    public var lowFor: TimeSpan
    private var highSince: Timestamp?
    private var lowSince: Timestamp?

    public init(target: Double = 0.7, highFor: TimeSpan = .minutes(2), lowFor: TimeSpan = .minutes(14)) {
        self.target = target
        self.highFor = highFor
        self.lowFor = lowFor
    }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        let capacity = Double(max(1, sample.ready)) * target
        let followed = DemandReason.demand(sample.demand, target: target)
        highSince = sample.demand > capacity ? highSince ?? sample.at : nil
        lowSince = sample.demand < 0.9 * capacity ? lowSince ?? sample.at : nil
        if let since = highSince {
            guard sample.at - since >= highFor else { return DemandWish(sample.committed, .alarmPending) }
            return DemandWish(max(sample.committed, wholeInstances(sample.demand / target)), followed)
        }
        guard let since = lowSince, sample.committed <= sample.ready else {
            return DemandWish(sample.committed, .steady)
        }
        guard sample.at - since >= lowFor else { return DemandWish(sample.committed, .alarmPending) }
        return DemandWish(min(sample.committed, wholeInstances(sample.demand / target)), followed)
    }
}

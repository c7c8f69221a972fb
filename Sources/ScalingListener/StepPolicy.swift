public import CloudModel

/// Steps with duration and quiet time: Apache CloudStack's conditions (true throughout `duration`, then `quietTime`)
/// with the step adjustments of AWS Auto Scaling (bounds relative to the threshold; a percentage below one instance is
/// one; above, the fraction is dropped; a repeated breach while instances warm up adds only the difference).
public struct StepPolicy: DemandPolicy, Hashable {
    /// Utilisation, 0 to 1, above which instances are added: 10 %, from 10 points above it 30 %.
    public var upper: Double
    /// Utilisation below which instances are removed: 10 %, from 10 points below it 30 %.
    public var lower: Double
    public var duration: TimeSpan
    public var quietTime: TimeSpan
    private var aboveSince: Timestamp?
    private var belowSince: Timestamp?
    private var quietUntil: Timestamp?

    public init(
        upper: Double = 0.7, lower: Double = 0.4, duration: TimeSpan = .seconds(60),
        quietTime: TimeSpan = .seconds(300)
    ) {
        self.upper = upper
        self.lower = lower
        self.duration = duration
        self.quietTime = quietTime
    }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        let utilisation = sample.demand / Double(max(1, sample.ready))
        aboveSince = utilisation > upper ? aboveSince ?? sample.at : nil
        belowSince = utilisation < lower ? belowSince ?? sample.at : nil
        if let until = quietUntil, sample.at < until { return DemandWish(sample.committed, .quietTime) }
        guard let since = aboveSince ?? belowSince else { return DemandWish(sample.committed, .steady) }
        guard sample.at - since >= duration else { return DemandWish(sample.committed, .alarmPending) }
        var wanted = sample.committed
        if aboveSince != nil {
            let part = utilisation >= upper + 0.1 ? 0.3 : 0.1
            wanted = max(wanted, sample.ready + Self.adjustment(part, of: sample.ready))
        } else if sample.committed <= sample.ready {
            let part = utilisation <= lower - 0.1 ? 0.3 : 0.1
            wanted -= Self.adjustment(part, of: sample.ready)
        }
        if wanted != sample.committed { quietUntil = sample.at + quietTime }
        return DemandWish(max(0, wanted), .demand(sample.demand, target: aboveSince == nil ? lower : upper))
    }

    package static func adjustment(_ part: Double, of count: Int) -> Int {
        max(1, Int((part * Double(count) + 1e-9).rounded(.down)))
    }
}

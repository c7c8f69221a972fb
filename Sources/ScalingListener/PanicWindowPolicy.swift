public import CloudModel

/// Knative's autoscaler (serving/pkg/autoscaler/scaling): the mean concurrency of a stable and of a short panic window.
///
/// - Each window asks for ceil(mean / target), between half of the instances that serve and a thousand-fold.
/// - Panic where the short window asks for twice the instances or more. Then the larger of both counts, it never goes
///   down, and it is over when the condition has not held for a stable window.
/// - Nothing in the stable window asks for zero, after a grace of 30 s. The gateway keeps requests while none is ready.
public struct PanicWindowPolicy: DemandPolicy, Hashable {
    /// Part of the concurrency limit to aim at, 0 to 1.
    public var target: Double
    public var stableWindow: TimeSpan
    /// The panic window, as a part of the stable one.
    public var panicPart: Double
    public var panicThreshold: Double
    private var values: [Value] = []
    private var first = 0
    private var stableSum = 0.0
    private var panicSince: Timestamp?
    private var panicHighest = 0
    private var idleSince: Timestamp?

    private struct Value: Hashable {
        var at: Timestamp
        var demand: Double
    }

    private static let zeroGrace = TimeSpan.seconds(30)
    /// Beyond it the oldest are forgotten: an hour of samples that come each second.
    private static let maximumValues = 3_600

    public init(
        target: Double = 0.7, stableWindow: TimeSpan = .seconds(60), panicPart: Double = 0.1,
        panicThreshold: Double = 2
    ) {
        self.target = target
        self.stableWindow = stableWindow
        self.panicPart = panicPart
        self.panicThreshold = panicThreshold
    }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        add(sample)
        let ready = max(1, sample.ready)
        let stableMean = stableSum / Double(values.count - first)
        let panicMean = self.panicMean(at: sample.at)
        let stable = bounded(stableMean, ready)
        let panic = bounded(panicMean, ready)
        if Double(panic) / Double(ready) >= panicThreshold {
            panicSince = sample.at
        } else if let since = panicSince, sample.at - since >= stableWindow {
            panicSince = nil
            panicHighest = 0
        }
        if panicSince != nil {
            panicHighest = max(panicHighest, stable, panic, sample.committed)
            idleSince = nil
            return DemandWish(panicHighest, .panic(panicMean))
        }
        // Zero is the activator's matter: the last instance goes when nothing came for the window and the grace.
        idleSince = stableMean == 0 ? idleSince ?? sample.at : nil
        if let idleSince {
            let wanted = sample.at - idleSince >= Self.zeroGrace ? 0 : max(1, stable)
            return DemandWish(wanted, .demand(0, target: target))
        }
        return DemandWish(max(1, stable), .demand(stableMean, target: target))
    }

    private func bounded(_ mean: Double, _ ready: Int) -> Int {
        min(max(wholeInstances(mean / target), ready / 2), 1_000 * ready)
    }

    private mutating func add(_ sample: DemandSample) {
        values.append(Value(at: sample.at, demand: sample.demand))
        stableSum += sample.demand
        while values.count - first > 1,
            sample.at - values[first].at >= stableWindow || values.count - first > Self.maximumValues
        {
            stableSum -= values[first].demand
            first += 1
        }
        if first > 64 && first * 2 > values.count {
            values.removeFirst(first)
            first = 0
            // The sum anew, so that rounding does not build up.
            stableSum = values.reduce(0) { $0 + $1.demand }
        }
        if values.count - first == 1 { stableSum = sample.demand }
    }

    private func panicMean(at now: Timestamp) -> Double {
        let length = TimeSpan.microseconds(Int64(Double(stableWindow.microseconds) * panicPart))
        var sum = 0.0
        var count = 0
        var index = values.count - 1
        while index >= first, count == 0 || now - values[index].at < length {
            sum += values[index].demand
            count += 1
            index -= 1
        }
        return sum / Double(count)
    }
}

/// React (Chieu et al., "Dynamic scaling of web applications in a virtualized cloud computing environment", 2009, as in
/// Papadopoulos et al.'s comparison): a deficit is met by 1.2 times as much, a surplus is given back down to 1.2 times
/// the demand.
public struct ReactPolicy: DemandPolicy, Hashable {
    /// How much more than the demand there should be.
    public var surplus: Double

    public init(surplus: Double = 1.2) { self.surplus = surplus }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        let needed = wholeInstances(sample.demand)
        let reason = DemandReason.demand(sample.demand, target: 1 / surplus)
        let deficit = needed - sample.committed
        if deficit > 0 { return DemandWish(sample.committed + Int(surplus * Double(deficit)), reason) }
        guard 1.1 * sample.demand < Double(sample.committed) else { return DemandWish(sample.committed, .steady) }
        return DemandWish(min(sample.committed, wholeInstances(surplus * Double(needed))), reason)
    }
}

/// Reg (Iqbal et al., "Adaptive resource provisioning for read intensive multi-tier applications in the cloud", 2011):
/// out by what the demand asks for, in only by a quadratic fit of the last 60 samples.
public struct RegressionPolicy: DemandPolicy, Hashable {
    public var scaleOutFactor: Double
    public var scaleInFactor: Double
    private var recent: RecentValues

    public init(scaleOutFactor: Double = 1.05, scaleInFactor: Double = 1.2, samples: Int = 60) {
        self.scaleOutFactor = scaleOutFactor
        self.scaleInFactor = scaleInFactor
        recent = RecentValues(capacity: samples)
    }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        recent.add(sample.demand)
        let up = wholeInstances(scaleOutFactor * sample.demand)
        if up > sample.committed {
            return DemandWish(up, .demand(sample.demand, target: 1 / scaleOutFactor))
        }
        guard recent.count == recent.capacity else { return DemandWish(sample.committed, .steady) }
        let next = Self.nextOfQuadraticFit(recent)
        let down = max(up, wholeInstances(scaleInFactor * next))
        return DemandWish(min(sample.committed, down), .forecast(next, by: "the regression"))
    }

    /// The least-squares parabola through the values at x = -1 ... 1, at the place of the next one. Legendre's first
    /// three polynomials, made orthogonal on the equidistant places (Gram), so that no linear system has to be solved.
    static func nextOfQuadraticFit(_ recent: RecentValues) -> Double {
        let count = Double(recent.count)
        guard recent.count > 2 else { return recent.value(back: 0) ?? 0 }
        let middle = (count - 1) / 2
        let spread = (count * count - 1) / 12
        var (sum, linear, square) = (0.0, 0.0, 0.0)
        var (linearNorm, squareNorm) = (0.0, 0.0)
        for back in 0..<recent.count {
            let value = recent.value(back: back) ?? 0
            let place = middle - Double(back)
            let curve = place * place - spread
            sum += value
            linear += value * place
            square += value * curve
            linearNorm += place * place
            squareNorm += curve * curve
        }
        let next = middle + 1
        return sum / count + linear / linearNorm * next + square / squareNorm * (next * next - spread)
    }
}

/// Hist (Urgaonkar et al., "Agile dynamic provisioning of multi-tier internet applications", 2008): the 90th percentile
/// of what was seen in the same hour of earlier days, corrected by the last errors, and reactive when it is often
/// wrong.
public struct HistogramPolicy: DemandPolicy, Hashable {
    public var percentile: Double
    /// Demand in steps of 5 %, by hour of the day: counts of samples.
    private var histograms = [[Int32]](repeating: [], count: 24)
    private var totals = [Int](repeating: 0, count: 24)
    private var errors = RecentValues(capacity: 5)
    private var shortages = RecentValues(capacity: 10)
    private var predicted: Double?
    private var hour = -1
    private var hourly: Double?

    private static let growth = 1.05
    private static let smallest = 0.01

    public init(percentile: Double = 0.9) { self.percentile = percentile }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        if let predicted {
            errors.add(predicted - sample.demand)
        }
        shortages.add(sample.demand > Double(sample.ready) ? 1 : 0)
        let seconds = sample.at.microseconds / 1_000_000
        let now = Int((seconds % 86_400 + 86_400) % 86_400 / 3_600)
        if now != hour {
            hour = now
            hourly = self.quantile(ofHour: now)
        }
        note(sample.demand, hour: now)
        predicted = hourly
        let reactive = wholeInstances(1.05 * sample.demand)
        let isOftenShort = shortages.mean(ofLast: 10) * 10 > 5
        guard let hourly, !isOftenShort else {
            return DemandWish(reactive, .demand(sample.demand, target: 1 / 1.05))
        }
        // A mean error below zero says that too little was expected.
        let corrected = max(0, hourly - min(0, errors.mean(ofLast: 5)))
        return DemandWish(wholeInstances(corrected), .forecast(corrected, by: "the histogram of the hour"))
    }

    private mutating func note(_ demand: Double, hour: Int) {
        var bucket = 0
        if demand > Self.smallest {
            bucket = 1 + Int(Elementary.logarithm(demand / Self.smallest) / Elementary.logarithm(Self.growth))
        }
        if histograms[hour].count <= bucket {
            histograms[hour] += [Int32](repeating: 0, count: bucket + 1 - histograms[hour].count)
        }
        histograms[hour][bucket] = min(histograms[hour][bucket], .max - 1) + 1
        totals[hour] += 1
    }

    private func quantile(ofHour hour: Int) -> Double? {
        guard totals[hour] > 0 else { return nil }
        let wanted = percentile * Double(totals[hour])
        var seen = 0.0
        var upper = Self.smallest
        for count in histograms[hour] {
            seen += Double(count)
            if seen >= wanted { return upper }
            upper *= Self.growth
        }
        return upper
    }
}

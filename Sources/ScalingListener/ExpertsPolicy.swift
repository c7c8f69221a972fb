import CloudModel

/// Calibrated experts: simple forecasts, each with a factor that is learned so that it falls short as often as the miss
/// budget allows and no more; the one that is cheapest with its factor decides. The calibration is the quantile
/// tracking of Gibbs and Candès ("Adaptive conformal inference under distribution shift", 2021).
public struct ExpertsPolicy: DemandPolicy, Hashable {
    /// Part of the time in which the demand may exceed the supply.
    public var missBudget: Double
    /// How fast the factors move: a miss raises one by this part, and the budget's share takes it back.
    public var rate: Double
    /// Decisions from one that starts an instance to the one that sees it serve.
    public var startupSteps: Int
    private var experts = Forecast.allCases.map(Expert.init)
    private var recent = RecentValues(capacity: 10)
    private var smoothed: Double?
    private var memory = SeasonalMemory()
    private var interval: TimeSpan?
    private var lastAt: Timestamp?
    /// The expert that decided last.
    private var followed: Int?

    private enum Forecast: String, CaseIterable {
        case last = "the last value"
        case mean = "the moving mean"
        case highestOfFive = "the highest of five"
        case highestOfTen = "the highest of ten"
        case trend = "the trend"
        case season = "the season"
    }

    private struct Expert: Hashable {
        let forecast: Forecast
        var factor = 1.2
        /// Trailing mean of what it asks for.
        var cost: Double?
        /// What it asked for, the newest last.
        var asked = RecentValues(capacity: 1)

        init(_ forecast: Forecast) { self.forecast = forecast }
    }

    /// Scale in only to the highest of so many decisions.
    private static let held = 5

    public init(missBudget: Double = 0.01, rate: Double = 0.02, startupSteps: Int = 3) {
        self.missBudget = missBudget
        self.rate = rate
        self.startupSteps = min(max(0, startupSteps), 240)
        for index in experts.indices {
            experts[index].asked = RecentValues(capacity: self.startupSteps + Self.held + 1)
        }
    }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        let before = smoothed
        recent.add(sample.demand)
        let mean = before.map { $0 + 0.3 * (sample.demand - $0) } ?? sample.demand
        smoothed = mean
        if let lastAt { interval = sample.at - lastAt }
        lastAt = sample.at
        memory.note(sample.demand, at: sample.at)
        let ahead = Double(startupSteps + 1)
        var best = 0
        for index in experts.indices {
            calibrate(&experts[index], sample, isFollowed: index == followed)
            let value: Double
            switch experts[index].forecast {
            case .last: value = sample.demand
            case .mean: value = mean
            case .highestOfFive: value = recent.maximum(ofLast: 5)
            case .highestOfTen: value = recent.maximum(ofLast: 10)
            case .trend: value = max(0, mean + ((before.map { mean - $0 }) ?? 0) * ahead)
            case .season:
                let horizon = (interval ?? .zero) * Int64(startupSteps + 1)
                value = mean * min(max(memory.ratio(from: sample.at, horizon: horizon) ?? 1, 1), 3)
            }
            let asked = Double(wholeInstances(value * experts[index].factor))
            experts[index].asked.add(asked)
            let old = experts[index].cost ?? asked
            experts[index].cost = old + 0.02 * (asked - old)
            if (experts[index].cost ?? 0) < (experts[best].cost ?? 0) { best = index }
        }
        followed = best
        let wanted = experts[best].asked.maximum(ofLast: Self.held)
        return DemandWish(Int(wanted), .forecast(sample.demand, by: experts[best].forecast.rawValue))
    }

    /// Judges what would serve now, had only this expert decided; the one that did decide, by what really serves.
    private func calibrate(_ expert: inout Expert, _ sample: DemandSample, isFollowed: Bool) {
        guard expert.asked.count > startupSteps else { return }
        var supply = 0.0
        for back in startupSteps..<(startupSteps + Self.held) {
            supply = max(supply, expert.asked.value(back: back) ?? 0)
        }
        let real = isFollowed ? Double(sample.ready) : supply
        let missed = sample.demand > real ? 1.0 : 0
        expert.factor = min(max(expert.factor * (1 + rate * (missed - missBudget)), 0.5), 20)
    }
}

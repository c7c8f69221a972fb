public import CloudModel

/// Watches the load of one service and says when administrators have to be told: once when a condition has lasted, and
/// again only after it was over for as long.
public struct LoadWatch: Hashable, Sendable {
    public enum Condition: String, Hashable, Sendable, CaseIterable {
        case aboveThreshold = "above-threshold"
        case belowAllocation = "below-allocation"
        case limitForecast = "limit-forecast"
    }

    public enum Tiding: Hashable, Sendable {
        /// `utilisation` in percent of what the present instances take.
        case began(Condition, utilisation: Int, forecast: Forecast?)
        case ended(Condition)
    }

    /// When the load will ask for more instances than there may be, and for how many at the end of the time looked at.
    public struct Forecast: Hashable, Sendable {
        public var reachedIn: TimeSpan
        public var instances: Int
    }

    /// Where the service is now.
    public struct Situation: Sendable {
        /// In instances, fully busy.
        public var demand: Double
        /// Instances that serve.
        public var ready: Int
        public var minimum: Int
        public var ceiling: Int
        /// The part of an instance that is meant to be used, 0 to 1.
        public var target: Double

        public init(demand: Double, ready: Int, minimum: Int, ceiling: Int, target: Double) {
            self.demand = demand
            self.ready = ready
            self.minimum = minimum
            self.ceiling = ceiling
            self.target = target
        }
    }

    private struct State: Hashable {
        /// Since when the condition has been other than what was told.
        var differsSince: Timestamp?
        var isTold = false
    }

    private var states: [Condition: State] = [:]
    private var trend = DemandTrend()

    public init() {}

    /// - Parameter now: of a clock that neither jumps nor goes back.
    public mutating func observe(_ situation: Situation, _ watch: ScalingWatch, at now: Timestamp) -> [Tiding] {
        trend.add(situation.demand, at: now)
        let utilisation = situation.ready > 0 ? situation.demand / Double(situation.ready) : 0
        let forecast = watch.limitForecast.flatMap {
            trend.forecast(reaching: Double(situation.ceiling) * situation.target, within: $0, target: situation.target)
        }
        let isSpare = situation.ready > situation.minimum
        let holds: [(Condition, Bool)] = [
            (.aboveThreshold, watch.abovePercent.map { utilisation * 100 > Double($0) } ?? false),
            (.belowAllocation, isSpare && watch.belowPercent.map { utilisation * 100 < Double($0) } ?? false),
            (.limitForecast, forecast != nil),
        ]
        return holds.compactMap { condition, isTrue in
            var state = states[condition] ?? State()
            defer { states[condition] = state }
            guard isTrue != state.isTold else {
                state.differsSince = nil
                return nil
            }
            let since = state.differsSince ?? now
            state.differsSince = since
            guard now - since >= watch.lasting else { return nil }
            state.isTold = isTrue
            state.differsSince = nil
            guard isTrue else { return .ended(condition) }
            return .began(
                condition, utilisation: Int(min(utilisation * 100, 1_000_000).rounded()),
                forecast: condition == .limitForecast ? forecast : nil)
        }
    }
}

/// A straight line through the demand of the last ten minutes, by least squares: one point for each ten seconds, their
/// highest value.
struct DemandTrend: Hashable, Sendable {
    private struct Point: Hashable {
        var slot: Int64
        var demand: Double
    }

    /// The newest last.
    private var points: [Point] = []
    private static let slot = TimeSpan.seconds(10)
    private static let capacity = 60
    /// Fewer say nothing about a direction.
    private static let fewest = 30
    /// The part of the variation that the line has to explain (coefficient of determination): noise has no trend.
    private static let leastDetermination = 0.5

    mutating func add(_ demand: Double, at now: Timestamp) {
        let slot = now.microseconds / Self.slot.microseconds
        if let last = points.last, last.slot == slot {
            points[points.count - 1].demand = max(last.demand, demand)
        } else {
            points.append(Point(slot: slot, demand: demand))
        }
        points.removeAll { slot - $0.slot >= Int64(Self.capacity) }
    }

    /// Nil where the line does not reach `level` in time, or where there is no line.
    func forecast(reaching level: Double, within time: TimeSpan, target: Double) -> LoadWatch.Forecast? {
        guard points.count >= Self.fewest, let last = points.last, target > 0 else { return nil }
        let count = Double(points.count)
        let times = points.map { Double($0.slot - last.slot) }
        let meanTime = times.reduce(0, +) / count
        let meanDemand = points.reduce(0) { $0 + $1.demand } / count
        var (timeVariance, covariance, demandVariance) = (0.0, 0.0, 0.0)
        for (time, point) in zip(times, points) {
            timeVariance += (time - meanTime) * (time - meanTime)
            covariance += (time - meanTime) * (point.demand - meanDemand)
            demandVariance += (point.demand - meanDemand) * (point.demand - meanDemand)
        }
        guard timeVariance > 0, demandVariance > 0, covariance > 0,
            covariance * covariance / (timeVariance * demandVariance) >= Self.leastDetermination
        else { return nil }
        let slope = covariance / timeVariance
        let present = meanDemand - slope * meanTime
        let slots = Double(time.microseconds) / Double(Self.slot.microseconds)
        let atEnd = present + slope * slots
        guard atEnd > level else { return nil }
        let until = max(0, (level - present) / slope)
        return LoadWatch.Forecast(
            reachedIn: .microseconds(Int64(until * Double(Self.slot.microseconds))),
            instances: wholeInstances(atEnd / target))
    }
}

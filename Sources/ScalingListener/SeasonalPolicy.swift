public import CloudModel

/// What was seen at the same time of earlier days and weeks: the mean and the highest demand of each ten minutes.
struct SeasonalMemory: Hashable, Sendable {
    private var dailyMaximum = [Float](repeating: -1, count: slotsPerDay)
    private var weeklyMaximum = [Float](repeating: -1, count: 7 * slotsPerDay)
    private var dailyMean = [Float](repeating: -1, count: slotsPerDay)
    private var slot: Int64?
    private var highest: Float = 0
    private var sum: Float = 0
    private var count: Float = 0

    private static let slotsPerDay = 144
    private static let slotMicroseconds: Int64 = 600_000_000
    /// What a new day weighs against all before.
    private static let weight: Float = 0.4

    mutating func note(_ demand: Double, at now: Timestamp) {
        let current = Self.slot(of: now)
        if let slot, slot != current {
            fold(slot)
            (highest, sum, count) = (0, 0, 0)
        }
        slot = current
        highest = max(highest, Float(demand))
        sum += Float(demand)
        count += 1
    }

    private mutating func fold(_ slot: Int64) {
        let day = Self.index(slot, Self.slotsPerDay)
        let week = Self.index(slot, 7 * Self.slotsPerDay)
        Self.blend(&dailyMaximum[day], highest)
        Self.blend(&weeklyMaximum[week], highest)
        if count > 0 { Self.blend(&dailyMean[day], sum / count) }
    }

    private static func blend(_ old: inout Float, _ new: Float) {
        old = old < 0 ? new : old + weight * (new - old)
    }

    private static func slot(of time: Timestamp) -> Int64 {
        let (whole, rest) = time.microseconds.quotientAndRemainder(dividingBy: slotMicroseconds)
        return rest < 0 ? whole - 1 : whole
    }

    private static func index(_ slot: Int64, _ length: Int) -> Int {
        let rest = Int(slot % Int64(length))
        return rest < 0 ? rest + length : rest
    }

    /// The highest demand expected from now to the end of `horizon`; of the same weekday where it is known, else of the
    /// days before. Nil before a day has been seen.
    func expectedMaximum(from now: Timestamp, horizon: TimeSpan) -> Double? {
        var most: Float = -1
        let last = Self.slot(of: now + horizon)
        var slot = Self.slot(of: now)
        while slot <= last {
            let weekly = weeklyMaximum[Self.index(slot, 7 * Self.slotsPerDay)]
            most = max(most, weekly >= 0 ? weekly : dailyMaximum[Self.index(slot, Self.slotsPerDay)])
            slot += 1
        }
        return most >= 0 ? Double(most) : nil
    }

    /// How the mean at the end of `horizon` compares with the mean now, by the days before; nil where unknown.
    func ratio(from now: Timestamp, horizon: TimeSpan) -> Double? {
        let here = dailyMean[Self.index(Self.slot(of: now), Self.slotsPerDay)]
        let there = dailyMean[Self.index(Self.slot(of: now + horizon), Self.slotsPerDay)]
        return here > 0 && there >= 0 ? Double(there / here) : nil
    }
}

/// A forecast from earlier days with a reactive floor: the larger of both, as AWS's predictive scaling, which never
/// scales in by itself. The forecast begins with the second day.
public struct SeasonalPolicy: DemandPolicy, Hashable {
    /// Utilisation to aim at now, 0 to 1.
    public var target: Double
    /// Utilisation to aim at of what is expected.
    public var forecastTarget: Double
    /// How far ahead: start-up and the time to the next decision.
    public var horizon: TimeSpan
    public var scaleInWindow: TimeSpan
    private var memory = SeasonalMemory()
    private var highest = MaximumWindow()

    public init(
        target: Double = 0.8, forecastTarget: Double = 0.9, horizon: TimeSpan = .minutes(10),
        scaleInWindow: TimeSpan = .minutes(30)
    ) {
        self.target = target
        self.forecastTarget = forecastTarget
        self.horizon = horizon
        self.scaleInWindow = scaleInWindow
    }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        memory.note(sample.demand, at: sample.at)
        let reactive = wholeInstances(sample.demand / target)
        let expected = memory.expectedMaximum(from: sample.at, horizon: horizon) ?? 0
        let ahead = wholeInstances(expected / forecastTarget)
        let wanted = max(reactive, ahead)
        highest.add(wanted, at: sample.at, length: scaleInWindow)
        if highest.maximum > wanted { return DemandWish(highest.maximum, .highestOfWindow) }
        if ahead > reactive { return DemandWish(ahead, .forecast(expected, by: "the same time of earlier days")) }
        return DemandWish(reactive, .demand(sample.demand, target: target))
    }
}

public import CloudModel

/// What every decision policy is shown: the demand in instances, and the supply.
public struct DemandSample: Hashable, Sendable {
    /// Of a clock that neither jumps nor goes back.
    public var at: Timestamp
    /// The load over what one instance takes: how many instances, fully busy, the work would fill. Not negative.
    public var demand: Double
    /// Instances that serve.
    public var ready: Int
    /// Instances that serve or have been asked to.
    public var committed: Int
    /// Of those that serve, the ones that `demand` says nothing about.
    public var unmeasured: Int

    public init(at: Timestamp, demand: Double, ready: Int, committed: Int, unmeasured: Int = 0) {
        self.at = at
        self.demand = demand.isFinite ? min(max(0, demand), Self.largest) : 0
        self.ready = max(0, ready)
        self.committed = max(0, committed)
        self.unmeasured = min(max(0, unmeasured), max(0, ready))
    }

    /// More than any cloud has; keeps the arithmetic of the policies in the range of `Int`.
    public static let largest: Double = 1_000_000
}

/// How many instances a policy wants, and what it follows from.
public struct DemandWish: Hashable, Sendable {
    public var instances: Int
    public var reason: DemandReason

    public init(_ instances: Int, _ reason: DemandReason) {
        self.instances = instances
        self.reason = reason
    }
}

/// Why a policy wants what it wants.
public enum DemandReason: Hashable, Sendable, CustomStringConvertible {
    /// The demand, and the part of an instance that is meant to be used.
    case demand(Double, target: Double)
    case withinTolerance
    /// An alarm has to hold for a while before it counts.
    case alarmPending
    case quietTime
    /// The highest wish of a window.
    case highestOfWindow
    /// The lowest wish of a window.
    case lowestOfWindow
    /// So many instances are no full ones yet.
    case warmingUp(Int)
    /// So many were asked for; a limit on the change in a period allows no more of it.
    case limited(Int)
    case panic(Double)
    case forecast(Double, by: String)
    /// The chance of waiting longer than the objective with one instance fewer.
    case waitingChance(Double)
    /// The policy that the tournament follows, with its wish.
    case follows(String, demand: Double)
    case steady

    public var description: String {
        switch self {
        case .demand(let demand, let target): "demand of \(tenths(demand)) instances at \(percent(target)) each"
        case .withinTolerance: "the demand is within the tolerance"
        case .alarmPending: "the condition has not held long enough"
        case .quietTime: "the quiet time after the last action is not over"
        case .highestOfWindow: "the highest count of the window"
        case .lowestOfWindow: "the lowest count of the window"
        case .warmingUp(let count): "no instance goes while others warm up: \(count)"
        case .limited(let wanted): "behavior limits the change; the load asks for \(wanted)"
        case .panic(let demand): "panic: demand of \(tenths(demand)) instances"
        case .forecast(let value, let name): "\(name) expects a demand of \(tenths(value)) instances"
        case .waitingChance(let chance):
            "one instance fewer would make \(percent(chance)) of the requests wait too long"
        case .follows(let name, let demand): "the tournament follows \(name) at a demand of \(tenths(demand)) instances"
        case .steady: "nothing asks for a change"
        }
    }

    private func tenths(_ value: Double) -> String {
        let whole = Int((min(value, DemandSample.largest) * 10).rounded())
        return "\(whole / 10).\(whole % 10)"
    }

    private func percent(_ value: Double) -> String { "\(Int((min(max(value, 0), 1_000) * 100).rounded())) %" }
}

/// Says how many instances a demand asks for. A value: the same samples give the same wishes in the replay, in the
/// tournament's shadow and live. Caps, holds and missing data are the caller's (`ScalingGuard` and
/// `ScalingListenerDecision`): no policy can break them.
public protocol DemandPolicy: Sendable {
    mutating func wish(_ sample: DemandSample) -> DemandWish
    /// What it wishes for has passed a `ScalingGuard` already, which knew the load's noise: only the caps are left.
    var isGuarded: Bool { get }
}

extension DemandPolicy {
    public var isGuarded: Bool { false }
}

/// The smallest whole number of instances for a demand; forgiving of rounding, so that 7 / 0.7 is 10.
@inlinable
func wholeInstances(_ value: Double) -> Int {
    let bounded = min(max(0, value), DemandSample.largest)
    return Int((bounded - 1e-9).rounded(.up))
}

/// The last values, the newest last; no more than `capacity`.
struct RecentValues: Hashable, Sendable {
    private(set) var values: [Double] = []
    private var next = 0
    let capacity: Int

    init(capacity: Int) {
        self.capacity = max(1, capacity)
        values.reserveCapacity(self.capacity)
    }

    var count: Int { values.count }

    mutating func add(_ value: Double) {
        if values.count < capacity {
            values.append(value)
        } else {
            values[next] = value
        }
        next = (next + 1) % capacity
    }

    /// The value of `back` samples ago, 0 being the newest; nil if there was none.
    func value(back: Int) -> Double? {
        guard back >= 0, back < values.count else { return nil }
        return values[(next - 1 - back + 2 * capacity) % capacity]
    }

    func maximum(ofLast length: Int) -> Double {
        var highest = 0.0
        for back in 0..<min(length, values.count) { highest = max(highest, value(back: back) ?? 0) }
        return highest
    }

    func mean(ofLast length: Int) -> Double {
        let count = min(length, values.count)
        guard count > 0 else { return 0 }
        var sum = 0.0
        for back in 0..<count { sum += value(back: back) ?? 0 }
        return sum / Double(count)
    }
}

import CloudModel

/// Follows every policy and parameter set in the shadow, on the live demand, and decides by the one that was cheapest
/// among those that met the miss budget.
///
/// - Chosen once an hour, by the last 48 hours.
/// - Another only takes over where it is at least 2 % cheaper, or where the one that decides broke the budget.
/// - Until two hours are known: `horizontal` at 50 % with a scale-in window of 15 minutes.
/// - The shadows know no maximum: what a policy is worth does not depend on where it is stopped.
public struct TournamentPolicy: DemandPolicy {
    struct Hour: Hashable {
        var steps: Int32 = 0
        var misses: Int32 = 0
        /// Committed instances, summed over the steps.
        var cost: Double = 0
    }

    struct Candidate: Sendable {
        var entry: NamedPolicy
        var supply: ShadowSupply
        var bounds: ScalingGuard
        var hours: [Hour] = [Hour()]
        var total = Hour()
        var reason = DemandReason.steady
    }

    var candidates: [Candidate]
    public private(set) var incumbent: Int
    /// How often another took over.
    public private(set) var switches = 0
    private var hour: Int64?
    private let missBudget: Double
    private let startupTime: TimeSpan
    private var isSeeded = false

    package static let hoursKept = 48
    /// Safe and reactive.
    package static let first = "horizontal 50 % window 15m"
    private static let hoursBeforeChoice = 2
    private static let advantage = 0.98

    public init(_ catalogue: PolicyCatalogue) {
        let entries = catalogue.all
        candidates = entries.map {
            Candidate(
                entry: $0, supply: ShadowSupply(ready: 1, startupTime: catalogue.startupTime), bounds: ScalingGuard())
        }
        incumbent = entries.firstIndex { $0.name == Self.first } ?? 0
        missBudget = catalogue.missBudget
        startupTime = catalogue.startupTime
    }

    /// The name of the policy that decides now.
    public var incumbentName: String { candidates[incumbent].entry.name }

    public mutating func wish(_ sample: DemandSample) -> DemandWish {
        if !isSeeded {
            isSeeded = true
            for index in candidates.indices {
                candidates[index].supply = ShadowSupply(ready: sample.committed, startupTime: startupTime)
            }
        }
        let now = sample.at.microseconds / 3_600_000_000
        if let hour, hour != now {
            choose()
            for index in candidates.indices { Self.beginHour(&candidates[index]) }
        }
        hour = now
        for index in candidates.indices { Self.step(&candidates[index], sample) }
        let chosen = candidates[incumbent]
        return DemandWish(
            chosen.supply.committed, .follows(chosen.entry.name, demand: sample.demand))
    }

    private static func beginHour(_ candidate: inout Candidate) {
        candidate.hours.append(Hour())
        guard candidate.hours.count > hoursKept else { return }
        let old = candidate.hours.removeFirst()
        candidate.total.steps -= old.steps
        candidate.total.misses -= old.misses
        candidate.total.cost -= old.cost
    }

    private static func step(_ candidate: inout Candidate, _ sample: DemandSample) {
        candidate.supply.advance(to: sample.at)
        let missed: Int32 = sample.demand > Double(candidate.supply.ready) ? 1 : 0
        let cost = Double(candidate.supply.committed)
        let last = candidate.hours.count - 1
        candidate.hours[last].steps += 1
        candidate.hours[last].misses += missed
        candidate.hours[last].cost += cost
        candidate.total.steps += 1
        candidate.total.misses += missed
        candidate.total.cost += cost
        let shadow = DemandSample(
            at: sample.at, demand: sample.demand, ready: candidate.supply.ready,
            committed: candidate.supply.committed)
        let wish = candidate.entry.policy.wish(shadow)
        candidate.supply.set(candidate.bounds.allow(wish.instances, shadow), at: sample.at)
    }

    private mutating func choose() {
        guard candidates[incumbent].hours.count >= Self.hoursBeforeChoice else { return }
        var best: Int?
        var fewest = incumbent
        for index in candidates.indices {
            let total = candidates[index].total
            if keepsBudget(total), best.map({ total.cost < candidates[$0].total.cost }) ?? true { best = index }
            let least = candidates[fewest].total
            if (total.misses, total.cost) < (least.misses, least.cost) { fewest = index }
        }
        let present = candidates[incumbent].total
        guard let best else {
            // Nobody kept the budget: the one that missed least.
            follow(fewest)
            return
        }
        guard keepsBudget(present) else { return follow(best) }
        if candidates[best].total.cost < Self.advantage * present.cost { follow(best) }
    }

    private func keepsBudget(_ total: Hour) -> Bool {
        Double(total.misses) <= missBudget * Double(total.steps)
    }

    private mutating func follow(_ index: Int) {
        guard index != incumbent else { return }
        incumbent = index
        switches += 1
    }
}

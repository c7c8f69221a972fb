import CloudModel

/// Follows every policy and parameter set in the shadow, on the live demand, and decides by the one that was cheapest
/// among those that met the miss budget.
///
/// - Chosen once an hour, by the last four days: the cheapest of those that missed no more than may be missed.
/// - What may be missed is the budget, and what is left of it: misses that were saved up in the last weeks may be
///   spent, and what was overspent is saved, over the next four days (an error budget, as in Google's "Site Reliability
///   Workbook", chapter 2). At most half as much again as the budget at a time.
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
    private let hoursBeforeChoice: Int
    private var isSeeded = false
    /// Steps and misses of what was really there, fading over about 30 days.
    private var stepsSeen = 0.0
    private var missesSeen = 0.0
    private var stepsOfHour = 0.0

    package static let hoursKept = 96
    /// Safe and reactive.
    package static let first = "horizontal 50 % window 15m"
    private static let advantage = 0.98
    /// What is left of the account after an hour: its memory is 30 days.
    private static let kept = 1 - 1.0 / 720
    /// What may be missed from now on, in budgets.
    private static let leastAtATime = 0.2
    private static let mostAtATime = 1.5

    /// - Parameters:
    ///   - first: the name of the policy that decides until there is a choice.
    ///   - minimum: fewer instances than this are never there.
    ///   - hoursBeforeChoice: how much has to be known.
    public init(
        _ catalogue: PolicyCatalogue, first: String? = nil, minimum: Int = 1, hoursBeforeChoice: Int = 2
    ) {
        let entries = catalogue.all
        candidates = entries.map {
            Candidate(
                entry: $0, supply: ShadowSupply(ready: 1, startupTime: catalogue.startupTime),
                bounds: ScalingGuard(minimum: minimum))
        }
        let name = first ?? Self.first
        incumbent = entries.firstIndex { $0.name == name } ?? 0
        self.hoursBeforeChoice = max(2, hoursBeforeChoice)
        missBudget = catalogue.missBudget
        startupTime = catalogue.startupTime
    }

    public var isGuarded: Bool { true }
    /// The name of the policy that decides now.
    public var incumbentName: String { candidates[incumbent].entry.name }

    /// What would serve, and be on its way, had the policy that decides now always decided; nil before a sample.
    var shadow: (ready: Int, committed: Int)? {
        guard isSeeded else { return nil }
        return (candidates[incumbent].supply.ready, candidates[incumbent].supply.committed)
    }

    /// Which policy decides, instead of which, and why.
    public struct Choice: Hashable, Sendable {
        public var name: String
        public var before: String
        public var reason: String
    }

    func choice(insteadOf before: String) -> Choice {
        let old = candidates.first { $0.entry.name == before }
        let new = candidates[incumbent]
        let hours = new.hours.count
        var reason = "over the last \(hours) hours it would have held \(Self.outcome(new.total))"
        if let old { reason += ", \(before) \(Self.outcome(old.total))" }
        return Choice(name: incumbentName, before: before, reason: reason)
    }

    private static func outcome(_ total: Hour) -> String {
        let steps = max(1, Double(total.steps))
        let tenths = Int((total.cost / steps * 10).rounded())
        let misses = Int((Double(total.misses) / steps * 1_000).rounded())
        return "\(tenths / 10).\(tenths % 10) instances in the mean and missed "
            + "\(misses / 10).\(misses % 10) % of the time"
    }

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
            stepsSeen *= Self.kept
            missesSeen *= Self.kept
            stepsOfHour = 0
            for index in candidates.indices { Self.beginHour(&candidates[index]) }
        }
        hour = now
        stepsOfHour += 1
        stepsSeen += 1
        if sample.demand > Double(sample.ready) { missesSeen += 1 }
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
        candidate.supply.set(
            candidate.bounds.allow(wish.instances, shadow, asking: candidate.entry.policy), at: sample.at)
    }

    private mutating func choose() {
        guard candidates[incumbent].hours.count >= hoursBeforeChoice else { return }
        let allowed = allowedMisses
        var best: Int?
        var fewest = incumbent
        for index in candidates.indices {
            let total = candidates[index].total
            if keepsBudget(total, allowed), best.map({ total.cost < candidates[$0].total.cost }) ?? true {
                best = index
            }
            let least = candidates[fewest].total
            if (total.misses, total.cost) < (least.misses, least.cost) { fewest = index }
        }
        let present = candidates[incumbent].total
        guard let best else {
            // Nobody kept the budget: the one that missed least.
            follow(fewest)
            return
        }
        guard keepsBudget(present, allowed) else { return follow(best) }
        if candidates[best].total.cost < Self.advantage * present.cost { follow(best) }
    }

    /// The part of the steps that may be missed from now on, so that the account is even in four days.
    private var allowedMisses: Double {
        let coming = max(1, stepsOfHour) * Double(Self.hoursKept)
        let even = (missBudget * (stepsSeen + coming) - missesSeen) / coming
        return min(max(even, Self.leastAtATime * missBudget), Self.mostAtATime * missBudget)
    }

    private func keepsBudget(_ total: Hour, _ allowed: Double) -> Bool {
        Double(total.misses) <= allowed * Double(total.steps)
    }

    private mutating func follow(_ index: Int) {
        guard index != incumbent else { return }
        incumbent = index
        switches += 1
    }
}

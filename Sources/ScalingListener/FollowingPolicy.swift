import CloudModel

/// A demand policy at work on a service: makes the demand from the load, lets the policy decide at its interval, and
/// holds in between. The same values decide here and in the replay.
///
/// Of the samples within an interval the one with the highest demand counts, so that a peak between two decisions
/// shows.
struct FollowingPolicy: ScalingPolicy {
    let settings: ScalingPolicySettings
    private var policy: any DemandPolicy
    private var bounds: ScalingGuard
    private var decidedAt: Timestamp?
    private var highest = 0.0
    private var last: DemandWish?
    private var evaluations: [PolicyEvaluation] = []
    /// An hour at the usual interval; older ones are forgotten.
    private static let evaluationsKept = 240

    init(_ settings: ScalingPolicySettings, target: Double) {
        self.settings = settings
        let catalogue = PolicyCatalogue(
            decisionInterval: settings.decisionInterval, startupTime: settings.startupTime,
            missBudget: Double(settings.missBudgetPerMille) / 1_000, behavior: settings.behavior,
            warmUp: settings.warmUp)
        policy = catalogue.policy(settings.kind, target: target)
        bounds = ScalingGuard()
    }

    mutating func recommend(_ observation: ScalingObservation) -> ScalingRecommendation? {
        guard let present = ConcurrencyPolicy().recommend(observation),
            let demand = observation.demand
        else { return nil }
        highest = max(highest, demand)
        let isDue = decidedAt.map { observation.at - $0 >= settings.decisionInterval } ?? true
        if isDue || last == nil {
            let sample = DemandSample(
                at: observation.at, demand: highest, ready: observation.instances - observation.starting,
                committed: observation.instances)
            let wish = policy.wish(sample)
            bounds.minimum = observation.minimum
            bounds.maximum = max(observation.minimum, observation.ceiling)
            // A wish above the ceiling is passed on: that the ceiling stops it is the caller's to say.
            let allowed =
                wish.instances > bounds.maximum ? wish.instances : bounds.allow(wish.instances, sample, asking: policy)
            last = DemandWish(allowed, wish.reason)
            keep(PolicyEvaluation(sample: sample, instances: allowed))
            decidedAt = observation.at
            highest = 0
        }
        guard let last else { return nil }
        // While requests wait that nobody can take, the load itself decides too: at once, not at the next interval. Not
        // beyond limits that were set on how fast there may be more.
        let isUrgent = present.exceedsCapacity && settings.behavior?.scaleUp == nil
        let count = isUrgent ? max(last.instances, present.instances) : last.instances
        return ScalingRecommendation(
            instances: count, hundredths: count.multipliedReportingOverflow(by: 100).partialValue,
            basis: .policy(settings.kind, last.reason), exceedsCapacity: isUrgent)
    }

    private mutating func keep(_ evaluation: PolicyEvaluation) {
        if evaluations.count == Self.evaluationsKept { evaluations.removeFirst() }
        evaluations.append(evaluation)
    }

    mutating func takeEvaluations() -> [PolicyEvaluation] {
        defer { evaluations = [] }
        return evaluations
    }
}

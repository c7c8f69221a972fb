public import CloudModel
public import ScalingListener

/// Every policy and parameter set, the tournament and a fixed supply on one history, and which to choose.
public struct ReplayComparison: Sendable {
    public var settings: ReplaySettings
    /// Single policies, the cheapest first.
    public var policies: [ReplayResult]
    public var tournament: ReplayResult
    /// As many as the mean demand needs, always.
    public var fixed: ReplayResult

    public init(_ trace: DemandTrace, _ settings: ReplaySettings, kinds: Set<ScalingPolicySettings.Kind>? = nil) {
        self.settings = settings
        let replay = Replay(settings)
        let catalogue = Self.catalogue(settings)
        let entries = catalogue.all.filter { kinds?.contains($0.kind) ?? true }
        policies = entries.map { replay.run($0, on: trace) }
            .enumerated().sorted { ($0.element.costRatio, $0.offset) < ($1.element.costRatio, $1.offset) }
            .map(\.element)
        tournament = replay.run(Self.tournament(settings), on: trace)
        let known = trace.demand.compactMap { $0 }
        let mean = known.reduce(0, +) / Double(max(1, known.count))
        fixed = replay.run(NamedPolicy("fixed", .step, FixedPolicy(Replay.needed(mean))), on: trace)
        fixed.kind = nil
    }

    public static func catalogue(_ settings: ReplaySettings) -> PolicyCatalogue {
        PolicyCatalogue(
            decisionInterval: .microseconds(Int64(settings.decisionSeconds * 1_000_000)),
            startupTime: .microseconds(Int64(settings.startupSeconds * 1_000_000)), missBudget: settings.missBudget,
            behavior: settings.behavior, warmUp: .microseconds(Int64(settings.warmUpSeconds * 1_000_000)))
    }

    public static func tournament(_ settings: ReplaySettings) -> NamedPolicy {
        NamedPolicy("tournament", .tournament, catalogue(settings).policy(.tournament))
    }

    /// The cheapest single policy that kept the budget, in hindsight; nil where none did.
    public var best: ReplayResult? { policies.first { $0.missedTime <= settings.missBudget } }

    /// What to choose: the tournament where it kept the budget and cost no more than 5 % above the best in hindsight,
    /// which knows the future and it does not; else the best; else what missed least.
    public var recommended: ReplayResult {
        let all = policies + [tournament]
        guard let best else {
            return all.min { ($0.missedTime, $0.costRatio) < ($1.missedTime, $1.costRatio) } ?? tournament
        }
        let isGood = tournament.missedTime <= settings.missBudget && tournament.costRatio <= 1.05 * best.costRatio
        return isGood ? tournament : best
    }
}

/// Always the same: what there is without a policy.
struct FixedPolicy: DemandPolicy {
    let count: Int

    init(_ count: Int) { self.count = count }

    func wish(_ sample: DemandSample) -> DemandWish { DemandWish(count, .steady) }
}

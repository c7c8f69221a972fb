public import CloudModel
public import ScalingListener

/// A history of demand at equal steps, in instances.
public struct DemandTrace: Hashable, Sendable {
    public var startsAt: Timestamp
    public var step: TimeSpan
    /// One for each step; nil where nothing is known.
    public var demand: [Double?]

    public init(startsAt: Timestamp, step: TimeSpan, demand: [Double?]) {
        self.startsAt = startsAt
        self.step = step
        self.demand = demand
    }
}

/// What a policy would have done with a history, and how well.
public struct ReplayResult: Sendable {
    public var name: String
    public var kind: ScalingPolicySettings.Kind?
    /// Steps with data.
    public var steps = 0
    /// Instances in each step, summed up: from the decision to start to the decision to stop, the warm pool included.
    public var heldSteps = 0
    /// The same in instance-hours.
    public var instanceHours = 0.0
    /// The same of one who knows the future: always the fewest that meet the demand.
    public var clairvoyantHours = 0.0
    /// Steps in which the demand exceeded the supply.
    public var missedSteps = 0
    /// The part of the work that came when there was no capacity for it, 0 to 1.
    public var missedWork = 0.0
    public var scaleOuts = 0
    public var scaleIns = 0
    public var elasticity = ElasticityMetrics()
    /// Instances that served, by step; only where asked for.
    public var supply: [Int] = []
    /// The steps at which instances were started or stopped; only where asked for.
    public var actionSteps: [Int] = []

    public init(name: String, kind: ScalingPolicySettings.Kind? = nil) {
        self.name = name
        self.kind = kind
    }

    /// Instance-hours over those of the clairvoyant.
    public var costRatio: Double { clairvoyantHours > 0 ? instanceHours / clairvoyantHours : 1 }
    /// The part of the time that was missed, 0 to 1.
    public var missedTime: Double { steps > 0 ? Double(missedSteps) / Double(steps) : 0 }
    public var actions: Int { scaleOuts + scaleIns }
}

/// Runs history through a policy: at each step those that have started serve, the demand meets the supply, and then the
/// policy decides by what it sees. A step without data is no sample: nothing is decided and nothing is counted.
public struct Replay: Sendable {
    public var settings: ReplaySettings

    public init(_ settings: ReplaySettings) { self.settings = settings }

    private var startupTime: TimeSpan { TimeSpan(microseconds: Int64(settings.startupSeconds * 1_000_000)) }

    public func run(_ entry: NamedPolicy, on trace: DemandTrace, keepSupply: Bool = false) -> ReplayResult {
        var policy = entry.policy
        var result = ReplayResult(name: entry.name, kind: entry.kind)
        var bounds = ScalingGuard(minimum: settings.minimumInstances, maximum: settings.maximumInstances)
        let first = trace.demand.lazy.compactMap { $0 }.first ?? 0
        let atStart = bounds.allow(
            Self.needed(first), DemandSample(at: trace.startsAt, demand: first, ready: 0, committed: 0))
        bounds = ScalingGuard(minimum: settings.minimumInstances, maximum: settings.maximumInstances)
        bounds.mindsNoise = settings.mindsNoise
        var supply = ShadowSupply(
            ready: atStart, startupTime: startupTime, warmPool: settings.warmPool,
            maximum: settings.maximumInstances)
        var elasticity = ElasticityAccount()
        var work = 0.0
        var missedWork = 0.0
        var now = trace.startsAt
        var neededSteps = 0
        if keepSupply { result.supply.reserveCapacity(trace.demand.count) }
        for (step, value) in trace.demand.enumerated() {
            supply.advance(to: now)
            if keepSupply { result.supply.append(supply.ready) }
            if let value {
                let sample = DemandSample(at: now, demand: value, ready: supply.ready, committed: supply.committed)
                let needed = max(settings.minimumInstances, Self.needed(sample.demand))
                result.steps += 1
                result.heldSteps += supply.held
                neededSteps += needed
                work += sample.demand
                if sample.demand > Double(supply.ready) {
                    result.missedSteps += 1
                    missedWork += sample.demand - Double(supply.ready)
                }
                elasticity.add(needed: needed, supply: supply.ready)
                let count = bounds.allow(policy.wish(sample).instances, sample, asking: policy)
                if count > supply.committed { result.scaleOuts += 1 }
                if count < supply.committed { result.scaleIns += 1 }
                if keepSupply, count != supply.committed { result.actionSteps.append(step) }
                supply.set(count, at: now)
            }
            now = now + trace.step
        }
        let hours = trace.step.inSeconds / 3_600
        result.instanceHours = Double(result.heldSteps) * hours
        result.clairvoyantHours = Double(neededSteps) * hours
        result.missedWork = work > 0 ? missedWork / work : 0
        result.elasticity = elasticity.metrics
        return result
    }

    /// The fewest instances that meet a demand.
    static func needed(_ demand: Double) -> Int {
        Int((min(max(0, demand), DemandSample.largest) - 1e-9).rounded(.up))
    }
}

/// The elasticity metrics of the SPEC Research Group (Herbst et al., "Ready for rain? A view from SPEC Research on the
/// future of cloud metrics", 2016), in percent.
public struct ElasticityMetrics: Hashable, Sendable {
    /// How much was missing and how much was too much, relative to what was needed.
    public var underProvisioning = 0.0
    public var overProvisioning = 0.0
    /// For how much of the time.
    public var underProvisionedTime = 0.0
    public var overProvisionedTime = 0.0
    /// How often supply moved while the need did not, or the other way.
    public var instability = 0.0

    public init() {}

    /// Elastic speed-up over another supply: the geometric mean of the four ratios, above 1 where this is better. Nil
    /// where one of the four is zero on either side, so that there is no ratio.
    public func speedup(over other: Self) -> Double? {
        let mine = [underProvisioning, overProvisioning, underProvisionedTime, overProvisionedTime]
        let theirs = [
            other.underProvisioning, other.overProvisioning, other.underProvisionedTime, other.overProvisionedTime,
        ]
        guard (mine + theirs).allSatisfy({ $0 > 0 }) else { return nil }
        return zip(mine, theirs).reduce(1) { $0 * ($1.1 / $1.0) }.squareRoot().squareRoot()
    }
}

/// Sums up the metrics step by step.
struct ElasticityAccount {
    private var steps = 0
    private var under = 0.0
    private var over = 0.0
    private var underSteps = 0
    private var overSteps = 0
    private var unstable = 0
    private var last: (needed: Int, supply: Int)?

    mutating func add(needed: Int, supply: Int) {
        steps += 1
        let relative = Double(abs(needed - supply)) / Double(max(1, needed))
        if needed > supply {
            under += relative
            underSteps += 1
        } else if supply > needed {
            over += relative
            overSteps += 1
        }
        if let last, (supply - last.supply).signum() != (needed - last.needed).signum() { unstable += 1 }
        last = (needed, supply)
    }

    var metrics: ElasticityMetrics {
        var metrics = ElasticityMetrics()
        guard steps > 0 else { return metrics }
        let part = 100 / Double(steps)
        metrics.underProvisioning = under * part
        metrics.overProvisioning = over * part
        metrics.underProvisionedTime = Double(underSteps) * part
        metrics.overProvisionedTime = Double(overSteps) * part
        if steps > 1 { metrics.instability = 100 * Double(unstable) / Double(steps - 1) }
        return metrics
    }
}

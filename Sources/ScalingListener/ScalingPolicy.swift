public import CloudModel

/// What a scaling policy is shown of a service.
public struct ScalingObservation: Sendable {
    /// Fresh; a policy is never shown an old one.
    public var sample: LoadSample
    /// Instances that do the work or are about to: up, starting, or decided.
    public var instances: Int
    /// Of them, those that are not up yet.
    public var starting: Int
    /// Highest and lowest number of instances for the work.
    public var ceiling: Int
    public var minimum: Int
    public var constraints: WorkloadConstraints
    public var settings: ScalingSettings
    /// The values of `settings.metrics` that are known of now, by name.
    public var metrics: [String: Int]
    /// Of a clock that neither jumps nor goes back.
    public var at: Timestamp

    public init(
        sample: LoadSample, instances: Int, starting: Int = 0, ceiling: Int = .max, minimum: Int = 1,
        constraints: WorkloadConstraints, settings: ScalingSettings, metrics: [String: Int] = [:],
        at now: Timestamp = .epoch
    ) {
        self.sample = sample
        self.instances = instances
        self.starting = starting
        self.ceiling = ceiling
        self.minimum = minimum
        self.constraints = constraints
        self.settings = settings
        self.metrics = metrics
        at = now
    }

    /// Instances, fully busy, that the load would fill: the larger of requests (in flight and queued, over what an
    /// instance takes), active consumers (over those per instance), and each metric (over its target). Nil
    /// where nothing says how much an instance takes.
    public var demand: Double? {
        var demands = settings.metrics.compactMap { metric in
            metrics[metric.name].map {
                Double(max(0, $0)) / Double(max(1, metric.targetPerInstance)) * Self.part(of: metric, settings)
            }
        }
        if let perInstance = settings.targetConcurrency ?? constraints.concurrentRequestsPerInstance, perInstance > 0 {
            demands.append(
                (Double(max(0, sample.requestsInFlight)) + Double(max(0, sample.requestsQueued)))
                    / Double(perInstance))
        }
        if let perInstance = constraints.activeConsumersPerInstance, perInstance > 0 {
            demands.append(Double(max(0, sample.activeConsumers)) / Double(perInstance))
        }
        return demands.max()
    }

    /// The target of what is measured is aimed at in full, and a policy aims at a part of the demand: at the target the
    /// demand is that part. What is reported is declared as what an instance takes at most.
    private static func part(of metric: ScalingMetric, _ settings: ScalingSettings) -> Double {
        guard metric.kind != .custom, settings.targetConcurrency == nil else { return 1 }
        return Double(min(max(settings.targetUtilisationPercent, 1), 100)) / 100
    }
}

/// How many instances a load asks for, according to a policy.
public struct ScalingRecommendation: Hashable, Sendable {
    /// What the number follows from.
    public enum Basis: Hashable, Sendable {
        /// Requests in flight and queued; each instance is meant to have `targetPercent` of `perInstance`.
        case requests(Int, perInstance: Int, targetPercent: Int)
        /// Active consumers; each instance takes `perInstance`.
        case consumers(Int, perInstance: Int)
        /// A reported metric; each instance takes `perInstance` of it.
        case metric(String, Int, perInstance: Int)
        /// A measured metric, over so many instances.
        case measured(ScalingMetric, Int, instances: Int)
        /// What a demand policy made of both.
        case policy(ScalingPolicySettings.Kind, DemandReason)
    }

    public var instances: Int
    /// The same before rounding up, in hundredths of an instance.
    public var hundredths: Int
    public var basis: Basis
    /// The load is more than the present instances may be given: some of it has to wait.
    public var exceedsCapacity: Bool

    public init(instances: Int, hundredths: Int, basis: Basis, exceedsCapacity: Bool) {
        self.instances = instances
        self.hundredths = hundredths
        self.basis = basis
        self.exceedsCapacity = exceedsCapacity
    }
}

/// Says how many instances a load asks for. When and how far the count moves is `ScalingListenerDecision`'s, the same
/// for every policy; so a policy cannot break a limit, flap, or act on missing data.
public protocol ScalingPolicy: Sendable {
    /// Nil where nothing says how much an instance takes: the count stays as it is.
    mutating func recommend(_ observation: ScalingObservation) -> ScalingRecommendation?

    /// The decisions since this was asked last, the newest last; only those of a demand policy are kept.
    mutating func takeEvaluations() -> [PolicyEvaluation]
}

extension ScalingPolicy {
    public func takeEvaluations() -> [PolicyEvaluation] { [] }
}

/// Follows concurrency: requests in flight (Knative's `concurrency` metric, with its aim at a part of the limit) and
/// active consumers. The constraint that asks for most decides (Kubernetes HPA with several metrics).
public struct ConcurrencyPolicy: ScalingPolicy, Hashable {
    public init() {}

    public func recommend(_ observation: ScalingObservation) -> ScalingRecommendation? {
        let load = [Self.byConsumers(observation), Self.byRequests(observation)]
        let all = load.compactMap { $0 } + Self.byMetrics(observation)
        guard var most = all.first else { return nil }
        for one in all.dropFirst() where one.instances > most.instances { most = one }
        most.exceedsCapacity = all.contains(where: \.exceedsCapacity)
        return most
    }

    private static func byMetrics(_ observation: ScalingObservation) -> [ScalingRecommendation] {
        observation.settings.metrics.compactMap { metric in
            guard let value = observation.metrics[metric.name], metric.targetPerInstance > 0 else { return nil }
            let hundredths = ceilingOfQuotient(max(0, value), times: 100, by: metric.targetPerInstance, times: 1)
            // A metric holds nobody back: only requests and consumers are refused or wait.
            return ScalingRecommendation(
                instances: (hundredths + 99) / 100, hundredths: hundredths,
                basis: metric.kind == .custom
                    ? .metric(metric.name, value, perInstance: metric.targetPerInstance)
                    : .measured(metric, value, instances: max(1, observation.instances - observation.starting)),
                exceedsCapacity: false)
        }
    }

    private static func byRequests(_ observation: ScalingObservation) -> ScalingRecommendation? {
        let limit = observation.constraints.concurrentRequestsPerInstance
        let settings = observation.settings
        // An explicit target is aimed at in full; a limit is aimed at in part, so that there is room while more start.
        let perInstance = settings.targetConcurrency ?? limit
        guard let perInstance, perInstance > 0 else { return nil }
        let percent = settings.targetConcurrency == nil ? min(max(settings.targetUtilisationPercent, 1), 100) : 100
        let requests = max(0, observation.sample.requestsInFlight) + max(0, observation.sample.requestsQueued)
        let hundredths = ceilingOfQuotient(requests, times: 10_000, by: perInstance, times: percent)
        return ScalingRecommendation(
            instances: (hundredths + 99) / 100, hundredths: hundredths,
            basis: .requests(requests, perInstance: perInstance, targetPercent: percent),
            exceedsCapacity: limit.map { exceeds(requests, instances: observation.instances, perInstance: $0) } ?? false
        )
    }

    private static func byConsumers(_ observation: ScalingObservation) -> ScalingRecommendation? {
        guard let perInstance = observation.constraints.activeConsumersPerInstance, perInstance > 0 else { return nil }
        let consumers = max(0, observation.sample.activeConsumers)
        let hundredths = ceilingOfQuotient(consumers, times: 100, by: perInstance, times: 1)
        return ScalingRecommendation(
            instances: (hundredths + 99) / 100, hundredths: hundredths,
            basis: .consumers(consumers, perInstance: perInstance),
            exceedsCapacity: exceeds(consumers, instances: observation.instances, perInstance: perInstance))
    }

    /// Saturates: a load that overflows asks for more than any maximum allows anyway.
    private static func ceilingOfQuotient(_ count: Int, times factor: Int, by divisor: Int, times other: Int) -> Int {
        let (dividend, overflow) = count.multipliedReportingOverflow(by: factor)
        let (whole, wholeOverflow) = divisor.multipliedReportingOverflow(by: other)
        if wholeOverflow { return count > 0 ? 1 : 0 }
        let limit = Int.max / 4
        return overflow ? limit : min(limit, dividend / whole + (dividend % whole == 0 ? 0 : 1))
    }

    private static func exceeds(_ load: Int, instances: Int, perInstance: Int) -> Bool {
        let (capacity, overflow) = max(0, instances).multipliedReportingOverflow(by: perInstance)
        return !overflow && load > capacity
    }
}

extension ScalingRecommendation {
    /// The count is what was learned; while requests wait that nobody can take, not below what the load asks for.
    mutating func follow(_ learned: DemandWish) {
        instances = exceedsCapacity ? max(learned.instances, instances) : learned.instances
        hundredths = instances.multipliedReportingOverflow(by: 100).partialValue
        basis = .policy(.tournament, learned.reason)
    }
}

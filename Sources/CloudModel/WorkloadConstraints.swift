/// The limits of a service's workload, which the automated scaling listener enforces. Nil means no limit.
public struct WorkloadConstraints: Codable, Hashable, Sendable {
    /// At least this many instances run (standbys not counted).
    public var minimumInstances: Int
    /// Hard: live + starting + stopping + failed-not-yet-removed instances never exceed it.
    public var maximumInstances: Int
    /// Requests in flight that one instance takes at once.
    public var concurrentRequestsPerInstance: Int?
    /// Consumers that one instance serves at once. A consumer is active while it has a request in flight and for
    /// `consumerHold` after its last.
    public var activeConsumersPerInstance: Int?
    public var consumerHold: TimeSpan
    /// Requests in flight of one consumer.
    public var concurrentRequestsPerConsumer: Int?
    /// Requests per second of one consumer, sustained.
    public var requestsPerSecondPerConsumer: Int?
    /// Requests that one consumer may make at once beyond the rate (token bucket depth); at least 1.
    public var burstPerConsumer: Int?
    /// Admitted requests that may wait for a free or starting instance. The consumers take turns; where more come, the
    /// newest of the consumer with the most there is answered with 503.
    public var queueLength: Int
    /// How long an admitted request waits for an instance before it is answered with 503.
    public var queueTimeout: TimeSpan
    /// The longest wait that a consumer may ask for with `Prefer: wait=N` when a limit is reached.
    public var maximumWait: TimeSpan

    public init(
        minimumInstances: Int = 1, maximumInstances: Int = 1, concurrentRequestsPerInstance: Int? = nil,
        activeConsumersPerInstance: Int? = nil, consumerHold: TimeSpan = .zero,
        concurrentRequestsPerConsumer: Int? = nil, requestsPerSecondPerConsumer: Int? = nil,
        burstPerConsumer: Int? = nil, queueLength: Int = 1_000, queueTimeout: TimeSpan = .seconds(15),
        maximumWait: TimeSpan = .minutes(5)
    ) {
        self.minimumInstances = minimumInstances
        self.maximumInstances = maximumInstances
        self.concurrentRequestsPerInstance = concurrentRequestsPerInstance
        self.activeConsumersPerInstance = activeConsumersPerInstance
        self.consumerHold = consumerHold
        self.concurrentRequestsPerConsumer = concurrentRequestsPerConsumer
        self.requestsPerSecondPerConsumer = requestsPerSecondPerConsumer
        self.burstPerConsumer = burstPerConsumer
        self.queueLength = queueLength
        self.queueTimeout = queueTimeout
        self.maximumWait = maximumWait
    }
}

/// The kind of a workload constraint, as configured, shown and changed.
public enum ConstraintKind: String, Codable, Hashable, Sendable, CaseIterable {
    case maximumInstances = "maximum-instances"
    case concurrentRequestsPerInstance = "concurrent-requests-per-instance"
    case activeConsumersPerInstance = "active-consumers-per-instance"
    case concurrentRequestsPerConsumer = "concurrent-requests-per-consumer"
    case requestsPerSecondPerConsumer = "requests-per-second-per-consumer"
}

extension WorkloadConstraints {
    /// The value of one constraint; nil where it is not set. Setting nil to `maximumInstances` is ignored.
    public subscript(kind: ConstraintKind) -> Int? {
        get {
            switch kind {
            case .maximumInstances: maximumInstances
            case .concurrentRequestsPerInstance: concurrentRequestsPerInstance
            case .activeConsumersPerInstance: activeConsumersPerInstance
            case .concurrentRequestsPerConsumer: concurrentRequestsPerConsumer
            case .requestsPerSecondPerConsumer: requestsPerSecondPerConsumer
            }
        }
        set {
            switch kind {
            case .maximumInstances: if let newValue { maximumInstances = newValue }
            case .concurrentRequestsPerInstance: concurrentRequestsPerInstance = newValue
            case .activeConsumersPerInstance: activeConsumersPerInstance = newValue
            case .concurrentRequestsPerConsumer: concurrentRequestsPerConsumer = newValue
            case .requestsPerSecondPerConsumer: requestsPerSecondPerConsumer = newValue
            }
        }
    }
}

/// How the scaling listener follows the load: concurrency-based, with cooldown and stabilisation.
public struct ScalingSettings: Codable, Hashable, Sendable {
    /// The part of an instance's capacity to aim at (Knative aims at 70 % of the concurrency limit), in percent.
    /// Consumers per instance are always aimed at in full: a consumer is not divisible.
    public var targetUtilisationPercent: Int
    /// Requests in flight per instance to aim at where no constraint gives a capacity; nil: the count stays.
    public var targetConcurrency: Int?
    /// No second scale-out within this time, unless requests wait for an instance.
    public var scaleOutCooldown: TimeSpan
    /// Scale in only to the highest count wanted in this window (Kubernetes HPA: 300 s).
    public var scaleInStabilisation: TimeSpan
    /// How far the wanted count may be off before anything is done, in percent (Kubernetes HPA: 10).
    public var tolerancePercent: Int
    /// How the demand is turned into a count; nil: each sample by itself, at the target utilisation.
    public var policy: ScalingPolicySettings?
    public var vertical: VerticalScaling
    /// Nil: every scale-out starts its instances.
    public var warmPool: WarmPool?
    /// Whether it is learned from the load which policy is best, where none is named.
    public var learns: Bool
    /// Metrics that are followed besides the constraints.
    public var metrics: [ScalingMetric]
    /// The highest minimum that applies counts; `maximumInstances` stays the cap.
    public var schedules: [ScalingSchedule]
    /// Whom and what to tell before a limit refuses consumers.
    public var watch: ScalingWatch?
    /// Decisions are recorded and not carried out.
    public var isDryRun: Bool

    public init(
        targetUtilisationPercent: Int = 70, targetConcurrency: Int? = nil, scaleOutCooldown: TimeSpan = .seconds(3),
        scaleInStabilisation: TimeSpan = .seconds(300), tolerancePercent: Int = 10,
        policy: ScalingPolicySettings? = nil, learns: Bool = true, metrics: [ScalingMetric] = [],
        schedules: [ScalingSchedule] = [], watch: ScalingWatch? = nil, warmPool: WarmPool? = nil,
        vertical: VerticalScaling = .demand, isDryRun: Bool = false
    ) {
        self.targetUtilisationPercent = targetUtilisationPercent
        self.targetConcurrency = targetConcurrency
        self.scaleOutCooldown = scaleOutCooldown
        self.scaleInStabilisation = scaleInStabilisation
        self.tolerancePercent = tolerancePercent
        self.policy = policy
        self.learns = learns
        self.metrics = metrics
        self.schedules = schedules
        self.watch = watch
        self.warmPool = warmPool
        self.vertical = vertical
        self.isDryRun = isDryRun
    }
}

extension ScalingSettings {
    /// Settings that were stored by a version without the later fields have their defaults.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            targetUtilisationPercent: try container.decode(Int.self, forKey: .targetUtilisationPercent),
            targetConcurrency: try container.decodeIfPresent(Int.self, forKey: .targetConcurrency),
            scaleOutCooldown: try container.decode(TimeSpan.self, forKey: .scaleOutCooldown),
            scaleInStabilisation: try container.decode(TimeSpan.self, forKey: .scaleInStabilisation),
            tolerancePercent: try container.decode(Int.self, forKey: .tolerancePercent),
            policy: try container.decodeIfPresent(ScalingPolicySettings.self, forKey: .policy),
            learns: try container.decodeIfPresent(Bool.self, forKey: .learns) ?? true,
            metrics: try container.decodeIfPresent([ScalingMetric].self, forKey: .metrics) ?? [],
            schedules: try container.decodeIfPresent([ScalingSchedule].self, forKey: .schedules) ?? [],
            watch: try container.decodeIfPresent(ScalingWatch.self, forKey: .watch),
            warmPool: try container.decodeIfPresent(WarmPool.self, forKey: .warmPool),
            vertical: try container.decodeIfPresent(VerticalScaling.self, forKey: .vertical) ?? .demand,
            isDryRun: try container.decodeIfPresent(Bool.self, forKey: .isDryRun) ?? false)
    }
}

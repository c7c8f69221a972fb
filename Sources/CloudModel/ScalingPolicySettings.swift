/// Which decision policy a service's scaling follows, and what the policy has to know of the service.
public struct ScalingPolicySettings: Codable, Hashable, Sendable {
    /// The policies; docs/autoscaling.md compares them on measured workloads.
    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        /// Kubernetes' HorizontalPodAutoscaler v2.
        case horizontal
        /// AWS target tracking with its two alarms.
        case targetTracking = "target-tracking"
        /// CloudStack's and AWS's steps with duration and quiet time.
        case step
        /// Knative's stable and panic windows.
        case panicWindow = "panic-window"
        /// React (Chieu et al. 2009).
        case react
        /// Reg (Iqbal et al. 2011).
        case regression
        /// Hist (Urgaonkar et al. 2008).
        case histogram
        /// A forecast from earlier days with a reactive floor.
        case seasonal
        /// Erlang's waiting probability.
        case queueing
        /// Forecasts, each with a margin that is calibrated to the miss budget.
        case experts
        /// All of these in the shadow; the cheapest that met the miss budget decides.
        case tournament
    }

    public var kind: Kind
    /// How often the policy decides (Kubernetes HPA: 15 s). Within the interval the highest sample counts.
    public var decisionInterval: TimeSpan
    /// From the decision to an instance that serves.
    public var startupTime: TimeSpan
    /// The part of the time in which demand may exceed supply, in thousandths. Experts and tournament aim at it.
    public var missBudgetPerMille: Int
    /// How long an instance that serves is no full one yet. Target tracking follows it (AWS: 300 s).
    public var warmUp: TimeSpan
    /// How fast the count may move. Only `horizontal` follows it.
    public var behavior: ScalingBehavior?

    /// AWS's default instance warm-up where none is set: its default cooldown.
    public static let usualWarmUp = TimeSpan.seconds(300)

    public init(
        kind: Kind, decisionInterval: TimeSpan = .seconds(15), startupTime: TimeSpan = .seconds(30),
        missBudgetPerMille: Int = 10, warmUp: TimeSpan = usualWarmUp, behavior: ScalingBehavior? = nil
    ) {
        self.kind = kind
        self.decisionInterval = decisionInterval
        self.startupTime = startupTime
        self.missBudgetPerMille = missBudgetPerMille
        self.warmUp = warmUp
        self.behavior = behavior
    }

    /// As it was stored before there were `warmUp` and `behavior`, too.
    public init(from decoder: any Decoder) throws {
        let values = try decoder.container(keyedBy: CodingKeys.self)
        kind = try values.decode(Kind.self, forKey: .kind)
        decisionInterval = try values.decode(TimeSpan.self, forKey: .decisionInterval)
        startupTime = try values.decode(TimeSpan.self, forKey: .startupTime)
        missBudgetPerMille = try values.decode(Int.self, forKey: .missBudgetPerMille)
        warmUp = try values.decodeIfPresent(TimeSpan.self, forKey: .warmUp) ?? Self.usualWarmUp
        behavior = try values.decodeIfPresent(ScalingBehavior.self, forKey: .behavior)
    }
}

public import CloudModel

/// Under which circumstances history is replayed.
public struct ReplaySettings: Hashable, Sendable {
    /// Seconds between two decisions.
    public var decisionSeconds: Double
    /// Seconds from a decision to an instance that serves.
    public var startupSeconds: Double
    /// The part of the time in which demand may exceed supply, 0 to 1.
    public var missBudget: Double
    /// The hard cap.
    public var maximumInstances: Int
    /// Never fewer.
    public var minimumInstances: Int
    /// Instances that wait, started, for a scale-out, and are paid for.
    public var warmPool: Int
    /// How fast `horizontal` may move; nil: as usual, with several windows.
    public var behavior: ScalingBehavior?
    /// From when an instance serves to when target tracking counts it, in seconds.
    public var warmUpSeconds: Double
    /// Whether the scaling guard looks at the load's noise; false to show what that is for.
    package var mindsNoise = true

    public init(
        decisionSeconds: Double = 60, startupSeconds: Double = 180, missBudget: Double = 0.01,
        maximumInstances: Int = 10_000, minimumInstances: Int = 1, warmPool: Int = 0, behavior: ScalingBehavior? = nil,
        warmUpSeconds: Double = ScalingPolicySettings.usualWarmUp.inSeconds
    ) {
        self.decisionSeconds = decisionSeconds
        self.startupSeconds = startupSeconds
        self.missBudget = missBudget
        self.maximumInstances = maximumInstances
        self.minimumInstances = minimumInstances
        self.warmPool = warmPool
        self.behavior = behavior
        self.warmUpSeconds = warmUpSeconds
    }

    /// Steps from a decision to an instance that serves.
    public var startupSteps: Int { max(0, Int((startupSeconds / decisionSeconds).rounded(.up))) }
}

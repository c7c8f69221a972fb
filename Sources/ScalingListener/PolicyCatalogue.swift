public import CloudModel

/// A policy with its parameters, under a name that says both.
public struct NamedPolicy: Sendable {
    public let name: String
    public let kind: ScalingPolicySettings.Kind
    public var policy: any DemandPolicy

    public init(_ name: String, _ kind: ScalingPolicySettings.Kind, _ policy: any DemandPolicy) {
        self.name = name
        self.kind = kind
        self.policy = policy
    }
}

/// The policies and parameter sets that replay and tournament compare.
public struct PolicyCatalogue: Hashable, Sendable {
    public var decisionInterval: TimeSpan
    public var startupTime: TimeSpan
    /// Part of the time in which the demand may exceed the supply.
    public var missBudget: Double
    /// How fast `horizontal` may move; nil: as usual, with several windows.
    public var behavior: ScalingBehavior?
    /// From when an instance serves to when target tracking counts it.
    public var warmUp: TimeSpan

    public init(
        decisionInterval: TimeSpan, startupTime: TimeSpan, missBudget: Double, behavior: ScalingBehavior? = nil,
        warmUp: TimeSpan = ScalingPolicySettings.usualWarmUp
    ) {
        self.behavior = behavior
        self.warmUp = warmUp
        self.decisionInterval = max(decisionInterval, .microseconds(1))
        self.startupTime = startupTime
        self.missBudget = missBudget
    }

    private var startupSteps: Int {
        Int((startupTime.inSeconds / decisionInterval.inSeconds).rounded(.up))
    }

    /// Every policy with every parameter set; the same order always.
    public var all: [NamedPolicy] { horizontals + classics + windows + learners }

    private var horizontals: [NamedPolicy] {
        var list: [NamedPolicy] = []
        for (window, text) in scaleInWindows {
            for percent in [20, 30, 40, 50, 60, 70, 80, 90] {
                let policy = HorizontalPolicy(
                    target: Double(percent) / 100, scaleInWindow: window, behavior: behavior ?? ScalingBehavior())
                list.append(NamedPolicy("horizontal \(percent) % \(text)", .horizontal, policy))
            }
        }
        return list
    }

    /// A behaviour with rules for scaling in has a window already.
    private var scaleInWindows: [(TimeSpan?, String)] {
        if let behavior, behavior.scaleDown != nil { return [(nil, behavior.text)] }
        let rest = behavior.map { $0.text.isEmpty ? "" : " " + $0.text } ?? ""
        let windows: [(TimeSpan, String)] = [
            (.minutes(5), "5m"), (.minutes(15), "15m"), (.hours(1), "1h"), (.hours(12), "12h"),
        ]
        return windows.map { ($0, "window \($1)\(rest)") }
    }

    private var classics: [NamedPolicy] {
        var list: [NamedPolicy] = []
        for percent in [50, 60, 70, 80] {
            let part = Double(percent) / 100
            list.append(
                NamedPolicy(
                    "target-tracking \(percent) %", .targetTracking,
                    TargetTrackingPolicy(target: part, warmUp: warmUp)))
            list.append(
                NamedPolicy("step \(percent) %", .step, StepPolicy(upper: part, lower: part * 4 / 7)))
        }
        for tenths in [12, 15, 20] {
            list.append(
                NamedPolicy("react \(tenths / 10).\(tenths % 10)", .react, ReactPolicy(surplus: Double(tenths) / 10)))
            list.append(
                NamedPolicy(
                    "regression \(tenths / 10).\(tenths % 10)", .regression,
                    RegressionPolicy(scaleOutFactor: Double(tenths) / 10 * 0.875, scaleInFactor: Double(tenths) / 10)))
        }
        return list
    }

    private var windows: [NamedPolicy] {
        var list: [NamedPolicy] = []
        for (window, text) in [(TimeSpan.seconds(60), "1m"), (.minutes(10), "10m")] {
            for percent in [50, 70, 85] {
                list.append(
                    NamedPolicy(
                        "panic-window \(percent) % window \(text)", .panicWindow,
                        PanicWindowPolicy(target: Double(percent) / 100, stableWindow: window)))
            }
        }
        for percent in [90, 95, 99] {
            list.append(
                NamedPolicy(
                    "histogram p\(percent)", .histogram, HistogramPolicy(percentile: Double(percent) / 100)))
        }
        for percent in [1, 5, 20] {
            list.append(
                NamedPolicy(
                    "queueing \(percent) % late", .queueing, QueueingPolicy(latePart: Double(percent) / 100)))
        }
        return list
    }

    private var learners: [NamedPolicy] {
        var list: [NamedPolicy] = []
        for (target, ahead) in [(60, 80), (70, 80), (80, 90), (90, 100), (70, 60)] {
            list.append(
                NamedPolicy(
                    "seasonal \(target) %, forecast \(ahead) %", .seasonal,
                    SeasonalPolicy(
                        target: Double(target) / 100, forecastTarget: Double(ahead) / 100,
                        horizon: startupTime + decisionInterval + .minutes(5))))
        }
        for (thousandths, text) in [(20, "0.02"), (50, "0.05"), (100, "0.1")] {
            for (part, budget) in [(1.0, "budget"), (0.5, "half budget"), (0.25, "quarter budget")] {
                list.append(
                    NamedPolicy(
                        "experts \(budget) rate \(text)", .experts,
                        ExpertsPolicy(
                            missBudget: missBudget * part, rate: Double(thousandths) / 1_000,
                            startupSteps: startupSteps)))
            }
        }
        return list
    }

    /// The policy of a kind with its documented defaults, aiming at `target` where the kind has one.
    public func policy(_ kind: ScalingPolicySettings.Kind, target: Double = 0.7) -> any DemandPolicy {
        switch kind {
        case .horizontal: HorizontalPolicy(target: target, behavior: behavior ?? ScalingBehavior())
        case .targetTracking: TargetTrackingPolicy(target: target, warmUp: warmUp)
        case .step: StepPolicy(upper: target, lower: target * 4 / 7)
        case .panicWindow: PanicWindowPolicy(target: target)
        case .react: ReactPolicy()
        case .regression: RegressionPolicy()
        case .histogram: HistogramPolicy()
        case .seasonal: SeasonalPolicy(target: target, horizon: startupTime + decisionInterval + .minutes(5))
        case .queueing: QueueingPolicy()
        case .experts: ExpertsPolicy(missBudget: missBudget, startupSteps: startupSteps)
        case .tournament: TournamentPolicy(unlimited)
        }
    }

    /// The limits are those of `horizontal` alone.
    private var unlimited: Self {
        var catalogue = self
        catalogue.behavior = nil
        return catalogue
    }
}

public import CloudModel

/// The automated scaling listener's decision for one service: when, and how far, the number of instances follows what a
/// policy recommends.
///
/// - Out at once when requests wait and the instances cannot take them; otherwise after `scaleOutCooldown`, and only
///   beyond the tolerance (Kubernetes HPA).
/// - In only to the highest recommendation of the whole stabilisation window (Kubernetes HPA), never while instances
///   are starting (AWS target tracking), and never so far that the load would soon ask for more again (Azure
///   autoscale's projection).
/// - A missing or old sample, or a missing metric, never scales in; a gap in the samples begins the window anew.
/// - Never above the ceiling or below the minimum.
public struct ScalingListenerDecision: Sendable {
    private var policy: any ScalingPolicy
    /// What `policy` was made from, where the settings name one.
    private var followed: Followed?
    private var lastScaleOutAt: Timestamp?
    private var observedSince: Timestamp?
    private var lastObservedAt: Timestamp?
    private var window = MaximumWindow()

    /// A sample older than this says nothing about now: samples come once a second, and a few may be lost.
    public static let sampleValidity = TimeSpan.seconds(5)

    private struct Followed: Hashable {
        var settings: ScalingPolicySettings
        var target: Double
    }

    public init(policy: any ScalingPolicy = ConcurrencyPolicy()) { self.policy = policy }

    /// Where the service is now.
    public struct Situation: Sendable {
        /// Instances that do the work or are about to: up, starting, or decided.
        public var instances: Int
        /// Of them, those that are not up yet.
        public var starting: Int
        /// Highest and lowest number of instances for the work (standbys are not among them).
        public var ceiling: Int
        public var minimum: Int
        /// The metrics of the settings that are known of now.
        public var metrics: [String: Int]
        /// What was learned from the load, where the settings name no policy (`LearnedScaling`).
        public var learned: DemandWish?

        public init(
            instances: Int, starting: Int, ceiling: Int, minimum: Int, metrics: [String: Int] = [:]
        ) {
            self.instances = instances
            self.starting = starting
            self.ceiling = ceiling
            self.minimum = minimum
            self.metrics = metrics
        }
    }

    /// - Parameters:
    ///   - sample: the newest; nil where there is none, or where it is older than `sampleValidity`.
    ///   - now: of a clock that neither jumps nor goes back.
    public mutating func decide(
        _ sample: LoadSample?, _ situation: Situation, constraints: WorkloadConstraints, settings: ScalingSettings,
        at now: Timestamp
    ) -> ScalingDecision {
        guard let sample else { return .hold(.noData) }
        follow(settings)
        let observation = ScalingObservation(
            sample: sample, instances: situation.instances, starting: situation.starting, ceiling: situation.ceiling,
            minimum: situation.minimum, constraints: constraints, settings: settings,
            metrics: situation.metrics, at: now)
        guard var wish = policy.recommend(observation) else { return .hold(.nothingToFollow) }
        if let learned = situation.learned, settings.policy == nil { wish.follow(learned) }
        observe(wish.instances, at: now, settings)
        let wanted = max(wish.instances, situation.minimum)
        if sample.requestsQueued > 0 && wish.exceedsCapacity {
            return scaleOut(
                to: max(wanted, situation.instances + 1), situation, at: now,
                .requestsWait(queued: sample.requestsQueued, wish.basis))
        }
        if wanted > situation.instances {
            return scaleOutCalmly(to: wanted, wish, situation, settings, at: now)
        }
        return scaleIn(wish, situation, settings, at: now)
    }

    /// What the policy was shown since the last decision that was recorded, so that all of it is on record.
    public mutating func takeEvaluations() -> [PolicyEvaluation] { policy.takeEvaluations() }

    /// A policy keeps what it has learned until the settings name another, or other parameters.
    private mutating func follow(_ settings: ScalingSettings) {
        // An explicit target is aimed at in full.
        let percent = settings.targetConcurrency == nil ? min(max(settings.targetUtilisationPercent, 1), 100) : 100
        let wanted = settings.policy.map { Followed(settings: $0, target: Double(percent) / 100) }
        guard wanted != followed else { return }
        followed = wanted
        policy = wanted.map { FollowingPolicy($0.settings, target: $0.target) } ?? ConcurrencyPolicy()
        observedSince = nil
    }

    private mutating func observe(_ wanted: Int, at now: Timestamp, _ settings: ScalingSettings) {
        if let last = lastObservedAt, now - last > Self.sampleValidity { observedSince = nil }
        if observedSince == nil {
            observedSince = now
            window = MaximumWindow()
        }
        lastObservedAt = now
        window.add(wanted, at: now, length: settings.scaleInStabilisation)
    }

    private mutating func scaleOutCalmly(
        to wanted: Int, _ wish: ScalingRecommendation, _ situation: Situation, _ settings: ScalingSettings,
        at now: Timestamp
    ) -> ScalingDecision {
        if wish.basis.isDivisible, situation.instances >= situation.minimum {
            let tolerated = situation.instances * (100 + max(0, settings.tolerancePercent))
            if wish.hundredths <= tolerated {
                return .hold(.withinTolerance(percent: settings.tolerancePercent))
            }
        }
        if let last = lastScaleOutAt, now - last < settings.scaleOutCooldown {
            return .hold(.cooldown(until: last + settings.scaleOutCooldown))
        }
        let isScheduled = wish.instances < situation.minimum
        return scaleOut(
            to: wanted, situation, at: now, isScheduled ? .atMinimum(wanted) : .loadAsksFor(wanted, wish.basis))
    }

    private mutating func scaleOut(
        to wanted: Int, _ situation: Situation, at now: Timestamp, _ reason: ScalingReason
    ) -> ScalingDecision {
        let allowed = min(wanted, situation.ceiling)
        guard allowed > situation.instances else { return .hold(.atCeiling(situation.ceiling, wanted: wanted)) }
        lastScaleOutAt = now
        return .scaleOut(to: allowed, reason)
    }

    private func scaleIn(
        _ wish: ScalingRecommendation, _ situation: Situation, _ settings: ScalingSettings, at now: Timestamp
    ) -> ScalingDecision {
        let count = situation.instances
        guard max(wish.instances, situation.minimum) < count else { return .hold(.fits(count)) }
        guard situation.starting == 0 else { return .hold(.instancesStarting(situation.starting)) }
        if let missing = settings.metrics.first(where: { situation.metrics[$0.name] == nil }) {
            return .hold(.metricMissing(missing.name))
        }
        let highest = window.maximum
        guard let since = observedSince, now - since >= settings.scaleInStabilisation else {
            return .hold(.stabilising(highest: max(highest, count)))
        }
        var fewest = max(highest, situation.minimum)
        // A divisible load is left some room below the target, so that a small rise does not ask for more at once.
        if wish.basis.isDivisible {
            let room = 100 - min(max(0, settings.tolerancePercent), 50)
            let withRoom = (wish.hundredths + room - 1) / room
            if withRoom >= count && fewest < count { return .hold(.wouldFlap(fewest: count)) }
            fewest = max(fewest, withRoom)
        }
        guard fewest < count else { return .hold(.stabilising(highest: highest)) }
        return .scaleIn(to: fewest, .loadAsksFor(fewest, wish.basis))
    }
}

extension ScalingRecommendation.Basis {
    /// A little more or less of it means nothing, unlike a whole consumer or what an operator counts.
    fileprivate var isDivisible: Bool {
        switch self {
        case .requests, .measured: true
        case .consumers, .metric, .policy: false
        }
    }
}

/// The highest of the values of the last while, by a monotonic queue: amortised constant time, and no more entries than
/// the window has seconds: of the values of one second the highest stands for all.
struct MaximumWindow: Hashable, Sendable {
    private struct Entry: Hashable {
        var at: Timestamp
        var value: Int

        var second: Int64 { Self.second(of: at) }
        static func second(of time: Timestamp) -> Int64 { time.microseconds / 1_000_000 }
    }

    /// Falling in value.
    private var entries: [Entry] = []
    private var first = 0

    var maximum: Int { first < entries.count ? entries[first].value : 0 }

    mutating func add(_ value: Int, at now: Timestamp, length: TimeSpan) {
        while entries.count > first, let last = entries.last, last.value <= value { entries.removeLast() }
        if entries.count == first || entries[entries.count - 1].second < Entry.second(of: now) {
            entries.append(Entry(at: now, value: value))
        }
        while entries.count - first > 1, now - entries[first].at > length { first += 1 }
        if first > 64 && first * 2 > entries.count {
            entries.removeFirst(first)
            first = 0
        }
    }
}

import CloudModel

/// What one step works with: the time, the randomness, and the effects so far.
struct StepContext: Sendable {
    /// As given, for records.
    var now = Timestamp.epoch
    /// For deadlines and spans.
    var clock = SteadyClock()
    var random = SeededGenerator(seed: 0)
    var deadlines = DeadlineQueue()
    private(set) var writes: [Effect] = []
    private(set) var actions: [Effect] = []

    /// Minutes of history that may still be gone through: so many a second, so that a restart with many services does
    /// not keep the controller from its work.
    private var replayCredit = 2_000
    private var replayedAt: Timestamp?
    private static let minutesASecond: Int64 = 2_000

    /// Of one sample's step.
    private static let minutesAStep = 500

    var minutesToReplay: Int { min(replayCredit, Self.minutesAStep) }

    mutating func replayed(_ minutes: Int) {
        let passed = replayedAt.map { max(.zero, steady - $0) } ?? .zero
        replayedAt = steady
        let earned = min(passed.microseconds, 1_000_000) * Self.minutesASecond / 1_000_000
        replayCredit = min(Int(Self.minutesASecond), replayCredit - minutes + Int(earned))
    }

    var steady: Timestamp { clock.now }

    mutating func write(_ effect: Effect) { writes.append(effect) }
    mutating func act(_ effect: Effect) { actions.append(effect) }

    mutating func record(
        _ kind: String, service: ServiceID?, instance: InstanceID? = nil, consumer: ConsumerID? = nil,
        actor: String = "control-plane", step: TimelineStep? = nil, _ summary: String, _ details: [String: String] = [:]
    ) {
        writes.append(
            .record(
                PlatformEvent(
                    at: now, kind: kind, service: service, instance: instance, consumer: consumer, actor: actor,
                    step: step, summary: summary, details: details)))
    }

    /// Takes those of the actions out that are not the runtime's to run as they are.
    mutating func takeActions(_ isTaken: [Bool]) -> [Effect] {
        let all = zip(actions, isTaken)
        actions = all.filter { !$0.1 }.map(\.0)
        return all.filter(\.1).map(\.0)
    }

    /// The effects of the step in the order in which they must take place: writes, then the switch of the load
    /// balancer, so that no request is sent to an instance that is about to be stopped, then the other actions.
    mutating func takeEffects(publishing snapshot: DataPlaneSnapshot?) -> [Effect] {
        var effects: [Effect] = []
        swap(&effects, &writes)
        if let snapshot { effects.append(.publish(snapshot)) }
        effects.append(contentsOf: actions)
        actions.removeAll(keepingCapacity: true)
        return effects
    }

    /// Between `least` percent and all of the time.
    mutating func jittered(_ span: TimeSpan, least percent: Int64 = 90) -> TimeSpan {
        let whole = max(0, span.microseconds)
        let floor = whole / 100 * percent
        return TimeSpan(microseconds: floor + Int64.random(in: 0...(whole - floor), using: &random))
    }
}

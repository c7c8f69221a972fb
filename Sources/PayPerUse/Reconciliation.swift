public import CloudModel

/// Holds the figures of both agents against each other, instance by instance.
///
/// In three steps, so that millions of requests need little memory. `takeHour` is given sums by the hour, in any order;
/// `questions` then names the stretches in which an instance was at work while no event says that it ran; and
/// `instances` tells what does not fit, once `answer` has said what the single requests in these stretches were.
public struct Reconciliation: Sendable {
    public let window: BillingWindow
    /// Requests that lie no farther than this from an instance's life are a matter of clocks.
    public static let clockAllowance = TimeSpan.seconds(2)
    /// More of them are not asked for; what is left is in doubt as a whole.
    public static let maximumQuestions = 20_000

    let reconstruction: UsageReconstruction
    let lastHeartbeats: [InstanceID: Timestamp]
    let lives: [InstanceKey: [UsageInterval]]
    private let owners: [ServiceID: ConsumerID]
    private let unwatched: Set<ServiceID>
    private var sums: [InstanceKey: MonitoredUsage] = [:]
    private var asked: Set<Question> = []
    private var answers: [InstanceKey: [InstanceActivity]] = [:]
    /// Beyond the most that are asked: the difference that stands for them, over the whole stretch.
    private var unasked: [InstanceKey: UsageDifference] = [:]

    /// What one instance did in a stretch that no event covers.
    public struct Question: Hashable, Comparable, Sendable {
        public var service: ServiceID
        public var instance: InstanceID
        public var window: BillingWindow

        public static func < (left: Self, right: Self) -> Bool {
            (left.service, left.instance, left.window) < (right.service, right.instance, right.window)
        }
    }

    struct InstanceKey: Hashable, Comparable {
        var service: ServiceID
        var instance: InstanceID

        static func < (left: Self, right: Self) -> Bool {
            (left.service, left.instance) < (right.service, right.instance)
        }
    }

    /// - Parameters:
    ///   - owners: who rents which service: who pays for an instance of which there are requests alone.
    ///   - unwatched: services whose instances no resource agent watches. One that was watched once still has a life.
    public init(
        _ reconstruction: UsageReconstruction, lastHeartbeats: [InstanceID: Timestamp], window: BillingWindow,
        owners: [ServiceID: ConsumerID], unwatched: Set<ServiceID>
    ) {
        self.unwatched = unwatched
        self.reconstruction = reconstruction
        self.lastHeartbeats = lastHeartbeats
        self.window = window
        self.owners = owners
        var lives: [InstanceKey: [UsageInterval]] = [:]
        for interval in reconstruction.intervals {
            lives[InstanceKey(service: interval.service, instance: interval.instance), default: []].append(interval)
        }
        self.lives = lives.mapValues { $0.sorted { $0.start < $1.start } }
    }

    /// One instance's sums of the hour that begins at `periodStart`, or of the part of it in the window.
    public mutating func takeHour(_ usage: MonitoredUsage) {
        guard let instance = usage.instance, usage.requests > 0 else { return }
        let key = InstanceKey(service: usage.service, instance: instance)
        var sum =
            sums[key]
            ?? MonitoredUsage(
                service: usage.service, instance: instance, periodStart: nil, requests: 0, busyMicroseconds: 0)
        sum.requests = sum.requests.addingClamped(usage.requests)
        sum.answered = sum.answered.addingClamped(usage.answered)
        sum.aborted = sum.aborted.addingClamped(usage.aborted)
        sum.busyMicroseconds = sum.busyMicroseconds.addingClamped(usage.busyMicroseconds)
        sums[key] = sum
        guard isWatched(key) else { return }
        let start = usage.periodStart ?? window.start
        let hour = usage.periodStart == nil ? window.end : start + .hours(1)
        guard let part = window.intersection(start, hour) else { return }
        for gap in Self.gaps(in: part, of: lives[key] ?? []) {
            if asked.count < Self.maximumQuestions {
                asked.insert(Question(service: key.service, instance: key.instance, window: gap))
            } else {
                leaveUnasked(key, gap, requests: usage.requests)
            }
        }
    }

    private func isWatched(_ key: InstanceKey) -> Bool { lives[key] != nil || !unwatched.contains(key.service) }

    private mutating func leaveUnasked(_ key: InstanceKey, _ gap: BillingWindow, requests: Int64) {
        var difference =
            unasked[key]
            ?? UsageDifference(
                service: key.service, instance: key.instance, cause: .outsideLifetime, window: gap, count: 0)
        difference.window = BillingWindow(
            start: min(difference.window.start, gap.start), end: max(difference.window.end, gap.end))
        difference.count = difference.count.addingClamped(requests)
        difference.microseconds += gap.microseconds
        unasked[key] = difference
    }

    /// Stretches of `window` that no interval covers.
    static func gaps(in window: BillingWindow, of intervals: [UsageInterval]) -> [BillingWindow] {
        var gaps: [BillingWindow] = []
        var begin = window.start
        for interval in intervals where interval.end > begin && interval.start < window.end {
            if interval.start > begin { gaps.append(BillingWindow(start: begin, end: interval.start)) }
            begin = max(begin, interval.end)
        }
        if begin < window.end { gaps.append(BillingWindow(start: begin, end: window.end)) }
        return gaps
    }

    public var questions: [Question] { asked.sorted() }

    /// What the requests were that were completed in a question's stretch; nothing where there were none.
    public mutating func answer(_ activity: InstanceActivity) {
        guard activity.requests > 0 else { return }
        answers[InstanceKey(service: activity.service, instance: activity.instance), default: []].append(activity)
    }

    /// Instances that were seen running in the window and of which there is no event: their starts and stops were lost,
    /// and which service they are of is not in the books.
    public var unknownInstances: [InstanceID] {
        let known = Set(lives.keys.map(\.instance)).union(reconstruction.anomalies.map(\.instance))
        return lastHeartbeats.filter { instance, at in
            window.start <= at && at < window.end && !known.contains(instance)
        }.keys.sorted()
    }

    /// Every instance that one of the agents knows of in the window, by service and instance.
    public func instances() -> [ReconciledInstance] {
        let inWindow = lives.filter { $0.value.contains { $0.end > window.start && $0.start < window.end } }
        let doubts = Dictionary(grouping: reconstruction.anomalies.compactMap(difference)) { difference in
            InstanceKey(service: difference.service, instance: difference.instance ?? "")
        }
        let keys = Set(inWindow.keys).union(sums.keys).union(doubts.keys)
        let served = Set(sums.keys.map(\.service))
        return keys.sorted().map { key in
            let life = lives[key] ?? []
            let sum = sums[key]
            let running = life.reduce(Int128(0)) { total, interval in
                let part = window.intersection(interval.start, interval.end)
                return total + (interval.isSuspended ? 0 : part?.microseconds ?? 0)
            }
            var differences = (doubts[key] ?? []) + outside(key, life)
            if let unasked = unasked[key] { differences.append(unasked) }
            if let silent = seenOutside(key, life) { differences.append(silent) }
            func note(_ cause: UsageDifference.Cause, _ count: Int64) {
                differences.append(
                    UsageDifference(
                        service: key.service, instance: key.instance, cause: cause, window: window, count: count))
            }
            if let sum, sum.aborted > 0 { note(.abortedStream, sum.aborted) }
            if let sum, !isWatched(key) { note(.unwatched, sum.requests) }
            if sum == nil, running > 0, served.contains(key.service) { note(.bypass, 0) }
            return ReconciledInstance(
                owner: life.last?.owner ?? owners[key.service], service: key.service, instance: key.instance,
                runningMicroseconds: running, requests: sum?.requests ?? 0,
                busyMicroseconds: sum?.busyMicroseconds ?? 0,
                differences: differences.sorted { ($0.window, $0.cause.rawValue) < ($1.window, $1.cause.rawValue) })
        }
    }

    /// What the resource agent's events leave in doubt by themselves, as far as it lies in the window.
    private func difference(of anomaly: UsageAnomaly) -> UsageDifference? {
        let key = InstanceKey(service: anomaly.service, instance: anomaly.instance)
        let run = (lives[key] ?? []).filter { $0.incarnation == anomaly.incarnation }
        let found: (cause: UsageDifference.Cause, from: Timestamp, until: Timestamp, sign: Int128)
        switch anomaly.kind {
        case .lostStart: found = (.missingStart, anomaly.at, anomaly.at, 0)
        case .lostStop:
            // Between the last sign of life and the end that was concluded it may have stopped at any time.
            let begin = run.first?.start ?? anomaly.at
            // A heartbeat beyond that end is of a later incarnation.
            let alive = lastHeartbeats[anomaly.instance].flatMap { begin <= $0 && $0 < anomaly.at ? $0 : nil } ?? begin
            found = (.missingStop, alive, anomaly.at, -1)
        case .corrected: found = (.lateRecord, anomaly.at, anomaly.at, 0)
        case .outsideOfLife: found = (.misplacedEvent, anomaly.at, anomaly.at, 0)
        case .contradiction:
            // Of two starts, and of two stops, the earlier counts: a later start would be less, a later stop more.
            let end = run.last?.end ?? anomaly.at
            let isStop = anomaly.at >= end
            found = (.duplicate, isStop ? end : run.first?.start ?? anomaly.at, anomaly.at, isStop ? 1 : -1)
        }
        let start = max(window.start, min(found.from, found.until))
        let end = min(window.end, max(found.from, found.until))
        guard start <= end, start < window.end else { return nil }
        let doubtful = BillingWindow(start: start, end: end)
        return UsageDifference(
            service: anomaly.service, instance: anomaly.instance, cause: found.cause, window: doubtful,
            microseconds: found.sign * doubtful.microseconds,
            minorUnits: anomaly.kind == .lostStart ? nil : 0)
    }

    /// A sign of life after the last life that is known: the events of a later one were lost.
    private func seenOutside(_ key: InstanceKey, _ life: [UsageInterval]) -> UsageDifference? {
        guard let seen = lastHeartbeats[key.instance], window.start <= seen, seen < window.end, let last = life.last,
            seen > last.end + Self.clockAllowance
        else { return nil }
        return UsageDifference(
            service: key.service, instance: key.instance, cause: .missingStart,
            window: BillingWindow(start: max(window.start, last.end), end: seen), minorUnits: nil)
    }

    /// What the gateway saw an instance do while no event says that it ran.
    private func outside(_ key: InstanceKey, _ life: [UsageInterval]) -> [UsageDifference] {
        let activities = (answers[key] ?? []).sorted { ($0.firstAt, $0.lastAt) < ($1.firstAt, $1.lastAt) }
        return activities.compactMap { activity in
            let seen = BillingWindow(start: activity.firstAt, end: max(activity.lastAt, activity.firstAt))
            let parts = Self.gaps(in: seen, of: life)
            let missing = parts.reduce(Int128(0)) { $0 + $1.microseconds }
            guard missing > 0 else { return nil }
            let near = parts.allSatisfy { part in
                life.contains { interval in
                    (part.start == interval.end && part.end - interval.end <= Self.clockAllowance)
                        || (part.end == interval.start && interval.start - part.start <= Self.clockAllowance)
                }
            }
            return UsageDifference(
                service: key.service, instance: key.instance, cause: near ? .clockSkew : .outsideLifetime,
                window: seen, count: activity.requests, microseconds: missing)
        }
    }
}

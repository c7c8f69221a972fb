import CloudModel

/// Makes intervals of one incarnation's events.
struct RunReconstruction {
    let key: RunKey
    private(set) var intervals: [UsageInterval] = []
    private(set) var anomalies: [UsageAnomaly] = []
    /// Each fact once, by time; at the same time in the order in which they make sense.
    private let facts: [LifecycleEvent]

    init(key: RunKey, events: [LifecycleEvent]) {
        self.key = key
        facts = Set(events).sorted(by: Self.comesBefore)
    }

    /// A total order, so that the result does not depend on the order in which the events came.
    private static func comesBefore(_ left: LifecycleEvent, _ right: LifecycleEvent) -> Bool {
        if left.at != right.at { return left.at < right.at }
        if left.kind != right.kind { return rank(left.kind) < rank(right.kind) }
        if left.inferred != right.inferred { return right.inferred }
        let leftOwner = left.owner?.rawValue ?? ""
        let rightOwner = right.owner?.rawValue ?? ""
        if leftOwner != rightOwner { return leftOwner < rightOwner }
        let leftHeld = (left.resources.cpuMillicores ?? -1, left.resources.memory?.bytes ?? -1)
        let rightHeld = (right.resources.cpuMillicores ?? -1, right.resources.memory?.bytes ?? -1)
        return leftHeld < rightHeld
    }

    private static func rank(_ kind: LifecycleEvent.Kind) -> Int {
        switch kind {
        case .start: 0
        case .resume: 1
        case .resize: 2
        case .suspend: 3
        case .stop: 4
        }
    }

    mutating func reconstruct(lastHeartbeat: Timestamp?, lease: TimeSpan, nextStart: Timestamp?, now: Timestamp) {
        guard let first = begin() else { return }
        let (end, ending) = end(
            after: first, lastHeartbeat: lastHeartbeat, lease: lease, nextStart: nextStart, now: now)
        var current = UsageInterval(
            service: key.service, instance: key.instance, incarnation: key.incarnation, owner: first.owner,
            resources: first.resources, isSuspended: first.kind == .suspend, start: first.at, end: end, ending: ending)
        for event in facts where event != first && event.kind != .start && event.kind != .stop {
            guard event.at >= first.at, event.at < end else {
                // What lies in the future is early, not wrong.
                if event.at <= now { report(.outsideOfLife, at: event.at) }
                continue
            }
            var next = current
            switch event.kind {
            case .resize: next.resources = event.resources
            case .suspend: next.isSuspended = true
            case .resume: next.isSuspended = false
            case .start, .stop: continue
            }
            next.start = event.at
            guard next.resources != current.resources || next.isSuspended != current.isSuspended else { continue }
            current.end = event.at
            current.ending = .changed
            append(current)
            current = next
            (current.end, current.ending) = (end, ending)
        }
        append(current)
    }

    /// The event that use is counted from; nil where there is nothing to count from.
    private mutating func begin() -> LifecycleEvent? {
        let starts = facts.filter { $0.kind == .start }
        // A start that was seen beats one that was concluded.
        let seen = starts.first { !$0.inferred }
        if let start = seen ?? starts.first {
            for other in starts where other != start && other.inferred == start.inferred {
                report(.contradiction, at: other.at)
            }
            return start
        }
        // A stop alone says nothing of how long: nothing is charged for it.
        let first = facts.first { $0.kind != .stop }
        if let found = first ?? facts.first { report(.lostStart, at: found.at) }
        return first
    }

    private mutating func end(
        after first: LifecycleEvent, lastHeartbeat: Timestamp?, lease: TimeSpan, nextStart: Timestamp?, now: Timestamp
    ) -> (Timestamp, UsageInterval.Ending) {
        let stops = facts.filter { $0.kind == .stop }
        let concluded = stops.first { $0.inferred }
        if let stop = stops.first(where: { !$0.inferred }) {
            for other in stops where !other.inferred && other != stop { report(.contradiction, at: other.at) }
            if concluded != nil { report(.corrected, at: stop.at) }
            if stop.at < first.at { report(.outsideOfLife, at: stop.at) }
            return stop.at > now ? (max(now, first.at), .open) : (max(stop.at, first.at), .stopped)
        }
        // A heartbeat is of the instance, whichever incarnation it was: the next one's start bounds it.
        let events = facts.last { $0.kind != .stop && $0.at <= now }?.at ?? first.at
        let seen = max(events, lastHeartbeat ?? events)
        var bound = seen + lease
        if let concluded { bound = min(bound, concluded.at) }
        if let nextStart { bound = min(bound, nextStart) }
        bound = max(bound, first.at)
        if bound > now { return (max(now, first.at), .open) }
        report(.lostStop, at: bound)
        return (bound, .inferred)
    }

    private mutating func append(_ interval: UsageInterval) {
        if interval.end > interval.start { intervals.append(interval) }
    }

    private mutating func report(_ kind: UsageAnomaly.Kind, at: Timestamp) {
        anomalies.append(
            UsageAnomaly(
                service: key.service, instance: key.instance, incarnation: key.incarnation, kind: kind, at: at))
    }
}

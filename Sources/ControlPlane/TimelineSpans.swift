public import CloudModel

/// Makes spans of the event log: a run of a mechanism (scaling, a failover, a migration) is a trace of its own, with
/// its steps as children, and so is an operation, with links to the runs that it brought about. Ids are derived from
/// the run's and the operation's names, so that the same log gives the same traces.
package struct TimelineSpans: Sendable {
    /// A run that is still going on.
    private struct Run: Sendable {
        var root: TraceSpan
        var steps: [TraceSpan]
        var lastAt: Timestamp
    }

    /// What an operation may have brought about.
    private struct Mark: Sendable {
        var incident: String
        var service: ServiceID?
        var instance: InstanceID?
        var at: Timestamp
    }

    /// Runs of which spans are gathered at a time, and runs that are remembered for links.
    package static let mostRuns = 128
    private static let mostSteps = 64
    private static let longestText = 256
    /// A run without a further step for so long is taken to be over.
    private static let quiet = TimeSpan.seconds(30)

    private var runs: [String: Run] = [:]
    private var marks: [Mark] = []

    package init() {}

    /// The spans that are complete with this event.
    package mutating func take(_ event: PlatformEvent) -> [TraceSpan] {
        guard let step = event.step, Self.isTraced(step.mechanism) else { return expired(at: event.at) }
        var done = expired(at: event.at)
        add(event, step)
        if Self.isLast(step) || runs[step.incident]?.steps.count == Self.mostSteps {
            done += finished(step.incident)
        } else if runs.count > Self.mostRuns {
            let oldest = runs.min { ($0.value.lastAt, $0.key) < ($1.value.lastAt, $1.key) }
            if let oldest { done += finished(oldest.key) }
        }
        return done
    }

    /// The span of an operation that has ended.
    package func span(of operation: Operation) -> TraceSpan? {
        guard let end = operation.endedAt else { return nil }
        let name = "operation/\(operation.id)"
        var span = TraceSpan(
            trace: TraceID(derivedFrom: name), id: SpanID(derivedFrom: name), name: operation.kind,
            start: operation.startedAt, end: end, failure: operation.failure.map(Self.cut))
        span.add("cloudwright.operation.id", operation.id.rawValue)
        span.add("cloudwright.actor", operation.actor)
        span.add("cloudwright.service", operation.service?.rawValue ?? "")
        span.add("cloudwright.instance", operation.instance?.rawValue ?? "")
        span.add("cloudwright.host", operation.host?.rawValue ?? "")
        if operation.failure != nil { span.add("error.type", "operation-failed") }
        for mark in marks where mark.at >= operation.startedAt && mark.at <= end {
            // A host's operation moves whatever is on it.
            let isOfIt = operation.instance.map { $0 == mark.instance } ?? true
            guard isOfIt, operation.service == nil || operation.service == mark.service else { continue }
            span.links.append(
                TraceSpan.Link(
                    trace: TraceID(derivedFrom: mark.incident), span: SpanID(derivedFrom: mark.incident),
                    relation: "effect"))
        }
        return span
    }

    /// What is not complete, at the end.
    package mutating func takeRest() -> [TraceSpan] { runs.keys.sorted().flatMap { finished($0) } }

    /// An instance's life lasts for months, and requests have traces of their own.
    private static func isTraced(_ mechanism: Mechanism) -> Bool {
        switch mechanism {
        case .automatedScalingListener, .failoverActiveActive, .failoverActivePassive, .liveMigration: true
        case .payPerUseResourceAgent, .payPerUseMonitoringAgent, .auditMonitor: false
        }
    }

    /// After which nothing follows; scaling may go on when the limit is raised.
    private static func isLast(_ step: TimelineStep) -> Bool {
        switch step.mechanism {
        case .failoverActivePassive: step.number == "4"
        case .failoverActiveActive, .liveMigration: step.number == "5"
        default: false
        }
    }

    private mutating func add(_ event: PlatformEvent, _ step: TimelineStep) {
        let trace = TraceID(derivedFrom: step.incident)
        var run =
            runs[step.incident]
            ?? Run(root: root(of: event, step), steps: [], lastAt: event.at)
        if runs[step.incident] == nil { remember(event, step) }
        // A step lasts from the one before it: the time that it took to get there.
        var span = TraceSpan(
            trace: trace, id: SpanID(derivedFrom: "\(step.incident)#\(event.position)"), parent: run.root.id,
            name: event.kind, start: min(run.lastAt, event.at), end: event.at)
        span.add("cloudwright.step", step.number)
        span.add("cloudwright.summary", Self.cut(event.summary))
        span.add("cloudwright.actor", event.actor)
        span.add("cloudwright.instance", event.instance?.rawValue ?? "")
        span.add("cloudwright.consumer", event.consumer?.rawValue ?? "")
        for (key, value) in event.details.sorted(by: { $0.key < $1.key }).prefix(16) {
            span.add("cloudwright.\(key)", Self.cut(value))
        }
        run.steps.append(span)
        run.lastAt = max(run.lastAt, event.at)
        run.root.end = run.lastAt
        runs[step.incident] = run
    }

    private func root(of event: PlatformEvent, _ step: TimelineStep) -> TraceSpan {
        var root = TraceSpan(
            trace: TraceID(derivedFrom: step.incident), id: SpanID(derivedFrom: step.incident),
            name: step.mechanism.rawValue, start: event.at, end: event.at)
        root.add("cloudwright.incident", step.incident)
        root.add("cloudwright.service", event.service?.rawValue ?? "")
        root.add("cloudwright.instance", event.instance?.rawValue ?? "")
        return root
    }

    private mutating func remember(_ event: PlatformEvent, _ step: TimelineStep) {
        guard !marks.contains(where: { $0.incident == step.incident }) else { return }
        if marks.count == Self.mostRuns { marks.removeFirst() }
        marks.append(Mark(incident: step.incident, service: event.service, instance: event.instance, at: event.at))
    }

    private mutating func finished(_ incident: String) -> [TraceSpan] {
        guard let run = runs.removeValue(forKey: incident) else { return [] }
        return [run.root] + run.steps
    }

    package mutating func expired(at now: Timestamp) -> [TraceSpan] {
        let over = runs.filter { $0.value.lastAt + Self.quiet <= now }.keys.sorted()
        return over.flatMap { finished($0) }
    }

    private static func cut(_ text: String) -> String { String(text.prefix(longestText)) }
}

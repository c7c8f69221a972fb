import AdministrationAPI
import CloudModel
import CloudPorts

/// Puts what the log database has together as runs of the mechanisms, step by step. Pure.
enum Timelines {
    /// The runs among the events, each with its steps in the order of the log; by their first step.
    static func runs(of events: [PlatformEvent]) -> [API.Timeline] {
        var order: [String] = []
        var steps: [String: [PlatformEvent]] = [:]
        for event in events {
            guard let step = event.step else { continue }
            if steps[step.incident] == nil { order.append(step.incident) }
            steps[step.incident, default: []].append(event)
        }
        return order.compactMap { steps[$0].flatMap(run) }
    }

    private static func run(of events: [PlatformEvent]) -> API.Timeline? {
        guard let first = events.first, let step = first.step else { return nil }
        let begin = events.map(\.at).min() ?? first.at
        return API.Timeline(
            mechanism: .init(step.mechanism), incident: step.incident,
            service: events.lazy.compactMap(\.service).first?.rawValue,
            instance: events.lazy.compactMap(\.instance).first?.rawValue,
            consumer: events.lazy.compactMap(\.consumer).first?.rawValue, startedAt: Moment(begin),
            steps: events.map { event in
                API.TimelineStep(
                    number: event.step?.number ?? "", at: Moment(event.at), summary: event.summary,
                    sinceStartMicroseconds: (event.at - begin).microseconds)
            })
    }

    /// The monitoring agent's run: the request, its interception, forwarding and storing side by side, the answer.
    static func run(of stored: StoredUsageRecord) -> API.Timeline {
        let record = stored.record
        let forwarded: String
        if let instance = record.instance, record.forwardedAt != nil {
            forwarded = "It was forwarded to \(instance)"
        } else {
            forwarded = "It was not forwarded: \(API.RequestOutcome(record.outcome).rawValue)"
        }
        return timeline(
            .payPerUseMonitoringAgent, record.requestID, service: record.service, instance: record.instance,
            consumer: record.consumer, begin: record.receivedAt,
            steps: [
                ("1", record.receivedAt, "\(record.consumer) sent a request to \(record.service)"),
                ("2", record.receivedAt, "The pay-per-use monitor intercepted it"),
                ("3a", record.forwardedAt, forwarded),
                (
                    "3b", stored.storedAt,
                    "Usage was stored: \(record.bytesIn) bytes in, \(record.bytesOut) bytes out, "
                        + "busy \(record.busyTime.microseconds) us"
                ),
                ("4", record.completedAt, "The response went back with status \(record.status)"),
            ])
    }

    /// The audit monitor's run. `answeredAt` is when the consumer had the whole answer, as the usage record says.
    static func run(of stored: StoredAuditEvent, answeredAt: Timestamp?) -> API.Timeline {
        let event = stored.event
        let who = event.principal.isEmpty ? "Somebody" : event.principal
        return timeline(
            .auditMonitor, event.requestID, service: event.service, instance: nil, consumer: event.consumer,
            begin: event.receivedAt,
            steps: [
                ("1", event.receivedAt, "\(who) sent a login request from \(event.sourceAddress)"),
                ("2", event.receivedAt, "The audit monitor intercepted it"),
                (
                    "3", event.forwardedAt,
                    event.forwardedAt == nil
                        ? "It was not forwarded" : "It was forwarded to the authentication service"
                ),
                ("4", event.respondedAt, "The response was intercepted: \(event.outcome.rawValue), \(event.reason)"),
                ("5", stored.storedAt, "The event was stored (\(event.credentialKind.rawValue))"),
                ("6", answeredAt, "The consumer was answered with status \(event.status)"),
            ])
    }

    private static func timeline(
        _ mechanism: API.Mechanism, _ request: RequestID, service: ServiceID, instance: InstanceID?,
        consumer: ConsumerID?, begin: Timestamp, steps: [(number: String, at: Timestamp?, summary: String)]
    ) -> API.Timeline {
        API.Timeline(
            mechanism: mechanism, incident: request.description, service: service.rawValue,
            instance: instance?.rawValue, consumer: consumer?.rawValue, startedAt: Moment(begin),
            steps: steps.map { step in
                API.TimelineStep(
                    number: step.number, at: step.at.map(Moment.init), summary: step.summary,
                    sinceStartMicroseconds: step.at.map { ($0 - begin).microseconds })
            })
    }
}

extension Handlers {
    /// How far back runs are looked for.
    private static let maximumEvents = 2_000

    func listTimelines(_ call: Call) async throws -> Reply {
        let asked = call.query.text("mechanism").flatMap(Mechanism.init)
        var runs: [API.Timeline] = []
        for mechanism in Mechanism.allCases where asked == nil || mechanism == asked {
            switch mechanism {
            case .automatedScalingListener, .payPerUseResourceAgent, .failoverActiveActive, .failoverActivePassive,
                .liveMigration:
                runs += try await recordedRuns(of: mechanism, call)
            case .payPerUseMonitoringAgent: runs += try await monitoredRuns(call)
            case .auditMonitor: runs += try await auditedRuns(call)
            }
        }
        let (items, next) = try RouteTable.timelineList.part(of: runs, call.query)
        return .json(API.Page(items: items, nextCursor: next))
    }

    private func last(_ call: Call) -> Int { Int(call.query.integer("last") ?? 5) }

    private func recordedRuns(of mechanism: Mechanism, _ call: Call) async throws -> [API.Timeline] {
        var query = EventQuery()
        query.mechanism = mechanism
        query.service = call.query.identifier("service")
        query.incident = call.query.text("incident")
        query.limit = Self.maximumEvents
        query.newest = true
        let found = try await database.events(query).elements
        let runs = Timelines.runs(of: found).suffix(last(call))
        guard found.count == Self.maximumEvents, query.incident == nil else { return Array(runs) }
        // The oldest of them may have begun before what was read.
        var whole: [API.Timeline] = []
        for run in runs {
            query.incident = run.incident
            whole += Timelines.runs(of: try await database.events(query).elements)
        }
        return whole
    }

    private func monitoredRuns(_ call: Call) async throws -> [API.Timeline] {
        if let incident = call.query.text("incident") {
            guard let id = RequestID(incident), let record = try await database.usageRecord(id) else { return [] }
            return [Timelines.run(of: record)]
        }
        var query = UsageQuery()
        query.service = call.query.identifier("service")
        return try await database.usageRecords(query, limit: last(call)).reversed().map(Timelines.run)
    }

    /// The platform's own logins are not forwarded to anybody; they are shown where they are asked for by name.
    private func auditedRuns(_ call: Call) async throws -> [API.Timeline] {
        var query = AuditQuery()
        query.service = call.query.identifier("service")
        query.limit = API.maximumPageSize
        query.newest = true
        let incident = call.query.text("incident")
        let events = try await database.auditEvents(query).elements.filter { stored in
            if let incident { return stored.event.requestID.description == incident }
            return query.service != nil || stored.event.service != Authenticator.service
        }
        var runs: [API.Timeline] = []
        for stored in events.suffix(last(call)) {
            let answeredAt = try await database.usageRecord(stored.event.requestID)?.record.completedAt
            runs.append(Timelines.run(of: stored, answeredAt: answeredAt))
        }
        return runs
    }
}

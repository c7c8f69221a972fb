import AdministrationAPI
import CloudModel
import CloudPorts
import ScalingListener
import ScalingReplay

extension RouteTable {
    static let scaling: [Route] = [
        Route(
            name: "replayScaling", method: .get, path: "/api/v1/services/{service}/scaling/replay", right: .read,
            summary: "Replays a service's own history through every scaling policy and names the best.",
            query: period + [
                QueryParameter(
                    "stepSeconds", .integer(5...86_400),
                    "The time between two decisions; if not given as configured, or longer for a long history."),
                QueryParameter(
                    "startupSeconds", .integer(0...86_400),
                    "From a decision to an instance that serves; as configured if not given."),
                QueryParameter(
                    "missBudgetPerMille", .integer(1...500),
                    "The part of the time that may be missed; as configured if not given."),
                QueryParameter(
                    "requestsPerInstance", .integer(1...1_000_000),
                    "What one instance takes at once; as the constraints say if not given."),
            ],
            answer: .json(API.ScalingReplay.self, "What each would have cost and missed.")
        ) { try await $0.replayScaling($1) }
    ]
}

/// What is asked for, with what the service's configuration says where nothing is.
private struct ReplayRequest {
    var service: CloudService
    var from: Timestamp
    var until: Timestamp
    /// Nil: what fits the history.
    var step: TimeSpan?
    var startup: TimeSpan
    var missBudget: Double
    var capacity: ServiceDemand.Capacity

    /// Decisions in one replay: a week of minutes.
    static let maximumSteps: Int64 = 10_080
    private static let usualSteps: Int64 = 1_440
    private static let usualTime = TimeSpan.hours(24)

    init(_ service: CloudService, _ query: QueryValues, now: Timestamp) throws(API.Problem) {
        let policy = service.scaling.policy ?? ScalingPolicySettings(kind: .tournament)
        self.service = service
        until = min(query.time("until") ?? now, now)
        from = query.time("from") ?? (until - Self.usualTime)
        step = query.integer("stepSeconds").map { .seconds($0) }
        startup = query.integer("startupSeconds").map { .seconds($0) } ?? policy.startupTime
        missBudget = Double(query.integer("missBudgetPerMille") ?? Int64(policy.missBudgetPerMille)) / 1_000
        capacity = ServiceDemand.Capacity(
            requests: query.integer("requestsPerInstance").map { Int($0) } ?? service.scaling.targetConcurrency
                ?? service.constraints.concurrentRequestsPerInstance,
            consumers: service.constraints.activeConsumersPerInstance)
        guard from < until else {
            throw .invalid("'from' must be before 'until', and both in the past.")
        }
    }

    /// For a history that begins at `first`.
    func chosenStep(from first: Timestamp) throws(API.Problem) -> TimeSpan {
        let span = until - first
        let policy = service.scaling.policy ?? ScalingPolicySettings(kind: .tournament)
        let fitting = TimeSpan.seconds((span.microseconds / Self.usualSteps + 999_999) / 1_000_000)
        let chosen = step ?? max(policy.decisionInterval, fitting, .seconds(1))
        guard span.microseconds / chosen.microseconds < Self.maximumSteps else {
            throw .invalid(
                "That is \(span.microseconds / chosen.microseconds) steps, and \(Self.maximumSteps) is the most; give "
                    + "longer steps or less time.")
        }
        return chosen
    }

    func settings(_ step: TimeSpan) -> ReplaySettings {
        ReplaySettings(
            decisionSeconds: step.inSeconds, startupSeconds: startup.inSeconds, missBudget: missBudget,
            maximumInstances: service.constraints.maximumInstances,
            minimumInstances: service.constraints.minimumInstances,
            warmPool: service.scaling.warmPool?.instances ?? 0)
    }

    /// The policy that the service has, as far as history alone tells what it would have done.
    func configured(_ settings: ReplaySettings) -> NamedPolicy {
        let scaling = service.scaling
        let target = scaling.targetConcurrency == nil ? Double(scaling.targetUtilisationPercent) / 100 : 1
        if let kind = scaling.policy?.kind {
            return NamedPolicy(
                kind.rawValue, kind, ReplayComparison.catalogue(settings).policy(kind, target: target))
        }
        guard !scaling.learns else { return ReplayComparison.tournament(settings) }
        return NamedPolicy(
            "concurrency \(Int(target * 100)) %", .horizontal,
            HorizontalPolicy(
                target: target, tolerance: Double(scaling.tolerancePercent) / 100,
                scaleInWindow: scaling.scaleInStabilisation))
    }
}

extension Handlers {
    /// Requests that are read for one replay.
    private static let maximumReplayed = 200_000

    func replayScaling(_ call: Call) async throws -> Reply {
        let request = try ReplayRequest(try await service(call), call.query, now: now())
        // One at a time: it reads many records and then computes for a moment.
        return .json(try await replayLane.run { try await replay(request) })
    }

    private func replay(_ request: ReplayRequest) async throws -> API.ScalingReplay {
        var query = UsageQuery()
        query.service = request.service.id
        (query.from, query.until) = (request.from, request.until)
        let first = try await database.usageRecords(query, after: nil, limit: 1).first?.record
        let start = max(request.from, min(first?.receivedAt ?? request.from, request.until - .microseconds(1)))
        let step = try request.chosenStep(from: start)
        let steps = Int(((request.until - start).microseconds + step.microseconds - 1) / step.microseconds)
        var demand = ServiceDemand(startsAt: start, step: step, steps: steps, capacity: request.capacity)
        let oldest = try await read(query, into: &demand)
        var answer = API.ScalingReplay(
            service: request.service.id.rawValue, from: Moment(start), until: Moment(request.until),
            stepSeconds: step.microseconds / 1_000_000, startupSeconds: request.startup.microseconds / 1_000_000,
            missBudgetPerMille: Int((request.missBudget * 1_000).rounded()), requests: demand.requests,
            isPart: oldest != nil)
        answer.unavailable = Self.obstacle(request, demand, steps: steps)
        guard answer.unavailable == nil, var trace = demand.trace else { return answer }
        if let oldest {
            // Of the time before the oldest request that was read nothing is known.
            let unknown = Int((oldest - start).microseconds / step.microseconds)
            trace.demand.removeFirst(min(unknown, max(0, trace.demand.count - 2)))
            trace.startsAt = start + step * Int64(steps - trace.demand.count)
            answer.from = Moment(trace.startsAt)
        }
        answer.fill(trace, request.settings(step), configured: request.configured(request.settings(step)))
        return answer
    }

    /// Gives the time of the oldest request that was read where there are more.
    private func read(_ query: UsageQuery, into demand: inout ServiceDemand) async throws -> Timestamp? {
        var place: UsageRecordPlace?
        while demand.requests < Self.maximumReplayed {
            let found = try await database.usageRecords(query, before: place, limit: API.maximumPageSize)
            for stored in found {
                demand.add(
                    consumer: stored.record.consumer, from: stored.record.forwardedAt ?? stored.record.completedAt,
                    until: stored.record.completedAt)
            }
            guard found.count == API.maximumPageSize, let last = found.last?.record else { return nil }
            place = UsageRecordPlace(last)
        }
        return place?.completedAt
    }

    private static func obstacle(_ request: ReplayRequest, _ demand: ServiceDemand, steps: Int) -> String? {
        let constraints = request.service.constraints
        if constraints.minimumInstances == constraints.maximumInstances {
            return "The service always has \(constraints.maximumInstances) instances: there is nothing to decide. Set "
                + "minimumInstances below maximumInstances."
        }
        if !request.capacity.isKnown {
            return "Nothing says how much an instance takes: set concurrentRequestsPerInstance or "
                + "activeConsumersPerInstance, or say it here with 'requestsPerInstance'."
        }
        if demand.requests == 0 { return "The books have no request of the service in this time." }
        return steps < 2 ? "The history is shorter than two decisions; come back in a minute." : nil
    }
}

extension API.ScalingReplay {
    private static let maximumPoints = 600

    fileprivate mutating func fill(_ trace: DemandTrace, _ settings: ReplaySettings, configured: NamedPolicy) {
        let comparison = ReplayComparison(trace, settings)
        let best = comparison.recommended
        let replay = ScalingReplay.Replay(settings)
        let present = replay.run(configured, on: trace, keepSupply: true)
        let entries = ReplayComparison.catalogue(settings).all + [ReplayComparison.tournament(settings)]
        let wanted = entries.first { $0.name == best.name } ?? ReplayComparison.tournament(settings)
        let followed = replay.run(wanted, on: trace, keepSupply: true)
        let kept = comparison.policies.filter { $0.missedTime <= settings.missBudget }
        let others = comparison.policies.filter { $0.missedTime > settings.missBudget }
        clairvoyantInstanceSeconds = Int64((best.clairvoyantHours * 3_600).rounded())
        self.configured = API.ReplayedPolicy(present, settings)
        recommended = API.ReplayedPolicy(best, settings)
        let hours = ReplayComparison.instanceHoursPerDay(best, stepSeconds: settings.decisionSeconds)
        recommendedInstanceSecondsPerDay = Int64((hours * 3_600).rounded())
        configuration = comparison.configuration(of: best)
        fixed = API.ReplayedPolicy(comparison.fixed, settings)
        policies = ([comparison.tournament] + kept + others).map { API.ReplayedPolicy($0, settings) }
        points = Self.points(trace, recommended: followed.supply, configured: present.supply)
    }

    /// The highest demand and the fewest instances of each piece, so that no miss is lost between two.
    private static func points(_ trace: DemandTrace, recommended: [Int], configured: [Int]) -> [API.ReplayPoint] {
        let count = trace.demand.count
        let pieces = min(count, maximumPoints)
        return (0..<pieces).map { piece in
            let range = (piece * count / pieces)..<((piece + 1) * count / pieces)
            let demand = trace.demand[range].compactMap { $0 }.max() ?? 0
            return API.ReplayPoint(
                at: Moment(trace.startsAt + trace.step * Int64(range.lowerBound)),
                demandThousandths: Int((min(demand, DemandSample.largest) * 1_000).rounded()),
                recommended: recommended[range].min() ?? 0,
                configured: configured[range].min() ?? 0)
        }
    }
}

extension API.ReplayedPolicy {
    fileprivate init(_ result: ReplayResult, _ settings: ReplaySettings) {
        func parts(_ value: Double, of whole: Double) -> Int { Int((min(value, 1e6) * whole).rounded()) }
        self.init(
            name: result.name, kind: result.kind?.rawValue, costThousandths: parts(result.costRatio, of: 1_000),
            instanceSeconds: Int64((result.instanceHours * 3_600).rounded()),
            missedTimePerMillion: parts(result.missedTime, of: 1_000_000),
            missedWorkPerMillion: parts(result.missedWork, of: 1_000_000),
            keepsBudget: result.missedTime <= settings.missBudget, scaleOuts: result.scaleOuts,
            scaleIns: result.scaleIns)
    }
}

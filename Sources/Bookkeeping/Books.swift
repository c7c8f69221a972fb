import CloudModel
import CloudPorts
import PayPerUse

/// One stretch of time in the log database, read so that memory does not grow with the number of requests: sums come
/// from the database, hour by hour where both agents are compared.
struct Books {
    let database: any LogDatabase
    /// How long an instance is taken to run after its last sign of life.
    let lease: TimeSpan
    let window: BillingWindow
    /// Nothing beyond is known.
    let now: Timestamp
    /// When each instance was last seen running. They move on while the books are read: whoever reads twice to compare
    /// gives the same ones.
    let heartbeats: [InstanceID: Timestamp]

    private func query(_ part: BillingWindow, consumer: ConsumerID? = nil) -> UsageQuery {
        var query = UsageQuery()
        query.from = part.start
        query.until = part.end
        query.consumer = consumer
        return query
    }

    func lifecycleEvents(of owner: ConsumerID?) async throws -> [LifecycleEvent] {
        try await database.lifecycleEvents(query(window, consumer: owner))
    }

    func reconstruction(_ events: [LifecycleEvent]) -> UsageReconstruction {
        UsageReconstruction(events, lastHeartbeats: heartbeats, lease: lease, now: now)
    }

    /// What the consumer used in each of the parts: time of the instances that it pays for, and its requests.
    func use(
        of consumer: ConsumerID, in parts: [BillingWindow], _ reconstruction: UsageReconstruction
    ) async throws -> [BillingWindow: MeteredUse] {
        let own = reconstruction.intervals.filter { $0.owner == consumer }
        var uses: [BillingWindow: MeteredUse] = [:]
        for part in parts {
            var use = MeteredUse()
            for sum in try ResourceUsage.sums(of: own, from: part.start, until: part.end, by: .service) {
                use.add(sum)
            }
            for sum in try await database.requestUsage(query(part, consumer: consumer)) {
                use.add(MonitoredUsage(sum))
            }
            for sum in try await database.usageEventSums(query(part, consumer: consumer)) {
                use.add(sum.microUnits, .event(sum.meter), of: sum.service)
            }
            uses[part] = use
        }
        return uses
    }

    /// Holds both agents' figures against each other, for the services of `owners`.
    func reconciliation(
        _ reconstruction: UsageReconstruction, owners: [ServiceID: ConsumerID], unwatched: Set<ServiceID>
    ) async throws -> Reconciliation {
        var result = Reconciliation(
            reconstruction, lastHeartbeats: heartbeats, window: window, owners: owners, unwatched: unwatched)
        let services = Set(reconstruction.intervals.map(\.service)).union(owners.keys)
        // Whoever rents nothing has nothing to reconcile.
        guard !services.isEmpty else { return result }
        let end = min(window.end, now)
        var begin = window.start
        while begin < end {
            let rest = begin.microseconds % Self.hour.microseconds
            let next = min(end, begin - .microseconds(rest < 0 ? rest + Self.hour.microseconds : rest) + Self.hour)
            var query = query(BillingWindow(start: begin, end: next))
            query.period = Self.hour
            for sum in try await database.requestUsage(query) where services.contains(sum.service) {
                result.takeHour(MonitoredUsage(sum))
            }
            begin = next
        }
        for question in result.questions {
            var query = query(question.window)
            query.service = question.service
            query.instance = question.instance
            for activity in try await database.requestActivity(query) { result.answer(activity) }
        }
        return result
    }

    private static let hour = TimeSpan.hours(1)
}

extension MonitoredUsage {
    init(_ usage: RequestUsage) {
        self.init(
            service: usage.service, instance: usage.instance, periodStart: usage.periodStart, requests: usage.requests,
            answered: usage.requests - usage.rejected - usage.failed, aborted: usage.aborted, bytesIn: usage.bytesIn,
            bytesOut: usage.bytesOut, busyMicroseconds: usage.busyMicroseconds)
    }
}

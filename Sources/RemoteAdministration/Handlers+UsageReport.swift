import AdministrationAPI
import CloudModel
import CloudPorts
import PayPerUse

extension Handlers {
    func reportUsage(_ call: Call) async throws -> Reply {
        let query = try usageQuery(call)
        let requests = try await database.requestUsage(query)
        let reconstruction = UsageReconstruction(
            try await database.lifecycleEvents(query), lastHeartbeats: try await database.lastHeartbeats(),
            lease: settings.platform.instanceLease, now: now())
        let held: [ResourceUsage]
        do {
            held = try ResourceUsage.sums(
                of: reconstruction.intervals, from: query.from, until: query.until, period: query.period)
        } catch {
            throw API.Problem.invalid("\(error).")
        }
        let monitored = try await monitoredUsage(query, requests, held)
        let unwatched = await administration.configuration().unwatchedServices
        return .json(
            API.UsageReport(
                from: query.from.map(Moment.init), until: query.until.map(Moment.init),
                periodSeconds: query.period.map { $0.microseconds / 1_000_000 },
                resourceAgent: held.map(API.InstanceUsage.init), monitoringAgent: requests.map(API.RequestUsage.init),
                sideBySide: UsageComparison.compare(held: held, monitored: monitored, unwatched: unwatched)
                    .map(API.UsageComparison.init),
                anomalies: reconstruction.anomalies.map(API.UsageAnomaly.init)))
    }

    /// What is put beside the resource agent's figures. All of an instance's requests count, whoever sent them: where
    /// the report is one consumer's, those of the services that it rents.
    private func monitoredUsage(
        _ query: UsageQuery, _ requests: [RequestUsage], _ held: [ResourceUsage]
    ) async throws -> [MonitoredUsage] {
        var all = requests
        if query.consumer != nil {
            let rented = Set(held.compactMap(\.service))
            var everybody = query
            everybody.consumer = nil
            all = rented.isEmpty ? [] : try await database.requestUsage(everybody)
            all.removeAll { !rented.contains($0.service) }
        }
        return all.map { usage in
            MonitoredUsage(
                service: usage.service, instance: usage.instance, periodStart: usage.periodStart,
                requests: usage.requests, busyMicroseconds: usage.busyMicroseconds)
        }
    }
}

extension API.InstanceUsage {
    init(_ usage: ResourceUsage) {
        self.init(
            owner: usage.owner?.rawValue, service: usage.service?.rawValue ?? "",
            instance: usage.instance?.rawValue ?? "", periodStart: usage.periodStart.map(Moment.init),
            runningMicroseconds: Int64(clamping: usage.runningMicroseconds),
            suspendedMicroseconds: Int64(clamping: usage.suspendedMicroseconds),
            cpuMillicoreSeconds: ResourceUsage.decimalSeconds(usage.millicoreMicroseconds),
            memoryByteSeconds: ResourceUsage.decimalSeconds(usage.memoryByteMicroseconds),
            inferred: usage.isInferred)
    }
}

extension API.UsageComparison {
    init(_ comparison: UsageComparison) {
        self.init(
            service: comparison.service.rawValue, instance: comparison.instance.rawValue,
            periodStart: comparison.periodStart.map(Moment.init),
            runningMicroseconds: Int64(clamping: comparison.runningMicroseconds), requests: comparison.requests,
            busyMicroseconds: comparison.busyMicroseconds, finding: .init(comparison.finding))
    }
}

extension API.UsageAnomaly {
    init(_ anomaly: UsageAnomaly) {
        self.init(
            service: anomaly.service.rawValue, instance: anomaly.instance.rawValue,
            incarnation: anomaly.incarnation, kind: .init(anomaly.kind), at: Moment(anomaly.at))
    }
}

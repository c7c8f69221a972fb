import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Testing

/// The cloud in sums, beside the lists that they are sums of.
@Suite struct OverviewTests {
    @Test("the sums are those of the lists")
    func sums() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            let found = try await live.send("GET", "/api/v1/overview").value(API.Overview.self)
            let services = try await live.send("GET", "/api/v1/services").value(API.Page<API.Service>.self).items
            let instances = services.flatMap(\.instances)
            let brief = try await live.send("GET", "/api/v1/services?brief=true").value(API.Page<API.Service>.self)
                .items
            #expect(brief.map(\.instances) == services.map { _ in [] })
            #expect(brief.map(\.instancesPresent) == services.map { $0.instances.count { $0.phase != .removed } })
            #expect(brief.map(\.instancesUp) == services.map(\.instancesUp))
            #expect(found.services == services.count && found.services > 0)
            #expect(found.instances == instances.count { $0.phase != .removed })
            #expect(found.instancesUp == instances.count { $0.phase == .running && $0.operational == .up })
            #expect(found.requestsInFlight == services.reduce(0) { $0 + ($1.load?.requestsInFlight ?? 0) })
            #expect(found.consumersWaiting == services.reduce(0) { $0 + ($1.load?.consumersWaiting ?? 0) })
            let incidents = try await live.send("GET", "/api/v1/incidents").value(API.Page<API.Incident>.self).items
            #expect(found.incidents == incidents.count)
            let hosts = try await live.send("GET", "/api/v1/physical-servers")
                .value(API.Page<API.PhysicalServer>.self).items
            #expect(found.physicalServers == hosts.count)
            #expect(found.physicalServersUp == hosts.count { $0.phase == .up })
            #expect(found.memoryBytes == hosts.reduce(0) { $0 + $1.memoryBytes })
            #expect(found.cpuMillicoresUsed == hosts.reduce(0) { $0 + $1.cpuMillicoresUsed })
            #expect(found.minutes.isEmpty)
        }
    }

    @Test("minute by minute: what was served and what was refused, all consumers together")
    func minutes() async throws {
        let began = Timestamp(microseconds: 1_790_000_040_000_000)
        func record(_ number: UInt64, _ consumer: ConsumerID, minute: Int64, _ outcome: RequestOutcome) -> UsageRecord {
            let at = began + .minutes(minute) + .seconds(1)
            return UsageRecord(
                requestID: RequestID(high: 7, low: number), consumer: consumer, service: "shop", instance: "shop-1",
                outcome: outcome, status: 200, bytesIn: 1, bytesOut: 1, receivedAt: at, forwardedAt: at,
                completedAt: at + .seconds(1))
        }
        let now = began + .minutes(2) + .seconds(30)
        try await LiveServer.run(now: { now }) { live in
            // The first one is before the time that is asked for.
            let records: [UsageRecord] = [
                record(1, "acme", minute: -1, .completed), record(2, "acme", minute: 0, .completed),
                record(3, "globex", minute: 0, .completed), record(4, "acme", minute: 0, .rejected),
                record(5, "acme", minute: 2, .completed),
            ]
            _ = try await live.database.ingest(
                SpoolBatch(source: "gateway/0", firstSequence: 1, records: records.map { .usage($0) }))
            let found = try await live.send("GET", "/api/v1/overview?minutes=3").value(API.Overview.self)
            #expect(found.minutes.map(\.served) == [2, 0, 1])
            #expect(found.minutes.map(\.rejected) == [1, 0, 0])
            #expect(found.minutes.first.flatMap { Timestamp(rfc3339: $0.at.rfc3339) } == began)
        }
    }
}

import AdministrationAPI
import CloudModel
import CloudPorts

extension RouteTable {
    static let overview: [Route] = [
        Route(
            name: "getOverview", method: .get, path: "/api/v1/overview", right: .read,
            summary: "Sums up the whole cloud: services, instances, load, incidents and physical servers.",
            query: [
                QueryParameter("minutes", .integer(1...120), "Also what was served in so many minutes until now.")
            ],
            answer: .json(API.Overview.self, "The sums.")
        ) { try await $0.getOverview($1) }
    ]
}

extension Handlers {
    func getOverview(_ call: Call) async throws -> Reply {
        var found = API.Overview(at: Moment(now()))
        let configuration = await administration.configuration()
        let instances = Dictionary(grouping: await administration.instances(), by: \.service)
        let load = await administration.load()
        for service in configuration.services {
            let listed = ListedService(
                service: service, instances: instances[service.id] ?? [], load: load[service.id])
            found.services += 1
            if listed.condition == .up { found.servicesWell += 1 }
            found.instances += listed.present
            found.instancesUp += listed.up
            found.requestsInFlight += listed.load?.requestsInFlight ?? 0
            found.requestsAdmitted &+= listed.load?.admitted ?? 0
            found.consumersWaiting += listed.load?.consumersWaiting ?? 0
        }
        found.incidents = await administration.openIncidents().count
        for host in await administration.physicalServers() {
            found.physicalServers += 1
            if host.phase == API.HostPhase.up.rawValue { found.physicalServersUp += 1 }
            found.cpuMillicores += host.server.capacity.cpuMillicores
            found.cpuMillicoresUsed += host.used.cpuMillicores
            found.memoryBytes += host.server.capacity.memory.bytes
            found.memoryBytesUsed += host.used.memory.bytes
        }
        if let minutes = call.query.integer("minutes") { found.minutes = try await requests(minutes: minutes) }
        return .json(found)
    }

    /// The running minute and those before it; one in which nothing was asked for is there as well.
    private func requests(minutes: Int64) async throws -> [API.MinuteOfRequests] {
        let minute = TimeSpan.minutes(1)
        let running = now().microseconds / minute.microseconds
        var query = UsageQuery()
        query.from = Timestamp(microseconds: (running - minutes + 1) * minute.microseconds)
        query.until = Timestamp(microseconds: (running + 1) * minute.microseconds)
        query.period = minute
        var sums: [Timestamp: (requests: Int64, rejected: Int64)] = [:]
        for usage in try await database.requestUsage(query) {
            guard let start = usage.periodStart else { continue }
            sums[start, default: (0, 0)].requests += usage.requests
            sums[start, default: (0, 0)].rejected += usage.rejected
        }
        return (0..<minutes).map { number in
            let at = Timestamp(microseconds: (running - minutes + 1 + number) * minute.microseconds)
            let sum = sums[at] ?? (0, 0)
            return API.MinuteOfRequests(at: Moment(at), served: sum.requests - sum.rejected, rejected: sum.rejected)
        }
    }
}

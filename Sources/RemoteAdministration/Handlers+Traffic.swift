import AdministrationAPI
import CloudModel
import CloudPorts

extension RouteTable {
    static let trafficList = NamedList<TrafficFigures>(
        name: { "\($0.service)/\($0.instance?.rawValue ?? "")" },
        words: { [$0.service.rawValue, $0.instance?.rawValue ?? ""] },
        columns: [
            "requests": { SortValue($0.requests) }, "errors": { SortValue($0.errors) },
            "failures": { SortValue($0.failures) }, "refusals": { SortValue($0.refusals) },
            "bytesIn": { SortValue($0.bytesIn) }, "bytesOut": { SortValue($0.bytesOut) },
            "p99Microseconds": { SortValue($0.latency.quantileMicroseconds(0.99) ?? 0) },
        ])

    static let traffic: [Route] = [
        Route(
            name: "listTraffic", method: .get, path: "/api/v1/traffic", right: .read,
            summary: "Says what the gateway carried for each service and each of its instances, and how fast.",
            query: [QueryParameter("service", "Only this service and its instances.")] + trafficList.parameters,
            answer: .json(
                API.Page<API.Traffic>.self,
                "Totals, by service, each before its instances, if no other order is asked for.")
        ) { try await $0.listTraffic($1) }
    ]
}

extension Handlers {
    func listTraffic(_ call: Call) async throws -> Reply {
        let wanted: ServiceID? = call.query.identifier("service")
        let load = await administration.load()
        let present = Set(await administration.configuration().services.map(\.id))
        let at = Moment(now())
        let all = traffic().filter { present.contains($0.service) && (wanted == nil || $0.service == wanted) }
        let (items, next) = try RouteTable.trafficList.part(of: all, call.query)
        return .json(
            API.Page(
                items: items.map { figures in
                    let sample = load[figures.service]
                    let inFlight =
                        figures.instance.map { sample?.perInstance[$0] ?? 0 } ?? sample?.requestsInFlight ?? 0
                    return API.Traffic(figures, at: at, requestsInFlight: inFlight)
                }, nextCursor: next))
    }
}

extension API.Traffic {
    init(_ figures: TrafficFigures, at: Moment, requestsInFlight: Int) {
        self.init(
            service: figures.service.rawValue, instance: figures.instance?.rawValue, at: at,
            requestsInFlight: requestsInFlight, requests: figures.requests, errors: figures.errors,
            failures: figures.failures, refusals: figures.refusals, bytesIn: figures.bytesIn,
            bytesOut: figures.bytesOut, latency: API.Latency(figures.latency))
    }
}

extension API.Latency {
    init(_ histogram: LatencyHistogram) {
        self.init(
            count: histogram.count, sumMicroseconds: histogram.sumMicroseconds,
            p50Microseconds: histogram.quantileMicroseconds(0.5), p90Microseconds: histogram.quantileMicroseconds(0.9),
            p99Microseconds: histogram.quantileMicroseconds(0.99),
            p999Microseconds: histogram.quantileMicroseconds(0.999),
            buckets: histogram.counts.enumerated().filter { $0.element > 0 }.map {
                API.LatencyBucket(
                    belowMicroseconds: LatencyHistogram.endMicroseconds(ofBucket: $0.offset), count: $0.element)
            })
    }
}

package import AdministrationAPI
import CloudModel

/// One line of `cloudwright top`: what happened between two looks at the totals.
package struct TrafficRates: Codable, Hashable, Sendable {
    package var service: String
    package var instance: String?
    package var seconds: Double
    package var requestsPerSecond: Double
    package var requestsInFlight: Int
    package var p50Microseconds: Int64?
    package var p99Microseconds: Int64?
    package var errorsPerSecond: Double
    package var failuresPerSecond: Double
    package var refusalsPerSecond: Double
    package var bytesInPerSecond: Double
    package var bytesOutPerSecond: Double

    /// In the order of `after`. What was not there before began with zero; so did all of a gateway that was started
    /// anew, which shows in totals that went back.
    package static func between(_ before: [API.Traffic], _ after: [API.Traffic]) -> [TrafficRates] {
        let known = Dictionary(before.map { (Key($0), $0) }, uniquingKeysWith: { first, _ in first })
        let began = before.first.flatMap { Timestamp(rfc3339: $0.at.rfc3339) }
        return after.map { row in
            let earlier = known[Key(row)].flatMap { $0.requests <= row.requests ? $0 : nil }
            let now = Timestamp(rfc3339: row.at.rfc3339) ?? .epoch
            let span = Double((now - (began ?? now)).microseconds) / 1_000_000
            return TrafficRates(row, earlier, seconds: max(span, 0.001))
        }
    }

    private struct Key: Hashable {
        var service: String
        var instance: String?

        init(_ row: API.Traffic) {
            service = row.service
            instance = row.instance
        }
    }

    private init(_ row: API.Traffic, _ earlier: API.Traffic?, seconds: Double) {
        func rate(_ figure: (API.Traffic) -> UInt64) -> Double {
            let before = earlier.map(figure) ?? 0
            return Double(figure(row) - min(before, figure(row))) / seconds
        }
        let spread = Self.spread(row.latency.buckets, since: earlier?.latency.buckets ?? [])
        service = row.service
        instance = row.instance
        self.seconds = seconds
        requestsPerSecond = rate(\.requests)
        requestsInFlight = row.requestsInFlight
        p50Microseconds = LatencyQuantile.of(spread, 0.5)
        p99Microseconds = LatencyQuantile.of(spread, 0.99)
        errorsPerSecond = rate(\.errors)
        failuresPerSecond = rate(\.failures)
        refusalsPerSecond = rate(\.refusals)
        bytesInPerSecond = rate(\.bytesIn)
        bytesOutPerSecond = rate(\.bytesOut)
    }

    private static func spread(
        _ buckets: [API.LatencyBucket], since earlier: [API.LatencyBucket]
    ) -> [(end: Int64, count: UInt64)] {
        let before = Dictionary(
            earlier.map { ($0.belowMicroseconds, $0.count) }, uniquingKeysWith: { first, _ in first })
        return buckets.map { bucket in
            let count = bucket.count - min(bucket.count, before[bucket.belowMicroseconds] ?? 0)
            return (bucket.belowMicroseconds ?? 1 << 30, count)
        }
    }
}

import AdministrationAPI
import AdministrationFixture
import CloudModel
import Foundation
import RemoteAdministration
import Testing

@Suite struct TrafficTests {
    private static func figures(_ service: ServiceID, _ instance: InstanceID? = nil) -> TrafficFigures {
        var figures = TrafficFigures(
            service: service, instance: instance, requests: 100, errors: 2, failures: 1, refusals: 4, bytesIn: 10_000,
            bytesOut: 20_000)
        for duration in 1...100 as ClosedRange<Int64> { figures.latency.add(microseconds: duration * 1_000) }
        return figures
    }

    @Test("what was carried is told by service and instance, with quantiles and buckets that add up")
    func traffic() async throws {
        let carried = [
            Self.figures("gone"), Self.figures("shop"), Self.figures("shop", "shop-1"), Self.figures("wiki"),
        ]
        try await LiveServer.run(traffic: { carried }) { live in
            await live.cloud.setLoad([
                LoadSample(service: "shop", at: LiveServer.now(), requestsInFlight: 7, perInstance: ["shop-1": 5])
            ])
            let all = try await live.send("GET", "/api/v1/traffic").value(API.Page<API.Traffic>.self).items
            #expect(all.map(\.service) == ["shop", "shop", "wiki"])
            #expect(all.map(\.instance) == [nil, "shop-1", nil])
            #expect(all.map(\.requestsInFlight) == [7, 5, 0])
            let shop = try #require(all.first)
            #expect(shop.requests == 100 && shop.errors == 2 && shop.failures == 1 && shop.refusals == 4)
            #expect(shop.bytesIn == 10_000 && shop.bytesOut == 20_000)
            #expect(shop.latency.count == 100 && shop.latency.sumMicroseconds == 5_050_000)
            #expect(shop.latency.buckets.reduce(0) { $0 + $1.count } == 100)
            let median = try #require(shop.latency.p50Microseconds)
            #expect((50_001...53_125).contains(median))
            let highest = try #require(shop.latency.p99Microseconds)
            #expect((99_001...105_188).contains(highest))
            let one = try await live.send("GET", "/api/v1/traffic?service=wiki").value(API.Page<API.Traffic>.self)
            #expect(one.items.map(\.service) == ["wiki"])
            #expect(try await live.send("GET", "/api/v1/traffic", as: .consumer).status == 403)
        }
    }

    @Test("a histogram's ends rise to infinity, with exact counts, sum and number")
    func histogram() {
        var histogram = LatencyHistogram()
        for duration in [10, 63, 64, 1_000, 5_000_000, 1 << 40] as [Int64] { histogram.add(microseconds: duration) }
        var metrics = Metrics()
        metrics.addDurations("d_seconds", "Durations.", [([("service", "a\"b")], histogram)])
        let lines = metrics.text.split(separator: "\n").map(String.init)
        #expect(lines.first == "# HELP d_seconds Durations.")
        #expect(lines.dropFirst().first == "# TYPE d_seconds histogram")
        let name = "d_seconds_bucket{service=\"a\\\"b\",le="
        #expect(lines.contains(name + "\"6.4e-05\"} 2"))
        #expect(lines.contains(name + "\"0.000128\"} 3"))
        #expect(lines.contains(name + "\"0.001024\"} 4"))
        #expect(lines.contains(name + "\"67.108864\"} 5"))
        #expect(lines.contains(name + "\"+Inf\"} 6"))
        #expect(lines.contains("d_seconds_count{service=\"a\\\"b\"} 6"))
        #expect(lines.count { $0.hasPrefix("d_seconds_bucket") } == 22)
    }
}

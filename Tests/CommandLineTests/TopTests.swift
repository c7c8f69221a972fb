import AdministrationAPI
import AdministrationFixture
import CloudModel
import Foundation
import Synchronization
import Testing
import cloudwright

@Suite struct TopTests {
    private static func row(
        _ instance: String? = nil, at seconds: Int, requests: UInt64, buckets: [(Int64?, UInt64)] = []
    ) -> API.Traffic {
        API.Traffic(
            service: "shop", instance: instance, at: Moment(rfc3339: "2026-11-24T02:30:0\(seconds).000000Z"),
            requestsInFlight: 3, requests: requests, errors: requests / 10, failures: 0, refusals: requests / 2,
            bytesIn: requests * 100, bytesOut: requests * 1_000,
            latency: API.Latency(
                count: requests, sumMicroseconds: 0,
                buckets: buckets.map { API.LatencyBucket(belowMicroseconds: $0.0, count: $0.1) }))
    }

    @Test("a line tells of what happened between two looks only")
    func rates() throws {
        let before = [Self.row(at: 1, requests: 1_000, buckets: [(1_000, 990), (90_000, 10)])]
        let after = [
            Self.row(at: 3, requests: 1_200, buckets: [(1_000, 990), (2_000, 190), (90_000, 20)]),
            Self.row("shop-1", at: 3, requests: 40, buckets: [(2_000, 40)]),
        ]
        let rates = TrafficRates.between(before, after)
        #expect(rates.map(\.requestsPerSecond) == [100, 20])
        #expect(rates.map(\.p50Microseconds) == [2_000, 2_000])
        #expect(rates.map(\.p99Microseconds) == [90_000, 2_000])
        #expect(rates.map(\.errorsPerSecond) == [10, 2])
        #expect(rates.map(\.refusalsPerSecond) == [50, 10])
        #expect(rates.map(\.bytesOutPerSecond) == [100_000, 20_000])
        #expect(rates.first?.requestsInFlight == 3)
    }

    @Test("a gateway that was started anew begins with zero, and rest has no quantiles")
    func restart() {
        let before = [Self.row(at: 1, requests: 1_000, buckets: [(1_000, 1_000)])]
        let anew = TrafficRates.between(before, [Self.row(at: 2, requests: 30, buckets: [(1_000, 30)])])
        #expect(anew.map(\.requestsPerSecond) == [30])
        let rest = TrafficRates.between(before, [Self.row(at: 2, requests: 1_000, buckets: [(1_000, 1_000)])])
        #expect(rest.map(\.requestsPerSecond) == [0])
        #expect(rest.map(\.p99Microseconds) == [nil])
    }

    @Test("--once looks twice and prints what happened in between")
    func once() async throws {
        let looks = Mutex<UInt64>(0)
        let carried: @Sendable () -> [TrafficFigures] = {
            let look = looks.withLock { looks in
                looks += 1
                return looks
            }
            var figures = TrafficFigures(service: "shop", requests: 500 * look, bytesOut: 1_024 * 1_024 * look)
            for _ in 0..<(500 * look) { figures.latency.add(microseconds: 2_500) }
            return [figures]
        }
        try await LiveServer.run(traffic: carried) { live in
            let json = await live.command("top", "--once", "--interval", "0.1", "-o", "json")
            #expect(json.code == 0 && json.error.isEmpty)
            let rates = try #require(try json.json([TrafficRates].self).first)
            #expect(rates.service == "shop" && rates.instance == nil)
            #expect((rates.requestsPerSecond * rates.seconds).rounded() == 500)
            #expect(rates.p50Microseconds == 2_560 && rates.p99Microseconds == 2_560)
            let table = await live.command("top", "--once", "--interval", "0.1")
            #expect(table.code == 0)
            #expect(table.output.contains("SERVICE") && table.output.contains("2.6 ms"))
            let unknown = await live.command("top", "--once", "--service", "none")
            #expect(unknown.code == 1 && unknown.error.contains("'none'"))
            #expect(await live.command("top", "--interval", "0").code == 2)
        }
    }
}

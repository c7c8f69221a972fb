import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import Testing

/// A service's own history through the policies, asked for over the API.
@Suite struct ScalingReplayRouteTests {
    private static let began = Timestamp(microseconds: 1_790_000_000_000_000)
    private static let path = "/api/v1/services/shop/scaling/replay"

    /// Requests of a wave of load: from one to four at once in each minute of an hour, each 40 seconds long.
    private static func wave(minutes: Int64 = 60) -> [UsageRecord] {
        (0..<minutes).flatMap { minute in
            (0..<(1 + minute % 4)).map { number in
                let begin = began + .minutes(minute) + .seconds(1)
                return UsageRecord(
                    requestID: RequestID(high: UInt64(minute), low: UInt64(number)), consumer: "acme", service: "shop",
                    instance: "shop-1", outcome: .completed, status: 200, bytesIn: 1, bytesOut: 1, receivedAt: begin,
                    forwardedAt: begin, completedAt: begin + .seconds(40))
            }
        }.sorted { $0.completedAt < $1.completedAt }
    }

    private static func run(
        _ records: [UsageRecord] = wave(), perInstance: Int? = 1, minimum: Int = 1,
        _ body: (LiveServer) async throws -> Void
    ) async throws {
        let now = began + .minutes(60)
        try await LiveServer.run(now: { now }) { live in
            var configuration = LiveServer.configuration
            configuration.services[0].constraints.concurrentRequestsPerInstance = perInstance
            configuration.services[0].constraints.minimumInstances = minimum
            configuration.services[0].constraints.maximumInstances = 5
            try await live.cloud.apply(configuration, actor: "test")
            if !records.isEmpty {
                _ = try await live.database.ingest(
                    SpoolBatch(source: "gateway/0", firstSequence: 1, records: records.map { .usage($0) }))
            }
            try await body(live)
        }
    }

    @Test("the history is that of the books, the recommended policy keeps the budget and costs least of those that do")
    func recommends() async throws {
        try await Self.run { live in
            let query = "?stepSeconds=60&startupSeconds=0&missBudgetPerMille=500"
            let answer = try await live.send("GET", Self.path + query)
            let found = try answer.value(API.ScalingReplay.self)
            #expect(found.unavailable == nil && found.requests == 150 && !found.isPart, "\(answer.text)")
            #expect(found.points.count == 60)
            #expect(found.points.map(\.demandThousandths).max() == 2_667, "four at once for two thirds of a minute")
            let recommended = try #require(found.recommended)
            #expect(recommended.keepsBudget)
            #expect(found.policies.contains(recommended), "it is one of those that were tried")
            let kept = found.policies.dropFirst().filter(\.keepsBudget)
            let cheapest = try #require(kept.map(\.costThousandths).min())
            #expect(Double(recommended.costThousandths) <= 1.05 * Double(cheapest) + 1, "\(recommended) \(cheapest)")
            #expect(found.configuration?.contains("kind: \(recommended.kind ?? "-")") == true)
            #expect(found.points.allSatisfy { (1...5).contains($0.recommended) && (1...5).contains($0.configured) })
        }
    }

    @Test("where nothing can be replayed, the answer says why and what to do")
    func unavailable() async throws {
        func obstacle(_ live: LiveServer, _ query: String = "") async throws -> String? {
            let answer = try await live.send("GET", Self.path + query)
            #expect(answer.status == 200, "\(answer.text)")
            return try answer.value(API.ScalingReplay.self).unavailable
        }
        try await Self.run(perInstance: nil) { live in
            let unknown = try await obstacle(live)
            #expect(unknown?.contains("requestsPerInstance") == true, "\(unknown ?? "-")")
            let said = try await obstacle(live, "?requestsPerInstance=2")
            #expect(said == nil, "it is said in the request")
        }
        try await Self.run([]) { live in
            let empty = try await obstacle(live)
            #expect(empty?.contains("no request") == true, "\(empty ?? "-")")
        }
        try await Self.run(minimum: 5) { live in
            let fixed = try await obstacle(live)
            #expect(fixed?.contains("nothing to decide") == true, "\(fixed ?? "-")")
        }
    }

    @Test("work is bounded: too many steps are refused with how to ask for fewer, and times must be in order")
    func bounds() async throws {
        try await Self.run { live in
            // The history is an hour: 720 steps of five seconds are fine.
            #expect(try await live.send("GET", Self.path + "?stepSeconds=5").status == 200)
            let early = UsageRecord(
                requestID: RequestID(high: 77, low: 7), consumer: "acme", service: "shop", instance: nil,
                outcome: .completed, status: 200, bytesIn: 1, bytesOut: 1, receivedAt: Self.began - .hours(20),
                forwardedAt: nil, completedAt: Self.began - .hours(20))
            _ = try await live.database.ingest(
                SpoolBatch(source: "gateway/1", firstSequence: 1, records: [.usage(early)]))
            let refused = try await live.send("GET", Self.path + "?stepSeconds=5")
            #expect(refused.status == 400 && refused.text.contains("longer steps or less time"), "\(refused.text)")
            let chosen = try await live.send("GET", Self.path).value(API.ScalingReplay.self)
            #expect(chosen.stepSeconds >= 50 && chosen.points.count <= 600, "as long as it takes")
            let turned = try await live.send("GET", Self.path + "?from=2999-01-01")
            #expect(turned.status == 400 && turned.text.contains("before 'until'"))
            #expect(try await live.send("GET", Self.path.replacing("shop", with: "none")).status == 404)
        }
    }

    @Test("a consumer sees nothing of it, not even of a service that it rents")
    func tenants() async throws {
        try await Self.run { live in
            let (own, staff) = (
                try await live.send("GET", Self.path, as: .consumer),
                try await live.send("GET", Self.path, as: .auditor)
            )
            #expect(own.status == 403 && staff.status == 200)
        }
    }
}

import CloudModel
import Foundation
import Gateway
import Testing

extension GatewayTests {
    @Suite struct QuotaTests {
        private static func now() -> Timestamp {
            Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
        }

        private func quota(resetsAt: Timestamp) -> ExhaustedQuota {
            ExhaustedQuota(
                consumer: "alice", kind: .requests, limit: 10, used: 12, currency: nil, resetsAt: resetsAt)
        }

        @Test func whoHasUsedUpAQuotaIsRefusedUntilItIsReset() async throws {
            let origin = try TestOrigin.http { _ in TestAnswer(body: Array("ok".utf8)) }
            let fixture = try await GatewayFixture.serving(origin)
            let mine = "authorization: Bearer \(GatewayFixture.key)\r\n"
            #expect(try await blocking { try fixture.get(fields: mine).status } == 200)
            let later = Self.now() + .hours(1)
            fixture.exhausted.withLock { $0 = [quota(resetsAt: later)] }
            await fixture.apply(GatewayFixture.service, [origin.port])
            let refused = try await blocking { try fixture.get(fields: mine) }
            #expect(refused.status == 429)
            let problem = try #require(
                try JSONSerialization.jsonObject(with: Data(refused.body)) as? [String: Any])
            #expect(problem["type"] as? String == "urn:cloudwright:problem:quota-exhausted")
            #expect(problem["quota"] as? String == "requests-per-month")
            #expect(problem["balance"] as? String == "-2" && problem["resetsAt"] as? String == later.rfc3339)
            #expect((3_500...3_600).contains(problem["retryAfterSeconds"] as? Int ?? 0))
            #expect(try await blocking { try fixture.get().status } == 200, "nobody else is refused")
            // It is reset by the time, whether the control plane says so or not.
            fixture.exhausted.withLock { $0 = [quota(resetsAt: Self.now() - .seconds(1))] }
            await fixture.apply(GatewayFixture.service, [origin.port])
            #expect(try await blocking { try fixture.get(fields: mine).status } == 200)
        }
    }
}

import AdministrationAPI
import AdministrationClient
import Foundation
import Scenarios
import Testing

extension Scenarios {
    @Suite struct Mechanisms {
        @Test("S1: three consumers, three instances; the fourth is rejected, then served")
        func automatedScalingListener() async throws {
            try await ScenarioPlatform.run { context in
                let outcome = try await S1AutomatedScalingListener(hold: .seconds(15)).run(in: context)
                let problem = try #require(
                    try JSONSerialization.jsonObject(with: Data(outcome.rejection.body)) as? [String: Any])
                #expect(outcome.rejection["content-type"] == "application/problem+json")
                #expect(outcome.rejection["retry-after"] != nil)
                #expect(problem["constraint"] as? String == "maximum-instances")
                #expect(problem["limit"] as? Int == 3)
                #expect(problem["current"] as? Int == 3)
                #expect(!outcome.instances.contains(outcome.served.servedBy ?? ""))
                // One for the administrators, with the offer; one for dave.
                #expect(outcome.notifications.filter { $0.consumer == nil }.count == 1)
                #expect(outcome.notifications.filter { $0.consumer == "dave" }.count == 1)
                #expect(outcome.notifications.first { $0.consumer == nil }?.offer?.to == 4)
                let constraints = try await context.administration.constraints(of: "classic")
                #expect(constraints.value.maximumInstances == 4)
                let token = try #require(context.platform.newestChangeLink)
                await #expect(throws: ClientError.self, "a link works once") {
                    try await context.administration.acceptOffer(ofLink: token)
                }
            }
        }

        @Test("S2: the resource agent's events of a start and a stop are in the books")
        func resourceAgent() async throws {
            try await ScenarioPlatform.run { context in
                let timeline = try await S2ResourceAgent().run(in: context)
                let times = timeline.steps.compactMap(\.at)
                #expect(times == times.sorted())
                let usage = try await context.administration.usage(filter(service: "shop"))
                let used = try #require(usage.resourceAgent.first { $0.instance == timeline.instance })
                #expect(used.runningMicroseconds > 0)
                #expect(used.owner == "bob")
                #expect(!used.inferred)
            }
        }

        @Test("S3: each request is metered with what crossed the consumer's connection")
        func monitoringAgent() async throws {
            try await ScenarioPlatform.run { context in
                let outcome = try await S3MonitoringAgent().run(in: context)
                #expect(outcome.record.consumer == "bob")
                #expect(outcome.record.outcome == .completed)
                #expect(outcome.record.bytesOut > 10_000)
                #expect(outcome.record.bytesIn > 0)
                #expect(outcome.record.receivedAt <= outcome.record.completedAt)
                #expect(outcome.timeline.numbers.starts(with: ["1", "2"]))
                #expect(Set(outcome.timeline.numbers).isSuperset(of: ["3a", "3b", "4"]))
            }
        }

        @Test("S2 and S3 end in a bill that says what both agents stored")
        func bill() async throws {
            try await ScenarioPlatform.run { context in
                _ = try await S2ResourceAgent().run(in: context)
                _ = try await S3MonitoringAgent().run(in: context)
                let before = try await context.administration.usage(filter(service: "shop"))
                let outcome = try await PayPerUseBill().run(in: context)
                let after = try await context.administration.usage(filter(service: "shop"))
                func hours(_ report: API.UsageReport) -> Double {
                    report.resourceAgent.reduce(0) { $0 + Double($1.runningMicroseconds) } / 3_600_000_000
                }
                let time = try #require(outcome.bill.lines.first { $0.meter == "instance-hour" })
                let quantity = try #require(Double(time.quantity))
                #expect(hours(before) <= quantity + 1e-9 && quantity <= hours(after) + 1e-9)
                let requests = try #require(outcome.bill.lines.first { $0.meter == "request" })
                let own = after.monitoringAgent.filter { $0.consumer == "bob" }
                #expect(requests.quantity == String(own.reduce(0) { $0 + $1.requests }))
                let traffic = try #require(outcome.bill.lines.first { $0.meter == "byte-out" })
                #expect(traffic.quantity == String(own.reduce(0) { $0 + $1.bytesOut }))
                #expect(outcome.reconciliation.holds.isEmpty && outcome.bill.closedAt == nil)
                #expect(outcome.table.split(separator: "\r\n").count == outcome.bill.lines.count + 1)
            }
        }

        @Test("S4: failed and successful logins are stored, secrets are not")
        func auditMonitor() async throws {
            try await ScenarioPlatform.run { context in
                let outcome = try await S4AuditMonitor().run(in: context)
                #expect(outcome.failure.outcome == .failure)
                #expect(outcome.failure.principal == "alice")
                #expect(outcome.failure.credentialKind == .password)
                #expect(outcome.failure.sourceAddress == "127.0.0.1")
                #expect(outcome.success.outcome == .success)
                #expect(outcome.failure.credentialTag != outcome.success.credentialTag)
                let ranking = try await context.administration.failedLogins(AuditFilter(), limit: 10)
                #expect(ranking.first { $0.principal == "alice" }?.failures == 1)
                #expect(Set(outcome.timeline.numbers) == ["1", "2", "3", "4", "5", "6"])
            }
        }

        @Test("S5: one of three active implementations is killed; nothing is lost, and it comes back")
        func failoverActiveActive() async throws {
            try await ScenarioPlatform.run { context in
                let outcome = try await S5FailoverActiveActive().run(in: context)
                #expect(outcome.load.failed == 0)
                let steps = Dictionary(
                    outcome.timeline.steps.map { ($0.number, $0.at) }, uniquingKeysWith: { first, _ in first })
                let switched = try #require(steps["3"] ?? nil)
                let distributed = try #require(steps["5"] ?? nil)
                #expect(switched <= distributed)
                _ = try await context.waitUntilUp(3, of: "shop")
            }
        }

        @Test("S6: the warm standby takes over within a second, and the failed one becomes the standby")
        func failoverActivePassive() async throws {
            try await ScenarioPlatform.run { context in
                let outcome = try await S6FailoverActivePassive().run(in: context)
                #expect(outcome.gap < .seconds(1))
                #expect(outcome.takenOverBy != outcome.failed)
                let roles = try await context.upInstances(of: "ledger").map(\.role.rawValue).sorted()
                #expect(roles == ["active", "standby"])
            }
        }

        private func filter(service: String) -> UsageFilter {
            var filter = UsageFilter()
            filter.service = service
            return filter
        }
    }
}

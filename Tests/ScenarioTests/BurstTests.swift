import AdministrationClient
import CloudModel
import Foundation
import ScalingListener
import Scenarios
import Testing

extension Scenarios {
    @Suite struct Bursts {
        private static let policy = ScalingPolicySettings(
            kind: .panicWindow, decisionInterval: .seconds(1), startupTime: .seconds(1))

        /// A day's shape in twenty-five seconds: calm, a rise, a burst, calm again.
        @Test("a burst through real processes is scaled as the replay scales the same samples")
        func liveEqualsReplay() async throws {
            try await ScenarioPlatform.run { document in
                let services = document.configuration.services
                guard let index = services.firstIndex(where: { $0.id == "classic" }) else { return }
                document.configuration.services[index].access = .anonymous
                document.configuration.services[index].constraints = WorkloadConstraints(
                    minimumInstances: 1, maximumInstances: 20, concurrentRequestsPerInstance: 10)
                document.configuration.services[index].scaling = ScalingSettings(
                    scaleOutCooldown: .zero, scaleInStabilisation: .seconds(1), policy: Self.policy)
            } _: { context in
                _ = try await context.waitUntilUp(1, of: "classic")
                for perSecond in [20, 60, 160, 20] {
                    let report = try await context.load(
                        "classic", "/hold?ms=200", perSecond: perSecond, milliseconds: 6_000, connections: 256)
                    #expect(report.failed == 0, "\(report)")
                }
                let decisions = try await decisions(in: context)
                #expect(decisions.contains { $0.to > $0.from }, "it was never scaled out: \(decisions)")
                try compare(decisions.flatMap(\.evaluations))
            }
        }

        private struct Decision {
            var from: Int
            var to: Int
            var evaluations: [PolicyEvaluation]
        }

        private func decisions(in context: ScenarioContext) async throws -> [Decision] {
            var filter = EventFilter()
            filter.service = "classic"
            filter.kindPrefix = "scaling.decided"
            let events = try await context.administration.events(filter, newest: 100)
            return try events.sorted { $0.position < $1.position }.map { event in
                let evaluations = (event.details["evaluations"] ?? "").split(separator: " ").map(String.init)
                return Decision(
                    from: try #require(Int(event.details["from"] ?? "")),
                    to: try #require(Int(event.details["to"] ?? "")),
                    evaluations: try evaluations.map { try #require(PolicyEvaluation($0)) })
            }
        }

        /// What the replay does with each sample (`Replay`): the policy's wish, held by the guard.
        private func compare(_ evaluations: [PolicyEvaluation]) throws {
            #expect(evaluations.count >= 3)
            #expect(zip(evaluations, evaluations.dropFirst()).allSatisfy { $0.sample.at < $1.sample.at }, "in order")
            let catalogue = PolicyCatalogue(
                decisionInterval: Self.policy.decisionInterval, startupTime: Self.policy.startupTime, missBudget: 0.01)
            var policy = catalogue.policy(Self.policy.kind, target: 0.7)
            var bounds = ScalingGuard(minimum: 1, maximum: 20)
            for evaluation in evaluations {
                let wish = policy.wish(evaluation.sample).instances
                let count = wish > bounds.maximum ? wish : bounds.allow(wish, evaluation.sample, asking: policy)
                #expect(count == evaluation.instances, "\(evaluation.text)")
            }
        }
    }
}

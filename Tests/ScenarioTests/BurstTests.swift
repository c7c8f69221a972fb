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

        /// A folder of recorded loads: CLOUDWRIGHT_TRACES, or `shared/traces` beside the repository.
        private static let traces =
            ProcessInfo.processInfo.environment["CLOUDWRIGHT_TRACES"].map { URL(fileURLWithPath: $0) }
            ?? URL(fileURLWithPath: #filePath).appendingPathComponent("../../../../shared/traces").standardized

        /// Requests a second, second by second. A burst of a day of tweets, recorded each second, a hundred times
        /// faster: from half an hour before it that is calm to five times as many and back. Where the traces are not
        /// there, a made one.
        private static func rates() -> (rates: [Int], source: String) {
            let file = traces.appendingPathComponent("twitter_stream_2021_08_1s_day2.csv")
            guard let text = try? String(contentsOf: file, encoding: .utf8) else {
                let made = [20, 60, 160, 20].flatMap { Array(repeating: $0, count: 5) }
                return (made, "a made burst, since there is no \(file.path)")
            }
            let values = text.split(separator: "\n").dropFirst(1 + 13_900).prefix(2_000).compactMap { line in
                line.split(separator: ",").last.flatMap { Int($0) }
            }
            let rates = stride(from: 0, to: values.count, by: 100).map { start in
                values[start..<min(start + 100, values.count)].reduce(0, +) / 100
            }
            return (rates, file.lastPathComponent)
        }

        @Test("a recorded burst through real processes is scaled as the replay scales the same samples")
        func liveEqualsReplay() async throws {
            let (rates, source) = Self.rates()
            print("\(source): \(rates) requests a second")
            try #require(rates.count == 20 && rates.allSatisfy { $0 > 0 })
            try await ScenarioPlatform.run { document in
                let services = document.configuration.services
                guard let index = services.firstIndex(where: { $0.id == "classic" }) else { return }
                document.configuration.services[index].access = .anonymous
                document.configuration.services[index].constraints = WorkloadConstraints(
                    minimumInstances: 1, maximumInstances: 20, concurrentRequestsPerInstance: 3)
                document.configuration.services[index].scaling = ScalingSettings(
                    scaleOutCooldown: .zero, scaleInStabilisation: .seconds(1), policy: Self.policy)
            } _: { context in
                _ = try await context.waitUntilUp(1, of: "classic")
                for perSecond in rates {
                    // The last answers come in the rest of the second.
                    let report = try await context.load(
                        "classic", "/hold?ms=50", perSecond: perSecond, milliseconds: 950, connections: 256)
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

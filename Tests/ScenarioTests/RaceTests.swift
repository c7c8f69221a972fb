import AdministrationAPI
import CloudModel
import Foundation
import LoadClient
import Scenarios
import Testing

extension Scenarios {
    @Suite struct Races {
        private static let rounds = 200
        private static let limit = 3

        /// All requests of a round must have arrived before the first is answered; a round in which the machine was too
        /// slow for that shows nothing and is repeated, a bounded number of times.
        @Test("50 consumers at once against a limit of 3: never more, never fewer, 200 times")
        func exactUnderRace() async throws {
            let names = (1...50).map { "racer-\($0)" }
            try await ScenarioPlatform.run { document in
                document.configuration.services.removeAll { $0.id != "classic" }
                document.configuration.failoverGroups = []
                document.configuration.services[0].constraints.minimumInstances = Self.limit
                document.configuration.consumers += names.map { CloudConsumer(id: ConsumerID($0)) }
                document.configuration.consumers.sort { $0.id < $1.id }
            } _: { context in
                var requests: [HTTPRequest] = []
                for name in names {
                    let created = try await context.administration.createCredential(
                        for: name, API.CredentialRequest())
                    let key = try #require(created.key)
                    requests.append(
                        HTTPRequest(
                            "GET", "/hold?ms=150",
                            fields: context.fields(of: nil, to: "classic") + [HTTPField("X-API-Key", key)]))
                }
                _ = try await context.waitUntilUp(Self.limit, of: "classic")
                var repeats = 0
                var round = 0
                while round < Self.rounds {
                    let outcomes = try await Burst(try context.gateway, requests).runOnOwnThreads()
                    let served = outcomes.filter { $0.status == 200 }
                    let lastSent = outcomes.map(\.sentAfterMicroseconds).max() ?? 0
                    let firstServed = served.map(\.answeredAfterMicroseconds).min() ?? .max
                    try await idle(context)
                    if lastSent >= firstServed {
                        repeats += 1
                        try #require(repeats < 50, "the machine is too slow to let 50 requests arrive in 150 ms")
                        continue
                    }
                    #expect(served.count == Self.limit, "round \(round)")
                    #expect(outcomes.filter { $0.status == 429 }.count == names.count - Self.limit, "round \(round)")
                    round += 1
                }
            }
        }

        private func idle(_ context: ScenarioContext) async throws {
            _ = try await context.eventually("no request in flight") {
                let load = try await context.administration.service("classic").load
                return load.map { $0.requestsInFlight == 0 && $0.activeConsumers == 0 } ?? false ? true : nil
            }
        }
    }
}

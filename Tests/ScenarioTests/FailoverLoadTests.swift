import Foundation
import LoadClient
import Scenarios
import Testing

extension Scenarios {
    @Suite struct FailoverUnderLoad {
        @Test("2,000 requests/s, one of three instances killed: no request fails")
        func killed() async throws {
            try await ScenarioPlatform.run { context in
                let report = try await loadWhile(SIGKILL, in: context)
                #expect(report.failed == 0, "\(report)")
                _ = try await context.waitUntilUp(3, of: "shop")
            }
        }

        @Test("2,000 requests/s, one of three instances stopped: at most those in flight there fail")
        func stopped() async throws {
            try await ScenarioPlatform.run { context in
                let report = try await loadWhile(SIGSTOP, in: context)
                // The requests are safe to repeat, so even those that the stopped instance had are answered by others.
                #expect(report.failed == 0, "\(report)")
                _ = try await context.waitUntilUp(3, of: "shop")
            }
        }

        private func loadWhile(_ signal: Int32, in context: ScenarioContext) async throws -> LoadReport {
            let instance = try await context.waitUntilUp(3, of: "shop")[1]
            let load = Task {
                try await context.load("shop", "/", perSecond: 2_000, milliseconds: 6_000, connections: 1_024)
            }
            _ = try await context.eventually("a second of load") {
                (try await context.administration.service("shop").load?.admitted ?? 0) > 2_000 ? true : nil
            }
            try context.kill(instance, signal)
            return try await load.value
        }
    }
}

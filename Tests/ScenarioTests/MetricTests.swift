import AdministrationClient
import CloudModel
import Foundation
import Scenarios
import Testing

extension Scenarios {
    /// Real processes behind the real gateway, scaled by what is measured of them; nothing else is followed.
    @Suite struct Metrics {
        private func run(
            _ metric: ScalingMetric, _ path: String, perSecond: Int, saying words: String
        ) async throws {
            try await ScenarioPlatform.run { document in
                let services = document.configuration.services
                guard let index = services.firstIndex(where: { $0.id == "classic" }) else { return }
                document.configuration.services[index].access = .anonymous
                document.configuration.services[index].constraints = WorkloadConstraints(
                    minimumInstances: 1, maximumInstances: 3)
                document.configuration.services[index].scaling = ScalingSettings(metrics: [metric])
            } _: { context in
                _ = try await context.waitUntilUp(1, of: "classic")
                var count = 1
                for _ in 0..<20 where count == 1 {
                    let report = try await context.load(
                        "classic", path, perSecond: perSecond, milliseconds: 3_000, connections: 64)
                    #expect(report.failed == 0, "\(report)")
                    count = try await context.administration.instances(of: "classic").count
                }
                #expect(count > 1)
                let explained = try await explain("classic", context)
                #expect(explained.contains(words), "\(explained)")
                #expect(explained.contains("metrics: \(metric.name)="), "\(explained)")
                #expect(explained.contains("instances before: 1\n"), "\(explained)")
            }
        }

        @Test("a service whose processes burn processor time scales out on it, and says why")
        func processor() async throws {
            try await run(
                ScalingMetric(.processor, target: 10), "/burn?ms=50", perSecond: 10, saying: "processor use of")
        }

        @Test("a service that is slow scales out on latency, and says why")
        func latency() async throws {
            try await run(
                ScalingMetric(.latency, target: 100_000), "/hold?ms=300", perSecond: 20,
                saying: "latency (95th percentile) of")
        }

        /// The program itself, over REST.
        private func explain(_ service: String, _ context: ScenarioContext) async throws -> String {
            let process = Process()
            process.executableURL = Programs.cloudwright
            process.arguments = ["scaling", "explain", service, "--last", "10"]
            process.environment = ProcessInfo.processInfo.environment.merging(
                [
                    "CLOUDWRIGHT_SERVER": context.platform.announcement.administration,
                    "CLOUDWRIGHT_TOKEN": context.platform.administratorToken,
                ]) { $1 }
            let output = Pipe()
            process.standardOutput = output
            try process.run()
            let bytes = try output.fileHandleForReading.readToEnd() ?? Data()
            process.waitUntilExit()
            #expect(process.terminationStatus == 0)
            return String(decoding: bytes, as: UTF8.self)
        }
    }
}

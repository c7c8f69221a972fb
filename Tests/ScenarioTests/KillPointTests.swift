import AdministrationAPI
import AdministrationClient
import CloudModel
import Foundation
import LoadClient
import Scenarios
import Testing

private enum CCompiler {
    static let path: String? = {
        let paths = (ProcessInfo.processInfo.environment["PATH"] ?? "").split(separator: ":")
        let candidates = ["cc", "gcc", "clang"].flatMap { name in paths.map { "\($0)/\(name)" } }
        return candidates.first { FileManager.default.isExecutableFile(atPath: $0) }
    }()
}

extension Scenarios {
    /// As `Crashes`, but the moments are chosen: at, in the middle of, or right behind a write to the log database, the
    /// spool or a file of the platform's.
    @Suite(.enabled(if: CCompiler.path != nil, "there is no C compiler (cc, gcc or clang)"))
    struct KillPoints {
        /// Kills; more by CLOUDWRIGHT_KILL_POINTS.
        private static let rounds =
            ProcessInfo.processInfo.environment["CLOUDWRIGHT_KILL_POINTS"].flatMap { Int($0) } ?? 10

        private static func compile(to library: URL) throws {
            let source = URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
                .deletingLastPathComponent().appendingPathComponent("scripts/killpoints.c")
            let process = Process()
            process.executableURL = URL(fileURLWithPath: try #require(CCompiler.path))
            process.arguments = ["-O1", "-shared", "-fPIC", "-o", library.path, source.path, "-ldl"]
            try process.run()
            process.waitUntilExit()
            try #require(process.terminationStatus == 0)
        }

        @Test("killed at chosen writes of log database and spool: every response metered once, the logs stay as sealed")
        func survivesEachWrite() async throws {
            let own = try ScenarioPlatform { document in
                document.configuration.services.removeAll { $0.id != "shop" }
                document.configuration.failoverGroups.removeAll { $0.service != "shop" }
            }
            let library = own.directory.appendingPathComponent("killpoints.so")
            let log = own.directory.appendingPathComponent("killed-at")
            try Self.compile(to: library)
            var random = SeededGenerator(seed: 47)
            var platform = try await own.start()
            var context = try await ScenarioContext(platform: platform)
            _ = try await context.waitUntilUp(3, of: "shop")
            var (answered, killed) = (0, 0)
            for round in 0..<Self.rounds {
                #expect(await platform.stop() == 0)
                // Few writes make a start, many a second of load: the exponent is spread evenly, not the number.
                let point = Int(pow(2, Double.random(in: 1...12, using: &random)))
                let began = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
                let journal = own.directory.appendingPathComponent("journal-\(round)")
                let environment = [
                    "LD_PRELOAD": library.path, "KILLPOINTS_LOG": log.path, "KILLPOINTS_AT": "\(point)",
                    "KILLPOINTS_DIRECTORY": own.dataDirectory,
                ]
                // Nil where the point came during the start.
                if let doomed = try? await own.start(environment: environment) {
                    _ = try? await ScenarioContext(context, on: doomed).load(
                        "shop", "/", perSecond: 400, milliseconds: 1_000, connections: 16, journal: journal)
                    await doomed.crash()
                }
                let points = (try? String(contentsOf: log, encoding: .utf8)) ?? ""
                killed = points.split(separator: "\n").count
                platform = try await own.start()
                context = try ScenarioContext(context, on: platform)
                answered += try await context.recordedResponses(in: journal, since: began, within: .seconds(60))
                for log in try await context.administration.verifyLogs() {
                    #expect(log.fault == nil, "round \(round), point \(point), \(log.log): \(log.fault ?? "")")
                }
            }
            let points = try String(contentsOf: log, encoding: .utf8).split(separator: "\n")
            let kinds = Dictionary(grouping: points) { $0.filter { !$0.isNumber } }.mapValues(\.count)
            print("\(killed) of \(Self.rounds) rounds were killed at a write; \(answered) responses were checked")
            for (kind, count) in kinds.sorted(by: { $0.key < $1.key }) { print("\(count) x \(kind)") }
            #expect(killed * 2 > Self.rounds, "most points were reached")
            #expect(points.contains { $0.contains("log.sqlite") } && points.contains { $0.contains("spool") })
            #expect(answered > 0, "the load was served at all")
            #expect(await platform.stop() == 0)
            try FileManager.default.removeItem(at: own.directory)
        }
    }
}

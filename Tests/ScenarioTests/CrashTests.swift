import AdministrationAPI
import AdministrationClient
import CloudModel
import Foundation
import LoadClient
import Scenarios
import Testing

extension Scenarios {
    @Suite struct Crashes {
        /// How often it is killed: 40 times, or as often as `CLOUDWRIGHT_KILL_ROUNDS` says.
        private static let rounds =
            ProcessInfo.processInfo.environment["CLOUDWRIGHT_KILL_ROUNDS"].flatMap(Int.init) ?? 40

        /// What a client got in full is in the books once; what runs is what is known, each once.
        @Test("kill -9 of the whole process under load again and again: every response metered once, logs as sealed")
        func meteredExactlyOnce() async throws {
            let own = try ScenarioPlatform { document in
                document.configuration.services.removeAll { $0.id != "shop" }
                document.configuration.failoverGroups.removeAll { $0.service != "shop" }
            }
            var random = SeededGenerator(seed: 20)
            var platform = try await own.start()
            var context = try await ScenarioContext(platform: platform)
            _ = try await context.waitUntilUp(3, of: "shop")
            var answered = 0
            for round in 0..<Self.rounds {
                let began = Timestamp(microseconds: Int64(Date().timeIntervalSince1970 * 1_000_000))
                let journal = own.directory.appendingPathComponent("journal-\(round)")
                let running = context
                let load = Task {
                    try await running.load(
                        "shop", "/", perSecond: 400, milliseconds: 900, connections: 16, journal: journal)
                }
                let moment = Duration.milliseconds(Int64.random(in: 50...800, using: &random))
                try await Task.sleep(for: moment)
                await platform.crash()
                _ = try await load.value
                platform = try await own.start()
                context = try ScenarioContext(context, on: platform)
                answered += try await context.recordedResponses(in: journal, since: began)
                for log in try await context.administration.verifyLogs() {
                    #expect(log.fault == nil, "round \(round), \(log.log): \(log.fault ?? "")")
                }
            }
            #expect(answered > Self.rounds * 10, "the load was served at all")
            let up = try await context.waitUntilUp(3, of: "shop")
            let processes = try instanceProcesses(of: own)
            #expect(Set(processes) == Set(up.map(\.id)))
            #expect(processes.count == up.count, "each instance runs once: \(processes)")
            #expect(await platform.stop() == 0)
            #expect(try instanceProcesses(of: own).isEmpty, "no orphan")
            try FileManager.default.removeItem(at: own.directory)
        }

        /// The names of the instances that run below the directory, one for each process: those of other clouds on this
        /// machine write their output elsewhere.
        private func instanceProcesses(of own: ScenarioPlatform) throws -> [String] {
            try FileManager.default.contentsOfDirectory(atPath: "/proc").compactMap { entry in
                guard Int32(entry) != nil,
                    let output = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/\(entry)/fd/1"),
                    output.hasPrefix(own.directory.path),
                    let line = FileManager.default.contents(atPath: "/proc/\(entry)/cmdline")
                else { return nil }
                let words = line.split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
                guard words.first == Programs.sampleService.path,
                    let flag = words.firstIndex(of: "--instance"), flag + 1 < words.count
                else { return nil }
                return words[flag + 1]
            }
        }
    }
}

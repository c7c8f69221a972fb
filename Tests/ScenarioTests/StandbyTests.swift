import AdministrationAPI
import AdministrationClient
import CloudModel
import ConfigurationFile
import Foundation
import Glibc
import PostgresFixture
import Scenarios
import Testing

extension Scenarios {
    /// Two platforms on one log database: one decides, the other is its standby.
    @Suite(.enabled(if: PostgresServer.isAvailable, "\(PostgresServer.obstacle ?? "")"))
    struct Standby {
        /// Rounds in which the active platform is frozen, killed or cut off; more by CLOUDWRIGHT_STANDBY_ROUNDS.
        private static let rounds =
            ProcessInfo.processInfo.environment["CLOUDWRIGHT_STANDBY_ROUNDS"].flatMap { Int($0) } ?? 6

        private struct Site {
            var own: ScenarioPlatform
            var link: SeverableLink
        }

        /// An instance writes down under which epoch it was started, and when by the clock of the whole machine; then
        /// it ends, so that there is always something to do.
        private static func restless(_ evidence: URL) -> CloudService {
            CloudService(
                id: "restless", owner: "alice", routes: [Route(host: "restless.localhost")],
                instances: .process(
                    ProcessTemplate(
                        command: [
                            "/bin/sh", "-c",
                            "read -r up idle </proc/uptime; echo \"$CLOUDWRIGHT_EPOCH $up $CLOUDWRIGHT_INSTANCE\" >>"
                                + evidence.path + "; exec sleep 0.2",
                        ], environment: ["PORT": "{port}"])),
                constraints: WorkloadConstraints(minimumInstances: 3, maximumInstances: 3),
                restart: RestartSettings(
                    initialBackoff: .milliseconds(20), maximumBackoff: .milliseconds(50), breakerThreshold: 1_000,
                    breakerPause: .seconds(1)))
        }

        private func site(_ server: PostgresServer, _ database: String, evidence: URL) throws -> Site {
            let link = try server.makeLink()
            let own = try ScenarioPlatform { document in
                document.configuration.services = [Self.restless(evidence)]
                document.configuration.failoverGroups = []
                let data = URL(fileURLWithPath: document.settings.dataDirectory)
                document.settings.logDatabase = .postgres(
                    connectionFile: data.deletingLastPathComponent().appendingPathComponent("postgres").path,
                    lease: .seconds(2))
            }
            write(server.connectionString(database: database, over: link), "postgres", in: own)
            return Site(own: own, link: link)
        }

        private func write(_ text: String, _ name: String, in own: ScenarioPlatform) {
            _ = FileManager.default.createFile(
                atPath: own.directory.appendingPathComponent(name).path, contents: Data(text.utf8),
                attributes: [.posixPermissions: 0o600])
        }

        /// Returns once it decides, however long it is the other's standby.
        private func start(_ site: Site) async throws -> PlatformProcess {
            try await PlatformProcess.start(
                binary: Programs.cloudwright, configuration: site.own.configuration, directory: site.own.directory,
                limit: .seconds(300))
        }

        /// What the two must have in common.
        private func copyKeys(from first: Site, to second: Site) throws {
            for name in ["seal.key", "audit-tag.key", "change-link.key", "second-factor.key"] {
                let file = "data/\(name)"
                try FileManager.default.copyItem(
                    at: first.own.directory.appendingPathComponent(file),
                    to: second.own.directory.appendingPathComponent(file))
            }
        }

        private struct Action {
            var epoch: Int
            var time: Double
        }

        private func actions(_ evidence: URL) throws -> [Action] {
            try String(contentsOf: evidence, encoding: .utf8).split(separator: "\n").compactMap { line in
                let words = line.split(separator: " ")
                guard words.count == 3, let epoch = Int(words[0]), let time = Double(words[1]) else { return nil }
                return Action(epoch: epoch, time: time)
            }
        }

        /// Waits until the platform that decides acts.
        private func awaitAction(after count: Int, _ evidence: URL) async throws {
            let deadline = Date(timeIntervalSinceNow: 60)
            while try actions(evidence).count <= count {
                guard Date() < deadline else { throw ScenarioFailure("nothing is started") }
                try await Task.sleep(for: .milliseconds(20))
            }
        }

        @Test("the active platform is frozen, killed or cut off again and again: never do two decide or act")
        func neverBoth() async throws {
            let server = try await PostgresServer.make()
            try await server.start()
            let database = try await server.makeDatabase().split(separator: "=").last.map(String.init) ?? ""
            let evidence = FileManager.default.temporaryDirectory.appendingPathComponent("acts-\(UUID().uuidString)")
            try Data().write(to: evidence)
            let first = try site(server, database, evidence: evidence)
            var active = (site: first, process: try await start(first))
            let second = try site(server, database, evidence: evidence)
            write(active.process.administratorToken + "\n", "administrator-token", in: second.own)
            let refusal = await #expect(throws: (any Error).self, "its keys are others") { try await start(second) }
            #expect("\(String(describing: refusal))".contains("seal.key is missing"))
            try copyKeys(from: first, to: second)
            var standby = (site: second, starting: Task { try await start(second) })
            var keys = 0
            for round in 0..<Self.rounds {
                let api = try AdministrationClient(
                    server: active.process.announcement.administration, token: active.process.administratorToken)
                for consumer in ["alice", "bob", "carol"] {
                    _ = try await api.createCredential(for: consumer, API.CredentialRequest())
                    keys += 1
                }
                try await awaitAction(after: try actions(evidence).count, evidence)
                try await fail(active, in: round, api: api, successor: standby.starting)
                let former = active.site
                active = (site: standby.site, process: try await standby.starting.value)
                standby = (site: former, starting: Task { try await start(former) })
            }
            try await awaitAction(after: try actions(evidence).count, evidence)
            let epochs = try await server.sql(
                "SELECT epoch FROM control_commit ORDER BY position, at, epoch", database: database
            ).split(separator: "\n").compactMap { Int($0) }
            #expect(epochs == epochs.sorted(), "no decision of an epoch after one of a later epoch")
            #expect(Set(epochs).count > Self.rounds, "each of them decided")
            let done = try actions(evidence)
            #expect(done.map(\.epoch) == done.map(\.epoch).sorted(), "no action of an epoch after one of a later epoch")
            #expect(Set(done.map(\.epoch)).count > Self.rounds, "each of them acted")
            print(
                "\(Self.rounds) rounds: \(done.count) actions under \(Set(done.map(\.epoch)).count) epochs; shortest "
                    + "pause between two epochs \(shortestPause(done)) s")
            let consumers = try AdministrationClient(
                server: active.process.announcement.administration, token: active.process.administratorToken)
            let stored = try await consumers.consumers().reduce(0) { $0 + $1.credentials.count }
            #expect(stored == keys, "every key that was given, and no other")
            // The standby takes over at once from one that ends in good order.
            #expect(await active.process.stop() == 0)
            #expect(await (try await standby.starting.value).stop() == 0)
            for site in [first, second] {
                site.link.close()
                try FileManager.default.removeItem(at: site.own.directory)
            }
            try FileManager.default.removeItem(at: evidence)
            await server.remove()
        }

        /// Makes the active platform's turn end against its will, and sees it give in once its successor decides.
        private func fail(
            _ active: (site: Site, process: PlatformProcess), in round: Int, api: AdministrationClient,
            successor: Task<PlatformProcess, any Error>
        ) async throws {
            switch round % 3 {
            case 0:
                active.process.signal(SIGSTOP)
                _ = try await successor.value
                // It wakes up with a command on its way, and does not know that its time is over.
                let command = Task { try await api.createCredential(for: "dave", API.CredentialRequest()) }
                active.process.signal(SIGCONT)
                // By itself, or by the kernel where it was frozen while it acted.
                #expect([75, -SIGKILL].contains(await active.process.exitStatus()), "it stops")
                await #expect(throws: (any Error).self, "and has done nothing") { try await command.value }
            case 1:
                active.site.link.cut()
                _ = try await successor.value
                active.site.link.heal()
                #expect(await active.process.exitStatus() == 75, "it stops")
            default:
                await active.process.crash()
            }
        }

        /// From the last action of an epoch to the first one of the next.
        private func shortestPause(_ actions: [Action]) -> Double {
            zip(actions, actions.dropFirst()).filter { $0.epoch != $1.epoch }.map { $1.time - $0.time }.min() ?? 0
        }
    }
}

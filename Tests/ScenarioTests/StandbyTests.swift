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
        /// Rounds in which the active platform is frozen or killed; more by CLOUDWRIGHT_STANDBY_ROUNDS.
        private static let rounds =
            ProcessInfo.processInfo.environment["CLOUDWRIGHT_STANDBY_ROUNDS"].flatMap { Int($0) } ?? 6

        private func platform(on connection: String, token: String?) throws -> ScenarioPlatform {
            let own = try ScenarioPlatform { document in
                // Decisions come from the API alone.
                document.configuration.services = []
                document.configuration.failoverGroups = []
                let data = URL(fileURLWithPath: document.settings.dataDirectory)
                document.settings.logDatabase = .postgres(
                    connectionFile: data.deletingLastPathComponent().appendingPathComponent("postgres").path,
                    lease: .seconds(2))
            }
            func write(_ text: String, _ name: String) {
                _ = FileManager.default.createFile(
                    atPath: own.directory.appendingPathComponent(name).path, contents: Data(text.utf8),
                    attributes: [.posixPermissions: 0o600])
            }
            write(connection, "postgres")
            if let token { write(token + "\n", "administrator-token") }
            return own
        }

        /// Returns once it decides, however long it is the other's standby.
        private func start(_ own: ScenarioPlatform) async throws -> PlatformProcess {
            try await PlatformProcess.start(
                binary: Programs.cloudwright, configuration: own.configuration, directory: own.directory,
                limit: .seconds(300))
        }

        @Test("the active platform is frozen or killed again and again: never do two decide")
        func neverBoth() async throws {
            let server = try await PostgresServer.make()
            try await server.start()
            let connection = try await server.makeDatabase()
            let database = connection.split(separator: "=").last.map(String.init) ?? ""
            let first = try platform(on: connection, token: nil)
            var active = (own: first, process: try await start(first))
            let second = try platform(on: connection, token: active.process.administratorToken)
            var standby = (own: second, starting: Task { try await start(second) })
            var keys = 0
            for round in 0..<Self.rounds {
                let api = try AdministrationClient(
                    server: active.process.announcement.administration, token: active.process.administratorToken)
                for consumer in ["alice", "bob", "carol"] {
                    _ = try await api.createCredential(for: consumer, API.CredentialRequest())
                    keys += 1
                }
                let isFrozen = round % 2 == 0
                active.process.signal(isFrozen ? SIGSTOP : SIGKILL)
                let next = try await standby.starting.value
                if isFrozen {
                    // It wakes up with a command on its way, and does not know that its time is over.
                    let command = Task {
                        try await api.createCredential(for: "dave", API.CredentialRequest())
                    }
                    active.process.signal(SIGCONT)
                    #expect(await active.process.exitStatus() == 75, "it stops")
                    await #expect(throws: (any Error).self, "and has done nothing") { try await command.value }
                }
                let former = active.own
                active = (own: standby.own, process: next)
                standby = (own: former, starting: Task { try await start(former) })
            }
            let epochs = try await server.sql(
                "SELECT epoch FROM control_commit ORDER BY position, at, epoch", database: database
            ).split(separator: "\n").compactMap { Int($0) }
            #expect(epochs == epochs.sorted(), "no decision of an epoch after one of a later epoch")
            #expect(Set(epochs).count > Self.rounds, "each of them decided")
            let api = try AdministrationClient(
                server: active.process.announcement.administration, token: active.process.administratorToken)
            let stored = try await api.consumers().reduce(0) { $0 + $1.credentials.count }
            #expect(stored == keys, "every key that was given, and no other")
            // The standby takes over at once from one that ends in good order.
            #expect(await active.process.stop() == 0)
            #expect(await (try await standby.starting.value).stop() == 0)
            for own in [first, second] { try FileManager.default.removeItem(at: own.directory) }
            await server.remove()
        }
    }
}

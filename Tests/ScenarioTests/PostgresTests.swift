import AdministrationClient
import CloudModel
import Foundation
import LoadClient
import PostgresFixture
import Scenarios
import Testing

extension Scenarios {
    @Suite(.enabled(if: PostgresServer.isAvailable, "\(PostgresServer.obstacle ?? "")"))
    struct OnPostgres {
        /// A platform whose log database is on the server.
        private func platform(
            on server: PostgresServer, _ change: (inout CloudService) -> Void = { _ in }
        ) async throws -> (ScenarioPlatform, database: String) {
            let connection = try await server.makeDatabase()
            let own = try ScenarioPlatform { document in
                document.configuration.services.removeAll { $0.id != "shop" }
                change(&document.configuration.services[0])
                document.configuration.failoverGroups.removeAll { $0.service != "shop" }
                let data = URL(fileURLWithPath: document.settings.dataDirectory)
                document.settings.logDatabase = .postgres(
                    connectionFile: data.deletingLastPathComponent().appendingPathComponent("postgres").path)
            }
            _ = FileManager.default.createFile(
                atPath: own.directory.appendingPathComponent("postgres").path, contents: Data(connection.utf8),
                attributes: [.posixPermissions: 0o600])
            return (own, connection.split(separator: "=").last.map(String.init) ?? "")
        }

        @Test("the server crashes and the platform is killed under load: every response is metered exactly once")
        func meteredExactlyOnce() async throws {
            let server = try await PostgresServer.make()
            try await server.start()
            let (own, database) = try await platform(on: server)
            var platform = try await own.start()
            var context = try await ScenarioContext(platform: platform)
            _ = try await context.waitUntilUp(3, of: "shop")
            var journals: [URL] = []
            for round in 0..<4 {
                let journal = own.directory.appendingPathComponent("journal-\(round)")
                journals.append(journal)
                let running = context
                let load = Task {
                    try await running.load(
                        "shop", "/", perSecond: 400, milliseconds: 3_000, connections: 16, journal: journal)
                }
                try await Task.sleep(for: .milliseconds(700))
                await server.stop(immediate: true)
                try await Task.sleep(for: .milliseconds(500))
                if round % 2 == 1 { await platform.crash() }
                try await server.start()
                _ = try await load.value
                if round % 2 == 1 {
                    platform = try await own.start()
                    context = try ScenarioContext(context, on: platform)
                }
            }
            let ids = try journals.flatMap { journal in
                try String(contentsOf: journal, encoding: .utf8).split(separator: "\n")
                    .compactMap { $0.split(separator: "\t").first.map(String.init) }
            }
            #expect(ids.count > 2_000, "the load was served, also while the server was away")
            let wanted = Set(ids)
            let stored = try await context.eventually("the records of \(ids.count) responses") {
                let found = try await server.sql("SELECT request_id FROM usage", database: database)
                    .split(separator: "\n").map(String.init)
                return wanted.isSubset(of: found) ? found : nil
            }
            #expect(Set(stored).count == stored.count, "no record twice")
            #expect(wanted.count == ids.count, "no response twice")
            #expect(await platform.stop() == 0)
            try FileManager.default.removeItem(at: own.directory)
            await server.remove()
        }

        @Test("while the server is away, logins whose rule says so are refused, and all else goes on")
        func refusesUnaudited() async throws {
            let server = try await PostgresServer.make()
            try await server.start()
            let (own, database) = try await platform(on: server) { shop in shop.loginRules[0].whenUnauditable = .refuse
            }
            let platform = try await own.start()
            let context = try await ScenarioContext(platform: platform)
            _ = try await context.waitUntilUp(3, of: "shop")
            @Sendable func logIn() async throws -> HTTPResponse {
                try await context.call(
                    nil, "shop", "/login", method: "POST", headers: [HTTPField("Content-Type", "application/json")],
                    body: #"{"user": "alice", "password": "wonderland"}"#)
            }
            #expect(try await logIn().status == 200)
            await server.stop(immediate: true)
            let refusal = try await context.eventually("a refusal", within: .seconds(60)) {
                let answer = try await logIn()
                return answer.status == 200 ? nil : answer
            }
            #expect(refusal.status == 503 && refusal.text.contains("unauditable"), "\(refusal.text)")
            #expect(try await context.call(nil, "shop", "/").status == 200)
            try await server.start()
            _ = try await context.eventually("a login again", within: .seconds(60)) {
                try await logIn().status == 200 ? true : nil
            }
            let key = own.directory.appendingPathComponent("seals.pub")
            try Data(try await context.administration.verificationKey().key.utf8).write(to: key)
            #expect(await platform.stop() == 0)
            // What is left can be checked by whoever has the database and the key.
            let connection = "postgres:" + own.directory.appendingPathComponent("postgres").path
            #expect(try verify(connection, key) == 0)
            try await server.sql(
                "SET session_replication_role = replica; UPDATE audit_event SET reason = 'altered'",
                database: database)
            #expect(try verify(connection, key) == 1, "what was altered is found")
            try FileManager.default.removeItem(at: own.directory)
            await server.remove()
        }

        private func verify(_ database: String, _ key: URL) throws -> Int32 {
            let process = Process()
            process.executableURL = Programs.cloudwright
            process.arguments = ["audit", "verify", "--database", database, "--key-file", key.path]
            process.standardOutput = FileHandle.nullDevice
            process.standardError = FileHandle.nullDevice
            try process.run()
            process.waitUntilExit()
            return process.terminationStatus
        }

        @Test("a platform whose server is away does not start, and says why")
        func away() async throws {
            let server = try await PostgresServer.make()
            try await server.start()
            let (own, _) = try await platform(on: server)
            await server.stop()
            let refusal = await #expect(throws: (any Error).self) { try await own.start() }
            let words = "\(String(describing: refusal))"
            #expect(words.contains("log database cannot be reached"), "\(words)")
            #expect(words.contains("connectionFile"), "\(words)")
            try FileManager.default.removeItem(at: own.directory)
            await server.remove()
        }
    }
}

import AdministrationAPI
import AdministrationClient
import CloudModel
import Foundation
import Glibc
import PostgresFixture
import Scenarios
import Testing

extension Scenarios {
    /// A service of TCP in front of real PostgreSQL servers, used as consumers use it: by psql.
    @Suite(.enabled(if: PostgresServer.isAvailable, "\(PostgresServer.obstacle ?? "")"))
    struct DatabaseService {
        @Test("psql through the gateway: it works, bytes are metered, and when a server is killed another takes over")
        func postgresIsServedMeteredAndFailedOver() async throws {
            let servers = [try await Self.server(), try await Self.server()]
            for server in servers { try await server.start() }
            let port = try FreePort.find()
            let own = try ScenarioPlatform { document in
                document.configuration.services = [
                    Self.service(port: port, servers.map { Endpoint(address: "127.0.0.1", port: UInt16($0.port)) })
                ]
                document.configuration.failoverGroups = []
            }
            let platform = try await own.start()
            let context = try await ScenarioContext(platform: platform)
            _ = try await context.waitUntilUp(2, of: "books")
            let connection = "host=127.0.0.1 port=\(port) user=books dbname=postgres sslmode=disable"
            // A table on one of them, written and read through one session of psql.
            let table = try await Self.psql(
                connection,
                "CREATE TABLE sum (n int); INSERT INTO sum SELECT generate_series(1, 1000);"
                    + "SELECT sum(n) FROM sum; DROP TABLE sum")
            #expect(table == "500500")
            try await checkMeter(context, connection)
            try await checkFailover(context, connection, servers)
            #expect(await platform.stop() == 0)
            for server in servers { await server.remove() }
            try FileManager.default.removeItem(at: own.directory)
        }

        /// A result of known size, large enough that most of it is carried without copying.
        private func checkMeter(_ context: ScenarioContext, _ connection: String) async throws {
            let size = 20_000_000
            let before = try await context.eventually("the record of the first connection") {
                let now = try await usage(context)
                return now.requests == 1 ? now : nil
            }
            let text = try await Self.psql(connection, "SELECT repeat('x', \(size))")
            #expect(text.utf8.count == size)
            let after = try await context.eventually("the record of a connection") {
                let now = try await usage(context)
                return now.requests > before.requests ? now : nil
            }
            #expect(after.requests == before.requests + 1, "a connection is one request")
            // The rest is the protocol's: greetings, parameters, heads of messages.
            #expect((size...(size + 2_000)).contains(after.bytesOut - before.bytesOut), "\(after) after \(before)")
            #expect((40...2_000).contains(after.bytesIn - before.bytesIn), "\(after) after \(before)")
        }

        private func checkFailover(
            _ context: ScenarioContext, _ connection: String, _ servers: [PostgresServer]
        ) async throws {
            var seen: Set<String> = []
            for _ in 0..<20 { seen.insert(try await Self.psql(connection, "SHOW port")) }
            #expect(seen == Set(servers.map { "\($0.port)" }), "both serve")
            // A session on the server that is going to be killed: it ends, and is not taken for one that went well.
            let held = Task { try await Self.session(connection, "SELECT pg_sleep(60)") }
            _ = try await context.eventually("the session stands") {
                try await Self.sessions(servers) > 0 ? true : nil
            }
            let victim = try #require(servers.first)
            let other = try #require(servers.last)
            let onVictim = try await Self.sessions([victim]) > 0
            let (killed, left) = onVictim ? (victim, other) : (other, victim)
            try killed.kill()
            #expect(try await held.value != 0)
            for _ in 0..<20 { #expect(try await Self.psql(connection, "SHOW port") == "\(left.port)") }
            _ = try await context.waitUntilUp(1, of: "books")
            // It comes back, as after a crash, and is used again.
            try await killed.start()
            _ = try await context.waitUntilUp(2, of: "books")
            _ = try await context.eventually("both serve again") {
                try await Self.psql(connection, "SHOW port") == "\(killed.port)" ? true : nil
            }
        }

        private func usage(
            _ context: ScenarioContext
        ) async throws -> (requests: Int, bytesIn: Int, bytesOut: Int) {
            var filter = UsageFilter()
            filter.service = "books"
            let records = try await context.administration.usageRecords(filter, limit: 1_000)
            return (
                records.count { $0.outcome == .tunnel }, records.reduce(0) { $0 + Int($1.bytesIn) },
                records.reduce(0) { $0 + Int($1.bytesOut) }
            )
        }

        // MARK: Surroundings

        private static func server() async throws -> PostgresServer {
            try await PostgresServer.make(
                settings: ["listen_addresses = '127.0.0.1'"], port: Int(try FreePort.find()))
        }

        private static func service(port: UInt16, _ endpoints: [Endpoint]) -> CloudService {
            CloudService(
                id: "books", owner: "alice", routes: [], access: .anonymous, instances: .endpoints(endpoints),
                constraints: WorkloadConstraints(maximumInstances: endpoints.count),
                healthCheck: HealthCheck(
                    probe: .tcp, interval: .milliseconds(500), fastInterval: .milliseconds(50),
                    timeout: .milliseconds(500), rise: 1, fall: 2),
                loadBalancing: LoadBalancingSettings(slowStart: .zero),
                tcp: TCPSettings(listener: GatewayListener(Endpoint(address: "127.0.0.1", port: port))))
        }

        private static func psql(_ connection: String, _ statements: String) async throws -> String {
            let (status, output) = try await run(connection, statements)
            #expect(status == 0, "\(statements.prefix(40))")
            return output.trimmingCharacters(in: .whitespacesAndNewlines)
        }

        private static func session(_ connection: String, _ statement: String) async throws -> Int32 {
            try await run(connection, statement).status
        }

        private static func run(
            _ connection: String, _ statements: String
        ) async throws -> (status: Int32, output: String) {
            try await OtherProgram.run(
                "/usr/bin/psql",
                [
                    "--no-psqlrc", "--quiet", "--no-align", "--tuples-only", "--set=ON_ERROR_STOP=1",
                    "--dbname=\(connection)", "--command=\(statements)",
                ])
        }

        /// How many sleep on these servers.
        private static func sessions(_ servers: [PostgresServer]) async throws -> Int {
            var count = 0
            for server in servers {
                let text = try await server.sql(
                    "SELECT count(*) FROM pg_stat_activity WHERE query LIKE 'SELECT pg_sleep%'")
                count += Int(text) ?? 0
            }
            return count
        }
    }
}

/// A port of this machine's that nobody listens on.
enum FreePort {
    static func find() throws -> UInt16 {
        let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue), 0)
        defer { close(descriptor) }
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var length = socklen_t(MemoryLayout<sockaddr_in>.size)
        let result = withUnsafeMutablePointer(to: &address) { pointer in
            pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { name in
                bind(descriptor, name, length) == 0 && getsockname(descriptor, name, &length) == 0
            }
        }
        guard descriptor >= 0, result else { throw ScenarioFailure("no free port (error \(errno))") }
        return UInt16(bigEndian: address.sin_port)
    }
}

import CloudModel
import CloudPorts
import Foundation
import LogDatabaseContract
import LogDatabasePostgres
import PostgresFixture
import Testing

/// The connection, or the server, is lost while the books are written: nothing is lost and nothing is there twice.
@Suite(.enabled(if: PostgresServer.isAvailable, noServer))
struct LossTests {
    /// Tries until it succeeds, as the control plane and the ingestion of the spool do.
    private static func insist<Value: Sendable>(
        _ body: @Sendable () async throws(LogDatabaseError) -> Value
    ) async throws -> (value: Value, failures: Int) {
        var failures = 0
        let deadline = Date(timeIntervalSinceNow: 120)
        while true {
            do throws(LogDatabaseError) { return (try await body(), failures) } catch {
                guard error.code == .unavailable, Date() < deadline else { throw error }
                failures += 1
                try await Task.sleep(for: .milliseconds(20))
            }
        }
    }

    /// Writes decisions and batches until told to stop; gives back how many of each, and the failures met.
    private static func work(
        _ database: PostgresLogDatabase, _ progress: Progress
    ) async throws -> (rounds: Int, failures: Int) {
        do { return try await rounds(database, progress) } catch {
            await progress.end()
            throw error
        }
    }

    private static func rounds(
        _ database: PostgresLogDatabase, _ progress: Progress
    ) async throws -> (rounds: Int, failures: Int) {
        var (rounds, failures) = (0, 0)
        while await !progress.isOver {
            let first = UInt64(rounds * 10 + 1)
            failures += try await insist { () throws(LogDatabaseError) in
                // As the spool does: from the mark on.
                let mark = try await database.highWaterMark(ofSource: "gateway-1/0") ?? 0
                guard mark < first + 9 else { return }
                try await database.ingest(Samples.usageBatch((mark + 1)...(first + 9)))
            }.failures
            var transaction = ControlTransaction()
            transaction.events = [Samples.event("round.\(rounds)")]
            let decision = transaction
            failures += try await insist { () throws(LogDatabaseError) in try await database.commit(decision) }.failures
            rounds += 1
            await progress.advance()
        }
        return (rounds, failures)
    }

    /// Reads are tried again as well: a connection may find out only now that its server has crashed.
    private static func check(_ database: PostgresLogDatabase, rounds: Int) async throws {
        var all = EventQuery()
        all.limit = 1_000_000
        let query = all
        let events = try await insist { () throws(LogDatabaseError) in try await database.events(query) }.value
        #expect(events.elements.map(\.kind) == (0..<rounds).map { "round.\($0)" }, "every decision once")
        let usage = try await insist { () throws(LogDatabaseError) in
            try await database.requestUsage(UsageQuery())
        }.value
        #expect(usage.reduce(0) { $0 + $1.requests } == Int64(rounds * 10), "every record once")
        let gaps = try await insist { () throws(LogDatabaseError) in
            try await database.recordGaps(from: .epoch, until: .distantFuture, limit: 10)
        }.value
        #expect(gaps == [])
    }

    /// How far the work is: faults come by that, not by the clock, so that there is work between them on any machine.
    private actor Progress {
        private(set) var isOver = false
        private var rounds = 0
        private var waiter: (rounds: Int, continuation: CheckedContinuation<Void, Never>)?

        func advance() {
            rounds += 1
            if let waiter, waiter.rounds <= rounds { resume() }
        }

        func end() {
            isOver = true
            resume()
        }

        /// Returns after so many more rounds, or once the work has ended.
        func more(_ count: Int) async {
            guard !isOver else { return }
            await withCheckedContinuation { waiter = (rounds + count, $0) }
        }

        private func resume() {
            waiter?.continuation.resume()
            waiter = nil
        }
    }

    @Test func aServerThatCrashesUnderLoadLosesNothing() async throws {
        let server = try await PostgresServer.make()
        try await server.start()
        let settings = try PostgresConnectionSettings(try await server.makeDatabase())
        let database = try await PostgresLogDatabase.open(settings)
        let progress = Progress()
        async let work = Self.work(database, progress)
        for round in 0..<6 {
            await progress.more(3)
            await server.stop(immediate: round % 2 == 0)
            try await server.start()
        }
        await progress.end()
        let (rounds, failures) = try await work
        #expect(rounds >= 18)
        #expect(failures > 0, "the server was away")
        try await Self.check(database, rounds: rounds)
        await database.close()
        await server.remove()
    }

    /// The answer to a commit is cut off: it cannot be known whether it is stored, until it is looked up.
    @Test func aDecisionWhoseCommitIsInDoubtIsStoredOnce() async throws {
        let server = try await SharedPostgres.running()
        let name = try await SharedPostgres.database().split(separator: "=").last.map(String.init) ?? ""
        let cutter = try CommitCutter(to: "\(server.directory)/.s.PGSQL.\(server.port)", port: server.port)
        let database = try await PostgresLogDatabase.open(
            PostgresConnectionSettings("host=\(cutter.directory) port=\(server.port) user=books dbname=\(name)"))
        for round in 0..<20 {
            if round % 2 == 0 { cutter.cutNext() }
            var transaction = ControlTransaction()
            transaction.events = [Samples.event("round.\(round)")]
            let decision = transaction
            let result = try await Self.insist { () throws(LogDatabaseError) in try await database.commit(decision) }
            #expect(result.value == Int64(round + 1))
            #expect(result.failures == (round % 2 == 0 ? 1 : 0))
        }
        #expect(try await database.lastEventPosition() == 20)
        await database.close()
        cutter.close()
    }

    /// A primary dies under load; its replica, which every commit waited for, takes over.
    @Test func aPromotedReplicaHasEverythingThatWasWritten() async throws {
        let primary = try await PostgresServer.make(settings: ["wal_level = replica", "max_wal_senders = 4"])
        try await primary.start()
        let first = try await primary.makeDatabase()
        let replica = try await primary.makeReplica(named: "standby")
        try await replica.start()
        try await primary.sql("ALTER SYSTEM SET synchronous_standby_names = 'standby'")
        try await primary.sql("SELECT pg_reload_conf()")
        let name = first.split(separator: "=").last.map(String.init) ?? ""
        let both = "host=\(primary.directory),\(replica.directory) port=\(primary.port) user=books dbname=\(name)"
        let database = try await PostgresLogDatabase.open(
            PostgresConnectionSettings(both + " target_session_attrs=read-write"))
        let progress = Progress()
        async let work = Self.work(database, progress)
        await progress.more(5)
        await primary.stop(immediate: true)
        try await replica.sql("ALTER SYSTEM SET synchronous_standby_names = ''")
        try await replica.promote()
        await progress.more(5)
        await progress.end()
        let (rounds, failures) = try await work
        #expect(failures > 0, "the primary was away")
        try await Self.check(database, rounds: rounds)
        #expect(try await replica.sql("SELECT pg_is_in_recovery()") == "f")
        await database.close()
        await primary.remove()
        await replica.remove()
    }
}

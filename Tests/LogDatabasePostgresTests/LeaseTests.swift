import CloudModel
import CloudPorts
import Foundation
import LogDatabaseContract
import LogDatabasePostgres
import PostgresFixture
import Testing

/// Of several control planes on one log database, one decides.
@Suite(.enabled(if: PostgresServer.isAvailable, noServer))
struct LeaseTests {
    private func open(_ count: Int) async throws -> [PostgresLogDatabase] {
        let settings = try PostgresConnectionSettings(try await SharedPostgres.database())
        var databases: [PostgresLogDatabase] = []
        for _ in 0..<count { databases.append(try await PostgresLogDatabase.open(settings)) }
        return databases
    }

    private func decision(_ kind: String) -> ControlTransaction {
        var transaction = ControlTransaction()
        transaction.events = [Samples.event(kind)]
        return transaction
    }

    /// Waits for the server's clock.
    private func insist(_ database: PostgresLogDatabase, _ holder: String, for duration: TimeSpan) async throws -> Int64
    {
        let deadline = Date(timeIntervalSinceNow: 60)
        while Date() < deadline {
            if case .held(let epoch) = try await database.acquireLease(holder: holder, for: duration) { return epoch }
            try await Task.sleep(for: .milliseconds(20))
        }
        Issue.record("the lease never lapsed")
        return 0
    }

    @Test func ofManyAtOnceOneGetsIt() async throws {
        let databases = try await open(6)
        let held = try await withThrowingTaskGroup(of: Bool.self) { group in
            for (index, database) in databases.enumerated() {
                group.addTask {
                    if case .held = try await database.acquireLease(holder: "p\(index)", for: .minutes(5)) {
                        return true
                    }
                    return false
                }
            }
            return try await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
        }
        #expect(held == 1)
        for database in databases { await database.close() }
    }

    @Test func whoLetItLapseCanDecideNothingOnceAnotherHasIt() async throws {
        let databases = try await open(2)
        let (first, second) = (databases[0], databases[1])
        #expect(try await first.acquireLease(holder: "a", for: .milliseconds(200)) == .held(epoch: 1))
        try await first.commit(decision("by a"))
        // Nobody has taken it: a lapse alone takes nothing away.
        try await Task.sleep(for: .milliseconds(300))
        try await first.commit(decision("by a, late"))
        try await first.renewLease(for: .milliseconds(200))
        #expect(try await insist(second, "b", for: .minutes(5)) == 2)
        let late = await #expect(throws: LogDatabaseError.self) {
            try await first.commit(decision("by a, too late"))
        }
        let setting = await #expect(throws: LogDatabaseError.self) { try await first.setSetting("a", to: "b") }
        let renewal = await #expect(throws: LogDatabaseError.self) { try await first.renewLease(for: .minutes(5)) }
        #expect([late, setting, renewal].map { $0?.code } == [.superseded, .superseded, .superseded])
        try await second.commit(decision("by b"))
        let kinds = try await second.events(EventQuery()).elements.map(\.kind)
        #expect(kinds == ["by a", "by a, late", "by b"])
        // What has happened is taken from everybody.
        #expect(try await first.ingest(Samples.usageBatch(1...3)).stored == 3)
        guard
            case .heldByAnother(let holder, let remaining) = try await first.acquireLease(holder: "a", for: .minutes(5))
        else { return #expect(Bool(false), "the lease is taken") }
        #expect(holder == "b")
        #expect(remaining > .minutes(4))
        try await second.releaseLease()
        #expect(try await first.acquireLease(holder: "a", for: .minutes(5)) == .held(epoch: 3))
        for database in databases { await database.close() }
    }

    @Test func whoSucceedsByNameWaitsForNobody() async throws {
        let databases = try await open(2)
        let (first, second) = (databases[0], databases[1])
        #expect(try await first.acquireLease(holder: "a, process 1", for: .minutes(5)) == .held(epoch: 1))
        // Another name is no succession.
        guard
            case .heldByAnother = try await second.acquireLease(
                holder: "a, process 2", succeeding: "b, process 1", for: .minutes(5))
        else { return #expect(Bool(false), "the lease is taken") }
        let attempt = try await second.acquireLease(
            holder: "a, process 2", succeeding: "a, process 1", for: .minutes(5))
        #expect(attempt == .held(epoch: 2))
        let late = await #expect(throws: LogDatabaseError.self) { try await first.commit(decision("too late")) }
        #expect(late?.code == .superseded)
        try await second.commit(decision("by the successor"))
        for database in databases { await database.close() }
    }

    /// Epochs of the stored decisions only grow, however the holders change while they write.
    @Test func decisionsOfTwoHoldersNeverMix() async throws {
        let databases = try await open(3)
        try await withThrowingTaskGroup(of: Void.self) { group in
            for (index, database) in databases.enumerated() {
                group.addTask {
                    for _ in 0..<8 {
                        let epoch = try await insist(database, "p\(index)", for: .milliseconds(100))
                        // Goes on without prolonging it until another has taken over.
                        for number in 0..<2_000 {
                            do throws(LogDatabaseError) {
                                try await database.commit(decision("\(epoch).\(number)"))
                            } catch {
                                #expect(error.code == .superseded)
                                break
                            }
                        }
                    }
                }
            }
            try await group.waitForAll()
        }
        var query = EventQuery()
        query.limit = 1_000_000
        let epochs = try await databases[0].events(query).elements.compactMap { event in
            event.kind.split(separator: ".").first.flatMap { Int64($0) }
        }
        #expect(epochs == epochs.sorted())
        #expect(Set(epochs).count > 3, "the lease changed hands")
        for database in databases { await database.close() }
    }
}

import CloudModel
import CloudPorts
import Foundation
import GRDB
import Glibc
import LogDatabaseContract
import LogDatabaseSQLite
import Testing

/// Files that are broken, full, foreign or busy.
@Suite struct FaultTests {
    @Test func aFileThatIsNoDatabaseIsCorrupted() throws {
        let file = try DatabaseFile()
        try Data(repeating: 0x41, count: 100_000).write(to: URL(fileURLWithPath: file.path))
        let refusal = #expect(throws: LogDatabaseError.self) { try file.open() }
        #expect(refusal?.code == .corrupted)
        #expect(refusal?.message.contains(file.path) == true)
    }

    @Test func theDatabaseOfAnotherProgramIsLeftAlone() throws {
        let file = try DatabaseFile()
        try file.raw { try $0.execute(sql: "CREATE TABLE theirs (id INTEGER PRIMARY KEY)") }
        let refusal = #expect(throws: LogDatabaseError.self) { try file.open() }
        #expect(refusal?.code == .corrupted)
        #expect(try file.raw { try String.fetchAll($0, sql: "SELECT name FROM sqlite_master") } == ["theirs"])
    }

    @Test func aDirectoryThatIsNotThereIsAStorageError() throws {
        let refusal = #expect(throws: LogDatabaseError.self) {
            try SQLiteLogDatabase(path: "/nonexistent/directory/log.sqlite")
        }
        #expect(refusal?.code == .storage)
    }

    @Test func aDamagedPageIsReportedAsCorrupted() async throws {
        let file = try DatabaseFile()
        var database = try file.open()
        try await database.ingest(Samples.usageBatch(1...5_000))
        await database.close()
        var bytes = try Data(contentsOf: URL(fileURLWithPath: file.path))
        for offset in stride(from: bytes.count / 8_192 * 4_096, to: bytes.count, by: 4_096) {
            bytes.replaceSubrange(offset..<(offset + 64), with: Data(repeating: 0xA5, count: 64))
        }
        try bytes.write(to: URL(fileURLWithPath: file.path))
        database = try file.open()
        let refusal = await #expect(throws: LogDatabaseError.self) {
            _ = try await database.usageRecords(UsageQuery(), limit: 5_000)
        }
        #expect(refusal?.code == .corrupted)
        await database.close()
    }

    @Test func aDatabaseThatAnotherProcessHoldsIsUnavailable() async throws {
        let file = try DatabaseFile()
        let database = try file.open()
        var configuration = Configuration()
        configuration.allowsUnsafeTransactions = true
        let other = try DatabaseQueue(path: file.path, configuration: configuration)
        try await other.writeWithoutTransaction { try $0.execute(sql: "BEGIN IMMEDIATE") }
        let refusal = await #expect(throws: LogDatabaseError.self) {
            try await database.setSetting("a", to: "b")
        }
        #expect(refusal?.code == .unavailable)
        try await other.writeWithoutTransaction { try $0.execute(sql: "ROLLBACK") }
        try await database.setSetting("a", to: "b")
        #expect(try await database.setting("a") == "b")
        await database.close()
    }

    @Test func aFullDiskIsAStorageErrorAndLosesNothing() async throws {
        let file = try DatabaseFile()
        let database = try file.open()
        try await database.ingest(Samples.usageBatch(1...100))
        try await database.limitPages(to: 60)
        let refusal = await #expect(throws: LogDatabaseError.self) {
            try await database.ingest(Samples.usageBatch(101...20_000))
        }
        #expect(refusal?.code == .storage)
        #expect(try await database.highWaterMark(ofSource: "gateway-1/0") == 100)
        try await database.limitPages(to: 1_000_000)
        let outcome = try await database.ingest(Samples.usageBatch(101...20_000))
        #expect(outcome.stored == 19_900)
        await database.close()
    }

    /// Records are stored without the look at each reference; everything else is not, also after a failure.
    @Test func referencesAreCheckedAgainAfterRecordsWereStored() async throws {
        let file = try DatabaseFile()
        let database = try file.open()
        try await database.ingest(Samples.usageBatch(1...10))
        #expect(try await database.checksReferences())
        try await database.limitPages(to: 1)
        await #expect(throws: LogDatabaseError.self) { try await database.ingest(Samples.usageBatch(11...20_000)) }
        #expect(try await database.checksReferences())
        await database.close()
    }

    /// The ids of names are remembered; one that was taken out of the file by hand is not written into records.
    @Test func aNameThatIsGoneIsNotReferredTo() async throws {
        let file = try DatabaseFile()
        let database = try file.open()
        try await database.ingest(Samples.usageBatch(1...10))
        try file.raw { connection in
            try connection.execute(sql: "PRAGMA foreign_keys = OFF; DELETE FROM name WHERE text = 'shop-1'")
        }
        let refusal = await #expect(throws: LogDatabaseError.self) {
            try await database.ingest(Samples.usageBatch(11...20))
        }
        #expect(refusal?.code == .corrupted)
        #expect(try await database.highWaterMark(ofSource: "gateway-1/0") == 10)
        await database.close()
    }
}

/// SIGKILL at a random moment: what a write returned for is there afterwards, and nothing is there by half.
@Suite(.serialized) struct KillTests {
    @Test(arguments: [40, 80, 160, 320])
    func acknowledgedWritesSurviveSIGKILL(milliseconds: Int) async throws {
        let file = try DatabaseFile()
        let directory = file.directory
        await #expect(processExitsWith: .signal(SIGKILL)) {
            [directory = directory as String, milliseconds = milliseconds as Int] in
            try await KillTests.writeUntilKilled(directory: directory, milliseconds: milliseconds)
        }
        let acknowledged = try Data(contentsOf: URL(fileURLWithPath: directory + "/acknowledged"))
            .withUnsafeBytes { $0.loadUnaligned(as: UInt64.self) }
        #expect(acknowledged > 0)
        let database = try file.open()
        let mark = try await database.highWaterMark(ofSource: "gateway-1/0") ?? 0
        let events = UInt64(try await database.lastEventPosition())
        let total = try await database.requestUsage(UsageQuery()).reduce(0) { $0 + UInt64($1.requests) }
        // Each round stores a batch of ten, then an event.
        #expect(mark >= acknowledged * 10 && mark % 10 == 0)
        #expect(total == mark)
        #expect(events >= acknowledged && events <= mark / 10)
        #expect(try await database.ingest(Samples.usageBatch((mark + 1)...(mark + 10))).gap == 0)
        await database.close()
    }

    static func writeUntilKilled(directory: String, milliseconds: Int) async throws {
        let file = Glibc.open(directory + "/acknowledged", O_RDWR | O_CREAT, 0o600)
        ftruncate(file, 8)
        let counter = Acknowledged(mmap(nil, 8, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0)!)
        let database = try SQLiteLogDatabase(path: directory + "/log.sqlite")
        var round: UInt64 = 0
        while true {
            try await database.ingest(Samples.usageBatch((round * 10 + 1)...(round * 10 + 10)))
            var transaction = ControlTransaction()
            transaction.events = [Samples.event("round")]
            try await database.commit(transaction)
            round += 1
            counter.rounds.pointee = round
            // The clock starts with the first round, however slow the machine is.
            if round == 1 {
                Thread.detachNewThread {
                    usleep(UInt32(milliseconds) * 1_000)
                    kill(getpid(), SIGKILL)
                }
            }
        }
    }

    /// Memory that outlives the process in the file it is mapped from.
    private struct Acknowledged: @unchecked Sendable {
        let rounds: UnsafeMutablePointer<UInt64>

        init(_ memory: UnsafeMutableRawPointer) { rounds = memory.assumingMemoryBound(to: UInt64.self) }
    }
}

import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import LogDatabaseContract
import LogDatabasePostgres
import LogDatabaseSQLite
import Logging
import MerkleLog
import PostgresFixture
import SealedBooks
import Testing

@Suite(.enabled(if: PostgresServer.isAvailable, "\(PostgresServer.obstacle ?? "")"))
struct MigrateLogTests {
    /// A file with something in every table, sealed; and an empty database with the file that says where it is.
    private struct Place {
        let directory: URL
        let connection: String

        var file: String { directory.appendingPathComponent("log.sqlite").path }
        var connectionFile: String { directory.appendingPathComponent("postgres").path }
        var keyFile: String { directory.appendingPathComponent("key").path }

        init() async throws {
            directory = FileManager.default.temporaryDirectory.appendingPathComponent("migrate-\(UUID().uuidString)")
            try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
            connection = try await SharedPostgres.database()
            _ = FileManager.default.createFile(
                atPath: connectionFile, contents: Data(connection.utf8), attributes: [.posixPermissions: 0o600])
            let signer = try LiveServer.signer
            try Data((signer.verifier.description + "\n").utf8).write(to: URL(fileURLWithPath: keyFile))
            let database = try SQLiteLogDatabase(path: file)
            try await Self.fill(database)
            let sealer = LogSealer(
                database: database, signer: signer, now: { Samples.start }, logger: Logger(label: "test"))
            await sealer.seal()
            await database.close()
        }

        func migrate(_ more: String...) async -> CommandLine.Outcome {
            await CommandLine().run(
                ["migrate-log", "--from", "sqlite:\(file)", "--to", "postgres:\(connectionFile)"] + more)
        }

        func remove() { try? FileManager.default.removeItem(at: directory) }

        private static func fill(_ database: SQLiteLogDatabase) async throws {
            var records = Samples.oddTexts.enumerated().flatMap { index, text -> [SpoolRecord] in
                let number = UInt64(index)
                return [
                    .usage(Samples.usage(number, consumer: ConsumerID(text), instance: InstanceID(text))),
                    .usage(Samples.usage(100 + number, instance: nil, busy: nil)),
                    .audit(Samples.audit(number, principal: text, tag: index % 2 == 0 ? nil : text)),
                ]
            }
            records.append(.lost(count: 3, since: Samples.start, until: Samples.start))
            try await database.ingest(Samples.batch(1, records))
            try await database.ingest(Samples.usageBatch(200...210, source: "gateway-1/1"))
            try await database.ingest(Samples.usageBatch(150...151, source: "gateway-1/1"))
            var other = Samples.usage(200)
            other.bytesOut = 9
            try await database.ingest(Samples.batch(200, [.usage(other)], source: "gateway-1/1"))
            _ = try await database.ingest([Samples.usageEvent("a"), Samples.usageEvent("b\u{0}")])
            var transaction = ControlTransaction()
            transaction.events = Samples.oddTexts.map { Samples.event("k." + $0, summary: $0, details: [$0: $0]) }
            transaction.configuration = Samples.configuration
            transaction.instances = [Samples.instance("shop-1")]
            transaction.incidents = [StoredIncident(id: "i", open: true, json: #"{"a":"␀ \n\t"}"#)]
            transaction.ordinals = ["shop": 12]
            transaction.operations = [Samples.operation("op-1")]
            transaction.lifecycle = [Samples.lifecycle(.start), Samples.lifecycle(.stop, inferred: true)]
            transaction.notifications = [
                AddressedNotification(
                    notification: Samples.notification("n", title: "␀\u{0}\n"),
                    channels: [.log, .email(address: "a@b.c")])
            ]
            transaction.bills = [try Samples.bill("2026-11", text: "␀\\\t\r\n")]
            transaction.credits = [try Samples.credit("c")]
            try await database.commit(transaction)
            try await database.heartbeat(["shop-1"], at: Samples.start)
            try await database.store(
                Administrator(name: "admin", role: .administrator, tokenDigest: "aa", createdAt: Samples.start))
            _ = try await database.spend(token: "t", at: Samples.start)
            try await database.setSetting("a\u{0}", to: "b")
            try await database.store(
                StoredResponse(
                    requestDigest: "d", status: 201, headers: ["a": "␀"], body: [0, 255, 10, 92], at: Samples.start),
                idempotencyKey: "k")
        }
    }

    @Test("everything is moved, compared, and goes on where it was")
    func moved() async throws {
        let place = try await Place()
        defer { place.remove() }
        let outcome = await place.migrate("--key-file", place.keyFile)
        #expect(outcome.code == 0, "\(outcome.error)")
        #expect(outcome.error.contains("seals of"), "\(outcome.error)")
        let old = try SQLiteLogDatabase(path: place.file)
        let new = try await PostgresLogDatabase.open(PostgresConnectionSettings(place.connection))
        #expect(try await new.recoveredState() == old.recoveredState())
        var events = EventQuery()
        events.limit = 1_000
        #expect(try await new.events(events).elements == old.events(events).elements)
        #expect(try await new.auditEvents(AuditQuery()).elements == old.auditEvents(AuditQuery()).elements)
        #expect(try await new.usageRecords(UsageQuery(), limit: 999) == old.usageRecords(UsageQuery(), limit: 999))
        #expect(try await new.requestUsage(UsageQuery()) == old.requestUsage(UsageQuery()))
        #expect(try await new.lateUsageRecords(after: 0, limit: 9) == old.lateUsageRecords(after: 0, limit: 9))
        #expect(try await new.usageEvents(after: 0, limit: 9) == old.usageEvents(after: 0, limit: 9))
        #expect(
            try await new.storedLifecycleEvents(after: 0, limit: 9) == old.storedLifecycleEvents(after: 0, limit: 9))
        #expect(try await new.notifications(after: nil, limit: 9) == old.notifications(after: nil, limit: 9))
        #expect(
            try await new.dueDeliveries(at: .distantFuture, limit: 9)
                == old.dueDeliveries(at: .distantFuture, limit: 9))
        #expect(try await new.bills(BillQuery()) == old.bills(BillQuery()))
        #expect(try await new.administrators() == old.administrators())
        #expect(try await new.setting("a\u{0}") == "b")
        #expect(try await new.storedResponse(idempotencyKey: "k") == old.storedResponse(idempotencyKey: "k"))
        // What comes next comes after it.
        for database in [old, new] as [any LogDatabase] {
            #expect(try await database.ingest(Samples.usageBatch(211...212, source: "gateway-1/1")).stored == 2)
            _ = try await database.ingest(Samples.usageBatch(500...501, source: "gateway-9/0"))
            var transaction = ControlTransaction()
            transaction.events = [Samples.event("next")]
            transaction.credits = [try Samples.credit("next")]
            #expect(try await database.commit(transaction) == Int64(Samples.oddTexts.count) + 1)
        }
        await old.close()
        await new.close()
    }

    @Test("a database that holds something is left as it is, and so is one where anything differs")
    func refused() async throws {
        let place = try await Place()
        defer { place.remove() }
        #expect(await place.migrate().code == 0)
        let again = await place.migrate()
        #expect(again.code == 1)
        #expect(again.error.contains("holds a log already"), "\(again.error)")
        #expect(again.error.contains("nothing was moved"), "\(again.error)")
        let wrong = await CommandLine().run(["migrate-log", "--from", place.file, "--to", "postgres:x"])
        #expect(wrong.code == 2)
        #expect(wrong.error.contains("sqlite:"))
    }
}

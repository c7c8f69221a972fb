import CloudModel
import CloudPorts
import Foundation
import GRDB
import LogDatabaseContract
import LogDatabaseSQLite
import Logging
import MerkleLog
import SealedBooks
import Testing

/// A database with sealed books, which a forger who can write to the file gets at.
private final class SealedDatabase {
    let directory = FileManager.default.temporaryDirectory.appendingPathComponent("cloudwright-\(UUID().uuidString)")
    let signer: CheckpointSigner
    let database: SQLiteLogDatabase
    let sealer: LogSealer
    var witness: URL { directory.appendingPathComponent("witness") }
    private var file: String { directory.appendingPathComponent("log.sqlite").path }

    init() throws {
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        signer = try CheckpointSigner(name: "cloud", seed: (0..<32).map { _ in .random(in: 0...255) })
        database = try SQLiteLogDatabase(path: directory.appendingPathComponent("log.sqlite").path)
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        sealer = LogSealer(
            database: database, signer: signer, witness: directory.appendingPathComponent("witness"),
            now: { Samples.start }, logger: logger)
    }

    deinit { try? FileManager.default.removeItem(at: directory) }

    /// Records of every log, sealed in three steps, and some that are not sealed yet.
    func fill() async throws {
        for step in 0..<4 {
            let first = UInt64(step * 10 + 1)
            try await database.ingest(Samples.usageBatch(first...(first + 6)))
            try await database.ingest(Samples.batch(first + 7, [.audit(Samples.audit(first, principal: "nul\u{0}é"))]))
            try await database.ingest(Samples.batch(first + 9, [.usage(Samples.usage(first + 9))]))
            // Number 9 of each step comes after number 10.
            try await database.ingest(Samples.batch(first + 8, [.usage(Samples.usage(first + 8))]))
            var transaction = ControlTransaction()
            transaction.events = [Samples.event("constraint.changed", details: ["b": "2", "a": "1"])]
            transaction.lifecycle = [
                LifecycleEvent(
                    instance: "shop-1", incarnation: step, service: "shop", owner: "acme", kind: .start,
                    at: Samples.start, resources: ResourceLimits(cpuMillicores: 500))
            ]
            try await database.commit(transaction)
            _ = try await database.ingest([Samples.usageEvent("\(step)")])
            if step < 3 { await sealer.seal() }
        }
    }

    func forge(_ sql: String, _ arguments: StatementArguments = []) throws {
        let queue = try DatabaseQueue(path: file)
        defer { try? queue.close() }
        try queue.writeWithoutTransaction { database in
            let triggers = try String.fetchAll(
                database, sql: "SELECT name FROM sqlite_master WHERE type = 'trigger'")
            #expect(!triggers.isEmpty, "the books are append-only to those who keep to the rules")
            for trigger in triggers { try database.execute(sql: "DROP TRIGGER \(trigger)") }
            try database.execute(sql: sql, arguments: arguments)
            #expect(database.changesCount > 0, "the forgery changed something: \(sql)")
        }
    }

    func findings(witnessed: Bool = false) async throws -> [String: LogVerification.Finding] {
        var notes: [String] = []
        if witnessed { notes = LogVerification.notes(in: try String(contentsOf: witness, encoding: .utf8)) }
        let verification = try LogVerification(of: database, verifier: signer.verifier, witnessed: notes)
        return Dictionary(uniqueKeysWithValues: try await verification.run().map { ($0.log, $0) })
    }
}

@Suite struct LogVerificationTests {
    @Test func whatWasNotAlteredIsAsSealed() async throws {
        let sealed = try SealedDatabase()
        try await sealed.fill()
        let findings = try await sealed.findings(witnessed: true)
        #expect(
            Set(findings.keys) == [
                "audit", "lifecycle", "platform-events", "usage-events", "usage-late", "usage/gateway-1/0",
            ])
        for finding in findings.values { #expect(finding.fault == nil, "\(finding.log)") }
        #expect(findings["audit"]?.records == 4)
        #expect(findings["audit"]?.sealed == 3)
        #expect(findings["audit"]?.seals == 3)
        #expect(findings["usage/gateway-1/0"]?.records == 32)
        #expect(findings["usage/gateway-1/0"]?.sealed == 24)
        #expect(findings["usage-late"]?.sealed == 3)
        #expect(findings["platform-events"]?.sealed == 3)
    }

    /// Goes on from the last seal, also after a restart and where nothing has come.
    @Test func sealingGoesOnWhereItEnded() async throws {
        let sealed = try SealedDatabase()
        try await sealed.fill()
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let restarted = LogSealer(
            database: sealed.database, signer: sealed.signer, now: { Samples.start }, logger: logger)
        await restarted.seal()
        await restarted.seal()
        #expect(restarted.health == "ok")
        let findings = try await sealed.findings()
        #expect(findings["usage/gateway-1/0"]?.seals == 4)
        for finding in findings.values {
            #expect(finding.fault == nil)
            #expect(finding.sealed == finding.records, "\(finding.log)")
        }
    }

    @Test func anErasedPersonLeavesTheLogAsSealed() async throws {
        let sealed = try SealedDatabase()
        try await sealed.fill()
        let outcome = try await sealed.database.eraseLogins(
            of: "nul\u{0}é", commitment: { LeafContent.commitment(to: $0, salt: $1) },
            event: { _ in Samples.event("audit.erased") })
        #expect(outcome == ErasureOutcome(erased: 4, kept: 0))
        await sealed.sealer.seal()
        let findings = try await sealed.findings(witnessed: true)
        for finding in findings.values { #expect(finding.fault == nil, "\(finding.log)") }
        #expect(findings["audit"]?.sealed == 4)
        // What stays of an erased login cannot be altered either.
        try sealed.forge("UPDATE audit_event SET outcome = 'success' WHERE position = 2")
        #expect(try await sealed.findings()["audit"]?.fault != nil)
    }

    static let forgeries: [(log: String, sql: String)] = [
        ("usage/gateway-1/0", "UPDATE usage_record SET bytes_out = bytes_out + 1 WHERE sequence = 3"),
        ("usage/gateway-1/0", "UPDATE usage_record SET completed_at = completed_at + 1 WHERE sequence = 21"),
        ("audit", "UPDATE audit_event SET principal = 'somebody else' WHERE position = 1"),
        ("audit", "UPDATE audit_event SET salt = upper(salt) WHERE position = 1"),
        ("audit", "UPDATE audit_event SET salt = NULL, commitment = hex(randomblob(32)) WHERE position = 1"),
        ("audit", "UPDATE audit_event SET salt = NULL WHERE position = 1"),
        ("usage/gateway-1/0", "DELETE FROM usage_record WHERE sequence = 1"),
        ("usage/gateway-1/0", "DELETE FROM usage_record WHERE sequence >= 20 AND sequence NOT IN (19, 29, 39)"),
        ("usage-late", "UPDATE usage_record SET status = 500 WHERE sequence = 9"),
        ("usage-late", "DELETE FROM usage_late WHERE position = 1"),
        ("audit", "UPDATE audit_event SET principal = 'mallory' WHERE position = 1"),
        ("audit", "UPDATE audit_event SET outcome = 'success' WHERE position = 2"),
        ("audit", "UPDATE audit_event SET forwarded_at = NULL WHERE position = 2"),
        ("audit", "UPDATE audit_event SET position = CASE position WHEN 1 THEN -1 ELSE position END"),
        ("audit", "DELETE FROM audit_event WHERE position >= 3"),
        ("platform-events", #"UPDATE platform_event SET details = '{"a":"1"}' WHERE position = 2"#),
        ("platform-events", "UPDATE platform_event SET actor = 'somebody' WHERE position = 3"),
        ("platform-events", "DELETE FROM platform_event WHERE position = 1"),
        ("lifecycle", "UPDATE lifecycle_event SET at = at - 1 WHERE position = 2"),
        ("lifecycle", "UPDATE lifecycle_event SET owner = NULL WHERE position = 1"),
        ("lifecycle", "UPDATE lifecycle_event SET cpu_millicores = 600 WHERE position = 3"),
        ("usage-events", "UPDATE usage_event SET micro_units = micro_units + 1 WHERE position = 2"),
        ("usage-events", "UPDATE usage_event SET consumer = 'globex' WHERE position = 1"),
        ("usage-events", "DELETE FROM usage_event WHERE position = 3"),
        ("lifecycle", "DELETE FROM lifecycle_event WHERE position = 3"),
    ]

    @Test(arguments: forgeries.indices) func everyForgeryIsFound(index: Int) async throws {
        let forgery = Self.forgeries[index]
        let sealed = try SealedDatabase()
        try await sealed.fill()
        try sealed.forge(forgery.sql)
        let finding = try #require(try await sealed.findings()[forgery.log])
        #expect(finding.fault != nil, "\(forgery.sql)")
    }

    @Test func aSwappedPairIsFound() async throws {
        let sealed = try SealedDatabase()
        try await sealed.fill()
        try sealed.forge("UPDATE audit_event SET position = position + 100 WHERE position = 1")
        try sealed.forgeAgain("UPDATE audit_event SET position = 1 WHERE position = 2")
        try sealed.forgeAgain("UPDATE audit_event SET position = 2 WHERE position = 101")
        #expect(try await sealed.findings()["audit"]?.fault != nil)
    }

    @Test func aSealOfAnotherKeyIsFound() async throws {
        let sealed = try SealedDatabase()
        try await sealed.fill()
        let forger = try CheckpointSigner(name: "cloud", seed: Array(repeating: 1, count: 32))
        let notes = try await sealed.database.seals(ofLog: "audit").map(\.note)
        for note in notes {
            let checkpoint = try Checkpoint(note: note, verifiedBy: sealed.signer.verifier)
            try sealed.forgeAgain(
                "UPDATE seal SET note = ? WHERE log = 'audit' AND size = ?",
                [try checkpoint.signed(by: forger), Int64(checkpoint.size)])
        }
        let fault = try #require(try await sealed.findings()["audit"]?.fault)
        #expect(fault.contains("no valid signature"))
    }

    /// One who removes records and all seals after them leaves nothing in the database to find: the witness knows.
    @Test func historyWrittenAnewIsFoundByTheWitness() async throws {
        let sealed = try SealedDatabase()
        try await sealed.fill()
        try sealed.forge("DELETE FROM audit_event WHERE position >= 3")
        try sealed.forgeAgain("DELETE FROM seal WHERE log = 'audit' AND size >= 3")
        #expect(try await sealed.findings()["audit"]?.fault == nil)
        let fault = try #require(try await sealed.findings(witnessed: true)["audit"]?.fault)
        #expect(fault.contains("3 records were sealed and 2 are there"))
        // Even where the whole log is gone.
        try sealed.forgeAgain("DELETE FROM usage_late")
        try sealed.forgeAgain("DELETE FROM usage_record")
        try sealed.forgeAgain("DELETE FROM seal")
        let gone = try await sealed.findings(witnessed: true)["cloud/usage/gateway-1/0"]
        #expect(gone?.fault != nil)
    }

    @Test func aCheckpointOfAStrangerIsNoWitness() async throws {
        let sealed = try SealedDatabase()
        try await sealed.fill()
        let stranger = try CheckpointSigner(name: "stranger", seed: Array(repeating: 1, count: 32))
        #expect(throws: CheckpointError.notSigned(by: "stranger")) {
            try LogVerification(
                of: sealed.database, verifier: stranger.verifier,
                witnessed: LogVerification.notes(in: String(contentsOf: sealed.witness, encoding: .utf8)))
        }
    }

    @Test func aDamagedSealIsSaidAndNotBuiltUpon() async throws {
        let sealed = try SealedDatabase()
        try await sealed.fill()
        try sealed.forge("UPDATE seal SET peaks = x'00' WHERE log = 'audit' AND size = 3")
        var logger = Logger(label: "test")
        logger.logLevel = .critical
        let restarted = LogSealer(
            database: sealed.database, signer: sealed.signer, now: { Samples.start }, logger: logger)
        await restarted.seal()
        #expect(restarted.health.contains("no valid peaks"))
        #expect(try await sealed.database.seals(ofLog: "audit").count == 3)
    }
}

extension SealedDatabase {
    /// Where the triggers are gone already.
    fileprivate func forgeAgain(_ sql: String, _ arguments: StatementArguments = []) throws {
        let queue = try DatabaseQueue(path: directory.appendingPathComponent("log.sqlite").path)
        defer { try? queue.close() }
        try queue.writeWithoutTransaction { database in
            for name in try String.fetchAll(database, sql: "SELECT name FROM sqlite_master WHERE type = 'trigger'") {
                try database.execute(sql: "DROP TRIGGER \(name)")
            }
            try database.execute(sql: sql, arguments: arguments)
        }
    }
}

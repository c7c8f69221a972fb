import Bookkeeping
import CloudModel
import CloudPorts
import Foundation
import GRDB
import LogDatabaseSQLite
import MerkleLog
import PayPerUse
import SealedBooks
import Testing

/// A closed bill of November with use of both agents, a credit, and a correction of October; its proof as JSON.
private struct ProvenBill {
    let books: DeskFixture
    var proof: Data

    /// `body` is given the proof of the second of two closed bills.
    static func run(records: Int = 1_000, _ body: (ProvenBill) async throws -> Void) async throws {
        try await DeskFixture.run(at: "2026-11-02T00:00:00Z") { books in
            try await books.event(.start, "2026-10-10T00:00:00Z")
            for hour in 1...3 { try await books.request("2026-10-10T0\(hour):00:00Z", by: "acme") }
            try await books.request("2026-10-10T04:00:00Z", by: "beta")
            await books.sealer.seal()
            _ = try await books.desk.close("acme", month("2026-10"), includesHeld: true, actor: "root")
            // What comes after the closing is corrected in the next bill.
            try await books.request("2026-10-11T01:00:00Z", by: "acme")
            books.setTime("2026-11-20T00:00:00Z")
            for hour in 1...5 { try await books.request("2026-11-10T0\(hour):00:00Z", by: "acme") }
            _ = try await books.desk.credit(
                "c-1", to: "acme", amount: ExactDecimal(2), reason: "Outage", actor: "root")
            try await books.database.heartbeat(["shop-1"], at: at("2026-11-12T00:00:00Z"))
            await books.sealer.seal()
            books.setTime("2026-12-02T00:00:00Z")
            _ = try await books.desk.close("acme", month("2026-11"), includesHeld: true, actor: "root")
            try await books.request("2026-12-01T01:00:00Z", by: "acme")
            let proof = try await books.desk.proof(for: "acme", month: month("2026-11"), records: records)
            try await body(ProvenBill(books: books, proof: Data(try proof.json())))
        }
    }

    func checks(
        _ file: Data? = nil, witness: String? = nil, withDatabase: Bool = false
    ) async throws -> [BillVerification.Check] {
        let notes = witness.map { LogVerification.notes(in: $0) } ?? []
        return try await BillVerification(
            Array(file ?? proof), verifier: books.signer.verifier, witnessed: notes,
            database: withDatabase ? books.database : nil
        ).run()
    }

    var witness: String {
        get throws { try String(contentsOfFile: books.directory + "/witness", encoding: .utf8) }
    }

    /// The proof with something in its JSON changed.
    func changed(_ change: (inout [String: Any]) -> Void) throws -> Data {
        var tree = try #require(try JSONSerialization.jsonObject(with: proof) as? [String: Any])
        change(&tree)
        let result = try JSONSerialization.data(withJSONObject: tree, options: [.sortedKeys])
        #expect(
            result
                != (try JSONSerialization.data(
                    withJSONObject: try JSONSerialization.jsonObject(with: proof), options: [.sortedKeys])),
            "it was changed")
        return result
    }
}

/// Changes what lies at a path in a JSON tree; numbers are places in lists.
private func set(_ tree: inout [String: Any], _ path: [Any], _ change: (Any?) -> Any?) {
    func at(_ value: Any?, _ rest: ArraySlice<Any>) -> Any? {
        guard let step = rest.first else { return change(value) }
        if let place = step as? Int, var list = value as? [Any] {
            if let changed = at(list[place], rest.dropFirst()) { list[place] = changed } else { list.remove(at: place) }
            return list
        }
        var object = value as? [String: Any] ?? [:]
        object[step as? String ?? ""] = at(object[step as? String ?? ""], rest.dropFirst())
        return object
    }
    tree = at(tree, path[...]) as? [String: Any] ?? [:]
}

@Suite struct BillProofTests {
    @Test("a bill is proven by the file, the key and a witness")
    func genuine() async throws {
        try await ProvenBill.run { proven in
            let bill = try await proven.books.desk.bill(for: "acme", month: month("2026-11"))
            #expect(Set(bill.lines.map(\.kind)) == [.usage, .credit, .correction])
            #expect(bill.basis?.logs.map(\.name) == ["lifecycle", "platform-events", "usage/g/0"])
            #expect(bill.basis?.heartbeats.map(\.instance) == ["shop-1"])
            for withDatabase in [false, true] {
                let checks = try await proven.checks(witness: proven.witness, withDatabase: withDatabase)
                for check in checks { #expect(check.state == .proven, "\(check)") }
                #expect(checks.map(\.subject).contains("witness of usage/g/0"))
                #expect(checks.map(\.subject).contains("figures"))
                #expect(checks.map(\.subject).contains("log database, lifecycle") == withDatabase)
            }
        }
    }

    /// Each: what is changed, the check that must find it, and what it must name.
    private static var forgeries: [(name: String, path: [Any], value: Any?, subject: String, named: String)] {
        [
            ("amount", ["bill", "lines", 0, "minorUnits"], 1, "figures", "amount is 0.01 EUR, the records give"),
            ("amount, closing", ["bill", "lines", 0, "minorUnits"], 1, "bill acme-2026-11", "its total"),
            ("quantity", ["bill", "lines", 1, "quantity"], "4", "figures", "quantity is 4, the records give 5"),
            ("hold", ["bill", "lines", 1, "hold"], "later", "bill acme-2026-11", "what is held"),
            ("consumer", ["bill", "consumerName"], "Other", "bill acme-2026-11", "a figure or a text was changed"),
            ("cutoff", ["bill", "cutoff"], 1_796_000_000_000_000, "bill acme-2026-11", "not what was closed"),
            ("plan", ["bill", "plan", "prices", 1, "model", "perUnit", "_0"], "0.02", "figures", "unit price"),
            (
                "plan, closing", ["bill", "plan", "prices", 1, "model", "perUnit", "_0"], "0.02", "bill acme-2026-11",
                "its price plan"
            ),
            ("lease", ["bill", "basis", "lease"], 60_000_000_000, "bill acme-2026-11", "what it was computed from"),
            ("heartbeat", ["bill", "basis", "heartbeats", 0, "at"], 1_796_000_000_000_000, "figures", "quantity"),
            ("size", ["bill", "basis", "logs", 2, "size"], 9, "basis", "usage/g/0: the size is 9"),
            (
                "checkpoint", ["bill", "basis", "logs", 2, "checkpoint"], "cloud/usage/g/0\n9\nA\n\n— cloud A\n",
                "basis", "no valid signature"
            ),
            (
                "head", ["logs", 2, "checkpoint"], "cloud/usage/g/0\n9\nAAAA\n\n— cloud AAAA\n", "log usage/g/0",
                "no valid signature"
            ),
            (
                "record", ["logs", 2, "records", 3, "record", "usage", "_0", "bytesOut"], 9, "log usage/g/0",
                "is not what was sealed"
            ),
            ("record gone", ["logs", 2, "records", 4], nil, "figures", "quantity is 5, the records give 4"),
            ("index", ["logs", 2, "records", 3, "index"], 1, "log usage/g/0", "is there twice"),
            (
                "event", ["logs", 0, "records", 0, "record", "lifecycle", "_0", "at"], 1, "log lifecycle",
                "start of shop-1"
            ),
            (
                "credit", ["logs", 1, "records", 1, "record", "platform", "_0", "details", "minor-units"], "900",
                "log platform-events", "bill.credited"
            ),
            ("closing", ["logs", 1, "records", 2], nil, "bill acme-2026-11", "no sealed event"),
            (
                "path", ["logs", 2, "records", 0, "path", 0], "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=",
                "log usage/g/0", "record 0"
            ),
            (
                "earlier checkpoint", ["logs", 2, "earlier", 0, "path", 0],
                "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA=", "log usage/g/0", "not shown to go on"
            ),
            ("earlier bill", ["earlier", 0, "lines", 0, "minorUnits"], 1, "bill acme-2026-10", "its total"),
            ("earlier bill gone", ["earlier", 0], nil, "basis", "it corrects"),
            ("log gone", ["logs", 0], nil, "basis", "lifecycle: nothing here is proven"),
        ]
    }

    @Test("each changed figure, record, plan and checkpoint is found and named")
    func forged() async throws {
        try await ProvenBill.run { proven in
            for forgery in Self.forgeries {
                let file = try proven.changed { set(&$0, forgery.path) { _ in forgery.value } }
                let checks = try await proven.checks(file)
                let found = checks.filter { $0.state == .forged && $0.subject == forgery.subject }
                #expect(
                    found.contains { $0.detail.contains(forgery.named) },
                    "\(forgery.name): \(checks.filter { $0.state != .proven })")
            }
        }
    }

    @Test("every number and text of the bill is vouched for")
    func everyFigure() async throws {
        try await ProvenBill.run { proven in
            let tree = try #require(try JSONSerialization.jsonObject(with: proven.proof) as? [String: Any])
            var paths: [[Any]] = []
            func collect(_ value: Any, _ path: [Any]) {
                if let object = value as? [String: Any] {
                    for key in object.keys { collect(object[key]!, path + [key]) }
                } else if let list = value as? [Any] {
                    for place in list.indices { collect(list[place], path + [place]) }
                } else {
                    paths.append(path)
                }
            }
            collect(tree["bill"] ?? [:], ["bill"])
            #expect(paths.count > 80)
            for path in paths {
                let file = try proven.changed { tree in
                    set(&tree, path) { value in
                        if let text = value as? String { return text == "usage" ? "fixed" : text + "1" }
                        if let flag = value as? Bool, value is NSNumber, "\(value!)".count > 1 { return !flag }
                        return (value as? Int64 ?? 0) + 1
                    }
                }
                do {
                    let checks = try await proven.checks(file)
                    #expect(checks.contains { $0.state == .forged }, "\(path)")
                } catch is BillVerification.Unreadable {
                    // No such kind, month, or the like: that is not a bill any more.
                }
            }
        }
    }

    @Test("another key proves nothing, and a witness finds a history that was written anew")
    func keys() async throws {
        try await ProvenBill.run { proven in
            let stranger = try CheckpointSigner(name: "cloud", seed: Array(repeating: 1, count: 32))
            let checks = try await BillVerification(Array(proven.proof), verifier: stranger.verifier).run()
            #expect(checks.contains { $0.state == .forged && $0.detail.contains("no valid signature") })
            // What the operator once signed for the witness, and has replaced since.
            let other = Checkpoint(origin: "cloud/usage/g/0", size: 4, root: .leaf([1]))
            let anew = try await proven.checks(witness: try other.signed(by: proven.books.signer))
            let found = anew.filter { $0.subject.hasPrefix("witness") }
            #expect(
                found.map(\.state) == [.forged] && found.allSatisfy { $0.detail.contains("written anew") }, "\(found)")
            let unknown = Checkpoint(origin: "cloud/usage/g/0", size: 3, root: .leaf([1]))
            let apart = try await proven.checks(witness: try unknown.signed(by: proven.books.signer))
            #expect(apart.filter { $0.subject.hasPrefix("witness") }.map(\.state) == [.unproven])
        }
    }

    @Test("a record that came late, and one that came twice, are proven where they are")
    func late() async throws {
        try await DeskFixture.run(at: "2026-12-02T00:00:00Z") { books in
            func batch(_ numbers: [UInt64]) -> SpoolBatch {
                SpoolBatch(
                    source: "g/9", firstSequence: numbers[0],
                    records: numbers.map { number in
                        let time = at("2026-11-10T01:00:00Z") + .seconds(Int64(number))
                        return .usage(
                            UsageRecord(
                                requestID: RequestID(high: 9, low: number), consumer: "beta", service: "shop",
                                instance: "shop-1", outcome: .completed, status: 200, bytesIn: 1, bytesOut: 1,
                                receivedAt: time, forwardedAt: time, completedAt: time))
                    })
            }
            try await books.database.ingest(batch([1, 2]))
            try await books.database.ingest(batch([5, 6]))
            await books.sealer.seal()
            try await books.database.ingest(batch([3]))
            try await books.database.ingest(batch([5, 6]))
            let bill = try await books.desk.close("beta", month("2026-11"), includesHeld: false, actor: "root")
            #expect(bill.lines.map(\.quantity) == ["5"])
            #expect(bill.basis?.logs.map(\.name) == ["usage-late", "usage/g/9"])
            let proof = try await books.desk.proof(for: "beta", month: month("2026-11"), records: 9)
            #expect(proof.logs.map(\.records.count) == [1, 4, 1])
            for database in [nil, books.database] {
                let checks = try await BillVerification(
                    try proof.json(), verifier: books.signer.verifier, database: database
                ).run()
                for check in checks { #expect(check.state == .proven, "\(check)") }
            }
        }
    }

    @Test("more records than asked for are left out, and the log database has them")
    func omitted() async throws {
        try await ProvenBill.run(records: 8) { proven in
            let alone = try await proven.checks()
            #expect(alone.filter { $0.subject == "figures" }.map(\.state) == [.unproven])
            let whole = try await proven.checks(withDatabase: true)
            for check in whole { #expect(check.state == .proven, "\(check)") }
        }
    }

    @Test(
        "a log database that was altered is found",
        arguments: [
            "UPDATE usage_record SET bytes_out = bytes_out + 1 WHERE sequence = 2",
            "DELETE FROM lifecycle_event",
            "DELETE FROM usage_record WHERE sequence = 9",
        ])
    func alteredDatabase(sql: String) async throws {
        try await ProvenBill.run { proven in
            let queue = try DatabaseQueue(path: proven.books.directory + "/log.sqlite")
            try await queue.writeWithoutTransaction { database in
                for name in try String.fetchAll(
                    database, sql: "SELECT name FROM sqlite_master WHERE type = 'trigger'")
                { try database.execute(sql: "DROP TRIGGER \(name)") }
                try database.execute(sql: sql)
                #expect(database.changesCount > 0)
            }
            try queue.close()
            let checks = try await proven.checks(withDatabase: true)
            #expect(checks.contains { $0.state == .forged && $0.subject.hasPrefix("log database, ") }, "\(checks)")
        }
    }

    @Test("an open bill has no proof, and an unreadable file is said to be none")
    func refusals() async throws {
        try await ProvenBill.run { proven in
            let refusal = await #expect(throws: AdministrationRefusal.self) {
                try await proven.books.desk.proof(for: "acme", month: month("2026-12"), records: 1)
            }
            #expect(refusal?.description.contains("only a closed bill can be proven") == true)
            await #expect(throws: BillVerification.Unreadable.self) { try await proven.checks(Data("{}".utf8)) }
            let later = try proven.changed { $0["format"] = "cloudwright-bill-proof/9" }
            await #expect(throws: BillVerification.Unreadable.self) { try await proven.checks(later) }
        }
    }
}

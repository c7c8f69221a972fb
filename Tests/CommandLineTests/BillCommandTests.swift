import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import Testing

@Suite struct BillCommandTests {
    /// A server whose clock stands in October 2026, with two hours of an instance and a request in September.
    private func october(_ body: (LiveServer) async throws -> Void) async throws {
        let now = try #require(Timestamp(rfc3339: "2026-10-05T12:00:00Z"))
        let began = try #require(Timestamp(rfc3339: "2026-09-10T00:00:00Z"))
        try await LiveServer.run(now: { now }) { live in
            var transaction = ControlTransaction()
            transaction.lifecycle = [(LifecycleEvent.Kind.start, began), (.stop, began + .hours(2))].map { kind, at in
                LifecycleEvent(instance: "shop-1", incarnation: 1, service: "shop", owner: "acme", kind: kind, at: at)
            }
            try await live.cloud.commit(transaction)
            let usage = UsageRecord(
                requestID: RequestID(high: 1, low: 1), consumer: "acme", service: "shop", instance: "shop-1",
                outcome: .completed, status: 200, bytesIn: 1, bytesOut: 1, receivedAt: began, forwardedAt: began,
                completedAt: began)
            _ = try await live.database.ingest(
                SpoolBatch(source: "g/0", firstSequence: 1, records: [.usage(usage)]))
            try await body(live)
        }
    }

    @Test("a bill is shown, closed, listed, exported and printed")
    func bill() async throws {
        try await october { live in
            #expect((await live.command("bill", "list")).error.contains("No bills were closed"))
            let open = await live.command("bill", "show", "acme", "--month", "2026-09")
            #expect(
                open.output == """
                    Bill acme-2026-09 (open), plan standard, UTC
                    WHAT                                   QUANTITY  CHARGED  UNIT      PRICE  AMOUNT  NOTE
                    shop: hours (instance-hour, per-unit)         2        2  Hours      0.36    0.72  -
                    shop: requests (request, per-unit)            1        1  Requests   0.01    0.01  -
                    Total due: 0.73 EUR

                    """, "\(open.output)\(open.error)")
            let closed = await live.command("bill", "close", "acme", "--month", "2026-09", role: "operator")
            #expect(closed.code == 0 && closed.output.contains("(closed 2026-10-05 12:00:00)"))
            #expect((await live.command("bill", "list", "-o", "json")).output.contains("\"total\" : \"0.73\""))
            let table = await live.command("bill", "export", "acme", "--month", "2026-09")
            #expect(table.output.hasPrefix("BilledCost,BillingAccountId,") && table.output.contains(",acme-2026-09,"))
            let page = await live.command("bill", "show", "acme", "--month", "2026-09", "--html")
            #expect(page.output.contains("<h1>Bill acme-2026-09</h1>"))
            let credit = await live.command("bill", "credit", "acme", "1.50", "--reason", "Outage", "--id", "c-1")
            #expect(credit.output == "acme is given 1.50 EUR (c-1)\n")
            #expect((await live.command("bill", "show", "acme")).output.contains("Total due: -1.50 EUR"))
        }
    }

    @Test("a closed bill is proven, and checked without the server")
    func proof() async throws {
        try await october { live in
            _ = await live.command("bill", "close", "acme", "--month", "2026-09")
            let proof = await live.command("bill", "export", "acme", "--month", "2026-09", "--format", "proof")
            #expect(proof.code == 0, "\(proof.error)")
            let key = await live.command("audit", "key")
            let file = live.directory.appendingPathComponent("bill.json")
            let keyFile = live.directory.appendingPathComponent("key")
            try Data(proof.output.utf8).write(to: file)
            try Data(key.output.utf8).write(to: keyFile)
            let database = live.directory.appendingPathComponent("log.sqlite").path
            let good = await CommandLine.run("verify", file.path, "--key-file", keyFile.path)
            #expect(good.code == 0 && good.output.contains("computed again from the records here"), "\(good.output)")
            #expect(good.output.contains("with --log-database only"))
            let whole = await CommandLine.run(
                "verify", file.path, "--key-file", keyFile.path, "--log-database", database, "--json")
            #expect(whole.code == 0 && whole.output.contains("from all records of the log database"), "\(whole.output)")
            try Data(proof.output.replacing("\"minorUnits\" : 72", with: "\"minorUnits\" : 71").utf8).write(to: file)
            let forged = await CommandLine.run("verify", file.path, "--key-file", keyFile.path)
            #expect(forged.code == 1 && forged.output.contains("amount is 0.71 EUR, the records give 0.72 EUR"))
            let without = await live.command(
                "bill", "export", "acme", "--month", "2026-09", "--format", "proof", "--records", "0")
            try Data(without.output.utf8).write(to: file)
            let unproven = await CommandLine.run("verify", file.path, "--key-file", keyFile.path)
            #expect(unproven.code == 1 && unproven.output.contains("give --log-database"), "\(unproven.output)")
            let open = await live.command("bill", "export", "acme", "--month", "2026-10", "--format", "proof")
            #expect(open.code == 1 && open.error.contains("only a closed bill can be proven"))
            let none = await CommandLine.run("verify", keyFile.path, "--key-file", keyFile.path)
            #expect(none.code == 1 && none.error.contains("no proof of a bill"))
        }
    }

    @Test("what cannot be billed is said, with what to do")
    func refusals() async throws {
        try await october { live in
            let early = await live.command("bill", "close", "acme", "--month", "2026-10")
            #expect(early.code == 1 && early.error.contains("not over before 2026-11-01"))
            let none = await live.command("bill", "show", "globex")
            #expect(none.code == 1 && none.error.contains("has no price plan"))
            let typo = await live.command("bill", "show", "acme", "--month", "9/2026")
            #expect(typo.code == 2 && typo.error.contains("give it as 2026-11"))
        }
    }

    @Test("reconciling says what is settled, and exits with 1 where somebody has to look")
    func reconcile() async throws {
        try await october { live in
            let settled = await live.command("reconcile", "--month", "2026-09")
            #expect(settled.code == 0 && settled.output.hasSuffix("Settled.\n"), "\(settled.output)\(settled.error)")
            let outside = UsageRecord(
                requestID: RequestID(high: 1, low: 2), consumer: "globex", service: "shop", instance: "shop-1",
                outcome: .completed, status: 200, bytesIn: 1, bytesOut: 1,
                receivedAt: Timestamp(rfc3339: "2026-09-10T05:00:00Z") ?? .epoch,
                forwardedAt: Timestamp(rfc3339: "2026-09-10T05:00:00Z"),
                completedAt: Timestamp(rfc3339: "2026-09-10T11:00:00Z") ?? .epoch)
            _ = try await live.database.ingest(
                SpoolBatch(source: "g/0", firstSequence: 2, records: [.usage(outside)]))
            let doubtful = await live.command("reconcile", "--month", "2026-09")
            #expect(doubtful.code == 1 && doubtful.output.contains("outside-lifetime"))
            #expect(doubtful.output.contains("held: shop: 2.16 EUR in doubt"), "\(doubtful.output)")
            #expect(
                (await live.command("bill", "show", "acme", "--month", "2026-09")).output.contains("held: 0.72 EUR"))
        }
    }
}

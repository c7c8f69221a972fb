import Bookkeeping
import CloudModel
import CloudPorts
import Foundation
import PayPerUse
import Testing

@Suite struct UsageEventBillTests {
    @Test("what a service counts itself is priced as other use is, and a late event is a correction")
    func priced() async throws {
        try await DeskFixture.run(at: "2026-11-02T00:00:00Z") { books in
            var declared = DeskFixture.configuration
            declared.pricePlans[0].prices.append(
                Price(
                    id: "storage", meter: .event("gib-hour-stored"),
                    model: .graduated([
                        Price.Tier(upTo: ExactDecimal(2), price: ExactDecimal(1)),
                        Price.Tier(upTo: nil, price: ExactDecimal(3)),
                    ])))
            let configuration = declared
            let desk = BillingDesk(
                database: books.database, configuration: { configuration }, lease: .minutes(1),
                seal: { [sealer = books.sealer] in try await sealer.sealNow() }, now: books.desk.now)
            func report(_ id: String, _ microUnits: Int64, _ time: String) async throws {
                _ = try await books.database.ingest([
                    UsageEvent(
                        source: "/shop", id: id, type: "t", consumer: "beta", service: "shop",
                        meter: "gib-hour-stored", microUnits: microUnits, at: at(time))
                ])
            }
            try await report("1", 1_500_000, "2026-10-10T00:00:00Z")
            try await report("1", 1_500_000, "2026-10-10T00:00:00Z")
            try await report("2", 1_250_000, "2026-10-11T00:00:00Z")
            let closed = try await desk.close("beta", month("2026-10"), includesHeld: false, actor: "root")
            // 2 at 1.00, 0.75 at 3.00.
            #expect(closed.lines.map(\.quantity) == ["2.75"] && closed.total.minorUnits == 425)
            #expect(closed.lines.first?.meter?.rawValue == "event:gib-hour-stored")
            #expect(closed.basis?.logs.map(\.name) == ["usage-events"])
            try await report("3", 1_000_000, "2026-10-12T00:00:00Z")
            books.setTime("2026-12-02T00:00:00Z")
            let next = try await desk.close("beta", month("2026-11"), includesHeld: false, actor: "root")
            #expect(next.lines.map(\.kind) == [.correction] && next.total.minorUnits == 300)
            let proof = try await desk.proof(for: "beta", month: month("2026-11"), records: 10)
            let checks = try await BillVerification(
                try proof.json(), verifier: books.signer.verifier, database: books.database
            ).run()
            for check in checks { #expect(check.state == .proven, "\(check)") }
            let alone = try await BillVerification(try proof.json(), verifier: books.signer.verifier).run()
            for check in alone { #expect(check.state == .proven, "\(check)") }
        }
    }
}

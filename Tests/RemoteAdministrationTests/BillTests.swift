import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import RemoteAdministration
import Testing

@Suite struct BillTests {
    /// A server whose clock stands in October 2026, with September's use in its books.
    private func october(_ body: (LiveServer) async throws -> Void) async throws {
        let now = try #require(Timestamp(rfc3339: "2026-10-05T12:00:00Z"))
        try await LiveServer.run(now: { now }) { live in
            try await Samples.fill(live)
            try await body(live)
        }
    }

    @Test("a bill is shown, closed, exported and printed, and stays the same")
    func life() async throws {
        try await october { live in
            let open = try await live.send("GET", "/api/v1/bills/acme/2026-09", as: .consumer)
                .value(API.Bill.self)
            // 100 seconds at 0.36 an hour, and two requests of its own at 0.01.
            #expect(open.lines.map(\.amount) == ["0.01", "0.02"])
            #expect(open.total == "0.03" && open.closedAt == nil)
            let credit = try await live.send(
                "POST", "/api/v1/consumers/acme/credits", as: .operator,
                body: #"{"id":"c-1","amount":"2.50","reason":"<Outage>"}"#)
            #expect(credit.status == 201)
            let closed = try await live.send("POST", "/api/v1/bills/acme/2026-09/close", as: .operator)
                .value(API.Bill.self)
            #expect(closed.total == "0.03" && closed.closedAt != nil)
            let again = try await live.send("POST", "/api/v1/bills/acme/2026-09/close", as: .operator)
            #expect(try again.value(API.Bill.self) == closed)
            let current = try await live.send("GET", "/api/v1/bills/acme/current", as: .consumer)
                .value(API.Bill.self)
            #expect(current.month == "2026-10" && current.total == "-2.50")
            let early = try await live.send("POST", "/api/v1/bills/acme/2026-10/close", as: .operator)
            #expect(early.status == 409 && early.text.contains("not over before 2026-11-01"))
            let page = try await live.send("GET", "/api/v1/bills/acme/current/page", as: .consumer)
            #expect(page.text.contains("&lt;Outage&gt;") && !page.text.contains("<Outage>"))
            #expect(page.headers["content-security-policy"]?.contains("default-src 'none'") == true)
            let table = try await live.send("GET", "/api/v1/bills/acme/2026-09/focus?version=1.3", as: .consumer)
            #expect(table.text.split(separator: "\r\n").count == 3 && table.text.contains("HostProviderName"))
            let all = try await live.send("GET", "/api/v1/bills", as: .auditor).value(API.Page<API.Bill>.self)
            #expect(all.items == [closed])
            let events = try await live.send("GET", "/api/v1/events?kind=bill.").text
            #expect(events.contains("bill.closed") && events.contains("bill.credited"))
        }
    }

    @Test("a closed bill is verified by the platform: sealed, complete, and rated anew to the same bytes")
    func verified() async throws {
        try await october { live in
            let path = "/api/v1/bills/acme/2026-09"
            let open = try await live.send("GET", path + "/verification", as: .consumer)
            #expect(open.status == 409 && open.text.contains("close"), "\(open.text)")
            #expect(try await live.send("POST", path + "/close", as: .operator).status == 200)
            let answer = try await live.send("GET", path + "/verification", as: .consumer)
            let found = try answer.value(API.BillVerification.self)
            #expect(found.checks.allSatisfy { $0.state == .proven }, "\(answer.text)")
            let kinds = Set(found.checks.map(\.kind))
            #expect(kinds == [.log, .basis, .closing, .completeness, .figures], "\(kinds)")
            let usage = found.checks.filter { $0.kind == .log && $0.subject.contains("gateway/0") }
            #expect(usage.count == 1 && usage[0].detail.contains("2 of them are here"), "acme's two requests: \(usage)")
            #expect(found.checks.first { $0.kind == .figures }?.detail.hasPrefix("2 lines, computed again") == true)
        }
    }

    @Test("a consumer sees nothing of another's bill, nor that there is one")
    func own() async throws {
        try await october { live in
            for path in ["/2026-09", "/current", "/2026-09/page", "/2026-09/focus", "/2026-09/verification"] {
                let other = try await live.send("GET", "/api/v1/bills/globex" + path, as: .consumer)
                #expect(other.status == 404 && other.problem?.detail == "There is no bill of 'globex'.", "\(path)")
            }
            #expect(try await live.send("GET", "/api/v1/bills?consumer=globex", as: .consumer).status == 403)
            let own = try await live.send("GET", "/api/v1/reconciliation?month=2026-09", as: .consumer)
                .value(API.Reconciliation.self)
            #expect(own.instances.map(\.instance) == ["shop-1"] && own.records.isEmpty && own.settled)
            let closing = try await live.send("POST", "/api/v1/bills/acme/2026-09/close", as: .consumer)
            #expect(closing.status == 403)
        }
    }

    @Test("what cannot be billed is said, with what to do")
    func refusals() async throws {
        try await october { live in
            let cases = [
                ("GET", "/api/v1/bills/globex/2026-09", "has no price plan"),
                ("GET", "/api/v1/bills/nobody/2026-09", "no consumer 'nobody'"),
                ("GET", "/api/v1/bills/acme/2026-9", "give it as 2026-11"),
                ("GET", "/api/v1/bills/acme/2027-01", "has not begun"),
                ("GET", "/api/v1/reconciliation?month=2026-13", "give it as 2026-11"),
                ("GET", "/api/v1/reconciliation?from=2020-01-01&until=2026-01-01", "at most 366 days"),
            ]
            for (method, path, reason) in cases {
                let answer = try await live.send(method, path)
                #expect((400...409).contains(answer.status) && answer.text.contains(reason), "\(path): \(answer.text)")
            }
            for (amount, reason) in [("0", "is no amount"), ("0.001", "2 decimals at most"), ("1e3", "write 12.50")] {
                let body = #"{"id":"c","amount":"\#(amount)","reason":"r"}"#
                let answer = try await live.send("POST", "/api/v1/consumers/acme/credits", body: body)
                #expect(answer.status == 400 && answer.text.contains(reason), "\(amount): \(answer.text)")
            }
            func give(_ amount: String) async throws -> Int {
                let body = #"{"id":"same","amount":"\#(amount)","reason":"r"}"#
                return try await live.send("POST", "/api/v1/consumers/acme/credits", body: body).status
            }
            #expect(try await give("1") == 201)
            #expect(try await give("1.00") == 201, "the same credit again")
            #expect(try await give("2") == 409, "another one under its id")
        }
    }
}

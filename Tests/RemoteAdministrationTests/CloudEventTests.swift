import AdministrationAPI
import AdministrationFixture
import CloudModel
import CloudPorts
import Foundation
import RemoteAdministration
import Testing

@Suite struct CloudEventTests {
    private func event(_ id: String = "e-1", _ changes: [String: Any] = [:], data: [String: Any] = [:]) -> [String: Any]
    {
        var event: [String: Any] = [
            "specversion": "1.0", "id": id, "source": "/shop/1", "type": "storage", "subject": "acme",
            "time": "2026-09-21T14:13:20Z",
            "data": ["service": "shop", "meter": "storage", "quantity": "1.5"].merging(data) { $1 },
        ]
        event.merge(changes) { $1 }
        return event
    }

    private func post(_ live: LiveServer, _ body: Any, as role: Administrator.Role = .operator) async throws
        -> LiveServer.Answer
    {
        let text = String(decoding: try JSONSerialization.data(withJSONObject: body), as: UTF8.self)
        let type = body is [Any] ? "application/cloudevents-batch+json" : "application/cloudevents+json"
        return try await live.send(
            "POST", "/api/v1/usage-events", as: role, body: text, headers: ["Content-Type": type])
    }

    @Test("events are taken once, one or many; the same id with other content is a conflict")
    func idempotent() async throws {
        try await LiveServer.run { live in
            let first = try await post(live, event())
            #expect(first.status == 201, "\(first.text)")
            let batch = try await post(live, [event(), event("e-2")])
            #expect(try batch.value(API.UsageEventOutcome.self) == API.UsageEventOutcome(stored: 1, duplicates: 1))
            let other = try await post(live, [event("e-3"), event("e-1", data: ["quantity": "1.6"])])
            #expect(other.status == 409 && other.problem?.faults.count == 1, "\(other.text)")
            #expect(other.text.contains("'e-1' of '/shop/1'"))
            let events = try await live.database.usageEvents(after: 0, limit: 9).map(\.event)
            #expect(events.map(\.id) == ["e-1", "e-2"] && events.allSatisfy { $0.microUnits == 1_500_000 })
            // The same quantity, written otherwise, is the same content.
            #expect(try await post(live, event("e-1", data: ["quantity": "1.500000"])).status == 201)
            #expect(try await post(live, event(), as: .auditor).status == 403)
        }
    }

    @Test("what is no usage event is told with its place")
    func faults() async throws {
        try await LiveServer.run { live in
            let cases: [([String: Any], [String: Any], String)] = [
                (["specversion": "0.3"], [:], "is not 1.0"), (["id": ""], [:], "give 1 to 256"),
                (["subject": "nobody"], [:], "there is no consumer 'nobody'"),
                (["time": "yesterday"], [:], "is no time"), (["data": 5], [:], "of another type"),
                ([:], ["service": "nothing"], "there is no service 'nothing'"),
                ([:], ["meter": "A b"], "is no name of a meter"), ([:], ["quantity": "0"], "is no quantity"),
                ([:], ["quantity": "0.0000001"], "six decimals"), ([:], ["quantity": "1000000001"], "is no quantity"),
                ([:], ["quantity": 1.5], "of another type"),
            ]
            for (changes, data, reason) in cases {
                let answer = try await post(live, [event("ok"), event("e", changes, data: data)])
                #expect(answer.status == 400 && answer.text.contains(reason), "\(reason): \(answer.text)")
            }
            let placed = try await post(live, [event("ok"), event("e", ["subject": "nobody"])])
            #expect(placed.problem?.faults.map(\.pointer) == ["/1/subject"])
            let many = try await post(live, (0...1_000).map { event("\($0)") })
            #expect(many.status == 400 && many.text.contains("1000 at most"))
            #expect(try await live.database.usageEvents(after: 0, limit: 9).isEmpty)
        }
    }

    @Test("usage is exported as CloudEvents, part after part, and a consumer sees its own")
    func export() async throws {
        try await LiveServer.run { live in
            try await Samples.fill(live)
            var seen: [API.UsageCloudEvent] = []
            var cursor = ""
            repeat {
                let more = cursor.isEmpty ? "" : "&cursor=\(cursor)"
                let answer = try await live.send("GET", "/api/v1/usage/export?limit=1\(more)", as: .consumer)
                #expect(answer.headers["content-type"] == "application/cloudevents-batch+json", "\(answer.text)")
                seen += try answer.value([API.UsageCloudEvent].self)
                cursor = answer.headers["x-next-cursor"] ?? ""
            } while !cursor.isEmpty
            #expect(seen.count == 2 && seen.allSatisfy { $0.subject == "acme" && $0.specversion == "1.0" })
            #expect(
                Set(seen.map(\.id)).count == 2 && seen.allSatisfy { $0.source == "urn:cloudwright:testcloud:usage" })
            #expect(try await live.send("GET", "/api/v1/usage/export?cursor=x").status == 400)
        }
    }
}

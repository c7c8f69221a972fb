import AdministrationAPI
import Foundation
import Testing

@Suite struct WireTypeTests {
    private func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    @Test("an absent value is an absent field, a time is RFC 3339, a unit is in the name")
    func encoding() throws {
        let event = API.Event(
            position: 7, at: Moment(rfc3339: "2026-11-24T02:30:00.000000Z"), kind: "instance.started", service: "shop",
            actor: "control-plane", summary: "Started", details: ["port": "4001"])
        #expect(
            try json(event) == """
                {"actor":"control-plane","at":"2026-11-24T02:30:00.000000Z","details":{"port":"4001"},\
                "kind":"instance.started","position":7,"service":"shop","summary":"Started"}
                """)
        #expect(try JSONDecoder().decode(API.Event.self, from: Data(try json(event).utf8)) == event)
    }

    @Test("a lifted limit is an explicit null, and a missing value is a fault")
    func constraintChange() throws {
        let lifted = API.ConstraintChange(constraint: .requestsPerSecondPerConsumer, value: nil)
        #expect(try json(lifted) == #"{"constraint":"requests-per-second-per-consumer","value":null}"#)
        #expect(try JSONDecoder().decode(API.ConstraintChange.self, from: Data(try json(lifted).utf8)) == lifted)
        #expect(throws: DecodingError.self) {
            try JSONDecoder().decode(
                API.ConstraintChange.self, from: Data(#"{"constraint":"maximum-instances"}"#.utf8))
        }
    }

    @Test("a problem has the members of RFC 9457")
    func problem() throws {
        let problem = API.Problem(
            type: "urn:cloudwright:problem:invalid", title: "t", status: 400, detail: "d",
            faults: [API.Fault(detail: "f", pointer: "/a")])
        #expect(
            try json(problem) == """
                {"detail":"d","faults":[{"detail":"f","pointer":"/a"}],"status":400,"title":"t",\
                "type":"urn:cloudwright:problem:invalid"}
                """)
    }

    @Test("times sort as they are")
    func moments() {
        #expect(
            Moment(rfc3339: "2026-11-24T02:30:00.000000Z") < Moment(rfc3339: "2026-11-24T02:30:00.000001Z"))
    }

    @Test("a page names its items' type")
    func pages() {
        #expect(API.Page<API.Service>.schemaName == "ServicePage")
    }
}

public import AdministrationAPI
import AdministrationClient
import LoadClient

/// Logins are intercepted, forwarded and answered, and who tried, how, and with what outcome is stored.
public struct S4AuditMonitor: Sendable {
    public struct Outcome: Sendable {
        public var failure: API.AuditEvent
        public var success: API.AuditEvent
        public var timeline: API.Timeline
    }

    public init() {}

    public func run(in context: ScenarioContext) async throws -> Outcome {
        context.say("someone tries to log in as alice with a wrong password, then with the right one")
        let denied = try await logIn(password: "wrong", in: context)
        try context.expect(denied.status == 401, "401 for a wrong password, not \(denied.status): \(denied.text)")
        let accepted = try await logIn(password: "wonderland", in: context)
        try context.expect(accepted.status == 200, "200 for the right one, not \(accepted.status): \(accepted.text)")
        let failure = try await event(of: denied, in: context)
        let success = try await event(of: accepted, in: context)
        let timeline = try await context.timeline(of: .auditMonitor, service: "shop", "the failed login") {
            $0.incident.contains(failure.requestID)
        }
        return Outcome(failure: failure, success: success, timeline: timeline)
    }

    private func logIn(password: String, in context: ScenarioContext) async throws -> HTTPResponse {
        try await context.call(
            nil, "shop", "/login", method: "POST", headers: [HTTPField("Content-Type", "application/json")],
            body: #"{"user": "alice", "password": "\#(password)"}"#)
    }

    private func event(of answer: HTTPResponse, in context: ScenarioContext) async throws -> API.AuditEvent {
        guard let id = answer["x-request-id"] else {
            throw ScenarioFailure("the response has no x-request-id")
        }
        var filter = AuditFilter()
        filter.service = "shop"
        return try await context.eventually("the audit event of request \(id)") {
            try await context.administration.auditEvents(filter, newest: 100).first { $0.requestID == id }
        }
    }
}

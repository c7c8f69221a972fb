public import AdministrationAPI
import AdministrationClient
public import LoadClient

/// The resource agent: an instance starts and stops, and the timestamps of both events are stored.
public struct S2ResourceAgent: Sendable {
    public init() {}

    /// Restarts an instance: its usage ends, and its next incarnation's begins.
    public func run(in context: ScenarioContext) async throws -> API.Timeline {
        let instance = try await context.waitUntilUp(3, of: "shop")[0]
        context.say("\(instance.id) is stopped and started again; its agent reports both")
        let operation = try await context.administration.command(.restart, instance: instance.id)
        _ = try await context.eventually("the end of the restart of \(instance.id)") {
            let state = try await context.administration.operation(operation.id).state
            try context.expect(state != .failed, "the restart of \(instance.id) to succeed")
            return state == .succeeded ? true : nil
        }
        return try await context.timeline(
            of: .payPerUseResourceAgent, service: "shop", "steps 1 to 6 of \(instance.id)"
        ) { $0.instance == instance.id && Set($0.numbers).isSuperset(of: ["1", "2", "3", "4", "5", "6"]) }
    }
}

/// The monitoring agent: a request is intercepted, forwarded, stored with its usage, and answered.
public struct S3MonitoringAgent: Sendable {
    public struct Outcome: Sendable {
        public var answer: HTTPResponse
        public var record: API.UsageRecord
        public var timeline: API.Timeline
    }

    public init() {}

    public func run(in context: ScenarioContext) async throws -> Outcome {
        context.say("bob fetches 10,000 bytes")
        let answer = try await context.call("bob", "shop", "/bytes?n=10000")
        try context.expect(answer.status == 200, "200 for /bytes, not \(answer.status): \(answer.text)")
        guard let id = answer["x-request-id"] else {
            throw ScenarioFailure("the response has no x-request-id")
        }
        let record = try await context.usageRecord(id, of: "shop")
        let timeline = try await context.timeline(
            of: .payPerUseMonitoringAgent, service: "shop", "request \(id)"
        ) { $0.incident.contains(id) }
        return Outcome(answer: answer, record: record, timeline: timeline)
    }
}

extension ScenarioContext {
    /// The monitoring agent's record of one request, once it is stored.
    public func usageRecord(_ requestID: String, of service: String) async throws -> API.UsageRecord {
        var filter = UsageFilter()
        filter.service = service
        return try await eventually("the usage record of request \(requestID)") {
            try await administration.usageRecords(filter, limit: 1_000).first { $0.requestID == requestID }
        }
    }
}

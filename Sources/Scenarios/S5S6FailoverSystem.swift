public import AdministrationAPI
import Foundation
public import LoadClient

/// Active-active: of three implementations one is killed under load; the load balancer switches over, the failed one is
/// recovered, and the load is distributed again.
public struct S5FailoverActiveActive: Sendable {
    public struct Outcome: Sendable {
        public var failed: String
        public var load: LoadReport
        public var timeline: API.Timeline
    }

    public let requestsPerSecond: Int
    public let seconds: Int

    public init(requestsPerSecond: Int = 300, seconds: Int = 5) {
        self.requestsPerSecond = requestsPerSecond
        self.seconds = seconds
    }

    public func run(in context: ScenarioContext) async throws -> Outcome {
        let instance = try await context.waitUntilUp(3, of: "shop")[1]
        context.say("\(requestsPerSecond) requests/s go to three implementations; \(instance.id) is killed")
        let milliseconds = Int64(seconds) * 1_000
        let load = Task {
            try await context.load("shop", "/", perSecond: requestsPerSecond, milliseconds: milliseconds)
        }
        _ = try await context.eventually("load on the service") {
            (try await context.administration.service("shop").load?.admitted ?? 0) > 50 ? true : nil
        }
        try context.kill(instance, SIGKILL)
        let report = try await load.value
        context.say("\(report.succeeded) requests answered, \(report.failed) failed")
        let timeline = try await context.timeline(
            of: .failoverActiveActive, service: "shop", "steps 2 to 5 of \(instance.id)"
        ) { $0.instance == instance.id && Set($0.numbers).isSuperset(of: ["2", "3", "4", "5"]) }
        return Outcome(failed: instance.id, load: report, timeline: timeline)
    }
}

/// Active-passive: the active implementation is killed; the warm standby takes over, and the failed one is recovered as
/// the standby.
public struct S6FailoverActivePassive: Sendable {
    public struct Outcome: Sendable {
        public var failed: String
        public var takenOverBy: String
        /// From the kill to the first answer of the standby.
        public var gap: Duration
        public var timeline: API.Timeline
    }

    public init() {}

    public func run(in context: ScenarioContext) async throws -> Outcome {
        let both = try await context.waitUntilUp(2, of: "ledger")
        guard let active = both.first(where: { $0.role == .active }) else {
            throw ScenarioFailure("no instance of ledger is active")
        }
        let first = try await context.call("carol", "ledger", "/")
        try context.expect(first.servedBy == active.id, "the active \(active.id) to answer, not \(first.text)")
        context.say("\(active.id) is active and is killed; a standby waits")
        let began = ContinuousClock.now
        try context.kill(active, SIGKILL)
        let answer = try await context.eventually("an answer of the standby", within: .seconds(10)) {
            let answer = try await context.call("carol", "ledger", "/")
            return answer.status == 200 && answer.servedBy != active.id ? answer : nil
        }
        let gap = ContinuousClock.now - began
        context.say("\(answer.servedBy ?? "nobody") has taken over after \(gap)")
        _ = try await context.eventually("\(active.id) recovered as standby") {
            let now = try await context.upInstances(of: "ledger")
            return now.contains { $0.role == .standby } && now.count == 2 ? true : nil
        }
        let timeline = try await context.timeline(
            of: .failoverActivePassive, service: "ledger", "steps 2 to 4 of \(active.id)"
        ) { $0.instance == active.id && Set($0.numbers).isSuperset(of: ["2", "3", "4"]) }
        return Outcome(failed: active.id, takenOverBy: answer.servedBy ?? "", gap: gap, timeline: timeline)
    }
}

extension ScenarioContext {
    /// Kills the process of an instance; the scenarios run on the machine of the platform.
    public func kill(_ instance: API.Instance, _ signal: Int32) throws {
        guard let process = instance.processID, process > 1 else {
            throw ScenarioFailure("\(instance.id) has no process to kill")
        }
        Glibc.kill(process, signal)
    }
}

public import AdministrationAPI
import Foundation
public import LoadClient

/// Three consumers are served by three instances; the fourth is rejected, because the limit is three; the administrator
/// raises it from the notification, and the fourth is served.
public struct S1AutomatedScalingListener: Sendable {
    public struct Outcome: Sendable {
        /// Who served alice, bob and carol, in this order.
        public var instances: [String]
        public var rejection: HTTPResponse
        /// Dave's request that chose to wait.
        public var served: HTTPResponse
        public var notifications: [API.Notification]
        public var timeline: API.Timeline
    }

    /// How long the three keep their instances; the rejection has to happen meanwhile.
    public let hold: Duration

    public init(hold: Duration = .seconds(6)) { self.hold = hold }

    public func run(in context: ScenarioContext) async throws -> Outcome {
        _ = try await context.waitUntilUp(1, of: "classic")
        let milliseconds = hold.components.seconds * 1_000
        context.say("alice, bob and carol access the service at once; it has one instance")
        let three = ScenarioCloud.consumers.prefix(3).map { consumer in
            Task { try await context.call(consumer, "classic", "/hold?ms=\(milliseconds)") }
        }
        _ = try await context.eventually("three consumers served by three instances", within: hold) {
            let load = try await context.administration.service("classic").load
            return load?.requestsInFlightByInstance.values.filter { $0 == 1 }.count == 3 ? true : nil
        }
        context.say("the listener has scaled out to three instances; dave arrives as the fourth")
        let rejection = try await context.call("dave", "classic", "/hold?ms=10")
        try context.expect(rejection.status == 429, "429 for the fourth consumer, not \(rejection.status)")
        context.say("dave is rejected: \(rejection.text)")

        let waiting = Task {
            try await context.call("dave", "classic", "/hold?ms=10", headers: [HTTPField("Prefer", "wait=60")])
        }
        let token = try await context.eventually("the administrator's notification with its link") {
            context.platform.newestChangeLink
        }
        let offer = try await context.administration.acceptOffer(ofLink: token)
        context.say("the administrator raises the limit from the notification: \(offer.from) to \(offer.to)")
        let served = try await waiting.value
        try context.expect(served.status == 200, "200 for the fourth consumer, not \(served.status): \(served.text)")
        context.say("dave, who chose to wait, is served by \(served.servedBy ?? "nobody")")

        var instances: [String] = []
        for task in three {
            let answer = try await task.value
            try context.expect(answer.status == 200, "200 for the three, not \(answer.status): \(answer.text)")
            instances.append(answer.servedBy ?? "")
        }
        try context.expect(Set(instances).count == 3, "three instances for three consumers, not \(instances)")
        let timeline = try await context.timeline(
            of: .automatedScalingListener, service: "classic", "steps 1 to 5"
        ) { Set($0.numbers).isSuperset(of: ["1", "2", "3", "4", "5"]) }
        let notifications = try await context.administration.notifications(maximum: 100)
            .filter { $0.service == "classic" && $0.kind == "limit-reached" }
        return Outcome(
            instances: instances, rejection: rejection, served: served, notifications: notifications,
            timeline: timeline)
    }
}

extension PlatformProcess {
    /// The token of the newest link to change a constraint that the platform told the administrators of.
    public var newestChangeLink: String? {
        let file = directory.appendingPathComponent("serve.log")
        guard let text = try? String(contentsOf: file, encoding: .utf8),
            let found = text.range(of: "/api/v1/constraint-changes/", options: .backwards)
        else { return nil }
        let token = text[found.upperBound...].prefix { $0.isLetter || $0.isNumber || "-_.".contains($0) }
        return token.isEmpty ? nil : String(token)
    }
}

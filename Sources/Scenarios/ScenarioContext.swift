public import AdministrationAPI
public import AdministrationClient
import Foundation

/// A running platform as a scenario uses it: its gateway as consumers do, its API as administrators do.
public struct ScenarioContext: Sendable {
    public let platform: PlatformProcess
    public let administration: AdministrationClient
    /// By consumer.
    public let keys: [String: String]
    /// Told of what goes on, a line at a time.
    public let say: @Sendable (String) -> Void

    /// Makes a key for each consumer.
    public init(platform: PlatformProcess, say: @escaping @Sendable (String) -> Void = { _ in }) async throws {
        self.platform = platform
        self.say = say
        administration = try AdministrationClient(
            server: platform.announcement.administration, token: platform.administratorToken)
        var keys: [String: String] = [:]
        for consumer in ScenarioCloud.consumers {
            keys[consumer] = try await administration.createCredential(for: consumer, API.CredentialRequest()).key
        }
        self.keys = keys
    }

    /// The same platform's consumers on a platform that was started again.
    public init(_ other: ScenarioContext, on platform: PlatformProcess) throws {
        self.platform = platform
        keys = other.keys
        say = other.say
        administration = try AdministrationClient(
            server: platform.announcement.administration, token: platform.administratorToken)
    }

    /// Waits until `condition` gives a value; fails with what was waited for when the time is up.
    public func eventually<Value: Sendable>(
        _ what: String, within limit: Duration = .seconds(20), _ condition: () async throws -> Value?
    ) async throws -> Value {
        let deadline = ContinuousClock.now.advanced(by: limit)
        while true {
            if let value = try await condition() { return value }
            guard ContinuousClock.now < deadline else {
                throw ScenarioFailure("after \(limit) still waiting for: \(what)\n\(platform.log)")
            }
            try await Task.sleep(for: .milliseconds(20))
        }
    }

    public func expect(_ condition: Bool, _ what: String) throws {
        guard condition else { throw ScenarioFailure("expected: \(what)\n\(platform.log)") }
    }

    /// The instances of a service that run and pass their checks.
    public func upInstances(of service: String) async throws -> [API.Instance] {
        try await administration.instances(of: service).filter { $0.phase == .running && $0.operational == .up }
    }

    public func waitUntilUp(_ count: Int, of service: String) async throws -> [API.Instance] {
        try await eventually("\(count) instances of \(service) up") {
            let up = try await upInstances(of: service)
            return up.count == count ? up : nil
        }
    }

    /// The newest timeline of a mechanism for which `isComplete` holds.
    public func timeline(
        of mechanism: API.Mechanism, service: String, _ what: String,
        where isComplete: (API.Timeline) -> Bool
    ) async throws -> API.Timeline {
        try await eventually("timeline of \(mechanism.rawValue): \(what)") {
            try await administration.timelines(
                mechanism: mechanism, service: service, incident: nil, last: 20
            )
            .first(where: isComplete)
        }
    }
}

extension API.Timeline {
    public var numbers: [String] { steps.map(\.number) }

    /// One line a step: number, milliseconds since the first, what happened.
    public var text: String {
        steps.map { step in
            let since = step.sinceStartMicroseconds.map { "+\(Double($0) / 1_000) ms" } ?? ""
            return "    (\(step.number)) \(since.padding(toLength: 14, withPad: " ", startingAt: 0)) \(step.summary)"
        }.joined(separator: "\n")
    }
}

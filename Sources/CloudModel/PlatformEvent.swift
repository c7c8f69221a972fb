/// One entry of the append-only platform event log: what was observed, decided, commanded or done.
public struct PlatformEvent: Codable, Hashable, Sendable {
    /// Position in the log, from 1, given when it is appended; 0 before.
    public var position: Int64
    public var at: Timestamp
    /// Stable, dotted: `instance.started`, `scaling.decided`, `constraint.changed`, …
    public var kind: String
    public var service: ServiceID?
    public var instance: InstanceID?
    public var consumer: ConsumerID?
    /// Who caused it: `control-plane`, `gateway`, or an administrator's name.
    public var actor: String
    /// The step of a mechanism's timeline that this event is; nil where it is none.
    public var step: TimelineStep?
    /// One line for people.
    public var summary: String
    /// The facts, by name, values as text: counts, limits, reasons.
    public var details: [String: String]

    public init(
        position: Int64 = 0, at: Timestamp, kind: String, service: ServiceID? = nil, instance: InstanceID? = nil,
        consumer: ConsumerID? = nil, actor: String = "control-plane", step: TimelineStep? = nil, summary: String,
        details: [String: String] = [:]
    ) {
        self.position = position
        self.at = at
        self.kind = kind
        self.service = service
        self.instance = instance
        self.consumer = consumer
        self.actor = actor
        self.step = step
        self.summary = summary
        self.details = details
    }
}

/// The place of an event in one run of a mechanism: steps of the same `incident` form one timeline.
public struct TimelineStep: Codable, Hashable, Sendable {
    public var mechanism: Mechanism
    /// Names the run of the mechanism, derived from what began it.
    public var incident: String
    /// As numbered in the mechanism's description: `1`, `3a`, …
    public var number: String

    public init(mechanism: Mechanism, incident: String, number: String) {
        self.mechanism = mechanism
        self.incident = incident
        self.number = number
    }
}

public enum Mechanism: String, Codable, Hashable, Sendable, CaseIterable {
    case automatedScalingListener = "automated-scaling-listener"
    case payPerUseResourceAgent = "pay-per-use-resource-agent"
    case payPerUseMonitoringAgent = "pay-per-use-monitoring-agent"
    case auditMonitor = "audit-monitor"
    case failoverActiveActive = "failover-active-active"
    case failoverActivePassive = "failover-active-passive"
    case liveMigration = "live-migration"
}

/// An asynchronous task that a person asked for and can follow.
public struct Operation: Codable, Hashable, Sendable {
    public var id: OperationID
    /// `service.restart`, `instance.drain`, …
    public var kind: String
    public var actor: String
    public var service: ServiceID?
    public var instance: InstanceID?
    /// The physical server that it is about.
    public var host: PhysicalServerID?
    /// Of one with several steps.
    public var progress: OperationProgress?
    public var state: State
    public var startedAt: Timestamp
    public var endedAt: Timestamp?
    /// Why it failed, for people; nil otherwise.
    public var failure: String?

    public enum State: String, Codable, Hashable, Sendable, CaseIterable {
        case running, succeeded, failed
    }

    public init(
        id: OperationID, kind: String, actor: String, service: ServiceID? = nil, instance: InstanceID? = nil,
        host: PhysicalServerID? = nil, progress: OperationProgress? = nil, state: State = .running,
        startedAt: Timestamp, endedAt: Timestamp? = nil, failure: String? = nil
    ) {
        self.id = id
        self.kind = kind
        self.actor = actor
        self.service = service
        self.instance = instance
        self.host = host
        self.progress = progress
        self.state = state
        self.startedAt = startedAt
        self.endedAt = endedAt
        self.failure = failure
    }
}

/// How far an operation of several steps is.
public struct OperationProgress: Codable, Hashable, Sendable {
    public var done: Int
    public var total: Int
    /// What it waits for, for people; empty where it goes on by itself.
    public var waiting: [String]

    public init(done: Int, total: Int, waiting: [String] = []) {
        self.done = done
        self.total = total
        self.waiting = waiting
    }
}

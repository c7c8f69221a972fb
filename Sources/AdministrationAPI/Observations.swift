extension API {
    /// The place of an event in one run of a mechanism.
    public struct StepReference: WireType {
        public var mechanism: Mechanism
        public var incident: String
        public var number: String

        public init(mechanism: Mechanism, incident: String, number: String) {
            self.mechanism = mechanism
            self.incident = incident
            self.number = number
        }

        public static let summary = "The place of an event in one run of a mechanism."
        public static let fields = [
            "mechanism": "The mechanism.",
            "incident": "Names the run.",
            "number": "The step's number in the mechanism's description: `1`, `3a`, …",
        ]
    }

    /// One entry of the append-only platform event log.
    public struct Event: WireType {
        public var position: Int64
        public var at: Moment
        public var kind: String
        public var service: String?
        public var instance: String?
        public var consumer: String?
        public var actor: String
        public var step: StepReference?
        public var summary: String
        public var details: [String: String]

        public init(
            position: Int64, at: Moment, kind: String, service: String? = nil, instance: String? = nil,
            consumer: String? = nil, actor: String, step: StepReference? = nil, summary: String,
            details: [String: String]
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

        public static let summary = "One entry of the append-only platform event log."
        public static let fields = [
            "position": "Its place in the log, from 1.",
            "at": "When it happened.",
            "kind": "Stable and dotted: `instance.started`, `constraint.changed`, …",
            "service": "The service that it concerns.",
            "instance": "The instance that it concerns.",
            "consumer": "The consumer that it concerns.",
            "actor": "Who caused it.",
            "step": "The step of a mechanism that it is.",
            "summary": "One line for people.",
            "details": "The facts by name: counts, limits, reasons.",
        ]
    }

    /// One step of a run.
    public struct TimelineStep: WireType {
        public var number: String
        public var at: Moment?
        public var summary: String
        public var sinceStartMicroseconds: Int64?

        public init(number: String, at: Moment? = nil, summary: String, sinceStartMicroseconds: Int64? = nil) {
            self.number = number
            self.at = at
            self.summary = summary
            self.sinceStartMicroseconds = sinceStartMicroseconds
        }

        public static let summary = "One step of a run."
        public static let fields = [
            "number": "Its number in the mechanism's description.",
            "at": "When it happened; absent where nobody saw it.",
            "summary": "What happened, for people.",
            "sinceStartMicroseconds": "Time since the first step of the run.",
        ]
    }

    /// One run of a mechanism, step by step.
    public struct Timeline: WireType {
        public var mechanism: Mechanism
        public var incident: String
        public var service: String?
        public var instance: String?
        public var consumer: String?
        public var startedAt: Moment?
        public var steps: [TimelineStep]

        public init(
            mechanism: Mechanism, incident: String, service: String? = nil, instance: String? = nil,
            consumer: String? = nil, startedAt: Moment? = nil, steps: [TimelineStep]
        ) {
            self.mechanism = mechanism
            self.incident = incident
            self.service = service
            self.instance = instance
            self.consumer = consumer
            self.startedAt = startedAt
            self.steps = steps
        }

        public static let summary = "One run of a mechanism, step by step."
        public static let fields = [
            "mechanism": "The mechanism.",
            "incident": "Names the run.",
            "service": "The service that it concerns.",
            "instance": "The instance that it concerns.",
            "consumer": "The consumer that it concerns.",
            "startedAt": "When its first step happened.",
            "steps": "Its steps in order.",
        ]
    }

    /// Something that goes on until it is over, and is told once.
    public struct Incident: WireType {
        public var id: String
        public var kind: String
        public var service: String
        public var instance: String?
        public var constraint: ConstraintKind?
        public var consumers: [String]
        public var openedAt: Moment

        public init(
            id: String, kind: String, service: String, instance: String? = nil, constraint: ConstraintKind? = nil,
            consumers: [String], openedAt: Moment
        ) {
            self.id = id
            self.kind = kind
            self.service = service
            self.instance = instance
            self.constraint = constraint
            self.consumers = consumers
            self.openedAt = openedAt
        }

        public static let summary = "Something that goes on until it is over, and is told once."
        public static let fields = [
            "id": "Its name.",
            "kind": "`limit-reached`, `implementation-failed`, `breaker-open`.",
            "service": "The service that it concerns.",
            "instance": "The instance that it concerns.",
            "constraint": "The constraint that was reached.",
            "consumers": "The consumers that were refused.",
            "openedAt": "When it began.",
        ]
    }

    /// A change of one constraint that may be made with one click.
    public struct ConstraintOffer: WireType {
        public var service: String
        public var constraint: ConstraintKind
        public var from: Int
        public var to: Int

        public init(service: String, constraint: ConstraintKind, from: Int, to: Int) {
            self.service = service
            self.constraint = constraint
            self.from = from
            self.to = to
        }

        public static let summary = "A change of one constraint that may be made with one click."
        public static let fields = [
            "service": "The service.",
            "constraint": "The constraint.",
            "from": "Its value when the offer was made.",
            "to": "Its value after the change.",
        ]
    }

    /// Something that a person was told, once per incident.
    public struct Notification: WireType {
        public var id: String
        public var at: Moment
        public var severity: Severity
        public var kind: String
        public var service: String?
        public var consumer: String?
        public var title: String
        public var body: String
        public var offer: ConstraintOffer?
        public var deliveries: [String: String]

        public init(
            id: String, at: Moment, severity: Severity, kind: String, service: String? = nil, consumer: String? = nil,
            title: String, body: String, offer: ConstraintOffer? = nil, deliveries: [String: String]
        ) {
            self.id = id
            self.at = at
            self.severity = severity
            self.kind = kind
            self.service = service
            self.consumer = consumer
            self.title = title
            self.body = body
            self.offer = offer
            self.deliveries = deliveries
        }

        public static let summary = "Something that a person was told, once per incident."
        public static let fields = [
            "id": "Its name.",
            "at": "When it was decided.",
            "severity": "How much it matters.",
            "kind": "What kind of thing happened: `limit-reached`, `failover`, …",
            "service": "The service that it concerns.",
            "consumer": "The consumer that it is for; absent for the administrators.",
            "title": "One line for people.",
            "body": "The whole text for people.",
            "offer": "The change that the recipient may make.",
            "deliveries": "By channel: `delivered`, `pending` or `given-up: why`.",
        ]
    }

    /// Whether the platform works.
    public struct Health: WireType {
        public var healthy: Bool
        public var parts: [String: String]

        public init(healthy: Bool, parts: [String: String]) {
            self.healthy = healthy
            self.parts = parts
        }

        public static let summary = "Whether the platform works."
        public static let fields = [
            "healthy": "Whether all parts do.",
            "parts": "By part: `ok`, or what is wrong.",
        ]
    }
}

extension API {
    /// Why the two pay-per-use agents do not agree, or one of them is in doubt by itself.
    public enum DifferenceCause: String, WireEnumeration {
        case missingStart = "missing-start"
        case missingStop = "missing-stop"
        case duplicate
        case outsideLifetime = "outside-lifetime"
        case bypass
        case abortedStream = "aborted-stream"
        case clockSkew = "clock-skew"
        case lateRecord = "late-record"
        case lostRecord = "lost-record"
        case misplacedEvent = "misplaced-event"
        case unwatched
    }

    /// The figures of both pay-per-use agents held against each other.
    public struct Reconciliation: WireType {
        public var from: Moment
        public var until: Moment
        public var settled: Bool
        public var instances: [ReconciledInstance]
        public var records: [RecordDoubt]
        public var unknownInstances: [String]
        public var holds: [HeldService]

        public init(
            from: Moment, until: Moment, settled: Bool, instances: [ReconciledInstance], records: [RecordDoubt],
            unknownInstances: [String], holds: [HeldService]
        ) {
            self.from = from
            self.until = until
            self.settled = settled
            self.instances = instances
            self.records = records
            self.unknownInstances = unknownInstances
            self.holds = holds
        }

        public static let summary = "The figures of both pay-per-use agents held against each other."
        public static let fields = [
            "from": "When the time begins.",
            "until": "When it ends, exclusive.",
            "settled": "Whether there is nothing that anybody has to look at.",
            "instances": "Every instance that one of the agents knows of, by service and name.",
            "records": "Records that never came, or came twice with different content; not told to consumers.",
            "unknownInstances":
                "Instances that were seen running and of which there is no event; not told to consumers.",
            "holds": "Services whose lines are held on their owner's bill.",
        ]
    }

    /// One instance's figures of both agents, and what does not fit.
    public struct ReconciledInstance: WireType {
        public var owner: String?
        public var service: String
        public var instance: String
        public var runningMicroseconds: Int64
        public var requests: Int64
        public var busyMicroseconds: Int64
        public var differences: [UsageDifference]

        public init(
            owner: String? = nil, service: String, instance: String, runningMicroseconds: Int64, requests: Int64,
            busyMicroseconds: Int64, differences: [UsageDifference]
        ) {
            self.owner = owner
            self.service = service
            self.instance = instance
            self.runningMicroseconds = runningMicroseconds
            self.requests = requests
            self.busyMicroseconds = busyMicroseconds
            self.differences = differences
        }

        public static let summary = "One instance's figures of both agents, and what does not fit."
        public static let fields = [
            "owner": "Who pays for its time; absent for the operator's own.",
            "service": "The service.",
            "instance": "The instance.",
            "runningMicroseconds": "How long it ran, as the resource agent says.",
            "requests": "Requests that it was sent, as the monitoring agent says.",
            "busyMicroseconds": "How long it was busy with them.",
            "differences": "What does not fit, by time; empty where all does.",
        ]
    }

    /// One thing that does not fit: why, and what it is worth.
    public struct UsageDifference: WireType {
        public var cause: DifferenceCause
        public var from: Moment
        public var until: Moment
        public var count: Int64
        public var microseconds: Int64
        public var amount: String?
        public var currency: String?

        public init(
            cause: DifferenceCause, from: Moment, until: Moment, count: Int64, microseconds: Int64,
            amount: String? = nil, currency: String? = nil
        ) {
            self.cause = cause
            self.from = from
            self.until = until
            self.count = count
            self.microseconds = microseconds
            self.amount = amount
            self.currency = currency
        }

        public static let summary = "One thing that does not fit: why, and what it is worth."
        public static let fields = [
            "cause": "Why.",
            "from": "From when the books are in doubt.",
            "until": "Until when.",
            "count": "Requests, records or events that it concerns.",
            "microseconds": "Running time that may be missing (more than zero) or too much (less).",
            "amount": "What the bill would be more or less by; absent where it cannot be told or nobody is billed.",
            "currency": "What the amount is in.",
        ]
    }

    /// Records whose owner is not known.
    public struct RecordDoubt: WireType {
        public var cause: DifferenceCause
        public var what: String
        public var count: Int64
        public var from: Moment
        public var until: Moment

        public init(cause: DifferenceCause, what: String, count: Int64, from: Moment, until: Moment) {
            self.cause = cause
            self.what = what
            self.count = count
            self.from = from
            self.until = until
        }

        public static let summary = "Records whose owner is not known."
        public static let fields = [
            "cause": "`lost-record` or `duplicate`.",
            "what": "The gateway's loop that numbered the records, or the request.",
            "count": "How many.",
            "from": "When they were written, as far as is known.",
            "until": "Until when.",
        ]
    }

    /// A service whose lines are not due yet.
    public struct HeldService: WireType {
        public var service: String
        public var reason: String

        public init(service: String, reason: String) {
            self.service = service
            self.reason = reason
        }

        public static let summary = "A service whose lines are not due yet."
        public static let fields = ["service": "The service.", "reason": "Why."]
    }
}

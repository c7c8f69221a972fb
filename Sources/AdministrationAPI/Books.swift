extension API {
    /// The monitoring agent's sums over requests.
    public struct RequestUsage: WireType {
        public var consumer: String
        public var service: String
        public var instance: String?
        public var periodStart: Moment?
        public var requests: Int64
        public var rejected: Int64
        public var failed: Int64
        public var aborted: Int64
        public var bytesIn: Int64
        public var bytesOut: Int64
        public var busyMicroseconds: Int64

        public init(
            consumer: String, service: String, instance: String? = nil, periodStart: Moment? = nil, requests: Int64,
            rejected: Int64, failed: Int64, aborted: Int64, bytesIn: Int64, bytesOut: Int64, busyMicroseconds: Int64
        ) {
            self.consumer = consumer
            self.service = service
            self.instance = instance
            self.periodStart = periodStart
            self.requests = requests
            self.rejected = rejected
            self.failed = failed
            self.aborted = aborted
            self.bytesIn = bytesIn
            self.bytesOut = bytesOut
            self.busyMicroseconds = busyMicroseconds
        }

        public static let summary = "The monitoring agent's sums over requests."
        public static let fields = [
            "consumer": "Who sent the requests.",
            "service": "The service.",
            "instance": "Who answered; absent for requests that no instance got.",
            "periodStart": "Where the period begins; absent where the sum is over all time.",
            "requests": "Requests, however they ended.",
            "rejected": "Of these, rejected at a limit.",
            "failed": "Of these, answered by the gateway because no instance could.",
            "aborted": "Of these, ended before the whole response had moved; what had moved is counted.",
            "bytesIn": "Bytes that the consumer sent, heads and bodies.",
            "bytesOut": "Bytes that the consumer was sent, heads and bodies.",
            "busyMicroseconds": "How long instances were busy with them.",
        ]
    }

    /// The resource agent's sums over the life of an instance.
    public struct InstanceUsage: WireType {
        public var owner: String?
        public var service: String
        public var instance: String
        public var periodStart: Moment?
        public var runningMicroseconds: Int64
        public var suspendedMicroseconds: Int64
        public var cpuMillicoreSeconds: String
        public var memoryByteSeconds: String
        public var inferred: Bool

        public init(
            owner: String? = nil, service: String, instance: String, periodStart: Moment? = nil,
            runningMicroseconds: Int64, suspendedMicroseconds: Int64, cpuMillicoreSeconds: String,
            memoryByteSeconds: String, inferred: Bool
        ) {
            self.owner = owner
            self.service = service
            self.instance = instance
            self.periodStart = periodStart
            self.runningMicroseconds = runningMicroseconds
            self.suspendedMicroseconds = suspendedMicroseconds
            self.cpuMillicoreSeconds = cpuMillicoreSeconds
            self.memoryByteSeconds = memoryByteSeconds
            self.inferred = inferred
        }

        public static let summary = "The resource agent's sums over the life of an instance."
        public static let fields = [
            "owner": "Who pays; absent for the operator's own services.",
            "service": "The service.",
            "instance": "The instance.",
            "periodStart": "Where the period begins; absent where the sum is over all time.",
            "runningMicroseconds": "How long it ran.",
            "suspendedMicroseconds": "How long it was suspended.",
            "cpuMillicoreSeconds": "Processor limit in thousandths times seconds, as exact decimal text.",
            "memoryByteSeconds": "Memory limit in bytes times seconds, as exact decimal text.",
            "inferred": "Whether part of it rests on a stop that was concluded, not seen.",
        ]
    }

    /// What both agents say of one instance, side by side.
    public struct UsageComparison: WireType {
        public var service: String
        public var instance: String
        public var periodStart: Moment?
        public var runningMicroseconds: Int64
        public var requests: Int64
        public var busyMicroseconds: Int64
        public var finding: UsageFinding

        public init(
            service: String, instance: String, periodStart: Moment? = nil, runningMicroseconds: Int64, requests: Int64,
            busyMicroseconds: Int64, finding: UsageFinding
        ) {
            self.service = service
            self.instance = instance
            self.periodStart = periodStart
            self.runningMicroseconds = runningMicroseconds
            self.requests = requests
            self.busyMicroseconds = busyMicroseconds
            self.finding = finding
        }

        public static let summary = "What both agents say of one instance, side by side."
        public static let fields = [
            "service": "The service.",
            "instance": "The instance.",
            "periodStart": "Where the period begins; absent where the sum is over all time.",
            "runningMicroseconds": "The resource agent: how long it ran.",
            "requests": "The monitoring agent: requests that it answered.",
            "busyMicroseconds": "The monitoring agent: how long it was busy with them.",
            "finding": "Whether the two fit each other.",
        ]
    }

    /// Something in the resource agent's events that does not fit.
    public struct UsageAnomaly: WireType {
        public var service: String
        public var instance: String
        public var incarnation: Int
        public var kind: UsageAnomalyKind
        public var at: Moment

        public init(service: String, instance: String, incarnation: Int, kind: UsageAnomalyKind, at: Moment) {
            self.service = service
            self.instance = instance
            self.incarnation = incarnation
            self.kind = kind
            self.at = at
        }

        public static let summary = "Something in the resource agent's events that does not fit."
        public static let fields = [
            "service": "The service.",
            "instance": "The instance.",
            "incarnation": "Which of its starts.",
            "kind": "What does not fit.",
            "at": "Where.",
        ]
    }

    /// Usage as both agents saw it.
    public struct UsageReport: WireType {
        public var from: Moment?
        public var until: Moment?
        public var periodSeconds: Int64?
        public var resourceAgent: [InstanceUsage]
        public var monitoringAgent: [RequestUsage]
        public var sideBySide: [UsageComparison]
        public var anomalies: [UsageAnomaly]

        public init(
            from: Moment? = nil, until: Moment? = nil, periodSeconds: Int64? = nil, resourceAgent: [InstanceUsage],
            monitoringAgent: [RequestUsage], sideBySide: [UsageComparison], anomalies: [UsageAnomaly]
        ) {
            self.from = from
            self.until = until
            self.periodSeconds = periodSeconds
            self.resourceAgent = resourceAgent
            self.monitoringAgent = monitoringAgent
            self.sideBySide = sideBySide
            self.anomalies = anomalies
        }

        public static let summary = "Usage as both agents saw it."
        public static let fields = [
            "from": "Where the report begins.",
            "until": "Where it ends, exclusive.",
            "periodSeconds": "Length of the periods; absent for one sum over all.",
            "resourceAgent": "What instances held.",
            "monitoringAgent": "What requests moved.",
            "sideBySide": "Both by instance and period; for a consumer only the services that it rents.",
            "anomalies": "What does not fit in the resource agent's events.",
        ]
    }

    /// What the monitoring agent stored of one request.
    public struct UsageRecord: WireType {
        public var requestID: String
        public var consumer: String
        public var service: String
        public var instance: String?
        public var outcome: RequestOutcome
        public var status: Int
        public var bytesIn: UInt64
        public var bytesOut: UInt64
        public var receivedAt: Moment
        public var forwardedAt: Moment?
        public var completedAt: Moment
        public var storedAt: Moment
        public var source: String
        public var sequence: UInt64

        public init(
            requestID: String, consumer: String, service: String, instance: String? = nil, outcome: RequestOutcome,
            status: Int, bytesIn: UInt64, bytesOut: UInt64, receivedAt: Moment, forwardedAt: Moment? = nil,
            completedAt: Moment, storedAt: Moment, source: String, sequence: UInt64
        ) {
            self.requestID = requestID
            self.consumer = consumer
            self.service = service
            self.instance = instance
            self.outcome = outcome
            self.status = status
            self.bytesIn = bytesIn
            self.bytesOut = bytesOut
            self.receivedAt = receivedAt
            self.forwardedAt = forwardedAt
            self.completedAt = completedAt
            self.storedAt = storedAt
            self.source = source
            self.sequence = sequence
        }

        public static let summary = "What the monitoring agent stored of one request."
        public static let fields = [
            "requestID": "The request's id, as in the response header `x-request-id`.",
            "consumer": "Who sent it.",
            "service": "The service.",
            "instance": "Who answered.",
            "outcome": "How it ended.",
            "status": "Status of the response; 0 where none was given.",
            "bytesIn": "Bytes that the consumer sent.",
            "bytesOut": "Bytes that the consumer was sent.",
            "receivedAt": "When it was intercepted.",
            "forwardedAt": "When it was forwarded to the instance.",
            "completedAt": "When the response was complete.",
            "storedAt": "When the record was stored in the log database.",
            "source": "The writer: gateway and event loop.",
            "sequence": "Its number in the writer's sequence.",
        ]
    }

    /// A login that the audit monitor intercepted.
    public struct AuditEvent: WireType {
        public var position: Int64
        public var requestID: String
        public var observer: String
        public var service: String
        public var consumer: String?
        public var principal: String
        public var credentialKind: CredentialKind
        public var credentialTag: String?
        public var sourceAddress: String
        public var userAgent: String
        public var method: String
        public var path: String
        public var outcome: LoginOutcome
        public var reason: String
        public var status: Int
        public var receivedAt: Moment
        public var forwardedAt: Moment?
        public var respondedAt: Moment
        public var storedAt: Moment

        public init(
            position: Int64, requestID: String, observer: String, service: String, consumer: String? = nil,
            principal: String, credentialKind: CredentialKind, credentialTag: String? = nil, sourceAddress: String,
            userAgent: String, method: String, path: String, outcome: LoginOutcome, reason: String, status: Int,
            receivedAt: Moment, forwardedAt: Moment? = nil, respondedAt: Moment, storedAt: Moment
        ) {
            self.position = position
            self.requestID = requestID
            self.observer = observer
            self.service = service
            self.consumer = consumer
            self.principal = principal
            self.credentialKind = credentialKind
            self.credentialTag = credentialTag
            self.sourceAddress = sourceAddress
            self.userAgent = userAgent
            self.method = method
            self.path = path
            self.outcome = outcome
            self.reason = reason
            self.status = status
            self.receivedAt = receivedAt
            self.forwardedAt = forwardedAt
            self.respondedAt = respondedAt
            self.storedAt = storedAt
        }

        public static let summary = "A login that the audit monitor intercepted."
        public static let fields = [
            "position": "Its place in the audit log.",
            "requestID": "The request's id.",
            "observer": "Who observed it.",
            "service": "What was logged in to; `administration` is the platform itself.",
            "consumer": "Whose key carried the request.",
            "principal": "Who tried to log in; empty where the request does not say.",
            "credentialKind": "What was presented.",
            "credentialTag": "A keyed tag that tells different secrets apart; never the secret.",
            "sourceAddress": "Where the request came from.",
            "userAgent": "The program that it said to be.",
            "method": "The request's method.",
            "path": "The request's path.",
            "outcome": "How it ended.",
            "reason": "Why: a stable word.",
            "status": "Status of the response.",
            "receivedAt": "When it was intercepted.",
            "forwardedAt": "When it was forwarded.",
            "respondedAt": "When the response was intercepted.",
            "storedAt": "When the event was stored.",
        ]
    }

    /// What a check of one of the append-only logs found.
    public struct LogIntegrity: WireType {
        public var log: String
        public var records: Int64
        public var sealed: Int64
        public var seals: Int
        public var lastSealedAt: Moment?
        public var fault: String?

        public init(
            log: String, records: Int64, sealed: Int64, seals: Int, lastSealedAt: Moment?, fault: String?
        ) {
            self.log = log
            self.records = records
            self.sealed = sealed
            self.seals = seals
            self.lastSealedAt = lastSealedAt
            self.fault = fault
        }

        public static let summary = "What a check of one of the append-only logs found."
        public static let fields = [
            "log": "Which log.",
            "records": "Records that it has.",
            "sealed": "Records that a genuine seal vouches for; those after it wait for the next seal.",
            "seals": "How often it was sealed.",
            "lastSealedAt": "When it was last sealed.",
            "fault": "What was altered, and between which records; absent where nothing was.",
        ]
    }

    /// The public half of the key that seals are signed with.
    public struct VerificationKey: WireType {
        public var key: String

        public init(key: String) { self.key = key }

        public static let summary = "The public half of the key that seals are signed with."
        public static let fields = ["key": "As C2SP's signed notes write it: name, key hash and key."]
    }

    /// Failed logins of one principal from one address.
    public struct FailedLogins: WireType {
        public var principal: String
        public var sourceAddress: String
        public var failures: Int
        public var distinctCredentials: Int
        public var firstAt: Moment
        public var lastAt: Moment

        public init(
            principal: String, sourceAddress: String, failures: Int, distinctCredentials: Int, firstAt: Moment,
            lastAt: Moment
        ) {
            self.principal = principal
            self.sourceAddress = sourceAddress
            self.failures = failures
            self.distinctCredentials = distinctCredentials
            self.firstAt = firstAt
            self.lastAt = lastAt
        }

        public static let summary = "Failed logins of one principal from one address."
        public static let fields = [
            "principal": "Who tried to log in; empty where the requests do not say.",
            "sourceAddress": "Where the requests came from.",
            "failures": "How often.",
            "distinctCredentials": "How many different secrets were tried.",
            "firstAt": "The first.",
            "lastAt": "The last.",
        ]
    }
}

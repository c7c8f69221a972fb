extension API {
    /// Which requests are for a service.
    public struct Route: WireType {
        public var host: String?
        public var pathPrefix: String

        public init(host: String? = nil, pathPrefix: String) {
            self.host = host
            self.pathPrefix = pathPrefix
        }

        public static let summary = "Which requests are for a service."
        public static let fields = [
            "host": """
            Lower-case host name without port; absent for every host. A leading `*.` matches one or more \
            labels.
            """,
            "pathPrefix": "Matches whole segments of the path.",
        ]
    }

    /// The workload constraints of a service. An absent limit is no limit.
    public struct Constraints: WireType {
        public var minimumInstances: Int
        public var maximumInstances: Int
        public var concurrentRequestsPerInstance: Int?
        public var activeConsumersPerInstance: Int?
        public var consumerHoldMilliseconds: Int64
        public var concurrentRequestsPerConsumer: Int?
        public var requestsPerSecondPerConsumer: Int?
        public var burstPerConsumer: Int?
        public var queueLength: Int
        public var queueTimeoutMilliseconds: Int64
        public var maximumWaitMilliseconds: Int64

        public init(
            minimumInstances: Int, maximumInstances: Int, concurrentRequestsPerInstance: Int? = nil,
            activeConsumersPerInstance: Int? = nil, consumerHoldMilliseconds: Int64,
            concurrentRequestsPerConsumer: Int? = nil, requestsPerSecondPerConsumer: Int? = nil,
            burstPerConsumer: Int? = nil, queueLength: Int, queueTimeoutMilliseconds: Int64,
            maximumWaitMilliseconds: Int64
        ) {
            self.minimumInstances = minimumInstances
            self.maximumInstances = maximumInstances
            self.concurrentRequestsPerInstance = concurrentRequestsPerInstance
            self.activeConsumersPerInstance = activeConsumersPerInstance
            self.consumerHoldMilliseconds = consumerHoldMilliseconds
            self.concurrentRequestsPerConsumer = concurrentRequestsPerConsumer
            self.requestsPerSecondPerConsumer = requestsPerSecondPerConsumer
            self.burstPerConsumer = burstPerConsumer
            self.queueLength = queueLength
            self.queueTimeoutMilliseconds = queueTimeoutMilliseconds
            self.maximumWaitMilliseconds = maximumWaitMilliseconds
        }

        public static let summary = "The workload constraints of a service. An absent limit is no limit."
        public static let fields = [
            "minimumInstances": "At least this many instances run, standbys not counted.",
            "maximumInstances": "Never more instances than this, whatever their phase.",
            "concurrentRequestsPerInstance": "Requests in flight that one instance takes at once.",
            "activeConsumersPerInstance": "Consumers that one instance serves at once.",
            "consumerHoldMilliseconds": "How long a consumer keeps its place after its last request.",
            "concurrentRequestsPerConsumer": "Requests in flight of one consumer.",
            "requestsPerSecondPerConsumer": "Requests per second of one consumer, sustained.",
            "burstPerConsumer": "Requests that one consumer may make at once beyond the rate.",
            "queueLength": "Admitted requests that may wait for an instance.",
            "queueTimeoutMilliseconds": "How long an admitted request waits for an instance.",
            "maximumWaitMilliseconds": "The longest wait that a consumer may ask for with `Prefer: wait`.",
        ]
    }

    /// The newest sample of a service's load over all event loops of the gateway.
    public struct Load: WireType {
        public var at: Moment
        public var requestsInFlight: Int
        public var requestsQueued: Int
        public var activeConsumers: Int
        public var consumersWaiting: Int
        public var admitted: UInt64
        public var rejected: UInt64
        public var completed: UInt64
        public var requestsInFlightByInstance: [String: Int]

        public init(
            at: Moment, requestsInFlight: Int, requestsQueued: Int, activeConsumers: Int, consumersWaiting: Int,
            admitted: UInt64, rejected: UInt64, completed: UInt64, requestsInFlightByInstance: [String: Int]
        ) {
            self.at = at
            self.requestsInFlight = requestsInFlight
            self.requestsQueued = requestsQueued
            self.activeConsumers = activeConsumers
            self.consumersWaiting = consumersWaiting
            self.admitted = admitted
            self.rejected = rejected
            self.completed = completed
            self.requestsInFlightByInstance = requestsInFlightByInstance
        }

        public static let summary = "The newest sample of a service's load over all event loops of the gateway."
        public static let fields = [
            "at": "When the sample was taken.",
            "requestsInFlight": "Admitted requests that an instance has.",
            "requestsQueued": "Admitted requests that wait for an instance.",
            "activeConsumers": "Consumers that hold a place.",
            "consumersWaiting": "Consumers that wait for a limit to be raised.",
            "admitted": "Requests admitted since the gateway started.",
            "rejected": "Requests rejected since the gateway started.",
            "completed": "Requests completed since the gateway started.",
            "requestsInFlightByInstance": "Requests in flight by instance.",
        ]
    }

    /// One implementation of a service: a process or a fixed endpoint.
    public struct Instance: WireType {
        public var id: String
        public var service: String
        public var phase: InstancePhase
        public var operational: OperationalState
        public var administrative: AdministrativeState
        public var role: FailoverRole
        public var incarnation: Int
        public var endpoint: String?
        public var processID: Int32?
        public var requestedAt: Moment
        public var upSince: Moment?

        public init(
            id: String, service: String, phase: InstancePhase, operational: OperationalState,
            administrative: AdministrativeState, role: FailoverRole, incarnation: Int, endpoint: String? = nil,
            processID: Int32? = nil, requestedAt: Moment, upSince: Moment? = nil
        ) {
            self.id = id
            self.service = service
            self.phase = phase
            self.operational = operational
            self.administrative = administrative
            self.role = role
            self.incarnation = incarnation
            self.endpoint = endpoint
            self.processID = processID
            self.requestedAt = requestedAt
            self.upSince = upSince
        }

        public static let summary = "One implementation of a service: a process or a fixed endpoint."
        public static let fields = [
            "id": "Its name, never used twice.",
            "service": "The service that it implements.",
            "phase": "Where it is in its life.",
            "operational": "What checks and traffic say of it: observed.",
            "administrative": "What an administrator says of it: commanded.",
            "role": "Whether it serves or stands by.",
            "incarnation": "How many times it was started.",
            "endpoint": "Address and port where it answers; absent until it was started.",
            "processID": "Its process id where it is a process.",
            "requestedAt": "When it was decided.",
            "upSince": "When it came up; absent while it is not.",
        ]
    }

    /// A cloud service with its constraints, instances and load.
    public struct Service: WireType {
        public var id: String
        public var owner: String?
        public var access: Access
        public var source: InstanceSource
        public var algorithm: String
        public var routes: [Route]
        public var listen: String?
        public var constraints: Constraints
        public var failoverGroup: String?
        public var load: Load?
        public var condition: ServiceCondition
        public var instancesPresent: Int
        public var instancesUp: Int
        public var instances: [Instance]

        public init(
            id: String, owner: String? = nil, access: Access, source: InstanceSource, algorithm: String,
            routes: [Route], listen: String? = nil, constraints: Constraints, failoverGroup: String? = nil,
            load: Load? = nil, condition: ServiceCondition, instancesPresent: Int, instancesUp: Int,
            instances: [Instance]
        ) {
            self.id = id
            self.owner = owner
            self.access = access
            self.source = source
            self.algorithm = algorithm
            self.routes = routes
            self.listen = listen
            self.constraints = constraints
            self.failoverGroup = failoverGroup
            self.load = load
            self.condition = condition
            self.instancesPresent = instancesPresent
            self.instancesUp = instancesUp
            self.instances = instances
        }

        public static let summary = "A cloud service with its constraints, instances and load."
        public static let fields = [
            "id": "Its name.",
            "owner": "The consumer that rents it; absent for the operator's own.",
            "access": "Whether it asks its callers for an API key.",
            "source": "What its instances are made of.",
            "algorithm": "How requests are spread over its instances.",
            "routes": "Which requests are for it.",
            "listen": "Where its connections come in; absent where it serves HTTP.",
            "constraints": "Its workload constraints.",
            "failoverGroup": "The failover group that it is in.",
            "load": "Its newest load; absent where it had no traffic.",
            "condition": """
            `down`: nothing is up, and something must be; `starting`: fewer than the least are up; `degraded`: an \
            instance has failed or is down; `up`: all is well.
            """,
            "instancesPresent": "So many instances it has, removed ones left out.",
            "instancesUp": "So many of them run and are up.",
            "instances": "Its instances, by name; empty where they were not asked for.",
        ]
    }

    /// How the implementations of a service stand in for each other.
    public struct FailoverGroup: WireType {
        public var id: String
        public var service: String
        public var mode: FailoverMode
        public var standbys: Int
        public var standbyReadiness: StandbyReadiness
        public var recoveryAttempts: Int
        public var instances: [Instance]

        public init(
            id: String, service: String, mode: FailoverMode, standbys: Int, standbyReadiness: StandbyReadiness,
            recoveryAttempts: Int, instances: [Instance]
        ) {
            self.id = id
            self.service = service
            self.mode = mode
            self.standbys = standbys
            self.standbyReadiness = standbyReadiness
            self.recoveryAttempts = recoveryAttempts
            self.instances = instances
        }

        public static let summary = "How the implementations of a service stand in for each other."
        public static let fields = [
            "id": "Its name.",
            "service": "The service that it keeps available.",
            "mode": "Whether all implementations serve, or one does and the others stand by.",
            "standbys": "Standbys that are kept in active-passive mode.",
            "standbyReadiness": "Whether standbys run already.",
            "recoveryAttempts": "Attempts to recover a failed implementation in place before it is replaced.",
            "instances": "The implementations, by name.",
        ]
    }

    /// An asynchronous task that was asked for and can be followed.
    public struct Operation: WireType {
        public var id: String
        public var kind: String
        public var actor: String
        public var service: String?
        public var instance: String?
        public var host: String?
        public var progress: OperationProgress?
        public var state: OperationState
        public var startedAt: Moment
        public var endedAt: Moment?
        public var failure: String?

        public init(
            id: String, kind: String, actor: String, service: String? = nil, instance: String? = nil,
            host: String? = nil, progress: OperationProgress? = nil, state: OperationState, startedAt: Moment,
            endedAt: Moment? = nil, failure: String? = nil
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

        public static let summary = "An asynchronous task that was asked for and can be followed."
        public static let fields = [
            "id": "Its name.",
            "kind": "What is done: `instance.restart`, `instance.drain`, …",
            "actor": "Who asked for it.",
            "service": "The service that it concerns.",
            "instance": "The instance that it concerns.",
            "host": "The physical server that it concerns.",
            "progress": "Of one with several steps: how many are done.",
            "state": "How far it is.",
            "startedAt": "When it was asked for.",
            "endedAt": "When it ended; absent while it runs.",
            "failure": "Why it failed, and what to do.",
        ]
    }

    /// How far an operation of several steps is.
    public struct OperationProgress: WireType {
        public var done: Int
        public var total: Int
        public var waiting: [String]

        public init(done: Int, total: Int, waiting: [String]) {
            self.done = done
            self.total = total
            self.waiting = waiting
        }

        public static let summary = "How far an operation of several steps is."
        public static let fields = [
            "done": "Steps that are done.",
            "total": "Steps that there are.",
            "waiting": "What it waits for, for people; empty where it goes on by itself.",
        ]
    }
}

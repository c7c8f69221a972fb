/// All that the gateway needs to know, immutable; the control plane gives it a new one whenever something changed.
public struct DataPlaneSnapshot: Hashable, Sendable {
    /// Grows with every snapshot; an older one is never applied over a newer.
    public var generation: UInt64
    /// Sorted by id.
    public var services: [ServiceSnapshot]
    /// Sorted by id.
    public var consumers: [CloudConsumer]
    /// Quotas that are used up: their consumers' requests are refused until each is reset.
    public var exhausted: [ExhaustedQuota]

    public init(
        generation: UInt64, services: [ServiceSnapshot], consumers: [CloudConsumer], exhausted: [ExhaustedQuota] = []
    ) {
        self.exhausted = exhausted
        self.generation = generation
        self.services = services
        self.consumers = consumers
    }
}

/// A service as the gateway serves it.
public struct ServiceSnapshot: Hashable, Sendable {
    public var service: CloudService
    /// Only instances that take work or finish what they have; sorted by id.
    public var backends: [Backend]

    public init(service: CloudService, backends: [Backend]) {
        self.service = service
        self.backends = backends
    }
}

/// An instance as the load balancer sees it.
public struct Backend: Codable, Hashable, Sendable {
    public var instance: InstanceID
    public var endpoint: Endpoint
    /// Relative share of the work, 1 to 256.
    public var weight: Int
    /// `draining`: keeps its requests, is given no more.
    public var administrative: AdministrativeState
    /// When it came (back) into the balance; slow start counts from here.
    public var upSince: Timestamp

    public init(
        instance: InstanceID, endpoint: Endpoint, weight: Int = 1, administrative: AdministrativeState = .enabled,
        upSince: Timestamp
    ) {
        self.instance = instance
        self.endpoint = endpoint
        self.weight = weight
        self.administrative = administrative
        self.upSince = upSince
    }
}

/// What the gateway tells the control plane.
public enum DataPlaneEvent: Hashable, Sendable {
    /// At least once a second while a service has traffic, and at once when a request has to wait for an instance.
    case load(LoadSample)
    /// A consumer was refused because of a constraint. The gateway sends one for each refusal, but no more than ten a
    /// second of the same service, consumer and constraint (`count` sums up).
    case limitReached(LimitReached)
    /// Once a consumer that was refused at a limit is served.
    case servedAfterRefusal(service: ServiceID, consumer: ConsumerID, at: Timestamp)
    /// A request to an instance failed in a way that says something about the instance.
    case backendFailure(service: ServiceID, instance: InstanceID, reason: BackendFailure, at: Timestamp)
}

/// The load of one service over all loops at one moment.
public struct LoadSample: Codable, Hashable, Sendable {
    public var service: ServiceID
    public var at: Timestamp
    /// Admitted requests that an instance has.
    public var requestsInFlight: Int
    /// Admitted requests that wait for an instance.
    public var requestsQueued: Int
    /// Consumers that hold a place, those whose requests wait for an instance included.
    public var activeConsumers: Int
    /// Consumers that asked to wait for a limit to be raised (`Prefer: wait`).
    public var consumersWaiting: Int
    /// Totals since the gateway started.
    public var admitted: UInt64
    public var rejected: UInt64
    public var completed: UInt64
    /// Requests in flight by instance.
    public var perInstance: [InstanceID: Int]

    public init(
        service: ServiceID, at: Timestamp, requestsInFlight: Int = 0, requestsQueued: Int = 0,
        activeConsumers: Int = 0, consumersWaiting: Int = 0, admitted: UInt64 = 0, rejected: UInt64 = 0,
        completed: UInt64 = 0, perInstance: [InstanceID: Int] = [:]
    ) {
        self.service = service
        self.at = at
        self.requestsInFlight = requestsInFlight
        self.requestsQueued = requestsQueued
        self.activeConsumers = activeConsumers
        self.consumersWaiting = consumersWaiting
        self.admitted = admitted
        self.rejected = rejected
        self.completed = completed
        self.perInstance = perInstance
    }
}

/// A refusal by the scaling listener.
public struct LimitReached: Codable, Hashable, Sendable {
    public var service: ServiceID
    public var consumer: ConsumerID
    public var constraint: ConstraintKind
    public var limit: Int
    public var current: Int
    public var count: Int
    /// The consumer asked to wait and does.
    public var waiting: Bool
    public var at: Timestamp

    public init(
        service: ServiceID, consumer: ConsumerID, constraint: ConstraintKind, limit: Int, current: Int,
        count: Int = 1, waiting: Bool = false, at: Timestamp
    ) {
        self.service = service
        self.consumer = consumer
        self.constraint = constraint
        self.limit = limit
        self.current = current
        self.count = count
        self.waiting = waiting
        self.at = at
    }
}

/// What traffic shows of an instance (passive checks).
public enum BackendFailure: String, Codable, Hashable, Sendable, CaseIterable {
    case connectionRefused = "connection-refused"
    case connectTimeout = "connect-timeout"
    case connectionReset = "connection-reset"
    case responseTimeout = "response-timeout"
    case malformedResponse = "malformed-response"
    /// It did not prove over TLS that it is the instance it should be.
    case untrusted
}

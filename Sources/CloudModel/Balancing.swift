/// How requests are spread over a service's backends.
public struct LoadBalancingSettings: Codable, Hashable, Sendable {
    public var algorithm: Algorithm
    /// How long a backend that joined or came back takes to its full weight; zero turns slow start off.
    public var slowStart: TimeSpan
    /// How long a draining backend keeps its requests before they are cut.
    public var drainTimeout: TimeSpan

    public enum Algorithm: String, Codable, Hashable, Sendable, CaseIterable {
        /// Smooth weighted round robin (nginx's).
        case roundRobin = "round-robin"
        /// The less loaded of two random backends (Mitzenmacher, "The power of two choices", 2001).
        case leastRequest = "least-request"
        /// The same consumer to the same backend while the set of backends lasts.
        case consistentHash = "consistent-hash"
    }

    public init(
        algorithm: Algorithm = .leastRequest, slowStart: TimeSpan = .seconds(10), drainTimeout: TimeSpan = .seconds(30)
    ) {
        self.algorithm = algorithm
        self.slowStart = slowStart
        self.drainTimeout = drainTimeout
    }
}

/// How an instance is asked whether it works.
public struct HealthCheck: Codable, Hashable, Sendable {
    public var probe: Probe
    public var interval: TimeSpan
    /// Between checks of an instance that is starting or in doubt.
    public var fastInterval: TimeSpan
    public var timeout: TimeSpan
    /// Passed checks in a row that make a down instance up (HAProxy: 2).
    public var rise: Int
    /// Failed checks in a row that make an up instance down (HAProxy: 3).
    public var fall: Int

    public enum Probe: Codable, Hashable, Sendable {
        /// A TCP connection that is accepted.
        case tcp
        /// A GET whose status is in `expectedStatus`.
        case http(path: String, expectedStatus: ClosedRange<Int>)
    }

    public init(
        probe: Probe = .tcp, interval: TimeSpan = .seconds(2), fastInterval: TimeSpan = .milliseconds(200),
        timeout: TimeSpan = .seconds(1), rise: Int = 2, fall: Int = 3
    ) {
        self.probe = probe
        self.interval = interval
        self.fastInterval = fastInterval
        self.timeout = timeout
        self.rise = rise
        self.fall = fall
    }
}

/// How redundant implementations of a service stand in for each other.
public struct FailoverGroup: Codable, Hashable, Sendable {
    public var id: FailoverGroupID
    public var service: ServiceID
    public var mode: Mode
    /// Standbys that are kept in active-passive mode; they count towards `maximumInstances`.
    public var standbys: Int
    public var standbyReadiness: StandbyReadiness
    /// Attempts to recover a failed implementation in place before it is replicated elsewhere.
    public var recoveryAttempts: Int

    public enum Mode: String, Codable, Hashable, Sendable, CaseIterable {
        case activeActive = "active-active"
        case activePassive = "active-passive"
    }

    public enum StandbyReadiness: String, Codable, Hashable, Sendable, CaseIterable {
        /// Not started until it is needed.
        case cold
        /// Started and checked, but given no work. A virtual server is then saved to storage, and restored when needed.
        case warm
        /// The same, but a virtual server stands still in memory, and is resumed when needed.
        case hot
    }

    public init(
        id: FailoverGroupID, service: ServiceID, mode: Mode, standbys: Int = 1,
        standbyReadiness: StandbyReadiness = .warm, recoveryAttempts: Int = 3
    ) {
        self.id = id
        self.service = service
        self.mode = mode
        self.standbys = standbys
        self.standbyReadiness = standbyReadiness
        self.recoveryAttempts = recoveryAttempts
    }
}

/// A cloud service: what consumers reach through the gateway and what redundant `ServiceInstance`s implement.
public struct CloudService: Codable, Hashable, Sendable {
    public var id: ServiceID
    /// The consumer that rents the service and pays for its instances' time; nil for the operator's own.
    public var owner: ConsumerID?
    public var routes: [Route]
    public var access: ConsumerAccess
    public var instances: InstanceSource
    public var constraints: WorkloadConstraints
    public var scaling: ScalingSettings
    public var healthCheck: HealthCheck
    public var loadBalancing: LoadBalancingSettings
    public var restart: RestartSettings
    public var loginRules: [LoginRule]
    public var gateway: RequestSettings
    /// Connections of TCP are what the service serves; nil: requests of HTTP, found by `routes`.
    public var tcp: TCPSettings?

    public init(
        id: ServiceID, owner: ConsumerID? = nil, routes: [Route], access: ConsumerAccess = .required,
        instances: InstanceSource, constraints: WorkloadConstraints = .init(), scaling: ScalingSettings = .init(),
        healthCheck: HealthCheck = .init(), loadBalancing: LoadBalancingSettings = .init(),
        restart: RestartSettings = .init(), loginRules: [LoginRule] = [], gateway: RequestSettings = .init(),
        tcp: TCPSettings? = nil
    ) {
        self.id = id
        self.owner = owner
        self.routes = routes
        self.access = access
        self.instances = instances
        self.constraints = constraints
        self.scaling = scaling
        self.healthCheck = healthCheck
        self.loadBalancing = loadBalancing
        self.restart = restart
        self.loginRules = loginRules
        self.gateway = gateway
        self.tcp = tcp
    }
}

/// Which requests are for a service. The longest matching path prefix of the most specific host wins.
public struct Route: Codable, Hashable, Sendable {
    /// Lower-case host name without port; nil matches every host. A leading `*.` matches one or more labels.
    public var host: String?
    /// Begins with `/`; matches whole segments (`/a` matches `/a` and `/a/b`, not `/ab`).
    public var pathPrefix: String

    public init(host: String? = nil, pathPrefix: String = "/") {
        self.host = host
        self.pathPrefix = pathPrefix
    }
}

/// Whether a service asks its callers for an API key.
public enum ConsumerAccess: String, Codable, Hashable, Sendable, CaseIterable {
    /// A request without a valid key is answered with 401.
    case required
    /// A request without a key is the anonymous consumer's; one with an invalid key is still answered with 401.
    case anonymous
}

/// What a service's instances are made of.
public enum InstanceSource: Codable, Hashable, Sendable {
    /// Supervised processes on this machine.
    case process(ProcessTemplate)
    /// Virtual servers on the declared physical servers.
    case virtualServer(VirtualServerTemplate)
    /// Addresses that somebody else runs: checked and balanced over, never started or stopped.
    case endpoints([Endpoint])
}

/// An address that accepts TCP connections.
public struct Endpoint: Codable, Hashable, Sendable, CustomStringConvertible {
    /// An IPv4 or IPv6 address in text form.
    public var address: String
    public var port: UInt16

    public init(address: String, port: UInt16) {
        self.address = address
        self.port = port
    }

    public var description: String { address.contains(":") ? "[\(address)]:\(port)" : "\(address):\(port)" }
}

/// How to run a service instance as a local process.
public struct ProcessTemplate: Codable, Hashable, Sendable {
    /// Program and arguments; `{port}`, `{instance}` and `{service}` are replaced in each.
    public var command: [String]
    /// Added to a minimal environment (PATH, HOME, LANG); the same placeholders are replaced in the values.
    public var environment: [String: String]
    public var workingDirectory: String?
    /// Where output beyond this size rotates; one older file is kept.
    public var outputLimit: ByteCount
    /// Between SIGTERM and SIGKILL.
    public var stopGrace: TimeSpan
    public var limits: ResourceLimits

    public init(
        command: [String], environment: [String: String] = [:], workingDirectory: String? = nil,
        outputLimit: ByteCount = .mebibytes(10), stopGrace: TimeSpan = .seconds(10), limits: ResourceLimits = .init()
    ) {
        self.command = command
        self.environment = environment
        self.workingDirectory = workingDirectory
        self.outputLimit = outputLimit
        self.stopGrace = stopGrace
        self.limits = limits
    }
}

/// What one instance may use, enforced by cgroup where the machine has one.
public struct ResourceLimits: Codable, Hashable, Sendable {
    /// Thousandths of a processor (500 is half a core); nil for no limit.
    public var cpuMillicores: Int?
    public var memory: ByteCount?

    public init(cpuMillicores: Int? = nil, memory: ByteCount? = nil) {
        self.cpuMillicores = cpuMillicores
        self.memory = memory
    }
}

/// How failed instances are started again: exponential back-off with a circuit breaker.
public struct RestartSettings: Codable, Hashable, Sendable {
    public var initialBackoff: TimeSpan
    public var maximumBackoff: TimeSpan
    /// How long an instance may take from start to its first passed check.
    public var startTimeout: TimeSpan
    /// Start failures in a row after which the breaker opens and starts pause for `breakerPause`.
    public var breakerThreshold: Int
    public var breakerPause: TimeSpan

    public init(
        initialBackoff: TimeSpan = .milliseconds(200), maximumBackoff: TimeSpan = .seconds(30),
        startTimeout: TimeSpan = .seconds(30), breakerThreshold: Int = 5, breakerPause: TimeSpan = .seconds(60)
    ) {
        self.initialBackoff = initialBackoff
        self.maximumBackoff = maximumBackoff
        self.startTimeout = startTimeout
        self.breakerThreshold = breakerThreshold
        self.breakerPause = breakerPause
    }
}

/// How the gateway treats a service's requests. Timeouts follow nginx's and HAProxy's usual values.
public struct RequestSettings: Codable, Hashable, Sendable {
    public var connectTimeout: TimeSpan
    /// From the last byte sent to the instance to the first byte of its response.
    public var responseTimeout: TimeSpan
    /// The longest silence of either side while a body moves.
    public var idleTimeout: TimeSpan
    /// The longest silence of an upgraded connection (WebSocket), and of one of TCP.
    public var tunnelTimeout: TimeSpan
    /// Retries of one request on another instance, where repeating it is safe.
    public var maximumRetries: Int
    /// Retries may be this part of the requests in flight (Envoy's retry budget: 20 %, at least 3 at once).
    public var retryBudgetPercent: Int
    public var maximumBodySize: ByteCount?
    /// What to do with a request whose usage cannot be recorded durably (the spool is full).
    public var whenUnmeterable: Unmeterable
    /// One of so many requests is in the access log, those with a status of 500 and more apart; 0 for none at all, nil
    /// for every one.
    public var accessLogOneIn: Int?
    /// How instances are spoken with over TLS; nil: without.
    public var tls: InstanceTLS?
    /// The PROXY header that connections to instances begin with; nil: none.
    public var proxyProtocol: ProxyProtocol?
    /// What the instances speak; nil for HTTP/1.1. HTTP/2 goes with neither `tls` nor `proxyProtocol`.
    public var instanceProtocol: InstanceProtocol?

    public enum InstanceProtocol: String, Codable, Hashable, Sendable, CaseIterable {
        case http1
        /// With prior knowledge (RFC 9113, section 3.3), several requests on a connection. What gRPC needs.
        case http2
    }

    public enum Unmeterable: String, Codable, Hashable, Sendable, CaseIterable {
        /// Answer 503: nothing is served that cannot be billed.
        case refuse
        /// Serve; the loss is counted and recorded as a gap.
        case serve
    }

    public init(
        connectTimeout: TimeSpan = .seconds(1), responseTimeout: TimeSpan = .seconds(60),
        idleTimeout: TimeSpan = .seconds(60), tunnelTimeout: TimeSpan = .hours(1), maximumRetries: Int = 2,
        retryBudgetPercent: Int = 20, maximumBodySize: ByteCount? = nil, whenUnmeterable: Unmeterable = .refuse,
        accessLogOneIn: Int? = nil, tls: InstanceTLS? = nil, proxyProtocol: ProxyProtocol? = nil,
        instanceProtocol: InstanceProtocol? = nil
    ) {
        self.connectTimeout = connectTimeout
        self.responseTimeout = responseTimeout
        self.idleTimeout = idleTimeout
        self.tunnelTimeout = tunnelTimeout
        self.maximumRetries = maximumRetries
        self.retryBudgetPercent = retryBudgetPercent
        self.maximumBodySize = maximumBodySize
        self.whenUnmeterable = whenUnmeterable
        self.accessLogOneIn = accessLogOneIn
        self.tls = tls
        self.proxyProtocol = proxyProtocol
        self.instanceProtocol = instanceProtocol
    }
}

public import CloudModel

/// Starts, watches and stops service instances of one kind.
public protocol InstanceDriver: Sendable {
    /// Gives back when the instance has been started (not when it answers). Starting one that runs already, with the
    /// same incarnation, gives back the running one.
    func start(_ instance: InstanceID, incarnation: Int, of service: CloudService) async throws(InstanceDriverError)
        -> StartedInstance

    /// Asks the instance to end, and ends it when `grace` has run out. Returns at once; the end is reported by `exits`.
    /// An instance that is unknown or gone is reported as gone.
    func stop(_ instance: InstanceID, incarnation: Int, grace: TimeSpan) async

    /// After a restart of the control plane: takes over those of `known` that still run (they are watched from here on)
    /// and ends every instance of this cloud that is not among them. Gives back those taken over, with the endpoint and
    /// the handle, which the log database does not know yet where the restart came between start and record.
    func adopt(_ known: [ServiceInstance], services: [CloudService]) async -> [InstanceID: StartedInstance]

    /// Every end of an instance, once each, in the order seen.
    var exits: AsyncStream<InstanceExit> { get }

    /// The instances that run now: the heartbeat of the resource agent.
    func running() async -> Set<InstanceID>

    /// The processor time that each of them has used since it was started, all of its processes together. Those that
    /// cannot be measured are left out.
    func processorTimes(of instances: Set<InstanceID>) async -> [InstanceID: TimeSpan]
}

extension InstanceDriver {
    /// Where nothing can be measured.
    public func processorTimes(of instances: Set<InstanceID>) async -> [InstanceID: TimeSpan] { [:] }
}

public struct StartedInstance: Hashable, Sendable {
    public var endpoint: Endpoint
    public var handle: InstanceHandle?

    public init(endpoint: Endpoint, handle: InstanceHandle?) {
        self.endpoint = endpoint
        self.handle = handle
    }
}

public struct InstanceExit: Hashable, Sendable {
    public var instance: InstanceID
    public var incarnation: Int
    /// Nil where nobody saw how it ended.
    public var code: Int32?
    public var signal: Int32?

    public init(instance: InstanceID, incarnation: Int, code: Int32? = nil, signal: Int32? = nil) {
        self.instance = instance
        self.incarnation = incarnation
        self.code = code
        self.signal = signal
    }
}

public struct InstanceDriverError: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable {
        /// The program is not there or cannot be run.
        case notExecutable = "not-executable"
        /// The machine has no process, port or memory left for it.
        case exhausted
        /// The service is not of this driver's kind.
        case unsupported
        /// Nothing was done: this control plane's turn to act is over, or has to be prolonged first.
        case notPermitted = "not-permitted"
    }

    public var code: Code
    /// What happened and how to mend it, for people.
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }

    public var description: String { "\(code.rawValue): \(message)" }
}

/// Checks whether an instance works.
public protocol HealthProber: Sendable {
    /// Nil where the check passed; otherwise why not (`timed out after 1000 ms`, `status 503, expected 200...299`).
    /// Never takes longer than the check's timeout.
    func probe(_ endpoint: Endpoint, _ check: HealthCheck) async -> String?
}

/// Delivers a notification to one channel.
public protocol Notifier: Sendable {
    /// Throws where the delivery failed and is worth repeating, or says that it is not (`permanent`).
    func deliver(_ notification: Notification, to channel: NotificationChannel, acceptLink: String?)
        async throws(DeliveryError)
}

public struct DeliveryError: Error, Hashable, Sendable, CustomStringConvertible {
    /// No repetition can succeed (the address does not exist, the message was refused for good).
    public var permanent: Bool
    public var message: String

    public init(permanent: Bool, message: String) {
        self.permanent = permanent
        self.message = message
    }

    public var description: String { message }
}

/// The load balancer and the other agents at the edge, as the control plane commands them.
public protocol DataPlane: Sendable {
    /// Replaces what the gateway goes by, without dropping a connection. Returns when every loop has taken it.
    func apply(_ snapshot: DataPlaneSnapshot) async
    /// Bounded: when the control plane does not keep up, load samples of the same service are merged.
    var events: AsyncStream<DataPlaneEvent> { get }
    /// What requests to each of the services took since the data plane started; those that it does not know are left
    /// out.
    func latencies(of services: Set<ServiceID>) async -> [ServiceID: LatencyHistogram]
}

extension DataPlane {
    /// Where nothing is measured.
    public func latencies(of services: Set<ServiceID>) async -> [ServiceID: LatencyHistogram] { [:] }
}

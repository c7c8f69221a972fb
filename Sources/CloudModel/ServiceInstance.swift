/// One implementation of a cloud service: a process, a virtual server, or a fixed endpoint.
public struct ServiceInstance: Codable, Hashable, Sendable {
    public var id: InstanceID
    public var service: ServiceID
    public var phase: InstancePhase
    public var operational: OperationalState
    public var administrative: AdministrativeState
    public var role: FailoverRole
    /// How many times it was started; tells a restart's events from its predecessor's.
    public var incarnation: Int
    /// Where it answers; nil until it has been started.
    public var endpoint: Endpoint?
    /// What the instance driver needs to find it again (for a process: its id and start time).
    public var handle: InstanceHandle?
    /// Where its virtual server is; nil where it is none, or has not been placed.
    public var virtualServer: VirtualServerPlacement?
    public var requestedAt: Timestamp
    /// When the start of this incarnation was reported and put into the books; nil before, and after its stop.
    public var startedAt: Timestamp?
    public var upSince: Timestamp?
    /// A digest of the template that this incarnation was started from, so that a changed template is noticed after a
    /// restart of the control plane too; nil where it has not been started.
    public var templateDigest: String?

    public init(
        id: InstanceID, service: ServiceID, phase: InstancePhase = .requested,
        operational: OperationalState = .checking, administrative: AdministrativeState = .enabled,
        role: FailoverRole = .active, incarnation: Int = 0, endpoint: Endpoint? = nil,
        handle: InstanceHandle? = nil, requestedAt: Timestamp, startedAt: Timestamp? = nil,
        upSince: Timestamp? = nil, templateDigest: String? = nil
    ) {
        self.id = id
        self.service = service
        self.phase = phase
        self.operational = operational
        self.administrative = administrative
        self.role = role
        self.incarnation = incarnation
        self.endpoint = endpoint
        self.handle = handle
        self.requestedAt = requestedAt
        self.startedAt = startedAt
        self.upSince = upSince
        self.templateDigest = templateDigest
    }
}

/// Where an instance is in its life. requested → starting → running → stopping → removed; starting and running may
/// go to failed, failed to starting (recovery in place) or removed (replicated instead).
public enum InstancePhase: String, Codable, Hashable, Sendable, CaseIterable {
    /// Decided, counted against the hard cap, not yet given to the driver (a cold standby stays here).
    case requested
    /// Given to the driver; has not passed its first check.
    case starting
    /// Has passed its first check.
    case running
    /// Asked to stop; still counted until the driver says that it is gone.
    case stopping
    /// Ended without being asked to, or never got up; counted until it is removed or started again.
    case failed
    /// Gone and counted no longer.
    case removed
}

/// What checks and traffic say of an instance: observed, never commanded.
public enum OperationalState: String, Codable, Hashable, Sendable, CaseIterable {
    case checking, up, down
}

/// What an administrator says of an instance: commanded, never observed.
public enum AdministrativeState: String, Codable, Hashable, Sendable, CaseIterable {
    /// Takes work when up.
    case enabled
    /// Keeps the work that it has and is given no more.
    case draining
    /// Given no work at all.
    case maintenance
}

public enum FailoverRole: String, Codable, Hashable, Sendable, CaseIterable {
    case active, standby
}

/// What identifies a started instance to its driver across a restart of the control plane.
public struct InstanceHandle: Codable, Hashable, Sendable {
    /// For a process: its id.
    public var processID: Int32
    /// For a process: its start time in clock ticks since boot, which tells it from a later one with the same id.
    public var startTicks: UInt64

    public init(processID: Int32, startTicks: UInt64) {
        self.processID = processID
        self.startTicks = startTicks
    }
}

public import CloudModel

/// A physical server as an administrator sees it.
public struct PhysicalServerReport: Hashable, Sendable {
    public var server: PhysicalServer
    /// `unknown`, `up`, `suspect`, `confirmed`, `fencing`, `fenced` or `recovering`.
    public var phase: String
    /// What its virtual servers hold, those on their way to it included.
    public var used: ServerResources
    public var virtualServers: Int
    /// Of its hypervisor; nil before it has answered.
    public var version: String?
    /// The operation that empties it; nil where none does.
    public var drain: OperationID?

    public init(
        server: PhysicalServer, phase: String, used: ServerResources, virtualServers: Int, version: String?,
        drain: OperationID? = nil
    ) {
        self.server = server
        self.phase = phase
        self.used = used
        self.virtualServers = virtualServers
        self.version = version
        self.drain = drain
    }
}

/// A virtual server as an administrator sees it.
public struct VirtualServerReport: Hashable, Sendable {
    public var identity: VirtualServerIdentity
    public var placement: VirtualServerPlacement
    /// `starting`, `running`, `suspended`, `saved`, `stopping` or `unconfirmed`.
    public var phase: String
    /// Of the migration under way.
    public var progress: MigrationProgress?

    public init(
        identity: VirtualServerIdentity, placement: VirtualServerPlacement, phase: String,
        progress: MigrationProgress?
    ) {
        self.identity = identity
        self.placement = placement
        self.phase = phase
        self.progress = progress
    }
}

/// What emptying a physical server would do.
public struct DrainReport: Hashable, Sendable {
    public struct Step: Hashable, Sendable {
        public var instance: InstanceID
        /// Where it would go; nil where it would not be moved now.
        public var destination: PhysicalServerID?
        /// Why it would not.
        public var obstacle: String?

        public init(instance: InstanceID, destination: PhysicalServerID?, obstacle: String?) {
            self.instance = instance
            self.destination = destination
            self.obstacle = obstacle
        }
    }

    public var host: PhysicalServerID
    public var steps: [Step]

    public init(host: PhysicalServerID, steps: [Step]) {
        self.host = host
        self.steps = steps
    }
}

/// What would make the load of the physical servers even.
public struct RebalanceReport: Hashable, Sendable {
    public struct Move: Hashable, Sendable {
        public var instance: InstanceID
        public var source: PhysicalServerID
        public var destination: PhysicalServerID
        /// What its migration is expected to take.
        public var duration: TimeSpan
        /// The imbalance after it.
        public var afterPercent: Double

        public init(
            instance: InstanceID, source: PhysicalServerID, destination: PhysicalServerID, duration: TimeSpan,
            afterPercent: Double
        ) {
            self.instance = instance
            self.source = source
            self.destination = destination
            self.duration = duration
            self.afterPercent = afterPercent
        }
    }

    public var automation: RebalancingSettings.Automation
    /// The standard deviation of the hosts' load, in percent of a host.
    public var beforePercent: Double
    public var afterPercent: Double
    public var moves: [Move]
    /// The rebalancing that is under way; nil where none is.
    public var operation: OperationID?

    public init(
        automation: RebalancingSettings.Automation, beforePercent: Double, afterPercent: Double, moves: [Move],
        operation: OperationID?
    ) {
        self.automation = automation
        self.beforePercent = beforePercent
        self.afterPercent = afterPercent
        self.moves = moves
        self.operation = operation
    }
}

/// Switches physical servers off.
public protocol Fencing: Sendable {
    /// Runs the program to its end, for a bounded time. Nil where it says that the physical server is off.
    /// `FencingObstacle.notPermitted` where it was not run since this control plane's turn to act is over, or has to be
    /// prolonged first.
    func fence(_ host: PhysicalServerID, command: [String]) async -> String?
}

public enum FencingObstacle {
    public static let notPermitted = "this platform's lease does not last long enough to begin"
}

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

    public init(
        server: PhysicalServer, phase: String, used: ServerResources, virtualServers: Int, version: String?
    ) {
        self.server = server
        self.phase = phase
        self.used = used
        self.virtualServers = virtualServers
        self.version = version
    }
}

/// A virtual server as an administrator sees it.
public struct VirtualServerReport: Hashable, Sendable {
    public var identity: VirtualServerIdentity
    public var placement: VirtualServerPlacement
    /// `starting`, `running`, `suspended`, `stopping` or `unconfirmed`.
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

/// Switches physical servers off.
public protocol Fencing: Sendable {
    /// Runs the program to its end, for a bounded time. Nil where it says that the physical server is off.
    func fence(_ host: PhysicalServerID, command: [String]) async -> String?
}

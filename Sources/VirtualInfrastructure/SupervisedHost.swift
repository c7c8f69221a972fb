public import CloudModel

/// A physical server with what is known of it.
public struct SupervisedHost: Hashable, Sendable {
    public var server: PhysicalServer
    public internal(set) var health: HostHealth
    /// As last reported; nil before the first connection.
    public internal(set) var capabilities: HypervisorCapabilities?
    /// It has said what it runs since it was connected last.
    var hasListed = false
    var listDueAt: Timestamp?
    var measureDueAt: Timestamp?
    /// What is still to be taken off it before it may be used again.
    var toClean: Set<VirtualServerID> = []
    /// Until a lease has surely run out.
    var leaseEndsAt: Timestamp?
    /// The last renewal of its lease that was granted.
    public internal(set) var grantedRenewal: UInt64 = 0
    /// The refusal to fence it has been told.
    var toldRefusal = false
    var fencingHasFailed = false
    /// It is being emptied.
    public internal(set) var drain: HostDrain?

    init(_ server: PhysicalServer) {
        self.server = server
        health = HostHealth()
    }

    /// Its hypervisor takes commands.
    public var isConnected: Bool { health.isConnected }
}

/// A virtual server with what is known of it, from the decision where to put it to the proof that it is gone.
public struct SupervisedServer: Hashable, Sendable {
    public enum Phase: String, Codable, Hashable, Sendable {
        /// Given to the hypervisor, not reported running yet.
        case starting
        case running
        case suspended
        /// Written to storage, as a standby.
        case saved
        /// Asked to end.
        case stopping
        /// Known from before a restart, or of a migration whose end nobody saw: the hosts are being asked.
        case unconfirmed
    }

    public let identity: VirtualServerIdentity
    public internal(set) var placement: VirtualServerPlacement
    public internal(set) var phase: Phase
    var template: VirtualServerTemplate?
    /// When the hypervisor that has it last said so.
    var lastSeen: Timestamp?
    /// Its last check, where that failed.
    var failedCheckAt: Timestamp?
    /// A list that was asked for before this says nothing about it.
    var startedAt: Timestamp?
    var destroyAt: Timestamp?
    /// The hypervisor has been asked to run it and has not answered.
    var isRunUnderWay = false
    /// What an operator asked for and has not been answered yet.
    var operation: Operation?
    /// The timeline of the relocation under way.
    var relocation: String?
    public internal(set) var progress: MigrationProgress?
    public internal(set) var load = MeasuredLoad()
    /// Its hypervisor was asked to let it go on.
    var isWaking = false
    /// What its hypervisor was asked to make of its size.
    var resize: PendingResize?
    /// The processor time that it is to hold once it has been moved.
    var growsTo: Int?
    /// The hosts whose last list showed it as one half of a migration.
    var undecidedOn: Set<PhysicalServerID> = []
    var growthPausedUntil: Timestamp?
    /// When it came to its host.
    var movedAt: Timestamp?
    /// As its last migration showed.
    var dirtyBytesPerSecond: Int64?

    var name: VirtualServerID { placement.name }
    public var instance: InstanceID { identity.instance }
    public var isMigrating: Bool { placement.destination != nil }
    var rule: PlacementRule { template?.placement ?? PlacementRule() }

    /// What it was last reported to do, and was booked as.
    var phaseInBooks: Phase {
        guard placement.isSuspended else { return .running }
        return placement.parked == .saved ? .saved : .suspended
    }

    /// Whether it may be on the host.
    func mayBe(on host: PhysicalServerID) -> Bool { placement.host == host || placement.destination == host }
}

public import CloudModel

/// What the virtual infrastructure is told. Times are arguments of `step`.
public enum InfrastructureEvent: Hashable, Sendable {
    /// The whole of the declared hosts.
    case configured([PhysicalServer])
    case rebalancingConfigured(RebalancingSettings)
    /// Once, after a restart: what is stored of the instances on virtual servers. Each is answered with `started` or
    /// `ended`, once every host that may have it has said so.
    case recovered([RecoveredVirtualServer])
    case start(VirtualServerIdentity, VirtualServerTemplate)
    case stop(InstanceID, incarnation: Int, grace: TimeSpan)
    /// An instance on a virtual server passed a check: evidence for its host.
    case serviceAnswered(InstanceID)
    /// It failed one.
    case serviceFailed(InstanceID)

    case connected(PhysicalServerID, HypervisorCapabilities)
    case disconnected(PhysicalServerID, reason: String)
    /// The answer to `.list`.
    case listed(PhysicalServerID, [ObservedVirtualServer])
    case changed(PhysicalServerID, VirtualServerID, uuid: String, VirtualServerChange)
    /// A command has ended; `failure` is nil where it succeeded.
    case commandEnded(PhysicalServerID, HypervisorCommand, failure: HypervisorError?)
    case migrationProgressed(InstanceID, MigrationProgress)
    case migrationEnded(InstanceID, MigrationOutcome)
    case fencingEnded(PhysicalServerID, failure: String?)

    case migrate(InstanceID, to: PhysicalServerID?, MigrationSettings, operation: OperationID, actor: String)
    case abortMigration(InstanceID, actor: String)
    case suspend(InstanceID, operation: OperationID, actor: String)
    case resume(InstanceID, operation: OperationID, actor: String)
    /// Empty the host, which has been closed before, by live migrations.
    case drain(PhysicalServerID, DrainSettings, operation: OperationID, actor: String)
    /// What is on its way comes back; what has left stays where it is.
    case abortDrain(PhysicalServerID, actor: String)
    /// Once, after a restart: the drains that were under way.
    case drainsRecovered([Operation])
    /// A standby has proven to work: it waits like this until it is needed.
    case park(InstanceID, ParkedState)
    /// It is needed.
    case wake(InstanceID)
    /// Change the processor time that it holds, where it is; `reason` is for people.
    case resize(InstanceID, cpuMillicores: Int, reason: String)
    /// Move it live to a host where it can hold more.
    case relocate(InstanceID, cpuMillicores: Int, operation: OperationID, reason: String)
    /// Make the load even by live migrations.
    case rebalance(operation: OperationID, actor: String)
    case abortRebalancing(actor: String)
    /// The processor time that each has used since it was started: the answer to `.measure`.
    case measured(PhysicalServerID, [VirtualServerID: TimeSpan])
    /// The host's own agent asks for its lease to be renewed. `number` grows with each.
    case leaseRenewed(PhysicalServerID, number: UInt64)
    /// A person has seen that the host is off.
    case confirmOff(PhysicalServerID, actor: String)
    /// Something that `nextDeadline` named is due.
    case deadline
}

public struct RecoveredVirtualServer: Hashable, Sendable {
    public var identity: VirtualServerIdentity
    public var placement: VirtualServerPlacement
    /// Nil where its service is not declared any more.
    public var template: VirtualServerTemplate?

    public init(
        identity: VirtualServerIdentity, placement: VirtualServerPlacement, template: VirtualServerTemplate?
    ) {
        self.identity = identity
        self.placement = placement
        self.template = template
    }
}

public enum MigrationOutcome: Hashable, Sendable {
    case succeeded(MigrationResult)
    case failed(HypervisorError)
}

/// One command to one hypervisor. All may be repeated.
public enum HypervisorCommand: Hashable, Sendable {
    case list
    /// Ask for the processor time that each has used.
    case measure
    /// Defines it and starts it.
    case run(VirtualServerDefinition)
    case shutDown(VirtualServerID)
    case destroy(VirtualServerID)
    /// Ends it if it runs, and forgets it and its disks.
    case remove(VirtualServerID)
    /// The same, but its disks stay: another that runs, or will, has them.
    case forget(VirtualServerID)
    case suspend(VirtualServerID)
    case resume(VirtualServerID)
    case save(VirtualServerID)
    /// Lets a saved one go on.
    case restore(VirtualServerID)
    case resize(VirtualServerID, ResizeRequest)
    case migrate(VirtualServerID, of: InstanceID, to: PhysicalServer, MigrationSettings)
    case abortMigration(VirtualServerID)
}

/// What is to be done about it.
public enum InfrastructureEffect: Hashable, Sendable {
    /// For the event log.
    case record(InfrastructureRecord)
    case operation(Operation)
    /// Where the instance's virtual server is from now on; to be stored before any command that follows is run.
    case placed(InstanceID, incarnation: Int, VirtualServerPlacement?)
    /// The hypervisor reports it running.
    case started(InstanceID, incarnation: Int, Endpoint)
    case startFailed(InstanceID, incarnation: Int, reason: String)
    /// It is proven not to run any more. `ago` is set where that was concluded, not seen: how long before now it was
    /// last known to run.
    case ended(InstanceID, incarnation: Int, crashed: Bool, ago: TimeSpan?)
    /// A standby that was parked runs again.
    case woken(InstanceID, incarnation: Int)
    /// A standby on storage is to leave its host, which is being emptied: it is ended there and started elsewhere.
    case vacate(InstanceID, incarnation: Int)
    /// Its host's connection is lost: whether it still answers is to be found out at once.
    case doubted(InstanceID)
    /// For the books: `suspend` and `resume`, whoever caused them.
    case lifecycle(InstanceID, incarnation: Int, LifecycleEvent.Kind)
    case notify(key: String, severity: Notification.Severity, kind: String, title: String, body: String)
    case command(PhysicalServerID, HypervisorCommand)
    /// Run the fencing program; answered by `fencingEnded`.
    case fence(PhysicalServerID, [String])
}

public struct InfrastructureRecord: Hashable, Sendable {
    public var kind: String
    public var service: ServiceID?
    public var instance: InstanceID?
    public var actor: String
    public var step: TimelineStep?
    public var summary: String
    public var details: [String: String]
}

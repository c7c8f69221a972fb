public import CloudModel
public import VirtualInfrastructure

/// What the runtime must do, in this order: the writes of one step go to the log database in one transaction; only when
/// it is committed do the actions run. Every action may be repeated after a crash and then changes nothing.
public enum Effect: Hashable, Sendable {
    // Writes
    case record(PlatformEvent)
    /// Store the instance as it is now; one whose phase is `removed` is deleted.
    case persist(ServiceInstance)
    case persistIncident(Incident)
    /// Store the configuration as it is now (a constraint was changed, or a new one was applied).
    case persistConfiguration(CloudConfiguration)
    /// The highest ordinal given to a service's instances; under `(recoveries)`, how often the controller was
    /// recovered.
    case persistOrdinal(ServiceID, Int)
    case persistOperation(Operation)
    /// Store a day of a service's demand, as text, at one of the places that `DemandHistory` has.
    case persistDemand(ServiceID, place: Int, String)
    /// The resource agent's event for the books.
    case lifecycle(LifecycleEvent)
    /// Put into the outbox; delivered at least once, from there.
    case notify(Notification)

    // Actions
    case start(InstanceID, incarnation: Int, service: CloudService)
    /// SIGTERM, and SIGKILL when `grace` has run out. Answered by `instanceExited`, also where it is gone already.
    case stop(InstanceID, incarnation: Int, grace: TimeSpan)
    /// One check; answered by one `probeCompleted`.
    case probe(InstanceID, incarnation: Int, endpoint: Endpoint, check: HealthCheck)
    /// Open, or close, the connection to a physical server's hypervisor.
    case connect(PhysicalServer)
    case disconnect(PhysicalServerID)
    /// Answered by one `commandEnded`, `listed` or `migrationEnded`.
    case hypervisor(PhysicalServerID, HypervisorCommand)
    /// Run the program that switches the physical server off; answered by `fencingEnded`.
    case fence(PhysicalServerID, command: [String])
    /// The new state of the data plane.
    case publish(DataPlaneSnapshot)

    public var isWrite: Bool {
        switch self {
        case .record, .persist, .persistIncident, .persistConfiguration, .persistOrdinal, .persistOperation,
            .persistDemand, .lifecycle, .notify:
            true
        case .start, .stop, .probe, .publish, .connect, .disconnect, .hypervisor, .fence: false
        }
    }
}

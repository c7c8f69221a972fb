public import CloudModel
import ScalingListener
public import VirtualInfrastructure

/// What the controller is told: commands, and what the ports observed.
///
/// Events of one instance carry its incarnation; one that is not the current incarnation's is late and changes nothing.
public enum ControllerEvent: Hashable, Sendable {
    /// Once, before anything else: what the log database knows from before a restart. No action is asked for until the
    /// driver has answered for every recovered instance that is ours (`instanceAdopted`, `instanceStarted` or
    /// `instanceExited`) and `adoptionCompleted` has been said, or ten seconds have passed.
    case recovered(RecoveredState)
    /// The driver's adoption is over, also where there was nothing to adopt: instances may be started from here on.
    case adoptionCompleted
    /// What the instance driver found of a recovered instance: it still runs.
    case instanceAdopted(InstanceID, incarnation: Int)
    case instanceStarted(InstanceID, incarnation: Int, endpoint: Endpoint, handle: InstanceHandle?)
    case instanceStartFailed(InstanceID, incarnation: Int, reason: String)
    /// The instance is gone, asked for or not. `inferredAt` is set where the exit was not seen but concluded, and says
    /// until when it is billed.
    case instanceExited(InstanceID, incarnation: Int, status: ExitStatus, inferredAt: Timestamp?)
    case probeCompleted(InstanceID, incarnation: Int, failure: String?)
    case dataPlane(DataPlaneEvent)
    /// A metric of a service's scaling was reported.
    case metricReported(ServiceID, metric: String, value: Int)
    /// What was read of the services that `CloudController.measurementNeeds` names.
    case measured([ServiceMeasurement])
    /// What the hypervisors report.
    case infrastructure(InfrastructureEvent)
    case command(ControllerCommand, actor: String)
    /// All quotas that are used up now.
    case quotasExhausted([ExhaustedQuota])
    /// A deadline that `nextDeadline` named has come; early or doubled ones change nothing.
    case deadline
}

/// How a process ended.
public enum ExitStatus: Codable, Hashable, Sendable {
    case exited(code: Int32)
    case signalled(Int32)
    /// A virtual server that ended by itself, or as its hypervisor was asked.
    case shutOff
    /// A virtual server whose guest, emulator or host failed.
    case crashed
    /// It is gone, and nobody saw how (it ended while the control plane was away).
    case unknown
}

/// What an administrator, or an accepted offer, asks of the controller.
public enum ControllerCommand: Hashable, Sendable {
    /// The whole desired state; what is not named in it is removed.
    case configure(CloudConfiguration)
    case setConstraint(ServiceID, ConstraintKind, to: Int?)
    /// Commands of their own, not a whole configuration: two at once must not undo each other.
    case addCredential(ConsumerID, APICredential)
    case revokeCredential(ConsumerID, CredentialID)
    case setAdministrativeState(InstanceID, AdministrativeState, operation: OperationID)
    /// Start the instance anew: drained first, replaced in place.
    case restart(InstanceID, operation: OperationID)
    /// Move the instance's virtual server to the host, or to the best one.
    case migrate(InstanceID, to: PhysicalServerID?, MigrationSettings, operation: OperationID)
    case abortMigration(InstanceID)
    /// The instance is given no work, and its virtual server stands still.
    case suspend(InstanceID, operation: OperationID)
    case resume(InstanceID, operation: OperationID)
    /// Close the physical server, and move what it has away.
    case drainHost(PhysicalServerID, DrainSettings, operation: OperationID)
    /// What has left stays where it is; the physical server stays closed.
    case abortDrain(PhysicalServerID)
    /// It takes virtual servers again.
    case activateHost(PhysicalServerID)
    /// Make the load of the physical servers even by live migrations.
    case rebalance(operation: OperationID)
    case abortRebalancing
    /// A person has seen that the physical server is off: what ran on it may be started elsewhere.
    case confirmOff(PhysicalServerID)
    /// The platform stops in an orderly way: every instance that is ours is stopped, and nothing is started any more
    /// until the next `recovered`. The configuration stays as it is.
    case shutDown
}

/// Why the controller does not do what it was asked.
public enum CommandRefusal: Error, Hashable, Sendable {
    case unknownService(ServiceID)
    case unknownInstance(InstanceID)
    case unknownConsumer(ConsumerID)
    case unknownCredential(CredentialID)
    /// The value breaks a rule; `remedy` says which values would not.
    case invalidValue(what: String, value: String, remedy: String)
    /// Fixed endpoints are not ours to restart.
    case notManaged(InstanceID)
    case unknownHost(PhysicalServerID)
    case hostAnswers(PhysicalServerID)
    case notMigrated(MigrationRefusal)
    case notDrained(DrainRefusal)
    case notRebalanced(RebalanceRefusal)
}

public struct RecoveredState: Codable, Hashable, Sendable {
    public var configuration: CloudConfiguration
    public var instances: [ServiceInstance]
    public var incidents: [Incident]
    /// The highest number that an instance's name was given, by service: names are never used twice.
    public var lastOrdinals: [ServiceID: Int]
    /// Those that have not ended.
    public var operations: [Operation]
    /// The days of each service's demand that `Effect.persistDemand` asked to be stored, in any order.
    public var demand: [ServiceID: [String]]

    /// So many days of a service's demand are stored at most, at places from 0 on.
    public static var demandPlaces: Int { DemandHistory.daysKept }

    public init(
        configuration: CloudConfiguration, instances: [ServiceInstance] = [], incidents: [Incident] = [],
        lastOrdinals: [ServiceID: Int] = [:], operations: [Operation] = [], demand: [ServiceID: [String]] = [:]
    ) {
        self.configuration = configuration
        self.instances = instances
        self.incidents = incidents
        self.lastOrdinals = lastOrdinals
        self.operations = operations
        self.demand = demand
    }
}

/// Something that goes on until it is over, and is told once: a reached limit, a failed implementation, an open
/// breaker.
public struct Incident: Codable, Hashable, Sendable {
    /// Derived from what began it and when.
    public var id: String
    public var kind: Kind
    public var service: ServiceID
    /// The implementation that failed, or the one that was started in its stead.
    public var instance: InstanceID?
    public var constraint: ConstraintKind?
    /// Consumers that were refused and told; sorted.
    public var consumers: [ConsumerID]
    public var openedAt: Timestamp
    public var lastSeenAt: Timestamp
    public var closedAt: Timestamp?

    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        case limitReached = "limit-reached"
        case implementationFailed = "implementation-failed"
        case breakerOpen = "breaker-open"
    }

    public init(
        id: String, kind: Kind, service: ServiceID, instance: InstanceID? = nil, constraint: ConstraintKind? = nil,
        consumers: [ConsumerID] = [], openedAt: Timestamp, lastSeenAt: Timestamp, closedAt: Timestamp? = nil
    ) {
        self.id = id
        self.kind = kind
        self.service = service
        self.instance = instance
        self.constraint = constraint
        self.consumers = consumers
        self.openedAt = openedAt
        self.lastSeenAt = lastSeenAt
        self.closedAt = closedAt
    }
}

extension CommandRefusal {
    /// Of a command that was accepted and has become impossible before its turn.
    func reason(for instance: InstanceID?) -> String {
        if case .notMigrated(let refusal) = self { return refusal.description }
        if case .notRebalanced(let refusal) = self { return refusal.description }
        if case .notDrained(let refusal) = self { return refusal.reasons.joined(separator: "; ") }
        return "\(instance?.rawValue ?? "it") is not there any more, or is not ours to restart"
    }
}

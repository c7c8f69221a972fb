public import CloudModel

/// All that an administrator can see and do: what the REST API is a decoding of.
public protocol CloudAdministration: Sendable {
    // MARK: Configuration
    func configuration() async -> CloudConfiguration
    /// Makes the configuration true. Throws a refusal that names every fault.
    func apply(_ configuration: CloudConfiguration, actor: String) async throws(AdministrationRefusal)

    // MARK: State
    func instances() async -> [ServiceInstance]
    /// The newest sample of each service; none where there has been no traffic.
    func load() async -> [ServiceID: LoadSample]
    func openIncidents() async -> [IncidentSummary]
    func physicalServers() async -> [PhysicalServerReport]
    func virtualServers() async -> [VirtualServerReport]

    // MARK: Commands
    func setConstraint(_ service: ServiceID, _ kind: ConstraintKind, to value: Int?, actor: String)
        async throws(AdministrationRefusal)
    /// A value of a metric that the service's scaling follows, over all its instances.
    func report(_ value: Int, ofMetric metric: String, of service: ServiceID) async throws(AdministrationRefusal)
    func setAdministrativeState(_ instance: InstanceID, _ state: AdministrativeState, actor: String)
        async throws(AdministrationRefusal) -> OperationID
    func restart(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal) -> OperationID
    /// What a change link offers; throws where it is forged, expired or spent.
    func offer(ofLink token: String) async throws(AdministrationRefusal) -> ConstraintOffer
    /// Makes the offered change and spends the link.
    func acceptOffer(ofLink token: String) async throws(AdministrationRefusal) -> ConstraintOffer
    /// Makes a credential; gives back the whole key, which is shown this once.
    func createCredential(for consumer: ConsumerID, expiresAt: Timestamp?, actor: String)
        async throws(AdministrationRefusal) -> (credential: APICredential, key: String)
    func revokeCredential(_ credential: CredentialID, of consumer: ConsumerID, actor: String)
        async throws(AdministrationRefusal)

    // MARK: Virtual servers
    /// Opens the serial console of an instance's virtual server, which has to run.
    func openConsole(of instance: InstanceID, takingOver: Bool)
        async throws(AdministrationRefusal) -> any ConsoleLine
    /// Opens the screen of an instance's virtual server, which has to run and to have one.
    func openDisplay(of instance: InstanceID) async throws(AdministrationRefusal) -> any ConsoleLine
    /// To `host`, or to the best one where none is named.
    func migrate(_ instance: InstanceID, to host: PhysicalServerID?, _ settings: MigrationSettings, actor: String)
        async throws(AdministrationRefusal) -> OperationID
    /// The virtual server stays where it is; the operation of the migration ends as failed.
    func abortMigration(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal)
    func suspend(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal) -> OperationID
    func resume(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal) -> OperationID
    /// What a drain would do with each virtual server of the host, as things are now.
    func drainPlan(of host: PhysicalServerID, _ settings: MigrationSettings)
        async throws(AdministrationRefusal) -> DrainReport
    /// Closes the host and moves its virtual servers away while they run. Refused where some would have to stay, unless
    /// the settings permit that.
    func drain(_ host: PhysicalServerID, _ settings: DrainSettings, actor: String)
        async throws(AdministrationRefusal) -> OperationID
    /// What has left stays where it is; the operation ends as failed, and the host stays closed.
    func abortDrain(of host: PhysicalServerID, actor: String) async throws(AdministrationRefusal)
    /// What would make the load of the hosts even, as things are now.
    func rebalancePlan() async -> RebalanceReport
    /// Makes the moves of the plan. Refused where there are none.
    func rebalance(actor: String) async throws(AdministrationRefusal) -> OperationID
    func abortRebalancing(actor: String) async throws(AdministrationRefusal)
    /// The host takes virtual servers again; a drain of it is aborted.
    func activate(_ host: PhysicalServerID, actor: String) async throws(AdministrationRefusal)
    /// The agent of a host that is fenced by a lease asks: what runs there may go on for so long from then on.
    /// Refused where the host has been given up.
    func renewLease(of host: PhysicalServerID) async throws(AdministrationRefusal) -> HostLease
    /// The administrator has seen that the physical server is off.
    func confirmOff(_ host: PhysicalServerID, actor: String) async throws(AdministrationRefusal)

    // MARK: Health of the platform itself
    func health() async -> PlatformHealth

    /// What is stored: events, usage, audit, notifications, operations.
    var logDatabase: any LogDatabase { get }
    /// Positions of the event log as it grows, for those who follow it.
    func eventPositions() -> AsyncStream<Int64>
}

public struct IncidentSummary: Codable, Hashable, Sendable {
    public var id: String
    public var kind: String
    public var service: ServiceID
    public var instance: InstanceID?
    public var constraint: ConstraintKind?
    public var consumers: [ConsumerID]
    public var openedAt: Timestamp

    public init(
        id: String, kind: String, service: ServiceID, instance: InstanceID?, constraint: ConstraintKind?,
        consumers: [ConsumerID], openedAt: Timestamp
    ) {
        self.id = id
        self.kind = kind
        self.service = service
        self.instance = instance
        self.constraint = constraint
        self.consumers = consumers
        self.openedAt = openedAt
    }
}

public struct PlatformHealth: Codable, Hashable, Sendable {
    public var healthy: Bool
    /// By part (`log-database`, `gateway`, `spool`, `outbox`): `ok`, or what is wrong.
    public var parts: [String: String]

    public init(healthy: Bool, parts: [String: String]) {
        self.healthy = healthy
        self.parts = parts
    }
}

/// Why a command was not carried out, for people and programs.
public struct AdministrationRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        case notFound = "not-found"
        case invalid
        case conflict
        /// The link has been used or has run out.
        case gone
        /// The log database does not answer; nothing was done.
        case unavailable
    }

    public var code: Code
    /// What, where, and how to mend it; one entry a fault.
    public var faults: [String]

    public init(_ code: Code, _ faults: [String]) {
        self.code = code
        self.faults = faults
    }

    public var description: String { faults.joined(separator: "; ") }
}

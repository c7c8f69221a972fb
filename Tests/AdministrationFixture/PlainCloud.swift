public import CloudModel
public import CloudPorts
import Credentials
import Foundation

/// A cloud that is administered, as plain state over a real log database: commands change what is read, and are written
/// into the event log as the control plane writes them.
public actor PlainCloud: CloudAdministration {
    public enum LinkState: Sendable { case open, spent, expired, unavailable }

    public nonisolated let logDatabase: any LogDatabase
    private var currentConfiguration: CloudConfiguration
    private var currentInstances: [ServiceInstance] = []
    private var currentLoad: [ServiceID: LoadSample] = [:]
    private var incidents: [IncidentSummary] = []
    private var parts: [String: String] = ["gateway": "ok", "log-database": "ok"]
    private var links: [String: (offer: ConstraintOffer, state: LinkState)] = [:]
    private var followers: [UUID: AsyncStream<Int64>.Continuation] = [:]
    private var gate: CheckedContinuation<Void, Never>?
    private var isHeld = false
    private var operations = 0
    /// Metrics that were reported.
    public private(set) var reports: [String] = []
    private var currentHosts: [PhysicalServerReport] = []
    private var currentServers: [VirtualServerReport] = []

    public init(database: any LogDatabase, configuration: CloudConfiguration) {
        logDatabase = database
        currentConfiguration = configuration
    }

    // MARK: What a test arranges

    public func setInstances(_ instances: [ServiceInstance]) { currentInstances = instances }
    public func setLoad(_ samples: [LoadSample]) {
        currentLoad = Dictionary(uniqueKeysWithValues: samples.map { ($0.service, $0) })
    }
    public func setIncidents(_ open: [IncidentSummary]) { incidents = open }
    public func setPart(_ part: String, _ state: String) { parts[part] = state }
    public func addLink(_ token: String, _ offer: ConstraintOffer, _ state: LinkState = .open) {
        links[token] = (offer, state)
    }
    public func stateOfLink(_ token: String) -> LinkState? { links[token]?.state }

    /// Commands wait from now on until they are let go.
    public func hold() { isHeld = true }
    public func letGo() {
        isHeld = false
        gate?.resume()
        gate = nil
    }
    public var isSomebodyWaiting: Bool { gate != nil }

    /// Writes events into the log, as the control plane does, and tells those who follow it.
    public func append(_ events: [PlatformEvent]) async throws {
        var transaction = ControlTransaction()
        transaction.events = events
        try await commit(transaction)
    }

    public func commit(_ transaction: ControlTransaction) async throws {
        let position = try await logDatabase.commit(transaction)
        for follower in followers.values { follower.yield(position) }
    }

    // MARK: CloudAdministration

    public func configuration() -> CloudConfiguration { currentConfiguration }
    public func instances() -> [ServiceInstance] { currentInstances }
    public func load() -> [ServiceID: LoadSample] { currentLoad }
    public func openIncidents() -> [IncidentSummary] { incidents }

    public func health() -> PlatformHealth {
        PlatformHealth(healthy: parts.values.allSatisfy { $0 == "ok" }, parts: parts)
    }

    public func apply(_ configuration: CloudConfiguration, actor: String) async throws(AdministrationRefusal) {
        currentConfiguration = configuration
        try await record("configuration.applied", actor, "The configuration was applied")
    }

    public func setConstraint(_ service: ServiceID, _ kind: ConstraintKind, to value: Int?, actor: String)
        async throws(AdministrationRefusal)
    {
        guard let index = currentConfiguration.services.firstIndex(where: { $0.id == service }) else {
            throw AdministrationRefusal(.notFound, ["there is no service '\(service)'"])
        }
        guard value.map({ $0 > 0 }) ?? (kind != .maximumInstances) else {
            throw AdministrationRefusal(.invalid, ["\(kind.rawValue) must be 1 or more"])
        }
        if isHeld { await withCheckedContinuation { gate = $0 } }
        currentConfiguration.services[index].constraints[kind] = value
        try await record("constraint.changed", actor, "\(kind.rawValue) of \(service) was changed", service: service)
    }

    public func setAdministrativeState(_ instance: InstanceID, _ state: AdministrativeState, actor: String)
        async throws(AdministrationRefusal) -> OperationID
    {
        guard let index = currentInstances.firstIndex(where: { $0.id == instance }) else {
            throw AdministrationRefusal(.notFound, ["there is no instance '\(instance)'"])
        }
        currentInstances[index].administrative = state
        return try await operation("instance.\(state.rawValue)", actor, instance, .succeeded)
    }

    public func restart(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal) -> OperationID {
        guard currentInstances.contains(where: { $0.id == instance }) else {
            throw AdministrationRefusal(.notFound, ["there is no instance '\(instance)'"])
        }
        return try await operation("instance.restart", actor, instance, .running)
    }

    public func setHosts(_ hosts: [PhysicalServerReport], _ servers: [VirtualServerReport]) {
        currentHosts = hosts
        currentServers = servers
    }

    public func physicalServers() -> [PhysicalServerReport] { currentHosts }
    public func virtualServers() -> [VirtualServerReport] { currentServers }

    /// Consoles that are open.
    public private(set) var lines: [PlainLine] = []

    public func openDisplay(of instance: InstanceID) throws(AdministrationRefusal) -> any ConsoleLine {
        try openConsole(of: instance, takingOver: false)
    }

    public func openConsole(
        of instance: InstanceID, takingOver: Bool
    ) throws(AdministrationRefusal) -> any ConsoleLine {
        try requireServer(instance)
        let line = PlainLine()
        lines.append(line)
        return line
    }

    public func migrate(
        _ instance: InstanceID, to host: PhysicalServerID?, _ settings: MigrationSettings, actor: String
    ) async throws(AdministrationRefusal) -> OperationID {
        try requireServer(instance)
        return try await operation("virtual-server.migrate", actor, instance, .running)
    }

    public func abortMigration(_ instance: InstanceID, actor: String) throws(AdministrationRefusal) {
        try requireServer(instance)
    }

    public func suspend(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal) -> OperationID {
        try requireServer(instance)
        return try await operation("virtual-server.suspend", actor, instance, .running)
    }

    public func resume(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal) -> OperationID {
        try requireServer(instance)
        return try await operation("virtual-server.resume", actor, instance, .running)
    }

    public func report(
        _ value: Int, ofMetric metric: String, of service: ServiceID
    ) throws(AdministrationRefusal) {
        guard
            currentConfiguration.services.first(where: { $0.id == service })?.scaling.metrics
                .contains(where: { $0.name == metric }) == true
        else { throw AdministrationRefusal(.notFound, ["\(service) does not follow a metric '\(metric)'"]) }
        reports.append("\(service) \(metric) \(value)")
    }

    public func drainPlan(of host: PhysicalServerID, _ settings: MigrationSettings)
        throws(AdministrationRefusal) -> DrainReport
    {
        try requireHost(host)
        let steps = currentServers.map {
            DrainReport.Step(instance: $0.identity.instance, destination: nil, obstacle: "there is no other host")
        }
        return DrainReport(host: host, steps: steps)
    }

    public func drain(_ host: PhysicalServerID, _ settings: DrainSettings, actor: String)
        async throws(AdministrationRefusal) -> OperationID
    {
        try requireHost(host)
        return try await operation("physical-server.drain", actor, nil, .running)
    }

    public func abortDrain(of host: PhysicalServerID, actor: String) throws(AdministrationRefusal) {
        try requireHost(host)
    }

    public func rebalancePlan() -> RebalanceReport {
        let moves = currentServers.map {
            RebalanceReport.Move(
                instance: $0.identity.instance, source: $0.placement.host, destination: "host-2",
                duration: .seconds(1), afterPercent: 4)
        }
        return RebalanceReport(
            automation: .manual, beforePercent: 25, afterPercent: 4, moves: moves, operation: nil)
    }

    public func rebalance(actor: String) async throws(AdministrationRefusal) -> OperationID {
        try await operation("physical-server.rebalance", actor, nil, .running)
    }

    public func abortRebalancing(actor: String) {}

    public func activate(_ host: PhysicalServerID, actor: String) throws(AdministrationRefusal) {
        try requireHost(host)
    }

    public func renewLease(of host: PhysicalServerID) throws(AdministrationRefusal) -> HostLease {
        try requireHost(host)
        return HostLease(cloud: "leased", span: .seconds(2))
    }

    public func confirmOff(_ host: PhysicalServerID, actor: String) throws(AdministrationRefusal) {
        try requireHost(host)
    }

    private func requireHost(_ host: PhysicalServerID) throws(AdministrationRefusal) {
        guard currentHosts.contains(where: { $0.server.id == host }) else {
            throw AdministrationRefusal(.notFound, ["there is no physical server '\(host)'"])
        }
    }

    private func requireServer(_ instance: InstanceID) throws(AdministrationRefusal) {
        guard currentServers.contains(where: { $0.identity.instance == instance }) else {
            throw AdministrationRefusal(.notFound, ["'\(instance)' is no instance on a virtual server"])
        }
    }

    public func offer(ofLink token: String) throws(AdministrationRefusal) -> ConstraintOffer {
        guard let link = links[token] else {
            throw AdministrationRefusal(.notFound, ["the link is not complete; copy the whole of it"])
        }
        switch link.state {
        case .open: return link.offer
        case .spent: throw AdministrationRefusal(.gone, ["this link has been used"])
        case .expired: throw AdministrationRefusal(.gone, ["the link has expired"])
        case .unavailable: throw AdministrationRefusal(.unavailable, ["the log database does not answer"])
        }
    }

    public func acceptOffer(ofLink token: String) async throws(AdministrationRefusal) -> ConstraintOffer {
        let offer = try offer(ofLink: token)
        guard currentConfiguration.services.contains(where: { $0.id == offer.service }) else {
            throw AdministrationRefusal(.conflict, ["there is no service '\(offer.service)' any more"])
        }
        links[token]?.state = .spent
        try await setConstraint(offer.service, offer.constraint, to: offer.to, actor: "change-link")
        return offer
    }

    public func createCredential(for consumer: ConsumerID, expiresAt: Timestamp?, actor: String)
        async throws(AdministrationRefusal) -> (credential: APICredential, key: String)
    {
        guard let index = currentConfiguration.consumers.firstIndex(where: { $0.id == consumer }) else {
            throw AdministrationRefusal(.notFound, ["there is no consumer '\(consumer)'"])
        }
        var random = SystemRandomNumberGenerator()
        let key = APIKey(.consumer, using: &random)
        let credential = APICredential(
            id: CredentialID("\(consumer)-\(key.prefix)"), prefix: key.prefix, digest: key.digest,
            expiresAt: expiresAt)
        currentConfiguration.consumers[index].credentials.append(credential)
        return (credential, key.text)
    }

    public func revokeCredential(_ credential: CredentialID, of consumer: ConsumerID, actor: String)
        async throws(AdministrationRefusal)
    {
        guard let index = currentConfiguration.consumers.firstIndex(where: { $0.id == consumer }),
            let place = currentConfiguration.consumers[index].credentials.firstIndex(where: { $0.id == credential })
        else { throw AdministrationRefusal(.notFound, ["there is no credential '\(credential)'"]) }
        currentConfiguration.consumers[index].credentials[place].revoked = true
    }

    public nonisolated func eventPositions() -> AsyncStream<Int64> {
        let (stream, continuation) = AsyncStream.makeStream(of: Int64.self, bufferingPolicy: .bufferingNewest(1))
        let id = UUID()
        continuation.onTermination = { _ in Task { await self.unfollow(id) } }
        Task { await self.follow(id, continuation) }
        return stream
    }

    private func follow(_ id: UUID, _ continuation: AsyncStream<Int64>.Continuation) { followers[id] = continuation }
    private func unfollow(_ id: UUID) { followers[id] = nil }

    // MARK: Writing

    private func operation(
        _ kind: String, _ actor: String, _ instance: InstanceID?, _ state: CloudModel.Operation.State
    ) async throws(AdministrationRefusal) -> OperationID {
        operations += 1
        let id = OperationID("op-\(operations)")
        var transaction = ControlTransaction()
        transaction.operations = [
            CloudModel.Operation(
                id: id, kind: kind, actor: actor, instance: instance, state: state, startedAt: LiveServer.now(),
                endedAt: state == .running ? nil : LiveServer.now())
        ]
        do { try await commit(transaction) } catch {
            throw AdministrationRefusal(.unavailable, ["\(error)"])
        }
        return id
    }

    private func record(
        _ kind: String, _ actor: String, _ summary: String, service: ServiceID? = nil
    ) async throws(AdministrationRefusal) {
        do {
            try await append([
                PlatformEvent(at: LiveServer.now(), kind: kind, service: service, actor: actor, summary: summary)
            ])
        } catch {
            throw AdministrationRefusal(.unavailable, ["\(error)"])
        }
    }
}

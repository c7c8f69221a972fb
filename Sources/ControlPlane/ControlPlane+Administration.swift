import CloudController
public import CloudModel
public import CloudPorts
import Credentials
import VirtualInfrastructure

extension ControlPlane: CloudAdministration {
    public func configuration() -> CloudConfiguration { controller.configuration }
    public func instances() -> [ServiceInstance] { controller.instances }
    public func load() -> [ServiceID: LoadSample] { controller.latestLoad }
    public nonisolated func eventPositions() -> AsyncStream<Int64> { positions.follow() }

    public func openIncidents() -> [IncidentSummary] {
        controller.openIncidents.map { incident in
            IncidentSummary(
                id: incident.id, kind: incident.kind.rawValue, service: incident.service, instance: incident.instance,
                constraint: incident.constraint, consumers: incident.consumers, openedAt: incident.openedAt)
        }
    }

    public func apply(_ configuration: CloudConfiguration, actor: String) async throws(AdministrationRefusal) {
        try await carryOut(.configure(configuration), actor: actor)
    }

    public func setConstraint(_ service: ServiceID, _ kind: ConstraintKind, to value: Int?, actor: String)
        async throws(AdministrationRefusal)
    {
        try await carryOut(.setConstraint(service, kind, to: value), actor: actor)
    }

    public func report(
        _ value: Int, ofMetric metric: String, of service: ServiceID
    ) async throws(AdministrationRefusal) {
        guard let known = controller.configuration.services.first(where: { $0.id == service })?.scaling.metrics else {
            throw AdministrationRefusal(.notFound, ["there is no service '\(service)'; see `service list`"])
        }
        if let measured = known.first(where: { $0.name == metric }), measured.kind != .custom {
            throw AdministrationRefusal(
                .invalid, ["\(metric) of \(service) is measured, and cannot be reported; name yours otherwise"])
        }
        guard known.contains(where: { $0.name == metric }) else {
            let names = known.isEmpty ? "none" : known.map(\.name).joined(separator: ", ")
            throw AdministrationRefusal(
                .notFound,
                ["\(service) does not follow a metric '\(metric)', but \(names); add it to spec.scaling.metrics"])
        }
        guard value >= 0 else {
            throw AdministrationRefusal(.invalid, ["\(metric) cannot be \(value): give a number from 0 on"])
        }
        await submit(.metricReported(service, metric: metric, value: value))
    }

    public func setAdministrativeState(_ instance: InstanceID, _ state: AdministrativeState, actor: String)
        async throws(AdministrationRefusal) -> OperationID
    {
        let operation = newOperationID()
        try await carryOut(.setAdministrativeState(instance, state, operation: operation), actor: actor)
        return operation
    }

    public func restart(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal) -> OperationID {
        let operation = newOperationID()
        try await carryOut(.restart(instance, operation: operation), actor: actor)
        return operation
    }

    public func migrate(
        _ instance: InstanceID, to host: PhysicalServerID?, _ settings: MigrationSettings, actor: String
    ) async throws(AdministrationRefusal) -> OperationID {
        let operation = newOperationID()
        try await carryOut(.migrate(instance, to: host, settings, operation: operation), actor: actor)
        return operation
    }

    public func abortMigration(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal) {
        try await carryOut(.abortMigration(instance), actor: actor)
    }

    public func suspend(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal) -> OperationID {
        let operation = newOperationID()
        try await carryOut(.suspend(instance, operation: operation), actor: actor)
        return operation
    }

    public func resume(_ instance: InstanceID, actor: String) async throws(AdministrationRefusal) -> OperationID {
        let operation = newOperationID()
        try await carryOut(.resume(instance, operation: operation), actor: actor)
        return operation
    }

    public func drainPlan(of host: PhysicalServerID, _ settings: MigrationSettings)
        throws(AdministrationRefusal) -> DrainReport
    {
        guard controller.infrastructure.hostIndex(host) != nil else {
            throw AdministrationRefusal(.unknownHost(host))
        }
        return DrainReport(controller.infrastructure.drainPlan(of: host, settings))
    }

    public func drain(_ host: PhysicalServerID, _ settings: DrainSettings, actor: String)
        async throws(AdministrationRefusal) -> OperationID
    {
        let operation = newOperationID()
        try await carryOut(.drainHost(host, settings, operation: operation), actor: actor)
        return operation
    }

    public func abortDrain(of host: PhysicalServerID, actor: String) async throws(AdministrationRefusal) {
        try await carryOut(.abortDrain(host), actor: actor)
    }

    public func rebalancePlan() -> RebalanceReport {
        RebalanceReport(
            controller.infrastructure.rebalancePlan, automation: controller.configuration.rebalancing.automation,
            operation: controller.infrastructure.rebalance?.operation.id)
    }

    public func rebalance(actor: String) async throws(AdministrationRefusal) -> OperationID {
        let operation = newOperationID()
        try await carryOut(.rebalance(operation: operation), actor: actor)
        return operation
    }

    public func abortRebalancing(actor: String) async throws(AdministrationRefusal) {
        try await carryOut(.abortRebalancing, actor: actor)
    }

    public func activate(_ host: PhysicalServerID, actor: String) async throws(AdministrationRefusal) {
        try await carryOut(.activateHost(host), actor: actor)
    }

    public func renewLease(of host: PhysicalServerID) async throws(AdministrationRefusal) -> HostLease {
        func known() -> SupervisedHost? { controller.infrastructure.hosts.first { $0.server.id == host } }
        guard let server = known()?.server else { throw AdministrationRefusal(.unknownHost(host)) }
        guard case .lease(let span) = server.fencing else {
            throw AdministrationRefusal(.conflict, ["'\(host)' has no lease; give it one in spec.fencing.lease"])
        }
        lastRenewal += 1
        let number = lastRenewal
        await submit(.infrastructure(.leaseRenewed(host, number: number)))
        // One that was granted later was asked for later.
        guard let granted = known()?.grantedRenewal, granted >= number else {
            throw AdministrationRefusal(
                .conflict,
                ["'\(host)' has been given up: its virtual servers must not run until it is connected again"])
        }
        return HostLease(cloud: controller.infrastructure.cloud, span: span)
    }

    public func confirmOff(_ host: PhysicalServerID, actor: String) async throws(AdministrationRefusal) {
        try await carryOut(.confirmOff(host), actor: actor)
    }

    public func offer(ofLink token: String) async throws(AdministrationRefusal) -> ConstraintOffer {
        try links.verify(token, at: clock.now()).offer
    }

    /// The link is spent before the change is made: used twice at once, it still works only once.
    public func acceptOffer(ofLink token: String) async throws(AdministrationRefusal) -> ConstraintOffer {
        let now = clock.now()
        let link = try links.verify(token, at: now)
        let command = ControllerCommand.setConstraint(link.offer.service, link.offer.constraint, to: link.offer.to)
        if let refusal = controller.refusal(of: command) { throw AdministrationRefusal(refusal) }
        let isFirst: Bool
        do { isFirst = try await ports.logDatabase.spend(token: link.nonce, at: now) } catch {
            throw AdministrationRefusal(.unavailable, ["the link was not spent: \(error.message); try again"])
        }
        guard isFirst else {
            throw AdministrationRefusal(.gone, ["this link has been used; change the limit in the console or CLI"])
        }
        try await carryOut(command, actor: "change-link")
        return link.offer
    }

    public func createCredential(for consumer: ConsumerID, expiresAt: Timestamp?, actor: String)
        async throws(AdministrationRefusal) -> (credential: APICredential, key: String)
    {
        let key = APIKey.generate(.consumer)
        let credential = APICredential(
            id: CredentialID("\(consumer)-\(key.prefix)"), prefix: key.prefix, digest: key.digest,
            expiresAt: expiresAt)
        try await carryOut(.addCredential(consumer, credential), actor: actor)
        return (credential, key.text)
    }

    public func revokeCredential(_ credential: CredentialID, of consumer: ConsumerID, actor: String)
        async throws(AdministrationRefusal)
    {
        try await carryOut(.revokeCredential(consumer, credential), actor: actor)
    }

    public func health() async -> PlatformHealth {
        var parts = ["log-database": databaseFailure ?? "ok"]
        if databaseFailure == nil {
            do { _ = try await ports.logDatabase.lastEventPosition() } catch { parts["log-database"] = error.message }
        }
        for (part, state) in healthOfAgents() { parts[part] = state }
        return PlatformHealth(healthy: parts.values.allSatisfy { $0 == "ok" }, parts: parts)
    }

    private func carryOut(_ command: ControllerCommand, actor: String) async throws(AdministrationRefusal) {
        guard isRecovered else {
            throw AdministrationRefusal(.unavailable, ["the platform is starting; try again in a moment"])
        }
        if let refusal = controller.refusal(of: command) { throw AdministrationRefusal(refusal) }
        await submit(.command(command, actor: actor))
    }

    private func newOperationID() -> OperationID {
        var random = SystemRandomNumberGenerator()
        return OperationID("op-" + RequestID(high: random.next(), low: random.next()).description)
    }
}

extension AdministrationRefusal {
    init(_ refusal: CommandRefusal) {
        switch refusal {
        case .unknownService(let id): self.init(.notFound, ["there is no service '\(id)'; see `service list`"])
        case .unknownInstance(let id): self.init(.notFound, ["there is no instance '\(id)'; see `instance list`"])
        case .unknownConsumer(let id): self.init(.notFound, ["there is no consumer '\(id)'; see `consumer list`"])
        case .unknownCredential(let id): self.init(.notFound, ["there is no credential '\(id)'; see `consumer list`"])
        case .invalidValue(let what, let value, let remedy):
            self.init(.invalid, ["\(what) cannot be \(value): \(remedy)"])
        case .unknownHost(let id):
            self.init(.notFound, ["there is no physical server '\(id)'; see `physical-server list`"])
        case .hostAnswers(let id):
            self.init(.conflict, ["'\(id)' answers: it is not off; look again which server it is"])
        case .notMigrated(let refusal):
            if case .unknownInstance = refusal {
                self.init(.notFound, [refusal.description])
            } else {
                self.init(.conflict, [refusal.description])
            }
        case .notRebalanced(let refusal): self.init(.conflict, [refusal.description])
        case .notDrained(let refusal): self.init(.conflict, refusal.reasons)
        case .notManaged(let id):
            self.init(.conflict, ["'\(id)' is a fixed endpoint, which the platform does not start or stop"])
        }
    }
}

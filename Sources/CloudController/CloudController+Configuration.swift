import CloudModel

/// Commands of administrators.
extension CloudController {
    /// Why the command would not be carried out now; nil where it would.
    public func refusal(of command: ControllerCommand) -> CommandRefusal? {
        switch command {
        case .configure(let configuration): Self.fault(of: configuration) ?? refusal(ofHosts: configuration)
        case .setConstraint(let service, let kind, let value): refusal(ofSetting: kind, of: service, to: value)
        case .addCredential(let consumer, let credential): refusal(ofAdding: credential, to: consumer)
        case .revokeCredential(let consumer, let credential): refusal(ofRevoking: credential, of: consumer)
        case .setAdministrativeState(let instance, _, _):
            member(instance) == nil ? .unknownInstance(instance) : nil
        case .restart(let instance, _):
            switch member(instance) {
            case nil: .unknownInstance(instance)
            case let member?: member.isManaged ? nil : .notManaged(instance)
            }
        case .migrate, .abortMigration, .suspend, .resume, .confirmOff: refusal(ofMoving: command)
        case .drainHost, .abortDrain, .activateHost, .rebalance, .abortRebalancing: refusal(ofMaintaining: command)
        case .shutDown: nil
        }
    }

    /// A physical server with virtual servers on it is not forgotten: nobody would ever stop them.
    private func refusal(ofHosts new: CloudConfiguration) -> CommandRefusal? {
        for host in infrastructure.hosts where !new.physicalServers.contains(where: { $0.id == host.server.id }) {
            let id = host.server.id
            let count = infrastructure.servers.values.count { $0.placement.host == id }
            if count > 0 {
                return .invalidValue(
                    what: "removing physical server \(id) with \(count) virtual servers", value: "done",
                    remedy: "empty it first: cloudwright physical-server drain \(id)")
            }
        }
        return nil
    }

    private func member(_ instance: InstanceID) -> SupervisedInstance? {
        guard let service = serviceOfInstance[instance], let index = supervisorIndex(of: service),
            let member = supervisors[index].index(of: instance)
        else { return nil }
        return supervisors[index].members[member]
    }

    mutating func carryOut(_ command: ControllerCommand, actor: String) {
        if let refusal = refusal(of: command) { return failOperation(of: command, refusal, actor: actor) }
        switch command {
        case .configure(let configuration): configure(configuration, actor: actor)
        case .setConstraint(let service, let kind, let value):
            setConstraint(service, kind, to: value, actor: actor)
        case .addCredential(let consumer, let credential): add(credential, to: consumer, actor: actor)
        case .revokeCredential(let consumer, let credential): revoke(credential, of: consumer, actor: actor)
        case .setAdministrativeState(let id, let state, let operation):
            guard let service = serviceOfInstance[id] else { return }
            supervise(service) { $0.setAdministrativeState(id, state, operation, actor: actor, &$1) }
        case .restart(let id, let operation):
            guard let service = serviceOfInstance[id] else { return }
            supervise(service) { $0.restart(id, operation, actor: actor, &$1) }
        case .migrate, .abortMigration, .suspend, .resume, .confirmOff: carryOut(moving: command, actor: actor)
        case .drainHost, .abortDrain, .activateHost, .rebalance, .abortRebalancing:
            carryOut(maintaining: command, actor: actor)
        case .shutDown: shutDown(actor: actor)
        }
    }

    /// The instance was there when the command was checked, and is gone now that it is its turn.
    private mutating func failOperation(of command: ControllerCommand, _ refusal: CommandRefusal, actor: String) {
        let (instance, id, kind): (InstanceID?, OperationID, String)
        var host: PhysicalServerID?
        switch command {
        case .restart(let target, let operation): (instance, id, kind) = (target, operation, "instance.restart")
        case .setAdministrativeState(let target, let state, let operation):
            (instance, id, kind) = (target, operation, "instance.\(state.rawValue)")
        case .migrate(let target, _, _, let operation):
            (instance, id, kind) = (target, operation, "virtual-server.migrate")
        case .suspend(let target, let operation): (instance, id, kind) = (target, operation, "virtual-server.suspend")
        case .resume(let target, let operation): (instance, id, kind) = (target, operation, "virtual-server.resume")
        case .drainHost(let target, _, let operation):
            (instance, host, id, kind) = (nil, target, operation, "physical-server.drain")
        case .rebalance(let operation): (instance, id, kind) = (nil, operation, "physical-server.rebalance")
        case .configure, .setConstraint, .addCredential, .revokeCredential, .abortMigration, .confirmOff, .abortDrain,
            .activateHost, .abortRebalancing, .shutDown:
            return
        }
        context.write(
            .persistOperation(
                Operation(
                    id: id, kind: kind, actor: actor, instance: instance, host: host, state: .failed,
                    startedAt: context.now,
                    endedAt: context.now, failure: refusal.reason(for: instance))))
    }

    private mutating func shutDown(actor: String) {
        guard !isShutDown else { return }
        isShutDown = true
        context.record("platform.stopping", service: nil, actor: actor, "the platform stops: all instances are stopped")
        for id in supervisors.map(\.id) {
            supervise(id) { supervisor, context in
                supervisor.saveHistory(isLast: true, &context)
                supervisor.isShutDown = true
                supervisor.needsReconciliation = true
            }
        }
    }

    // MARK: Configuration

    /// What is wrong with a configuration that no file check may have seen. The first fault is named.
    private static func fault(of configuration: CloudConfiguration) -> CommandRefusal? {
        if let double = firstDouble(configuration.services.map(\.id.rawValue)) {
            return .invalidValue(what: "service", value: double, remedy: "give each service a name of its own")
        }
        if let double = firstDouble(configuration.consumers.map(\.id.rawValue)) {
            return .invalidValue(what: "consumer", value: double, remedy: "give each consumer a name of its own")
        }
        if let double = firstDouble(configuration.failoverGroups.map(\.service.rawValue)) {
            return .invalidValue(
                what: "failover group of service", value: double, remedy: "a service has one failover group")
        }
        for service in configuration.services {
            if let fault = fault(of: service) { return fault }
        }
        return nil
    }

    private static func firstDouble(_ names: [String]) -> String? {
        var seen: Set<String> = []
        return names.first { !seen.insert($0).inserted }
    }

    private static func fault(of service: CloudService) -> CommandRefusal? {
        let constraints = service.constraints
        if constraints.maximumInstances < 1 {
            return .invalidValue(
                what: "maximum-instances of \(service.id)", value: String(constraints.maximumInstances),
                remedy: "it is at least 1")
        }
        if constraints.minimumInstances < 0 || constraints.minimumInstances > constraints.maximumInstances {
            return .invalidValue(
                what: "minimum instances of \(service.id)", value: String(constraints.minimumInstances),
                remedy: "it is from 0 to maximum-instances (\(constraints.maximumInstances))")
        }
        for kind in ConstraintKind.allCases {
            if let value = constraints[kind], value < 1 {
                return .invalidValue(
                    what: "\(kind.rawValue) of \(service.id)", value: String(value),
                    remedy: "it is at least 1; leave it out for no limit")
            }
        }
        return nil
    }

    /// Keys are made by commands of their own, which may come between the reading of a configuration and its being
    /// applied: so they are kept here, where nothing can come in between.
    private mutating func configure(_ declared: CloudConfiguration, actor: String) {
        let old = configuration
        let new = declared.keepingCredentials(of: old).keepingClosed(of: old)
        setConfiguration(new)
        context.write(.persistConfiguration(new))
        context.record(
            "configuration.applied", service: nil, actor: actor, "\(actor) applies a configuration",
            ["services": String(new.services.count), "consumers": String(new.consumers.count)])
        for service in new.services {
            let group = new.failoverGroups.first { $0.service == service.id }
            if let index = supervisorIndex(of: service.id), !supervisors[index].isRemoved {
                change(index, to: service, group, actor: actor)
            } else {
                add(service, group, actor: actor)
            }
        }
        for service in old.services where !new.services.contains(where: { $0.id == service.id }) {
            context.record(
                "service.removed", service: service.id, actor: actor,
                "\(service.id) is removed: its instances are drained and stopped")
            supervise(service.id) { $0.beRemoved(&$1) }
        }
    }

    /// A service that is still being removed is taken back in; what drains goes on draining and counts.
    mutating func add(_ service: CloudService, _ group: FailoverGroup?, actor: String) {
        context.record("service.added", service: service.id, actor: actor, "\(actor) adds \(service.id)")
        if supervisorIndex(of: service.id) != nil {
            supervise(service.id) { supervisor, _ in supervisor.takeBack(service, group) }
            return
        }
        insert(makeSupervisor(service, group))
        touch(service.id)
    }

    func makeSupervisor(_ service: CloudService, _ group: FailoverGroup?) -> ServiceSupervisor {
        var supervisor = ServiceSupervisor(service: service, group: group)
        supervisor.lastOrdinal = lastOrdinals[service.id] ?? 0
        supervisor.isShutDown = isShutDown
        supervisor.isHeld = isHeld
        supervisor.plantedDefect = plantedDefect
        return supervisor
    }

    mutating func insert(_ supervisor: ServiceSupervisor) {
        let place = supervisors.firstIndex { $0.id > supervisor.id } ?? supervisors.count
        supervisors.insert(supervisor, at: place)
        publishAnew()
    }

    private mutating func change(_ index: Int, to service: CloudService, _ group: FailoverGroup?, actor: String) {
        let id = service.id
        let group = group ?? ServiceSupervisor.defaultGroup(of: id)
        guard supervisors[index].service != service || supervisors[index].group != group else { return }
        context.record("service.changed", service: id, actor: actor, "\(actor) changes \(id)")
        supervise(id) { $0.change(to: service, group, actor: actor, &$1) }
    }

    // MARK: Constraints

    private func refusal(ofSetting kind: ConstraintKind, of service: ServiceID, to value: Int?) -> CommandRefusal? {
        guard let known = configuration.services.first(where: { $0.id == service }) else {
            return .unknownService(service)
        }
        var changed = known
        changed.constraints[kind] = value
        if kind == .maximumInstances, value == nil {
            return .invalidValue(what: kind.rawValue, value: "none", remedy: "give a number; this limit always holds")
        }
        return Self.fault(of: changed)
    }

    private mutating func setConstraint(
        _ service: ServiceID, _ kind: ConstraintKind, to value: Int?, actor: String
    ) {
        guard let place = configuration.services.firstIndex(where: { $0.id == service }) else { return }
        var new = configuration
        new.services[place].constraints[kind] = value
        guard new != configuration else { return }
        setConfiguration(new)
        context.write(.persistConfiguration(new))
        supervise(service) { supervisor, context in
            let old = supervisor.service.constraints[kind]
            supervisor.service.constraints[kind] = value
            supervisor.constraintChanged(kind, from: old, to: value, actor: actor, &context)
        }
    }

    // MARK: Credentials

    private func refusal(ofAdding credential: APICredential, to consumer: ConsumerID) -> CommandRefusal? {
        guard let known = configuration.consumers.first(where: { $0.id == consumer }) else {
            return .unknownConsumer(consumer)
        }
        guard known.credentials.contains(where: { $0.id == credential.id }) else { return nil }
        return .invalidValue(
            what: "credential", value: credential.id.rawValue, remedy: "there is one of this name; make another")
    }

    private func refusal(ofRevoking credential: CredentialID, of consumer: ConsumerID) -> CommandRefusal? {
        guard let known = configuration.consumers.first(where: { $0.id == consumer }) else {
            return .unknownConsumer(consumer)
        }
        return known.credentials.contains { $0.id == credential } ? nil : .unknownCredential(credential)
    }

    private mutating func add(_ credential: APICredential, to consumer: ConsumerID, actor: String) {
        changeConsumer(consumer) { $0.credentials.append(credential) }
        context.record(
            "credential.added", service: nil, consumer: consumer, actor: actor,
            "\(actor) gives \(consumer) the credential \(credential.id)", ["credential": credential.id.rawValue])
    }

    private mutating func revoke(_ credential: CredentialID, of consumer: ConsumerID, actor: String) {
        changeConsumer(consumer) { consumer in
            for index in consumer.credentials.indices where consumer.credentials[index].id == credential {
                consumer.credentials[index].revoked = true
            }
        }
        context.record(
            "credential.revoked", service: nil, consumer: consumer, actor: actor,
            "\(actor) revokes the credential \(credential) of \(consumer)", ["credential": credential.rawValue])
    }

    private mutating func changeConsumer(_ consumer: ConsumerID, _ change: (inout CloudConsumer) -> Void) {
        guard let place = configuration.consumers.firstIndex(where: { $0.id == consumer }) else { return }
        var new = configuration
        change(&new.consumers[place])
        setConfiguration(new)
        context.write(.persistConfiguration(new))
    }
}

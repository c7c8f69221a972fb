import CloudModel
import VirtualInfrastructure

/// Instances on virtual servers: the services decide that one starts or stops, the infrastructure where and how.
extension CloudController {
    mutating func changeHosts(from old: [PhysicalServer], to new: [PhysicalServer]) {
        for server in old where !new.contains(where: { $0.isReached(as: server) }) {
            context.act(.disconnect(server.id))
        }
        tellInfrastructure(.configured(new))
        for server in new where !old.contains(where: { $0.isReached(as: server) }) {
            context.act(.connect(server))
        }
    }

    /// After a restart: the infrastructure takes over what is stored and asks the hosts. What was never placed is not
    /// anywhere.
    mutating func recoverInfrastructure() {
        var known: [RecoveredVirtualServer] = []
        var unplaced: [(InstanceID, Int)] = []
        for supervisor in supervisors {
            let template = supervisor.service.virtualServerTemplate
            for member in supervisor.members {
                if let placement = member.instance.virtualServer {
                    known.append(
                        RecoveredVirtualServer(
                            identity: identity(of: member.id, member.instance.incarnation, of: supervisor.id),
                            placement: placement, template: template))
                } else if template != nil {
                    unplaced.append((member.id, member.instance.incarnation))
                }
            }
        }
        tellInfrastructure(.recovered(known))
        for (id, incarnation) in unplaced {
            adoptionAnswered(id) { $0.exited(id, incarnation, .unknown, inferredAt: nil, &$1) }
        }
    }

    private func identity(of id: InstanceID, _ incarnation: Int, of service: ServiceID) -> VirtualServerIdentity {
        VirtualServerIdentity(cloud: infrastructure.cloud, service: service, instance: id, incarnation: incarnation)
    }

    mutating func tellInfrastructure(_ event: InfrastructureEvent) {
        for effect in infrastructure.step(event, at: context.steady, wallClock: context.now) { take(effect) }
    }

    /// - Returns: whether there were any.
    mutating func giveInfrastructureItsActions() -> Bool {
        guard context.actions.contains(where: isForInfrastructure) else { return false }
        let isTaken = context.actions.map(isForInfrastructure)
        let taken = context.takeActions(isTaken)
        for action in taken {
            switch action {
            case .start(let id, let incarnation, let service):
                guard let template = service.virtualServerTemplate else { continue }
                tellInfrastructure(.start(identity(of: id, incarnation, of: service.id), template))
            case .stop(let id, let incarnation, let grace):
                tellInfrastructure(.stop(id, incarnation: incarnation, grace: grace))
            default: break
            }
        }
        return true
    }

    private func isForInfrastructure(_ action: Effect) -> Bool {
        switch action {
        case .start(_, _, let service): return service.virtualServerTemplate != nil
        case .stop(let id, _, _):
            if infrastructure.servers[id] != nil { return true }
            guard let service = serviceOfInstance[id], let index = supervisorIndex(of: service) else { return false }
            return supervisors[index].service.virtualServerTemplate != nil
        default: return false
        }
    }

    mutating func armInfrastructure() {
        guard let due = infrastructure.nextDeadline, due < infrastructureArmedAt ?? .distantFuture else { return }
        infrastructureArmedAt = due
        context.deadlines.add(.infrastructure, at: due)
    }

    private mutating func take(_ effect: InfrastructureEffect) {
        switch effect {
        case .record(let record):
            context.record(
                record.kind, service: record.service, instance: record.instance, actor: record.actor,
                step: record.step, record.summary, record.details)
        case .operation(let operation): context.write(.persistOperation(operation))
        case .placed(let id, let incarnation, let placement):
            supervise(id) { $0.placed(id, incarnation, placement, &$1) }
        case .started(let id, let incarnation, let endpoint):
            adoptionAnswered(id) { $0.started(id, incarnation, endpoint, nil, &$1) }
        case .startFailed(let id, let incarnation, let reason):
            supervise(id) { $0.startFailed(id, incarnation, reason, &$1) }
        case .ended(let id, let incarnation, let crashed, let ago):
            let inferredAt = ago.map { context.now - $0 }
            adoptionAnswered(id) {
                $0.exited(id, incarnation, crashed ? .crashed : .shutOff, inferredAt: inferredAt, &$1)
            }
        case .vacate(let id, let incarnation): supervise(id) { $0.vacate(id, incarnation, &$1) }
        case .doubted(let id): supervise(id) { $0.doubted(id, &$1) }
        case .woken(let id, let incarnation): supervise(id) { $0.woken(id, incarnation, &$1) }
        case .lifecycle(let id, let incarnation, let kind):
            supervise(id) { $0.bookLifecycle(id, incarnation, kind, &$1) }
        case .notify(let key, let severity, let kind, let title, let body):
            context.write(
                .notify(
                    Notification(
                        id: NotificationID("\(key)/\(context.now.microseconds)"), at: context.now, severity: severity,
                        kind: kind, title: title, body: body)))
        case .command(let host, let command): context.act(.hypervisor(host, command))
        case .fence(let host, let command): context.act(.fence(host, command: command))
        }
    }

    // MARK: Commands

    func refusal(ofMoving command: ControllerCommand) -> CommandRefusal? {
        switch command {
        case .migrate(let id, let host, let settings, _):
            infrastructure.refusal(ofMigrating: id, to: host, settings).map(CommandRefusal.notMigrated)
        case .abortMigration(let id), .suspend(let id, _), .resume(let id, _):
            infrastructure.servers[id] == nil ? .notMigrated(.unknownInstance(id)) : nil
        case .confirmOff(let host):
            switch infrastructure.hosts.first(where: { $0.server.id == host }) {
            case nil: .unknownHost(host)
            // Who declares an answering host dead has mistaken it for another.
            case let known?: known.isConnected ? .hostAnswers(host) : nil
            }
        default: nil
        }
    }

    mutating func carryOut(moving command: ControllerCommand, actor: String) {
        switch command {
        case .migrate(let id, let host, let settings, let operation):
            tellInfrastructure(.migrate(id, to: host, settings, operation: operation, actor: actor))
        case .abortMigration(let id): tellInfrastructure(.abortMigration(id, actor: actor))
        case .suspend(let id, let operation):
            // In maintenance first, so that what stands still is neither given work nor taken for failed.
            supervise(id) { $0.setWork(of: id, .maintenance, actor: actor, &$1) }
            tellInfrastructure(.suspend(id, operation: operation, actor: actor))
        case .resume(let id, let operation):
            tellInfrastructure(.resume(id, operation: operation, actor: actor))
            supervise(id) { $0.setWork(of: id, .enabled, actor: actor, &$1) }
        case .confirmOff(let host): tellInfrastructure(.confirmOff(host, actor: actor))
        default: break
        }
    }
}

extension ServiceSupervisor {
    mutating func placed(
        _ id: InstanceID, _ incarnation: Int, _ placement: VirtualServerPlacement?, _ context: inout StepContext
    ) {
        guard let index = current(id, incarnation) else { return }
        members[index].instance.virtualServer = placement
    }

    /// The resource agent's own event: whoever suspended or resumed the virtual server.
    mutating func bookLifecycle(
        _ id: InstanceID, _ incarnation: Int, _ kind: LifecycleEvent.Kind, _ context: inout StepContext
    ) {
        guard let index = current(id, incarnation) else { return }
        context.write(.lifecycle(lifecycleEvent(kind, members[index].instance, at: context.now)))
    }

    mutating func setWork(
        of id: InstanceID, _ state: AdministrativeState, actor: String, _ context: inout StepContext
    ) {
        guard let index = index(of: id), members[index].instance.administrative != state else { return }
        touch(index)
        needsReconciliation = true
        context.record(
            "instance.administrative-state", service: self.id, instance: id, actor: actor,
            "\(actor) sets \(id) to \(state.rawValue)",
            ["from": members[index].instance.administrative.rawValue, "to": state.rawValue])
        members[index].instance.administrative = state
    }
}

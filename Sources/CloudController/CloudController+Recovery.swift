import CloudModel
import Failover
import ScalingListener

/// Goes on after a restart from what was stored.
extension CloudController {
    mutating func recover(_ state: RecoveredState) {
        self.resetForRecovery()
        setConfiguration(state.configuration)
        lastOrdinals = state.lastOrdinals
        beginGenerations()
        isHeld = true
        for service in state.configuration.services {
            let group = state.configuration.failoverGroups.first { $0.service == service.id }
            insert(makeSupervisor(service, group))
        }
        let incidents = Dictionary(grouping: state.incidents.filter { $0.closedAt == nil }, by: \.service)
        let operations = resumable(state)
        let instances = Dictionary(grouping: state.instances.filter { $0.phase != .removed }, by: \.service)
        for service in instances.keys.sorted() where supervisorIndex(of: service) == nil {
            insertRemoved(service)
        }
        for id in supervisors.map(\.id) {
            let known = (instances[id] ?? []).sorted { $0.id < $1.id }
            supervise(id) { supervisor, context in
                supervisor.storedHistory = state.demand[id] ?? []
                supervisor.restore(known, operations, &context)
                supervisor.restore((incidents[id] ?? []).sorted { $0.id < $1.id }, &context)
            }
            guard let index = supervisorIndex(of: id) else { continue }
            for member in supervisors[index].members where member.awaitsAdoption { awaitsAdoption.insert(member.id) }
            indexInstances(of: index)
        }
        recoverInfrastructure()
        tellInfrastructure(.drainsRecovered(state.operations.filter(isDrainOfKnownHost).sorted { $0.id < $1.id }))
        closeStrayIncidents(incidents)
        context.record(
            "control-plane.recovered", service: nil,
            "the control plane goes on with \(state.instances.count) instances",
            ["instances": String(state.instances.count), "incidents": String(state.incidents.count)])
        context.deadlines.add(.adoption, at: context.steady + Self.adoptionTimeout)
    }

    /// The unfinished operations by instance; those of instances that are gone end here.
    private mutating func resumable(_ state: RecoveredState) -> [InstanceID?: [Operation]] {
        let known = Set(state.instances.map(\.id))
        var resumable: [InstanceID?: [Operation]] = [:]
        for var operation in state.operations.sorted(by: { $0.id < $1.id }) where operation.state == .running {
            if isDrainOfKnownHost(operation) { continue }
            let kind = ServiceSupervisor.OperationKind(rawValue: operation.kind)
            if let instance = operation.instance, known.contains(instance), kind == .restart || kind == .drain {
                resumable[instance, default: []].append(operation)
                continue
            }
            operation.state = .failed
            operation.endedAt = context.now
            operation.failure = "the control plane was restarted meanwhile and what it was for is gone; ask again"
            context.write(.persistOperation(operation))
        }
        return resumable
    }

    private func isDrainOfKnownHost(_ operation: Operation) -> Bool {
        guard operation.state == .running, operation.kind == "physical-server.drain" else { return false }
        return configuration.physicalServers.contains { $0.id == operation.host && $0.closed }
    }

    private mutating func resetForRecovery() {
        let (context, defect) = (self.context, plantedDefect)
        self = CloudController(cloud: infrastructure.cloud)
        plantedDefect = defect
        self.context.now = context.now
        self.context.clock = context.clock
        self.context.random = context.random
    }

    /// The control plane ended while it was removing the service: all that is left of it is stopped.
    private mutating func insertRemoved(_ id: ServiceID) {
        let service = CloudService(id: id, routes: [], instances: .process(ProcessTemplate(command: [])))
        var supervisor = makeSupervisor(service, nil)
        supervisor.isRemoved = true
        insert(supervisor)
    }

    private mutating func closeStrayIncidents(_ incidents: [ServiceID: [Incident]]) {
        for service in incidents.keys.sorted() where supervisorIndex(of: service) == nil {
            for var incident in incidents[service] ?? [] {
                incident.closedAt = context.now
                context.write(.persistIncident(incident))
            }
        }
    }

    /// Every recovered instance has been answered for, or the driver has had its time: goes to work.
    mutating func releaseAdoption() {
        guard isHeld else { return }
        isHeld = false
        awaitsAdoption = []
        publishAnew()
        for id in supervisors.map(\.id) { supervise(id) { $0.release(&$1) } }
    }
}

extension ServiceSupervisor {
    mutating func restore(
        _ instances: [ServiceInstance], _ operations: [InstanceID?: [Operation]], _ context: inout StepContext
    ) {
        for instance in instances {
            let isManaged = !Self.isEndpoint(instance, of: service)
            lastOrdinal = isManaged ? max(lastOrdinal, ordinal(of: instance.id)) : lastOrdinal
            var member = SupervisedInstance(instance, isManaged: isManaged)
            member.stored = instance
            member.awaitsAdoption = isManaged
            member.operations = operations[instance.id] ?? []
            _ = insert(member)
        }
    }

    /// The names tell them apart: `web-ep1` is an address, `web-1` is ours.
    private static func isEndpoint(_ instance: ServiceInstance, of service: CloudService) -> Bool {
        instance.id.rawValue.hasPrefix("\(service.id)-ep")
    }

    mutating func restore(_ incidents: [Incident], _ context: inout StepContext) {
        for incident in incidents {
            switch incident.kind {
            case .limitReached: restoreLimit(incident, &context)
            case .breakerOpen:
                breakerIncident = incident
                breaker = .tripped
            case .implementationFailed:
                failures[incident.id] = incident
                if let id = incident.instance, let index = index(of: id) {
                    members[index].incident = incident.id
                } else {
                    closeFailure(incident.id, &context)
                }
            }
        }
        for index in members.indices where members[index].instance.phase == .stopping {
            members[index].destination = destinationOfStopping(index)
        }
        // Nothing but the load scales in: as many as there were.
        target = members.count { $0.counts && $0.instance.role == .active }
        if isRemoved { beRemoved(&context) }
    }

    private mutating func restoreLimit(_ incident: Incident, _ context: inout StepContext) {
        guard let constraint = incident.constraint else { return }
        // The timeline is a part of the name: `scaling/<service>/<when>/<constraint>/<when>`.
        let parts = incident.id.split(separator: "/")
        let run = parts.first == "scaling" && parts.count >= 3 ? parts.prefix(3).joined(separator: "/") : incident.id
        let state = LimitIncident(restored: constraint, consumers: incident.consumers, at: context.steady)
        for consumer in incident.consumers { refused[consumer] = run }
        limits.append(ReachedLimit(incident: incident, state: state, run: run))
        limits.sort { $0.state.constraint.rawValue < $1.state.constraint.rawValue }
        self.run = ScalingRun(id: run)
    }

    /// The driver's answer: it still runs.
    mutating func adopted(_ id: InstanceID, _ incarnation: Int, _ context: inout StepContext) {
        guard let index = current(id, incarnation), members[index].isManaged else { return }
        members[index].awaitsAdoption = false
    }

    /// Resumes what the restart interrupted.
    mutating func release(_ context: inout StepContext) {
        isHeld = false
        needsReconciliation = true
        snapshotIsStale = true
        for id in members.map(\.id) {
            guard let index = index(of: id) else { continue }
            resume(index, &context)
        }
    }

    private mutating func resume(_ index: Int, _ context: inout StepContext) {
        touch(index)
        members[index].awaitsAdoption = false
        resumeIncident(index, &context)
        switch members[index].instance.phase {
        case .requested:
            guard !isColdStandby(index) else { return }
            members[index].startDueAt = context.steady
        case .starting: resumeStart(index, &context)
        case .running: resumeRunning(index, &context)
        case .stopping:
            sendStop(index, &context)
        case .failed:
            guard members[index].startDueAt == nil, members[index].instance.administrative != .maintenance else {
                return
            }
            if isColdStandby(index) { return becomeIdle(index, &context) }
            members[index].startDueAt = context.steady
        case .removed: break
        }
    }

    private mutating func resumeIncident(_ index: Int, _ context: inout StepContext) {
        guard members[index].incident != nil, members[index].failedAt == nil else { return }
        if members[index].isUp { members[index].stableAt = context.steady + RecoveryTrack.stableAfter }
    }

    private mutating func resumeStart(_ index: Int, _ context: inout StepContext) {
        members[index].startDeadline = context.steady + service.restart.startTimeout
        if !members[index].isManaged || members[index].instance.endpoint != nil {
            members[index].probeDueAt = context.steady
            return
        }
        // Asked again: the driver gives back the one that runs, if it does.
        context.act(
            .start(members[index].id, incarnation: members[index].instance.incarnation, service: service))
    }

    private mutating func resumeRunning(_ index: Int, _ context: inout StepContext) {
        // Spread, so that a restart does not check everything at once.
        members[index].probeDueAt = context.steady + context.jittered(service.healthCheck.interval, least: 0)
        if members[index].isManaged, members[index].instance.operational == .down {
            // It was kept in the balance, timing out, because there was no other.
            members[index].heldSince = context.steady
            members[index].heldUntil = context.steady + PanicRule.grace
        }
        let upSince = members[index].instance.upSince
        for operation in members[index].operations where operation.kind == OperationKind.restart.rawValue {
            if let upSince, upSince >= operation.startedAt {
                succeedOperations(of: index, kind: .restart, &context)
            } else {
                restart(index, by: operation.actor, &context)
            }
            break
        }
        guard members[index].operations.contains(where: { $0.kind == OperationKind.drain.rawValue }) else { return }
        members[index].drainBeganAt = context.now
        members[index].drainUntil = context.steady + service.loadBalancing.drainTimeout
    }

    /// Why it was being stopped is not stored; what is says enough.
    private func destinationOfStopping(_ index: Int) -> SupervisedInstance.Destination {
        if members[index].operations.contains(where: { $0.kind == OperationKind.restart.rawValue }) { return .restart }
        return members[index].incident == nil ? .removal : .recovery(.recoverInPlace(after: .zero))
    }
}

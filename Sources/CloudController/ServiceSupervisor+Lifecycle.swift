import CloudModel
import Failover

/// The life of an instance: created, started, stopped, ended, and the resource agent's books of it.
extension ServiceSupervisor {
    /// Between the end of the grace and asking again, where no end was reported.
    private static let stopMargin = TimeSpan.seconds(2)
    private static let longestStopPause = TimeSpan.seconds(30)

    private func lifeStep(_ instance: ServiceInstance, _ number: String) -> TimelineStep {
        step(.payPerUseResourceAgent, "life/\(instance.id)/\(instance.incarnation)", number)
    }

    // MARK: Start

    /// Decides a new instance. The caller has made sure that the hard cap leaves room.
    @discardableResult
    mutating func create(
        role: FailoverRole, startDueAt: Timestamp?, inheriting old: SupervisedInstance? = nil,
        _ context: inout StepContext
    ) -> InstanceID {
        lastOrdinal += 1
        context.write(.persistOrdinal(service.id, lastOrdinal))
        let instance = ServiceInstance(
            id: InstanceID("\(service.id)-\(lastOrdinal)"), service: service.id, role: role, requestedAt: context.now)
        var member = SupervisedInstance(instance, isManaged: true)
        member.startDueAt = startDueAt
        if let old {
            member.recovery = old.recovery.replica
            member.incident = old.incident
            member.failedAt = old.failedAt
            member.takesOverIn = old.takesOverIn
        }
        _ = insert(member)
        return instance.id
    }

    /// Starts what is due, as far as the breaker lets it.
    mutating func startDueMembers(_ context: inout StepContext) {
        guard !isShutDown, isManaged else { return }
        for index in members.indices {
            guard let due = members[index].startDueAt else { continue }
            guard due <= context.steady else {
                // What kept it from being woken may be over.
                if members[index].armedAt.map({ due < $0 }) ?? true { touch(index) }
                continue
            }
            guard !isCrowded else { continue }
            if breaker.admit(members[index].id, at: context.steady) == .start { start(index, &context) }
        }
    }

    private mutating func start(_ index: Int, _ context: inout StepContext) {
        touch(index)
        members[index].clearIncarnation()
        members[index].destination = nil
        members[index].waitsForSubstitute = false
        members[index].detector = FailureDetector()
        members[index].instance.incarnation += 1
        members[index].instance.phase = .starting
        members[index].instance.operational = .checking
        members[index].instance.templateDigest = service.templateDigest
        members[index].startDeadline = context.steady + service.restart.startTimeout
        let instance = members[index].instance
        context.record(
            "instance.requested", service: id, instance: instance.id, step: lifeStep(instance, "1"),
            "\(instance.id) is requested" + (instance.incarnation > 1 ? " again" : ""),
            ["incarnation": String(instance.incarnation), "role": instance.role.rawValue])
        context.act(.start(instance.id, incarnation: instance.incarnation, service: service))
    }

    mutating func started(
        _ id: InstanceID, _ incarnation: Int, _ endpoint: Endpoint, _ handle: InstanceHandle?,
        _ context: inout StepContext
    ) {
        guard let index = current(id, incarnation), members[index].isManaged else {
            // Nothing of an earlier incarnation may run beside the present one.
            stopStray(id, incarnation, &context)
            return
        }
        members[index].awaitsAdoption = false
        let phase = members[index].instance.phase
        guard phase == .starting || phase == .stopping || phase == .running else {
            stopStray(id, incarnation, &context)
            return
        }
        guard members[index].instance.endpoint != endpoint else { return adopted(id, incarnation, &context) }
        members[index].instance.endpoint = endpoint
        members[index].instance.handle = handle
        if members[index].instance.startedAt == nil { bookStart(index, &context) }
        if phase != .stopping {
            if members[index].startDeadline == nil && phase == .starting {
                members[index].startDeadline = context.steady + service.restart.startTimeout
            }
            members[index].probeDueAt = context.steady
        } else if members[index].stopRepeatAt == nil {
            sendStop(index, &context)
        }
    }

    private func stopStray(_ id: InstanceID, _ incarnation: Int, _ context: inout StepContext) {
        guard isManaged || isRemoved else { return }
        context.act(.stop(id, incarnation: incarnation, grace: .zero))
    }

    private mutating func bookStart(_ index: Int, _ context: inout StepContext) {
        members[index].instance.startedAt = context.now
        let instance = members[index].instance
        context.record(
            "instance.started", service: id, instance: instance.id, step: lifeStep(instance, "2"),
            "the start event of \(instance.id) arrives" + (instance.endpoint.map { ": it has \($0)" } ?? ""),
            ["incarnation": String(instance.incarnation)])
        context.write(.lifecycle(lifecycleEvent(.start, instance, at: context.now)))
        context.record(
            "lifecycle.stored", service: id, instance: instance.id, step: lifeStep(instance, "3"),
            "the start of \(instance.id) is stored with its time", ["at": context.now.rfc3339])
    }

    func lifecycleEvent(
        _ kind: LifecycleEvent.Kind, _ instance: ServiceInstance, at time: Timestamp, inferred: Bool = false
    ) -> LifecycleEvent {
        LifecycleEvent(
            instance: instance.id, incarnation: instance.incarnation, service: id, owner: service.owner, kind: kind,
            at: time, resources: resources(of: instance), inferred: inferred)
    }

    /// A virtual server's as it is now, which is not always the template's.
    private func resources(of instance: ServiceInstance) -> ResourceLimits {
        guard let flavor = instance.virtualServer?.flavor else { return service.instanceResources }
        return ResourceLimits(cpuMillicores: flavor.resources.cpuMillicores, memory: flavor.memory)
    }

    mutating func startTimedOut(_ index: Int, _ context: inout StepContext) {
        guard members[index].instance.phase == .starting else { return }
        let span = service.restart.startTimeout.text
        noteStartFailure(index, "it passed no check within \(span)", &context)
        let step = nextRecoveryStep(index, &context)
        stop(index, then: .recovery(step), grace: .zero, "it is taking too long to start", &context)
    }

    mutating func startFailed(_ id: InstanceID, _ incarnation: Int, _ reason: String, _ context: inout StepContext) {
        guard let index = current(id, incarnation), members[index].isManaged else { return }
        switch members[index].instance.phase {
        case .starting where members[index].instance.endpoint == nil: startFailed(index, reason, &context)
        case .stopping where members[index].instance.endpoint == nil: ended(index, &context)
        case .requested, .starting, .running, .stopping, .failed, .removed: break
        }
    }

    private mutating func startFailed(_ index: Int, _ reason: String, _ context: inout StepContext) {
        noteStartFailure(index, reason, &context)
        follow(nextRecoveryStep(index, &context), index, &context)
    }

    private mutating func noteStartFailure(_ index: Int, _ reason: String, _ context: inout StepContext) {
        let instance = members[index].instance
        context.record(
            "instance.start-failed", service: id, instance: instance.id,
            "\(instance.id) did not start: \(reason)",
            ["incarnation": String(instance.incarnation), "reason": reason])
        failOperations(of: index, "the instance did not start: \(reason)", &context)
        countStartFailure(index, reason, &context)
    }

    // MARK: Stop

    /// Asks the driver to end the instance, and goes on asking until it says that it has ended.
    mutating func stop(
        _ index: Int, then destination: SupervisedInstance.Destination, grace: TimeSpan? = nil, _ reason: String,
        _ context: inout StepContext
    ) {
        touch(index)
        needsReconciliation = true
        members[index].destination = destination
        members[index].waitsForSubstitute = false
        members[index].clearChecks()
        members[index].startDeadline = nil
        members[index].drainUntil = nil
        members[index].instance.phase = .stopping
        members[index].stopBeganAt = context.steady
        let instance = members[index].instance
        context.record(
            "instance.stopping", service: id, instance: instance.id, step: lifeStep(instance, "4"),
            "a stop of \(instance.id) is requested: \(reason)",
            ["incarnation": String(instance.incarnation), "reason": reason])
        sendStop(index, grace: grace, &context)
    }

    mutating func sendStop(_ index: Int, grace: TimeSpan? = nil, _ context: inout StepContext) {
        guard members[index].instance.phase == .stopping else {
            members[index].stopRepeatAt = nil
            return
        }
        let isRepeated = members[index].stopsSent > 0
        let grace = grace ?? (isRepeated ? .zero : service.stopGrace ?? .seconds(10))
        let pause = min(Self.longestStopPause, Self.stopMargin * (Int64(1) << Int64(min(members[index].stopsSent, 4))))
        members[index].stopsSent += 1
        members[index].stopRepeatAt = context.steady + grace + pause
        context.act(.stop(members[index].id, incarnation: members[index].instance.incarnation, grace: grace))
    }

    // MARK: End

    mutating func exited(
        _ id: InstanceID, _ incarnation: Int, _ status: ExitStatus, inferredAt: Timestamp?,
        _ context: inout StepContext
    ) {
        guard let index = current(id, incarnation), members[index].isManaged else { return }
        needsReconciliation = true
        let wasAwaited = members[index].awaitsAdoption
        members[index].awaitsAdoption = false
        bookStop(index, status, inferredAt: inferredAt, &context)
        switch members[index].instance.phase {
        case .requested, .failed, .removed: break
        case .starting:
            if wasAwaited {
                // Whether it was ever started, and how it ended, nobody knows: not a failure of the instance.
                members[index].instance.phase = .failed
                members[index].instance.operational = .down
                members[index].clearIncarnation()
                members[index].startDueAt = context.steady
            } else {
                startFailed(index, "it ended before it passed a check: \(status.summary)", &context)
            }
        case .running:
            switch members[index].destination {
            case .removal, .restart, .recovery: ended(index, &context)
            case nil: endedUnasked(index, status, &context)
            }
        case .stopping: ended(index, &context)
        }
    }

    private mutating func bookStop(
        _ index: Int, _ status: ExitStatus, inferredAt: Timestamp?, _ context: inout StepContext
    ) {
        let instance = members[index].instance
        succeedOperations(of: index, kind: .drain, &context)
        guard let startedAt = instance.startedAt else { return }
        // The clock may have been set back since: what is billed is never less than nothing.
        let time = max(startedAt, min(context.now, inferredAt ?? context.now))
        context.record(
            "instance.stopped", service: id, instance: instance.id, step: lifeStep(instance, "5"),
            "the stop event of \(instance.id) " + (inferredAt == nil ? "arrives" : "is inferred")
                + ": \(status.summary)",
            ["incarnation": String(instance.incarnation), "status": status.summary])
        context.write(.lifecycle(lifecycleEvent(.stop, instance, at: time, inferred: inferredAt != nil)))
        context.record(
            "lifecycle.stored", service: id, instance: instance.id, step: lifeStep(instance, "6"),
            "the stop of \(instance.id) is stored with its time", ["at": time.rfc3339])
        members[index].instance.startedAt = nil
        members[index].instance.endpoint = nil
    }

    /// It ended, or its host says so, though nobody asked it to.
    private mutating func endedUnasked(_ index: Int, _ status: ExitStatus, _ context: inout StepContext) {
        _ = members[index].detector.exited()
        if members[index].instance.administrative == .maintenance {
            context.record(
                "instance.ended", service: id, instance: members[index].id,
                "\(members[index].id) ended in maintenance: \(status.summary); it is started again when it is enabled")
            members[index].instance.phase = .failed
            members[index].instance.operational = .down
            members[index].clearIncarnation()
            return
        }
        implementationFailed(index, status.summary, hasExited: true, &context)
    }

    /// A stop that was asked for is done.
    private mutating func ended(_ index: Int, _ context: inout StepContext) {
        needsReconciliation = true
        switch members[index].destination ?? .removal {
        case .removal: remove(index, &context)
        case .restart:
            members[index].clearIncarnation()
            members[index].destination = nil
            members[index].instance.phase = .failed
            members[index].instance.operational = .down
            members[index].startDueAt = context.steady
        case .recovery(let step):
            // The pause is counted from the failure on: what the end took is part of it.
            let past = members[index].stopBeganAt.map { context.steady - $0 } ?? .zero
            follow(step.after(past), index, &context)
        }
    }

    /// Begins the recovery of an instance that has ended.
    mutating func follow(_ step: RecoveryStep, _ index: Int, _ context: inout StepContext) {
        needsReconciliation = true
        touch(index)
        members[index].clearIncarnation()
        members[index].destination = nil
        members[index].instance.phase = .failed
        members[index].instance.operational = .down
        // A trial ends with what was tried, whatever becomes of the instance.
        breaker.forget(members[index].id)
        guard members[index].instance.administrative != .maintenance, !isShutDown, !isRemoved else { return }
        if isColdStandby(index) { return becomeIdle(index, &context) }
        switch step {
        case .recoverInPlace(let delay): members[index].startDueAt = context.steady + delay
        case .replicate(let delay): replicate(index, after: delay, &context)
        }
    }
}

extension ExitStatus {
    var summary: String {
        switch self {
        case .exited(let code): "exited with code \(code)"
        case .shutOff: "its virtual server was shut off"
        case .crashed: "its virtual server, or the host of it, failed"
        case .signalled(let signal): "killed by signal \(signal)"
        case .unknown: "ended while nobody watched"
        }
    }
}

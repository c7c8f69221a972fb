import CloudModel
import Failover

/// The failover system: switch over, recover or replicate, distribute again; and the breaker of starts that fail.
extension ServiceSupervisor {
    private var groupMembers: [GroupMember] {
        members.map { GroupMember(id: $0.id, role: $0.instance.role, condition: $0.condition) }
    }

    // MARK: Failure

    /// An implementation that was up does not work any more. Takes it out of the balance, lets others take over, tells
    /// the administrators once, and begins its recovery.
    mutating func implementationFailed(
        _ index: Int, _ reason: String, hasExited: Bool, _ context: inout StepContext
    ) {
        needsReconciliation = true
        touch(index)
        let failed = members[index].id
        let plan = Switchover.after(failureOf: failed, in: groupMembers, mode: group.mode)
        let diedYoung = members[index].stableAt != nil
        // One that failed before and did not stay up since has been told of.
        let isNew = members[index].incident == nil && !(diedYoung && members[index].recovery.failuresInARow > 0)
        let incident = members[index].incident ?? openFailure(index, &context)
        let held = members[index].heldSince.map { context.steady - $0 } ?? .zero
        members[index].heldSince = nil
        members[index].heldUntil = nil
        members[index].stableAt = nil
        members[index].failedAt = context.steady
        members[index].takesOverIn = nil
        // One that was to be replaced counts again: as a failed one it is the first to be let go.
        members[index].waitsForSubstitute = false
        members[index].instance.operational = .down
        recordFailure(index, incident, reason, plan, &context)
        applyRoles(plan, of: index, incident, &context)
        if isNew { notifyFailure(of: failed, incident, reason, plan, &context) }
        failOperations(of: index, "the instance failed: \(reason)", &context)
        recover(index, reason, hasExited: hasExited, after: held, diedYoung: diedYoung, &context)
    }

    private mutating func recordFailure(
        _ index: Int, _ incident: String, _ reason: String, _ plan: Switchover, _ context: inout StepContext
    ) {
        let instance = members[index].instance
        let isActive = instance.role == .active
        let carrying = members.filter { $0.instance.role == .active && ($0.published != nil || $0.id == instance.id) }
        let names = carrying.map(\.id.rawValue).joined(separator: ", ")
        let were = carrying.count == 1 ? "was" : "were"
        if isActive {
            context.record(
                group.mode == .activeActive ? "failover.monitored" : "failover.served", service: id,
                instance: instance.id, step: step(mechanism, incident, "1"),
                group.mode == .activeActive
                    ? "\(names) \(were) monitored, checked every \(service.healthCheck.interval.text)"
                    : "\(names) served as the active implementation" + (carrying.count == 1 ? "" : "s"),
                ["upSince": instance.upSince?.rfc3339 ?? ""])
        }
        context.record(
            "instance.failed", service: id, instance: instance.id,
            step: isActive ? step(mechanism, incident, "2") : nil, "\(instance.id) failed: \(reason)",
            ["incarnation": String(instance.incarnation), "reason": reason, "role": instance.role.rawValue])
    }

    private mutating func applyRoles(
        _ plan: Switchover, of index: Int, _ incident: String, _ context: inout StepContext
    ) {
        let failed = members[index].instance
        guard failed.role == .active else { return }
        members[index].instance.role = plan.roleOfFailed
        let carriers = plan.carriers.map(\.rawValue).joined(separator: ", ")
        guard group.mode == .activePassive else {
            context.record(
                "load-balancer.switched-over", service: id, instance: failed.id, step: step(mechanism, incident, "3"),
                carriers.isEmpty
                    ? "no other implementation is up: requests wait until one is"
                    : "the load balancer is switched over to \(carriers)", ["carriers": carriers])
            return
        }
        guard let activated = plan.activated, let standby = self.index(of: activated) else {
            context.record(
                "failover.no-standby", service: id, instance: failed.id,
                "there is no standby for \(failed.id): " + (carriers.isEmpty ? "requests wait" : "\(carriers) carry on")
            )
            return
        }
        touch(standby)
        members[standby].instance.role = .active
        let isUp = members[standby].isUp
        if isUp { members[standby].instance.upSince = context.now } else { members[standby].takesOverIn = incident }
        if plan.activationStarts { members[standby].startDueAt = context.steady }
        context.record(
            "standby.activated", service: id, instance: activated, step: step(mechanism, incident, "3"),
            isUp
                ? "standby \(activated) is activated and the workload redirected to it"
                : "standby \(activated) is activated; the workload is redirected as soon as it is up",
            ["activated": activated.rawValue, "carriers": carriers])
    }

    /// An activated standby that had to be started first is up.
    /// - Parameter woke: milliseconds since it was woken; nil where it was started.
    mutating func recordTakeover(_ index: Int, _ woke: Int64?, _ context: inout StepContext) {
        guard let incident = members[index].takesOverIn else { return }
        members[index].takesOverIn = nil
        context.record(
            "workload.redirected", service: id, instance: members[index].id, step: step(mechanism, incident, "3"),
            "the workload is redirected to \(members[index].id)" + (woke.map { ", \($0) ms after it was woken" } ?? ""),
            woke.map { ["activationMilliseconds": String($0)] } ?? [:])
    }

    // MARK: Recovery

    private mutating func recover(
        _ index: Int, _ reason: String, hasExited: Bool, after held: TimeSpan, diedYoung: Bool,
        _ context: inout StepContext
    ) {
        guard members[index].isManaged else { return }
        // One that dies soon after its first passed check was not really started; one on trial that hung first neither.
        if diedYoung || breaker.isOnTrial(members[index].id) { countStartFailure(index, reason, &context) }
        let step = nextRecoveryStep(index, &context)
        // The pause is counted from when it first did not answer.
        if hasExited { return follow(step.after(held), index, &context) }
        // What hangs does not heed SIGTERM; what answers gets a second to finish.
        let grace = min(service.stopGrace ?? .zero, .seconds(1))
        stop(index, then: .recovery(step), grace: grace, "it is started anew", &context)
    }

    mutating func nextRecoveryStep(_ index: Int, _ context: inout StepContext) -> RecoveryStep {
        members[index].recovery.failed(
            restart: service.restart, recoveryAttempts: group.recoveryAttempts, random: &context.random)
    }

    /// Gives the instance up and decides another one in its stead.
    mutating func replicate(_ index: Int, after delay: TimeSpan, _ context: inout StepContext) {
        let old = members[index]
        members[index].incident = nil
        context.record(
            "instance.given-up", service: id, instance: old.id,
            "\(old.id) was not recovered in place by \(group.recoveryAttempts) attempts; another takes its stead")
        remove(index, &context)
        guard members.count < service.constraints.maximumInstances else {
            if let incident = old.incident { closeFailure(incident, &context) }
            return
        }
        let new = create(role: old.instance.role, startDueAt: context.steady + delay, inheriting: old, &context)
        if let incident = old.incident { moveFailure(incident, to: new, &context) }
    }

    func isColdStandby(_ index: Int) -> Bool {
        group.mode == .activePassive && group.standbyReadiness == .cold && members[index].instance.role == .standby
    }

    /// A failed implementation of a group with cold standbys stays where it is until it is needed.
    mutating func becomeIdle(_ index: Int, _ context: inout StepContext) {
        // On trial it has no answer to give any more: another may be tried.
        breaker.forget(members[index].id)
        members[index].instance.phase = .requested
        members[index].instance.operational = .checking
        members[index].startDueAt = nil
        guard let incident = members[index].incident else { return }
        let id = members[index].id
        context.record(
            "instance.recovered", service: self.id, instance: id, step: step(mechanism, incident, "4"),
            "\(id) is the cold standby now")
        members[index].incident = nil
        members[index].failedAt = nil
        closeFailure(incident, &context)
    }

    mutating func recordRecovery(_ index: Int, _ incident: String, _ context: inout StepContext) {
        let instance = members[index].instance
        let original = failures[incident]?.id.split(separator: "/").dropFirst().first.map(String.init)
        let isReplica = original != nil && original != instance.id.rawValue
        let span = members[index].failedAt.map { (context.steady - $0).millisecondsRoundedUp }
        var text =
            isReplica
            ? "\(original ?? "") is replicated: \(instance.id) is up in its stead" : "\(instance.id) is recovered"
        if let span { text += " after \(span) ms" }
        let becomesStandby = group.mode == .activePassive && instance.role == .standby
        if becomesStandby { text += " and becomes the standby" }
        context.record(
            isReplica ? "instance.replicated" : "instance.recovered", service: id, instance: instance.id,
            step: step(mechanism, incident, "4"), text, ["milliseconds": span.map { String($0) } ?? ""])
        guard group.mode == .activeActive else { return }
        let carriers = members.filter(\.isUp).map(\.id.rawValue).joined(separator: ", ")
        context.record(
            "load-balancer.distributing", service: id, instance: instance.id, step: step(mechanism, incident, "5"),
            "the load balancer distributes over \(carriers) again; \(instance.id) grows into its share over "
                + "\(service.loadBalancing.slowStart.text)", ["carriers": carriers])
    }

    // MARK: Incidents of failures

    private mutating func openFailure(_ index: Int, _ context: inout StepContext) -> String {
        let instance = members[index].instance
        let incident = Incident(
            id: "failover/\(instance.id)/\(instance.incarnation)/\(context.now.microseconds)",
            kind: .implementationFailed, service: id, instance: instance.id, openedAt: context.now,
            lastSeenAt: context.now)
        failures[incident.id] = incident
        members[index].incident = incident.id
        context.write(.persistIncident(incident))
        return incident.id
    }

    private mutating func moveFailure(_ id: String, to instance: InstanceID, _ context: inout StepContext) {
        guard var incident = failures[id] else { return }
        incident.instance = instance
        incident.lastSeenAt = context.now
        failures[id] = incident
        context.write(.persistIncident(incident))
    }

    mutating func closeFailure(_ id: String, _ context: inout StepContext) {
        guard var incident = failures.removeValue(forKey: id) else { return }
        incident.closedAt = context.now
        context.write(.persistIncident(incident))
    }

    private func notifyFailure(
        of instance: InstanceID, _ incident: String, _ reason: String, _ plan: Switchover,
        _ context: inout StepContext
    ) {
        let carriers = plan.carriers.map(\.rawValue).joined(separator: ", ")
        var body =
            carriers.isEmpty
            ? "No implementation is up now; requests wait until one is." : "\(carriers) carry the work."
        if let activated = plan.activated { body += " Standby \(activated) was activated." }
        body += isManaged ? " It is being recovered." : " It is a fixed endpoint: the platform does not restart it."
        context.write(
            .notify(
                Notification(
                    id: NotificationID("\(incident)/administrators"), at: context.now,
                    severity: carriers.isEmpty ? .critical : .warning, kind: "failover", service: id,
                    title: "\(instance) of \(id) failed: \(reason)", body: body)))
    }

    // MARK: Breaker

    mutating func countStartFailure(_ index: Int, _ reason: String, _ context: inout StepContext) {
        let instance = members[index].id
        guard breaker.startFailed(of: instance, at: context.steady, service.restart) else { return }
        let pause = service.restart.breakerPause.text
        let incident = Incident(
            id: "breaker/\(id)/\(context.now.microseconds)", kind: .breakerOpen, service: id, instance: instance,
            openedAt: context.now, lastSeenAt: context.now)
        breakerIncident = incident
        let count = breaker.failuresInARow
        context.write(.persistIncident(incident))
        context.record(
            "breaker.opened", service: id, instance: instance,
            "starts of \(id) pause for \(pause): \(count) failed in a row, the last with: \(reason)",
            ["failures": String(count)])
        context.write(
            .notify(
                Notification(
                    id: NotificationID("\(incident.id)/administrators"), at: context.now, severity: .critical,
                    kind: "breaker-open", service: id, title: "Instances of \(id) do not start",
                    body:
                        "\(count) starts failed in a row; the last, of \(instance), with: \(reason). Starts pause for "
                        + "\(pause) and are then tried one at a time. A changed template is tried at once.")))
    }

    mutating func closeBreaker(_ context: inout StepContext) {
        needsReconciliation = true
        context.record("breaker.closed", service: id, "instances of \(id) start again")
        guard var incident = breakerIncident else { return }
        breakerIncident = nil
        incident.closedAt = context.now
        context.write(.persistIncident(incident))
    }
}

import CloudModel
import Failover

/// Health checks and what they change.
extension ServiceSupervisor {
    /// Beyond a check's own timeout, before its answer is given up.
    private static let answerMargin = TimeSpan.seconds(1)

    /// One check, unless one is under way.
    mutating func probe(_ index: Int, _ context: inout StepContext) {
        members[index].probeDueAt = nil
        let instance = members[index].instance
        if members[index].isParked { return }
        guard members[index].probeOverdueAt == nil, let endpoint = instance.endpoint,
            instance.phase == .starting || instance.phase == .running
        else { return }
        members[index].checksAgainAtOnce = false
        var check = service.healthCheck
        if let patience = patienceInDoubt(index, context) { check.timeout = patience }
        members[index].probedAt = context.steady
        members[index].probeOverdueAt = context.steady + check.timeout + Self.answerMargin
        context.act(.probe(instance.id, incarnation: instance.incarnation, endpoint: endpoint, check: check))
    }

    mutating func probed(_ id: InstanceID, _ incarnation: Int, _ failure: String?, _ context: inout StepContext) {
        if let index = index(of: id), members[index].isParked { return members[index].probeOverdueAt = nil }
        // Without a check under way the answer is late or doubled.
        guard let index = current(id, incarnation), members[index].probeOverdueAt != nil else { return }
        guard let failure else {
            members[index].checkTook = members[index].probedAt.map { context.steady - $0 }
            return settle(index, .passed, "", &context)
        }
        // What stands still because it was told to has not failed.
        if members[index].instance.virtualServer?.isSuspended == true {
            members[index].probeOverdueAt = nil
            members[index].probeDueAt = context.steady + context.jittered(service.healthCheck.interval)
            return
        }
        settle(index, failure.hasPrefix("timed out") ? .timedOut : .failed, failure, &context)
    }

    /// How long the loss of a host's connection speaks against what ran there.
    private static let doubtLasts = TimeSpan.seconds(10)

    /// The least that a check of an instance in doubt may take, and how many times what the last passed one took.
    private static let shortestPatience = TimeSpan.milliseconds(500)
    private static let patienceFactor: Int64 = 4

    /// How long a check of an instance may take whose host is not heard: it need not be given the whole timeout, as
    /// its silence is the second evidence, but several times of what it takes usually. Nil: as long as any.
    private func patienceInDoubt(_ index: Int, _ context: StepContext) -> TimeSpan? {
        guard let until = members[index].doubtedUntil, context.steady <= until, let usual = members[index].checkTook
        else { return nil }
        let several = TimeSpan.microseconds(usual.microseconds * Self.patienceFactor)
        return min(service.healthCheck.timeout, max(several, Self.shortestPatience))
    }

    /// The connection to its host is lost: it is checked at once, and a check that fails is further evidence. One that
    /// is under way is not given more time than that one would be.
    mutating func doubted(_ id: InstanceID, _ context: inout StepContext) {
        guard let index = index(of: id), members[index].instance.phase == .running, !members[index].isParked else {
            return
        }
        touch(index)
        members[index].doubtedUntil = context.steady + Self.doubtLasts
        members[index].probeDueAt = context.steady
        if let overdue = members[index].probeOverdueAt, let patience = patienceInDoubt(index, context) {
            members[index].probeOverdueAt = min(overdue, context.steady + patience)
        }
    }

    /// Draws the conclusions of one check.
    mutating func settle(
        _ index: Int, _ result: FailureDetector.CheckResult, _ reason: String, _ context: inout StepContext
    ) {
        members[index].probeOverdueAt = nil
        let check = service.healthCheck
        let starts = members[index].isManaged && members[index].instance.phase == .starting
        // One that is starting has until its start timeout to pass its first check.
        var change = starts && result != .passed ? nil : members[index].detector.checked(result, check)
        if result == .passed {
            members[index].doubtedUntil = nil
        } else if change == nil, let until = members[index].doubtedUntil, context.steady <= until {
            change = members[index].detector.doubted()
        }
        if members[index].checksAgainAtOnce {
            members[index].probeDueAt = context.steady
        } else {
            members[index].probeDueAt = context.steady + context.jittered(members[index].detector.pause(check))
        }
        switch change {
        case .wentUp: cameUp(index, &context)
        case .wentDown: wentDown(index, reason, &context)
        case nil:
            if members[index].heldSince != nil, !members[index].detector.onlyTimeouts {
                // It answers, and says no: nothing speaks for keeping it in the balance any more.
                implementationFailed(index, "its check fails: \(reason)", hasExited: false, &context)
            }
        }
    }

    private mutating func cameUp(_ index: Int, _ context: inout StepContext) {
        needsReconciliation = true
        let wasHeld = members[index].heldSince != nil
        members[index].heldSince = nil
        members[index].heldUntil = nil
        members[index].startDeadline = nil
        members[index].instance.phase = .running
        members[index].instance.operational = .up
        let instance = members[index].instance
        members[index].stableAt = context.steady + RecoveryTrack.stableAfter
        let woke = members[index].wokenAt.take().map { (context.steady - $0).millisecondsRoundedUp }
        if wasHeld {
            context.record(
                "instance.up", service: id, instance: instance.id, "\(instance.id) passes its checks again")
        } else {
            members[index].instance.upSince = context.now
            context.record(
                "instance.up", service: id, instance: instance.id, "\(instance.id) is up",
                ["incarnation": String(instance.incarnation), "role": instance.role.rawValue])
        }
        if members[index].destination == nil { succeedOperations(of: index, kind: .restart, &context) }
        if !wasHeld { recordTakeover(index, woke, &context) }
        if !wasHeld, let incident = members[index].incident { recordRecovery(index, incident, &context) }
        // Those that were kept only because nothing else was up give way.
        for id in members.filter({ $0.heldSince != nil }).map(\.id) {
            guard let held = self.index(of: id) else { continue }
            implementationFailed(held, "its checks time out", hasExited: false, &context)
        }
    }

    private mutating func wentDown(_ index: Int, _ reason: String, _ context: inout StepContext) {
        needsReconciliation = true
        members[index].instance.operational = .down
        members[index].stableAt = nil
        guard members[index].instance.phase == .running else {
            context.record(
                "instance.down", service: id, instance: members[index].id,
                "\(members[index].id) does not pass its checks: \(reason)")
            return
        }
        guard members[index].destination == nil else { return }
        let others = members.indices.count { other in
            other != index && members[other].isUp && members[other].destination == nil
                && members[other].instance.administrative == .enabled || members[other].isParked
        }
        if PanicRule.holds(members[index].detector, otherInstancesUp: others), members[index].published != nil {
            members[index].heldSince = context.steady
            members[index].heldUntil = members[index].isManaged ? context.steady + PanicRule.grace : nil
            context.record(
                "instance.down", service: id, instance: members[index].id,
                "\(members[index].id) times out but keeps its work: no other instance is up",
                ["reason": reason])
            return
        }
        implementationFailed(index, "its check fails: \(reason)", hasExited: false, &context)
    }

    /// An instance has been kept in the balance, timing out, for long enough: it hangs.
    mutating func holdEnded(_ index: Int, _ context: inout StepContext) {
        guard let since = members[index].heldSince else { return members[index].heldUntil = nil }
        let recovering = members.contains { $0.heldSince == nil && $0.incident != nil && !$0.isUp }
        if recovering, context.steady - since < PanicRule.longestHold {
            members[index].heldUntil = context.steady + .seconds(1)
            return
        }
        let span = (context.steady - since).text
        implementationFailed(index, "its checks have timed out for \(span)", hasExited: false, &context)
    }

    /// What a failed request says of the instance that it was sent to.
    mutating func trafficFailed(
        _ id: InstanceID, _ failure: BackendFailure, at time: Timestamp, _ context: inout StepContext
    ) {
        guard let index = index(of: id), members[index].instance.phase == .running else { return }
        // A sign from before it came up is its predecessor's.
        if let upSince = members[index].instance.upSince, time < upSince { return }
        guard members[index].detector.trafficFailed(failure, service.healthCheck) else { return }
        touch(index)
        if members[index].probeOverdueAt != nil {
            members[index].checksAgainAtOnce = true
        } else {
            // Not faster than the fast interval, however many requests fail.
            let soonest = context.steady
            members[index].probeDueAt = min(members[index].probeDueAt ?? soonest, soonest)
        }
    }

    /// It has stayed up: what was is forgotten, and the next failure is told anew.
    mutating func becameStable(_ index: Int, _ context: inout StepContext) {
        members[index].stableAt = nil
        needsReconciliation = true
        members[index].recovery.becameStable()
        if let incident = members[index].incident {
            members[index].incident = nil
            members[index].failedAt = nil
            closeFailure(incident, &context)
        }
        if breaker.startSucceeded() { closeBreaker(&context) }
    }
}

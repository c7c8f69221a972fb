import CloudModel
import ScalingListener

/// The automated scaling listener: follows the load, and tells of limits that are reached.
extension ServiceSupervisor {
    /// A sample this long after a drain began was taken with the drain in force at every loop.
    private static let drainSettling = TimeSpan.milliseconds(300)
    /// Samples from further ahead than this were taken before the clock was set back.
    private static let clockTolerance = TimeSpan.seconds(1)

    // MARK: Load

    mutating func sampled(_ sample: LoadSample, _ context: inout StepContext) {
        guard context.now - sample.at <= ScalingListenerDecision.sampleValidity else { return }
        if let latest, sample.at < latest.at, latest.at <= context.now + Self.clockTolerance { return }
        latest = sample
        latestArrivedAt = context.steady
        meter.note(admitted: sample.admitted, at: context.steady)
        guard !isHeld else { return }
        finishDrains(sample, &context)
        scale(&context)
    }

    private mutating func finishDrains(_ sample: LoadSample, _ context: inout StepContext) {
        for index in members.indices where members[index].drainUntil != nil {
            guard let began = members[index].drainBeganAt, sample.at >= began + Self.drainSettling,
                sample.perInstance[members[index].id] ?? 0 == 0
            else { continue }
            touch(index)
            drained(index, &context)
        }
    }

    /// Decides by the latest sample, if it is recent.
    mutating func scale(_ context: inout StepContext) {
        guard isManaged, !isRemoved, !isShutDown else { return }
        var instances = 0
        var starting = 0
        var failed = 0
        for member in members where member.instance.role == .active && member.counts {
            if member.isAble {
                instances += 1
                if member.instance.phase != .running { starting += 1 }
            } else {
                failed += 1
            }
        }
        let isRecent = latestArrivedAt.map { context.steady - $0 <= ScalingListenerDecision.sampleValidity } ?? false
        let ceiling = activeCeiling
        let growth = unitsOfGrowth
        let counted = growth == nil ? instances : units
        seenMetrics = freshMetrics(context)
        var situation = ScalingListenerDecision.Situation(
            instances: counted, starting: starting, ceiling: ceiling * (growth ?? 1),
            minimum: min(leastInstances(context), ceiling), metrics: seenMetrics)
        if isRecent {
            watchUtilisation(situation, &context)
            situation.learned = learn(situation, &context)
        }
        let decision = scaling.decide(
            isRecent ? latest : nil, situation, constraints: service.constraints, settings: service.scaling,
            at: context.steady)
        if service.scaling.isDryRun { return propose(decision, from: counted, &context) }
        if growth != nil, !decision.isForTheMinimum { return grow(decision, from: counted) }
        carryOut(decision, from: instances, failed: failed, ceiling: ceiling, &context)
    }

    /// On virtual servers more of one comes before more of them: what is wished for is the controller's to carry out.
    private mutating func grow(_ decision: ScalingDecision, from units: Int) {
        switch decision {
        case .hold: break
        case .scaleOut(let count, let reason):
            escalation = EscalationWish(isRise: true, units: count - units, from: units, reason: reason)
        case .scaleIn(let count, let reason):
            escalation = EscalationWish(isRise: false, units: units - count, from: units, reason: reason)
        }
    }

    private mutating func carryOut(
        _ decision: ScalingDecision, from instances: Int, failed: Int, ceiling: Int, _ context: inout StepContext
    ) {
        switch decision {
        case .hold: break
        case .scaleOut(let count, let reason):
            // Those that are being recovered come back by themselves; until then others stand in for them, where there
            // is work to do. Where only the minimum asks, they are the minimum.
            let new = min(ceiling, decision.isForTheMinimum ? count : count + failed)
            guard new > target else { return }
            scaledOut(from: instances, to: count, reason, &context)
            target = new
            needsReconciliation = true
        case .scaleIn(let count, let reason):
            guard count < target, mayLose(instances - count, context) else { return }
            scaledIn(from: instances, to: count, reason, &context)
            target = count
            needsReconciliation = true
        }
    }

    /// Records what would be done, once for each count that is come to.
    private mutating func propose(_ decision: ScalingDecision, from old: Int, _ context: inout StepContext) {
        let (count, reason): (Int, ScalingReason)
        switch decision {
        case .hold(let why):
            // Over, and not only waiting for its time.
            if case .fits = why { proposed = nil }
            return
        case .scaleOut(let new, let why), .scaleIn(let new, let why): (count, reason) = (new, why)
        }
        guard count != proposed else { return }
        proposed = count
        context.record(
            "scaling.decided.dry-run", service: id,
            "\(id) would be scaled from \(old) to \(count) instance\(count == 1 ? "" : "s"): \(reason)",
            decided(from: old, to: count, reason))
    }

    /// By the constraints, or by a schedule that applies now.
    private func leastInstances(_ context: StepContext) -> Int {
        let scheduled = service.scaling.schedules.filter { $0.applies(at: context.now) }.map(\.minimumInstances)
        return max(service.constraints.minimumInstances, scheduled.max() ?? 0)
    }

    mutating func scaledOut(
        from old: Int, to new: Int, _ reason: ScalingReason, _ context: inout StepContext
    ) {
        let sample = latest
        let run = self.run ?? ScalingRun(id: "scaling/\(id)/\(context.now.microseconds)")
        self.run = run
        if !run.isRaised {
            let consumers = sample?.activeConsumers ?? 0
            let requests = (sample?.requestsInFlight ?? 0) + (sample?.requestsQueued ?? 0)
            context.record(
                "scaling.load", service: id, actor: "gateway", step: step(.automatedScalingListener, run.id, "1"),
                consumers == 1 && requests == 1
                    ? "1 consumer accesses \(id)"
                    : "\(consumers) consumers access \(id) at once with \(requests) requests",
                ["consumers": String(consumers), "requests": String(requests)])
        }
        context.record(
            "scaling.decided", service: id, step: step(.automatedScalingListener, run.id, run.isRaised ? "5" : "2"),
            "\(id) is scaled out from \(old) to \(new) instance\(new == 1 ? "" : "s"): \(reason)",
            decided(from: old, to: new, reason))
    }

    /// The decision, the sample that it was taken by, and what the policy was shown since the last one.
    mutating func decided(from old: Int, to new: Int, _ reason: ScalingReason) -> [String: String] {
        var facts = [
            "from": String(old), "to": String(new), "reason": reason.description,
            "policy": service.scaling.policy?.kind.rawValue ?? (learned?.wish == nil ? "concurrency" : "tournament"),
        ]
        let evaluations = scaling.takeEvaluations()
        if !evaluations.isEmpty { facts["evaluations"] = evaluations.map(\.text).joined(separator: " ") }
        let metrics = seenMetrics.keys.sorted().map { "\($0)=\(seenMetrics[$0] ?? 0)" }
        if !metrics.isEmpty { facts["metrics"] = metrics.joined(separator: " ") }
        guard let latest else { return facts }
        facts["sampledAt"] = latest.at.rfc3339
        facts["requestsInFlight"] = String(latest.requestsInFlight)
        facts["requestsQueued"] = String(latest.requestsQueued)
        facts["activeConsumers"] = String(latest.activeConsumers)
        return facts
    }

    mutating func scaledIn(
        from old: Int, to new: Int, _ reason: ScalingReason, _ context: inout StepContext
    ) {
        context.record(
            "scaling.decided", service: id,
            "\(id) is scaled in from \(old) to \(new) instance\(new == 1 ? "" : "s"): \(reason)",
            decided(from: old, to: new, reason))
        if new <= service.constraints.minimumInstances, limits.isEmpty { run = nil }
    }

    // MARK: Limits

    /// A consumer was refused.
    mutating func limitReached(_ event: LimitReached, _ context: inout StepContext) {
        // A refusal at another value than the present one is from before the limit was changed.
        guard !isRemoved, service.constraints[event.constraint] == event.limit else { return }
        let index = openLimit(event, &context)
        let tidings = limits[index].state.refused(event.consumer, count: event.count, at: context.steady)
        guard tidings.isNewConsumer else { return }
        let run = limits[index].run
        refused[event.consumer] = run
        limits[index].incident.consumers = limits[index].state.consumers
        limits[index].incident.lastSeenAt = context.now
        recordRefusal(event, run, tidings, &context)
        let offer = limits[index].state.offer(event, sample: latest, constraints: service.constraints)
        let incident = limits[index].incident
        context.write(.persistIncident(incident))
        if tidings.administrators { notifyAdministrators(event, incident, offer, &context) }
        if tidings.consumer { notifyConsumer(event, incident, &context) }
    }

    private mutating func openLimit(_ event: LimitReached, _ context: inout StepContext) -> Int {
        let name = event.constraint.rawValue
        if let index = limits.firstIndex(where: { $0.state.constraint == event.constraint }) { return index }
        let id = "\(run?.id ?? "limit/\(self.id)")/\(name)/\(context.now.microseconds)"
        let incident = Incident(
            id: id, kind: .limitReached, service: self.id, constraint: event.constraint, openedAt: context.now,
            lastSeenAt: context.now)
        let limit = ReachedLimit(
            incident: incident, state: LimitIncident(constraint: event.constraint, at: context.steady),
            run: run?.id ?? id)
        let place = limits.firstIndex { $0.state.constraint.rawValue > name } ?? limits.count
        limits.insert(limit, at: place)
        return place
    }

    private func recordRefusal(
        _ event: LimitReached, _ run: String, _ tidings: LimitIncident.Tidings, _ context: inout StepContext
    ) {
        let facts = [
            "constraint": event.constraint.rawValue, "limit": String(event.limit), "current": String(event.current),
        ]
        context.record(
            "consumer.arrived", service: id, consumer: event.consumer, actor: "gateway",
            step: step(.automatedScalingListener, run, "3"),
            "a further consumer arrives: \(event.consumer)", facts)
        var told: [String] = []
        if tidings.consumer { told.append("consumer") }
        if tidings.administrators { told.append("administrators") }
        let ending = told.isEmpty ? "" : "; \(told.joined(separator: " and ")) notified"
        context.record(
            "consumer.rejected", service: id, consumer: event.consumer, actor: "gateway",
            step: step(.automatedScalingListener, run, "4"),
            (event.waiting ? "\(event.consumer) has to wait" : "\(event.consumer) is rejected")
                + ": \(event.constraint.rawValue) \(event.limit) is reached" + ending,
            facts.merging(["waiting": String(event.waiting)]) { old, _ in old })
    }

    private func notifyAdministrators(
        _ event: LimitReached, _ incident: Incident, _ offer: ConstraintOffer, _ context: inout StepContext
    ) {
        context.write(
            .notify(
                Notification(
                    id: NotificationID("\(incident.id)/administrators"), at: context.now, severity: .warning,
                    kind: "limit-reached", service: id,
                    title: "\(id) has reached \(event.constraint.rawValue) \(event.limit)",
                    body: "\(event.consumer) was refused. Further refusals are not told until this is over. "
                        + "The limit can be raised from \(offer.from) to \(offer.to).", offer: offer)))
    }

    private func notifyConsumer(_ event: LimitReached, _ incident: Incident, _ context: inout StepContext) {
        context.write(
            .notify(
                Notification(
                    id: NotificationID("\(incident.id)/consumer/\(event.consumer)"), at: context.now, severity: .info,
                    kind: "limit-reached", service: id, consumer: event.consumer,
                    title: "\(id) could not take your request",
                    body: "\(event.constraint.rawValue) \(event.limit) is reached. The administrators have been told. "
                        + (event.waiting ? "Your request waits for a place." : "Please try again later."))))
    }

    mutating func servedAfterRefusal(_ consumer: ConsumerID, _ context: inout StepContext) {
        guard let run = refused.removeValue(forKey: consumer) else { return }
        context.record(
            "consumer.served", service: id, consumer: consumer, actor: "gateway",
            step: step(.automatedScalingListener, run, "5"), "\(consumer), which had been refused, is served")
    }

    /// Ends the incidents that have seen no refusal for long enough.
    mutating func closeQuietLimits(_ context: inout StepContext) {
        for index in limits.indices.reversed() where limits[index].state.endsAt <= context.steady {
            let limit = limits.remove(at: index)
            for consumer in limit.state.consumers where refused[consumer] == limit.run { refused[consumer] = nil }
            close(limit, "no refusal for \(LimitIncident.quietAfter.text)", &context)
        }
        if limits.isEmpty, let run, run.isRaised || target <= service.constraints.minimumInstances {
            self.run = nil
        }
    }

    private func close(_ limit: ReachedLimit, _ reason: String, _ context: inout StepContext) {
        var incident = limit.incident
        incident.closedAt = context.now
        context.write(.persistIncident(incident))
        context.record(
            "limit.over", service: id,
            "\(limit.state.constraint.rawValue) of \(id) is no longer reached: \(reason)",
            ["refusals": String(limit.state.refusals)])
    }

    // MARK: Change of a constraint

    mutating func constraintChanged(
        _ kind: ConstraintKind, from old: Int?, to new: Int?, actor: String, _ context: inout StepContext
    ) {
        let isRaised = old != nil && (new ?? .max) > (old ?? .max)
        let open = limits.firstIndex { $0.state.constraint == kind }
        let run = open.map { limits[$0].run }
        context.record(
            "constraint.changed", service: id, actor: actor,
            step: isRaised ? run.map { step(.automatedScalingListener, $0, "5") } : nil,
            "\(actor) \(isRaised ? "raises" : "changes") \(kind.rawValue) of \(id) from "
                + "\(old.map(String.init) ?? "none") to \(new.map(String.init) ?? "none")",
            ["constraint": kind.rawValue, "from": old.map(String.init) ?? "", "to": new.map(String.init) ?? ""])
        if isRaised, let open {
            let limit = limits.remove(at: open)
            close(limit, "it was raised", &context)
            self.run = ScalingRun(id: limit.run, isRaised: true)
        }
        snapshotIsStale = true
        needsReconciliation = true
        scale(&context)
    }
}

extension ScalingDecision {
    /// More, though not because of any load: in instances, also where those can grow.
    fileprivate var isForTheMinimum: Bool {
        if case .scaleOut(_, .atMinimum) = self { true } else { false }
    }
}

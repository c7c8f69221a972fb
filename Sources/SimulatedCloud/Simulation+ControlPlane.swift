import CloudController
import CloudModel

/// The runtime of the controller: commits, acts, ends at any moment, and comes back.
extension Simulation {
    func newController() -> CloudController {
        var controller = CloudController()
        if plant == .capIgnoresStopping { controller.plantedDefect = .capIgnoresStopping }
        return controller
    }

    // MARK: Events on their way to the controller

    /// The channel from the ports: loses, doubles and delays.
    func send(_ event: ControllerEvent) {
        guard !isDown, !happens(plan.eventIsLost) else { return }
        let delay = between(50, 2_000)
        plan(.deliver(event, life: life), after: happens(plan.eventIsLate) ? between(10_000, 3_000_000) : delay)
        if happens(plan.eventIsDoubled) { plan(.deliver(event, life: life), after: delay + between(0, 500_000)) }
    }

    func deliverNow(_ event: ControllerEvent) {
        guard !isDown else { return }
        report.steps += 1
        auditor.begins(step: report.steps, at: now)
        let before = auditor.tidings
        auditor.delivers(event, at: now)
        let effects = controller.step(event, at: wall, random: &controllerRandom)
        if narrate != nil { tell(of: event, effects) }
        var isCommitted = true
        if !effects.isEmpty {
            mix(effects)
            auditor.decided(effects)
            isCommitted = carryOut(effects)
        }
        guard isCommitted else {
            // As if it had never been told.
            auditor.tidings = before
            return auditor.controlPlaneEnds(at: now)
        }
        guard !isDown else {
            auditor.committedOnly(event, at: now)
            return auditor.controlPlaneEnds(at: now)
        }
        auditor.processed(event, snapshot: controller.snapshot)
        armTimer()
    }

    /// Commits and acts. A control plane that ends here ends before the commit, or after any number of actions.
    /// - Returns: whether the writes were committed.
    private func carryOut(_ effects: [Effect]) -> Bool {
        let actions = effects.filter { !$0.isWrite }
        guard endsAtNextStep else {
            if plant != .actsBeforeIntent { commit(effects) }
            for action in actions {
                act(action)
                if happens(plan.actionIsDoubled) { act(action) }
            }
            if plant == .actsBeforeIntent { commit(effects) }
            return true
        }
        endsAtNextStep = false
        let done = Int(between(-1, Int64(actions.count)))
        if plant == .actsBeforeIntent {
            for action in actions.prefix(max(0, done)) { act(action) }
        } else if done >= 0 {
            commit(effects)
            for action in actions.prefix(done) { act(action) }
        }
        goDown()
        return done >= 0 && plant != .actsBeforeIntent
    }

    private func commit(_ effects: [Effect]) {
        store.commit(effects)
        auditor.committed(tampered(effects), at: now, wall: wall)
        for effect in effects {
            switch effect {
            case .notify: report.notifications += 1
            case .record(let event): count(event)
            default: break
            }
        }
    }

    private func count(_ event: PlatformEvent) {
        switch event.kind {
        case "instance.failed": report.failovers += 1
        case "scaling.decided":
            let isOut = Int(event.details["to"] ?? "") ?? 0 > Int(event.details["from"] ?? "") ?? 0
            if isOut { report.scaleOuts += 1 } else { report.scaleIns += 1 }
        default: break
        }
    }

    /// What planted defects make of the writes.
    private func tampered(_ effects: [Effect]) -> [Effect] {
        switch plant {
        case .losesStopRecords:
            return effects.filter { effect in
                guard case .lifecycle(let event) = effect, event.kind == .stop else { return true }
                return event.at.microseconds % 10 != 0
            }
        case .tellsEveryRefusal:
            return effects.flatMap { effect -> [Effect] in
                guard case .record(let event) = effect, event.kind == "consumer.rejected" else { return [effect] }
                let notification = Notification(
                    id: NotificationID("again/\(report.steps)"), at: wall, severity: .warning, kind: "limit-reached",
                    service: event.service, title: "", body: "")
                return [effect, .notify(notification)]
            }
        case .capIgnoresStopping, .actsBeforeIntent, .keepsEndedBackends, .scalesInBlind, nil: return effects
        }
    }

    private func tell(of event: ControllerEvent, _ effects: [Effect]) {
        let place = "\(report.steps) \(TimeSpan(microseconds: now).inSeconds)"
        switch event {
        case .deadline where effects.isEmpty, .dataPlane(.load) where effects.isEmpty: return
        case .recovered: narrate?("\(place) <- recovered")
        case .command(.configure, _): narrate?("\(place) <- configure")
        default: narrate?("\(place) <- \(event)")
        }
        for effect in effects {
            switch effect {
            case .record(let event): narrate?("    \(event.step.map { "\($0.number) " } ?? "")\(event.summary)")
            case .persist(let instance):
                narrate?(
                    "    = \(instance.id)/\(instance.incarnation) \(instance.phase) \(instance.operational) "
                        + "\(instance.administrative) \(instance.role)")
            case .start(let id, let incarnation, _): narrate?("    -> start \(id)/\(incarnation)")
            case .stop(let id, let incarnation, let grace):
                narrate?("    -> stop \(id)/\(incarnation) in \(grace.inSeconds) s")
            case .probe(let id, let incarnation, _, _): narrate?("    -> check \(id)/\(incarnation)")
            case .publish(let snapshot):
                let backends = snapshot.services.flatMap { $0.backends.map { "\($0.instance) \($0.administrative)" } }
                narrate?("    -> publish \(snapshot.generation): \(backends)")
            case .notify(let notification): narrate?("    -> notify \(notification.id)")
            case .lifecycle(let event): narrate?("    = \(event.kind) \(event.instance)/\(event.incarnation)")
            case .persistIncident(let incident):
                narrate?("    = incident \(incident.id) \(incident.closedAt == nil ? "open" : "over")")
            case .persistOperation(let operation): narrate?("    = \(operation.id) \(operation.state)")
            case .persistConfiguration, .persistOrdinal, .persistDemand, .connect, .disconnect, .hypervisor, .fence:
                break
            }
        }
    }

    private func mix(_ effects: [Effect]) {
        func add(_ number: UInt64) { withUnsafeBytes(of: number.littleEndian) { report.digest.add($0) } }
        func add(_ text: String) { report.digest.add(part: text) }
        for effect in effects {
            switch effect {
            case .record(let event): add(event.summary)
            case .persist(let instance):
                add(instance.id.rawValue)
                add(UInt64(instance.incarnation))
            case .start(let id, let incarnation, _), .stop(let id, let incarnation, _),
                .probe(let id, let incarnation, _, _):
                add(id.rawValue)
                add(UInt64(incarnation))
            case .publish(let snapshot): add(snapshot.generation)
            default: add(1)
            }
        }
    }

    // MARK: Actions

    private func act(_ action: Effect) {
        switch action {
        case .start(let id, let incarnation, let service):
            report.starts += 1
            let key = ProcessKey(id: id, incarnation: incarnation)
            auditor.starts(key, of: service.id, processes: processes, store: store, at: now)
            plan(.doStart(key, service, life: life), after: 0)
        case .stop(let id, let incarnation, let grace):
            let key = ProcessKey(id: id, incarnation: incarnation)
            auditor.stops(key, store: store)
            plan(.doStop(key, graceMicroseconds: grace.microseconds), after: between(500, 10_000))
        case .probe(let id, let incarnation, let endpoint, let check):
            let key = ProcessKey(id: id, incarnation: incarnation)
            beginCheck(key, endpoint, timeout: check.timeout.microseconds)
        case .publish(let snapshot):
            auditor.publishes(snapshot)
            apply(snapshot)
        default: break
        }
    }

    // MARK: Time

    /// As the runtime does: sleeps for as long as the deadline is away by the clock that it has.
    private func armTimer() {
        guard let next = controller.nextDeadline, next != armedFor else { return }
        armedFor = next
        timer += 1
        let late = happens(plan.deadlineIsLate) ? between(0, 500_000) : between(0, 500)
        plan(.wake(timer: timer), after: (next - wall).microseconds + late)
    }

    func wake(_ timer: UInt64) {
        guard timer == self.timer else { return }
        armedFor = nil
        deliverNow(.deadline)
    }

    // MARK: End and return

    func goDown() {
        guard !isDown else { return }
        isDown = true
        life += 1
        timer += 1
        armedFor = nil
        report.restartsOfControlPlane += 1
        // What the driver was starting is there, or is not; nobody has heard of it.
        for process in processes.sorted where process.state == .launching {
            if Bool.random(using: &random) { _ = launched(process.key) } else { _ = processes.end(process.key) }
        }
        plan(.controlPlaneReturns, after: between(100_000, 20_000_000))
    }

    /// Recovers as the runtime does: the stored state, then the driver's answer for each instance that is ours.
    func restartController() {
        isDown = false
        controller = newController()
        auditor.controlPlaneReturns()
        let life = self.life
        let state = store.recoveredState
        deliverNow(.recovered(state))
        guard self.life == life else { return }
        let managed = state.instances.filter { !$0.id.rawValue.contains("-ep") }
        let adopted = adopt(managed)
        for instance in managed {
            guard self.life == life else { return }
            let key = ProcessKey(id: instance.id, incarnation: instance.incarnation)
            if adopted.contains(instance.id), let process = processes[key] {
                if instance.endpoint == process.endpoint {
                    deliverNow(.instanceAdopted(instance.id, incarnation: instance.incarnation))
                } else {
                    deliverNow(
                        .instanceStarted(
                            instance.id, incarnation: instance.incarnation, endpoint: process.endpoint, handle: nil))
                }
            } else {
                let seen = lastHeartbeats[instance.id] ?? instance.upSince ?? instance.requestedAt
                deliverNow(
                    .instanceExited(
                        instance.id, incarnation: instance.incarnation, status: .unknown,
                        inferredAt: min(wall, seen + Self.lease)))
            }
        }
        guard self.life == life else { return }
        deliverNow(.adoptionCompleted)
    }

    func heartbeat() {
        plan(.heartbeat, after: Self.heartbeatInterval)
        guard !isDown else { return }
        for process in processes.sorted where process.state == .running { lastHeartbeats[process.id] = wall }
    }
}

import CloudController
import CloudModel
import VirtualInfrastructure

/// Drives a controller by hand: gives it events at a virtual time, keeps the books of what it wrote, and answers what
/// it asked for only as far as a test says.
struct Bench {
    var controller = CloudController()
    var random: SeededGenerator
    var now = Timestamp(microseconds: 1_000_000_000_000_000)
    /// All effects so far.
    var effects: [Effect] = []
    /// Those of the last step.
    var last: [Effect] = []
    /// Running processes as the driver would know them.
    var processes: [InstanceID: Int] = [:]
    var nextPort: UInt16 = 20_000
    /// Instances whose checks fail, and how.
    var failing: [InstanceID: String] = [:]
    /// Instances whose starts fail.
    var brokenStarts: (InstanceID) -> Bool = { _ in false }
    /// Whether the driver answers.
    var driverAnswers = true
    /// Whether checks are answered at once; else a test answers them.
    var answersChecks = true

    init(seed: UInt64 = 1) { random = SeededGenerator(seed: seed) }

    @discardableResult
    mutating func send(_ event: ControllerEvent) -> [Effect] {
        last = controller.step(event, at: now, random: &random)
        effects += last
        let step = last
        for effect in step where !effect.isWrite { answer(effect) }
        last = step
        return step
    }

    private mutating func answer(_ effect: Effect) {
        switch effect {
        case .start(let id, let incarnation, _):
            guard driverAnswers else { return }
            if brokenStarts(id) {
                send(.instanceStartFailed(id, incarnation: incarnation, reason: "no such program"))
                return
            }
            processes[id] = incarnation
            nextPort += 1
            let endpoint = Endpoint(address: "127.0.0.1", port: nextPort)
            send(.instanceStarted(id, incarnation: incarnation, endpoint: endpoint, handle: nil))
        case .stop(let id, let incarnation, _):
            guard driverAnswers else { return }
            if processes[id] == incarnation { processes[id] = nil }
            send(.instanceExited(id, incarnation: incarnation, status: .signalled(15), inferredAt: nil))
        case .probe(let id, let incarnation, _, _):
            guard answersChecks else { return }
            send(.probeCompleted(id, incarnation: incarnation, failure: failing[id]))
        case .record, .persist, .persistIncident, .persistConfiguration, .persistOrdinal, .persistOperation,
            .persistDemand, .lifecycle, .notify, .publish, .connect, .disconnect, .hypervisor, .fence:
            break
        }
    }

    /// Lets time pass, coming back at each deadline.
    mutating func pass(_ span: TimeSpan) {
        let end = now + span
        while let next = controller.nextDeadline, next <= end {
            now = max(now, next)
            send(.deadline)
        }
        now = end
        send(.deadline)
    }

    mutating func command(_ command: ControllerCommand) { send(.command(command, actor: "alice")) }

    mutating func kill(_ id: InstanceID, signal: Int32 = 9) {
        guard let incarnation = processes.removeValue(forKey: id) else { return }
        send(.instanceExited(id, incarnation: incarnation, status: .signalled(signal), inferredAt: nil))
    }

    /// Carries out what the hypervisors were asked since this was called last.
    mutating func answerHypervisors() {
        let asked = effects.compactMap { effect -> (PhysicalServerID, HypervisorCommand)? in
            if case .hypervisor(let host, let command) = effect { (host, command) } else { nil }
        }
        effects = effects.filter { if case .hypervisor = $0 { false } else { true } }
        for (host, command) in asked {
            switch command {
            case .run, .resize: send(.infrastructure(.commandEnded(host, command, failure: nil)))
            case .migrate(_, let instance, _, _):
                let result = MigrationResult(
                    transferred: .mebibytes(12), totalTime: .milliseconds(900), downtime: .milliseconds(40), rounds: 3)
                send(.infrastructure(.migrationEnded(instance, .succeeded(result))))
            default: break
            }
        }
    }

    mutating func load(
        _ service: ServiceID = "web", inFlight: Int = 0, queued: Int = 0, consumers: Int = 0,
        perInstance: [InstanceID: Int] = [:]
    ) {
        send(
            .dataPlane(
                .load(
                    LoadSample(
                        service: service, at: now, requestsInFlight: inFlight, requestsQueued: queued,
                        activeConsumers: consumers, perInstance: perInstance))))
    }

    mutating func refuse(_ consumer: ConsumerID, limit: Int, constraint: ConstraintKind = .maximumInstances) {
        send(
            .dataPlane(
                .limitReached(
                    LimitReached(
                        service: "web", consumer: consumer, constraint: constraint, limit: limit, current: limit,
                        at: now))))
    }

    /// The control plane ends and comes back; the driver answers as its processes are.
    mutating func restart(adoptionCompletes: Bool = true) {
        var stored = stored
        stored.instances.sort { $0.id < $1.id }
        controller = CloudController()
        send(.recovered(stored))
        for instance in stored.instances where !instance.id.rawValue.contains("-ep") {
            if processes[instance.id] == instance.incarnation {
                send(.instanceAdopted(instance.id, incarnation: instance.incarnation))
            } else {
                send(
                    .instanceExited(
                        instance.id, incarnation: instance.incarnation, status: .unknown,
                        inferredAt: now - .seconds(5)))
            }
        }
        if adoptionCompletes { send(.adoptionCompleted) }
    }

    /// What the writes so far add up to.
    var stored: RecoveredState {
        var state = RecoveredState(configuration: CloudConfiguration())
        var instances: [InstanceID: ServiceInstance] = [:]
        var incidents: [String: Incident] = [:]
        var operations: [OperationID: Operation] = [:]
        var days: [ServiceID: [Int: String]] = [:]
        for effect in effects {
            switch effect {
            case .persistDemand(let service, let place, let day): days[service, default: [:]][place] = day
            case .persist(let instance): instances[instance.id] = instance.phase == .removed ? nil : instance
            case .persistIncident(let incident): incidents[incident.id] = incident.closedAt == nil ? incident : nil
            case .persistOperation(let operation):
                operations[operation.id] = operation.state == .running ? operation : nil
            case .persistConfiguration(let configuration): state.configuration = configuration
            case .persistOrdinal(let service, let ordinal): state.lastOrdinals[service] = ordinal
            case .record, .lifecycle, .notify, .start, .stop, .probe, .publish, .connect, .disconnect, .hypervisor,
                .fence:
                break
            }
        }
        state.demand = days.mapValues { $0.sorted { $0.key < $1.key }.map(\.value) }
        state.instances = instances.values.sorted { $0.id < $1.id }
        state.incidents = incidents.values.sorted { $0.id < $1.id }
        state.operations = operations.values.sorted { $0.id < $1.id }
        return state
    }

    // MARK: What came of it

    subscript(id: InstanceID) -> ServiceInstance? { controller.instances.first { $0.id == id } }

    var backends: [String] {
        controller.snapshot.services.flatMap { service in
            service.backends.filter { $0.administrative == .enabled }.map(\.instance.rawValue)
        }
    }

    var events: [PlatformEvent] {
        effects.compactMap { if case .record(let event) = $0 { event } else { nil } }
    }

    var notifications: [Notification] {
        effects.compactMap { if case .notify(let notification) = $0 { notification } else { nil } }
    }

    var lifecycle: [LifecycleEvent] {
        effects.compactMap { if case .lifecycle(let event) = $0 { event } else { nil } }
    }

    func operation(_ id: OperationID) -> Operation? {
        effects.reversed().lazy.compactMap { effect in
            if case .persistOperation(let operation) = effect, operation.id == id { operation } else { nil }
        }.first
    }

    /// What was written and done since the effect with this index, one line each; checks and doublets of persisted
    /// states left out.
    func transcript(from first: Int) -> [String] {
        effects[first...].compactMap { effect in
            switch effect {
            case .record(let event):
                (event.step.map { "\($0.number) " } ?? "- ") + event.summary
            case .lifecycle(let event): "books: \(event.kind) of \(event.instance)/\(event.incarnation)"
            case .notify(let notification):
                "notify \(notification.consumer?.rawValue ?? "administrators"): \(notification.title)"
                    + (notification.offer.map { " (offer \($0.from) to \($0.to))" } ?? "")
            case .start(let id, let incarnation, _): "start \(id)/\(incarnation)"
            case .stop(let id, let incarnation, let grace): "stop \(id)/\(incarnation) within \(grace.inSeconds) s"
            case .publish(let snapshot):
                "publish "
                    + snapshot.services.flatMap(\.backends).map { backend in
                        backend.administrative == .enabled
                            ? backend.instance.rawValue : "\(backend.instance) (\(backend.administrative))"
                    }.joined(separator: ", ")
            case .persist, .persistIncident, .persistConfiguration, .persistOrdinal, .persistOperation, .probe,
                .persistDemand, .connect, .disconnect, .hypervisor, .fence:
                nil
            }
        }
    }

    /// `number text` of the steps of a mechanism, in order.
    func timeline(_ mechanism: Mechanism) -> [String] {
        events.compactMap { event in
            guard let step = event.step, step.mechanism == mechanism else { return nil }
            return "\(step.number) \(event.summary)"
        }
    }
}

extension CloudService {
    static func web(
        minimum: Int = 3, maximum: Int = 3, consumersPerInstance: Int? = nil, requestsPerInstance: Int? = nil,
        command: [String] = ["/bin/web"]
    ) -> CloudService {
        CloudService(
            id: "web", owner: "tenant", routes: [Route()], instances: .process(ProcessTemplate(command: command)),
            constraints: WorkloadConstraints(
                minimumInstances: minimum, maximumInstances: maximum,
                concurrentRequestsPerInstance: requestsPerInstance, activeConsumersPerInstance: consumersPerInstance))
    }
}

extension FailoverGroup {
    static func passive(
        _ readiness: StandbyReadiness = .warm, standbys: Int = 1, attempts: Int = 3
    ) -> FailoverGroup {
        FailoverGroup(
            id: "web", service: "web", mode: .activePassive, standbys: standbys, standbyReadiness: readiness,
            recoveryAttempts: attempts)
    }
}

extension CloudConfiguration {
    static func only(_ service: CloudService, group: FailoverGroup? = nil) -> CloudConfiguration {
        CloudConfiguration(services: [service], failoverGroups: group.map { [$0] } ?? [])
    }
}

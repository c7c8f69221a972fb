import CloudController
import CloudModel

/// Checks the rules against what really happens, with books of its own and nothing of the controller's logic.
///
/// It sees the machine (which processes run, and when they began and ended), what the controller was told, what it
/// wrote and had committed, and what it had done. The first broken rule ends the simulation.
struct Auditor {
    private(set) var violation: Violation?
    private(set) var step = 0
    private(set) var now: Int64 = 0

    /// What is committed, as the auditor read it.
    var configuration = CloudConfiguration()
    var claimed: [InstanceID: ServiceInstance] = [:]
    private var everNamed: Set<InstanceID> = []

    /// Ports of processes by their names, and those whose end the controller has been told.
    private var ports: [ProcessKey: UInt16] = [:]
    private var reportedDead: Set<UInt16> = []
    private var reportedInRecovery: [UInt16] = []
    private var isRecovering = false

    var books = AuditedBooks()
    var tidings = AuditedTidings()
    var pace = AuditedPace()

    mutating func finds(_ rule: String, _ what: String) {
        guard violation == nil else { return }
        violation = Violation(rule: rule, what: what, step: step, at: TimeSpan(microseconds: now))
    }

    mutating func finds(_ finding: Finding?) {
        if let finding { finds(finding.rule, finding.what) }
    }

    func service(_ id: ServiceID) -> CloudService? { configuration.services.first { $0.id == id } }

    // MARK: What the controller is told

    mutating func begins(step: Int, at now: Int64) {
        self.step = step
        self.now = now
    }

    mutating func delivers(_ event: ControllerEvent, at now: Int64) {
        switch event {
        case .command(let command, _):
            tidings.commanded(command, configuration)
            pace.commanded(command, at: now)
        case .instanceExited(let id, let incarnation, _, let inferredAt):
            if inferredAt == nil { pace.exitTold(claimed[id], incarnation, at: now) }
        case .instanceStartFailed(let id, let incarnation, _): pace.exitTold(claimed[id], incarnation, at: now)
        case .deadline: finds(pace.woken(at: now))
        default: break
        }
    }

    /// The step is done, with all its actions.
    mutating func processed(_ event: ControllerEvent, snapshot: DataPlaneSnapshot) {
        switch event {
        case .instanceExited(let id, let incarnation, _, let inferredAt):
            if let port = ports[ProcessKey(id: id, incarnation: incarnation)], books.isOver(id, incarnation) {
                reportedInRecovery.append(port)
            }
            if inferredAt == nil { finds(tidings.exitProcessed(id, claimed[id], at: now)) }
        case .dataPlane(.limitReached(let limit)):
            finds(tidings.refusalProcessed(limit, service(limit.service), at: now))
        case .dataPlane(.load(let sample)): pace.sampleProcessed(sample, at: now)
        case .adoptionCompleted: isRecovering = false
        default: break
        }
        tidings.endStep()
        guard !isRecovering, !reportedInRecovery.isEmpty else { return }
        reportedDead.formUnion(reportedInRecovery)
        reportedInRecovery = []
        check(snapshot)
    }

    /// The control plane ended when the step was committed: what it wrote stands, what it did is uncertain.
    mutating func committedOnly(_ event: ControllerEvent, at now: Int64) {
        if case .dataPlane(.limitReached(let limit)) = event {
            finds(tidings.refusalProcessed(limit, service(limit.service), at: now))
        }
    }

    mutating func controlPlaneEnds(at now: Int64) {
        books.restarts += 1
        tidings.restarted()
        pace.restarted()
    }

    mutating func controlPlaneReturns() { isRecovering = true }

    mutating func clockJumps(by step: Int64, at now: Int64) {
        books.jumps += abs(step)
        tidings.jumped()
        pace.jumped()
    }

    // MARK: What it decides

    mutating func decided(_ effects: [Effect]) {
        var hasActed = false
        for effect in effects {
            if !effect.isWrite { hasActed = true }
            if effect.isWrite && hasActed { finds("order", "a write comes after an action") }
        }
    }

    mutating func committed(_ effects: [Effect], at now: Int64, wall: Timestamp) {
        var grown: [ServiceID] = []
        for effect in effects {
            switch effect {
            case .persistConfiguration(let new): configuration = new
            case .persist(let instance):
                finds(pace.persisted(instance, before: claimed[instance.id], service(instance.service), at: now))
                if claimed[instance.id] == nil, instance.phase != .removed { grown.append(instance.service) }
                claim(instance)
            case .lifecycle(let event): finds(books.recorded(event, at: now))
            case .notify(let notification): finds(tidings.told(notification, at: now))
            case .record(let event):
                tidings.recorded(event, at: now)
                finds(pace.recorded(event, service(event.service ?? ""), at: now))
            case .persistIncident(let incident):
                // Of a service that is removed, nothing goes on.
                let subject = service(incident.service) == nil ? nil : incident.instance.flatMap { claimed[$0] }
                finds(tidings.persisted(incident, subject, age: subject.flatMap { books.age(of: $0, at: now) }))
            case .persistOrdinal, .persistOperation, .start, .stop, .probe, .publish, .connect, .disconnect,
                .hypervisor,
                .persistDemand, .fence:
                break
            }
        }
        for service in grown { checkClaims(of: service) }
    }

    private mutating func claim(_ instance: ServiceInstance) {
        if claimed[instance.id] == nil, instance.phase != .removed, instance.isManaged {
            if !everNamed.insert(instance.id).inserted { finds("name-reuse", "\(instance.id) was used before") }
        }
        claimed[instance.id] = instance.phase == .removed ? nil : instance
    }

    private mutating func checkClaims(of id: ServiceID) {
        guard let maximum = service(id)?.constraints.maximumInstances else { return }
        let names = claimed.values.filter { $0.service == id && $0.isManaged }.map(\.id).sorted()
        if names.count > maximum { finds("claimed-cap", "\(names) where \(maximum) are allowed") }
    }

    // MARK: What it has done

    mutating func starts(
        _ key: ProcessKey, of service: ServiceID, processes: SimulatedProcesses, store: SimulatedStore, at now: Int64
    ) {
        let stored = store.instances[key.id]
        if stored?.incarnation != key.incarnation || stored?.phase != .starting {
            finds("intent", "\(key.id)/\(key.incarnation) is started, and the log knows nothing of it")
        }
        finds(pace.started(service, self.service(service), at: now))
    }

    mutating func stops(_ key: ProcessKey, store: SimulatedStore) {
        guard let stored = store.instances[key.id], stored.incarnation == key.incarnation else { return }
        if stored.phase != .stopping && stored.phase != .failed {
            finds("intent", "\(key.id)/\(key.incarnation) is stopped; the log has it as \(stored.phase)")
        }
    }

    /// A process was launched: never beyond the cap, whatever else is going on.
    mutating func lives(_ processes: SimulatedProcesses, _ key: ProcessKey) {
        guard let id = processes[key]?.service, let maximum = service(id)?.constraints.maximumInstances else { return }
        let count = processes.count(of: id)
        if count > maximum { finds("hard-cap", "\(key.id) makes \(count) processes where \(maximum) are allowed") }
    }

    mutating func publishes(_ snapshot: DataPlaneSnapshot) { check(snapshot) }

    private mutating func check(_ snapshot: DataPlaneSnapshot) {
        for service in snapshot.services {
            for backend in service.backends where backend.endpoint.address == "127.0.0.1" {
                if reportedDead.contains(backend.endpoint.port) {
                    finds("dead-backend", "\(backend.instance) is in the balance though its end was reported")
                }
            }
        }
    }

    mutating func routes(to backend: Backend) {
        guard backend.endpoint.address == "127.0.0.1", reportedDead.contains(backend.endpoint.port) else { return }
        finds("dead-backend", "\(backend.instance) is given a request though its end was reported")
    }

    // MARK: What really happens

    mutating func began(_ key: ProcessKey, of service: ServiceID, port: UInt16, at now: Int64, wall: Timestamp) {
        ports[key] = port
        books.began(key, at: now, wall: wall)
    }

    mutating func died(_ key: ProcessKey, wasRunning: Bool, at now: Int64, wall: Timestamp) {
        if wasRunning { books.ended(key, at: now, wall: wall) }
    }

    mutating func crashes(_ instance: InstanceID) { pace.crashed(at: now) }

    mutating func gatewayIs(silent: Bool) { pace.gatewayIsSilent = silent }

    mutating func closeBooks(_ processes: SimulatedProcesses, at now: Int64, wall: Timestamp) {
        self.now = now
        finds(books.close(processes, at: now))
    }
}

/// A broken rule, before it has a place.
struct Finding {
    var rule: String
    var what: String
}

extension ServiceInstance {
    /// Fixed endpoints are named by their place in the list.
    var isManaged: Bool { !id.rawValue.contains("-ep") }
}

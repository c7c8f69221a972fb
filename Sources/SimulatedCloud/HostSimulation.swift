import CloudController
public import CloudModel
import VirtualInfrastructure

/// Runs one cloud of virtual servers under virtual time and faults of hosts, both drawn from the seed, and audits what
/// really runs. The controller is the one that the platform has.
/// - Parameters:
///   - minutes: of virtual time with faults; then they stop and the cloud must come to rest.
///   - plant: a defect to put in, which the auditor must find.
///   - warmPools: whether services without standbys have warm pools.
///   - narrate: is told of every event and effect, line by line.
public func simulateHosts(
    seed: UInt64, minutes: Int = 30, plant: PlantedHostDefect? = nil, warmPools: Bool = false,
    narrate: ((String) -> Void)? = nil
) -> HostSimulationReport {
    let simulation = HostSimulation(seed: seed, minutes: minutes, plant: plant, warmPools: warmPools)
    simulation.narrate = narrate
    simulation.run()
    return simulation.report
}

/// A defect that is put in on purpose, to show that the auditor finds its kind.
public enum PlantedHostDefect: String, Sendable, CaseIterable {
    /// The fencing program says that the host is off, and it is not.
    case fenceLies = "fence-lies"
    /// The host's agent does not stop anything when its lease has run out.
    case leaseIsNotKept = "lease-is-not-kept"
    /// A host that returns says that it has taken everything away, and has not.
    case cleaningLies = "cleaning-lies"
    /// The runtime acts before it has committed what it writes.
    case actsBeforeIntent = "acts-before-intent"
    /// Stops are not written into the books.
    case losesStopRecords = "loses-stop-records"
    /// The platform is told twice the memory and processors that the hosts have.
    case overstatesCapacity = "overstates-capacity"
    /// Both sides of a migration under way look as if it was over.
    case hidesMigrations = "hides-migrations"
}

/// What came of one simulated cloud of virtual servers.
public struct HostSimulationReport: Hashable, Sendable, CustomStringConvertible {
    public var seed: UInt64
    public var steps = 0
    public var starts = 0
    /// Virtual servers that were put to sleep, and waken, as standbys.
    public var parkings = 0
    public var wakings = 0
    public var crashes = 0
    public var partitions = 0
    public var daemonLosses = 0
    public var migrations = 0
    public var failedMigrations = 0
    public var fences = 0
    public var failedFences = 0
    public var leasesEnded = 0
    public var restartsOfControlPlane = 0
    /// From the end of the faults until everything was as desired.
    public var convergence = TimeSpan.zero
    public var digest = FNV1a()
    /// The first one ends the simulation.
    public var violation: Violation?

    public init(seed: UInt64) { self.seed = seed }

    public var description: String {
        let outcome = violation.map { "VIOLATION \($0); run again with seed \(seed)" } ?? "no violation"
        return "seed \(seed): \(outcome); \(steps) steps, \(starts) starts, \(crashes) crashes, \(partitions) "
            + "partitions, \(daemonLosses) daemons lost, \(migrations) migrations (\(failedMigrations) failed), "
            + "\(fences) fences (\(failedFences) failed), \(leasesEnded) leases ended, "
            + "\(restartsOfControlPlane) restarts of the control plane"
    }
}

/// What happens, in virtual time.
enum HostEvent {
    case wake(timer: UInt64)
    case deliver(ControllerEvent, life: Int)
    case controlPlaneReturns
    // The hosts
    case connect(PhysicalServerID, life: Int)
    case noticeLoss(PhysicalServerID, connection: Int, reason: String)
    case execute(PhysicalServerID, HypervisorCommand, life: Int, connection: Int)
    case migrationEnds(number: Int)
    case arrivalGivenUp(PhysicalServerID, VirtualServerID)
    case answerCheck(InstanceID, incarnation: Int, Endpoint, timeoutMicroseconds: Int64, life: Int)
    case fenceEnds(PhysicalServerID, works: Bool, life: Int)
    case leases
    // The world
    case sample
    case fault
    case hostReturns(PhysicalServerID)
    case networkReturns(PhysicalServerID)
    case daemonReturns(PhysicalServerID)
    case operatorLooks
    case operatorCommands
    case faultsEnd
    case checkRest
}

final class HostSimulation {
    let plant: PlantedHostDefect?
    var narrate: ((String) -> Void)?
    var report: HostSimulationReport
    var random: SeededGenerator
    var plan: HostSimulationPlan
    var heap = EventHeap<HostEvent>()
    /// Microseconds since the beginning.
    var now: Int64 = 0
    var faultsAreOver = false
    private let faultsEndAt: Int64
    private var overSince: Int64 = 0

    // The control plane
    var controller = CloudController()
    var controllerRandom: SeededGenerator
    var store = SimulatedStore()
    var life = 0
    var isDown = false
    var endsAtNextStep = false
    private var timer: UInt64 = 0
    private var armedFor: Timestamp?
    /// Commands to each virtual server: the first is under way.
    var queues: [VirtualServerID: [Waiting]] = [:]

    var hosts: [PhysicalServerID: SimulatedHost] = [:]
    var migrations: [Int: SimulatedMigration] = [:]
    var lastMigration = 0
    var auditor = HostAuditor()
    var load: [ServiceID: Int] = [:]

    static let epoch = Timestamp(microseconds: 1_800_000_000_000_000)
    /// From the end of the faults to rest.
    private static let restWithin: Int64 = 900_000_000

    init(seed: UInt64, minutes: Int, plant: PlantedHostDefect?, warmPools: Bool) {
        var random = SeededGenerator(seed: seed)
        plan = HostSimulationPlan(&random)
        if warmPools {
            var pools = SeededGenerator(seed: seed &+ 2)
            plan.addWarmPools(&pools)
        }
        self.random = random
        self.plant = plant
        controllerRandom = SeededGenerator(seed: seed &+ 1)
        faultsEndAt = Int64(minutes) * 60_000_000
        report = HostSimulationReport(seed: seed)
    }

    var wall: Timestamp { Self.epoch + TimeSpan(microseconds: now) }

    func run() {
        for server in plan.configuration.physicalServers { hosts[server.id] = SimulatedHost(server) }
        var told = plan.configuration
        if plant == .overstatesCapacity {
            for index in told.physicalServers.indices {
                let capacity = told.physicalServers[index].capacity
                told.physicalServers[index].capacity = capacity + capacity
            }
        }
        plan(.faultsEnd, after: faultsEndAt)
        plan(.fault, after: between(20_000_000, 60_000_000))
        plan(.operatorCommands, after: between(30_000_000, 60_000_000))
        plan(.operatorLooks, after: 10_000_000)
        plan(.leases, after: 500_000)
        plan(.sample, after: 1_000_000)
        begin()
        deliverNow(.command(.configure(told), actor: "operator"))
        while auditor.violation == nil, let next = heap.pop() {
            now = max(now, next.at)
            handle(next.event)
            auditor.look(at: self)
        }
        report.violation = auditor.violation
    }

    func plan(_ event: HostEvent, after delay: Int64) { heap.add(event, at: now + max(0, delay)) }

    func happens(_ perMille: Int) -> Bool {
        guard perMille > 0, !faultsAreOver else { return false }
        return Int.random(in: 0..<1_000, using: &random) < perMille
    }

    func between(_ low: Int64, _ high: Int64) -> Int64 { Int64.random(in: low...high, using: &random) }

    private func handle(_ event: HostEvent) {
        switch event {
        case .wake(let timer): wake(timer)
        case .deliver(let event, let life): if life == self.life { deliverNow(event) }
        case .controlPlaneReturns: begin()
        case .connect(let host, let life): connect(host, life: life)
        case .noticeLoss(let host, let connection, let reason): lose(host, connection: connection, reason)
        case .execute(let host, let command, let life, let connection):
            execute(host, command, life: life, connection: connection)
        case .migrationEnds(let number): migrationEnds(number)
        case .arrivalGivenUp(let host, let name): arrivalGivenUp(host, name)
        case .answerCheck(let id, let incarnation, let endpoint, let timeout, let life):
            answerCheck(id, incarnation, endpoint, timeout: timeout, life: life)
        case .fenceEnds(let host, let works, let life): fenceEnds(host, works: works, life: life)
        case .leases: checkLeases()
        case .sample: sample()
        case .fault: fault()
        case .hostReturns(let host): hostReturns(host)
        case .networkReturns(let host): networkReturns(host)
        case .daemonReturns(let host): hosts[host]?.hasDaemon = true
        case .operatorLooks: operatorLooks()
        case .operatorCommands: operatorCommands()
        case .faultsEnd: endFaults()
        case .checkRest: checkRest()
        }
    }

    // MARK: The end

    private func endFaults() {
        faultsAreOver = true
        overSince = now
        for host in hosts.keys.sorted() {
            networkReturns(host)
            hosts[host]?.hasDaemon = true
            plan(.hostReturns(host), after: between(1_000_000, 10_000_000))
        }
        load = [:]
        plan(.checkRest, after: 20_000_000)
    }

    private func checkRest() {
        for host in controller.configuration.physicalServers where host.closed && !isDown {
            deliverNow(.command(.activateHost(host.id), actor: "operator"))
        }
        guard let missing = auditor.unrest(of: self) else {
            report.convergence = TimeSpan(microseconds: now - overSince)
            return auditor.closeBooks(of: self, heap: &heap)
        }
        guard now - overSince < Self.restWithin else { return auditor.finds("rest", missing) }
        plan(.checkRest, after: 5_000_000)
    }

    // MARK: The control plane

    /// Recovers as the runtime does.
    private func begin() {
        isDown = false
        controller = CloudController()
        deliverNow(.recovered(store.recoveredState))
        guard !isDown else { return }
        deliverNow(.adoptionCompleted)
    }

    func goDown() {
        guard !isDown else { return }
        isDown = true
        life += 1
        timer += 1
        armedFor = nil
        queues = [:]
        report.restartsOfControlPlane += 1
        for host in hosts.keys { hosts[host]?.isConnected = false }
        plan(.controlPlaneReturns, after: between(100_000, 20_000_000))
    }

    func deliverNow(_ event: ControllerEvent) {
        guard !isDown else { return }
        report.steps += 1
        auditor.begins(step: report.steps, at: now)
        let effects = controller.step(event, at: wall, random: &controllerRandom)
        if narrate != nil { tell(of: event, effects) }
        if !effects.isEmpty { carryOut(effects) }
        auditor.stepped(self)
        guard !isDown, let next = controller.nextDeadline, next != armedFor else { return }
        armedFor = next
        timer += 1
        plan(.wake(timer: timer), after: (next - wall).microseconds + between(0, 500))
    }

    private func wake(_ timer: UInt64) {
        guard timer == self.timer else { return }
        armedFor = nil
        deliverNow(.deadline)
    }

    /// Commits and acts. A control plane that ends here ends before the commit, or after any number of actions.
    private func carryOut(_ effects: [Effect]) {
        let actions = effects.filter { !$0.isWrite }
        var done = actions.count
        if endsAtNextStep { done = Int(between(-1, Int64(actions.count))) }
        if plant == .actsBeforeIntent {
            for action in actions.prefix(max(0, done)) { act(action) }
        }
        if done >= 0, plant != .actsBeforeIntent || !endsAtNextStep { commit(effects) }
        if plant != .actsBeforeIntent {
            for action in actions.prefix(max(0, done)) { act(action) }
        }
        if endsAtNextStep {
            endsAtNextStep = false
            goDown()
        }
    }

    private func commit(_ effects: [Effect]) {
        store.commit(effects)
        for effect in effects {
            guard case .lifecycle(let event) = effect else { continue }
            report.digest.add(part: "\(event.instance)/\(event.incarnation) \(event.kind)")
            if plant == .losesStopRecords, event.kind == .stop, event.at.microseconds % 3 == 0 { continue }
            auditor.booked(event)
        }
    }

    private func tell(of event: ControllerEvent, _ effects: [Effect]) {
        let place = "\(report.steps) \(TimeSpan(microseconds: now).inSeconds)"
        switch event {
        case .deadline where effects.isEmpty, .dataPlane: break
        case .recovered: narrate?("\(place) <- recovered")
        case .command(.configure, _): narrate?("\(place) <- configure")
        default: narrate?("\(place) <- \(event)")
        }
        for effect in effects {
            switch effect {
            case .record(let event): narrate?("    \(event.kind): \(event.summary)")
            case .hypervisor(_, .list), .hypervisor(_, .measure), .publish, .probe: break
            case .hypervisor(let host, let command): narrate?("    -> \(host): \(command)")
            case .fence(let host, _): narrate?("    -> fence \(host)")
            case .lifecycle(let event): narrate?("    = \(event.kind) \(event.instance)/\(event.incarnation)")
            default: break
            }
        }
    }
}

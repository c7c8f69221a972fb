import CloudController
import CloudModel

/// Runs one cloud under virtual time and faults, both drawn from the seed, and audits it. One thread, nothing real: the
/// same seed gives the same run on every machine.
/// - Parameters:
///   - hours: virtual hours with faults; then the faults stop and the cloud must come to rest within bounded time.
///   - plant: a defect to put in, which the auditor must find.
///   - narrate: is told of every event and effect, line by line; to look into a violation, run its seed again with it.
public func simulate(
    seed: UInt64, hours: Int = 1, plant: PlantedDefect? = nil, narrate: ((String) -> Void)? = nil
) -> SimulationReport {
    let simulation = Simulation(seed: seed, hours: hours, plant: plant)
    simulation.narrate = narrate
    simulation.run()
    return simulation.report
}

/// What happens in the simulated cloud, in virtual time.
enum SimulatedEvent {
    /// The runtime's timer. Only the newest counts.
    case wake(timer: UInt64)
    /// Something for the controller of this life of the control plane.
    case deliver(ControllerEvent, life: Int)
    case controlPlaneReturns
    // The machine
    case doStart(ProcessKey, CloudService, life: Int)
    case started(ProcessKey, life: Int)
    case startFails(ProcessKey, life: Int)
    case ready(ProcessKey)
    case doStop(ProcessKey, graceMicroseconds: Int64)
    case ends(ProcessKey, signal: Int32)
    case answerCheck(ProcessKey, Endpoint, timeoutMicroseconds: Int64, life: Int)
    case heartbeat
    // The gateway
    case sample(ServiceID)
    case arrival(ServiceID)
    case finish(request: Int)
    case queueTimeout(request: Int)
    // The world
    case fault(Fault)
    case repaired(InstanceID)
    case networkReturns
    case gatewaySpeaks
    case faultsEnd
    case checkRest
}

enum Fault {
    case crash, hang, clockJump, restart, command, network, silence
}

final class Simulation {
    let plan: SimulationPlan
    let plant: PlantedDefect?
    var narrate: ((String) -> Void)?
    var report: SimulationReport
    /// Of the faults and the load; the controller has its own.
    var random: SeededGenerator
    var heap = EventHeap<SimulatedEvent>()
    /// Microseconds since the beginning, as they really pass.
    var now: Int64 = 0
    /// What the wall clock is wrong by.
    var clockError: Int64 = 0
    let faultsEndAt: Int64
    var faultsAreOver = false

    // The control plane
    var controller: CloudController
    var controllerRandom: SeededGenerator
    var store = SimulatedStore()
    var life = 0
    var isDown = false
    var timer: UInt64 = 0
    var armedFor: Timestamp?
    /// It ends at the next step that has effects.
    var endsAtNextStep = false
    var lastHeartbeats: [InstanceID: Timestamp] = [:]

    // The machine
    var processes = SimulatedProcesses()
    var networkIsDown = false
    var gatewayIsSilent = false
    /// Addresses of fixed endpoints that do not answer.
    var deadAddresses: Set<String> = []

    var gateway = SimulatedGateway()
    var auditor = Auditor()

    static let epoch = Timestamp(microseconds: 1_800_000_000_000_000)
    /// Between heartbeats of the resource agent, and how long one counts.
    static let heartbeatInterval: Int64 = 20_000_000
    static let lease = TimeSpan.seconds(60)

    init(seed: UInt64, hours: Int, plant: PlantedDefect?) {
        var random = SeededGenerator(seed: seed)
        plan = SimulationPlan(random: &random)
        self.random = random
        self.plant = plant
        controllerRandom = SeededGenerator(seed: seed &+ 1)
        controller = CloudController()
        faultsEndAt = Int64(hours) * 3_600_000_000
        report = SimulationReport(seed: seed, simulated: .hours(Int64(hours)))
        controller = newController()
    }

    var wall: Timestamp { Self.epoch + TimeSpan(microseconds: now + clockError) }

    func run() {
        begin()
        while auditor.violation == nil, let next = heap.pop() {
            now = max(now, next.at)
            handle(next.event)
        }
        report.violation = auditor.violation
    }

    func plan(_ event: SimulatedEvent, after delay: Int64) { heap.add(event, at: now + max(0, delay)) }

    /// With a chance of `perMille` in a thousand, while there are faults.
    func happens(_ perMille: Int) -> Bool {
        guard perMille > 0, !faultsAreOver else { return false }
        return Int.random(in: 0..<1_000, using: &random) < perMille
    }

    func between(_ low: Int64, _ high: Int64) -> Int64 { Int64.random(in: low...high, using: &random) }

    private func begin() {
        plan(.heartbeat, after: Self.heartbeatInterval)
        plan(.faultsEnd, after: faultsEndAt)
        for (fault, mean) in [
            (Fault.crash, plan.crashes), (.hang, plan.hangs), (.clockJump, plan.clockJumps),
            (.restart, plan.restarts), (.command, plan.commands), (.network, plan.networkFailures),
            (.silence, plan.gatewaySilences),
        ] where mean > 0 {
            plan(.fault(fault), after: between(1, 2 * mean * 1_000_000))
        }
        for service in plan.configuration.services where service.instances.isProcess {
            plan(.sample(service.id), after: between(0, plan.sampleInterval))
            plan(.arrival(service.id), after: between(0, 10_000_000))
        }
        restartController()
        deliverNow(.command(.configure(plan.configuration), actor: "operator"))
    }

    private func handle(_ event: SimulatedEvent) {
        switch event {
        case .wake(let timer): wake(timer)
        case .deliver(let event, let life): if life == self.life { deliverNow(event) }
        case .controlPlaneReturns: restartController()
        case .doStart(let key, let service, let life): doStart(key, of: service, life: life)
        case .started(let key, let life): didStart(key, life: life)
        case .startFails(let key, let life): startFails(key, life: life)
        case .ready(let key): processes.change(key) { $0.isReady = true }
        case .doStop(let key, let grace): doStop(key, grace: grace)
        case .ends(let key, let signal): ends(key, signal: signal)
        case .answerCheck(let key, let endpoint, let timeout, let life):
            answerCheck(key, endpoint, timeout: timeout, life: life)
        case .heartbeat: heartbeat()
        case .sample(let service): sample(service)
        case .arrival(let service): arrival(service)
        case .finish(let request): finish(request)
        case .queueTimeout(let request): giveUp(request)
        case .fault(let fault): happen(fault)
        case .repaired(let endpoint): deadAddresses.remove(endpoint.rawValue)
        case .networkReturns: networkIsDown = false
        case .gatewaySpeaks:
            gatewayIsSilent = false
            auditor.gatewayIs(silent: false)
        case .faultsEnd: endFaults()
        case .checkRest: checkRest()
        }
    }
}

extension InstanceSource {
    var isProcess: Bool {
        if case .process = self { true } else { false }
    }
}

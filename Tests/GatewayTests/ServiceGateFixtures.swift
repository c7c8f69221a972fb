import CloudModel
import Gateway
import LoadBalancing
import ScalingListener
import Synchronization

enum GateFixture {
    static let start = Timestamp(microseconds: 1_800_000_000_000_000)

    /// Instances `shop-0`, `shop-1`, … that have been up for long.
    static func snapshot(
        instances: Int, _ constraints: WorkloadConstraints,
        algorithm: LoadBalancingSettings.Algorithm = .leastRequest, settings: RequestSettings = .init()
    ) -> ServiceSnapshot {
        snapshot(backends: (0..<instances).map(backend), constraints, algorithm: algorithm, settings: settings)
    }

    static func snapshot(
        backends: [Backend], _ constraints: WorkloadConstraints,
        algorithm: LoadBalancingSettings.Algorithm = .leastRequest, settings: RequestSettings = .init()
    ) -> ServiceSnapshot {
        let service = CloudService(
            id: "shop", routes: [Route()], instances: .endpoints(backends.map(\.endpoint)), constraints: constraints,
            loadBalancing: LoadBalancingSettings(algorithm: algorithm, slowStart: .zero), gateway: settings)
        return ServiceSnapshot(service: service, backends: backends)
    }

    static func backend(_ number: Int) -> Backend {
        Backend(
            instance: InstanceID("shop-\(number)"),
            endpoint: Endpoint(address: "127.0.0.1", port: UInt16(9_000 + number)), upSince: .epoch)
    }

    static func ticket(_ number: Int, loop: UInt16 = 0) -> AdmissionTicket {
        AdmissionTicket(loop: loop, slot: UInt32(number), generation: 0)
    }
}

/// What a gate delivered, in order.
final class GrantLog: Sendable {
    private let ends = Mutex<[WaitEnd]>([])

    func append(_ end: WaitEnd) { ends.withLock { $0.append(end) } }

    /// The grants since the last call.
    func take() -> [Grant] {
        ends.withLock { ends in
            defer { ends.removeAll { if case .granted = $0 { true } else { false } } }
            return ends.compactMap { if case .granted(let grant) = $0 { grant } else { nil } }
        }
    }

    /// The requests that gave way since the last call: their tickets' slots, and why.
    func takeDisplaced() -> [(slot: UInt32, refusal: AdmissionRefusal)] {
        ends.withLock { ends in
            defer { ends.removeAll { if case .displaced = $0 { true } else { false } } }
            return ends.compactMap {
                if case .displaced(let ticket, let rejection) = $0 { (ticket.slot, rejection.refusal) } else { nil }
            }
        }
    }
}

/// A gate with the mailbox of its only loop, and short names for what tests ask of it.
struct GateHarness {
    let gate: ServiceGate
    let log = GrantLog()
    var now = GateFixture.start
    private var tickets = 0

    init(_ snapshot: ServiceSnapshot, seed: UInt64 = 1) {
        gate = ServiceGate(snapshot, seed: seed, now: GateFixture.start) { [log] in log.append($0) }
    }

    init(instances: Int, _ constraints: WorkloadConstraints) {
        self.init(GateFixture.snapshot(instances: instances, constraints))
    }

    mutating func admit(_ consumer: UInt32, wait: TimeSpan = .zero) -> GateDecision {
        tickets += 1
        return gate.admit(
            consumer: ConsumerKey(consumer), hash: UInt64(consumer), ticket: GateFixture.ticket(tickets), now: now,
            wait: wait)
    }

    @discardableResult
    func release(_ backend: BackendSlot, _ consumer: UInt32, retried: Bool = false) -> Bool {
        gate.release(backend, consumer: ConsumerKey(consumer), outcome: .completed, retried: retried, now: now)
    }

    @discardableResult
    func apply(_ snapshot: ServiceSnapshot) -> BackendChanges { gate.apply(snapshot, now: now) }

    mutating func advance(_ span: TimeSpan) {
        now = now + span
        gate.tick(now: now)
    }

    var load: LoadSample { gate.sample(now: now).load }
}

extension GateDecision {
    var backend: BackendSlot? {
        if case .forward(let backend) = self { backend } else { nil }
    }

    var queued: WaitHandle? {
        if case .queued(let handle, _) = self { handle } else { nil }
    }

    var waiting: WaitHandle? {
        if case .waiting(let handle, _, _) = self { handle } else { nil }
    }

    var refusal: AdmissionRefusal? {
        switch self {
        case .rejected(let rejection), .waiting(_, _, let rejection): rejection.refusal
        case .forward, .queued: nil
        }
    }
}

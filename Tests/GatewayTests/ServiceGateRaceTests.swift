import CloudModel
import Gateway
import Glibc
import LoadBalancing
import ScalingListener
import Synchronization
import Testing

/// Threads that begin together.
private enum Race {
    final class Start: @unchecked Sendable {
        private let barrier = UnsafeMutablePointer<pthread_barrier_t>.allocate(capacity: 1)

        init(_ count: Int) { pthread_barrier_init(barrier, nil, UInt32(count)) }

        deinit {
            pthread_barrier_destroy(barrier)
            barrier.deallocate()
        }

        func wait() { pthread_barrier_wait(barrier) }
    }

    private final class Body {
        let run: @Sendable () -> Void
        init(_ run: @escaping @Sendable () -> Void) { self.run = run }
    }

    /// Runs `body` on so many threads of the system at once and returns when all have ended.
    static func run(_ threads: Int, _ body: @escaping @Sendable (Int) -> Void) {
        var ids: [pthread_t] = []
        for number in 0..<threads {
            var id = pthread_t()
            let argument = Unmanaged.passRetained(Body { body(number) }).toOpaque()
            let failure = pthread_create(
                &id, nil,
                { argument in
                    argument.map { Unmanaged<Body>.fromOpaque($0).takeRetainedValue().run() }
                    return nil
                }, argument)
            precondition(failure == 0, "no thread: error \(failure)")
            ids.append(id)
        }
        for id in ids { pthread_join(id, nil) }
    }
}

/// One loop's mailbox.
private final class Mailboxes: Sendable {
    private let boxes: Mutex<[[WaitEnd]]>

    init(_ count: Int) { boxes = Mutex([[WaitEnd]](repeating: [], count: count)) }

    func post(_ end: WaitEnd) { boxes.withLock { $0[Int(end.ticket.loop)].append(end) } }

    func take(_ loop: Int) -> [WaitEnd] {
        boxes.withLock { boxes in
            let taken = boxes[loop]
            boxes[loop] = []
            return taken
        }
    }
}

@Suite(.serialized) struct ServiceGateRaceTests {
    /// 50 consumers arrive at once, from eight threads, at a service for three: always exactly three get in.
    @Test func exactlyThreeOfFiftyAreAdmitted() {
        let limits = WorkloadConstraints(maximumInstances: 3, activeConsumersPerInstance: 1)
        let gate = ServiceGate(
            GateFixture.snapshot(instances: 3, limits), seed: 1, now: GateFixture.start, deliver: { _ in })
        for round in 0..<200 {
            let admitted = Mutex<[(UInt32, BackendSlot)]>([])
            let rejected = Atomic<Int>(0)
            let start = Race.Start(8)
            Race.run(8) { thread in
                start.wait()
                for number in stride(from: thread, to: 50, by: 8) {
                    let consumer = UInt32(round * 50 + number)
                    let decision = gate.admit(
                        consumer: ConsumerKey(consumer), hash: UInt64(consumer),
                        ticket: GateFixture.ticket(number, loop: UInt16(thread)), now: GateFixture.start)
                    switch decision {
                    case .forward(let backend): admitted.withLock { $0.append((consumer, backend)) }
                    case .rejected(let rejection):
                        if rejection.refusal.constraint == .maximumInstances, rejection.refusal.current == 3 {
                            rejected.add(1, ordering: .relaxed)
                        }
                    case .queued, .waiting: break
                    }
                }
            }
            let served = admitted.withLock { $0 }
            #expect(served.count == 3, "round \(round)")
            #expect(Set(served.map(\.1)).count == 3, "each at its own instance")
            #expect(rejected.load(ordering: .relaxed) == 47)
            for (consumer, backend) in served {
                gate.release(
                    backend, consumer: ConsumerKey(consumer), outcome: .completed, now: GateFixture.start)
            }
        }
    }

    /// Four loops admit, release, cancel and expire against each other while snapshots come: every request has exactly
    /// one end, no grant is lost or doubled, and never are there more at an instance than it takes.
    @Test(arguments: [WorkloadConstraints.racedPlaces, .racedSeats])
    func everyRequestEndsOnce(limits: WorkloadConstraints) {
        let loops = 4
        let mailboxes = Mailboxes(loops)
        let gate = ServiceGate(
            GateFixture.snapshot(instances: 2, limits), seed: 1, now: GateFixture.start,
            deliver: { mailboxes.post($0) })
        let occupancy = InstanceOccupancy(limit: limits.concurrentRequestsPerInstance ?? .max)
        let open = Atomic<Int>(loops)
        let totals = Mutex(RacingLoop.Totals())
        Race.run(loops + 1) { thread in
            if thread == loops {
                var count = 2
                while open.load(ordering: .acquiring) > 0 {
                    count = count == 2 ? 3 : 2
                    // The third comes and goes; those that wait are placed anew each time.
                    _ = gate.apply(GateFixture.snapshot(instances: count, limits), now: GateFixture.start)
                    sched_yield()
                }
                return
            }
            var loop = RacingLoop(gate: gate, mailboxes: mailboxes, number: thread, occupancy: occupancy)
            loop.run(requests: 20_000)
            totals.withLock { $0.add(loop.totals) }
            open.subtract(1, ordering: .releasing)
        }
        let sum = totals.withLock { $0 }
        #expect(sum.began == loops * 20_000)
        #expect(sum.began == sum.served + sum.rejected + sum.left + sum.displaced)
        #expect(sum.strays == 0, "grants that nobody waited for, or twice")
        #expect(sum.granted > 0 && sum.left > 0 && sum.grantedAsItLeft >= 0)
        #expect(occupancy.excess == 0)
        let load = gate.sample(now: GateFixture.start).load
        #expect(load.requestsInFlight == 0 && load.requestsQueued == 0 && load.activeConsumers == 0)
        #expect(load.consumersWaiting == 0)
        #expect(load.admitted == UInt64(sum.served) + UInt64(sum.admittedAndLeft(load)))
        for loop in 0..<loops { #expect(mailboxes.take(loop).isEmpty) }
    }
}

extension WorkloadConstraints {
    fileprivate static let racedPlaces = WorkloadConstraints(
        maximumInstances: 3, concurrentRequestsPerInstance: 2, concurrentRequestsPerConsumer: 4, queueLength: 3)
    fileprivate static let racedSeats = WorkloadConstraints(
        maximumInstances: 3, concurrentRequestsPerInstance: 3, activeConsumersPerInstance: 1, queueLength: 4)
}

/// Counts requests at each instance as the loops see them: taken after the gate said so, given back before it is told.
private final class InstanceOccupancy: Sendable {
    private struct Counts {
        var atBackend: [BackendSlot: Int] = [:]
        var excess = 0
    }

    private let limit: Int
    private let counts = Mutex(Counts())

    init(limit: Int) { self.limit = limit }

    var excess: Int { counts.withLock { $0.excess } }

    func enter(_ backend: BackendSlot) {
        counts.withLock { counts in
            counts.atBackend[backend, default: 0] += 1
            if counts.atBackend[backend, default: 0] > limit { counts.excess += 1 }
        }
    }

    func leave(_ backend: BackendSlot) { counts.withLock { $0.atBackend[backend, default: 0] -= 1 } }
}

/// One loop with a few requests under way, each of which is served, rejected, or leaves while it waits.
private struct RacingLoop {
    struct Totals {
        var began = 0, served = 0, rejected = 0, left = 0, granted = 0, grantedAsItLeft = 0, strays = 0,
            displaced = 0

        mutating func add(_ other: Totals) {
            began += other.began
            served += other.served
            rejected += other.rejected
            left += other.left
            granted += other.granted
            grantedAsItLeft += other.grantedAsItLeft
            strays += other.strays
            displaced += other.displaced
        }

        /// Of those that left while they waited, the gate had admitted so many.
        func admittedAndLeft(_ load: LoadSample) -> Int { max(0, Int(load.admitted) - served) }
    }

    let gate: ServiceGate
    let mailboxes: Mailboxes
    let number: Int
    let occupancy: InstanceOccupancy
    var totals = Totals()
    private var random: SeededGenerator
    private var serving: [(backend: BackendSlot, consumer: ConsumerKey)] = []
    private var waiting: [UInt32: WaitHandle] = [:]
    /// They left, but a grant is under way to them.
    private var owed: Set<UInt32> = []

    init(gate: ServiceGate, mailboxes: Mailboxes, number: Int, occupancy: InstanceOccupancy) {
        self.gate = gate
        self.mailboxes = mailboxes
        self.number = number
        self.occupancy = occupancy
        random = SeededGenerator(seed: UInt64(number))
    }

    mutating func run(requests: Int) {
        for id in UInt32(0)..<UInt32(requests) {
            begin(id)
            collect()
            if Int.random(in: 0..<3, using: &random) > 0 { finishOne() }
            if Int.random(in: 0..<4, using: &random) == 0 { leaveOne() }
        }
        while !serving.isEmpty || !waiting.isEmpty || !owed.isEmpty {
            finishOne()
            leaveOne()
            collect()
        }
    }

    private mutating func begin(_ id: UInt32) {
        totals.began += 1
        let consumer = ConsumerKey(UInt32.random(in: 0..<6, using: &random))
        let wait: TimeSpan = Bool.random(using: &random) ? .seconds(1) : .zero
        let ticket = AdmissionTicket(loop: UInt16(number), slot: id, generation: 0)
        switch gate.admit(consumer: consumer, hash: 0, ticket: ticket, now: GateFixture.start, wait: wait) {
        case .forward(let backend): serve(backend, consumer)
        case .queued(let handle, _), .waiting(let handle, _, _): waiting[id] = handle
        case .rejected: totals.rejected += 1
        }
    }

    private mutating func serve(_ backend: BackendSlot, _ consumer: ConsumerKey) {
        occupancy.enter(backend)
        serving.append((backend, consumer))
    }

    private mutating func collect() {
        for end in mailboxes.take(number) {
            guard case .granted(let grant) = end else {
                let id = end.ticket.slot
                let isExpected = waiting.removeValue(forKey: id) != nil || owed.remove(id) != nil
                if isExpected { totals.displaced += 1 } else { totals.strays += 1 }
                continue
            }
            totals.granted += 1
            let id = grant.ticket.slot
            if waiting.removeValue(forKey: id) != nil {
                serve(grant.backend, grant.consumer)
            } else if owed.remove(id) != nil {
                totals.grantedAsItLeft += 1
                serve(grant.backend, grant.consumer)
            } else {
                totals.strays += 1
            }
        }
    }

    private mutating func finishOne() {
        guard !serving.isEmpty else { return }
        let (backend, consumer) = serving.removeLast()
        occupancy.leave(backend)
        gate.release(backend, consumer: consumer, outcome: .completed, now: GateFixture.start)
        totals.served += 1
    }

    private mutating func leaveOne() {
        guard let (id, handle) = waiting.min(by: { $0.key < $1.key }) else { return }
        waiting[id] = nil
        if gate.cancel(handle, now: GateFixture.start) == .decided {
            owed.insert(id)
        } else {
            totals.left += 1
        }
    }
}

import CloudModel
import Gateway
import LoadBalancing
import ScalingListener
import Testing

/// A gate and its model under the same random history.
private struct GateHistory {
    var state: GateState
    var model: GateModel
    var random: SeededGenerator
    var algorithm: LoadBalancingSettings.Algorithm
    var instances: [Backend]
    var nextID: UInt32 = 0
    var nextInstance: Int
    /// What failed the requests that are retried; a request that was retried is released as such.
    var granted = 0
    var displaced = 0

    init(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let constraints = Self.constraints(&random)
        algorithm = LoadBalancingSettings.Algorithm.allCases.randomElement(using: &random) ?? .leastRequest
        let count = Int.random(in: 0...constraints.maximumInstances, using: &random)
        instances = (0..<count).map(GateFixture.backend)
        nextInstance = count
        let snapshot = GateFixture.snapshot(backends: instances, constraints, algorithm: algorithm)
        state = GateState(snapshot, seed: seed, now: GateFixture.start)
        model = GateModel(constraints: constraints)
        model.usable = state.usableBackends
        self.random = random
    }

    static func constraints(_ random: inout SeededGenerator) -> WorkloadConstraints {
        func maybe(_ range: ClosedRange<Int>) -> Int? {
            Bool.random(using: &random) ? Int.random(in: range, using: &random) : nil
        }
        return WorkloadConstraints(
            maximumInstances: Int.random(in: 1...4, using: &random), concurrentRequestsPerInstance: maybe(1...3),
            activeConsumersPerInstance: maybe(1...3),
            consumerHold: [TimeSpan.zero, .milliseconds(30)].randomElement(using: &random) ?? .zero,
            concurrentRequestsPerConsumer: maybe(1...4),
            queueLength: [0, 2, 5, 100].randomElement(using: &random) ?? 5)
    }

    // MARK: Steps

    mutating func step() {
        model.now = model.now + .microseconds(Int64.random(in: 0...9_000, using: &random))
        model.expire()
        _ = state.tick(now: model.now)
        collectGrants()
        switch Int.random(in: 0..<40, using: &random) {
        case 0..<18: admit()
        case 18..<30: release()
        case 30..<33: cancel()
        case 33..<36: retry()
        default: change()
        }
        collectGrants()
        check()
    }

    mutating func collectGrants() {
        while let end = state.takeWaitEnd() {
            guard case .granted(let grant) = end else {
                noteDisplaced(end.ticket.slot)
                continue
            }
            granted += 1
            let id = grant.ticket.slot
            let request = model.requests[id]
            #expect(request != nil && request?.handle != nil, "a grant for a request that does not wait: \(grant)")
            #expect(request?.retried == grant.retried && request.map { ConsumerKey($0.consumer) } == grant.consumer)
            promote(id)
            model.grant(id, grant.backend)
        }
        for id in model.requests.keys.sorted() {
            guard let handle = model.requests[id]?.handle, let waiter = state.waiter(handle) else { continue }
            if waiter.barrier == nil { promote(id) }
            if model.requests[id]?.state == .held, waiter.barrier != .consumerConcurrency {
                model.requests[id]?.state = .waiting
            }
        }
        model.usable = state.usableBackends
    }

    /// A request gave way: the newest of a consumer with the most in the queue.
    mutating func noteDisplaced(_ id: UInt32) {
        displaced += 1
        guard let consumer = model.requests[id]?.consumer else {
            Issue.record("\(id) gave way and was not there")
            return
        }
        let backlog = model.backlog(consumer)
        #expect(backlog.last == id, "not its consumer's newest")
        #expect(backlog.count == model.longestBacklog, "not the longest")
        model.end(id)
    }

    /// A request that waited at a limit was admitted: only where the limits leave room.
    mutating func promote(_ id: UInt32) {
        guard let request = model.requests[id], request.state == .waiting || request.state == .held else { return }
        #expect(!model.placesAreFull && (model.seats.contains(request.consumer) || !model.seatsAreFull))
        model.admit(id)
    }

    mutating func admit() {
        let consumer = UInt32.random(in: 0..<8, using: &random)
        let wait = Bool.random(using: &random) ? TimeSpan.seconds(9) : .zero
        let expected = model.verdict(consumer)
        nextID += 1
        let decision = state.admit(
            consumer: ConsumerKey(consumer), hash: UInt64(consumer) &* 0x9E37_79B9, now: model.now, id: nextID,
            wait: wait)
        switch decision {
        case .forward(let backend):
            #expect(expected == .forward)
            #expect(model.usable.contains(backend))
            model.enter(nextID, consumer, .inFlight(backend), nil)
            model.grant(nextID, backend)
        case .queued(let handle, _):
            #expect(expected == .queued)
            model.enter(nextID, consumer, .queued, handle)
        case .waiting(let handle, _, let rejection):
            let barrier = rejection.refusal.barrier
            #expect(expected == .refused(barrier) && wait > .zero && rejection.refusal.isWaitable)
            model.enter(nextID, consumer, barrier == .consumerConcurrency ? .held : .waiting, handle)
        case .rejected(let rejection):
            #expect(expected == .refused(rejection.refusal.barrier))
            #expect(wait == .zero || !rejection.refusal.isWaitable)
        }
    }

    private mutating func someone(_ isWanted: (GateModel.Request) -> Bool) -> (id: UInt32, request: GateModel.Request)?
    {
        let ids = model.requests.keys.sorted().filter { id in model.requests[id].map(isWanted) ?? false }
        guard let id = ids.randomElement(using: &random), let request = model.requests[id] else { return nil }
        return (id, request)
    }

    mutating func release() {
        guard let (id, request) = someone({ $0.handle == nil }), case .inFlight(let backend) = request.state else {
            return
        }
        model.end(id)
        let outcome = RequestOutcome.allCases.randomElement(using: &random) ?? .completed
        _ = state.release(
            backend, consumer: ConsumerKey(request.consumer), outcome: outcome, retried: request.retried,
            now: model.now)
    }

    mutating func cancel() {
        guard let (id, request) = someone({ $0.handle != nil }), let handle = request.handle else { return }
        model.end(id)
        if Bool.random(using: &random) {
            #expect(state.cancel(handle, now: model.now) == .cancelled)
        } else {
            switch state.expire(handle, now: model.now) {
            case .decided: Issue.record("decided, but nothing came")
            case .extended:
                guard case .expired = state.expire(handle, now: model.now) else {
                    Issue.record("extended twice")
                    return
                }
            case .expired: break
            }
        }
    }

    mutating func retry() {
        guard let (id, request) = someone({ $0.handle == nil }), case .inFlight(let failed) = request.state else {
            return
        }
        if Bool.random(using: &random) {
            let failure = BackendFailure.allCases.randomElement(using: &random) ?? .connectionReset
            state.reportFailure(failed, failure, now: model.now)
            collectGrants()
        }
        let decision = state.retry(
            from: failed, tried: TriedBackends(failed), consumer: ConsumerKey(request.consumer),
            hash: UInt64(request.consumer) &* 0x9E37_79B9,
            ticket: AdmissionTicket(loop: 0, slot: id, generation: 0), retried: request.retried, now: model.now)
        switch decision {
        case .forward(let backend):
            #expect(backend != failed && model.usable.contains(backend))
            model.grant(id, backend)
            model.requests[id]?.retried = true
        case .queued(let handle, _):
            #expect(model.constraints.queueLength > 0)
            model.requests[id]?.state = .queued
            model.requests[id]?.handle = handle
            model.requests[id]?.isExcused = true
            model.requests[id]?.retried = true
        case .refused: break
        }
    }

    mutating func change() {
        switch Int.random(in: 0..<5, using: &random) {
        case 0: model.constraints.maximumInstances = Int.random(in: 1...4, using: &random)
        case 1 where instances.count < model.constraints.maximumInstances:
            instances.append(GateFixture.backend(nextInstance))
            nextInstance += 1
        case 2:
            if let gone = instances.indices.randomElement(using: &random) { instances.remove(at: gone) }
        case 3:
            if let some = instances.indices.randomElement(using: &random) {
                instances[some].administrative = Bool.random(using: &random) ? .enabled : .draining
            }
        default:
            if Int.random(in: 0..<4, using: &random) == 0 {
                let other = Self.constraints(&random)
                if other.activeConsumersPerInstance == nil || !model.bindsSeats { model.binding = [:] }
                model.constraints = other
            }
        }
        model.expire()
        _ = state.apply(
            GateFixture.snapshot(backends: instances, model.constraints, algorithm: algorithm), now: model.now)
        // What waits for the retry budget goes on waiting; what was kept from a backend is placed anew.
        for id in model.requests.keys.sorted() {
            guard let handle = model.requests[id]?.handle, state.waiter(handle)?.retried == true else { continue }
            model.requests[id]?.isExcused = false
        }
    }

    func check() {
        var state = state
        #expect(model.fault() == nil)
        let load = state.sample(now: model.now).load
        #expect(load.requestsInFlight == model.admitted - model.queued)
        #expect(load.requestsQueued == model.queued)
        #expect(load.activeConsumers == model.seats.count)
        let waiting = model.requests.values.filter { $0.state == .waiting || $0.state == .held }
        #expect(load.consumersWaiting == Set(waiting.map(\.consumer)).count)
    }

    /// Ends everything; nothing may be left over.
    mutating func drain() {
        for _ in 0..<10_000 where !model.requests.isEmpty {
            collectGrants()
            if someone({ $0.handle == nil }) != nil { release() } else { cancel() }
        }
        collectGrants()
        model.now = model.now + .minutes(1)
        _ = state.tick(now: model.now)
        #expect(model.requests.isEmpty && state.isIdle)
        #expect(state.sample(now: model.now).load.activeConsumers == 0)
        #expect(state.tick(now: model.now) == .distantFuture)
    }
}

extension GateState {
    mutating func admit(consumer: ConsumerKey, hash: UInt64, now: Timestamp, id: UInt32, wait: TimeSpan)
        -> GateDecision
    {
        admit(
            consumer: consumer, hash: hash, ticket: AdmissionTicket(loop: 0, slot: id, generation: 0), now: now,
            wait: wait)
    }
}

@Suite struct ServiceGatePropertyTests {
    /// Decisions against the model, and after each step: nobody waits for what is free, and every count is right.
    @Test(arguments: UInt64(0)..<200)
    func agreesWithTheModel(seed: UInt64) {
        var history = GateHistory(seed: seed)
        for _ in 0..<250 { history.step() }
        history.drain()
    }

    /// Without seats and retries: each consumer's requests are granted in the order in which they came, and while
    /// several consumers wait, none gets a second place before all the others have had one.
    @Test(arguments: UInt64(0)..<50)
    func consumersTakeTurns(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let constraints = WorkloadConstraints(maximumInstances: 1, concurrentRequestsPerInstance: 100)
        let full = GateFixture.snapshot(instances: 1, constraints)
        var state = GateState(full, seed: seed, now: GateFixture.start)
        var consumers: [UInt32: UInt32] = [:]
        var held: [(BackendSlot, UInt32)] = []
        // A hundred fill the only instance; then the limit is lifted, so that all that come wait for a place there.
        func admit(_ id: UInt32, _ consumer: UInt32) {
            consumers[id] = consumer
            let decision = state.admit(
                consumer: ConsumerKey(consumer), hash: 0, now: GateFixture.start, id: id, wait: .zero)
            if case .forward(let backend) = decision { held.append((backend, consumer)) }
        }
        for id in UInt32(0)..<100 { admit(id, 9) }
        var raised = constraints
        raised.maximumInstances = 9
        _ = state.apply(GateFixture.snapshot(instances: 1, raised), now: GateFixture.start)
        var lines: [(consumer: UInt32, ids: [UInt32])] = []
        for id in UInt32(100)..<500 {
            if Bool.random(using: &random) {
                let consumer =
                    UInt32.random(in: 0..<10, using: &random) < 7 ? 0 : UInt32.random(in: 1..<5, using: &random)
                admit(id, consumer)
                if let position = lines.firstIndex(where: { $0.consumer == consumer }) {
                    lines[position].ids.append(id)
                } else {
                    lines.append((consumer, [id]))
                }
            } else if !lines.isEmpty {
                let (backend, consumer) = held.removeFirst()
                _ = state.release(
                    backend, consumer: ConsumerKey(consumer), outcome: .completed, retried: false,
                    now: GateFixture.start)
                guard case .granted(let grant)? = state.takeWaitEnd() else {
                    Issue.record("nobody got the free place")
                    return
                }
                var line = lines.removeFirst()
                #expect(grant.ticket.slot == line.ids.removeFirst())
                if !line.ids.isEmpty { lines.append(line) }
                held.append((grant.backend, grant.consumer.rawValue))
            }
        }
    }
}

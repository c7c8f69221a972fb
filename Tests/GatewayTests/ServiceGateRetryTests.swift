import CloudModel
import Gateway
import LoadBalancing
import ScalingListener
import Testing

@Suite struct ServiceGateRetryTests {
    @Test func goesToAnotherBackendAtOnce() throws {
        var harness = GateHarness(instances: 3, WorkloadConstraints(maximumInstances: 3))
        let failed = try #require(harness.admit(1).backend)
        harness.gate.reportFailure(failed, .connectionRefused, now: harness.now)
        var tried = TriedBackends(failed)
        guard case .forward(let second) = harness.retry(1, from: failed, tried: tried) else {
            Issue.record("no second backend")
            return
        }
        harness.gate.reportFailure(second, .connectionRefused, now: harness.now)
        tried.insert(second)
        guard case .forward(let third) = harness.retry(1, from: second, tried: tried, retried: true) else {
            Issue.record("no third backend")
            return
        }
        #expect(Set([failed, second, third]).count == 3)
        harness.release(third, 1, retried: true)
        #expect(harness.load.requestsInFlight == 0 && harness.load.completed == 1)
        for consumer in UInt32(0)..<9 { #expect(harness.admit(consumer).backend == third) }
    }

    @Test func theLastBackendIsTriedAgainAfterAPause() throws {
        var harness = GateHarness(instances: 1, WorkloadConstraints(maximumInstances: 1))
        let only = try #require(harness.admit(1).backend)
        harness.gate.reportFailure(only, .connectionRefused, now: harness.now)
        #expect(harness.retry(1, from: only, tried: TriedBackends(only)).isQueued)
        #expect(harness.gate.tick(now: harness.now) == harness.now + .milliseconds(500))
        harness.advance(.milliseconds(499))
        #expect(harness.log.take().isEmpty)
        harness.advance(.milliseconds(1))
        let grant = try #require(harness.log.take().first)
        #expect(grant.backend == only && grant.retried)
        #expect(harness.gate.tick(now: harness.now) == .distantFuture)
    }

    @Test func theLastBackendIsTriedAgainAsSoonAsItAnswers() throws {
        var harness = GateHarness(instances: 1, WorkloadConstraints(maximumInstances: 1))
        let only = try #require(harness.admit(1).backend)
        _ = harness.admit(2)
        harness.gate.reportFailure(only, .connectionRefused, now: harness.now)
        #expect(harness.retry(1, from: only, tried: TriedBackends(only)).isQueued)
        harness.release(only, 2)
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(1)])
    }

    @Test func aReplacedInstanceServesWhatItsPredecessorFailed() throws {
        let limits = WorkloadConstraints(maximumInstances: 1, activeConsumersPerInstance: 3)
        var harness = GateHarness(instances: 1, limits)
        let old = try #require(harness.admit(1).backend)
        harness.gate.reportFailure(old, .connectionRefused, now: harness.now)
        #expect(harness.retry(1, from: old, tried: TriedBackends(old)).isQueued)
        harness.apply(GateFixture.snapshot(instances: 0, limits))
        harness.advance(.seconds(2))
        #expect(harness.log.take().isEmpty)
        harness.apply(GateFixture.snapshot(backends: [GateFixture.backend(1)], limits))
        let grant = try #require(harness.log.take().first)
        #expect(harness.gate.target(of: grant.backend)?.instance == "shop-1")
        harness.release(grant.backend, 1, retried: true)
        #expect(harness.load.activeConsumers == 0)
    }

    @Test func retriesGoBeforeThoseThatHaveNotBeenTried() throws {
        let limits = WorkloadConstraints(maximumInstances: 4, concurrentRequestsPerInstance: 1)
        var harness = GateHarness(instances: 2, limits)
        let one = try #require(harness.admit(1).backend)
        let other = try #require(harness.admit(2).backend)
        #expect(harness.admit(3).queued != nil)
        harness.gate.reportFailure(one, .connectionRefused, now: harness.now)
        #expect(harness.retry(1, from: one, tried: TriedBackends(one)).isQueued)
        harness.release(other, 2)
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(1)])
    }

    /// Twenty in a hundred, but never less than three, are repeated at once; the others follow as those end.
    @Test(arguments: [(10, 3), (50, 10), (100, 20)])
    func staysWithinTheBudget(requests: Int, budget: Int) throws {
        var harness = GateHarness(instances: 2, WorkloadConstraints(maximumInstances: 2))
        let backends = try (0..<requests).map { try #require(harness.admit(UInt32($0)).backend) }
        var repeated: [(consumer: UInt32, backend: BackendSlot)] = []
        for (number, backend) in backends.enumerated() {
            let consumer = UInt32(number)
            switch harness.retry(consumer, from: backend, tried: TriedBackends(backend)) {
            case .forward(let other): repeated.append((consumer, other))
            case .queued(_, let deadline): #expect(deadline == harness.now + .seconds(1))
            case .refused(let refusal): Issue.record("refused: \(refusal)")
            }
        }
        #expect(repeated.count == budget)
        var ended = 0
        while let (consumer, backend) = repeated.popLast() {
            harness.release(backend, consumer, retried: true)
            ended += 1
            for grant in harness.log.take() {
                #expect(grant.retried && grant.backend != backends[Int(grant.consumer.rawValue)])
                repeated.append((grant.consumer.rawValue, grant.backend))
            }
            #expect(repeated.count <= max(3, (requests - ended) / 5 + 1))
        }
        #expect(ended == requests)
        #expect(harness.load.requestsInFlight == 0 && harness.load.requestsQueued == 0)
    }

    @Test func waitingForTheBudgetIsBoundedInLengthAndTime() throws {
        var harness = GateHarness(instances: 2, WorkloadConstraints(maximumInstances: 2, queueLength: 1))
        let backends = try (0..<5).map { try #require(harness.admit(UInt32($0)).backend) }
        let decisions = backends.enumerated().map { number, backend in
            harness.retry(UInt32(number), from: backend, tried: TriedBackends(backend))
        }
        guard case .queued(let wait, let deadline) = decisions[3] else {
            Issue.record("the fourth does not wait: \(decisions[3])")
            return
        }
        #expect(decisions[4] == .refused(.budgetExhausted))
        harness.apply(GateFixture.snapshot(instances: 2, WorkloadConstraints(maximumInstances: 2, queueLength: 1)))
        #expect(harness.log.take().isEmpty, "a snapshot leaves the budget as it is")
        harness.now = deadline
        guard case .expired(let refusal) = harness.gate.expire(wait, now: harness.now) else {
            Issue.record("not expired")
            return
        }
        #expect(refusal.barrier == .queueTimeout)
        #expect(harness.load.requestsInFlight == 4)
    }

    @Test func aMoveIsNoRetry() throws {
        var harness = GateHarness(instances: 2, WorkloadConstraints(maximumInstances: 2))
        let backends = try (0..<20).map { try #require(harness.admit(UInt32($0)).backend) }
        for (number, backend) in backends.enumerated() {
            let decision = harness.gate.retry(
                from: backend, tried: TriedBackends(backend), consumer: ConsumerKey(UInt32(number)), hash: 0,
                ticket: GateFixture.ticket(number), retried: false, isMove: true, now: harness.now)
            guard case .forward(let other) = decision else {
                Issue.record("not moved: \(decision)")
                return
            }
            #expect(other != backend)
        }
    }

    @Test func aServiceWithoutAQueueRefusesToWait() throws {
        var harness = GateHarness(instances: 1, WorkloadConstraints(maximumInstances: 1, queueLength: 0))
        let only = try #require(harness.admit(1).backend)
        #expect(harness.retry(1, from: only, tried: TriedBackends(only)) == .refused(.noBackend))
        harness.release(only, 1)
        #expect(harness.load.requestsInFlight == 0)
    }

    @Test func quarantineMovesWaitingSeatsElsewhere() throws {
        let limits = WorkloadConstraints(
            maximumInstances: 2, concurrentRequestsPerInstance: 1, activeConsumersPerInstance: 2)
        var harness = GateHarness(instances: 2, limits)
        let own = try #require(harness.admit(1).backend)
        #expect(harness.admit(1).queued != nil, "bound to an instance that is full")
        harness.gate.reportFailure(own, .connectTimeout, now: harness.now)
        let grant = try #require(harness.log.take().first)
        #expect(grant.backend != own)
        harness.release(own, 1)
        harness.release(grant.backend, 1)
        #expect(harness.load.activeConsumers == 0)
    }
}

extension GateHarness {
    func retry(_ consumer: UInt32, from failed: BackendSlot, tried: TriedBackends, retried: Bool = false)
        -> RetryDecision
    {
        gate.retry(
            from: failed, tried: tried, consumer: ConsumerKey(consumer), hash: UInt64(consumer),
            ticket: GateFixture.ticket(1_000 + Int(consumer)), retried: retried, now: now)
    }
}

extension RetryDecision {
    var isQueued: Bool {
        if case .queued = self { true } else { false }
    }
}

import CloudModel
import Gateway
import LoadBalancing
import ScalingListener
import Testing

@Suite struct ServiceGateScenarioTests {
    /// Three consumers at once on a service that may grow to three instances, a fourth, and a raised limit.
    @Test func fourthConsumerIsRejectedUntilTheLimitIsRaised() throws {
        var limits = WorkloadConstraints(minimumInstances: 1, maximumInstances: 3, activeConsumersPerInstance: 1)
        var harness = GateHarness(instances: 1, limits)
        let first = try #require(harness.admit(1).backend)
        #expect(harness.admit(2).queued != nil)
        #expect(harness.admit(3).queued != nil)
        #expect(harness.load.activeConsumers == 3 && harness.load.requestsQueued == 2)
        #expect(
            harness.admit(4).refusal
                == AdmissionRefusal(barrier: .seats, limit: 3, current: 3, retryAfter: .seconds(1)))

        harness.apply(GateFixture.snapshot(instances: 2, limits))
        harness.apply(GateFixture.snapshot(instances: 3, limits))
        let grants = harness.log.take()
        #expect(grants.map(\.consumer) == [ConsumerKey(2), ConsumerKey(3)])
        #expect(Set(grants.map(\.backend) + [first]).count == 3, "each has its own instance")
        #expect(harness.admit(4).refusal?.constraint == .maximumInstances)

        let waiting = try #require(harness.admit(5, wait: .seconds(60)).waiting)
        limits.maximumInstances = 4
        harness.apply(GateFixture.snapshot(instances: 3, limits))
        #expect(harness.log.take().isEmpty, "admitted, but its instance is yet to come")
        #expect(harness.load.requestsQueued == 1 && harness.load.consumersWaiting == 0)
        #expect(harness.gate.expire(waiting, now: harness.now) == .extended(deadline: harness.now + .seconds(15)))
        harness.apply(GateFixture.snapshot(instances: 4, limits))
        let late = harness.log.take()
        #expect(late.map(\.consumer) == [ConsumerKey(5)])
        #expect(harness.gate.target(of: try #require(late.first).backend)?.instance == "shop-3")
        #expect(harness.release(try #require(late.first).backend, 5), "refused before, served now")
        #expect(harness.admit(4).backend != nil, "the seat that was given back")
    }

    @Test func aWaitingRequestIsAdmittedWhenASeatFrees() throws {
        let limits = WorkloadConstraints(maximumInstances: 1, activeConsumersPerInstance: 1, consumerHold: .seconds(5))
        var harness = GateHarness(instances: 1, limits)
        let backend = try #require(harness.admit(1).backend)
        #expect(harness.admit(2, wait: .minutes(1)).waiting != nil)
        #expect(harness.admit(3, wait: .minutes(1)).waiting != nil)
        #expect(harness.load.consumersWaiting == 2)
        harness.release(backend, 1)
        #expect(harness.gate.tick(now: harness.now) == harness.now + .seconds(5))
        harness.advance(.milliseconds(4_999))
        #expect(harness.log.take().isEmpty)
        harness.advance(.milliseconds(1))
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(2)], "first come, first served")
        harness.release(backend, 2)
        harness.advance(.seconds(5))
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(3)])
    }

    @Test func aConsumerStaysAtItsInstance() throws {
        let limits = WorkloadConstraints(maximumInstances: 3, activeConsumersPerInstance: 2, consumerHold: .seconds(1))
        var harness = GateHarness(instances: 3, limits)
        let own = try #require(harness.admit(1).backend)
        for _ in 0..<10 { #expect(harness.admit(1).backend == own) }
        for consumer in UInt32(2)...6 { #expect(harness.admit(consumer).backend != nil) }
        #expect(harness.load.perInstance.values.sorted() == [2, 2, 12])
        #expect(harness.admit(7).refusal?.barrier == .seats)
    }

    @Test func whoeverCameFirstGetsTheFreePlaceSeatedOrNot() throws {
        let limits = WorkloadConstraints(
            maximumInstances: 2, concurrentRequestsPerInstance: 1, activeConsumersPerInstance: 2)
        var harness = GateHarness(instances: 1, limits)
        let backend = try #require(harness.admit(1).backend)
        #expect(harness.admit(2).queued != nil, "a seat is free there, but no place")
        harness.apply(
            GateFixture.snapshot(
                instances: 1,
                WorkloadConstraints(
                    maximumInstances: 3, concurrentRequestsPerInstance: 1, activeConsumersPerInstance: 2)))
        #expect(harness.admit(1).queued != nil)
        harness.release(backend, 1)
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(2)])
        harness.release(backend, 2)
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(1)])
    }

    @Test func aSeatMovesWhenItsInstanceGoes() throws {
        let limits = WorkloadConstraints(maximumInstances: 2, activeConsumersPerInstance: 1)
        var harness = GateHarness(instances: 2, limits)
        let one = try #require(harness.admit(1).backend)
        _ = harness.admit(2)
        let lost = try #require(harness.gate.target(of: one)).instance
        let rest = (0..<2).map(GateFixture.backend).filter { $0.instance != lost }
        let changes = harness.apply(GateFixture.snapshot(backends: rest, limits))
        #expect(changes.removed == [one])
        let again = try #require(harness.admit(1).queued, "the other instance's only seat is taken")
        harness.release(one, 1)
        #expect(harness.log.take().isEmpty)
        harness.apply(GateFixture.snapshot(backends: rest + [GateFixture.backend(7)], limits))
        let grant = try #require(harness.log.take().first)
        #expect(harness.gate.target(of: grant.backend)?.instance == "shop-7")
        #expect(harness.gate.cancel(again, now: harness.now) == .decided)
    }

    @Test func theQueueIsBoundedInLengthAndTime() throws {
        let limits = WorkloadConstraints(maximumInstances: 2, queueLength: 2, queueTimeout: .seconds(3))
        var harness = GateHarness(instances: 0, limits)
        let first = harness.admit(1)
        guard case .queued(let handle, let deadline) = first else {
            Issue.record("not queued: \(first)")
            return
        }
        #expect(deadline == harness.now + .seconds(3))
        #expect(harness.admit(2).queued != nil)
        #expect(
            harness.admit(3).refusal
                == AdmissionRefusal(barrier: .queueFull, limit: 2, current: 2, retryAfter: .seconds(1)))
        #expect(harness.admit(3).refusal?.constraint == nil, "503, not 429")
        harness.now = deadline
        let expired = harness.gate.expire(handle, now: harness.now)
        guard case .expired(let refusal) = expired else {
            Issue.record("not expired: \(expired)")
            return
        }
        #expect(refusal.barrier == .queueTimeout && refusal.constraint == nil)
        #expect(harness.admit(3).queued != nil, "the room that it left")
        harness.apply(GateFixture.snapshot(instances: 1, limits))
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(2), ConsumerKey(3)])
    }

    @Test func aFullInstancesRequestsWaitWhileAnotherStarts() throws {
        let limits = WorkloadConstraints(maximumInstances: 2, concurrentRequestsPerInstance: 2)
        var harness = GateHarness(instances: 1, limits)
        let backend = try #require(harness.admit(1).backend)
        #expect(harness.admit(2).backend == backend)
        #expect(harness.admit(3).queued != nil)
        #expect(harness.admit(4).queued != nil)
        #expect(harness.admit(5).refusal?.barrier == .requests)
        harness.release(backend, 1)
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(3)])
        #expect(harness.admit(5).queued != nil)
        harness.apply(GateFixture.snapshot(instances: 2, limits))
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(4), ConsumerKey(5)])
    }

    @Test func waitsForTheConsumersOwnLimitEndWithItsOwnRequests() throws {
        var limits = WorkloadConstraints(maximumInstances: 1, concurrentRequestsPerConsumer: 1)
        var harness = GateHarness(instances: 1, limits)
        let backend = try #require(harness.admit(1).backend)
        #expect(harness.admit(1, wait: .seconds(9)).waiting != nil)
        #expect(harness.admit(1, wait: .seconds(9)).waiting != nil)
        #expect(harness.admit(1).refusal?.constraint == .concurrentRequestsPerConsumer)
        #expect(harness.admit(2).backend != nil, "others are not concerned")
        harness.release(backend, 1)
        #expect(harness.log.take().map(\.ticket.slot) == [2])
        limits.concurrentRequestsPerConsumer = 5
        harness.apply(GateFixture.snapshot(instances: 1, limits))
        #expect(harness.log.take().map(\.ticket.slot) == [3])
    }

    @Test func theWaitIsCutToWhatTheServiceAllows() {
        let limits = WorkloadConstraints(
            maximumInstances: 1, concurrentRequestsPerInstance: 1, maximumWait: .seconds(30))
        var harness = GateHarness(instances: 1, limits)
        _ = harness.admit(1)
        guard case .waiting(_, let deadline, let rejection) = harness.admit(2, wait: .hours(9)) else {
            Issue.record("does not wait")
            return
        }
        #expect(deadline == harness.now + .seconds(30))
        #expect(rejection.reportCount == 1)
        var refusing = GateHarness(
            instances: 1,
            WorkloadConstraints(maximumInstances: 1, concurrentRequestsPerInstance: 1, maximumWait: .zero))
        _ = refusing.admit(1)
        #expect(refusing.admit(2, wait: .hours(1)).waiting == nil)
    }

    @Test func cancelledWaitsHoldNothing() throws {
        let limits = WorkloadConstraints(maximumInstances: 1, concurrentRequestsPerInstance: 1)
        var harness = GateHarness(instances: 1, limits)
        let backend = try #require(harness.admit(1).backend)
        let leaving = try #require(harness.admit(2, wait: .seconds(9)).waiting)
        #expect(harness.admit(3, wait: .seconds(9)).waiting != nil)
        #expect(harness.gate.cancel(leaving, now: harness.now) == .cancelled)
        #expect(harness.gate.cancel(leaving, now: harness.now) == .decided, "nothing is left to cancel")
        harness.release(backend, 1)
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(3)])
    }

    @Test func changingWhatIsLimitedLosesNobody() throws {
        let seats = WorkloadConstraints(maximumInstances: 3, activeConsumersPerInstance: 1)
        let places = WorkloadConstraints(maximumInstances: 3, concurrentRequestsPerInstance: 1)
        var harness = GateHarness(instances: 1, seats)
        let first = try #require(harness.admit(1).backend)
        for consumer in UInt32(2)...3 { #expect(harness.admit(consumer).queued != nil) }
        for consumer in UInt32(4)...6 { #expect(harness.admit(consumer, wait: .seconds(9)).waiting != nil) }
        harness.apply(GateFixture.snapshot(instances: 1, places))
        #expect(harness.log.take().isEmpty)
        harness.release(first, 1)
        #expect(harness.log.take().map(\.consumer) == [ConsumerKey(2)])
        harness.apply(GateFixture.snapshot(instances: 1, seats))
        harness.apply(GateFixture.snapshot(instances: 3, WorkloadConstraints(maximumInstances: 3)))
        #expect(harness.log.take().map(\.consumer.rawValue) == [3, 4, 5, 6])
    }

    @Test func totalsAndRefusalsReachTheSample() throws {
        let limits = WorkloadConstraints(maximumInstances: 1, concurrentRequestsPerInstance: 1)
        var harness = GateHarness(instances: 1, limits)
        let backend = try #require(harness.admit(1).backend)
        guard case .rejected(let first) = harness.admit(2), case .rejected(let second) = harness.admit(2) else {
            Issue.record("not rejected")
            return
        }
        #expect(first.reportCount == 1 && second.reportCount == 0)
        let sample = harness.gate.sample(now: harness.now)
        #expect(sample.refusals.map(\.count) == [1] && sample.refusals.map(\.consumer) == [ConsumerKey(2)])
        #expect(sample.refusals.first?.constraint == .maximumInstances)
        #expect(harness.gate.sample(now: harness.now).refusals.isEmpty)
        harness.release(backend, 1)
        #expect(
            harness.load
                == LoadSample(
                    service: "shop", at: harness.now, admitted: 1, rejected: 2, completed: 1,
                    perInstance: ["shop-0": 0]))
    }

    /// A queue of four that one consumer has filled: each newcomer gets room there, as long as it has less.
    @Test func theLongestGivesWayInAFullQueue() throws {
        let limits = WorkloadConstraints(maximumInstances: 2, queueLength: 4)
        var harness = GateHarness(instances: 0, limits)
        for _ in 0..<4 { #expect(harness.admit(1).queued != nil) }
        #expect(harness.admit(1).refusal?.barrier == .queueFull, "its own flood does not get it more")
        #expect(harness.admit(2).queued != nil)
        #expect(harness.log.takeDisplaced().map(\.slot) == [4], "its newest")
        #expect(harness.admit(3).queued != nil)
        let displaced = harness.log.takeDisplaced()
        #expect(displaced.map(\.slot) == [3])
        #expect(displaced.first?.refusal.barrier == .queueFull && displaced.first?.refusal.constraint == nil)
        #expect(harness.admit(2).refusal != nil, "two each is a tie: nobody is pushed out in turn")
        #expect(harness.load.requestsQueued == 4 && harness.load.rejected == 4)
        harness.apply(GateFixture.snapshot(instances: 1, limits))
        #expect(harness.log.take().map(\.consumer.rawValue) == [1, 2, 3, 1])
    }

    /// The ceiling counts what waits for an instance, too: one consumer's line there does not use it up.
    @Test func theLongestGivesWayAtTheCeiling() throws {
        let limits = WorkloadConstraints(maximumInstances: 4, concurrentRequestsPerInstance: 1)
        var harness = GateHarness(instances: 1, limits)
        let backend = try #require(harness.admit(1).backend)
        for _ in 0..<3 { #expect(harness.admit(1).queued != nil) }
        #expect(harness.admit(1).refusal?.constraint == .maximumInstances)
        #expect(harness.admit(2).queued != nil)
        let displaced = harness.log.takeDisplaced()
        #expect(displaced.map(\.slot) == [4] && displaced.first?.refusal.constraint == .maximumInstances)
        harness.release(backend, 1)
        #expect(harness.log.take().map(\.consumer.rawValue) == [1])
        harness.release(backend, 1)
        #expect(harness.log.take().map(\.consumer.rawValue) == [2])
    }

    /// Those who wait at the ceiling take turns, however many one of them has there.
    @Test func consumersTakeTurnsAtTheCeiling() throws {
        let limits = WorkloadConstraints(maximumInstances: 1, concurrentRequestsPerInstance: 1)
        var harness = GateHarness(instances: 1, limits)
        let backend = try #require(harness.admit(9).backend)
        for _ in 0..<5 { #expect(harness.admit(1, wait: .seconds(9)).waiting != nil) }
        for _ in 0..<2 { #expect(harness.admit(2, wait: .seconds(9)).waiting != nil) }
        var served: [UInt32] = []
        var holder: UInt32 = 9
        for _ in 0..<7 {
            harness.release(backend, holder)
            holder = try #require(harness.log.take().first).consumer.rawValue
            served.append(holder)
        }
        #expect(served == [1, 2, 1, 2, 1, 1, 1])
    }

    /// What may wait at limits is bounded, and whoever has the most there gives way.
    @Test func theLongestGivesWayAmongThoseAtALimit() throws {
        let limits = WorkloadConstraints(maximumInstances: 1, concurrentRequestsPerInstance: 1)
        var harness = GateHarness(instances: 1, limits)
        _ = harness.admit(9)
        for _ in 0..<4_096 { #expect(harness.admit(1, wait: .seconds(9)).waiting != nil) }
        #expect(harness.admit(1, wait: .seconds(9)).waiting == nil)
        #expect(harness.admit(2, wait: .seconds(9)).waiting != nil)
        let displaced = harness.log.takeDisplaced()
        #expect(displaced.map(\.slot) == [4_097] && displaced.first?.refusal.constraint == .maximumInstances)
    }
}

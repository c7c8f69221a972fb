import CloudModel
import LoadBalancing
import Testing

@Suite struct SlowStartTests {
    @Test func growsLinearlyFromATenth() {
        let ramp = SlowStart(window: .seconds(10))
        let full = Int64(4) * SlowStart.scale
        #expect(ramp.effectiveWeight(4, upSince: noon, at: noon - .seconds(3)) == full / 10, "clocks may differ")
        #expect(ramp.effectiveWeight(4, upSince: noon, at: noon) == full / 10)
        #expect(ramp.effectiveWeight(4, upSince: noon, at: noon + .milliseconds(500)) == full / 10)
        #expect(ramp.effectiveWeight(4, upSince: noon, at: noon + .seconds(5)) == full / 2)
        #expect(ramp.effectiveWeight(4, upSince: noon, at: noon + .seconds(10)) == full)
        #expect(SlowStart(window: .zero).effectiveWeight(4, upSince: noon, at: noon) == full)
        #expect(SlowStart(window: .hours(100_000)).effectiveWeight(256, upSince: .epoch, at: noon) > 0)
    }

    @Test func newcomerIsGivenItsShareStepByStep() {
        var three = backends(3)
        three[2].upSince = noon
        var balancer = balancer(.roundRobin, three, slowStart: .seconds(10))
        var shares: [Double] = []
        for second in [0, 2, 5, 9, 10] {
            let now = noon + .seconds(Int64(second))
            let chosen = (0..<3_000).count { _ in balancer.choose(now: now) == "b2" }
            shares.append(Double(chosen) / 3_000)
        }
        for (share, weight) in zip(shares, [0.1, 0.2, 0.5, 0.9, 1.0]) {
            #expect(abs(share - weight / (2 + weight)) < 0.01, "weight \(weight): share \(share)")
        }
    }
}

@Suite struct BackendIdentityTests {
    @Test func whatIsKnownSurvivesSnapshots() throws {
        var balancer = balancer(.leastRequest, backends(3))
        let slot = try #require(balancer.slot("b1"))
        balancer.take(slot)
        balancer.takeSeat(slot)
        let changes = balancer.reapply(Array(backends(4).reversed()))
        #expect(changes.removed.isEmpty && changes.added.count == 1)
        #expect(balancer.slot("b1") == slot)
        #expect(balancer.requestsInFlight(at: slot) == 1 && balancer.seats(at: slot) == 1)
    }

    @Test func anotherEndpointIsAnotherBackend() throws {
        var moved = backends(2)
        var balancer = balancer(.leastRequest, moved)
        let old = try #require(balancer.slot("b1"))
        balancer.take(old)
        moved[1].endpoint.port = 9_999
        let changes = balancer.reapply(moved)
        #expect(changes.removed == [old])
        let new = try #require(balancer.slot("b1"))
        #expect(new != old && balancer.requestsInFlight(at: new) == 0)
        #expect(balancer.target(of: old)?.endpoint.port == 8_001, "its last request can still see where it is")
        #expect(balancer.requestsPerInstance == ["b0": 0, "b1": 1])
        #expect(balancer.requestsInFlight == 1)
    }

    @Test func aSlotIsReusedOnlyAfterItsLastRequest() throws {
        var balancer = balancer(.leastRequest, backends(2))
        let old = try #require(balancer.slot("b1"))
        balancer.take(old)
        _ = balancer.reapply(Array(backends(1)))
        _ = balancer.reapply(backends(3))
        #expect(balancer.slot("b1")?.index != old.index && balancer.slot("b2")?.index != old.index)
        balancer.giveBack(old)
        #expect(balancer.target(of: old) == nil)
        let changes = balancer.reapply(backends(4))
        #expect(changes.added.map(\.index) == [old.index])
        #expect(changes.added.map(\.generation) != [old.generation])
        #expect(!balancer.isUsable(old))
    }

    @Test(arguments: [AdministrativeState.draining, .maintenance])
    func onlyEnabledBackendsAreGivenWork(state: AdministrativeState) throws {
        for algorithm in LoadBalancingSettings.Algorithm.allCases {
            var two = backends(2)
            var balancer = balancer(algorithm, two)
            let slot = try #require(balancer.slot("b0"))
            balancer.take(slot)
            two[0].administrative = state
            let changes = balancer.reapply(two, algorithm: algorithm)
            #expect(changes.removed.isEmpty, "it keeps its requests")
            #expect(balancer.choices(20) == ["b1"])
            #expect(balancer.requestsInFlight(at: slot) == 1)
            two[1].administrative = state
            _ = balancer.reapply(two, algorithm: algorithm)
            #expect(balancer.choose() == nil)
        }
    }

    @Test func triedBackendsAreAvoided() throws {
        for algorithm in LoadBalancingSettings.Algorithm.allCases {
            var balancer = balancer(algorithm, backends(3))
            var tried = TriedBackends(try #require(balancer.slot("b0")))
            tried.insert(try #require(balancer.slot("b2")))
            #expect(balancer.choices(20, excluding: tried) == ["b1"])
            tried.insert(try #require(balancer.slot("b1")))
            #expect(balancer.choose(excluding: tried) == nil)
        }
    }
}

@Suite struct QuarantineTests {
    @Test func refusedConnectionKeepsTrafficAwayForAWhile() throws {
        var balancer = balancer(.roundRobin, backends(2))
        let slot = try #require(balancer.slot("b0"))
        let verdict = balancer.recordFailure(slot, .connectionRefused, now: noon)
        #expect(verdict == .quarantined(until: noon + .milliseconds(500)))
        #expect(balancer.choices(5) == ["b1"])
        #expect(balancer.nextQuarantineEnd == noon + .milliseconds(500))
        #expect(balancer.advance(to: noon + .milliseconds(499)) == false)
        #expect(balancer.advance(to: noon + .milliseconds(500)) == true)
        #expect(balancer.choices(4) == ["b0", "b1"])
        #expect(balancer.nextQuarantineEnd == .distantFuture)
    }

    @Test func growsFromStrikeToStrikeUpToItsBound() throws {
        var balancer = balancer(.roundRobin, backends(2))
        let slot = try #require(balancer.slot("b0"))
        var now = noon
        var spans: [Int64] = []
        for _ in 0..<8 {
            guard case .quarantined(let until) = balancer.recordFailure(slot, .connectTimeout, now: now) else { break }
            spans.append((until - now).microseconds / 1_000)
            // What fails while it is out already says nothing new.
            #expect(balancer.recordFailure(slot, .connectionRefused, now: now) == .none)
            now = until
            _ = balancer.advance(to: now)
        }
        #expect(spans == [500, 1_000, 2_000, 4_000, 8_000, 15_000, 15_000, 15_000])
        #expect(balancer.recordSuccess(slot) == true)
        #expect(
            balancer.recordFailure(slot, .connectionRefused, now: now)
                == .quarantined(until: now + .milliseconds(500)))
    }

    @Test func otherFailuresCountOnlyInARow() throws {
        var balancer = balancer(.roundRobin, backends(2))
        let slot = try #require(balancer.slot("b0"))
        for failure in [BackendFailure.connectionReset, .responseTimeout] {
            #expect(balancer.recordFailure(slot, failure, now: noon) == .none)
        }
        balancer.recordSuccess(slot)
        for failure in [BackendFailure.connectionReset, .responseTimeout] {
            #expect(balancer.recordFailure(slot, failure, now: noon) == .none)
        }
        #expect(
            balancer.recordFailure(slot, .malformedResponse, now: noon)
                == .quarantined(until: noon + .milliseconds(500)))
    }

    @Test func endsWhenTheControlPlaneFoundItUpAgain() throws {
        var two = backends(2)
        var balancer = balancer(.roundRobin, two)
        let slot = try #require(balancer.slot("b0"))
        _ = balancer.recordFailure(slot, .connectionRefused, now: noon)
        _ = balancer.reapply(two, algorithm: .roundRobin)
        #expect(!balancer.isUsable(slot), "a snapshot for another reason says nothing about it")
        two[0].upSince = noon + .milliseconds(1)
        _ = balancer.reapply(two, algorithm: .roundRobin)
        #expect(balancer.isUsable(slot))
    }

    @Test func neverTheLastUsable() throws {
        var balancer = balancer(.roundRobin, backends(3))
        let slots = balancer.usableSlots
        _ = balancer.recordFailure(slots[0], .connectionRefused, now: noon)
        _ = balancer.recordFailure(slots[1], .connectionRefused, now: noon)
        let until = noon + .milliseconds(500)
        #expect(balancer.recordFailure(slots[2], .connectionRefused, now: noon) == .lastUsable(suspectUntil: until))
        #expect(balancer.usableSlots == [slots[2]])
        #expect(balancer.nextSuspicionEnd(after: noon) == until)
        // The last one leaves: those in quarantine are better than nothing.
        _ = balancer.reapply(Array(backends(2)), algorithm: .roundRobin)
        #expect(balancer.usableSlots == Array(slots[0...1]))
    }

    @Test func aClockThatIsSetBackLocksNobodyOut() throws {
        var balancer = balancer(.roundRobin, backends(2))
        let slot = try #require(balancer.slot("b0"))
        _ = balancer.recordFailure(slot, .connectionRefused, now: noon)
        balancer.forgetSuspicions(now: noon - .hours(1))
        #expect(balancer.isUsable(slot))
    }
}

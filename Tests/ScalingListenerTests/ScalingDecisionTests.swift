import CloudModel
import ScalingListener
import Testing

@Suite struct ScalingPolicyTests {
    private func recommend(
        inFlight: Int = 0, queued: Int = 0, consumers: Int = 0, instances: Int = 1,
        _ constraints: WorkloadConstraints, _ settings: ScalingSettings = .init()
    ) -> ScalingRecommendation? {
        ConcurrencyPolicy().recommend(
            ScalingObservation(
                sample: LoadSample(
                    service: "web", at: .epoch, requestsInFlight: inFlight, requestsQueued: queued,
                    activeConsumers: consumers), instances: instances, constraints: constraints, settings: settings))
    }

    @Test(arguments: [(0, 0), (1, 1), (7, 1), (8, 2), (14, 2), (15, 3), (70, 10), (71, 11)])
    func requestsAimAtAPartOfTheCapacity(requests: Int, wanted: Int) {
        let constraints = WorkloadConstraints(concurrentRequestsPerInstance: 10)
        #expect(recommend(inFlight: requests, constraints)?.instances == wanted, "70 % of 10 is 7")
    }

    @Test(arguments: [(0, 0), (1, 1), (2, 1), (3, 2), (100, 50)])
    func consumersAreAimedAtInFull(consumers: Int, wanted: Int) {
        #expect(recommend(consumers: consumers, .init(activeConsumersPerInstance: 2))?.instances == wanted)
    }

    @Test func theConstraintThatAsksForMostDecides() {
        let constraints = WorkloadConstraints(concurrentRequestsPerInstance: 10, activeConsumersPerInstance: 1)
        #expect(recommend(inFlight: 35, consumers: 2, constraints)?.instances == 5)
        #expect(recommend(inFlight: 7, consumers: 6, constraints)?.instances == 6)
    }

    @Test func aTargetStandsInForAConstraint() {
        let settings = ScalingSettings(targetConcurrency: 4)
        #expect(recommend(inFlight: 9, .init(), settings)?.instances == 3)
        #expect(recommend(inFlight: 9, .init()) == nil, "nothing says how much an instance takes")
    }

    @Test func capacityIsWhatTheConstraintsAllow() {
        let constraints = WorkloadConstraints(concurrentRequestsPerInstance: 2)
        #expect(recommend(inFlight: 4, instances: 2, constraints)?.exceedsCapacity == false)
        #expect(recommend(inFlight: 4, queued: 1, instances: 2, constraints)?.exceedsCapacity == true)
    }

    @Test func absurdNumbersDoNotTrap() {
        let constraints = WorkloadConstraints(concurrentRequestsPerInstance: .max, activeConsumersPerInstance: .max)
        #expect(recommend(inFlight: .max / 2, queued: .max / 2, consumers: .max, constraints) != nil)
        let small = WorkloadConstraints(concurrentRequestsPerInstance: 1)
        #expect(recommend(inFlight: .max / 2, small).map { $0.instances > 1_000_000 } == true)
        #expect(recommend(inFlight: -5, small)?.instances == 0)
    }
}

@Suite struct ScalingListenerDecisionTests {
    private let constraints = WorkloadConstraints(maximumInstances: 10, concurrentRequestsPerInstance: 10)
    private let settings = ScalingSettings(scaleInStabilisation: .seconds(60))

    private func at(_ seconds: Int64) -> Timestamp { .epoch + .seconds(seconds) }

    private func decide(
        _ listener: inout ScalingListenerDecision, _ second: Int64, inFlight: Int?, queued: Int = 0,
        instances: Int, starting: Int = 0, ceiling: Int = 10, minimum: Int = 1
    ) -> ScalingDecision {
        let sample = inFlight.map {
            LoadSample(service: "web", at: at(second), requestsInFlight: $0, requestsQueued: queued)
        }
        return listener.decide(
            sample, .init(instances: instances, starting: starting, ceiling: ceiling, minimum: minimum),
            constraints: constraints, settings: settings, at: at(second))
    }

    @Test func outAtOnceWhenRequestsWait() {
        var listener = ScalingListenerDecision()
        guard case .scaleOut(3, _) = decide(&listener, 0, inFlight: 10, queued: 5, instances: 1) else {
            Issue.record("not scaled out to 3")
            return
        }
        // Again at once: what waits is not subject to the cooldown.
        guard case .scaleOut(6, _) = decide(&listener, 1, inFlight: 30, queued: 10, instances: 3) else {
            Issue.record("not scaled out to 6")
            return
        }
    }

    @Test func whatIsStartingCounts() {
        var listener = ScalingListenerDecision()
        let decision = decide(&listener, 0, inFlight: 10, queued: 10, instances: 3, starting: 2)
        #expect(decision == .hold(.fits(3)), "three will take twenty requests")
    }

    @Test func calmlyAfterTheCooldown() {
        var listener = ScalingListenerDecision()
        guard case .scaleOut(2, _) = decide(&listener, 0, inFlight: 9, instances: 1) else {
            Issue.record("not scaled out to 2")
            return
        }
        #expect(decide(&listener, 2, inFlight: 19, instances: 2) == .hold(.cooldown(until: at(3))))
        guard case .scaleOut(3, _) = decide(&listener, 3, inFlight: 19, instances: 2) else {
            Issue.record("not scaled out to 3")
            return
        }
    }

    @Test func withinTheToleranceNothingMoves() {
        var listener = ScalingListenerDecision()
        // 77 requests at 7 per instance ask for 11 % … 10 % more than ten instances.
        #expect(decide(&listener, 0, inFlight: 38, instances: 5) == .hold(.withinTolerance(percent: 10)))
        guard case .scaleOut(6, _) = decide(&listener, 1, inFlight: 39, instances: 5) else {
            Issue.record("39 requests are more than 10 % above the target of 35")
            return
        }
    }

    @Test func neverAboveTheCeiling() {
        var listener = ScalingListenerDecision()
        guard case .scaleOut(4, _) = decide(&listener, 0, inFlight: 10, queued: 90, instances: 1, ceiling: 4) else {
            Issue.record("not scaled out to 4")
            return
        }
        #expect(
            decide(&listener, 1, inFlight: 40, queued: 60, instances: 4, ceiling: 4)
                == .hold(.atCeiling(4, wanted: 15)))
    }

    @Test func inToTheHighestOfTheWindow() {
        var listener = ScalingListenerDecision()
        for second in 0..<60 as Range<Int64> {
            let decision = decide(&listener, second, inFlight: second == 30 ? 27 : 5, instances: 8)
            #expect(decision == .hold(.stabilising(highest: 8)), "the window is not full at \(second) s")
        }
        // 27 requests asked for 4, and with room below the target for 5.
        guard case .scaleIn(4, _) = decide(&listener, 60, inFlight: 5, instances: 8) else {
            Issue.record("not scaled in to 4")
            return
        }
        for second in 61..<90 as Range<Int64> { _ = decide(&listener, second, inFlight: 5, instances: 4) }
        guard case .scaleIn(1, _) = decide(&listener, 92, inFlight: 5, instances: 4) else {
            Issue.record("not scaled in to 1 when the peak had left the window")
            return
        }
    }

    @Test func noDataNeverScalesIn() {
        var listener = ScalingListenerDecision()
        for second in 0..<120 as Range<Int64> { _ = decide(&listener, second, inFlight: 70, instances: 10) }
        for second in 120..<300 as Range<Int64> {
            #expect(decide(&listener, second, inFlight: nil, instances: 10) == .hold(.noData))
        }
        // The window begins anew after the gap.
        for second in 300..<360 as Range<Int64> {
            if case .scaleIn = decide(&listener, second, inFlight: 0, instances: 10) {
                Issue.record("scaled in after \(second - 300) s of data")
            }
        }
        guard case .scaleIn = decide(&listener, 360, inFlight: 0, instances: 10) else {
            Issue.record("not scaled in when the window was full")
            return
        }
    }

    @Test func notWhileInstancesStart() {
        var listener = ScalingListenerDecision()
        for second in 0...60 as ClosedRange<Int64> { _ = decide(&listener, second, inFlight: 5, instances: 4) }
        #expect(decide(&listener, 61, inFlight: 5, instances: 4, starting: 1) == .hold(.instancesStarting(1)))
    }

    @Test func notSoFarThatItWouldComeBackAtOnce() {
        var listener = ScalingListenerDecision()
        for second in 0...60 as ClosedRange<Int64> {
            let decision = decide(&listener, second, inFlight: 7, instances: 2)
            if case .scaleIn = decision { Issue.record("seven requests fill one instance's target") }
        }
        #expect(decide(&listener, 61, inFlight: 7, instances: 2) == .hold(.wouldFlap(fewest: 2)))
    }

    @Test func neverBelowTheMinimum() {
        var listener = ScalingListenerDecision()
        for second in 0...59 as ClosedRange<Int64> {
            _ = decide(&listener, second, inFlight: 0, instances: 5, minimum: 3)
        }
        guard case .scaleIn(3, _) = decide(&listener, 60, inFlight: 0, instances: 5, minimum: 3) else {
            Issue.record("not scaled in to 3")
            return
        }
    }

    /// Against a window that keeps every value.
    @Test(arguments: 1...30) func theWindowIsExact(seed: Int) {
        var random = SeededGenerator(seed: UInt64(seed))
        var listener = ScalingListenerDecision()
        var seen: [(at: Int64, wanted: Int)] = []
        var second: Int64 = 0
        for _ in 0..<600 {
            second += Int64.random(in: 1...3, using: &random)
            let wanted = Int.random(in: 0...9, using: &random)
            seen.append((second, wanted))
            let decision = listener.decide(
                LoadSample(service: "web", at: at(second), activeConsumers: wanted),
                .init(instances: 10, starting: 0, ceiling: 10, minimum: 1),
                constraints: WorkloadConstraints(maximumInstances: 10, activeConsumersPerInstance: 1),
                settings: settings, at: at(second))
            let highest = seen.filter { $0.at >= second - 60 }.map(\.wanted).max() ?? 0
            guard second - seen[0].at >= 60 else { continue }
            switch decision {
            case .scaleIn(let count, _): #expect(count == max(1, highest))
            case .hold, .scaleOut: Issue.record("\(decision) at \(second) s with \(highest)")
            }
        }
    }
}

@Suite struct LimitIncidentTests {
    private func at(_ seconds: Int64) -> Timestamp { .epoch + .seconds(seconds) }

    private func expect(
        _ tidings: LimitIncident.Tidings, administrators: Bool, consumer: Bool,
        at location: SourceLocation = #_sourceLocation
    ) {
        #expect(tidings.administrators == administrators, sourceLocation: location)
        #expect(tidings.consumer == consumer, sourceLocation: location)
        #expect(tidings.isNewConsumer == consumer, sourceLocation: location)
    }

    @Test func eachIsToldOnce() {
        var incident = LimitIncident(constraint: .maximumInstances, at: at(0))
        expect(incident.refused("a", count: 1, at: at(0)), administrators: true, consumer: true)
        expect(incident.refused("a", count: 9, at: at(1)), administrators: false, consumer: false)
        expect(incident.refused("b", count: 1, at: at(2)), administrators: false, consumer: true)
        #expect(incident.refusals == 11)
        #expect(incident.endsAt == at(62))
    }

    @Test func nobodyIsBehindAnonymousRequests() {
        var incident = LimitIncident(constraint: .maximumInstances, at: at(0))
        #expect(incident.refused(.anonymous, count: 1, at: at(0)).consumer == false)
        #expect(incident.refused("a", count: 1, at: at(0)).administrators == false)
    }

    @Test func consumersAreBounded() {
        var incident = LimitIncident(constraint: .maximumInstances, at: at(0))
        for number in 0..<2_000 { _ = incident.refused(ConsumerID("c\(number)"), count: 1, at: at(0)) }
        #expect(incident.consumers.count == LimitIncident.maximumConsumers)
        #expect(incident.consumers == incident.consumers.sorted())
        #expect(incident.refused("zz", count: 1, at: at(1)).consumer == false)
    }

    @Test func whoWasToldBeforeARestartIsNotToldAgain() {
        var incident = LimitIncident(restored: .maximumInstances, consumers: ["b", "a"], at: at(0))
        #expect(incident.refused("a", count: 1, at: at(0)).consumer == false)
        expect(incident.refused("c", count: 1, at: at(0)), administrators: false, consumer: true)
    }

    @Test(arguments: [
        (ConstraintKind.maximumInstances, 3, 3, 3, 1, 4), (.maximumInstances, 3, 3, 3, 2, 5),
        (.maximumInstances, 3, 3, 3, 9, 6), (.concurrentRequestsPerConsumer, 5, 7, 0, 1, 7),
        (.requestsPerSecondPerConsumer, 10, 10, 0, 1, 11),
    ])
    func theOfferFollowsTheDemandWithinBounds(
        constraint: ConstraintKind, limit: Int, current: Int, active: Int, refused: Int, to: Int
    ) {
        var incident = LimitIncident(constraint: constraint, at: at(0))
        for number in 0..<refused { _ = incident.refused(ConsumerID("c\(number)"), count: 1, at: at(0)) }
        let offer = incident.offer(
            LimitReached(
                service: "web", consumer: "c0", constraint: constraint, limit: limit, current: current, at: at(0)),
            sample: LoadSample(service: "web", at: at(0), activeConsumers: active),
            constraints: WorkloadConstraints(maximumInstances: 3, activeConsumersPerInstance: 1))
        #expect(offer == ConstraintOffer(service: "web", constraint: constraint, from: limit, to: to))
    }
}

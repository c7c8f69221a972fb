import CloudController
import CloudModel
import Testing

@Suite struct ScalingTests {
    private func running(
        minimum: Int = 1, maximum: Int = 4, consumersPerInstance: Int? = nil, requestsPerInstance: Int? = 2,
        group: FailoverGroup? = nil
    ) -> Bench {
        var bench = Bench()
        bench.command(
            .configure(
                .only(
                    .web(
                        minimum: minimum, maximum: maximum, consumersPerInstance: consumersPerInstance,
                        requestsPerInstance: requestsPerInstance), group: group)))
        bench.pass(.seconds(20))
        return bench
    }

    /// Samples once a second for so long.
    private func hold(
        _ bench: inout Bench, _ span: TimeSpan, inFlight: Int, queued: Int = 0, perInstance: [InstanceID: Int] = [:]
    ) {
        let end = bench.now + span
        while bench.now < end {
            bench.load(inFlight: inFlight, queued: queued, perInstance: perInstance)
            bench.pass(.seconds(1))
        }
    }

    @Test func scalesOutWithTheLoadAndInAfterTheWindow() {
        var bench = running()
        bench.load(inFlight: 2, queued: 3)
        #expect(bench.controller.instances.count == 4, "5 requests at 70 % of 2 ask for 4")
        bench.pass(.seconds(2))
        #expect(bench.backends.count == 4)
        hold(&bench, .seconds(290), inFlight: 1)
        #expect(bench.backends.count == 4, "the window is 300 s")
        hold(&bench, .seconds(20), inFlight: 1)
        #expect(bench.backends == ["web-1"], "the newest go first")
        #expect(bench.controller.instances.count == 1)
    }

    @Test func missingSamplesNeverScaleIn() {
        var bench = running()
        bench.load(inFlight: 2, queued: 3)
        bench.pass(.hours(2))
        #expect(bench.backends.count == 4)
        // A single sample after a silence says nothing about the window.
        hold(&bench, .seconds(200), inFlight: 0)
        #expect(bench.backends.count == 4)
    }

    @Test func oldSamplesAreNoData() {
        var bench = running()
        let old = LoadSample(service: "web", at: bench.now - .seconds(6), requestsQueued: 8)
        bench.send(.dataPlane(.load(old)))
        #expect(bench.controller.instances.count == 1)
        #expect(bench.controller.latestLoad["web"] == nil)
        bench.load(inFlight: 1)
        bench.send(.dataPlane(.load(LoadSample(service: "web", at: bench.now - .seconds(1), requestsQueued: 8))))
        #expect(bench.controller.instances.count == 1, "it is older than the one before")
    }

    @Test func theSilenceOfAGatewayDoesNotEndADrainEarly() {
        var bench = running(minimum: 2, maximum: 2)
        bench.load(inFlight: 1, perInstance: ["web-2": 1])
        bench.command(.setAdministrativeState("web-2", .draining, operation: "op"))
        bench.pass(.seconds(25))
        #expect(bench.operation("op")?.state == .running)
        bench.pass(.seconds(10))
        #expect(bench.operation("op")?.state == .succeeded, "the drain timeout has passed")
    }

    @Test func scaleInDrainsFirst() {
        var bench = running(minimum: 1, maximum: 2)
        bench.load(inFlight: 2, queued: 1)
        bench.pass(.seconds(2))
        #expect(bench.backends == ["web-1", "web-2"])
        hold(&bench, .seconds(302), inFlight: 1, perInstance: ["web-2": 1])
        #expect(bench.backends == ["web-1"])
        #expect(bench["web-2"]?.phase == .running, "it still has a request")
        #expect(bench.processes["web-2"] != nil)
        hold(&bench, .seconds(3), inFlight: 0)
        #expect(bench["web-2"] == nil)
        #expect(bench.processes["web-2"] == nil)
    }

    @Test func anInstanceThatIsNeededAgainIsNotTakenOutOfADrain() {
        var bench = running(minimum: 1, maximum: 2)
        bench.load(inFlight: 2, queued: 1)
        bench.pass(.seconds(2))
        hold(&bench, .seconds(302), inFlight: 1, perInstance: ["web-2": 1])
        #expect(bench.backends == ["web-1"])
        bench.load(inFlight: 2, queued: 3, perInstance: ["web-2": 1])
        #expect(bench.controller.instances.count == 2, "the hard cap counts the one that drains")
        bench.pass(.seconds(40))
        bench.load(inFlight: 2, queued: 3)
        bench.pass(.seconds(2))
        #expect(bench.backends == ["web-1", "web-3"])
    }

    @Test func failedInstancesDoNotCountAsCapacity() {
        var bench = running(minimum: 2, maximum: 3)
        bench.brokenStarts = { $0 == "web-1" }
        bench.kill("web-1")
        bench.pass(.seconds(1))
        bench.load(inFlight: 2, queued: 2)
        bench.pass(.seconds(1))
        #expect(bench.backends.count == 2, "another stands in for web-1 until it is back")
    }

    @Test func scalesOutFromNothing() {
        var bench = running(minimum: 0)
        #expect(bench.controller.instances.isEmpty)
        bench.load(queued: 1)
        bench.pass(.seconds(2))
        #expect(bench.backends == ["web-1"])
        hold(&bench, .seconds(310), inFlight: 0)
        #expect(bench.controller.instances.isEmpty)
    }

    @Test func standbysAreKeptOutOfTheCeiling() {
        var bench = running(minimum: 1, maximum: 3, group: .passive())
        bench.load(inFlight: 2, queued: 9)
        bench.pass(.seconds(2))
        #expect(bench.backends.count == 2)
        #expect(bench.controller.instances.count { $0.role == .standby } == 1)
    }

    @Test func aLoweredMaximumTakesEffectAtOnce() {
        var bench = running(minimum: 1, maximum: 4)
        bench.load(inFlight: 2, queued: 9)
        bench.pass(.seconds(2))
        #expect(bench.backends.count == 4)
        bench.command(.setConstraint("web", .maximumInstances, to: 2))
        #expect(bench.backends == ["web-1", "web-2"])
        bench.pass(.seconds(40))
        #expect(bench.processes.count == 2)
    }

    // MARK: Limits

    @Test func eachIsToldOnceAnIncident() {
        var bench = running(minimum: 1, maximum: 1)
        for _ in 0..<20 {
            bench.refuse("ada", limit: 1)
            bench.refuse("bob", limit: 1)
            bench.pass(.seconds(10))
        }
        #expect(bench.notifications.map(\.consumer) == [nil, "ada", "bob"])
        bench.pass(.seconds(61))
        #expect(bench.controller.openIncidents.isEmpty)
        bench.refuse("ada", limit: 1)
        #expect(bench.notifications.map(\.consumer) == [nil, "ada", "bob", nil, "ada"])
        #expect(Set(bench.notifications.map(\.id)).count == 5)
    }

    @Test func aRaisedLimitEndsTheIncidentAndLateRefusalsBeginNone() {
        var bench = running(minimum: 1, maximum: 1)
        bench.refuse("ada", limit: 1)
        bench.command(.setConstraint("web", .maximumInstances, to: 2))
        #expect(bench.controller.openIncidents.isEmpty)
        bench.refuse("bob", limit: 1)
        #expect(bench.notifications.count == 2, "the refusal was made at the old limit")
        bench.refuse("bob", limit: 2)
        #expect(bench.notifications.map(\.consumer) == [nil, "ada", nil, "bob"])
    }

    @Test func theAnonymousConsumerIsNotTold() {
        var bench = running(minimum: 1, maximum: 1)
        bench.refuse(.anonymous, limit: 1)
        #expect(bench.notifications.map(\.consumer) == [nil])
    }

    @Test func theOfferIsWhatTheDemandAsksFor() {
        var bench = running(minimum: 1, maximum: 1, consumersPerInstance: 2, requestsPerInstance: nil)
        bench.load(inFlight: 2, consumers: 2)
        bench.refuse("ada", limit: 1)
        #expect(bench.notifications.first?.offer?.to == 2, "three consumers at two an instance")
    }
}

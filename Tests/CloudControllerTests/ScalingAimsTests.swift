import CloudController
import CloudModel
import Testing

/// Reported metrics, schedules, dry runs, and what administrators are told of the load.
@Suite struct ScalingAimsTests {
    private func bench(_ change: (inout ScalingSettings) -> Void) -> Bench {
        var bench = Bench()
        var service = CloudService.web(minimum: 1, maximum: 4, requestsPerInstance: 10)
        change(&service.scaling)
        bench.command(.configure(.only(service)))
        bench.pass(.seconds(20))
        return bench
    }

    /// Samples once a second for so long.
    private func hold(_ bench: inout Bench, _ span: TimeSpan, inFlight: Int, queueLength: Int? = nil) {
        let end = bench.now + span
        while bench.now < end {
            if let queueLength {
                bench.send(.metricReported("web", metric: "queue-length", value: queueLength))
            }
            bench.load(inFlight: inFlight)
            bench.pass(.seconds(1))
        }
    }

    @Test("a reported metric scales out, and without it nothing is scaled in")
    func metric() {
        var bench = bench { $0.metrics = [ScalingMetric(name: "queue-length", targetPerInstance: 50)] }
        hold(&bench, .seconds(10), inFlight: 1, queueLength: 120)
        #expect(bench.backends.count == 3, "120 at 50 per instance")
        #expect(bench.events.last { $0.kind == "scaling.decided" }?.summary.contains("queue-length of 120") == true)
        hold(&bench, .seconds(700), inFlight: 1)
        #expect(bench.backends.count == 3, "it is not reported any more")
        hold(&bench, .seconds(700), inFlight: 1, queueLength: 0)
        #expect(bench.backends.count == 1)
    }

    @Test("what the service does not follow changes nothing")
    func unknownMetric() {
        var bench = bench { _ in }
        hold(&bench, .seconds(10), inFlight: 1, queueLength: 1_000)
        #expect(bench.backends.count == 1)
    }

    @Test("a schedule raises the minimum, and after it the load decides again")
    func schedule() throws {
        // The bench begins at 01:46:40.
        let from = try #require(TimeOfDay("02:20"))
        let until = try #require(TimeOfDay("02:50"))
        var bench = bench {
            $0.schedules = [ScalingSchedule(from: from, until: until, minimumInstances: 3)]
        }
        hold(&bench, .minutes(29), inFlight: 1)
        #expect(bench.backends.count == 1)
        hold(&bench, .minutes(6), inFlight: 1)
        #expect(bench.backends.count == 3)
        #expect(bench.events.last { $0.kind == "scaling.decided" }?.summary.contains("the minimum is 3") == true)
        hold(&bench, .minutes(36), inFlight: 1)
        #expect(bench.backends.count == 1)
    }

    @Test("a dry run records each decision once and changes nothing")
    func dryRun() {
        var bench = bench { $0.isDryRun = true }
        hold(&bench, .minutes(2), inFlight: 20)
        #expect(bench.backends.count == 1)
        let proposed = bench.events.filter { $0.kind == "scaling.decided.dry-run" }
        #expect(proposed.map { $0.details["to"] } == ["3"])
        #expect(!bench.events.contains { $0.kind == "scaling.decided" })
    }

    @Test("administrators are told once that the load stays high, with an offer where the maximum is in the way")
    func watch() throws {
        var bench = bench { $0.watch = ScalingWatch(abovePercent: 80, lasting: .minutes(1)) }
        hold(&bench, .minutes(5), inFlight: 39)
        #expect(bench.backends.count == 4)
        let told = bench.notifications.filter { $0.kind == "above-threshold" }
        #expect(told.count == 1)
        let offer = try #require(told.first?.offer)
        #expect(offer.constraint == .maximumInstances && offer.from == 4 && offer.to == 5)
        #expect(told.first?.consumer == nil)
    }

    /// One more request a minute: 28 in flight, 7 for each of four, would be reached in a quarter of an hour.
    @Test("administrators are told once, in time, that the load will reach the maximum, with an offer to raise it")
    func forecast() throws {
        var bench = bench { $0.watch = ScalingWatch(lasting: .minutes(1), limitForecast: .minutes(30)) }
        for minute in 0..<15 { hold(&bench, .minutes(1), inFlight: 5 + minute) }
        let told = bench.notifications.filter { $0.kind == "limit-forecast" }
        #expect(told.count == 1)
        #expect(told.first?.title == "web will reach its maximum of 4 instances")
        #expect(bench.backends.count < 4, "told before it is there")
        let offer = try #require(told.first?.offer)
        #expect(offer.constraint == .maximumInstances && offer.from == 4 && (5...8).contains(offer.to), "\(offer)")
    }

    @Test("administrators are told once that too much is allocated, and have nothing to click")
    func belowAllocation() {
        var bench = bench { $0.watch = ScalingWatch(belowPercent: 30, lasting: .minutes(1)) }
        hold(&bench, .minutes(1), inFlight: 20)
        #expect(bench.backends.count == 3)
        hold(&bench, .minutes(4), inFlight: 1)
        let told = bench.notifications.filter { $0.kind == "below-allocation" }
        #expect(told.count == 1 && told.first?.offer == nil && told.first?.severity == .info)
    }
}

import CloudController
import CloudModel
import Testing

/// Instances that wait, started, for a scale-out.
@Suite struct WarmPoolTests {
    private func bench(pool: Int = 2, maximum: Int = 5) -> Bench {
        var bench = Bench()
        var service = CloudService.web(minimum: 1, maximum: maximum, requestsPerInstance: 10)
        service.scaling.warmPool = WarmPool(instances: pool)
        bench.command(.configure(.only(service)))
        bench.pass(.seconds(20))
        return bench
    }

    private func hold(_ bench: inout Bench, _ span: TimeSpan, inFlight: Int) {
        let end = bench.now + span
        while bench.now < end {
            bench.load(inFlight: inFlight)
            bench.pass(.seconds(1))
        }
    }

    private func warm(_ bench: Bench) -> Int {
        bench.controller.instances.count { $0.role == .standby && $0.phase == .running && $0.operational == .up }
    }

    private func starts(_ bench: Bench) -> Int { bench.lifecycle.count { $0.kind == .start } }

    @Test("a scale-out is served at once, and the pool is filled again")
    func servesAtOnce() {
        var bench = bench()
        #expect(bench.backends == ["web-1"] && warm(bench) == 2, "started and not in the balance")
        bench.load(inFlight: 20)
        #expect(bench.backends.count == 3, "without any time passing")
        bench.pass(.seconds(20))
        #expect(warm(bench) == 2 && bench.controller.instances.count == 5)
    }

    @Test("the pool gives way to the work, up to the last place under the cap")
    func leavesRoom() {
        var bench = bench()
        hold(&bench, .seconds(10), inFlight: 28)
        #expect(bench.backends.count == 4 && warm(bench) == 1)
        hold(&bench, .seconds(10), inFlight: 60)
        #expect(bench.backends.count == 5 && warm(bench) == 0)
        #expect(bench.controller.instances.count == 5)
        hold(&bench, .minutes(7), inFlight: 0)
        #expect(bench.backends == ["web-1"])
        #expect(warm(bench) == 2 && bench.controller.instances.count == 3)
    }

    @Test("those that wait are in the books as running, and being taken is no second start")
    func isMetered() {
        var bench = bench()
        #expect(starts(bench) == 3)
        bench.load(inFlight: 20)
        bench.pass(.seconds(20))
        #expect(starts(bench) == 5, "two more for the pool, none again for the two that were taken")
        #expect(Set(bench.lifecycle.filter { $0.kind == .start }.map(\.instance)).count == 5)
        bench.command(.configure(.only(.web(minimum: 1, maximum: 5, requestsPerInstance: 10))))
        bench.pass(.seconds(20))
        #expect(warm(bench) == 0)
        #expect(bench.lifecycle.count { $0.kind == .stop } == 2, "the pool was removed")
    }

    @Test("one that fails while it waits is recovered, and takes no work from anybody")
    func failure() throws {
        var bench = bench()
        let waiting = try #require(bench.controller.instances.first { $0.role == .standby })
        bench.kill(waiting.id)
        #expect(bench.backends == ["web-1"])
        bench.pass(.minutes(1))
        #expect(bench.backends == ["web-1"] && warm(bench) == 2)
        #expect(!bench.events.contains { $0.kind == "load-balancer.distributing" })
    }
}

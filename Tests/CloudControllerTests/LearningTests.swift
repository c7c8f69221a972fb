import CloudController
import CloudModel
import Testing

/// A service whose configuration names no policy learns from its load which one is best.
@Suite struct LearningTests {
    private func bench(_ change: (inout CloudService) -> Void = { _ in }) -> Bench {
        var bench = Bench()
        var service = CloudService.web(minimum: 1, maximum: 20, requestsPerInstance: 10)
        change(&service)
        bench.command(.configure(.only(service)))
        bench.pass(.seconds(20))
        return bench
    }

    private func live(_ bench: inout Bench, minutes: Int) {
        for minute in 0..<minutes {
            bench.now = bench.now + .minutes(1)
            bench.load(inFlight: 60 + minute * 7_919 % 10)
        }
    }

    private func days(_ bench: Bench) -> [String] {
        bench.effects.compactMap { if case .persistDemand(_, _, let day) = $0 { day } else { nil } }
    }

    @Test func afterADayAPolicyIsChosenAndARestartKnowsIt() throws {
        var bench = bench()
        live(&bench, minutes: 1_400)
        #expect(!bench.events.contains { $0.kind == "scaling.policy.chosen" })
        live(&bench, minutes: 160)
        let chosen = try #require(bench.events.last { $0.kind == "scaling.policy.chosen" })
        #expect(chosen.details["before"] == "horizontal 70 % window 5m")
        #expect((140...161).contains(days(bench).count), "every ten minutes: \(days(bench).count)")
        bench.command(.shutDown)
        bench.restart()
        live(&bench, minutes: 10)
        let again = try #require(bench.events.last { $0.kind == "scaling.policy.chosen" })
        #expect(again.at > chosen.at)
        #expect(again.details["policy"] == chosen.details["policy"])
    }

    @Test func whatIsKnownIsStoredWhenThePlatformStops() {
        var bench = bench()
        live(&bench, minutes: 5)
        let before = days(bench).count
        bench.command(.shutDown)
        #expect(days(bench).count == before + 1)
    }

    @Test func nothingIsLearnedWhereNothingIsToBeDecided() {
        var fixed = bench { $0.constraints.minimumInstances = $0.constraints.maximumInstances }
        var named = bench { $0.scaling.policy = ScalingPolicySettings(kind: .react) }
        var switchedOff = bench { $0.scaling.learns = false }
        var slow = bench { $0.scaling.metrics = [ScalingMetric(.latency, target: 1_000)] }
        live(&switchedOff, minutes: 1_600)
        live(&slow, minutes: 30)
        #expect(days(switchedOff).isEmpty && days(slow).isEmpty)
        #expect(!switchedOff.events.contains { $0.kind == "scaling.policy.chosen" })
        live(&fixed, minutes: 30)
        live(&named, minutes: 30)
        #expect(days(fixed).isEmpty && days(named).isEmpty)
    }
}

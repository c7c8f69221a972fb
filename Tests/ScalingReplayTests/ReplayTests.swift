import CloudModel
import Foundation
import ScalingListener
import ScalingReplay
import Testing

@Suite struct ReplayTests {
    private func trace(_ demand: [Double?]) -> DemandTrace {
        DemandTrace(startsAt: .epoch, step: .minutes(1), demand: demand)
    }

    /// Worked by hand: React with two minutes of start-up.
    ///
    ///     minute   demand  ready  committed  wants
    ///     0        2       2      2          2
    ///     1        4       2      2          2 + int(1.2 * 2) = 4
    ///     2        4       2      4          4
    ///     3        4       4      4          4
    ///     4        (none)  4      4
    ///     5        1       4      4          1.1 < 4: 1.2, so 2
    ///     6        1       2      2          1.1 < 2: 2
    @Test func aSmallTraceByHand() {
        var settings = ReplaySettings(decisionSeconds: 60, startupSeconds: 120)
        settings.mindsNoise = false
        let result = Replay(settings).run(
            NamedPolicy("react", .react, ReactPolicy()), on: trace([2, 4, 4, 4, nil, 1, 1]), keepSupply: true)
        #expect(result.supply == [2, 2, 2, 4, 4, 4, 2])
        #expect(result.steps == 6)
        #expect(abs(result.instanceHours - Double(2 + 2 + 4 + 4 + 4 + 2) / 60) < 1e-12)
        #expect(abs(result.clairvoyantHours - Double(2 + 4 + 4 + 4 + 1 + 1) / 60) < 1e-12)
        #expect(result.missedSteps == 2)
        #expect(abs(result.missedWork - 4.0 / 16) < 1e-12)
        #expect((result.scaleOuts, result.scaleIns) == (1, 1))
        let metrics = result.elasticity
        #expect(abs(metrics.underProvisioning - 100 * (0.5 + 0.5) / 6) < 1e-9)
        #expect(abs(metrics.overProvisioning - 100 * (3.0 + 1.0) / 6) < 1e-9)
        #expect(abs(metrics.underProvisionedTime - 100 * 2.0 / 6) < 1e-9)
        #expect(abs(metrics.overProvisionedTime - 100 * 2.0 / 6) < 1e-9)
        // Need +, 0, 0, -, 0 and supply 0, 0, +, 0, -: four of five differ.
        #expect(abs(metrics.instability - 80) < 1e-9)
    }

    /// The same with one that waits and a cap of four: at minute 1 three of four serve at once, the pool has no room
    /// while four are committed, and from minute 5 on another one waits, two minutes later.
    ///
    ///     minute   demand  ready  committed  held
    ///     0        2       2      2          3
    ///     1        4       2      2          3    wants 4: one is warm, one starts
    ///     2        4       3      4          4
    ///     3        4       4      4          4
    ///     5        1       4      4          4    wants 2: the pool is filled again
    ///     6        1       2      2          3
    @Test func aWarmPoolByHand() {
        var settings = ReplaySettings(decisionSeconds: 60, startupSeconds: 120, maximumInstances: 4, warmPool: 1)
        settings.mindsNoise = false
        let result = Replay(settings).run(
            NamedPolicy("react", .react, ReactPolicy()), on: trace([2, 4, 4, 4, nil, 1, 1]), keepSupply: true)
        #expect(result.supply == [2, 2, 3, 4, 4, 4, 2])
        #expect(abs(result.instanceHours - Double(3 + 3 + 4 + 4 + 4 + 3) / 60) < 1e-12)
        #expect(abs(result.missedWork - 3.0 / 16) < 1e-12)
    }

    /// The replay against a loop of its own, written another way: arrays by minute instead of a supply with a queue.
    @Test func anIndependentComputationAgrees() {
        var state: UInt64 = 11
        let demand = (0..<3_000).map { minute -> Double in
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return 8 + 6 * sin(Double(minute) / 200) + Double(state >> 40) / 16_777_216 * 3
        }
        var settings = ReplaySettings()
        settings.mindsNoise = false
        let result = Replay(settings).run(NamedPolicy("react", .react, ReactPolicy()), on: trace(demand))
        var readyAt = [Int](repeating: 0, count: demand.count + 10)
        readyAt[0] = Int(demand[0].rounded(.up))
        var (ready, committed, missed, cost, lastIn, lastChange) = (0, readyAt[0], 0, 0, -999, -999)
        var hold = 0.0
        for minute in demand.indices {
            ready += readyAt[minute]
            cost += committed
            if demand[minute] > Double(ready) { missed += 1 }
            let needed = Int(demand[minute].rounded(.up))
            if needed > committed {
                let added = Int(1.2 * Double(needed - committed))
                readyAt[minute + 3] += added
                committed += added
                if Double(minute - lastIn) < max(15, hold) {
                    hold = min(max(5, 2 * hold), 120)
                    lastIn = -999
                }
                lastChange = minute
                continue
            }
            let fewer = max(
                1, Int((1.2 * Double(needed) - 1e-9).rounded(.up)), Int((demand[minute] / 0.95).rounded(.up)))
            guard 1.1 * demand[minute] < Double(committed), fewer < committed, ready == committed,
                Double(minute - lastChange) >= hold
            else { continue }
            if lastIn > -999, Double(minute - lastIn) >= max(15, hold) { hold = hold > 5 ? hold / 2 : 0 }
            ready -= committed - fewer
            committed = fewer
            (lastIn, lastChange) = (minute, minute)
        }
        #expect(result.missedSteps == missed)
        #expect(abs(result.instanceHours - Double(cost) / 60) < 1e-6)
    }

    @Test func aStartupThatIsNoWholeNumberOfStepsIsRoundedUp() {
        #expect(ReplaySettings(decisionSeconds: 60, startupSeconds: 180).startupSteps == 3)
        #expect(ReplaySettings(decisionSeconds: 60, startupSeconds: 181).startupSteps == 4)
    }

    @Test func elasticSpeedupIsTheMeanOfTheRatios() {
        var (mine, other) = (ElasticityMetrics(), ElasticityMetrics())
        (mine.underProvisioning, mine.overProvisioning) = (1, 2)
        (mine.underProvisionedTime, mine.overProvisionedTime) = (5, 50)
        (other.underProvisioning, other.overProvisioning) = (4, 4)
        (other.underProvisionedTime, other.overProvisionedTime) = (10, 50)
        #expect(mine.speedup(over: other).map { abs($0 - 2) < 1e-12 } == true, "(4 * 2 * 2 * 1)^(1/4)")
        #expect(mine.speedup(over: ElasticityMetrics()) == nil)
    }

    @Test func theTournamentChangesToWhatIsCheaper() {
        let settings = ReplaySettings()
        var policy = TournamentPolicy(ReplayComparison.catalogue(settings))
        let bounds = ReplayComparison(trace((0..<4_320).map { 12 + 6 * sin(Double($0) / 229) }), settings)
        #expect(policy.incumbentName == "horizontal 50 % window 15m")
        for minute in 0..<300 {
            _ = policy.wish(
                DemandSample(at: .epoch + .minutes(Int64(minute)), demand: 9.5, ready: 19, committed: 19))
        }
        #expect(policy.incumbentName != "horizontal 50 % window 15m")
        #expect(policy.switches >= 1)
        let start = bounds.policies.first { $0.name == "horizontal 50 % window 15m" }
        #expect(bounds.tournament.costRatio < (start?.costRatio ?? 0))
        #expect(bounds.tournament.missedTime <= settings.missBudget)
    }

    /// A noisy constant load: no hour after the first has more than one action, by any policy with any parameters.
    @Test(arguments: UInt64(1)...10)
    func nothingFlapsOnNoise(seed: UInt64) {
        let load = NoisyLoad.constant(seed: seed, minutes: 2_880)
        for entry in Self.everything {
            let most = Self.mostInAnHour(Replay(ReplaySettings()).run(entry, on: load, keepSupply: true))
            #expect(most <= 1, "\(entry.name): \(most) actions in an hour")
        }
    }

    /// What the guard is for: without it the same load has policies that act again and again.
    @Test func withoutTheGuardSomeDo() {
        var settings = ReplaySettings()
        settings.mindsNoise = false
        let load = NoisyLoad.constant(seed: 1, minutes: 2_880)
        let restless = Self.everything.filter {
            Self.mostInAnHour(Replay(settings).run($0, on: load, keepSupply: true)) > 1
        }
        #expect(restless.count > 10)
    }

    private static var everything: [NamedPolicy] {
        let catalogue = ReplayComparison.catalogue(ReplaySettings())
        return catalogue.all
            + ScalingPolicySettings.Kind.allCases.map { NamedPolicy($0.rawValue, $0, catalogue.policy($0)) }
    }

    private static func mostInAnHour(_ result: ReplayResult) -> Int {
        let steps = result.actionSteps.filter { $0 >= 60 }
        return steps.indices.map { first in steps[first...].prefix { $0 < steps[first] + 60 }.count }.max() ?? 0
    }
}

import CloudModel
import Foundation
import ScalingListener
import Testing

/// Each policy against examples worked by hand from its source's rules.
@Suite struct DemandPolicyTests {
    private func sample(
        _ second: Int64, _ demand: Double, ready: Int, committed: Int? = nil, unmeasured: Int = 0
    ) -> DemandSample {
        DemandSample(
            at: .epoch + .seconds(second), demand: demand, ready: ready, committed: committed ?? ready,
            unmeasured: unmeasured)
    }

    /// Kubernetes' documentation: twice the target doubles, half of it halves; held within a tenth.
    @Test(arguments: [
        (4, 4, 0, 4.0, 8), (4, 4, 0, 1.0, 2), (4, 4, 0, 2.1, 4), (4, 4, 0, 1.9, 4), (4, 4, 0, 2.4, 5),
        // Two that start count as idle: 2 / (4 * 0.5) is on target, so held.
        (2, 4, 0, 2.0, 4),
        // They do not stop a scale-out that is needed with them too: 3 / 2 = 1.5, of four is six.
        (2, 4, 0, 3.0, 6),
        // One without measurement counts as on target: (0.6 + 0.5) / 2 = 0.55, of four is ceil(2.2).
        (4, 4, 1, 0.6, 3),
        // It counts as idle when scaling out: 2 / (4 * 0.5) is on target, so held.
        (4, 4, 1, 2.0, 4),
    ])
    func horizontal(ready: Int, committed: Int, unmeasured: Int, demand: Double, wanted: Int) {
        let policy = HorizontalPolicy(target: 0.5)
        let shown = sample(0, demand, ready: ready, committed: committed, unmeasured: unmeasured)
        #expect(policy.recommend(shown).instances == wanted)
    }

    @Test func horizontalGrowsByFourOrDoubles() {
        var policy = HorizontalPolicy(target: 0.5)
        #expect(policy.wish(sample(0, 30, ready: 3)).instances == 7, "3 + 4")
        #expect(policy.wish(sample(5, 30, ready: 7)).instances == 7, "no more within the same 15 s")
        #expect(policy.wish(sample(15, 30, ready: 7)).instances == 14, "2 * 7")
    }

    @Test func horizontalScalesInToTheHighestOfFiveMinutes() {
        var policy = HorizontalPolicy(target: 0.5)
        #expect(policy.wish(sample(0, 5, ready: 10)).instances == 10)
        #expect(policy.wish(sample(60, 1, ready: 10)).instances == 10)
        #expect(policy.wish(sample(300, 1, ready: 10)).instances == 10)
        #expect(policy.wish(sample(361, 1, ready: 10)).instances == 2)
    }

    @Test func targetTrackingNeedsThreePeriodsOutAndFifteenIn() {
        var policy = TargetTrackingPolicy(target: 0.5, warmUp: .zero)
        #expect(policy.wish(sample(0, 6, ready: 10)).instances == 10)
        #expect(policy.wish(sample(60, 6, ready: 10)).instances == 10)
        #expect(policy.wish(sample(120, 6.1, ready: 10)).instances == 13, "12.2, rounded up")
        #expect(policy.wish(sample(180, 6.1, ready: 10, committed: 13)).instances == 13, "warming up is no capacity")
        for minute in 4..<18 {
            #expect(policy.wish(sample(Int64(minute) * 60, 4.9, ready: 13)).instances == 13)
        }
        #expect(policy.wish(sample(18 * 60, 4.9, ready: 13)).instances == 10, "9.8: three go, not four")
        var other = TargetTrackingPolicy(target: 0.5)
        for minute in 0..<30 {
            #expect(other.wish(sample(Int64(minute) * 60, 4.6, ready: 10)).instances == 10, "not below 90 %")
        }
    }

    @Test func stepsArePercentagesOfWhatServes() {
        #expect(StepPolicy.adjustment(0.1, of: 6) == 1, "0.6 is one")
        #expect(StepPolicy.adjustment(0.3, of: 22) == 6, "6.6 is six")
        var policy = StepPolicy(upper: 0.7, lower: 0.4, duration: .seconds(60), quietTime: .seconds(120))
        #expect(policy.wish(sample(0, 7.5, ready: 10)).instances == 10, "it has to last")
        #expect(policy.wish(sample(60, 7.5, ready: 10)).instances == 11, "10 %")
        #expect(policy.wish(sample(120, 9, ready: 10, committed: 11)).instances == 11, "quiet")
        #expect(policy.wish(sample(180, 9, ready: 10, committed: 11)).instances == 13, "30 % less what warms up")
        #expect(policy.wish(sample(300, 3, ready: 13)).instances == 13)
        #expect(policy.wish(sample(360, 3, ready: 13)).instances == 10, "30 % of 13 is 3")
    }

    @Test func panicTakesTheShortWindowAndNeverGoesDown() {
        var policy = PanicWindowPolicy(target: 0.7)
        for second in stride(from: Int64(0), to: 60, by: 2) {
            #expect(policy.wish(sample(second, 1.4, ready: 2)).instances == 2)
        }
        // The last three samples of six seconds: (1.4 + 1.4 + 14) / 3 / 0.7 = 8; at 2 instances that is panic.
        #expect(policy.wish(sample(60, 14, ready: 2)) == DemandWish(8, .panic((1.4 + 1.4 + 14) / 3)))
        #expect(policy.wish(sample(62, 0, ready: 2, committed: 8)).instances == 8)
        #expect(policy.wish(sample(100, 0, ready: 8)).instances == 8)
        let after = policy.wish(sample(130, 0.7, ready: 8)).instances
        #expect(after == 4, "over a minute later; by half at most")
    }

    @Test func panicWindowGoesToZeroAfterTheGrace() {
        var policy = PanicWindowPolicy()
        #expect(policy.wish(sample(0, 0, ready: 1)).instances == 1)
        #expect(policy.wish(sample(29, 0, ready: 1)).instances == 1)
        #expect(policy.wish(sample(30, 0, ready: 1)).instances == 0)
        #expect(policy.wish(sample(32, 0.1, ready: 0)).instances == 1)
    }

    @Test func react() {
        var policy = ReactPolicy()
        #expect(policy.wish(sample(0, 7.4, ready: 5)).instances == 8, "8 - 5 = 3, times 1.2 is 3")
        #expect(policy.wish(sample(60, 4, ready: 10)).instances == 5, "4.8")
        #expect(policy.wish(sample(120, 4.6, ready: 5)).instances == 5, "1.1 times the demand is more than there are")
    }

    /// A parabola is continued exactly.
    @Test func regressionScalesInByTheFit() {
        var policy = RegressionPolicy(samples: 10)
        for step in 0..<9 { #expect(policy.wish(sample(Int64(step), 100, ready: 105)).instances == 105) }
        var falling = RegressionPolicy(samples: 10)
        var wish = DemandWish(0, .steady)
        for step in 0..<10 {
            wish = falling.wish(sample(Int64(step), 200 - Double(step * step), ready: 300))
        }
        // At the tenth: 200 - 100; times 1.2. But no fewer than the present demand asks for: 119 * 1.05 = 124.95.
        guard case .forecast(let next, _) = wish.reason else { return #expect(Bool(false), "\(wish)") }
        #expect(abs(next - 100) < 1e-9)
        #expect(wish.instances == 125)
    }

    @Test func histogramTakesTheHoursPercentile() {
        var policy = HistogramPolicy(percentile: 0.9)
        for minute in 0..<60 {
            let wish = policy.wish(sample(Int64(minute) * 60, minute < 54 ? 10 : 100, ready: 200))
            #expect(wish.instances == (minute < 54 ? 11 : 105), "no history: 1.05 times the demand")
        }
        let wish = policy.wish(sample(86_400, 10, ready: 200)).instances
        #expect((10...11).contains(wish), "nine tenths were 10, in buckets of 5 %: \(wish)")
        for minute in 1..<8 { _ = policy.wish(sample(86_400 + Int64(minute) * 60, 30, ready: 11)) }
        #expect(policy.wish(sample(86_400 + 480, 30, ready: 11)).instances == 32, "often short: 31.5")
    }

    @Test func seasonalKnowsTheNextDay() {
        var policy = SeasonalPolicy(target: 0.8, forecastTarget: 1, horizon: .minutes(10), scaleInWindow: .zero)
        for minute in 0..<1_440 {
            let busy = (600..<660).contains(minute)
            let wish = policy.wish(sample(Int64(minute) * 60, busy ? 20 : 4, ready: 5))
            #expect(wish.instances == (busy ? 25 : 5), "the first day is reactive")
        }
        #expect(policy.wish(sample(86_400 + 585 * 60, 4, ready: 5)).instances == 5)
        #expect(policy.wish(sample(86_400 + 591 * 60, 4, ready: 5)).instances == 20, "expected within ten minutes")
    }

    /// Tabulated: C(3, 2) = 4/9, C(4, 2) = 4/23.
    @Test(arguments: [(0.45, 3), (0.44, 4), (0.18, 4), (0.17, 5)])
    func queueing(late: Double, wanted: Int) {
        let policy = QueueingPolicy(latePart: late, waitInServiceTimes: 0)
        #expect(policy.fewest(forOffered: 2).instances == wanted)
    }

    @Test func queueingWaitsAnObjective() {
        // 4/9 * exp(-(3 - 2)) = 0.1635 of the requests wait longer than a service time.
        #expect(QueueingPolicy(latePart: 0.164, waitInServiceTimes: 1).fewest(forOffered: 2).instances == 3)
        #expect(QueueingPolicy(latePart: 0.163, waitInServiceTimes: 1).fewest(forOffered: 2).instances == 4)
        let absurd = QueueingPolicy().fewest(forOffered: DemandSample.largest).instances
        #expect(absurd >= 1_000_000 && absurd < 1_010_000)
    }

    /// On independent noise the expert is short about as often as it may be.
    @Test func expertsAreCalibrated() {
        var policy = ExpertsPolicy(missBudget: 0.05, rate: 0.02, startupSteps: 3)
        var supply = ShadowSupply(ready: 20, startupTime: .minutes(3))
        var random = SplitMix(state: 7)
        var missed = 0
        for step in 0..<20_000 {
            let now = Timestamp.epoch + .minutes(Int64(step))
            supply.advance(to: now)
            let shown = DemandSample(
                at: now, demand: 10 + 90 * random.unit() * random.unit(), ready: supply.ready,
                committed: supply.committed)
            if step >= 10_000, shown.demand > Double(shown.ready) { missed += 1 }
            supply.set(policy.wish(shown).instances, at: now)
        }
        #expect((200...900).contains(missed), "\(missed) of 10000 with a budget of 500")
    }

    @Test(arguments: [1e-9, 0.3, 0.5, 1, 2, 10, 12_345.678])
    func functions(value: Double) {
        #expect(abs(Elementary.logarithm(value) - log(value)) < 1e-12)
        #expect(abs(Elementary.exponential(-value) - exp(-min(value, 700))) < 1e-12)
    }

    @Test(arguments: ScalingPolicySettings.Kind.allCases)
    func absurdSamplesDoNotTrap(kind: ScalingPolicySettings.Kind) {
        var policy = PolicyCatalogue(decisionInterval: .minutes(1), startupTime: .minutes(3), missBudget: 0.01)
            .policy(kind)
        for (index, demand) in [0, -1, .nan, .infinity, 1e300, 0.0, 3].enumerated() {
            let wish = policy.wish(sample(Int64(index) * 60, demand, ready: index == 3 ? 0 : 3, unmeasured: 9))
            #expect(wish.instances >= 0)
        }
    }
}

/// Random numbers that are the same on every run.
struct SplitMix {
    var state: UInt64

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }

    mutating func unit() -> Double { Double(next() >> 11) / 9_007_199_254_740_992 }
}

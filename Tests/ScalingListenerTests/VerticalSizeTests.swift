import CloudModel
import ScalingListener
import Testing

/// By hand, from the rules of Kubernetes' Vertical Pod Autoscaler and of Autothrottle.
@Suite struct VerticalSizeTests {
    private func at(_ minute: Int) -> Timestamp { .epoch + .minutes(Int64(minute)) }

    /// The buckets begin at 0, 10, 20.5 and 31.525; a percentile is the end of its bucket.
    @Test(arguments: [(0.0, 10.0), (9.9, 10), (10, 20.5), (20.4, 20.5), (20.5, 31.525), (31, 31.525)])
    func buckets(value: Double, end: Double) {
        var histogram = ProcessorHistogram()
        histogram.add(value, given: 1_000, at: at(0))
        #expect(abs(histogram.percentile(0.9) - end) < 1e-9)
    }

    @Test func percentilesCountWeights() {
        var histogram = ProcessorHistogram()
        for _ in 0..<9 { histogram.add(5, given: 1_000, at: at(0)) }
        histogram.add(15, given: 1_000, at: at(0))
        #expect(abs(histogram.percentile(0.9) - 10) < 1e-9, "nine of ten")
        #expect(abs(histogram.percentile(0.91) - 20.5) < 1e-9)
        // One sample of a server of twenty cores weighs as much as twenty others.
        histogram.add(15, given: 20_000, at: at(0))
        #expect(abs(histogram.percentile(0.5) - 20.5) < 1e-9)
        var small = ProcessorHistogram()
        small.add(5, given: 100, at: at(0))
        small.add(15, given: 1, at: at(0))
        #expect(abs(small.percentile(0.5) - 10) < 1e-9, "a tenth of a core at least: both weigh the same")
    }

    /// After a day a sample weighs half: three old ones against two new ones are 1.5 to 2.
    @Test func halfIsForgottenInADay() {
        var histogram = ProcessorHistogram()
        for _ in 0..<3 { histogram.add(5, given: 1_000, at: at(0)) }
        for _ in 0..<2 { histogram.add(15, given: 1_000, at: at(1_440)) }
        #expect(abs(histogram.percentile(0.42) - 10) < 1e-9, "1.5 of 3.5 is 42.9 %")
        #expect(abs(histogram.percentile(0.44) - 20.5) < 1e-9)
        // A year later nothing is left of them, and nothing overflows.
        histogram.add(25, given: 1_000, at: at(365 * 1_440))
        #expect(abs(histogram.percentile(0.01) - 31.525) < 1e-9)
        #expect(histogram.size != nil)
    }

    /// Two days of a sample a minute: the confidence is just below 2, so the upper bound is 1.5 times as much.
    @Test func theBoundsAreWiderTheLessIsKnown() throws {
        var histogram = ProcessorHistogram()
        #expect(histogram.size == nil)
        for minute in 0...2_880 { histogram.add(15, given: 1_000, at: at(minute)) }
        #expect(histogram.confidence == 2)
        // 20.5 and 15 % are 23.575; times 1.5 is 35.36; less than 25 is never recommended.
        #expect(histogram.size == RecommendedSize(target: 25, lower: 25, upper: 36))
        var first = ProcessorHistogram()
        for minute in 0..<15 { first.add(1_000, given: 1_000, at: at(minute)) }
        // 14 minutes are 0.009722 days: upper times 103.9, lower over 1.10286 squared.
        let end = first.percentile(0.5)
        let size = try #require(first.size)
        #expect((1_000...1_051).contains(end))
        #expect(size.target == Int((end * 1.15).rounded(.up)))
        #expect(size.lower == Int((end * 1.15 / (1.102_857 * 1.102_857)).rounded(.up)))
        #expect(abs(Double(size.upper) - end * 1.15 * 103.857) < 20)
    }

    @Test func withinTheBoundsNothingIsChanged() {
        let size = RecommendedSize(target: 800, lower: 500, upper: 1_000)
        #expect(size.change(from: 500, atMost: 4_000) == nil)
        #expect(size.change(from: 1_000, atMost: 4_000) == nil)
        #expect(size.change(from: 400, atMost: 4_000) == 800)
        #expect(size.change(from: 2_000, atMost: 4_000) == 800)
        #expect(size.change(from: 400, atMost: 600) == 600)
        #expect(size.change(from: 400, atMost: 400) == nil, "it is as large as it may be")
    }

    /// Throttled for 0.5 of the periods at a target of 0.1: 0.5 - 0.3 more.
    @Test func aQuotaThatThrottlesGrows() {
        var quota = ThrottlingQuota(quota: 1_000)
        quota.decide(throttled: 0.5)
        #expect(abs(quota.quota - 1_200) < 1e-9)
    }

    @Test func aQuotaThatIsNotUsedShrinksToTheHighestUsage() {
        var quota = ThrottlingQuota(quota: 1_000)
        for _ in 0..<50 { quota.used(700) }
        quota.decide(throttled: 0)
        #expect(quota.quota == 700, "no variation, no margin")
        for _ in 0..<50 { quota.used(650) }
        quota.decide(throttled: 0)
        #expect(quota.quota == 700, "more than 90 % is used")
        for _ in 0..<50 { quota.used(10) }
        quota.decide(throttled: 0)
        #expect(quota.quota == 350, "by half at most")
        quota.decide(throttled: 0.31)
        #expect(quota.quota == 700, "that was too far: back")
    }

    /// Throttled at 0.3, which is not above three times the target: the margin becomes 0.2 deviations. Half at 300 and
    /// half at 500 deviate by 100: 500 + 20.
    @Test func theMarginIsLearned() {
        var quota = ThrottlingQuota(quota: 1_000)
        for index in 0..<50 { quota.used(index % 2 == 0 ? 300 : 500) }
        quota.decide(throttled: 0.3)
        #expect(abs(quota.quota - 520) < 1e-9)
    }
}

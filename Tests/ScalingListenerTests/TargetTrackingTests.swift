import CloudModel
import ScalingListener
import Testing

/// Warm-up of AWS Auto Scaling's target tracking, worked by hand. The target is one half; five minutes of warm-up.
@Suite struct TargetTrackingTests {
    private func sample(
        _ minute: Int64, _ demand: Double, ready: Int, committed: Int? = nil, unmeasured: Int = 0
    ) -> DemandSample {
        DemandSample(
            at: .epoch + .minutes(minute), demand: demand, ready: ready, committed: committed ?? ready,
            unmeasured: unmeasured)
    }

    /// 4.9 over 13 would be 38 %, below 45 %: a low alarm since minute 4. Over the 10 that are warm it is 49 %, and
    /// only from minute 9 on, when the three that came at minute 4 count, it is low; 14 minutes later three go.
    @Test func whatWarmsUpDoesNotLowerTheMean() {
        var policy = TargetTrackingPolicy(target: 0.5)
        for minute in Int64(0)..<2 { #expect(policy.wish(sample(minute, 6.1, ready: 10)).instances == 10) }
        #expect(policy.wish(sample(2, 6.1, ready: 10)).instances == 13, "12.2, rounded up")
        #expect(policy.wish(sample(3, 6.1, ready: 10, committed: 13)).instances == 13)
        for minute in Int64(4)..<23 {
            #expect(policy.wish(sample(minute, 4.9, ready: 13)).instances == 13, "minute \(minute)")
        }
        #expect(policy.wish(sample(23, 4.9, ready: 13)).instances == 10, "9.8: three go, not four")
    }

    /// While they serve and warm up, the same breach does not add them again, and a larger one adds the difference.
    @Test func whatWarmsUpIsNotAskedForAgain() {
        var policy = TargetTrackingPolicy(target: 0.5)
        for minute in Int64(0)..<3 { _ = policy.wish(sample(minute, 6.1, ready: 10)) }
        for minute in Int64(3)..<7 { #expect(policy.wish(sample(minute, 6.1, ready: 13)).instances == 13) }
        #expect(policy.wish(sample(7, 7.1, ready: 13)).instances == 15, "14.2, of which 13 are there")
    }

    /// The load falls to nearly nothing right after a scale-out: low since minute 3 even over those that are warm, and
    /// at minute 17 it has lasted. But two came at minute 16, so nothing goes before minute 21.
    @Test func nothingGoesWhileOthersWarmUp() {
        var policy = TargetTrackingPolicy(target: 0.5)
        for minute in Int64(0)..<3 { _ = policy.wish(sample(minute, 6, ready: 10)) }
        for minute in Int64(3)..<16 {
            #expect(policy.wish(sample(minute, 1, ready: 10, committed: 12)).instances == 12)
        }
        #expect(policy.wish(sample(15, 1, ready: 10, committed: 12)) == DemandWish(12, .warmingUp(2)))
        for minute in Int64(16)..<21 {
            #expect(policy.wish(sample(minute, 1, ready: 12)) == DemandWish(12, .warmingUp(2)), "minute \(minute)")
        }
        #expect(policy.wish(sample(21, 1, ready: 12)).instances == 2)
    }

    /// Ten serve, four of them without a measurement: 3 over the six others are half, so nothing is low.
    @Test func whatIsNotMeasuredDoesNotLowerTheMean() {
        var policy = TargetTrackingPolicy(target: 0.5)
        for minute in Int64(0)..<30 {
            #expect(policy.wish(sample(minute, 3, ready: 10, unmeasured: 4)).instances == 10)
        }
        for minute in Int64(30)..<44 { #expect(policy.wish(sample(minute, 3, ready: 10)).instances == 10) }
        #expect(policy.wish(sample(44, 3, ready: 10)).instances == 6)
    }

    /// One that goes while others warm up is the newest; then nobody warms up any more.
    @Test func theNewestGoFirst() {
        var policy = TargetTrackingPolicy(target: 0.5, lowFor: .zero)
        _ = policy.wish(sample(0, 4, ready: 10))
        _ = policy.wish(sample(1, 4, ready: 12))
        #expect(policy.wish(sample(2, 4, ready: 10)).instances == 8, "4 over 10 warm ones is below 45 %")
    }
}

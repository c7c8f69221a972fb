import CloudModel
import ScalingListener
import Testing

/// `behavior` of Kubernetes' HorizontalPodAutoscaler against examples worked by hand from its documentation and from
/// the rules of its source. The target is one half, so a demand of n/2 asks for n.
@Suite struct BehaviorLimitsTests {
    private func policy(up: ScalingRules? = nil, down: ScalingRules? = nil) -> HorizontalPolicy {
        HorizontalPolicy(target: 0.5, behavior: ScalingBehavior(scaleUp: up, scaleDown: down))
    }

    private func rules(
        _ limits: [ScalingRules.Limit], _ selection: ScalingRules.Selection = .max, window: Int64 = 0
    ) -> ScalingRules {
        ScalingRules(limits, selection: selection, window: .seconds(window))
    }

    /// What comes of asking for `wanted` every so many seconds, from `count` on, where each wish is followed at once.
    private func walk(
        _ policy: HorizontalPolicy, from count: Int, asking wanted: [Int], every seconds: Int64
    ) -> [Int] {
        var policy = policy
        var count = count
        return wanted.enumerated().map { step, wanted in
            let sample = DemandSample(
                at: .epoch + .seconds(seconds * Int64(step)), demand: Double(wanted) / 2, ready: count,
                committed: count)
            count = policy.wish(sample).instances
            return count
        }
    }

    /// The documentation's example: of 80, 10 % are 8; of 72 they are 7.2, rounded up to 8; below 40 four at a time.
    @Test func scalesInByTheLargerOfTwoLimits() {
        let both = [ScalingRules.Limit(.pods, 4, period: .seconds(60)), .init(.percent, 10, period: .seconds(60))]
        let wanted = [Int](repeating: 10, count: 16)
        #expect(
            walk(policy(down: rules(both)), from: 80, asking: wanted, every: 60)
                == [72, 64, 57, 51, 45, 40, 36, 32, 28, 24, 20, 16, 12, 10, 10, 10])
        // Min: the smaller change: 10 % of 80 are more than four, of 36 3.6 are fewer; of 9 it is one, not four.
        #expect(walk(policy(down: rules(both, .min)), from: 80, asking: [10], every: 60) == [76])
        #expect(walk(policy(down: rules(both, .min)), from: 30, asking: [10], every: 60) == [27])
        #expect(walk(policy(down: rules(both, .min)), from: 9, asking: [1], every: 60) == [8])
    }

    /// Percentages are rounded up when scaling out: 10 % of 5 is one, of 11 two.
    @Test(arguments: [(5, 6), (11, 13), (20, 22), (1, 2)])
    func aPercentageOutIsRoundedUp(count: Int, most: Int) {
        let tenth = rules([.init(.percent, 10, period: .seconds(60))])
        #expect(walk(policy(up: tenth), from: count, asking: [100], every: 60) == [most])
    }

    @Test func severalLimitsOut() {
        let both = [ScalingRules.Limit(.percent, 100, period: .seconds(15)), .init(.pods, 4, period: .seconds(15))]
        #expect(walk(policy(up: rules(both)), from: 3, asking: [60, 60, 60], every: 15) == [7, 14, 28])
        #expect(walk(policy(up: rules(both, .min)), from: 3, asking: [60, 60, 60], every: 15) == [6, 10, 14])
        #expect(walk(policy(), from: 3, asking: [60, 60, 60], every: 15) == [7, 14, 28], "as without a behaviour")
    }

    /// Two in a minute: what came within the last minute counts, from when it was decided.
    @Test func aPeriodCountsFromWhatThereWasWhenItBegan() {
        let two = rules([.init(.pods, 2, period: .seconds(60))])
        #expect(
            walk(policy(up: two), from: 10, asking: [30, 30, 30, 30, 30, 30], every: 20) == [12, 12, 12, 14, 14, 14])
        // 14 - 4 that came + 0 that went is 10, as 15 s before; two fewer than that are 8.
        let down = policy(up: rules([.init(.pods, 4, period: .seconds(60))]), down: two)
        #expect(walk(down, from: 10, asking: [30, 4], every: 15) == [14, 8])
        // 8 + 2 that went is 10: four more than that.
        #expect(walk(down, from: 10, asking: [4, 30], every: 15) == [8, 14])
    }

    @Test func aDisabledDirectionNeverMoves() {
        let limits = ScalingRules.usualScaleUp.limits
        #expect(walk(policy(up: rules(limits, .disabled)), from: 5, asking: [50, 50, 2], every: 600) == [5, 5, 2])
        #expect(walk(policy(down: rules(limits, .disabled)), from: 5, asking: [2, 2, 8], every: 600) == [5, 5, 8])
    }

    /// Out to the lowest wish of the window, in to the highest. What there was at first counts as a wish.
    @Test func windows() {
        let out = policy(up: rules(ScalingRules.usualScaleUp.limits, window: 60))
        #expect(walk(out, from: 4, asking: [8, 8, 8, 7, 8], every: 30) == [4, 4, 4, 7, 7])
        let inwards = policy(down: rules(ScalingRules.usualScaleDown.limits, window: 60))
        #expect(walk(inwards, from: 8, asking: [4, 4, 4, 5, 4], every: 30) == [8, 8, 8, 5, 5])
    }

    /// A wish that nobody followed uses up nothing of the period.
    @Test func onlyWhatHappenedCounts() {
        var policy = policy(up: rules([.init(.pods, 2, period: .seconds(60))]))
        for second in stride(from: Int64(0), to: 60, by: 15) {
            let sample = DemandSample(at: .epoch + .seconds(second), demand: 20, ready: 10, committed: 10)
            #expect(policy.wish(sample) == DemandWish(12, .limited(40)))
        }
    }

    private func decision(_ behavior: ScalingBehavior?) -> ScalingDecision {
        var listener = ScalingListenerDecision()
        return listener.decide(
            LoadSample(service: "web", at: .epoch, requestsInFlight: 20, requestsQueued: 30),
            .init(instances: 2, starting: 0, ceiling: 100, minimum: 1),
            constraints: WorkloadConstraints(maximumInstances: 100, concurrentRequestsPerInstance: 10),
            settings: ScalingSettings(policy: ScalingPolicySettings(kind: .horizontal, behavior: behavior)),
            at: .epoch)
    }

    /// Requests that wait ask for more at once, but not beyond limits that somebody set.
    @Test func requestsThatWaitObeyLimitsThatWereSet() {
        func count(_ decision: ScalingDecision) -> Int? {
            guard case .scaleOut(let count, _) = decision else { return nil }
            return count
        }
        #expect(count(decision(nil)) == 8, "50 requests at 7 each")
        #expect(count(decision(ScalingBehavior(scaleDown: .usualScaleDown))) == 8)
        let one = rules([.init(.pods, 1, period: .seconds(60))])
        #expect(count(decision(ScalingBehavior(scaleUp: one))) == 3)
        #expect(count(decision(ScalingBehavior(scaleUp: rules(one.limits, .disabled)))) == nil)
    }
}

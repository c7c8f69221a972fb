import CloudModel
import Foundation
import ScalingListener
import ScalingReplay
import Testing

/// The decision that scales a service, on the samples of a history, decides as the replay does.
@Suite struct LiveEqualsReplayTests {
    @Test(arguments: ScalingPolicySettings.Kind.allCases)
    func theSameCounts(kind: ScalingPolicySettings.Kind) {
        // Tenths of an instance, since a sample counts whole requests.
        let demand = (0..<400).map { minute -> Double in
            let burst: Double = (150..<180).contains(minute) ? 9 : 0
            return ((6 + 4 * sin(Double(minute) / 40) + burst) * 10).rounded() / 10
        }
        let trace = DemandTrace(startsAt: .epoch, step: .minutes(1), demand: demand)
        let settings = ReplaySettings()
        let policy = ReplayComparison.catalogue(settings).policy(kind, target: 1)
        let replayed = Replay(settings).run(NamedPolicy("replayed", kind, policy), on: trace, keepSupply: true)

        var listener = ScalingListenerDecision()
        let scaling = ScalingSettings(
            targetConcurrency: 10, scaleOutCooldown: .zero, scaleInStabilisation: .zero, tolerancePercent: 0,
            policy: ScalingPolicySettings(kind: kind, decisionInterval: .minutes(1), startupTime: .minutes(3)))
        var supply = ShadowSupply(ready: Int(demand[0].rounded(.up)), startupTime: .minutes(3))
        var served: [Int] = []
        for (minute, value) in demand.enumerated() {
            let now = Timestamp.epoch + .minutes(Int64(minute))
            supply.advance(to: now)
            served.append(supply.ready)
            let decision = listener.decide(
                LoadSample(service: "web", at: now, requestsInFlight: Int((value * 10).rounded())),
                .init(
                    instances: supply.committed, starting: supply.starting, ceiling: 10_000, minimum: 1),
                constraints: WorkloadConstraints(maximumInstances: 10_000), settings: scaling, at: now)
            switch decision {
            case .hold: break
            case .scaleOut(let count, let reason), .scaleIn(let count, let reason):
                supply.set(count, at: now)
                #expect(reason.description.contains(kind.rawValue), "\(reason)")
            }
        }
        #expect(served == replayed.supply)
        #expect(replayed.actions > 0)
    }

    /// Between two decisions the count stays, and the highest sample of the interval is not lost.
    @Test func decidesAtItsIntervalByTheHighestSample() {
        var listener = ScalingListenerDecision()
        let scaling = ScalingSettings(
            targetConcurrency: 10, scaleOutCooldown: .zero, scaleInStabilisation: .zero,
            policy: ScalingPolicySettings(kind: .react, decisionInterval: .seconds(15)))
        func decide(_ second: Int64, _ requests: Int) -> ScalingDecision {
            let now = Timestamp.epoch + .seconds(second)
            return listener.decide(
                LoadSample(service: "web", at: now, requestsInFlight: requests),
                .init(instances: 2, starting: 0, ceiling: 10, minimum: 1),
                constraints: .init(maximumInstances: 10), settings: scaling, at: now)
        }
        #expect(decide(0, 20) == .hold(.fits(2)))
        #expect(decide(5, 60) == .hold(.fits(2)))
        #expect(decide(10, 20) == .hold(.fits(2)))
        guard case .scaleOut(6, _) = decide(15, 20) else {
            Issue.record("six were needed at one time: 2 + int(1.2 * 4) = 6")
            return
        }
    }

    @Test func missingDataNeverScalesInAndTheCeilingHolds() {
        var listener = ScalingListenerDecision()
        let scaling = ScalingSettings(
            targetConcurrency: 1, scaleInStabilisation: .zero,
            policy: ScalingPolicySettings(kind: .horizontal, decisionInterval: .seconds(1)))
        let situation = ScalingListenerDecision.Situation(instances: 5, starting: 0, ceiling: 5, minimum: 1)
        let constraints = WorkloadConstraints(maximumInstances: 5)
        #expect(
            listener.decide(nil, situation, constraints: constraints, settings: scaling, at: .epoch)
                == .hold(.noData))
        let busy = LoadSample(service: "web", at: .epoch, requestsInFlight: 40)
        guard
            case .hold(.atCeiling(5, _)) = listener.decide(
                busy, situation, constraints: constraints, settings: scaling, at: .epoch)
        else {
            Issue.record("beyond the ceiling")
            return
        }
    }
}

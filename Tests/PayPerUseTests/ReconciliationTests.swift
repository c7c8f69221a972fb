import CloudModel
import PayPerUse
import Testing

private let window = SeededCloud.window

private func second(_ seconds: Int64) -> Timestamp { window.start + .seconds(seconds) }

private func event(
    _ kind: LifecycleEvent.Kind, _ seconds: Int64, _ instance: InstanceID = "shop-1", incarnation: Int = 1
) -> LifecycleEvent {
    LifecycleEvent(
        instance: instance, incarnation: incarnation, service: "shop", owner: "acme", kind: kind, at: second(seconds),
        resources: ResourceLimits(cpuMillicores: 1_000))
}

/// Requests of one instance, each from and to a second.
private func reconciled(
    _ events: [LifecycleEvent], heartbeats: [InstanceID: Int64] = [:], requests: [(Int64, Int64)] = [],
    aborted: Int64 = 0, instance: InstanceID = "shop-1", unwatched: Set<ServiceID> = []
) -> Reconciliation {
    let beats = heartbeats.mapValues(second)
    var result = Reconciliation(
        UsageReconstruction(events, lastHeartbeats: beats, lease: .seconds(60), now: window.end),
        lastHeartbeats: beats, window: window, owners: ["shop": "acme"], unwatched: unwatched)
    for (_, end) in requests {
        let hour = second(end - end % 3_600)
        result.takeHour(
            MonitoredUsage(
                service: "shop", instance: instance, periodStart: hour, requests: 1, aborted: aborted,
                busyMicroseconds: 1))
    }
    for question in result.questions {
        let found = requests.filter { question.window.start <= second($0.1) && second($0.1) < question.window.end }
        guard let first = found.map(\.0).min(), let last = found.map(\.1).max() else { continue }
        result.answer(
            InstanceActivity(
                service: question.service, instance: question.instance, requests: Int64(found.count),
                busyMicroseconds: 1, firstAt: second(first), lastAt: second(last)))
    }
    return result
}

private func found(_ result: Reconciliation) -> [String] {
    result.instances().flatMap(\.differences).map { "\($0.cause.rawValue) \($0.microseconds / 1_000_000)" }
}

private let life = [event(.start, 1_000), event(.stop, 2_000)]

@Suite struct ReconciliationTests {
    @Test func whatFitsIsSettled() {
        #expect(
            found(reconciled(life, heartbeats: ["shop-1": 1_999], requests: [(1_000, 1_001), (1_990, 1_999)])).isEmpty)
    }

    @Test func whatNoAgentWatchesIsSaidToBeSo() {
        let requests: [(Int64, Int64)] = [(998, 999), (9_000, 9_100)]
        let result = reconciled([], requests: requests, unwatched: ["shop"])
        #expect(result.questions.isEmpty, "there is no life that they could be outside of")
        #expect(found(result) == ["unwatched 0"])
        #expect(result.instances().flatMap(\.differences).map(\.count) == [2])
        // One that ran once, before the service was given addresses, has a life.
        #expect(found(reconciled(life, requests: [(998, 999)], unwatched: ["shop"])) == ["outside-lifetime 1"])
        #expect(found(reconciled([], requests: [(998, 999)], unwatched: ["other"])) == ["outside-lifetime 1"])
    }

    @Test func requestsBesideALifeAreAMatterOfClocks() {
        #expect(found(reconciled(life, requests: [(1_999, 2_001)])) == ["clock-skew 1"])
        #expect(found(reconciled(life, requests: [(998, 1_000)])).isEmpty, "it was completed in the instance's life")
        #expect(found(reconciled(life, requests: [(998, 999)])) == ["outside-lifetime 1"], "both ends are outside")
        #expect(found(reconciled(life, requests: [(1_999, 2_002)])) == ["clock-skew 2"])
        #expect(found(reconciled(life, requests: [(1_999, 2_003)])) == ["outside-lifetime 3"])
    }

    @Test func requestsOutsideALifeAreMissingTime() {
        #expect(found(reconciled(life, requests: [(2_003, 2_008)])) == ["outside-lifetime 5"])
        // The hours before and after the gap's ends count too.
        #expect(found(reconciled(life, requests: [(9_000, 9_100), (9_200, 9_250)])) == ["outside-lifetime 250"])
        #expect(found(reconciled([], requests: [(9_000, 9_100)])) == ["outside-lifetime 100"])
    }

    @Test func aLostStopIsDoubtfulFromTheLastSignOfLife() {
        let start = [event(.start, 1_000)]
        #expect(found(reconciled(start, heartbeats: ["shop-1": 5_000])) == ["missing-stop -60"])
        // Without one, all of it.
        #expect(found(reconciled(start)) == ["missing-stop -60"])
        let restarted = start + [event(.start, 3_000, incarnation: 2), event(.stop, 4_000, incarnation: 2)]
        #expect(found(reconciled(restarted, heartbeats: ["shop-1": 3_999])) == ["missing-stop -2000"])
    }

    @Test func whatIsReportedTwiceIsInDoubtBetweenTheTwo() {
        #expect(found(reconciled(life + [event(.stop, 2_007)])) == ["duplicate 7"])
        #expect(found(reconciled(life + [event(.start, 1_004)])) == ["duplicate -4"])
    }

    @Test func abortedStreamsAndIdleInstancesAreNoted() {
        #expect(found(reconciled(life, requests: [(1_100, 1_200)], aborted: 1)) == ["aborted-stream 0"])
        let idle = life + [event(.start, 1_000, "shop-2"), event(.stop, 2_000, "shop-2")]
        #expect(found(reconciled(idle, requests: [(1_100, 1_200)])) == ["bypass 0"])
        #expect(found(reconciled(idle)).isEmpty, "a service that nobody used is idle as a whole")
    }

    @Test func signsOfLifeWithoutALifeAreNoticed() {
        #expect(reconciled(life, heartbeats: ["ghost": 1_500]).unknownInstances == ["ghost"])
        #expect(found(reconciled(life, heartbeats: ["shop-1": 2_002])).isEmpty)
        #expect(found(reconciled(life, heartbeats: ["shop-1": 2_010])) == ["missing-start 0"])
    }

    @Test func aServiceIsHeldAboveTheToleranceAndNotAtIt() {
        // 3.60 an hour: a second is 0.001, ten seconds 0.01.
        func verdict(_ tolerance: String) -> Reconciliation.Verdict {
            let plan = PricePlan(
                id: "p", currency: euro, tolerance: decimal(tolerance),
                prices: [Price(id: "hours", meter: .instanceHour, model: .perUnit(decimal("3.6")))])
            let result = reconciled(life + [event(.stop, 2_100)], requests: [(2_950, 3_000)])
            return result.verdict(for: "acme", plan: plan, use: [:])
        }
        let amounts = verdict("1").instances.flatMap(\.differences).compactMap(\.minorUnits)
        #expect(amounts == [10, 5])
        #expect(verdict("0.15").holds.isEmpty)
        #expect(verdict("0.14").holds["shop"]?.hasPrefix("0.15 EUR in doubt (duplicate, outside-lifetime)") == true)
        #expect(verdict("0").instances.map(\.owner) == ["acme"])
    }

    @Test func moreDoubtsThanAreAskedForAreOneDoubt() {
        var result = reconciled([])
        let hours = window.microseconds / 3_600_000_000
        for number in 0..<Int64(Reconciliation.maximumQuestions + 5) {
            let instance = InstanceID("shop-\(number / Int64(hours))")
            result.takeHour(
                MonitoredUsage(
                    service: "shop", instance: instance, periodStart: window.start + .hours(number % Int64(hours)),
                    requests: 1, busyMicroseconds: 1))
        }
        #expect(result.questions.count == Reconciliation.maximumQuestions)
        let rest = result.instances().flatMap(\.differences).filter { $0.cause == .outsideLifetime }
        #expect(rest.map(\.count) == [5] && rest.map(\.microseconds) == [5 * 3_600_000_000])
    }
}

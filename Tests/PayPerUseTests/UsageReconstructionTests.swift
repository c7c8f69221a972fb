import CloudModel
import PayPerUse
import Testing

private func at(_ seconds: Int64) -> Timestamp { Timestamp(microseconds: 1_800_000_000_000_000) + .seconds(seconds) }

private func event(
    _ kind: LifecycleEvent.Kind, _ seconds: Int64, instance: InstanceID = "shop-1", incarnation: Int = 1,
    cpu: Int? = 500, inferred: Bool = false
) -> LifecycleEvent {
    LifecycleEvent(
        instance: instance, incarnation: incarnation, service: "shop", owner: "acme", kind: kind, at: at(seconds),
        resources: ResourceLimits(cpuMillicores: cpu, memory: .mebibytes(64)), inferred: inferred)
}

/// An interval without the parts that all of these tests share.
private struct Stretch: Hashable {
    var start: Int64
    var end: Int64
    var ending: UsageInterval.Ending
    var cpu: Int?
    var isSuspended: Bool

    init(_ start: Int64, _ end: Int64, _ ending: UsageInterval.Ending, cpu: Int? = 500, isSuspended: Bool = false) {
        (self.start, self.end, self.ending, self.cpu) = (start, end, ending, cpu)
        self.isSuspended = isSuspended
    }

    init(_ interval: UsageInterval) {
        self.init(
            (interval.start - at(0)).microseconds / 1_000_000, (interval.end - at(0)).microseconds / 1_000_000,
            interval.ending, cpu: interval.resources.cpuMillicores, isSuspended: interval.isSuspended)
    }
}

private func reconstruct(
    _ events: [LifecycleEvent], heartbeat: Int64? = nil, now: Int64 = 1_000
) -> (stretches: [Stretch], anomalies: [UsageAnomaly.Kind]) {
    let result = UsageReconstruction(
        events, lastHeartbeats: heartbeat.map { ["shop-1": at($0)] } ?? [:], lease: .seconds(30), now: at(now))
    return (result.intervals.map { Stretch($0) }, result.anomalies.map(\.kind))
}

@Suite struct UsageReconstructionTests {
    @Test func aLifeFromStartToStop() {
        let (stretches, anomalies) = reconstruct([event(.start, 10), event(.stop, 70)])
        #expect(stretches == [Stretch(10, 70, .stopped)])
        #expect(anomalies.isEmpty)
    }

    @Test func resizeSuspendAndResumeDivideIt() {
        let (stretches, anomalies) = reconstruct([
            event(.start, 0), event(.resize, 10, cpu: 1_000), event(.suspend, 20), event(.resize, 25, cpu: 250),
            event(.resume, 40), event(.stop, 50),
        ])
        #expect(
            stretches == [
                Stretch(0, 10, .changed), Stretch(10, 20, .changed, cpu: 1_000),
                Stretch(20, 25, .changed, cpu: 1_000, isSuspended: true),
                Stretch(25, 40, .changed, cpu: 250, isSuspended: true), Stretch(40, 50, .stopped, cpu: 250),
            ])
        #expect(anomalies.isEmpty)
    }

    @Test func whatChangesNothingDividesNothing() {
        let (stretches, _) = reconstruct([
            event(.start, 0), event(.resize, 10), event(.resume, 20), event(.suspend, 30), event(.suspend, 35),
            event(.resume, 40), event(.stop, 50),
        ])
        #expect(
            stretches == [
                Stretch(0, 30, .changed), Stretch(30, 40, .changed, isSuspended: true), Stretch(40, 50, .stopped),
            ])
    }

    @Test func anOpenLifeReachesToNow() {
        #expect(reconstruct([event(.start, 0)], heartbeat: 990).stretches == [Stretch(0, 1_000, .open)])
        #expect(reconstruct([event(.start, 990)]).stretches == [Stretch(990, 1_000, .open)])
        #expect(reconstruct([event(.start, 1_010)]).stretches.isEmpty)
        #expect(reconstruct([event(.start, 0), event(.stop, 1_500)]).stretches == [Stretch(0, 1_000, .open)])
    }

    @Test func aLostStopEndsWithTheLease() {
        let (stretches, anomalies) = reconstruct([event(.start, 0)], heartbeat: 100)
        #expect(stretches == [Stretch(0, 130, .inferred)])
        #expect(anomalies == [.lostStop])
        // Without a heartbeat the last event is the last sign of life.
        #expect(reconstruct([event(.start, 0)]).stretches == [Stretch(0, 30, .inferred)])
        let resized = reconstruct([event(.start, 0), event(.resize, 200, cpu: 1_000)], heartbeat: 100).stretches
        #expect(resized == [Stretch(0, 200, .changed), Stretch(200, 230, .inferred, cpu: 1_000)])
        // A heartbeat from before the start is another incarnation's.
        #expect(reconstruct([event(.start, 500)], heartbeat: 100).stretches == [Stretch(500, 530, .inferred)])
    }

    @Test func aConcludedStopCountsUntilTheRealOneComes() {
        let concluded = [event(.start, 0), event(.stop, 80, inferred: true)]
        #expect(reconstruct(concluded, heartbeat: 60).stretches == [Stretch(0, 80, .inferred)])
        // Never more than the lease allows.
        #expect(reconstruct(concluded, heartbeat: 20).stretches == [Stretch(0, 50, .inferred)])
        let corrected = reconstruct(concluded + [event(.stop, 65)], heartbeat: 60)
        #expect(corrected.stretches == [Stretch(0, 65, .stopped)])
        #expect(corrected.anomalies == [.corrected])
        #expect(reconstruct(concluded + [event(.stop, 95)], heartbeat: 60).stretches == [Stretch(0, 95, .stopped)])
    }

    @Test func theNextIncarnationBoundsALostStop() {
        let (stretches, anomalies) = reconstruct(
            [event(.start, 0), event(.start, 50, incarnation: 2), event(.stop, 90, incarnation: 2)], heartbeat: 89)
        #expect(stretches == [Stretch(0, 50, .inferred), Stretch(50, 90, .stopped)])
        #expect(anomalies == [.lostStop])
    }

    @Test func aLostStartCountsFromTheFirstEventThatCame() {
        let (stretches, anomalies) = reconstruct([event(.resize, 20, cpu: 250), event(.stop, 60)])
        #expect(stretches == [Stretch(20, 60, .stopped, cpu: 250)])
        #expect(anomalies == [.lostStart])
        // A stop alone says nothing of how long.
        let alone = reconstruct([event(.stop, 60)])
        #expect(alone.stretches.isEmpty)
        #expect(alone.anomalies == [.lostStart])
    }

    @Test func eventsOutsideOfTheLifeAreNotCounted() {
        let (stretches, anomalies) = reconstruct([
            event(.start, 10), event(.resize, 5, cpu: 9), event(.resize, 80, cpu: 9), event(.stop, 70),
        ])
        #expect(stretches == [Stretch(10, 70, .stopped)])
        #expect(anomalies == [.outsideOfLife, .outsideOfLife])
        // A clock that was set back: nothing is charged, and it is told.
        let backwards = reconstruct([event(.start, 10), event(.stop, 5)])
        #expect(backwards.stretches.isEmpty)
        #expect(backwards.anomalies == [.outsideOfLife])
    }

    @Test func ofContradictingReportsTheEarlierCounts() {
        let (stretches, anomalies) = reconstruct([
            event(.start, 10), event(.start, 12), event(.stop, 70), event(.stop, 75),
        ])
        #expect(stretches == [Stretch(10, 70, .stopped)])
        #expect(anomalies == [.contradiction, .contradiction])
        // What was seen beats what was concluded, also at the start.
        let seen = reconstruct([event(.start, 5, inferred: true), event(.start, 12), event(.stop, 70)])
        #expect(seen.stretches == [Stretch(12, 70, .stopped)])
    }

    /// Order and repetition of the events never matter.
    @Test(arguments: 0..<200)
    func anyOrderAndAnyDuplicatesGiveTheSame(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        var events: [LifecycleEvent] = []
        for _ in 0..<Int.random(in: 1...25, using: &random) {
            events.append(
                event(
                    LifecycleEvent.Kind.allCases.randomElement(using: &random)!, .random(in: 0...100, using: &random),
                    instance: ["shop-1", "shop-2"].randomElement(using: &random)!,
                    incarnation: .random(in: 1...3, using: &random),
                    cpu: [nil, 100, 200].randomElement(using: &random)!,
                    inferred: Bool.random(using: &random)))
        }
        func result(_ events: [LifecycleEvent]) -> UsageReconstruction {
            UsageReconstruction(events, lastHeartbeats: ["shop-1": at(50)], lease: .seconds(20), now: at(90))
        }
        let expected = result(events)
        for _ in 0..<5 {
            let doubled = (events + events.filter { _ in Bool.random(using: &random) }).shuffled(using: &random)
            #expect(result(doubled) == expected)
        }
        // Intervals of one incarnation follow each other, none is empty, none reaches beyond now.
        for (left, right) in zip(expected.intervals, expected.intervals.dropFirst())
        where left.instance == right.instance && left.incarnation == right.incarnation {
            #expect(left.end == right.start && left.ending == .changed)
        }
        #expect(expected.intervals.allSatisfy { $0.start < $0.end && $0.end <= at(90) })
    }
}

import CloudModel
import ScalingListener
import Testing

/// By hand: what readings of totals add up to, and the rules of Kubernetes HPA for what is missing.
@Suite struct WorkloadMeterTests {
    private let processor = ScalingMetric(.processor, target: 50)
    private let latency = ScalingMetric(.latency, target: 100_000, percentile: 90)

    private func at(_ second: Int64) -> Timestamp { .epoch + .seconds(second) }

    /// Instances `0...`, each with so many millicores from second 0 on, read every two seconds.
    private func meter(_ millicores: [Int64], until second: Int64 = 10) -> WorkloadMeter {
        var meter = WorkloadMeter()
        for now in stride(from: Int64(0), through: second, by: 2) {
            for (index, value) in millicores.enumerated() {
                meter.note(processor: .milliseconds(now * value), of: InstanceID("web-\(index)"), 1, at: at(now))
            }
        }
        return meter
    }

    private func serving(_ count: Int) -> [WorkloadMeter.Serving] { (0..<count).map { .init(InstanceID("web-\($0)")) } }

    private func amount(
        _ meter: WorkloadMeter, _ metric: ScalingMetric, serving count: Int, allotted: Int = 1_000,
        sample: LoadSample? = LoadSample(service: "web", at: .epoch), second: Int64 = 10
    ) -> Int? {
        meter.amount(
            of: metric, sample, serving: serving(count), allotted: allotted, reported: nil, at: at(second))
    }

    @Test func processorUseIsAPartOfWhatIsAllotted() {
        #expect(amount(meter([300, 600]), processor, serving: 2) == 90, "30 % and 60 %")
        #expect(amount(meter([300, 600]), processor, serving: 2, allotted: 500) == 180)
        #expect(amount(meter([0]), processor, serving: 1) == 0, "measured, and idle")
    }

    /// One of 30 % is measured, the target is 50 %. Fewer than there are: the other counts as at the target.
    @Test func whatIsMissingCountsAsAtTheTargetWhereLessIsAsked() {
        #expect(amount(meter([300]), processor, serving: 2) == 80)
    }

    /// One of 160 % is measured, two are idle: 160 % over three of 50 % asks for four.
    @Test func whatIsMissingCountsAsIdleWhereMoreIsAsked() {
        #expect(amount(meter([1_600]), processor, serving: 3) == 160)
    }

    /// One of 80 % is measured; over two of 50 % that would ask for fewer: nothing is changed.
    @Test func whatIsMissingNeverTurnsTheDirection() {
        #expect(amount(meter([800]), processor, serving: 2) == 100)
    }

    @Test func noDataIsNotZero() {
        #expect(amount(WorkloadMeter(), processor, serving: 1) == nil)
        #expect(amount(meter([300], until: 0), processor, serving: 1, second: 0) == nil, "one reading says nothing")
        #expect(amount(meter([300]), processor, serving: 1, second: 40) == 30)
        #expect(amount(meter([300]), processor, serving: 1, second: 41) == nil, "too old")
        #expect(amount(meter([300]), processor, serving: 0) == nil)
    }

    /// Of the last ten seconds: what was before is forgotten.
    @Test func aChangeShowsWithinTenSeconds() {
        var meter = meter([100], until: 100)
        for now in stride(from: Int64(102), through: 110, by: 2) {
            meter.note(processor: .milliseconds(10_000 + (now - 100) * 900), of: "web-0", 1, at: at(now))
        }
        #expect(amount(meter, processor, serving: 1, second: 110) == 90)
    }

    @Test func anotherStartBeginsAnew() {
        var meter = meter([300])
        meter.note(processor: .zero, of: "web-0", 2, at: at(12))
        #expect(amount(meter, processor, serving: 1, second: 12) == nil)
        meter.note(processor: .milliseconds(1_000), of: "web-0", 2, at: at(14))
        #expect(amount(meter, processor, serving: 1, second: 14) == 50)
        // The same start, but a process took its time with it.
        meter.note(processor: .milliseconds(500), of: "web-0", 2, at: at(16))
        #expect(amount(meter, processor, serving: 1, second: 16) == nil)
        meter.keep([])
        meter.note(processor: .milliseconds(600), of: "web-0", 2, at: at(18))
        #expect(amount(meter, processor, serving: 1, second: 18) == nil)
    }

    /// 9 of 10 in the last ten seconds took 64 to 68 ms, which is the 90th percentile; with two instances the ratio to
    /// the target has to move two.
    @Test func latencyIsThePercentileOfWhatEndedLately() {
        var meter = WorkloadMeter()
        var total = LatencyHistogram()
        for _ in 0..<1_000 { total.add(microseconds: 1) }
        meter.note(latency: total, at: at(0))
        for _ in 0..<9 { total.add(microseconds: 65_600) }
        total.add(microseconds: 900_000)
        meter.note(latency: total, at: at(10))
        #expect(amount(meter, latency, serving: 2) == 2 * 69_632)
        let strict = ScalingMetric(.latency, target: 100_000, percentile: 95)
        #expect(amount(meter, strict, serving: 1) == 917_504)
    }

    @Test func withoutRequestsThereIsNoLatencyAndWithSomeItIsUnknown() {
        var meter = WorkloadMeter()
        #expect(amount(meter, latency, serving: 1) == nil)
        for second in stride(from: Int64(0), through: 10, by: 2) { meter.note(latency: .init(), at: at(second)) }
        #expect(amount(meter, latency, serving: 1) == 0)
        let stuck = LoadSample(service: "web", at: at(10), requestsInFlight: 1)
        #expect(amount(meter, latency, serving: 1, sample: stuck) == nil, "none has ended")
        #expect(amount(meter, latency, serving: 1, sample: nil) == nil)
    }

    /// What was slow with one instance says nothing of two: nothing is known until both have been measured together.
    @Test func aChangeOfTheInstancesBeginsTheMeasurementAnew() {
        var meter = WorkloadMeter()
        var total = LatencyHistogram()
        func read(_ second: Int64, _ microseconds: Int64) {
            for _ in 0..<9 { total.add(microseconds: microseconds) }
            meter.note(latency: total, at: at(second))
        }
        meter.note(serving: ["web-0"], at: at(0))
        for second in stride(from: Int64(0), through: 10, by: 2) { read(second, 500_000) }
        #expect(amount(meter, latency, serving: 1) == 507_904)
        meter.note(serving: ["web-0", "web-1"], at: at(11))
        #expect(amount(meter, latency, serving: 2, second: 11) == nil)
        read(12, 100_000)
        #expect(amount(meter, latency, serving: 2, second: 12) == nil)
        read(14, 100_000)
        #expect(amount(meter, latency, serving: 2, second: 14) == 2 * 102_400)
        // Another one within the window: what is known stays.
        meter.note(serving: ["web-0"], at: at(15))
        #expect(amount(meter, latency, serving: 1, second: 15) == 102_400)
    }

    @Test func requestsAreCountedASecond() {
        var meter = WorkloadMeter()
        let requests = ScalingMetric(.requests, target: 10)
        for second in Int64(0)...10 { meter.note(admitted: UInt64(second * 25), at: at(second)) }
        #expect(amount(meter, requests, serving: 1) == 25)
        meter.note(admitted: 3, at: at(11))
        #expect(amount(meter, requests, serving: 1, second: 11) == nil, "the gateway was started anew")
    }

    @Test func theSampleHasTheRest() {
        let sample = LoadSample(service: "web", at: .epoch, requestsInFlight: 4, requestsQueued: 3)
        let meter = WorkloadMeter()
        #expect(amount(meter, ScalingMetric(.concurrency, target: 1), serving: 1, sample: sample) == 7)
        #expect(amount(meter, ScalingMetric(.queueLength, target: 1), serving: 1, sample: sample) == 3)
        #expect(amount(meter, ScalingMetric(name: "jobs", targetPerInstance: 1), serving: 1, sample: sample) == nil)
    }
}

import CloudController
import CloudModel
import ScalingListener
import Testing

/// Processor use and latency as metrics of live scaling, with the rules that hold for every policy.
@Suite struct MeasuredMetricTests {
    private func bench(
        _ metrics: [ScalingMetric], maximum: Int = 6, _ change: (inout ScalingSettings) -> Void = { _ in }
    ) -> Bench {
        var bench = Bench()
        var service = CloudService.web(minimum: 1, maximum: maximum, requestsPerInstance: nil)
        service.scaling.metrics = metrics
        change(&service.scaling)
        bench.command(.configure(.only(service)))
        bench.pass(.seconds(20))
        return bench
    }

    /// A load of so many millicores, shared by the instances that are up, and requests that take so long.
    private struct Load {
        var millicores: Int64?
        var latency: Int64?
        private var used: [InstanceID: Int64] = [:]
        private var total = LatencyHistogram()

        init(millicores: Int64? = nil, latency: Int64? = nil) {
            self.millicores = millicores
            self.latency = latency
        }

        mutating func hold(_ bench: inout Bench, _ span: TimeSpan, isMeasured: Bool = true) {
            let end = bench.now + span
            while bench.now < end {
                var measurement = ServiceMeasurement(service: "web")
                let up = bench.backends.map { InstanceID($0) }
                if let millicores {
                    for id in up { used[id, default: 0] += 2 * millicores / Int64(max(1, up.count)) }
                    measurement.processor = used.filter { up.contains($0.key) }.mapValues { .milliseconds($0) }
                }
                if let latency {
                    for _ in 0..<20 { total.add(microseconds: latency / Int64(max(1, up.count))) }
                    measurement.latency = total
                }
                if isMeasured { bench.send(.measured([measurement])) }
                bench.load(inFlight: 1)
                bench.pass(.seconds(1))
                bench.load(inFlight: 1)
                bench.pass(.seconds(1))
            }
        }
    }

    @Test("processor use scales out to the target, by each kind of policy that follows one, and in again")
    func processor() {
        var bench = bench([ScalingMetric(.processor, target: 60)])
        var load = Load(millicores: 1_500)
        load.hold(&bench, .seconds(60))
        #expect(bench.backends.count == 3, "1500 at 600 each")
        let decision = bench.events.last { $0.kind == "scaling.decided" }
        #expect(decision?.summary.contains("processor use of 150 % at 60 %") == true, "\(decision?.summary ?? "")")
        #expect(decision?.details["metrics"] == "processor=150")
        load.millicores = 100
        load.hold(&bench, .seconds(290))
        #expect(bench.backends.count == 3)
        load.hold(&bench, .seconds(60))
        #expect(bench.backends.count == 1)
    }

    @Test(arguments: [ScalingPolicySettings.Kind.horizontal, .targetTracking, .step, .panicWindow, .react, .queueing])
    func everyPolicyFollowsIt(kind: ScalingPolicySettings.Kind) {
        var bench = bench([ScalingMetric(.processor, target: 70)]) { $0.policy = ScalingPolicySettings(kind: kind) }
        var load = Load(millicores: 2_600)
        load.hold(&bench, .minutes(20))
        #expect((3...6).contains(bench.backends.count), "2600 at 700 each: \(bench.backends.count)")
    }

    @Test func latency() {
        var bench = bench([ScalingMetric(.latency, target: 200_000)])
        var load = Load(latency: 700_000)
        load.hold(&bench, .seconds(90))
        // 700 ms over four is 175 ms: within the tolerance of the target, or below it.
        #expect(bench.backends.count == 4)
        #expect(bench.events.contains { $0.summary.contains("latency (95th percentile)") })
    }

    @Test("the one that asks for most decides, and while one is missing nothing is scaled in")
    func combined() {
        var bench = bench([ScalingMetric(.processor, target: 50), ScalingMetric(name: "jobs", targetPerInstance: 10)])
        var load = Load(millicores: 1_400)
        load.hold(&bench, .seconds(30))
        #expect(bench.backends.count == 3, "the missing one does not keep the other from scaling out")
        load.millicores = 100
        load.hold(&bench, .seconds(700))
        #expect(bench.backends.count == 3)
        for _ in 0..<20 {
            bench.send(.metricReported("web", metric: "jobs", value: 45))
            load.hold(&bench, .seconds(20))
        }
        #expect(bench.backends.count == 5)
        for _ in 0..<20 {
            bench.send(.metricReported("web", metric: "jobs", value: 0))
            load.hold(&bench, .seconds(20))
        }
        #expect(bench.backends.count == 1)
    }

    @Test func noReadingsNeverScaleIn() {
        var bench = bench([ScalingMetric(.processor, target: 50)])
        var load = Load(millicores: 1_400)
        load.hold(&bench, .seconds(30))
        #expect(bench.backends.count == 3)
        load.millicores = 0
        load.hold(&bench, .minutes(20), isMeasured: false)
        #expect(bench.backends.count == 3)
    }

    @Test func theCapIsHardAndADryRunChangesNothing() {
        var capped = bench([ScalingMetric(.processor, target: 10)], maximum: 2)
        var load = Load(millicores: 2_000)
        load.hold(&capped, .minutes(5))
        #expect(capped.controller.instances.count == 2)
        var dry = bench([ScalingMetric(.processor, target: 50)]) { $0.isDryRun = true }
        var other = Load(millicores: 800)
        other.hold(&dry, .minutes(2))
        #expect(dry.controller.instances.count == 1)
        #expect(dry.events.filter { $0.kind == "scaling.decided.dry-run" }.map { $0.details["to"] } == ["2"])
    }

    @Test("use that swings by a twentieth around the edge moves nothing")
    func doesNotFlap() {
        for policy in [nil, ScalingPolicySettings(kind: .horizontal)] {
            var bench = bench([ScalingMetric(.processor, target: 70)]) { $0.policy = policy }
            var load = Load(millicores: 2_080)
            load.hold(&bench, .minutes(3))
            let decided = bench.events.count { $0.kind == "scaling.decided" }
            for round in 0..<60 {
                load.millicores = round % 2 == 0 ? 1_980 : 2_180
                load.hold(&bench, .seconds(60))
            }
            let later = bench.events.count { $0.kind == "scaling.decided" } - decided
            #expect(later <= 1, "\(later) decisions in an hour")
        }
    }

    @Test func whatIsMeasuredCannotBeReported() {
        var bench = bench([ScalingMetric(.processor, target: 50)])
        bench.send(.metricReported("web", metric: "processor", value: 1_000))
        bench.load(inFlight: 1)
        bench.pass(.seconds(5))
        #expect(bench.backends.count == 1)
    }

    @Test func onlyWhatIsFollowedHasToBeRead() {
        #expect(bench([]).controller.measurementNeeds.isEmpty)
        let needs = bench([ScalingMetric(.processor, target: 50)]).controller.measurementNeeds
        #expect(needs.processors == ["web": ["web-1"]] && needs.latencies.isEmpty)
        #expect(bench([ScalingMetric(.latency, target: 1_000)]).controller.measurementNeeds.latencies == ["web"])
    }
}

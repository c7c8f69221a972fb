import CloudController
import CloudModel
import Testing

/// The mechanisms' timelines and effects, word for word: what an operator reads and what is done, in this order.
@Suite struct TimelineTests {
    /// With the times of recovery, which depend on jitter, taken out.
    private func text(_ lines: [String]) -> String {
        lines.map { $0.replacing(/after \d+ ms/, with: "after … ms") }.joined(separator: "\n")
    }

    @Test func activeActiveFailover() {
        var bench = Bench()
        bench.command(.configure(.only(.web())))
        bench.pass(.seconds(20))
        #expect(bench.backends == ["web-1", "web-2", "web-3"])
        let first = bench.effects.count
        bench.kill("web-2")
        #expect(bench.backends == ["web-1", "web-3"])
        bench.pass(.seconds(20))
        #expect(
            text(bench.transcript(from: first)) == """
                5 the stop event of web-2 arrives: killed by signal 9
                books: stop of web-2/1
                6 the stop of web-2 is stored with its time
                1 web-1, web-2, web-3 were monitored, checked every 2 s
                2 web-2 failed: killed by signal 9
                3 the load balancer is switched over to web-1, web-3
                notify administrators: web-2 of web failed: killed by signal 9
                publish web-1, web-3
                1 web-2 is requested again
                start web-2/2
                2 the start event of web-2 arrives: it has 127.0.0.1:20004
                books: start of web-2/2
                3 the start of web-2 is stored with its time
                - web-2 is up
                4 web-2 is recovered after … ms
                5 the load balancer distributes over web-1, web-2, web-3 again; web-2 grows into its share over 10 s
                publish web-1, web-2, web-3
                """)
    }

    @Test func activePassiveFailoverWithWarmStandby() {
        var bench = Bench()
        bench.command(.configure(.only(.web(minimum: 1, maximum: 2), group: .passive())))
        bench.pass(.seconds(20))
        #expect(bench.backends == ["web-1"])
        #expect(bench["web-2"]?.operational == .up)
        let first = bench.effects.count
        bench.kill("web-1")
        #expect(bench.backends == ["web-2"])
        bench.pass(.seconds(20))
        #expect(bench["web-1"]?.role == .standby)
        #expect(
            text(bench.transcript(from: first)) == """
                5 the stop event of web-1 arrives: killed by signal 9
                books: stop of web-1/1
                6 the stop of web-1 is stored with its time
                1 web-1 served as the active implementation
                2 web-1 failed: killed by signal 9
                3 standby web-2 is activated and the workload redirected to it
                notify administrators: web-1 of web failed: killed by signal 9
                publish web-2
                1 web-1 is requested again
                start web-1/2
                2 the start event of web-1 arrives: it has 127.0.0.1:20003
                books: start of web-1/2
                3 the start of web-1 is stored with its time
                - web-1 is up
                4 web-1 is recovered after … ms and becomes the standby
                """)
    }

    @Test func activePassiveFailoverWithColdStandby() {
        var bench = Bench()
        bench.command(.configure(.only(.web(minimum: 1, maximum: 2), group: .passive(.cold))))
        bench.pass(.seconds(20))
        #expect(bench["web-2"]?.phase == .requested)
        let first = bench.effects.count
        bench.kill("web-1")
        bench.pass(.seconds(20))
        #expect(bench["web-1"]?.phase == .requested)
        #expect(
            text(bench.transcript(from: first)) == """
                5 the stop event of web-1 arrives: killed by signal 9
                books: stop of web-1/1
                6 the stop of web-1 is stored with its time
                1 web-1 served as the active implementation
                2 web-1 failed: killed by signal 9
                3 standby web-2 is activated; the workload is redirected as soon as it is up
                notify administrators: web-1 of web failed: killed by signal 9
                4 web-1 is the cold standby now
                1 web-2 is requested
                publish \("")
                start web-2/1
                2 the start event of web-2 arrives: it has 127.0.0.1:20002
                books: start of web-2/1
                3 the start of web-2 is stored with its time
                - web-2 is up
                3 the workload is redirected to web-2
                publish web-2
                """)
    }

    @Test func automatedScalingListener() {
        var bench = Bench()
        bench.command(.configure(.only(.web(minimum: 1, maximum: 3, consumersPerInstance: 1))))
        bench.pass(.seconds(20))
        let first = bench.effects.count
        bench.load(inFlight: 1, queued: 2, consumers: 3)
        bench.pass(.seconds(1))
        bench.load(inFlight: 3, consumers: 3)
        bench.refuse("dora", limit: 3)
        bench.pass(.seconds(1))
        bench.refuse("dora", limit: 3)
        bench.command(.setConstraint("web", .maximumInstances, to: 4))
        bench.load(inFlight: 3, queued: 1, consumers: 4)
        bench.pass(.seconds(1))
        bench.send(.dataPlane(.servedAfterRefusal(service: "web", consumer: "dora", at: bench.now)))
        let steps = bench.effects[first...].compactMap { effect -> String? in
            guard case .record(let event) = effect, event.step?.mechanism == .automatedScalingListener else {
                return nil
            }
            return "\(event.step?.number ?? "") \(event.summary)"
        }
        #expect(
            text(steps) == """
                1 3 consumers access web at once with 3 requests
                2 web is scaled out from 1 to 3 instances: 2 requests wait; 3 active consumers at 1 per instance
                3 a further consumer arrives: dora
                4 dora is rejected: maximum-instances 3 is reached; consumer and administrators notified
                5 alice raises maximum-instances of web from 3 to 4
                5 web is scaled out from 3 to 4 instances: 1 request waits; 4 active consumers at 1 per instance
                5 dora, which had been refused, is served
                """)
        let incidents = Set(
            bench.events.compactMap(\.step).filter { $0.mechanism == .automatedScalingListener }.map(\.incident))
        #expect(incidents.count == 1, "all steps are one timeline: \(incidents)")
        #expect(bench.backends == ["web-1", "web-2", "web-3", "web-4"])
        #expect(bench.notifications.map(\.consumer) == [nil, "dora"])
        #expect(
            bench.notifications.first?.offer
                == ConstraintOffer(service: "web", constraint: .maximumInstances, from: 3, to: 4))
    }

    @Test func resourceAgent() {
        var bench = Bench()
        bench.command(.configure(.only(.web(minimum: 0, maximum: 1, requestsPerInstance: 1))))
        bench.load(queued: 1)
        bench.pass(.seconds(5))
        bench.command(.shutDown)
        #expect(
            bench.timeline(.payPerUseResourceAgent) == [
                "1 web-1 is requested",
                "2 the start event of web-1 arrives: it has 127.0.0.1:20001",
                "3 the start of web-1 is stored with its time",
                "4 a stop of web-1 is requested: the platform stops",
                "5 the stop event of web-1 arrives: killed by signal 15",
                "6 the stop of web-1 is stored with its time",
            ])
        #expect(bench.lifecycle.map(\.kind) == [.start, .stop])
        #expect(bench.lifecycle.allSatisfy { $0.owner == "tenant" })
        #expect(bench.controller.instances.isEmpty)
    }
}

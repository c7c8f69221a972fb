import CloudController
import CloudModel
import Testing

@Suite struct LifecycleTests {
    private func running(_ service: CloudService = .web(), seed: UInt64 = 1) -> Bench {
        var bench = Bench(seed: seed)
        bench.command(.configure(.only(service)))
        bench.pass(.seconds(20))
        return bench
    }

    @Test func intentIsWrittenBeforeTheAction() {
        let bench = running()
        for (place, effect) in bench.effects.enumerated() {
            guard case .start(let id, let incarnation, _) = effect else { continue }
            let isWritten = bench.effects[..<place].contains { earlier in
                if case .persist(let instance) = earlier {
                    instance.id == id && instance.incarnation == incarnation && instance.phase == .starting
                } else {
                    false
                }
            }
            #expect(isWritten, "\(id)/\(incarnation)")
        }
    }

    @Test func writesPrecedeActionsInEveryStep() {
        var bench = Bench()
        func check() {
            let firstAction = bench.last.firstIndex { !$0.isWrite } ?? bench.last.endIndex
            #expect(bench.last[firstAction...].allSatisfy { !$0.isWrite })
        }
        bench.command(.configure(.only(.web())))
        check()
        bench.pass(.seconds(5))
        bench.kill("web-1")
        check()
    }

    @Test("a trial that hangs and then ends has failed: the next one follows, and does not wait for it")
    func aTrialThatHangsEnds() throws {
        var bench = Bench()
        bench.brokenStarts = { _ in true }
        bench.command(.configure(.only(.web(minimum: 1, maximum: 3))))
        bench.pass(.minutes(3))
        #expect(bench.notifications.map(\.kind) == ["breaker-open"])
        bench.brokenStarts = { _ in false }
        for _ in 0..<180 where bench.backends.isEmpty { bench.pass(.seconds(1)) }
        let trial = try #require(bench.controller.instances.first).id
        bench.failing[trial] = "timed out"
        let isDown = { (bench: Bench) in bench.controller.instances.first?.operational == .down }
        for _ in 0..<60 where !isDown(bench) { bench.pass(.seconds(1)) }
        // It had not stayed up, and is still held.
        #expect(bench.controller.openIncidents.map(\.kind).contains(.breakerOpen))
        #expect(bench.processes[trial] != nil)
        bench.kill(trial)
        bench.failing = [:]
        bench.pass(.minutes(5))
        #expect(bench.backends.count == 1)
        #expect(bench.controller.openIncidents.isEmpty)
    }

    @Test func startFailuresBackOffAndOpenTheBreakerOnce() {
        var bench = Bench()
        bench.brokenStarts = { _ in true }
        bench.command(.configure(.only(.web(minimum: 1, maximum: 3))))
        bench.pass(.minutes(10))
        let starts = bench.effects.count { if case .start = $0 { true } else { false } }
        // Five until the breaker opens, then one trial a minute.
        #expect((12...16).contains(starts), "\(starts) starts")
        #expect(bench.notifications.map(\.kind) == ["breaker-open"])
        #expect(bench.controller.openIncidents.map(\.kind) == [.breakerOpen])
        #expect(bench.controller.instances.count == 1)
        bench.brokenStarts = { _ in false }
        bench.pass(.minutes(3))
        #expect(bench.controller.openIncidents.isEmpty)
        #expect(bench.backends.count == 1)
        // Re-armed: it is told again when it opens again.
        bench.brokenStarts = { _ in true }
        bench.controller.instances.forEach { bench.kill($0.id) }
        bench.pass(.minutes(5))
        #expect(bench.notifications.count { $0.kind == "breaker-open" } == 2)
    }

    @Test("an instance on trial that becomes a cold standby leaves the trial to the one that takes its place")
    func trialBecomesStandby() {
        var bench = Bench()
        bench.brokenStarts = { _ in true }
        bench.command(.configure(.only(.web(minimum: 1, maximum: 2), group: .passive(.cold))))
        bench.pass(.minutes(5))
        #expect(bench.controller.openIncidents.map(\.kind) == [.breakerOpen])
        bench.brokenStarts = { _ in false }
        for _ in 0..<120 where bench.backends.isEmpty { bench.pass(.seconds(1)) }
        let onTrial = bench.backends
        #expect(onTrial.count == 1)
        // Before it has stayed up long enough for a success.
        for id in onTrial { bench.failing[InstanceID(id)] = "status 500" }
        bench.pass(.minutes(3))
        #expect(bench.backends.count == 1 && bench.backends != onTrial)
    }

    @Test func pausesBetweenStartsGrow() {
        var bench = Bench()
        var starts: [Timestamp] = []
        bench.brokenStarts = { _ in true }
        var service = CloudService.web(minimum: 1, maximum: 1)
        service.restart.breakerThreshold = 100
        bench.command(.configure(.only(service)))
        for _ in 0..<2_000 {
            guard let next = bench.controller.nextDeadline, starts.count < 10 else { break }
            bench.now = max(bench.now, next)
            bench.send(.deadline)
            if bench.last.contains(where: { if case .start = $0 { true } else { false } }) { starts.append(bench.now) }
        }
        let pauses = zip(starts.dropFirst(), starts).map { $0 - $1 }
        for (number, pause) in pauses.enumerated() {
            // The first of them follows the second failure: 200 ms doubled once.
            let full = min(TimeSpan.seconds(30), .milliseconds(200) * (Int64(2) << Int64(number)))
            #expect(pause.microseconds >= full.microseconds / 2 && pause <= full + .milliseconds(1), "\(pauses)")
        }
        #expect(pauses.count == 9)
    }

    @Test func anInstanceThatDoesNotComeUpIsStoppedAndStartedAgain() {
        var bench = Bench()
        bench.failing["web-1"] = "connection refused"
        bench.command(.configure(.only(.web(minimum: 1, maximum: 1))))
        bench.pass(.seconds(31))
        #expect(bench["web-1"]?.incarnation == 2)
        #expect(bench.lifecycle.map(\.kind) == [.start, .stop, .start])
        bench.failing = [:]
        bench.pass(.seconds(5))
        #expect(bench.backends == ["web-1"])
    }

    @Test func aStartThatIsNeverAnsweredIsGivenUpAndTheStopRepeated() {
        var bench = Bench()
        bench.driverAnswers = false
        bench.command(.configure(.only(.web(minimum: 1, maximum: 1))))
        bench.pass(.minutes(2))
        #expect(bench["web-1"]?.phase == .stopping)
        let stops = bench.effects.count { if case .stop = $0 { true } else { false } }
        #expect((4...8).contains(stops), "\(stops) stops")
        let starts = bench.effects.count { if case .start = $0 { true } else { false } }
        #expect(starts == 1, "nothing else is started while the first may run")
        bench.driverAnswers = true
        bench.pass(.minutes(1))
        #expect(bench.backends == ["web-1"])
        #expect(bench["web-1"]?.incarnation == 2)
    }

    @Test func lateAndDoubledEventsChangeNothing() {
        var bench = running()
        bench.kill("web-1")
        let endpoint = Endpoint(address: "127.0.0.1", port: 9)
        bench.pass(.seconds(5))
        let before = bench.controller.instances
        let late: [ControllerEvent] = [
            .instanceExited("web-1", incarnation: 1, status: .exited(code: 1), inferredAt: nil),
            .instanceStartFailed("web-1", incarnation: 1, reason: "late"),
            .probeCompleted("web-1", incarnation: 1, failure: "late"),
            .probeCompleted("web-1", incarnation: 2, failure: "none was asked for"),
            .instanceAdopted("web-1", incarnation: 2),
            .instanceStarted("web-2", incarnation: 1, endpoint: bench["web-2"]!.endpoint!, handle: nil),
            .instanceExited("web-9", incarnation: 1, status: .unknown, inferredAt: nil),
        ]
        for event in late {
            #expect(bench.send(event).isEmpty, "\(event)")
        }
        #expect(bench.controller.instances == before)
        // An earlier incarnation that turns out to run after all is ended.
        bench.driverAnswers = false
        let effects = bench.send(.instanceStarted("web-1", incarnation: 1, endpoint: endpoint, handle: nil))
        #expect(effects == [.stop("web-1", incarnation: 1, grace: .zero)])
    }

    @Test func anExitThatIsReportedTwiceIsBookedOnce() {
        var bench = running()
        bench.processes["web-1"] = nil
        for _ in 0..<3 {
            bench.send(.instanceExited("web-1", incarnation: 1, status: .signalled(9), inferredAt: nil))
        }
        #expect(bench.lifecycle.count { $0.kind == .stop } == 1)
        #expect(bench.notifications.count == 1)
    }

    @Test func theStopIsNeverBookedBeforeTheStart() {
        var bench = running(.web(minimum: 1, maximum: 1))
        bench.now = bench.now - .hours(3)
        bench.kill("web-1")
        let stop = bench.lifecycle.last
        #expect(stop?.kind == .stop)
        #expect(stop?.at == bench.lifecycle.first?.at)
    }

    @Test func sameEventsSameEffects() {
        func run() -> [Effect] {
            var bench = Bench(seed: 7)
            bench.command(.configure(.only(.web(minimum: 2, maximum: 5, requestsPerInstance: 2))))
            for second in 0..<120 {
                bench.pass(.seconds(1))
                bench.load(inFlight: second % 9, queued: second % 4)
                if second % 17 == 0 { bench.kill(InstanceID("web-\(1 + second % 3)")) }
            }
            return bench.effects
        }
        #expect(run() == run())
    }

    @Test(arguments: 1...20) func neverMoreThanTheMaximum(seed: Int) {
        var bench = Bench(seed: UInt64(seed))
        var random = SeededGenerator(seed: UInt64(seed))
        bench.brokenStarts = { _ in Int.random(in: 0..<3, using: &random) == 0 }
        var maximum = 4
        bench.command(.configure(.only(.web(minimum: 1, maximum: maximum, requestsPerInstance: 1))))
        var choice = SeededGenerator(seed: UInt64(seed) + 100)
        for _ in 0..<300 {
            bench.pass(.milliseconds(Int64.random(in: 1...2_000, using: &choice)))
            bench.load(inFlight: Int.random(in: 0...9, using: &choice), queued: Int.random(in: 0...3, using: &choice))
            if let victim = bench.processes.keys.sorted().randomElement(using: &choice),
                Int.random(in: 0..<4, using: &choice) == 0
            {
                bench.kill(victim)
            }
            if Int.random(in: 0..<20, using: &choice) == 0 {
                maximum = Int.random(in: 1...6, using: &choice)
                bench.command(.setConstraint("web", .maximumInstances, to: maximum))
                // What has to go may take its drain timeout.
                bench.pass(.seconds(60))
            }
            #expect(bench.controller.instances.count <= maximum)
            #expect(bench.processes.count <= maximum)
        }
    }
}

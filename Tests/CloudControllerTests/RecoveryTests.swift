import CloudController
import CloudModel
import Testing

/// The control plane ends and comes back.
@Suite struct RecoveryTests {
    private func running(_ service: CloudService = .web(), _ group: FailoverGroup? = nil) -> Bench {
        var bench = Bench()
        bench.command(.configure(.only(service, group: group)))
        bench.pass(.seconds(20))
        return bench
    }

    private func actions(_ effects: some Sequence<Effect>) -> [Effect] {
        effects.filter {
            switch $0 {
            case .start, .stop: true
            default: false
            }
        }
    }

    @Test func whatRunsIsTakenOver() {
        var bench = running()
        let generation = bench.controller.snapshot.generation
        let first = bench.effects.count
        bench.restart()
        bench.pass(.seconds(30))
        #expect(bench.backends == ["web-1", "web-2", "web-3"])
        #expect(actions(bench.effects[first...]).isEmpty)
        #expect(bench.lifecycle.count == 3)
        #expect(bench.controller.snapshot.generation > generation)
    }

    @Test func nothingIsDoneBeforeTheDriverHasAnswered() {
        var bench = running()
        let stored = bench.stored
        bench.controller = CloudController()
        bench.driverAnswers = false
        let effects = bench.send(.recovered(stored))
        #expect(effects.allSatisfy { $0.isWrite })
        #expect(bench.send(.instanceAdopted("web-1", incarnation: 1)).allSatisfy { $0.isWrite })
        bench.send(.instanceAdopted("web-2", incarnation: 1))
        #expect(!bench.last.contains { if case .publish = $0 { true } else { false } })
        bench.send(.instanceAdopted("web-3", incarnation: 1))
        #expect(bench.last.contains { if case .publish = $0 { true } else { false } })
    }

    @Test func aDriverThatDoesNotAnswerIsNotWaitedForForever() {
        var bench = running()
        let stored = bench.stored
        bench.controller = CloudController()
        bench.send(.recovered(stored))
        bench.pass(.seconds(11))
        #expect(bench.backends == ["web-1", "web-2", "web-3"])
    }

    @Test func whatEndedMeanwhileIsBookedAsInferredAndStartedAgain() {
        var bench = running()
        bench.processes["web-2"] = nil
        bench.now = bench.now + .seconds(30)
        bench.restart()
        let stop = bench.lifecycle.last { $0.kind == .stop }
        #expect(stop?.instance == "web-2")
        #expect(stop?.inferred == true)
        #expect(stop?.at == bench.now - .seconds(5))
        bench.pass(.seconds(5))
        #expect(bench.backends == ["web-1", "web-2", "web-3"])
        #expect(bench.notifications.map(\.kind) == ["failover"])
    }

    @Test func aStartThatTheRestartCutOffIsAskedForAgain() {
        var bench = Bench()
        bench.driverAnswers = false
        bench.command(.configure(.only(.web(minimum: 1, maximum: 1))))
        #expect(bench["web-1"]?.phase == .starting)
        // It runs, and nobody has heard of it.
        bench.processes["web-1"] = 1
        bench.driverAnswers = true
        bench.restart()
        bench.pass(.seconds(2))
        #expect(bench["web-1"]?.incarnation == 1)
        #expect(bench.lifecycle.map(\.kind) == [.start])
        #expect(bench.backends == ["web-1"])
    }

    @Test func aStartThatNeverHappenedIsMadeUpFor() {
        var bench = Bench()
        bench.driverAnswers = false
        bench.command(.configure(.only(.web(minimum: 1, maximum: 1))))
        bench.driverAnswers = true
        bench.restart()
        bench.pass(.seconds(2))
        #expect(bench.backends == ["web-1"])
        #expect(bench["web-1"]?.incarnation == 2)
        #expect(bench.lifecycle.map(\.kind) == [.start])
    }

    @Test func aStopThatTheRestartCutOffIsFinished() {
        var bench = running(.web(minimum: 1, maximum: 2))
        bench.command(.setConstraint("web", .maximumInstances, to: 2))
        bench.load(inFlight: 0, queued: 0)
        bench.driverAnswers = false
        bench.command(.configure(CloudConfiguration()))
        bench.pass(.seconds(40))
        #expect(bench["web-1"]?.phase == .stopping)
        bench.driverAnswers = true
        bench.restart()
        bench.pass(.seconds(5))
        #expect(bench.processes.isEmpty)
        #expect(bench.controller.instances.isEmpty)
    }

    @Test func operationsGoOn() {
        var bench = running()
        bench.load(inFlight: 1, perInstance: ["web-2": 1])
        bench.command(.restart("web-2", operation: "op"))
        bench.restart()
        #expect(bench.operation("op")?.state == .running)
        bench.pass(.seconds(40))
        #expect(bench.operation("op")?.state == .succeeded)
        #expect(bench["web-2"]?.incarnation == 2)
    }

    @Test func operationsOfWhatIsGoneEnd() {
        var bench = running()
        let operation = Operation(
            id: "op", kind: "instance.restart", actor: "alice", service: "web", instance: "web-9",
            startedAt: bench.now)
        bench.effects.append(.persistOperation(operation))
        bench.restart()
        #expect(bench.operation("op")?.state == .failed)
    }

    @Test func incidentsGoOnAndAreNotToldAgain() {
        var bench = running(.web(minimum: 1, maximum: 1))
        bench.refuse("ada", limit: 1)
        bench.kill("web-1")
        #expect(bench.notifications.count == 3)
        bench.restart()
        bench.refuse("ada", limit: 1)
        bench.refuse("bob", limit: 1)
        #expect(bench.notifications.count == 4, "only bob had not been told")
        bench.pass(.minutes(2))
        #expect(bench.controller.openIncidents.isEmpty)
        #expect(bench.backends == ["web-1"])
    }

    @Test func anOpenBreakerLetsOneTrialThrough() {
        var bench = Bench()
        bench.brokenStarts = { _ in true }
        bench.command(.configure(.only(.web(minimum: 3, maximum: 3))))
        bench.pass(.seconds(20))
        let first = bench.effects.count
        bench.restart()
        bench.pass(.seconds(20))
        let starts = bench.effects[first...].count { if case .start = $0 { true } else { false } }
        #expect(starts == 1)
        #expect(bench.notifications.count == 1)
    }

    @Test func aChangedTemplateIsNoticedAfterARestart() {
        var bench = running(.web(minimum: 1, maximum: 1))
        let changed = CloudConfiguration.only(.web(minimum: 1, maximum: 1, command: ["/bin/web", "2"]))
        bench.effects.append(.persistConfiguration(changed))
        bench.restart()
        bench.pass(.seconds(40))
        #expect(bench["web-1"]?.incarnation == 2)
    }

    @Test func administrativeStatesSurvive() {
        var bench = running()
        bench.command(.setAdministrativeState("web-2", .maintenance, operation: "op"))
        bench.restart()
        bench.pass(.seconds(5))
        #expect(bench["web-2"]?.administrative == .maintenance)
        #expect(bench.backends == ["web-1", "web-3"])
    }

    @Test(arguments: 1...40) func anyPrefixOfTheWritesIsEnoughToGoOn(seed: Int) {
        var bench = Bench(seed: UInt64(seed))
        var choice = SeededGenerator(seed: UInt64(seed))
        bench.command(.configure(.only(.web(minimum: 2, maximum: 4, requestsPerInstance: 1), group: .passive())))
        for _ in 0..<30 {
            bench.pass(.milliseconds(Int64.random(in: 1...3_000, using: &choice)))
            bench.load(inFlight: Int.random(in: 0...5, using: &choice), queued: Int.random(in: 0...2, using: &choice))
            if let victim = bench.processes.keys.sorted().randomElement(using: &choice) { bench.kill(victim) }
            if Int.random(in: 0..<3, using: &choice) == 0 { bench.restart() }
            #expect(bench.processes.count <= 4)
        }
        bench.pass(.minutes(3))
        #expect(bench.controller.instances.allSatisfy { $0.operational == .up })
        #expect(bench.processes.keys.sorted() == bench.controller.instances.map(\.id))
        #expect(bench.controller.instances.count { $0.role == .standby } == 1)
    }
}

import CloudController
import CloudModel
import Testing

@Suite struct CommandTests {
    private func running(_ service: CloudService = .web(), _ group: FailoverGroup? = nil) -> Bench {
        var bench = Bench()
        bench.command(.configure(.only(service, group: group)))
        bench.pass(.seconds(20))
        return bench
    }

    @Test func restartDrainsStopsStartsAndSucceeds() {
        var bench = running()
        bench.load(inFlight: 1, perInstance: ["web-2": 1])
        bench.command(.restart("web-2", operation: "op"))
        #expect(bench.backends == ["web-1", "web-3"])
        #expect(bench.operation("op")?.state == .running)
        #expect(bench.processes["web-2"] == 1, "its request is still there")
        bench.pass(.seconds(1))
        bench.load()
        #expect(bench.processes["web-2"] != 1)
        bench.pass(.seconds(1))
        #expect(bench.backends == ["web-1", "web-2", "web-3"])
        #expect(bench["web-2"]?.incarnation == 2)
        #expect(bench.operation("op")?.state == .succeeded)
        #expect(bench.controller.instances.count == 3)
        #expect(bench.notifications.isEmpty, "nothing failed")
    }

    @Test func aRestartThatDoesNotComeUpFails() {
        var bench = running()
        bench.brokenStarts = { $0 == "web-2" }
        bench.command(.restart("web-2", operation: "op"))
        bench.pass(.seconds(31))
        #expect(bench.operation("op")?.state == .failed)
        #expect(bench.operation("op")?.failure == "the instance did not start: no such program")
    }

    @Test func aRepeatedCommandIsTheSameOperation() {
        var bench = running()
        bench.load(inFlight: 1, perInstance: ["web-2": 1])
        bench.command(.restart("web-2", operation: "op"))
        #expect(bench.send(.command(.restart("web-2", operation: "op"), actor: "alice")).isEmpty)
    }

    @Test func drainIsDoneWhenTheRequestsAre() {
        var bench = running(.web(minimum: 2, maximum: 2))
        bench.load(inFlight: 2, perInstance: ["web-1": 1, "web-2": 1])
        bench.command(.setAdministrativeState("web-2", .draining, operation: "op"))
        #expect(bench.backends == ["web-1"])
        #expect(
            bench.controller.snapshot.services[0].backends.map(\.administrative) == [.enabled, .draining])
        bench.pass(.seconds(1))
        bench.load(inFlight: 2, perInstance: ["web-1": 1, "web-2": 1])
        #expect(bench.operation("op")?.state == .running)
        bench.load(inFlight: 1, perInstance: ["web-1": 1])
        #expect(bench.operation("op")?.state == .succeeded)
        #expect(bench["web-2"]?.phase == .running, "a drained instance runs on")
        bench.command(.setAdministrativeState("web-2", .enabled, operation: "op-2"))
        #expect(bench.backends == ["web-1", "web-2"])
    }

    @Test func aDrainThatIsTakenBackFails() {
        var bench = running(.web(minimum: 2, maximum: 2))
        bench.load(inFlight: 1, perInstance: ["web-2": 1])
        bench.command(.setAdministrativeState("web-2", .draining, operation: "op"))
        bench.command(.setAdministrativeState("web-2", .enabled, operation: "op-2"))
        #expect(bench.operation("op")?.state == .failed)
        #expect(bench.operation("op-2")?.state == .succeeded)
        bench.pass(.minutes(1))
        #expect(bench.backends == ["web-1", "web-2"])
    }

    @Test func theLastInstanceIsReplacedBeforeItIsDrained() {
        var bench = running(.web(minimum: 1, maximum: 2))
        bench.command(.setAdministrativeState("web-1", .draining, operation: "op"))
        bench.pass(.seconds(2))
        #expect(bench.backends == ["web-2"])
        bench.command(.setAdministrativeState("web-1", .enabled, operation: "op-2"))
        bench.pass(.seconds(40))
        #expect(bench.backends == ["web-1"], "the substitute goes, the instance that was given back stays")
    }

    @Test func operationalAndAdministrativeStateAreNotMixed() {
        var bench = running()
        bench.command(.setAdministrativeState("web-2", .draining, operation: "op"))
        #expect(bench["web-2"]?.operational == .up)
        bench.failing["web-2"] = "connection refused"
        bench.pass(.seconds(3))
        #expect(bench["web-2"]?.administrative == .draining)
        bench.failing = [:]
        bench.pass(.seconds(5))
        #expect(bench["web-2"]?.operational == .up)
        #expect(bench["web-2"]?.administrative == .draining)
    }

    @Test func refusals() {
        let bench = running(.web(minimum: 2, maximum: 3))
        let controller = bench.controller
        #expect(controller.refusal(of: .restart("web-9", operation: "op")) == .unknownInstance("web-9"))
        #expect(controller.refusal(of: .setConstraint("db", .maximumInstances, to: 1)) == .unknownService("db"))
        #expect(controller.refusal(of: .setConstraint("web", .maximumInstances, to: 3)) == nil)
        #expect(controller.refusal(of: .revokeCredential("ada", "key")) == .unknownConsumer("ada"))
        for (kind, value): (ConstraintKind, Int?) in [
            (.maximumInstances, 1), (.maximumInstances, 0), (.maximumInstances, nil),
            (.concurrentRequestsPerInstance, 0), (.requestsPerSecondPerConsumer, -1),
        ] {
            let refusal = controller.refusal(of: .setConstraint("web", kind, to: value))
            guard case .invalidValue = refusal else {
                Issue.record("\(kind) \(String(describing: value)): \(String(describing: refusal))")
                continue
            }
        }
        let twice = CloudConfiguration(services: [.web(), .web()])
        guard case .invalidValue = controller.refusal(of: .configure(twice)) else {
            Issue.record("two services of one name")
            return
        }
    }

    @Test func fixedEndpointsAreNotRestarted() {
        let service = CloudService(
            id: "web", routes: [Route()], instances: .endpoints([Endpoint(address: "10.0.0.1", port: 80)]))
        var bench = running(service)
        #expect(bench.controller.refusal(of: .restart("web-ep1", operation: "op")) == .notManaged("web-ep1"))
        bench.command(.restart("web-ep1", operation: "op"))
        #expect(bench.operation("op")?.state == .failed)
        bench.command(.setAdministrativeState("web-ep1", .draining, operation: "op-2"))
        #expect(bench.backends.isEmpty)
    }

    @Test func credentialsAreCommandsOfTheirOwn() {
        var bench = Bench()
        bench.command(.configure(CloudConfiguration(consumers: [CloudConsumer(id: "ada")])))
        let credential = APICredential(id: "ada-1", prefix: "cw_ada", digest: "00")
        bench.command(.addCredential("ada", credential))
        #expect(bench.controller.snapshot.consumers[0].credentials == [credential])
        #expect(bench.controller.refusal(of: .addCredential("ada", credential)) != nil)
        bench.command(.revokeCredential("ada", "ada-1"))
        #expect(bench.controller.snapshot.consumers[0].credentials.map(\.revoked) == [true])
        #expect(bench.stored.configuration.consumers[0].credentials.map(\.revoked) == [true])
    }

    @Test func shutDownStopsAllAndStartsNothing() {
        var bench = running(.web(minimum: 2, maximum: 3), .passive())
        bench.command(.shutDown)
        #expect(bench.processes.isEmpty)
        bench.pass(.minutes(5))
        #expect(bench.controller.instances.isEmpty)
        #expect(bench.stored.configuration.services.count == 1)
        #expect(bench.notifications.isEmpty)
        bench.restart()
        bench.pass(.seconds(5))
        #expect(bench.backends == ["web-4", "web-5"], "names are not used twice")
    }
}

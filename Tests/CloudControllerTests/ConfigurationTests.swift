import CloudController
import CloudModel
import Testing

@Suite struct ConfigurationTests {
    private func running(_ service: CloudService, _ group: FailoverGroup? = nil) -> Bench {
        var bench = Bench()
        bench.command(.configure(.only(service, group: group)))
        bench.pass(.seconds(20))
        return bench
    }

    /// Lets the change roll out, and watches that the cap holds and how few are up meanwhile.
    private func rollOut(_ bench: inout Bench, maximum: Int) -> Int {
        var fewest = bench.backends.count
        for _ in 0..<600 {
            bench.pass(.milliseconds(200))
            bench.load()
            fewest = min(fewest, bench.backends.count)
            #expect(bench.processes.count <= maximum)
        }
        return fewest
    }

    @Test func aChangedTemplateReplacesOneByOneBesideWhereThereIsRoom() {
        var bench = running(.web(minimum: 2, maximum: 3))
        bench.command(.configure(.only(.web(minimum: 2, maximum: 3, command: ["/bin/web", "2"]))))
        let fewest = rollOut(&bench, maximum: 3)
        #expect(fewest == 2, "there are never fewer than were wanted")
        #expect(bench.controller.instances.map(\.id) == ["web-3", "web-4"])
    }

    @Test func aChangedTemplateReplacesInPlaceAtTheCap() {
        var bench = running(.web(minimum: 3, maximum: 3))
        bench.command(.configure(.only(.web(minimum: 3, maximum: 3, command: ["/bin/web", "2"]))))
        let fewest = rollOut(&bench, maximum: 3)
        #expect(fewest == 2, "one at a time")
        #expect(bench.controller.instances.map(\.id) == ["web-1", "web-2", "web-3"])
        #expect(bench.controller.instances.map(\.incarnation) == [2, 2, 2])
        #expect(bench.notifications.isEmpty)
    }

    @Test func aTemplateThatDoesNotStartStopsNothingMore() {
        var bench = running(.web(minimum: 2, maximum: 3))
        bench.brokenStarts = { _ in true }
        bench.command(.configure(.only(.web(minimum: 2, maximum: 3, command: ["/bin/broken"]))))
        let fewest = rollOut(&bench, maximum: 3)
        #expect(fewest == 2)
        #expect(bench.notifications.map(\.kind) == ["breaker-open"])
        // Taken back: all is as it was.
        bench.command(.configure(.only(.web(minimum: 2, maximum: 3))))
        bench.brokenStarts = { _ in false }
        _ = rollOut(&bench, maximum: 3)
        #expect(bench.backends == ["web-1", "web-2"])
        #expect(bench.controller.instances.count == 2)
        #expect(bench.controller.openIncidents.isEmpty)
    }

    @Test func aMendedTemplateIsTriedAtOnceThoughTheBreakerIsOpen() {
        var bench = Bench()
        bench.brokenStarts = { _ in true }
        bench.command(.configure(.only(.web(minimum: 1, maximum: 1))))
        bench.pass(.seconds(10))
        #expect(bench.controller.openIncidents.count == 1)
        bench.brokenStarts = { _ in false }
        bench.command(.configure(.only(.web(minimum: 1, maximum: 1, command: ["/bin/mended"]))))
        bench.pass(.seconds(1))
        #expect(bench.backends.count == 1)
    }

    @Test func aChangedTemplateOfAnActivePassiveGroupNeverLeavesItWithoutAnActive() {
        var bench = running(.web(minimum: 1, maximum: 2), .passive())
        bench.command(.configure(.only(.web(minimum: 1, maximum: 2, command: ["/bin/web", "2"]), group: .passive())))
        let fewest = rollOut(&bench, maximum: 2)
        #expect(fewest == 1)
        #expect(bench.controller.instances.map(\.incarnation) == [2, 2])
    }

    @Test func otherChangesReplaceNothing() {
        var bench = running(.web(minimum: 2, maximum: 2))
        var service = CloudService.web(minimum: 2, maximum: 2)
        service.healthCheck.interval = .seconds(7)
        service.gateway.maximumRetries = 5
        bench.command(.configure(.only(service)))
        bench.pass(.minutes(1))
        #expect(bench.controller.instances.map(\.incarnation) == [1, 1])
        #expect(bench.controller.snapshot.services[0].service == service, "the gateway is told")
    }

    @Test func aRemovedServiceIsDrainedThenStopped() {
        var bench = running(.web(minimum: 2, maximum: 2))
        bench.load(inFlight: 1, perInstance: ["web-2": 1])
        bench.command(.configure(CloudConfiguration()))
        #expect(bench.controller.snapshot.services[0].service.routes.isEmpty)
        #expect(bench.processes.count == 2)
        bench.pass(.seconds(1))
        bench.load(inFlight: 1, perInstance: ["web-2": 1])
        #expect(bench.processes.keys.sorted() == ["web-2"])
        bench.pass(.seconds(40))
        #expect(bench.processes.isEmpty)
        #expect(bench.controller.snapshot.services.isEmpty)
        #expect(bench.stored.instances.isEmpty)
        // Taken in again: with names that were never used.
        bench.command(.configure(.only(.web(minimum: 1, maximum: 1))))
        bench.pass(.seconds(5))
        #expect(bench.backends == ["web-3"])
    }

    @Test func aServiceThatComesBackWhileItIsRemovedStaysWithinItsCap() {
        var bench = running(.web(minimum: 2, maximum: 2))
        bench.command(.configure(CloudConfiguration()))
        bench.command(.configure(.only(.web(minimum: 2, maximum: 2))))
        for _ in 0..<100 {
            bench.pass(.milliseconds(500))
            #expect(bench.controller.instances.count <= 2)
        }
        #expect(bench.backends == ["web-3", "web-4"])
    }

    @Test func addressesThatChangeAreCheckedAnew() {
        func fixed(_ addresses: [String]) -> CloudService {
            CloudService(
                id: "web", routes: [Route()],
                instances: .endpoints(addresses.map { Endpoint(address: $0, port: 80) }))
        }
        var bench = running(fixed(["10.0.0.1", "10.0.0.2"]))
        bench.failing["web-ep2"] = "connection refused"
        bench.command(.configure(.only(fixed(["10.0.0.1", "10.0.0.3", "10.0.0.4"]))))
        bench.pass(.seconds(5))
        #expect(bench.backends == ["web-ep1", "web-ep3"])
        bench.command(.configure(.only(fixed(["10.0.0.1"]))))
        bench.pass(.seconds(5))
        #expect(bench.controller.instances.map(\.id) == ["web-ep1"])
    }

    @Test func fromProcessesToAddressesAndBack() {
        var bench = running(.web(minimum: 1, maximum: 1))
        let fixed = CloudService(
            id: "web", routes: [Route()], instances: .endpoints([Endpoint(address: "10.0.0.1", port: 80)]))
        bench.command(.configure(.only(fixed)))
        bench.pass(.seconds(40))
        #expect(bench.backends == ["web-ep1"])
        #expect(bench.processes.isEmpty)
        bench.command(.configure(.only(.web(minimum: 1, maximum: 1))))
        bench.pass(.seconds(40))
        #expect(bench.backends == ["web-2"])
    }
}

import CloudController
import CloudModel
import Testing

/// What fails, and what is done about it.
@Suite struct FailureTests {
    private func running(_ service: CloudService = .web(), _ group: FailoverGroup? = nil) -> Bench {
        var bench = Bench()
        bench.command(.configure(.only(service, group: group)))
        bench.pass(.seconds(20))
        return bench
    }

    @Test func anInstanceThatHangsIsKilledAndStartedAgain() {
        var bench = running()
        bench.failing["web-2"] = "timed out after 1000 ms"
        bench.pass(.seconds(3))
        #expect(bench.backends == ["web-1", "web-3"])
        #expect(bench["web-2"]?.incarnation == 2)
        bench.failing = [:]
        bench.pass(.seconds(2))
        #expect(bench.backends == ["web-1", "web-2", "web-3"])
        #expect(bench.timeline(.failoverActiveActive).count == 5)
    }

    @Test func theLastInstanceKeepsItsWorkWhileItOnlyTimesOut() {
        var bench = running(.web(minimum: 1, maximum: 1))
        bench.failing["web-1"] = "timed out after 1000 ms"
        bench.pass(.seconds(5))
        #expect(bench["web-1"]?.operational == .down)
        #expect(bench.backends == ["web-1"], "slow is better than nothing")
        bench.failing = [:]
        bench.pass(.seconds(5))
        #expect(bench["web-1"]?.operational == .up)
        #expect(bench["web-1"]?.incarnation == 1)
        // One that hangs for good is restarted all the same.
        bench.failing["web-1"] = "timed out after 1000 ms"
        bench.pass(.seconds(15))
        #expect(bench["web-1"]?.incarnation == 2)
    }

    @Test func thoseThatHangAtOnceAreRestartedOneByOne() {
        var bench = running()
        for id in ["web-1", "web-2", "web-3"] as [InstanceID] { bench.failing[id] = "timed out after 1000 ms" }
        var fewest = 3
        for _ in 0..<200 {
            bench.pass(.milliseconds(100))
            fewest = min(fewest, bench.backends.count)
            // A new incarnation works.
            for instance in bench.controller.instances where instance.incarnation == 2 {
                bench.failing[instance.id] = nil
            }
        }
        #expect(fewest >= 1)
        bench.pass(.seconds(40))
        #expect(bench.backends == ["web-1", "web-2", "web-3"])
        #expect(bench.controller.instances.allSatisfy { $0.operational == .up })
    }

    @Test func theLastInstanceThatRefusesIsTakenOut() {
        var bench = running(.web(minimum: 1, maximum: 1))
        bench.failing["web-1"] = "connection refused"
        bench.pass(.seconds(3))
        #expect(bench["web-1"]?.incarnation == 2)
    }

    @Test func trafficAloneNeverTakesAnInstanceOut() {
        var bench = running(.web(minimum: 1, maximum: 1))
        for _ in 0..<50 {
            bench.send(
                .dataPlane(
                    .backendFailure(
                        service: "web", instance: "web-1", reason: .connectionRefused, at: bench.now)))
            bench.pass(.milliseconds(10))
        }
        #expect(bench.backends == ["web-1"])
        #expect(bench["web-1"]?.incarnation == 1)
    }

    @Test func trafficHasACheckMadeAtOnceWhichDecides() {
        var bench = running(.web(minimum: 1, maximum: 1))
        bench.failing["web-1"] = "connection refused"
        for _ in 0..<2 {
            bench.send(
                .dataPlane(
                    .backendFailure(
                        service: "web", instance: "web-1", reason: .connectionRefused, at: bench.now)))
        }
        bench.pass(.milliseconds(1))
        #expect(bench["web-1"]?.phase != .running, "two refused connections and one failed check")
    }

    @Test func replicatesWhatCannotBeRecoveredInPlace() {
        var bench = Bench()
        bench.command(
            .configure(
                .only(
                    .web(minimum: 2, maximum: 2),
                    group: FailoverGroup(
                        id: "web", service: "web", mode: .activeActive, standbys: 0, recoveryAttempts: 2))))
        bench.pass(.seconds(20))
        bench.brokenStarts = { $0 == "web-1" }
        bench.kill("web-1")
        bench.pass(.seconds(20))
        #expect(bench.controller.instances.map(\.id) == ["web-2", "web-3"])
        #expect(bench.backends == ["web-2", "web-3"])
        let timeline = bench.timeline(.failoverActiveActive)
        #expect(timeline.contains { $0.hasPrefix("4 web-1 is replicated: web-3 is up in its stead") }, "\(timeline)")
        #expect(bench.notifications.count { $0.kind == "failover" } == 1)
        bench.pass(.seconds(20))
        #expect(bench.controller.openIncidents.isEmpty)
    }

    @Test func oneNotificationUntilItHasStayedUp() {
        var bench = running()
        for _ in 0..<3 {
            bench.kill("web-2")
            bench.pass(.seconds(4))
        }
        #expect(bench.notifications.count { $0.kind == "failover" } == 1)
        bench.pass(.seconds(20))
        bench.kill("web-2")
        #expect(bench.notifications.count { $0.kind == "failover" } == 2)
        #expect(Set(bench.notifications.map(\.id)).count == bench.notifications.count)
    }

    @Test func withoutAStandbyTheActiveOneIsRecovered() {
        var bench = running(.web(minimum: 1, maximum: 1), .passive())
        bench.kill("web-1")
        #expect(bench.backends.isEmpty)
        bench.pass(.seconds(5))
        #expect(bench.backends == ["web-1"])
        #expect(bench["web-1"]?.role == .active)
    }

    @Test func twoFailuresInARowUseBothStandbys() {
        var bench = running(.web(minimum: 1, maximum: 3), .passive(standbys: 2))
        #expect(bench.backends == ["web-1"])
        bench.kill("web-1")
        bench.kill("web-2")
        #expect(bench.backends == ["web-3"])
        bench.pass(.seconds(10))
        #expect(bench.controller.instances.map(\.role) == [.standby, .standby, .active])
        #expect(bench.controller.instances.allSatisfy { $0.operational == .up })
    }

    @Test func aStandbyThatFailsIsRecoveredWithoutASwitchOver() {
        var bench = running(.web(minimum: 1, maximum: 2), .passive())
        let published = bench.controller.snapshot
        bench.kill("web-2")
        bench.pass(.seconds(10))
        #expect(bench.controller.snapshot == published)
        #expect(bench["web-2"]?.operational == .up)
        #expect(bench["web-2"]?.role == .standby)
    }

    @Test func fixedEndpointsAreCheckedAndNeverStarted() {
        let endpoints = (1...2).map { Endpoint(address: "10.0.0.\($0)", port: 80) }
        let service = CloudService(id: "web", routes: [Route()], instances: .endpoints(endpoints))
        var bench = running(service)
        #expect(bench.backends == ["web-ep1", "web-ep2"])
        bench.failing["web-ep1"] = "connection refused"
        bench.pass(.seconds(5))
        #expect(bench.backends == ["web-ep2"])
        bench.failing = [:]
        bench.pass(.seconds(10))
        #expect(bench.backends == ["web-ep1", "web-ep2"])
        let isActed = bench.effects.contains {
            switch $0 {
            case .start, .stop, .lifecycle: true
            default: false
            }
        }
        #expect(!isActed)
        #expect(bench.timeline(.failoverActiveActive).map { $0.prefix(1) } == ["1", "2", "3", "4", "5"])
    }

    /// It never was up, so it cannot fail: the standby serves all the same, also where the group came later.
    @Test(arguments: [false, true])
    func anAddressThatIsDownFromTheBeginningHasAStandby(_ groupCameLater: Bool) {
        let endpoints = (1...2).map { Endpoint(address: "10.0.0.\($0)", port: 80) }
        let service = CloudService(id: "web", routes: [Route()], instances: .endpoints(endpoints))
        var bench = Bench()
        bench.failing["web-ep1"] = "connection refused"
        bench.command(.configure(.only(service, group: groupCameLater ? nil : .passive())))
        bench.pass(.seconds(10))
        bench.command(.configure(.only(service, group: .passive())))
        bench.pass(.seconds(10))
        #expect(bench.backends == ["web-ep2"])
        #expect(bench["web-ep1"]?.role == .standby && bench["web-ep2"]?.role == .active)
        bench.failing = ["web-ep2": "connection refused"]
        bench.pass(.seconds(10))
        #expect(bench.backends == ["web-ep1"])
    }

    @Test func anInstanceInMaintenanceIsLeftAlone() {
        var bench = running()
        bench.command(.setAdministrativeState("web-2", .maintenance, operation: "op-1"))
        #expect(bench.backends == ["web-1", "web-3"])
        bench.kill("web-2")
        bench.pass(.seconds(30))
        #expect(bench["web-2"]?.phase == .failed)
        #expect(bench.notifications.isEmpty)
        bench.command(.setAdministrativeState("web-2", .enabled, operation: "op-2"))
        bench.pass(.seconds(5))
        #expect(bench.backends == ["web-1", "web-2", "web-3"])
    }
}

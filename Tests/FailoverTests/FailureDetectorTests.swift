import CloudModel
import Failover
import Testing

@Suite struct FailureDetectorTests {
    private let check = HealthCheck(rise: 2, fall: 3)

    /// `p` passed, `t` timed out, `f` failed, `r` refused connection of traffic, `s` slow response of traffic.
    private func detector(_ signs: String, from state: OperationalState = .checking) -> FailureDetector {
        var detector = FailureDetector(state: state)
        for sign in signs {
            switch sign {
            case "p": _ = detector.checked(.passed, check)
            case "t": _ = detector.checked(.timedOut, check)
            case "f": _ = detector.checked(.failed, check)
            case "r": _ = detector.trafficFailed(.connectionRefused, check)
            case "s": _ = detector.trafficFailed(.responseTimeout, check)
            default: Issue.record("\(sign)")
            }
        }
        return detector
    }

    @Test(arguments: [
        ("", OperationalState.checking), ("p", .up), ("f", .checking), ("ff", .checking), ("fff", .down),
        ("fffp", .down), ("fffpp", .up), ("fffpfpp", .up), ("fffpfp", .down), ("pff", .up), ("pffpff", .up),
        ("pfff", .down), ("pfft", .down), ("prrrrrrrrr", .up), ("prrf", .down), ("prf", .up), ("prff", .down),
        ("prrpf", .up), ("pssssssf", .up),
    ])
    func states(signs: String, state: OperationalState) {
        #expect(detector(signs).state == state, "\(signs)")
    }

    @Test func changesAreToldOnce() {
        var detector = FailureDetector()
        #expect(detector.checked(.passed, check) == .wentUp)
        #expect(detector.checked(.passed, check) == nil)
        #expect(detector.checked(.failed, check) == nil)
        #expect(detector.checked(.failed, check) == nil)
        #expect(detector.checked(.failed, check) == .wentDown)
        #expect(detector.checked(.failed, check) == nil)
        #expect(detector.checked(.passed, check) == nil)
        #expect(detector.checked(.passed, check) == .wentUp)
    }

    @Test func anEndIsProof() {
        var up = detector("p")
        #expect(up.exited() == .wentDown)
        #expect(up.state == .down)
        #expect(up.exited() == nil)
        var starting = detector("")
        #expect(starting.exited() == nil)
        #expect(starting.state == .down)
    }

    @Test func doubtIsCheckedFast() {
        #expect(detector("").pause(check) == check.fastInterval)
        #expect(detector("p").pause(check) == check.interval)
        #expect(detector("pf").pause(check) == check.fastInterval)
        #expect(detector("pr").pause(check) == check.fastInterval)
        #expect(detector("pfff").pause(check) == check.interval)
        #expect(detector("pfffp").pause(check) == check.fastInterval)
    }

    @Test func aTrafficFailureAsksForACheckOnlyOfWhatIsUp() {
        var up = detector("p")
        #expect(up.trafficFailed(.connectionReset, check) == true)
        #expect(up.trafficFailed(.malformedResponse, check) == true)
        var down = detector("pfff")
        #expect(down.trafficFailed(.connectionRefused, check) == false)
    }

    @Test(arguments: [("pttt", true), ("ptft", false), ("pftt", false), ("pfpttt", true), ("pfff", false)])
    func timeoutsAreToldFromRefusals(signs: String, onlyTimeouts: Bool) {
        #expect(detector(signs).onlyTimeouts == onlyTimeouts)
    }

    @Test func aFallOfOneStillNeedsACheck() {
        let strict = HealthCheck(rise: 1, fall: 1)
        var detector = FailureDetector(state: .up)
        #expect(detector.trafficFailed(.connectionRefused, strict) == true)
        #expect(detector.state == .up)
        #expect(detector.checked(.failed, strict) == .wentDown)
    }

    @Test func panicHoldsOnlyTheLastThatTimesOut() {
        #expect(PanicRule.holds(detector("pttt"), otherInstancesUp: 0))
        #expect(!PanicRule.holds(detector("pttt"), otherInstancesUp: 1))
        #expect(!PanicRule.holds(detector("pttf"), otherInstancesUp: 0))
        var exited = detector("p")
        _ = exited.exited()
        #expect(!PanicRule.holds(exited, otherInstancesUp: 0))
    }
}

import CloudController
import CloudModel
import Testing

/// The wall clock is set while the controller runs.
@Suite struct ClockTests {
    @Test(arguments: [-3_600, -10, 10, 3_600, 86_400] as [Int64])
    func aJumpChangesNothing(seconds: Int64) {
        var bench = Bench()
        bench.command(.configure(.only(.web())))
        bench.pass(.seconds(20))
        let first = bench.effects.count
        for _ in 0..<5 {
            bench.now = bench.now + .seconds(seconds)
            // The runtime sleeps by a clock that is not set.
            bench.send(.deadline)
            bench.pass(.seconds(15))
        }
        let isDisturbed = bench.effects[first...].contains {
            switch $0 {
            case .start, .stop, .publish, .notify: true
            default: false
            }
        }
        #expect(!isDisturbed)
        let checks = bench.effects[first...].count { if case .probe = $0 { true } else { false } }
        // Three instances, a check every 2 s (at least every 1.8 s), for 75 s.
        #expect((100...140).contains(checks), "\(checks) checks")
    }

    @Test func aJumpDoesNotEndAStart() {
        var bench = Bench()
        bench.failing["web-1"] = "connection refused"
        bench.command(.configure(.only(.web(minimum: 1, maximum: 1))))
        bench.pass(.seconds(5))
        bench.now = bench.now + .hours(1)
        bench.pass(.seconds(5))
        #expect(bench["web-1"]?.incarnation == 1)
        bench.pass(.seconds(25))
        #expect(bench["web-1"]?.incarnation == 2)
    }

    @Test func theNextDeadlineIsByTheGivenClock() {
        var bench = Bench()
        bench.command(.configure(.only(.web(minimum: 1, maximum: 1))))
        bench.pass(.seconds(5))
        bench.now = bench.now - .hours(5)
        bench.send(.deadline)
        let wait = (bench.controller.nextDeadline ?? bench.now) - bench.now
        #expect(wait >= .zero && wait <= .seconds(2))
    }
}

import CloudModel
import Failover
import Testing

@Suite struct RecoveryTrackTests {
    private let settings = RestartSettings(initialBackoff: .milliseconds(200), maximumBackoff: .seconds(30))

    @Test(arguments: 1...60) func theBackOffGrowsWithinItsBounds(failures: Int) {
        var random = SeededGenerator(seed: UInt64(failures))
        var full: Int64 = 200_000
        for _ in 1..<failures where full < 30_000_000 { full *= 2 }
        full = min(full, 30_000_000)
        for _ in 0..<50 {
            let delay = RecoveryTrack.backoff(afterFailures: failures, settings, random: &random).microseconds
            #expect((full / 2...full).contains(delay))
        }
    }

    @Test func noBackOffIsNone() {
        var random = SeededGenerator(seed: 1)
        let none = RestartSettings(initialBackoff: .zero)
        #expect(RecoveryTrack.backoff(afterFailures: 9, none, random: &random) == .zero)
    }

    @Test func recoversInPlaceThenReplicates() {
        var random = SeededGenerator(seed: 1)
        var track = RecoveryTrack()
        func next() -> Bool {
            if case .replicate = track.failed(restart: settings, recoveryAttempts: 2, random: &random) {
                true
            } else {
                false
            }
        }
        #expect([next(), next(), next()] == [false, false, true])
        // The new name has its own attempts, and the old one's back-off.
        track = track.replica
        #expect(track.failuresInARow == 3)
        #expect([next(), next(), next()] == [false, false, true])
        track.becameStable()
        #expect(track == RecoveryTrack())
    }

    @Test func withoutAttemptsItIsReplicatedAtOnce() {
        var random = SeededGenerator(seed: 1)
        var track = RecoveryTrack()
        guard case .replicate = track.failed(restart: settings, recoveryAttempts: 0, random: &random) else {
            Issue.record("not replicated")
            return
        }
    }
}

@Suite struct CircuitBreakerTests {
    private let settings = RestartSettings(breakerThreshold: 3, breakerPause: .seconds(60))
    private func at(_ seconds: Int64) -> Timestamp { .epoch + .seconds(seconds) }

    private func opened() -> CircuitBreaker {
        var breaker = CircuitBreaker()
        for _ in 0..<3 { _ = breaker.startFailed(of: "a", at: at(0), settings) }
        return breaker
    }

    @Test func opensOnceAtTheThreshold() {
        var breaker = CircuitBreaker()
        #expect(breaker.startFailed(of: "a", at: at(0), settings) == false)
        #expect(breaker.startFailed(of: "b", at: at(0), settings) == false)
        #expect(breaker.admit("c", at: at(0)) == .start)
        #expect(breaker.startFailed(of: "a", at: at(0), settings) == true)
        #expect(breaker.startFailed(of: "b", at: at(0), settings) == false, "it is open already")
        #expect(breaker.admit("c", at: at(59)) == .wait(until: at(60)))
    }

    @Test func aSuccessBetweenFailuresStartsTheCountAnew() {
        var breaker = CircuitBreaker()
        for _ in 0..<10 {
            #expect(breaker.startFailed(of: "a", at: at(0), settings) == false)
            #expect(breaker.startFailed(of: "a", at: at(0), settings) == false)
            #expect(breaker.startSucceeded() == false)
        }
    }

    @Test func letsOneTrialThrough() {
        var breaker = opened()
        #expect(breaker.admit("a", at: at(60)) == .start)
        #expect(breaker.admit("b", at: at(60)) == .waitForTrial)
        #expect(breaker.admit("a", at: at(60)) == .start, "asked twice")
        #expect(breaker.startSucceeded() == true)
        #expect(breaker.admit("b", at: at(60)) == .start)
    }

    @Test func aTrialThatFailsOpensItAgainAndIsNotTold() {
        var breaker = opened()
        #expect(breaker.admit("a", at: at(60)) == .start)
        #expect(breaker.startFailed(of: "b", at: at(61), settings) == false, "it was not on trial")
        #expect(breaker.admit("b", at: at(61)) == .waitForTrial)
        #expect(breaker.startFailed(of: "a", at: at(62), settings) == false)
        #expect(breaker.admit("a", at: at(62)) == .wait(until: at(122)))
    }

    @Test func aTrialThatIsRemovedFreesThePlace() {
        var breaker = opened()
        #expect(breaker.admit("a", at: at(60)) == .start)
        breaker.forget("b")
        #expect(breaker.admit("b", at: at(60)) == .waitForTrial)
        breaker.forget("a")
        #expect(breaker.admit("b", at: at(60)) == .start)
    }

    @Test func afterARestartOfTheControlPlaneOneTrialIsDue() {
        var breaker = CircuitBreaker.tripped
        #expect(!breaker.isClosed)
        #expect(breaker.admit("a", at: at(0)) == .start)
        #expect(breaker.admit("b", at: at(0)) == .waitForTrial)
        #expect(breaker.reset() == true)
        #expect(breaker.isClosed)
    }
}

@Suite struct SwitchoverTests {
    private func member(
        _ id: InstanceID, _ role: FailoverRole, _ condition: GroupMember.Condition
    ) -> GroupMember {
        GroupMember(id: id, role: role, condition: condition)
    }

    @Test func activeActiveGoesOnWithTheOthersThatAreUp() {
        let plan = Switchover.after(
            failureOf: "b",
            in: [
                member("c", .active, .up), member("a", .active, .up), member("b", .active, .up),
                member("d", .active, .starting), member("e", .active, .unavailable),
            ], mode: .activeActive)
        #expect(plan.carriers == ["a", "c"])
        #expect(plan.activated == nil)
        #expect(plan.roleOfFailed == .active)
    }

    @Test func theBestStandbyTakesOver() {
        let conditions: [GroupMember.Condition] = [.unavailable, .cold, .starting, .up, .up]
        var group = [member("x", .active, .up)]
        for (number, condition) in conditions.enumerated() {
            group.append(member(InstanceID("s\(number)"), .standby, condition))
        }
        let plan = Switchover.after(failureOf: "x", in: group, mode: .activePassive)
        #expect(plan.activated == "s3")
        #expect(plan.carriers == ["s3"])
        #expect(!plan.activationStarts)
        #expect(plan.roleOfFailed == .standby)
        let fewer = Switchover.after(
            failureOf: "x", in: group.filter { $0.condition != .up || $0.id == "x" }, mode: .activePassive)
        #expect(fewer.activated == "s2")
        #expect(fewer.carriers.isEmpty)
    }

    @Test func aColdStandbyIsStarted() {
        let plan = Switchover.after(
            failureOf: "a", in: [member("a", .active, .up), member("b", .standby, .cold)], mode: .activePassive)
        #expect(plan.activated == "b")
        #expect(plan.activationStarts)
    }

    @Test func withoutAStandbyTheFailedOneStaysActive() {
        let plan = Switchover.after(
            failureOf: "a", in: [member("a", .active, .up), member("b", .standby, .unavailable)], mode: .activePassive)
        #expect(plan.activated == nil)
        #expect(plan.roleOfFailed == .active)
        #expect(plan.carriers.isEmpty)
    }

    @Test func aStandbyThatFailsActivatesNobody() {
        let plan = Switchover.after(
            failureOf: "b", in: [member("a", .active, .up), member("b", .standby, .up), member("c", .standby, .up)],
            mode: .activePassive)
        #expect(plan.activated == nil)
        #expect(plan.carriers == ["a"])
        #expect(plan.roleOfFailed == .standby)
    }
}

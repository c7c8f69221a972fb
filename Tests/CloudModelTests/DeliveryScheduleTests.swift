import CloudModel
import Testing

@Suite struct DeliveryScheduleTests {
    @Test func triesTenTimesOverThreeDaysAndGivesUp() {
        let schedule = DeliverySchedule()
        var random = SeededGenerator(seed: 1)
        var total = TimeSpan.zero
        var attempts = 1
        while let pause = schedule.pause(afterAttempt: attempts, random: &random) {
            total = total + pause
            attempts += 1
        }
        #expect(attempts == 10)
        #expect(attempts == schedule.maximumAttempts)
        #expect(total > .hours(60) && total <= schedule.longestDuration)
        #expect(schedule.pause(afterAttempt: 0, random: &random) == nil)
    }

    @Test(arguments: 1...9) func spreadsEachPauseWithinItsJitter(attempt: Int) throws {
        let schedule = DeliverySchedule()
        let pause = DeliverySchedule.standardWebhooks[attempt - 1].microseconds
        var random = SeededGenerator(seed: UInt64(attempt))
        let drawn = try (0..<1_000).map { _ in
            try #require(schedule.pause(afterAttempt: attempt, random: &random)).microseconds
        }
        #expect(drawn.allSatisfy { abs($0 - pause) <= pause / 5 })
        #expect(drawn.min()! < pause - pause / 6)
        #expect(drawn.max()! > pause + pause / 6)
    }

    @Test func isExactWithoutJitter() {
        var random = SeededGenerator(seed: 1)
        let schedule = DeliverySchedule(pauses: [.seconds(1), .seconds(2)], jitterPercent: 0)
        #expect(schedule.pause(afterAttempt: 1, random: &random) == .seconds(1))
        #expect(schedule.pause(afterAttempt: 2, random: &random) == .seconds(2))
        #expect(schedule.pause(afterAttempt: 3, random: &random) == nil)
    }
}

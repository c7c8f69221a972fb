import CloudModel
import ScalingListener
import Testing

@Suite struct LearnedScalingTests {
    /// Midnight of a day in 2026.
    private static let start = Timestamp(microseconds: 20_500 * 86_400_000_000)
    private static let measure = "10r/0c"

    private func time(_ minute: Int) -> Timestamp { Self.start + .minutes(Int64(minute)) }

    private func load(_ minute: Int) -> Double { 6 + Double(minute * 7_919 % 97) / 97 }

    /// As the controller does: several samples a minute, and the days stored at their places.
    private func live(_ learned: inout LearnedScaling, _ minutes: Range<Int>, _ stored: inout [Int: String]) {
        for minute in minutes {
            for second in [0, 30] {
                learned.observe(second == 0 ? load(minute) : 1, at: time(minute) + .seconds(Int64(second)))
                _ = learned.catchUp(100)
                if let day = learned.takeUnsaved() { stored[day.place] = day.text }
            }
        }
    }

    private func fresh(_ stored: [String] = [], now: Int = 0, measure: String = Self.measure) -> LearnedScaling {
        let history = DemandHistory(measure: measure, stored: stored, now: time(now))
        return LearnedScaling(history: history, target: 0.7, minimum: 1)
    }

    @Test func theFirstDayIsLeftToEachSample() {
        var learned = fresh()
        var stored: [Int: String] = [:]
        live(&learned, 0..<1_440, &stored)
        #expect(learned.wish == nil && learned.takeChange() == nil)
        live(&learned, 1_440..<1_502, &stored)
        let choice = learned.takeChange()
        #expect(choice?.before == "horizontal 70 % window 5m")
        #expect(choice?.reason.contains("instances in the mean and missed") == true)
        #expect((7...9).contains(learned.wish?.instances ?? 0), "\(String(describing: learned.wish))")
        #expect(learned.takeChange() == nil, "told once")
        learned.observe(7, at: time(1_600))
        #expect(learned.wish == nil, "after a gap each sample decides until a minute is known again")
        live(&learned, 1_600..<1_602, &stored)
        #expect(learned.wish != nil)
        learned.observe(7, at: time(1_500))
        #expect(learned.wish == nil, "the clock was set back")
    }

    @Test func aRestartGoesOnFromWhatWasKnown() {
        var learned = fresh()
        var stored: [Int: String] = [:]
        live(&learned, 0..<2_000, &stored)
        if let day = learned.takeUnsaved(isLast: true) { stored[day.place] = day.text }
        #expect(stored.count == 2, "two days, at places of their own")
        var again = fresh(stored.values.sorted(), now: 2_000)
        #expect(again.wish == nil)
        var gone = 0
        while case let count = again.catchUp(300), count > 0 {
            #expect(count <= 300)
            gone += count
        }
        #expect(gone == 1_999, "the last minute was not over")
        live(&again, 1_999..<2_002, &stored)
        live(&learned, 2_000..<2_002, &stored)
        #expect(again.wish?.instances == learned.wish?.instances)
        #expect(again.takeChange()?.name == learned.takeChange()?.name)
    }

    @Test func aHistoryThatSaysNothingIsLeftOut() {
        var learned = fresh()
        var stored: [Int: String] = [:]
        live(&learned, 0..<100, &stored)
        let days = Array(stored.values)
        #expect(days.count == 1)
        func known(_ stored: [String], now: Int = 100, measure: String = Self.measure) -> Int {
            var learned = fresh(stored, now: now, measure: measure)
            return learned.catchUp(10_000)
        }
        #expect(known(days) > 0)
        #expect(known(days + days) == known(days))
        #expect(known(days, measure: "20r/0c") == 0, "another measure")
        #expect(known(days, now: -1_440) == 0, "of tomorrow")
        #expect(known(days, now: 14 * 1_440) == 0, "too old")
        for broken in ["", "1", "2" + days[0].dropFirst(), String(days[0].dropLast(900)), days[0] + ",5", "1 a b c"] {
            #expect(known([broken]) == 0, "\(broken.prefix(20))")
        }
    }

    @Test func aClockThatIsSetBackChangesNothing() {
        var learned = fresh()
        var stored: [Int: String] = [:]
        live(&learned, 0..<60, &stored)
        live(&learned, 10..<11, &stored)
        let before = stored
        live(&learned, 11..<50, &stored)
        #expect(stored == before)
        live(&learned, 60..<80, &stored)
        #expect(stored != before)
    }
}

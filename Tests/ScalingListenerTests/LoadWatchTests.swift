import CloudModel
import ScalingListener
import Testing

@Suite struct LoadWatchTests {
    private func situation(_ demand: Double, ready: Int = 4, ceiling: Int = 8) -> LoadWatch.Situation {
        .init(demand: demand, ready: ready, minimum: 1, ceiling: ceiling, target: 0.5)
    }

    /// What is told, with the second in which it is.
    private func tell(
        _ watch: ScalingWatch, seconds: Range<Int>, _ state: inout LoadWatch, ready: Int = 4,
        _ demand: (Int) -> Double
    ) -> [(second: Int, tiding: LoadWatch.Tiding)] {
        seconds.flatMap { second in
            state.observe(
                situation(demand(second), ready: ready), watch, at: Timestamp(microseconds: Int64(second) * 1_000_000)
            ).map { (second, $0) }
        }
    }

    @Test("above the threshold is told once, when it has lasted, and again only after it was over for as long")
    func above() {
        let watch = ScalingWatch(abovePercent: 90, lasting: .seconds(60))
        var state = LoadWatch()
        // 100 % with one dip, then calm for half a minute, then calm for long, then 100 % again.
        let told = tell(watch, seconds: 0..<600, &state) { second in
            switch second {
            case 30: 2
            case 150..<180, 240..<400: 2
            default: 4
            }
        }
        #expect(told.map(\.second) == [91, 300, 460])
        #expect(
            told.map(\.tiding) == [
                .began(.aboveThreshold, utilisation: 100, forecast: nil), .ended(.aboveThreshold),
                .began(.aboveThreshold, utilisation: 100, forecast: nil),
            ])
    }

    @Test("below the allocation is not told of the minimum")
    func below() {
        let watch = ScalingWatch(belowPercent: 20, lasting: .seconds(10))
        var state = LoadWatch()
        #expect(tell(watch, seconds: 0..<60, &state, ready: 1) { _ in 0 }.isEmpty)
        let told = tell(watch, seconds: 60..<120, &state) { _ in 0.4 }
        #expect(told.map(\.second) == [70])
        #expect(told.map(\.tiding) == [.began(.belowAllocation, utilisation: 10, forecast: nil)])
    }

    @Test("a rising load is told to reach the limit: 8 instances at half their capacity are 4 of demand")
    func forecast() throws {
        let watch = ScalingWatch(lasting: .seconds(10), limitForecast: .minutes(30))
        var state = LoadWatch()
        // A thousandth of an instance a second: 4 is reached in second 4,000, 30 minutes before in second 2,200.
        let told = tell(watch, seconds: 0..<2_400, &state) { Double($0) / 1_000 }
        let first = try #require(told.first)
        #expect(told.count == 1)
        #expect((2_200...2_230).contains(first.second), "\(first.second)")
        guard case .began(.limitForecast, _, let forecast?) = first.tiding else {
            Issue.record("\(first.tiding)")
            return
        }
        #expect(forecast.reachedIn > .minutes(29) && forecast.reachedIn <= .minutes(30))
        // At its end the demand is a little over 4, and each instance is meant to take half.
        #expect(forecast.instances == 9)
    }

    @Test("noise, a falling load and five minutes of history have no trend")
    func noForecast() {
        let watch = ScalingWatch(lasting: .seconds(1), limitForecast: .hours(24))
        var noisy = LoadWatch()
        var random = SeededGenerator(seed: 7)
        #expect(tell(watch, seconds: 0..<3_600, &noisy) { _ in 2 + Double.random(in: -1...1, using: &random) }.isEmpty)
        var falling = LoadWatch()
        #expect(tell(watch, seconds: 0..<1_200, &falling) { 4 - Double($0) / 1_000 }.isEmpty)
        var young = LoadWatch()
        #expect(tell(watch, seconds: 0..<280, &young) { Double($0) / 100 }.isEmpty)
    }
}

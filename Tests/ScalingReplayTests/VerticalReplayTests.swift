import CloudModel
import ScalingReplay
import Testing

@Suite struct VerticalReplayTests {
    private func usage(_ values: [Double]) throws -> LoadHistory {
        try LoadHistory(
            values.enumerated().map { LoadHistory.Point(at: .epoch + .minutes(Int64($0.offset)), value: $0.element) })
    }

    /// A server of four cores that uses 300 millicores for three days becomes one of some 350, and is never short.
    @Test func aServerThatIsTooLargeBecomesSmaller() throws {
        let replay = VerticalReplay(
            try usage([Double](repeating: 300, count: 3 * 1_440)), given: 4_000, atMost: 4_000)
        let target = try #require(replay.size?.target)
        #expect((345...370).contains(target), "the end of the bucket of 300, and 15 %: \(target)")
        #expect(replay.shortTime == 0)
        #expect(replay.meanGiven < 2_000)
        #expect((1...5).contains(replay.changes))
    }

    /// What it has limits what is seen: each time it is short the margin of 15 % lets it see more.
    @Test func aServerThatIsTooSmallGrowsToItsMaximum() throws {
        let replay = VerticalReplay(
            try usage([Double](repeating: 900, count: 20 * 1_440)), given: 100, atMost: 800)
        #expect(replay.shortTime > 0.9)
        #expect(replay.meanGiven > 300 && replay.meanGiven <= 800)
    }
}

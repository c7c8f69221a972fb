import Gateway
import Testing

@Suite struct LoopPrecedenceTests {
    private let window = LoopPrecedence.window

    /// Part of the processor that the loop uses in each window, and what is made of it.
    private func changes(_ parts: [Double]) -> [LoopPrecedence.Change?] {
        var precedence = LoopPrecedence(now: 1_000)
        var (now, used) = (Int64(1_000), Int64(0))
        return parts.map { part in
            now += window
            used += Int64(part * Double(window))
            return precedence.look(now: now, used: used)
        }
    }

    @Test func aLoopGoesFirstWhileItLeavesTheOthersAPart() {
        #expect(changes([0.1, 0.5, 0.75, 0.89]) == [nil, nil, nil, nil])
        #expect(changes([0.5, 0.95, 1.0, 0.85, 0.75, 0.85]) == [nil, .stopGoingFirst, nil, nil, .goFirst, nil])
    }

    /// After a long sleep what counts is the part of the whole time.
    @Test func aLookThatComesLateGoesByTheTimeThatHasPassed() {
        var precedence = LoopPrecedence(now: 0)
        #expect(precedence.look(now: 100 * window, used: 10 * window) == nil)
        #expect(precedence.look(now: 101 * window, used: 11 * window) == .stopGoingFirst)
        #expect(precedence.look(now: 200 * window, used: 12 * window) == .goFirst)
    }

    @Test func itIsLookedAtOnceAWindow() {
        var precedence = LoopPrecedence(now: 0)
        #expect(!precedence.isDue(now: window - 1))
        #expect(precedence.isDue(now: window))
        _ = precedence.look(now: window, used: 0)
        #expect(!precedence.isDue(now: window + 1))
    }
}

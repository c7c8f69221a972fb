import Gateway
import Testing

@Suite struct LoopPrecedenceTests {
    private let window = LoopPrecedence.window

    /// The level after each window, in which the loop used that part of the processor, and the books left that part of
    /// the spool's room taken.
    private func levels(
        _ windows: [(used: Double, waiting: Double)], mayBeFirst: Bool = true
    ) -> [LoopPrecedence.Level] {
        var precedence = LoopPrecedence(mayBeFirst: mayBeFirst, now: 1_000)
        var (now, used) = (Int64(1_000), Int64(0))
        return windows.map { part in
            now += window
            used += Int64(part.used * Double(window))
            let before = precedence.level
            let change = precedence.look(now: now, used: used, waiting: part.waiting)
            #expect(change == (precedence.level == before ? nil : precedence.level))
            return precedence.level
        }
    }

    @Test func aLoopIsFirstWhileItLeavesTheOthersAPart() {
        #expect(levels([(0.1, 0), (0.5, 0), (0.79, 0)]) == [.first, .first, .first])
        #expect(
            levels([(0.5, 0), (0.85, 0), (1, 0), (0.75, 0), (0.65, 0), (0.75, 0)])
                == [.first, .beforeOthers, .beforeOthers, .beforeOthers, .first, .first])
        #expect(levels([(0.1, 0), (0.9, 0)], mayBeFirst: false) == [.beforeOthers, .beforeOthers])
    }

    @Test func aLoopHasNoPrecedenceUntilTheBooksHaveCaughtUp() {
        #expect(
            levels([(0.1, 0.1), (0.1, 0.13), (0.9, 0.1), (0.1, 0.07), (0.1, 0.06), (0.1, 0.1)])
                == [.first, .amongOthers, .amongOthers, .amongOthers, .first, .first])
        #expect(levels([(0.9, 0.2), (0.9, 0.05)]) == [.amongOthers, .beforeOthers])
    }

    /// After a long sleep what counts is the part of the whole time.
    @Test func aLookThatComesLateGoesByTheTimeThatHasPassed() {
        var precedence = LoopPrecedence(mayBeFirst: true, now: 0)
        #expect(precedence.look(now: 100 * window, used: 10 * window, waiting: 0) == nil)
        #expect(precedence.look(now: 101 * window, used: 11 * window, waiting: 0) == .beforeOthers)
        #expect(precedence.look(now: 200 * window, used: 12 * window, waiting: 0) == .first)
    }

    @Test func itIsLookedAtOnceAWindow() {
        var precedence = LoopPrecedence(mayBeFirst: true, now: 0)
        #expect(!precedence.isDue(now: window - 1))
        #expect(precedence.isDue(now: window))
        _ = precedence.look(now: window, used: 0, waiting: 0)
        #expect(!precedence.isDue(now: window + 1))
    }
}

import CGateway

/// Whether an event loop gets the processor whenever it wants it (real time), or only before the others.
///
/// A loop that is woken for a request while the books are stored on its processor would otherwise wait for the kernel
/// to look whose turn it is: up to a tick, 4 ms with 250 of them a second. But real time may keep the others from a
/// processor altogether, so a loop has it only while it leaves them a part of it.
package struct LoopPrecedence {
    package enum Change: Hashable, Sendable {
        case goFirst
        case stopGoingFirst
    }

    /// Microseconds between two looks at what the loop uses: the longest that it keeps others waiting.
    package static let window: Int64 = 50_000
    /// Parts of a processor: a loop that uses more than the one stops going first, and less than the other goes first
    /// again.
    private static let most = 0.9
    private static let least = 0.8

    private var isFirst = true
    private var lastLook: Int64
    private var usedAtLastLook: Int64 = 0

    /// Of a loop that has begun to go first.
    ///
    /// - Parameter now: monotonic microseconds.
    package init(now: Int64) { lastLook = now }

    @inline(__always)
    package func isDue(now: Int64) -> Bool { now >= lastLook &+ Self.window }

    /// - Parameter used: microseconds of a processor that the loop has used since it began.
    package mutating func look(now: Int64, used: Int64) -> Change? {
        let part = Double(used - usedAtLastLook) / Double(max(1, now - lastLook))
        lastLook = now
        usedAtLastLook = used
        if isFirst, part > Self.most {
            isFirst = false
            return .stopGoingFirst
        }
        if !isFirst, part < Self.least {
            isFirst = true
            return .goFirst
        }
        return nil
    }
}

extension EventLoop {
    func beginPrecedence() {
        cgateway_go_before()
        // Where real time is not allowed it is not asked for again.
        guard cgateway_go_first() else { return }
        state.pointee.precedence = LoopPrecedence(now: cgateway_monotonic_microseconds())
    }

    /// Once an iteration.
    @inline(__always)
    func keepPrecedence() {
        let now = state.pointee.clock.monotonic
        guard let precedence = state.pointee.precedence, precedence.isDue(now: now) else { return }
        switch state.pointee.precedence?.look(now: now, used: cgateway_thread_microseconds()) {
        case .goFirst: _ = cgateway_go_first()
        case .stopGoingFirst: cgateway_stop_going_first()
        case nil: break
        }
    }
}

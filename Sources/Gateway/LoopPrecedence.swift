import CGateway

/// How an event loop stands to what else runs on its processor.
///
/// A loop that is woken for a request while the books are stored there would otherwise wait for the kernel to look
/// whose turn it is: up to a tick, 4 ms with 250 of them a second. So it has real time. But that may keep the others
/// from the processor altogether: a loop that uses most of it only goes before them, and where the books have fallen
/// behind it has no precedence at all, until they have caught up. Then requests wait; a full spool would refuse them.
package struct LoopPrecedence {
    package enum Level: Hashable, Sendable {
        case amongOthers
        case beforeOthers
        case first
    }

    /// Microseconds between two looks: the longest that a loop keeps the others waiting.
    package static let window: Int64 = 50_000
    /// Parts of a processor: a loop that uses more than the one is no longer first, and less than the other is again.
    private static let (most, least) = (0.8, 0.7)
    /// Parts of the spool's room: with more than the one taken the books have fallen behind, with less than the other
    /// they have caught up.
    private static let (behind, caughtUp) = (0.125, 0.0625)

    package private(set) var level: Level
    private let mayBeFirst: Bool
    private var lastLook: Int64
    private var usedAtLastLook: Int64 = 0

    /// - Parameter now: monotonic microseconds.
    package init(mayBeFirst: Bool, now: Int64) {
        self.mayBeFirst = mayBeFirst
        level = mayBeFirst ? .first : .beforeOthers
        lastLook = now
    }

    @inline(__always)
    package func isDue(now: Int64) -> Bool { now >= lastLook &+ Self.window }

    /// - Parameters:
    ///   - used: microseconds of a processor that the loop has used since it began.
    ///   - waiting: the part of the spool's room that is taken by records which are not in the log database.
    /// - Returns: the level, where it is another one than before.
    package mutating func look(now: Int64, used: Int64, waiting: Double) -> Level? {
        let part = Double(used - usedAtLastLook) / Double(max(1, now - lastLook))
        lastLook = now
        usedAtLastLook = used
        let next = next(part: part, waiting: waiting)
        guard next != level else { return nil }
        level = next
        return next
    }

    private func next(part: Double, waiting: Double) -> Level {
        if waiting > (level == .amongOthers ? Self.caughtUp : Self.behind) { return .amongOthers }
        if mayBeFirst, part < (level == .first ? Self.most : Self.least) { return .first }
        return .beforeOthers
    }
}

extension EventLoop {
    func beginPrecedence() {
        let mayBeFirst = take(.first)
        if !mayBeFirst { take(.beforeOthers) }
        state.pointee.precedence = LoopPrecedence(
            mayBeFirst: mayBeFirst, now: cgateway_monotonic_microseconds())
    }

    /// Once an iteration.
    @inline(__always)
    func keepPrecedence() {
        let now = state.pointee.clock.monotonic
        if state.pointee.precedence.isDue(now: now) { lookAtPrecedence(now: now) }
    }

    @inline(never)
    private func lookAtPrecedence(now: Int64) {
        let level = state.pointee.precedence.look(
            now: now, used: cgateway_thread_microseconds(), waiting: spool.waitingPart)
        if let level { take(level) }
    }

    /// False where the thread may not have it.
    @discardableResult
    private func take(_ level: LoopPrecedence.Level) -> Bool {
        switch level {
        case .first: cgateway_take_precedence(CGATEWAY_FIRST)
        case .beforeOthers: cgateway_take_precedence(CGATEWAY_BEFORE_OTHERS)
        case .amongOthers: cgateway_take_precedence(CGATEWAY_AMONG_OTHERS)
        }
    }
}

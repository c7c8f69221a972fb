public import CloudModel
import Glibc
import Synchronization

/// The control plane's time: never goes back, and follows the wall clock without jumps.
///
/// Timers must not fire late, or all at once, because somebody set the clock. So time passes as the monotonic clock
/// says, and a difference to the wall clock is worked off at a tenth of the speed (as `adjtime` does).
public final class PlatformClock: Sendable {
    private struct State {
        var monotonic: Int64
        var reported: Int64
    }

    private let state: Mutex<State>

    public init() {
        state = Mutex(State(monotonic: Self.read(CLOCK_MONOTONIC), reported: Self.read(CLOCK_REALTIME)))
    }

    public func now() -> Timestamp {
        state.withLock { state in
            let monotonic = Self.read(CLOCK_MONOTONIC)
            let elapsed = monotonic - state.monotonic
            let difference = Self.read(CLOCK_REALTIME) - (state.reported + elapsed)
            let correction = max(-elapsed / 10, min(elapsed / 10, difference))
            state.monotonic = monotonic
            state.reported += elapsed + correction
            return Timestamp(microseconds: state.reported)
        }
    }

    private static func read(_ clock: clockid_t) -> Int64 {
        var time = timespec()
        clock_gettime(clock, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}

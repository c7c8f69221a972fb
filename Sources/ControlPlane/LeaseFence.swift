public import CloudPorts
import Glibc
import Synchronization

/// Lets actions begin only while the lease is surely held, and makes sure that none of them begins after it.
///
/// Between looking at a clock and acting a process can be frozen for any time. So while an action begins, a timer of
/// the kernel's is set to the lease's end, and its signal is SIGKILL, which ends a process that is stopped as well: one
/// that is frozen at that moment never wakes up to go on. Once the action has begun, or after `longestBeginning` with
/// the process running and the lease held, the timer is off again. So a log database that is away ends nothing: then
/// actions wait, and everything else goes on.
public final class LeaseFence: ActionFence {
    fileprivate struct State {
        var epoch: Int64?
        /// In microseconds of `now`; nothing may begin from here on.
        var sureUntil: Int64 = 0
        var isOver = false
        var beginning: Set<UInt64> = []
        var lastAction: UInt64 = 0
        var timer: KernelTimer?
    }

    private let state = Mutex(State())
    /// How much of the lease must be left for an action to begin.
    private let longestBeginning: Int64

    /// - Parameter duration: of the lease, in microseconds.
    package init(duration: Int64) { longestBeginning = min(1_000_000, duration / 4) }

    deinit { state.withLock { $0.timer?.delete() } }

    public func perform<Value, Failure: Error>(_ action: (Int64?) throws(Failure) -> Value) throws(Failure) -> Value? {
        guard let (number, epoch) = begin() else { return nil }
        let watch = Task { [weak self, longestBeginning] in
            guard (try? await Task.sleep(for: .microseconds(longestBeginning))) != nil else { return }
            self?.end(number)
        }
        defer {
            watch.cancel()
            end(number)
        }
        return try action(epoch)
    }

    /// Whether an action may begin now.
    package var isOpen: Bool {
        state.withLock { !$0.isOver && $0.sureUntil - Self.now() > longestBeginning }
    }

    /// The lease is held until then, at least.
    package func extend(until sureUntil: Int64, epoch: Int64? = nil) {
        state.withLock { state in
            state.sureUntil = max(state.sureUntil, sureUntil)
            if let epoch { state.epoch = epoch }
            state.arm()
        }
    }

    /// Another control plane decides.
    package func shut() { state.withLock { $0.isOver = true } }

    private func begin() -> (number: UInt64, epoch: Int64?)? {
        state.withLock { state -> (number: UInt64, epoch: Int64?)? in
            guard !state.isOver, state.sureUntil - Self.now() > longestBeginning else { return nil }
            if state.timer == nil { state.timer = KernelTimer() }
            // Without a timer the fence would be a promise only.
            guard state.timer != nil else { return nil }
            state.lastAction += 1
            state.beginning.insert(state.lastAction)
            state.arm()
            return (state.lastAction, state.epoch)
        }
    }

    private func end(_ number: UInt64) {
        state.withLock { state in
            guard state.beginning.remove(number) != nil else { return }
            state.arm()
        }
    }

    /// Microseconds on the clock that counts time asleep as well.
    package static func now() -> Int64 {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return Int64(time.tv_sec) * 1_000_000 + Int64(time.tv_nsec) / 1_000
    }
}

extension LeaseFence.State {
    fileprivate func arm() { timer?.set(to: beginning.isEmpty ? nil : sureUntil) }
}

/// Ends this process, also a stopped one, at a time of `CLOCK_BOOTTIME`.
private struct KernelTimer {
    private let timer: timer_t?

    /// Nil where the kernel has none left.
    init?() {
        var event = sigevent()
        event.sigev_notify = Int32(SIGEV_SIGNAL)
        event.sigev_signo = SIGKILL
        var made: timer_t?
        guard timer_create(CLOCK_BOOTTIME, &event, &made) == 0 else { return nil }
        timer = made
    }

    /// Nil switches it off.
    func set(to microseconds: Int64?) {
        var value = itimerspec()
        if let microseconds {
            value.it_value = timespec(
                tv_sec: Int(microseconds / 1_000_000), tv_nsec: Int(microseconds % 1_000_000) * 1_000)
        }
        timer_settime(timer, Int32(TIMER_ABSTIME), &value, nil)
    }

    func delete() { timer_delete(timer) }
}

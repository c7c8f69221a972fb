import Synchronization

/// Wakes those who follow the event log when it has grown.
actor EventHub {
    private var latest: Int64 = 0
    private var waiting: [UInt64: CheckedContinuation<Void, Never>] = [:]
    private var nextKey: UInt64 = 0
    private var isFinished = false

    /// Passes on what the control plane tells, until it ends.
    func follow(_ positions: AsyncStream<Int64>) async {
        for await position in positions { announce(position) }
    }

    func announce(_ position: Int64) {
        latest = max(latest, position)
        wakeAll()
    }

    /// Nobody waits any longer, now or later.
    func finish() {
        isFinished = true
        wakeAll()
    }

    var hasFinished: Bool { isFinished }

    /// Returns when the log has grown beyond `position` (true), or when `limit` has passed, the hub has finished or the
    /// caller is cancelled (false).
    func waitForGrowth(beyond position: Int64, for limit: Duration) async -> Bool {
        guard latest <= position, !isFinished, !Task.isCancelled else { return latest > position }
        nextKey += 1
        let key = nextKey
        let timer = Task {
            try? await Task.sleep(for: limit)
            wake(key)
        }
        await withTaskCancellationHandler {
            await withCheckedContinuation { waiting[key] = $0 }
        } onCancel: {
            Task { await self.wake(key) }
        }
        timer.cancel()
        return latest > position
    }

    private func wake(_ key: UInt64) { waiting.removeValue(forKey: key)?.resume() }

    private func wakeAll() {
        let woken = waiting
        waiting = [:]
        for continuation in woken.values { continuation.resume() }
    }
}

/// Counts the event streams that are open, so that they stay few.
final class StreamSlots: Sendable {
    private let maximum: Int
    private let used = Mutex(0)

    init(maximum: Int) { self.maximum = maximum }

    /// A place, which is given back when the last reference to it goes; nil where none is free.
    func take() -> StreamSlot? {
        let isFree = used.withLock { count in
            guard count < maximum else { return false }
            count += 1
            return true
        }
        return isFree ? StreamSlot(of: self) : nil
    }

    var count: Int { used.withLock { $0 } }

    fileprivate func giveBack() { used.withLock { $0 -= 1 } }
}

final class StreamSlot: Sendable {
    private let slots: StreamSlots

    fileprivate init(of slots: StreamSlots) { self.slots = slots }

    deinit { slots.giveBack() }
}

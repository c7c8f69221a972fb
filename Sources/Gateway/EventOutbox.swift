package import CloudModel
import Synchronization

/// Events on their way to the control plane. Bounded: samples of one service replace each other (they hold totals, so
/// the newest says all that the older ones did); of other events the oldest are dropped and counted.
package final class EventOutbox: Sendable {
    private struct State {
        var samples: [ServiceID: LoadSample] = [:]
        /// In the order in which their services got their first pending sample.
        var sampled: [ServiceID] = []
        var events: [DataPlaneEvent] = []
        var firstEvent = 0
        var dropped: UInt64 = 0
        var waiter: CheckedContinuation<DataPlaneEvent?, Never>?
        var isFinished = false

        mutating func pop() -> DataPlaneEvent? {
            if firstEvent < events.count {
                defer {
                    firstEvent += 1
                    if firstEvent == events.count {
                        events.removeAll(keepingCapacity: true)
                        firstEvent = 0
                    }
                }
                return events[firstEvent]
            }
            guard !sampled.isEmpty else { return nil }
            return samples.removeValue(forKey: sampled.removeFirst()).map { .load($0) }
        }
    }

    package static let capacity = 8_192
    private let state = Mutex(State())

    package init() {}

    package func send(_ event: DataPlaneEvent) {
        let delivery = state.withLock { state -> (CheckedContinuation<DataPlaneEvent?, Never>, DataPlaneEvent?)? in
            guard !state.isFinished else { return nil }
            if case .load(let sample) = event {
                if state.samples.updateValue(sample, forKey: sample.service) == nil {
                    state.sampled.append(sample.service)
                }
            } else {
                if state.events.count - state.firstEvent == Self.capacity {
                    state.firstEvent += 1
                    state.dropped += 1
                }
                if state.firstEvent > Self.capacity {
                    state.events.removeFirst(state.firstEvent)
                    state.firstEvent = 0
                }
                state.events.append(event)
            }
            guard let waiter = state.waiter else { return nil }
            state.waiter = nil
            return (waiter, state.pop())
        }
        if let (waiter, event) = delivery { waiter.resume(returning: event) }
    }

    /// The next event, waited for; nil when there will be none. One caller at a time.
    package func next() async -> DataPlaneEvent? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let immediate = state.withLock { state -> DataPlaneEvent?? in
                    if let event = state.pop() { return .some(event) }
                    if state.isFinished || Task.isCancelled { return .some(nil) }
                    state.waiter = continuation
                    return nil
                }
                if let immediate { continuation.resume(returning: immediate) }
            }
        } onCancel: {
            wakeWaiter()
        }
    }

    package var dropped: UInt64 { state.withLock { $0.dropped } }

    /// No more events; those that are pending are still given out.
    package func finish() {
        state.withLock { $0.isFinished = true }
        wakeWaiter()
    }

    private func wakeWaiter() {
        let waiter = state.withLock { state in
            defer { state.waiter = nil }
            return state.waiter
        }
        waiter?.resume(returning: nil)
    }
}

/// A loop's way to the control plane.
struct LoopReports: Sendable {
    let outbox: EventOutbox
    let monitor: LoadMonitor
    let traffic: TrafficBook

    package func send(_ event: DataPlaneEvent) { outbox.send(event) }

    /// A request waits for an instance: the control plane is to know at once.
    func loadIsUrgent(service: Int) { monitor.sampleSoon(service: service) }
}

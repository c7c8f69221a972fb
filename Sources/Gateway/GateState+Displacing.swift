import CloudModel
import ScalingListener

/// Who gives way where the queue is full: the newest request of the consumer that has the most there.
extension GateState {
    /// Makes room among the admitted requests for one of the consumer with this index (below zero: one that has nothing
    /// here), if another has at least two more waiting: then it still has as many as the one that comes, and the two do
    /// not push each other out in turn. Only what no instance has had yet gives way, and nobody overtakes requests of
    /// its own that wait at a limit.
    /// - Parameter refusal: what was in the way of the new request, and is now told to the other.
    /// - Returns: whose request gave way; call `serve(afterEndOf:)` for it once the room is taken.
    mutating func displaceAdmitted(for comer: Int32, _ refusal: AdmissionRefusal, now: Timestamp) -> Int32? {
        guard let longest = queue.admittedBacklog.longest,
            queue.admittedBacklog.greatest >= queue.admittedBacklog.count(of: comer) + 2,
            queue.limitedBacklog.count(of: comer) == 0,
            // Where limits were lowered, or retries have filled the queue, one less would not be room.
            queue.admittedCount <= limits.queueLength, ledger.admitted <= limits.requestCeiling,
            let index = queue.admittedBacklog.newest(of: longest)
        else { return nil }
        let waiter = remove(index)
        endAdmitted(longest, now: now)
        tellDisplaced(waiter, refusal, now: now)
        return longest
    }

    /// The same among the requests that wait at a limit.
    mutating func displaceLimited(for comer: Int32, now: Timestamp) -> Bool {
        guard let longest = queue.limitedBacklog.longest,
            queue.limitedBacklog.greatest >= queue.limitedBacklog.count(of: comer) + 2,
            let index = queue.limitedBacklog.newest(of: longest)
        else { return false }
        let waiter = remove(index)
        let refusal = refusal(of: waiter, now: now)
        if let barrier = waiter.barrier { ledger.endWait(longest, at: barrier, now: now) }
        tellDisplaced(waiter, refusal, now: now)
        serveOwn(longest, now: now)
        return true
    }

    private mutating func tellDisplaced(_ waiter: Waiter, _ refusal: AdmissionRefusal, now: Timestamp) {
        rejectedTotal += 1
        let consumer = ledger.key(of: waiter.consumer)
        let count = refusals.note(consumer, refusal, waiting: false, now: now)
        postDisplaced(waiter, Rejection(refusal: refusal, reportCount: count))
    }
}

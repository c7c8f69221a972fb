package import CloudModel
package import LoadBalancing
package import ScalingListener
import Synchronization

/// The door to one service, shared by all event loops: admission, balancing, the binding of consumers' seats to
/// instances and the queues are one critical section behind one short lock, so that every limit is exact under any race
/// between loops.
///
/// Who does what:
/// - A loop calls `admit` for a request; one that is forwarded or granted is `release`d exactly once.
/// - A wait ends by a `WaitEnd`, which is given to `deliver` (outside the lock, on whatever thread freed the place), or
///   by `cancel` (the consumer left) or `expire` (its deadline came), both called by the loop that owns the ticket.
/// - One loop calls `tick` when the time it gave back last has come (or every 100 ms).
/// - Whoever has a new snapshot calls `apply` once and hands `removed` to all loops.
///
/// `now` is wall-clock time that never steps back by more than the loops' jitter. Nothing is allocated for a request in
/// the steady state; storage grows to its bounds and stays.
package final class ServiceGate: @unchecked Sendable {
    package let service: ServiceID
    private let state: Mutex<GateState>
    private let deliver: @Sendable (WaitEnd) -> Void

    /// - Parameters:
    ///   - seed: for the random choices of the balancer.
    ///   - deliver: puts the end of a wait into the mailbox of the loop `ticket.loop` and wakes it. Called without the
    ///     gate's lock; must not call the gate back.
    package init(
        _ snapshot: ServiceSnapshot, seed: UInt64, now: Timestamp, deliver: @escaping @Sendable (WaitEnd) -> Void
    ) {
        service = snapshot.service.id
        state = Mutex(GateState(snapshot, seed: seed, now: now))
        self.deliver = deliver
    }

    /// Runs `body` under the lock, and then delivers which waits it ended. Those of several threads may be delivered
    /// by each other, each of them once.
    @inline(__always)
    private func locked<Result: Sendable>(_ body: (inout GateState) -> sending Result) -> Result {
        var end: WaitEnd?
        let result = state.withLock { state in
            let result = body(&state)
            end = state.takeWaitEnd()
            return result
        }
        while let ended = end {
            deliver(ended)
            end = state.withLock { $0.takeWaitEnd() }
        }
        return result
    }

    /// Decides one request.
    ///
    /// - Parameters:
    ///   - hash: places the request under consistent hashing: of the consumer's id, the same in every process.
    ///   - wait: how long the consumer is ready to wait at a limit; cut to the service's `maximumWait`.
    package func admit(
        consumer: ConsumerKey, hash: UInt64, ticket: AdmissionTicket, now: Timestamp, wait: TimeSpan = .zero
    ) -> GateDecision {
        locked { $0.admit(consumer: consumer, hash: hash, ticket: ticket, now: now, wait: wait) }
    }

    /// Gives back the place of a request that has ended, for whatever reason. `completed` and `tunnel` speak for the
    /// backend (as `reportSuccess` does).
    /// - Returns: true where the consumer had been refused and has now been served: send `servedAfterRefusal`.
    @discardableResult
    package func release(
        _ backend: BackendSlot, consumer: ConsumerKey, outcome: RequestOutcome, retried: Bool = false, now: Timestamp
    ) -> Bool {
        locked { $0.release(backend, consumer: consumer, outcome: outcome, retried: retried, now: now) }
    }

    /// The consumer of a waiting request has left.
    package func cancel(_ wait: WaitHandle, now: Timestamp) -> CancelOutcome { locked { $0.cancel(wait, now: now) } }

    /// The deadline of a wait has come.
    package func expire(_ wait: WaitHandle, now: Timestamp) -> ExpiryOutcome { locked { $0.expire(wait, now: now) } }

    /// Another backend for an admitted request that `failed` did not serve and that may be repeated. Call
    /// `reportFailure` first. How often a request is retried is the caller's to bound (`maximumRetries`).
    ///
    /// Where only backends that have failed it are left, it waits until one of them is trusted again. Where more
    /// requests are being retried than the budget allows (Envoy's: a part of those in flight, at least three), it waits
    /// for its turn, but not longer than a second.
    /// - Parameters:
    ///   - tried: all backends that failed it, `failed` included.
    ///   - retried: whether it had been retried before; from here on it is, unless it was only moved.
    ///   - isMove: the failed backend had no part in it (nothing could be sent there, or it is out of the balance): no
    ///     work is repeated, and the retry budget, which bounds repeated work, does not count it.
    package func retry(
        from failed: BackendSlot, tried: TriedBackends, consumer: ConsumerKey, hash: UInt64, ticket: AdmissionTicket,
        retried: Bool, isMove: Bool = false, now: Timestamp
    ) -> RetryDecision {
        locked {
            $0.retry(
                from: failed, tried: tried, consumer: consumer, hash: hash, ticket: ticket, retried: retried,
                isMove: isMove, now: now)
        }
    }

    /// A request or connection showed a fault of the backend. Connect failures quarantine it at once, others in a row.
    package func reportFailure(_ backend: BackendSlot, _ failure: BackendFailure, now: Timestamp) {
        locked { $0.reportFailure(backend, failure, now: now) }
    }

    /// The backend gave a good answer: its failures in a row are forgotten.
    package func reportSuccess(_ backend: BackendSlot, now: Timestamp) {
        locked { $0.reportSuccess(backend, now: now) }
    }

    /// Takes over new constraints, settings and backends. What is admitted stays admitted; waiting requests that now
    /// fit are granted.
    package func apply(_ snapshot: ServiceSnapshot, now: Timestamp) -> BackendChanges {
        locked { $0.apply(snapshot, now: now) }
    }

    /// Lets time pass: seats whose hold is over are freed, quarantines end, waiting requests are granted.
    /// - Returns: when there is something to do next; `distantFuture` where nothing is.
    @discardableResult
    package func tick(now: Timestamp) -> Timestamp { locked { $0.tick(now: now) } }

    package func sample(now: Timestamp) -> GateSample { locked { $0.sample(now: now) } }

    /// Who the slot stands for. Valid for any slot that a request holds, and from `added` to `removed`; nil later.
    package func target(of backend: BackendSlot) -> BackendTarget? {
        state.withLock { $0.balancer.target(of: backend) }
    }
}

package import CloudModel
package import LoadBalancing
package import ScalingListener

/// What becomes of a request at the gate.
package enum GateDecision: Hashable, Sendable {
    /// Admitted, and a place at this backend is taken for it: send it there, then `release` once.
    case forward(BackendSlot)
    /// Admitted, but no backend has a free place yet. A `WaitEnd` follows, unless the wait is ended first. When
    /// `deadline` has come, call `expire`.
    case queued(WaitHandle, deadline: Timestamp)
    /// Over a limit, and it waits as it asked to (`Prefer: wait`). A `WaitEnd` follows when a place frees or the limit
    /// is raised. When `deadline` has come, call `expire`. Report the refusal as one that waits.
    case waiting(WaitHandle, deadline: Timestamp, Rejection)
    /// 429 where the refusal names a constraint, 503 otherwise. Nothing is held; do not release.
    case rejected(Rejection)
}

/// A refusal, and whether the control plane is to be told of it.
package struct Rejection: Hashable, Sendable {
    package var refusal: AdmissionRefusal
    /// The `count` of the `limitReached` event to send now; 0: send none (the next one, or `sample`, sums it up).
    package var reportCount: Int

    package init(refusal: AdmissionRefusal, reportCount: Int = 0) {
        self.refusal = refusal
        self.reportCount = reportCount
    }
}

/// How a wait ended that was not ended by `cancel` or `expire`: exactly one of these follows it.
package enum WaitEnd: Hashable, Sendable {
    case granted(Grant)
    /// It gave way to a consumer that had less in the full queue. Answer as to a rejection; nothing is held, and
    /// nothing is to be done where the ticket is stale.
    case displaced(AdmissionTicket, Rejection)

    package var ticket: AdmissionTicket {
        switch self {
        case .granted(let grant): grant.ticket
        case .displaced(let ticket, _): ticket
        }
    }
}

/// A place for a request that waited.
///
/// If the ticket is stale when the grant arrives (the consumer has left, and `cancel` answered `.decided`), the loop
/// must `release` the backend all the same.
package struct Grant: Hashable, Sendable {
    package var ticket: AdmissionTicket
    package var consumer: ConsumerKey
    package var backend: BackendSlot
    /// The request had been sent to another backend before; hand it to `release`.
    package var retried: Bool
}

/// How ending a wait went.
package enum CancelOutcome: Hashable, Sendable {
    /// It waited and does no longer: nothing is held, nothing follows.
    case cancelled
    /// The gate had ended it already: the `WaitEnd` is in the loop's mailbox or about to be; release a grant there.
    case decided
}

/// What has become of a wait whose deadline has come.
package enum ExpiryOutcome: Hashable, Sendable {
    /// Nothing is held, nothing follows. Answer with the refusal: 429 where it names a constraint, 503 otherwise.
    case expired(AdmissionRefusal)
    /// It was over a limit and has been admitted since: it now waits for an instance, until `deadline`.
    case extended(deadline: Timestamp)
    /// The `WaitEnd` is in the loop's mailbox or about to be; go on with it.
    case decided
}

/// Where an admitted request that a backend failed goes next.
package enum RetryDecision: Hashable, Sendable {
    /// The old place is given back and one here is taken.
    case forward(BackendSlot)
    /// The old place is given back; no other backend has a free one now, or too many requests are being retried at
    /// once. As in `GateDecision.queued`.
    case queued(WaitHandle, deadline: Timestamp)
    /// Answer with 502 and `release` the old place.
    case refused(Refusal)

    package enum Refusal: Hashable, Sendable {
        /// Too many requests are being retried at once, and the queue is full: a failing service is not to be hammered.
        case budgetExhausted
        /// No other backend has a free place, and the service has no queue to wait in.
        case noBackend
    }
}

/// What a snapshot changed that the loops must act on.
package struct BackendChanges: Hashable, Sendable {
    /// No longer in the balance for good: close idle connections; requests that are still waiting for a connection
    /// there go through `retry`. In order of index.
    package var removed: [BackendSlot] = []
    package var added: [BackendSlot] = []
}

/// A load sample and what goes with it to the control plane.
package struct GateSample: Hashable, Sendable {
    package var load: LoadSample
    /// Refusals that were not reported one by one; each goes out as one `limitReached`.
    package var refusals: [PendingRefusal]

    package struct PendingRefusal: Hashable, Sendable {
        package var consumer: ConsumerKey
        package var constraint: ConstraintKind
        package var limit: Int
        package var current: Int
        package var count: Int
        package var waiting: Bool
    }
}

package import CloudModel
package import LoadBalancing
package import ScalingListener

/// What a `ServiceGate` guards: the ledger, the queue and the balancer of one service as one value, without a lock.
///
/// Invariant between calls: a request waits for an instance only while no backend that it may go to has a free place,
/// and waits at a limit only while the limit is used up (or the queue for instances is full). So whoever frees
/// something hands it on at once, into the outbox.
package struct GateState: Sendable {
    let service: ServiceID
    var ledger: AdmissionLedger
    /// The ledger's.
    var limits: AdmissionLimits
    var queue = AdmissionQueue()
    var balancer: LoadBalancer
    var refusals = RefusalBook()
    var retryBudgetPercent: Int
    /// Admitted requests that are at, or wait for, another backend than their first.
    var retriesInFlight = 0
    /// When requests that the last usable backend failed may go back to it.
    var deferredUntil = Timestamp.distantFuture
    var admittedTotal: UInt64 = 0
    var rejectedTotal: UInt64 = 0
    var completedTotal: UInt64 = 0
    /// Those that wait for a seat and those that wait with one take turns where a place could go to either.
    var seatsGoFirst = true
    private var outbox: [WaitEnd] = []
    private var outboxHead = 0

    /// Requests that may wait at limits; more are refused at once. Each holds a connection.
    static let maximumLimitWaiters = 4_096
    /// Envoy's `min_retry_concurrency`.
    static let minimumRetries = 3
    /// How long a request waits for the retry budget. Envoy fails it at once; but an instance that dies fails all its
    /// requests together, of three instances a third and more than a fifth, and a few milliseconds later there is room.
    static let budgetPatience = TimeSpan.seconds(1)

    package init(_ snapshot: ServiceSnapshot, seed: UInt64, now: Timestamp) {
        service = snapshot.service.id
        limits = AdmissionLimits(snapshot.service.constraints)
        ledger = AdmissionLedger(limits: limits)
        balancer = LoadBalancer(seed: seed)
        retryBudgetPercent = snapshot.service.gateway.retryBudgetPercent
        outbox.reserveCapacity(64)
        _ = apply(snapshot, now: now)
    }

    /// The backends that may be given work now, in the snapshot's order.
    package var usableBackends: [BackendSlot] { balancer.usableSlots }

    /// A request that still waits; nil where the wait has ended.
    package func waiter(_ wait: WaitHandle) -> Waiter? { queue.index(of: wait).map { queue.waiter(at: $0) } }

    /// Nothing is admitted, waits, or is owed to anybody.
    package var isIdle: Bool {
        ledger.admitted == 0 && queue.isEmpty && balancer.requestsInFlight == 0 && retriesInFlight == 0
            && ledger.consumersWaiting == 0 && outbox.isEmpty
    }

    // MARK: Outbox

    mutating func post(_ waiter: Waiter, _ backend: BackendSlot) {
        outbox.append(
            .granted(
                Grant(
                    ticket: waiter.ticket, consumer: ledger.key(of: waiter.consumer), backend: backend,
                    retried: waiter.retried)))
    }

    mutating func postDisplaced(_ waiter: Waiter, _ rejection: Rejection) {
        outbox.append(.displaced(waiter.ticket, rejection))
    }

    /// The oldest end of a wait that has not been delivered.
    package mutating func takeWaitEnd() -> WaitEnd? {
        guard outboxHead < outbox.count else { return nil }
        let end = outbox[outboxHead]
        outboxHead += 1
        if outboxHead == outbox.count {
            outbox.removeAll(keepingCapacity: true)
            outboxHead = 0
        }
        return end
    }

    // MARK: Admission

    package mutating func admit(
        consumer: ConsumerKey, hash: UInt64, ticket: AdmissionTicket, now: Timestamp, wait: TimeSpan
    ) -> GateDecision {
        advance(to: now)
        let known = ledger.index(of: consumer)
        var displaced: Int32?
        if let refusal = ledger.refusal(of: known, now: now) {
            if refusal.barrier == .requests { displaced = displaceAdmitted(for: known, refusal, now: now) }
            guard displaced != nil else {
                return refuse(consumer, known, refusal, hash: hash, ticket: ticket, now: now, wait: wait)
            }
        }
        defer { if let displaced { serve(afterEndOf: displaced, now: now) } }
        if let backend = findPlace(known, hash: hash, now: now) {
            let index = ledger.admit(consumer, known, now: now)
            occupy(backend, for: index)
            admittedTotal += 1
            return .forward(backend)
        }
        if queue.admittedCount >= limits.queueLength {
            displaced = displaceAdmitted(for: known, queueRefusal(.queueFull), now: now)
            guard displaced != nil else {
                rejectedTotal += 1
                return .rejected(Rejection(refusal: queueRefusal(.queueFull)))
            }
        }
        let index = ledger.admit(consumer, known, now: now)
        admittedTotal += 1
        let deadline = now + limits.queueTimeout
        let waiter = Waiter(ticket: ticket, consumer: index, hash: hash, deadline: deadline, barrier: nil)
        return .queued(queue.append(waiter, to: lineForInstance(index)), deadline: deadline)
    }

    private mutating func refuse(
        _ consumer: ConsumerKey, _ known: Int32, _ refusal: AdmissionRefusal, hash: UInt64, ticket: AdmissionTicket,
        now: Timestamp, wait: TimeSpan
    ) -> GateDecision {
        let wait = min(wait, limits.maximumWait)
        let waits =
            wait > .zero && refusal.isWaitable
            && (queue.limitedCount < Self.maximumLimitWaiters || displaceLimited(for: known, now: now))
        let rejection = Rejection(
            refusal: refusal, reportCount: refusals.note(consumer, refusal, waiting: waits, now: now))
        guard waits else {
            rejectedTotal += 1
            return .rejected(rejection)
        }
        let index = ledger.beginWait(consumer, known, at: refusal.barrier, now: now)
        let waiter = Waiter(
            ticket: ticket, consumer: index, hash: hash, deadline: now + wait, barrier: refusal.barrier)
        let handle: WaitHandle
        switch refusal.barrier {
        case .consumerConcurrency: handle = queue.append(waiter, to: .own(index))
        case .seats:
            handle = queue.append(waiter, to: .consumer(index))
            queue.enlist(index, in: .seatless)
        case .requests, .rate, .queueFull, .queueTimeout: handle = queue.append(waiter, to: .places)
        }
        return .waiting(handle, deadline: waiter.deadline, rejection)
    }

    func queueRefusal(_ barrier: AdmissionRefusal.Barrier) -> AdmissionRefusal {
        AdmissionRefusal(
            barrier: barrier, limit: limits.queueLength, current: queue.admittedCount, retryAfter: .seconds(1))
    }

    // MARK: Places

    static func binding(_ backend: BackendSlot) -> SeatBinding {
        SeatBinding(UInt64(UInt32(bitPattern: backend.index)) << 32 | UInt64(backend.generation))
    }

    static func slot(_ binding: SeatBinding) -> BackendSlot {
        BackendSlot(
            index: Int32(truncatingIfNeeded: binding.rawValue >> 32),
            generation: UInt32(truncatingIfNeeded: binding.rawValue))
    }

    /// The backend that the consumer's seat is bound to, if it takes work now; otherwise the seat may be bound anew.
    func usableBinding(_ consumer: Int32) -> BackendSlot? {
        guard consumer >= 0, limits.bindsSeats else { return nil }
        let binding = ledger.binding(of: consumer)
        guard binding != .none else { return nil }
        let backend = Self.slot(binding)
        return balancer.isUsable(backend) ? backend : nil
    }

    /// A free place for a new request of the consumer (below zero: of one without a seat), behind nobody's back.
    mutating func findPlace(_ consumer: Int32, hash: UInt64, now: Timestamp) -> BackendSlot? {
        guard limits.bindsSeats else {
            guard queue.first(of: .ready) == nil, queue.first(of: .retried) == nil else { return nil }
            return balancer.pick(hash: hash, needsSeat: false, now: now)
        }
        if let bound = usableBinding(consumer) {
            let isFree = balancer.hasPlace(bound) && queue.first(of: .backend(bound.index)) == nil
            return isFree ? bound : nil
        }
        guard queue.first(of: .unbound) == nil else { return nil }
        return balancer.pick(hash: hash, needsSeat: true, now: now)
    }

    /// A request of the consumer goes to the backend, and its seat with it.
    mutating func occupy(_ backend: BackendSlot, for consumer: Int32) {
        balancer.take(backend)
        bind(consumer, to: backend)
    }

    mutating func bind(_ consumer: Int32, to backend: BackendSlot) {
        guard limits.bindsSeats else { return }
        let old = ledger.binding(of: consumer)
        let new = Self.binding(backend)
        guard old != new else { return }
        if old != .none { balancer.freeSeat(Self.slot(old)) }
        balancer.takeSeat(backend)
        ledger.bind(consumer, to: new)
    }

    /// Where an admitted request of the consumer stands to wait for an instance.
    mutating func lineForInstance(_ consumer: Int32, retried: Bool = false) -> AdmissionQueue.Line {
        guard limits.bindsSeats else { return retried ? .retried : .ready }
        if let bound = usableBinding(consumer) { return .backend(bound.index) }
        queue.enlist(consumer, in: .unbound)
        return .consumer(consumer)
    }

    // MARK: Ends

    package mutating func release(
        _ backend: BackendSlot, consumer: ConsumerKey, outcome: RequestOutcome, retried: Bool, now: Timestamp
    ) -> Bool {
        advance(to: now)
        let index = ledger.index(of: consumer)
        precondition(index >= 0, "a request was released that was never admitted")
        balancer.giveBack(backend)
        if retried { retriesInFlight -= 1 }
        var isNews = false
        if outcome == .completed || outcome == .tunnel || outcome == .tunnelContinued {
            completedTotal += 1
            reportSuccess(backend, now: now)
            isNews = refusals.noteServed(consumer, now: now)
        }
        endAdmitted(index, now: now)
        if !queue.isEmpty {
            fill(backend)
            if retried { serveOverBudget(now: now) }
            serve(afterEndOf: index, now: now)
        }
        return isNews
    }

    /// The ledger's part of an end, and the seat's.
    mutating func endAdmitted(_ consumer: Int32, now: Timestamp) {
        guard let freed = ledger.end(consumer, now: now), freed != .none else { return }
        freeSeat(freed)
    }

    mutating func freeSeat(_ binding: SeatBinding) {
        let backend = Self.slot(binding)
        balancer.freeSeat(backend)
        if !queue.isEmpty { fill(backend) }
    }

    package mutating func cancel(_ wait: WaitHandle, now: Timestamp) -> CancelOutcome {
        advance(to: now)
        guard let index = queue.index(of: wait) else { return .decided }
        drop(index, now: now)
        return .cancelled
    }

    package mutating func expire(_ wait: WaitHandle, now: Timestamp) -> ExpiryOutcome {
        advance(to: now)
        guard let index = queue.index(of: wait) else { return .decided }
        if let deadline = queue.takeExtension(index) { return .extended(deadline: deadline) }
        let waiter = queue.waiter(at: index)
        let refusal = refusal(of: waiter, now: now)
        rejectedTotal += 1
        drop(index, now: now)
        return .expired(refusal)
    }

    /// What a request is told that has waited in vain.
    func refusal(of waiter: Waiter, now: Timestamp) -> AdmissionRefusal {
        switch waiter.barrier {
        case nil: queueRefusal(.queueTimeout)
        case .consumerConcurrency: ledger.ownRefusal(of: waiter.consumer)
        default: ledger.ceilingRefusal(of: waiter.consumer, now: now) ?? queueRefusal(.queueTimeout)
        }
    }

    private mutating func drop(_ index: Int32, now: Timestamp) {
        let waiter = remove(index)
        if let barrier = waiter.barrier {
            ledger.endWait(waiter.consumer, at: barrier, now: now)
        } else {
            if waiter.retried { retriesInFlight -= 1 }
            endAdmitted(waiter.consumer, now: now)
        }
        guard !queue.isEmpty else { return }
        if waiter.retried { serveOverBudget(now: now) }
        serve(afterEndOf: waiter.consumer, now: now)
    }

    /// Takes a request out of the queue that is not served, and its consumer out of line with its last one.
    mutating func remove(_ index: Int32) -> Waiter {
        let line = queue.line(of: index)
        let waiter = queue.remove(index)
        if case .consumer(let consumer) = line, queue.first(of: line) == nil { queue.delist(consumer) }
        return waiter
    }
}

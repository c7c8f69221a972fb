package import CloudModel
package import LoadBalancing
package import ScalingListener

/// Retries, passive checks, snapshots and samples.
extension GateState {
    package mutating func retry(
        from failed: BackendSlot, tried: TriedBackends, consumer: ConsumerKey, hash: UInt64, ticket: AdmissionTicket,
        retried: Bool, isMove: Bool = false, now: Timestamp
    ) -> RetryDecision {
        advance(to: now)
        let index = ledger.index(of: consumer)
        precondition(index >= 0, "a request was retried that was never admitted")
        let isCounted = !retried && !isMove
        let isOverBudget = isCounted && retriesInFlight >= retryBudget
        let backend = isOverBudget ? nil : findOther(for: index, hash: hash, tried: tried, now: now)
        // It has been admitted, and is not refused for want of room; a service without a queue lets nothing wait.
        let mayWait = isOverBudget ? queue.admittedCount < limits.queueLength : limits.queueLength > 0
        guard backend != nil || mayWait else {
            return .refused(isOverBudget ? .budgetExhausted : .noBackend)
        }
        if isCounted && !isOverBudget { retriesInFlight += 1 }
        balancer.giveBack(failed)
        defer { if !queue.isEmpty { fill(failed) } }
        if let backend {
            move(index, to: backend, now: now)
            return .forward(backend)
        }
        let patience = isOverBudget ? min(limits.queueTimeout, Self.budgetPatience) : limits.queueTimeout
        var waiter = Waiter(
            ticket: ticket, consumer: index, hash: hash, deadline: now + patience, barrier: nil,
            retried: (retried || isCounted) && !isOverBudget)
        waiter.avoids = Self.binding(failed)
        let line = isOverBudget ? .overBudget : lineForRetry(index, hash: hash, now: now)
        return .queued(queue.append(waiter, to: line), deadline: waiter.deadline)
    }

    private var retryBudget: Int { max(Self.minimumRetries, ledger.admitted * retryBudgetPercent / 100) }

    /// A request goes to another backend than before, and the consumer's seat with it.
    private mutating func move(_ consumer: Int32, to backend: BackendSlot, now: Timestamp) {
        let old = limits.bindsSeats ? ledger.binding(of: consumer) : .none
        occupy(backend, for: consumer)
        // The consumer's requests that wait at the old instance follow the seat.
        if !queue.isEmpty, old != .none, old != Self.binding(backend) { placeAllAnew(withDeferred: false, now: now) }
    }

    /// Lets those go on that waited for the retry budget, as far as it now allows.
    mutating func serveOverBudget(now: Timestamp) {
        while let next = queue.first(of: .overBudget), retriesInFlight < retryBudget {
            retriesInFlight += 1
            queue.countAsRetried(next)
            let waiter = queue.waiter(at: next)
            let tried = TriedBackends(Self.slot(waiter.avoids))
            if let backend = findOther(for: waiter.consumer, hash: waiter.hash, tried: tried, now: now) {
                post(queue.serve(next), backend)
                move(waiter.consumer, to: backend, now: now)
            } else {
                let line = lineForRetry(waiter.consumer, hash: waiter.hash, now: now)
                queue.move(next, to: line, barrier: nil)
                queue.extend(next, until: now + limits.queueTimeout)
            }
        }
    }

    private mutating func lineForRetry(_ consumer: Int32, hash: UInt64, now: Timestamp) -> AdmissionQueue.Line {
        waitsForTried(consumer, hash: hash, now: now)
            ? deferred(now: now) : lineForInstance(consumer, retried: true)
    }

    /// A place at a backend that has not failed the request. Under seats it is the bound one if that may be; otherwise
    /// the consumer moves to another that has a free seat.
    private mutating func findOther(for consumer: Int32, hash: UInt64, tried: TriedBackends, now: Timestamp)
        -> BackendSlot?
    {
        let binds = limits.bindsSeats
        if binds, let bound = usableBinding(consumer), !tried.contains(bound) {
            return balancer.hasPlace(bound) ? bound : nil
        }
        return balancer.pick(hash: hash, needsSeat: binds, excluding: tried, now: now)
    }

    /// Whether the only backends with a free place are those that have just failed the request: going back there at
    /// once would burn its attempts in a moment.
    private mutating func waitsForTried(_ consumer: Int32, hash: UInt64, now: Timestamp) -> Bool {
        if let bound = usableBinding(consumer) { return balancer.hasPlace(bound) }
        return balancer.pick(hash: hash, needsSeat: limits.bindsSeats, now: now) != nil
    }

    private mutating func deferred(now: Timestamp) -> AdmissionQueue.Line {
        deferredUntil = min(deferredUntil, balancer.nextSuspicionEnd(after: now) ?? now + Quarantine.initial)
        return .deferred
    }

    package mutating func reportFailure(_ backend: BackendSlot, _ failure: BackendFailure, now: Timestamp) {
        advance(to: now)
        guard case .quarantined = balancer.recordFailure(backend, failure, now: now), !queue.isEmpty else { return }
        // Requests that wait for a place there may go elsewhere now.
        placeAllAnew(withDeferred: false, now: now)
    }

    package mutating func reportSuccess(_ backend: BackendSlot, now: Timestamp) {
        guard balancer.recordSuccess(backend), deferredUntil < .distantFuture else { return }
        placeAllAnew(withDeferred: true, now: now)
    }

    package mutating func apply(_ snapshot: ServiceSnapshot, now: Timestamp) -> BackendChanges {
        let boundSeats = limits.bindsSeats
        limits = AdmissionLimits(snapshot.service.constraints)
        ledger.setLimits(limits)
        retryBudgetPercent = snapshot.service.gateway.retryBudgetPercent
        let capacity = LoadBalancer.Capacity(requests: limits.requestsPerInstance, seats: limits.seatsPerInstance)
        let changes = balancer.apply(
            snapshot.backends, settings: snapshot.service.loadBalancing, capacity: capacity, now: now)
        if boundSeats != limits.bindsSeats {
            ledger.unbindAll()
            balancer.freeAllSeats()
        }
        advance(to: now)
        if !queue.isEmpty {
            placeAllAnew(withDeferred: true, now: now)
            for consumer in ledger.consumersHeld { serveOwn(consumer, now: now) }
            admitWaiting(now: now)
        }
        return BackendChanges(removed: changes.removed, added: changes.added)
    }

    /// - Returns: when there is something to do next.
    package mutating func tick(now: Timestamp) -> Timestamp {
        advance(to: now)
        let hold = queue.isEmpty ? .distantFuture : ledger.nextHoldEnd
        return min(hold, deferredUntil, balancer.nextQuarantineEnd)
    }

    package mutating func sample(now: Timestamp) -> GateSample {
        advance(to: now)
        let load = LoadSample(
            service: service, at: now, requestsInFlight: balancer.requestsInFlight, requestsQueued: queue.admittedCount,
            activeConsumers: ledger.seatsHeld, consumersWaiting: ledger.consumersWaiting, admitted: admittedTotal,
            rejected: rejectedTotal, completed: completedTotal, perInstance: balancer.requestsPerInstance)
        let pending = refusals.takeUnreported(now: now).map {
            GateSample.PendingRefusal(
                consumer: $0.consumer, constraint: $0.constraint, limit: $0.limit, current: $0.current,
                count: $0.count, waiting: $0.waiting)
        }
        return GateSample(load: load, refusals: pending)
    }
}

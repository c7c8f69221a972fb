import CloudModel
import LoadBalancing
import ScalingListener

/// Handing on what has become free: the consumers take turns, and each one's requests keep their order.
extension GateState {
    /// Lets time pass: holds and quarantines that are over end, and what that frees is handed on.
    mutating func advance(to now: Timestamp) {
        let clockWasSetBack = ledger.observe(now)
        if clockWasSetBack { balancer.forgetSuspicions(now: now) }
        var seatsFreed = false
        while let freed = ledger.expireHold(now: now) {
            seatsFreed = true
            if freed != .none { freeSeat(freed) }
        }
        ledger.forgetCooled(now: now)
        let isBack = balancer.advance(to: now) || clockWasSetBack
        let deferredAreDue = now >= deferredUntil || clockWasSetBack
        if deferredAreDue { deferredUntil = .distantFuture }
        guard !queue.isEmpty else { return }
        if isBack || deferredAreDue { placeAllAnew(withDeferred: deferredAreDue, now: now) }
        if seatsFreed { admitWaiting(now: now) }
    }

    /// Gives the free places of one backend to those who wait for it or for any.
    mutating func fill(_ backend: BackendSlot) {
        while balancer.hasPlace(backend) {
            guard limits.bindsSeats else {
                guard let next = nextForAny(but: backend) else { return }
                grant(next, backend)
                continue
            }
            let bound = queue.first(of: .backend(backend.index))
            let unbound = balancer.hasSeat(backend) ? queue.first(of: .unbound) : nil
            let first = unbound.flatMap { queue.first(of: .consumer($0)) }
            guard let next = inTurn(seated: bound, seatless: first) else { return }
            if let unbound, next == first { seat(unbound, at: backend) } else { grant(next, backend) }
        }
    }

    /// The first request that any backend may serve: those that were failed before go first, back to the one that
    /// failed them only when that is trusted again.
    private func nextForAny(but backend: BackendSlot) -> Int32? {
        if let retried = queue.first(of: .retried) { return retried }
        if let deferred = queue.first(of: .deferred), queue.waiter(at: deferred).avoids != Self.binding(backend) {
            return deferred
        }
        return queue.first(of: .ready)
    }

    /// Binds a waiting consumer's seat to a backend with a free place, and takes all its requests there; the first of
    /// them gets that place.
    private mutating func seat(_ consumer: Int32, at backend: BackendSlot) {
        queue.delist(consumer)
        bind(consumer, to: backend)
        if let first = queue.first(of: .consumer(consumer)) { grant(first, backend) }
        while let next = queue.first(of: .consumer(consumer)) {
            if balancer.hasPlace(backend) && queue.first(of: .backend(backend.index)) == nil {
                grant(next, backend)
            } else {
                queue.move(next, to: .backend(backend.index), barrier: nil)
            }
        }
    }

    private mutating func grant(_ index: Int32, _ backend: BackendSlot) {
        let waiter = queue.serve(index)
        balancer.take(backend)
        post(waiter, backend)
    }

    /// One of two that a place could go to. Age would let a consumer with a long line in front of the others.
    private mutating func inTurn(seated: Int32?, seatless: Int32?) -> Int32? {
        guard let seated else { return seatless }
        guard let seatless else { return seated }
        defer { seatsGoFirst.toggle() }
        return seatsGoFirst ? seatless : seated
    }

    /// After a request of the consumer has ended: its own line, then those who wait at the ceilings.
    mutating func serve(afterEndOf consumer: Int32, now: Timestamp) {
        serveOwn(consumer, now: now)
        admitWaiting(now: now)
    }

    /// Moves the consumer's requests that wait at its own limit on, as far as the limit now allows.
    mutating func serveOwn(_ consumer: Int32, now: Timestamp) {
        while let next = queue.first(of: .own(consumer)), ledger.hasOwnRoom(consumer) {
            switch ledger.ceilingRefusal(of: consumer, now: now)?.barrier {
            case nil:
                if admitWaiter(next, now: now) { continue }
                ledger.promoteWait(consumer)
                queue.move(next, to: .places, barrier: .requests)
            case .seats:
                ledger.promoteWait(consumer)
                queue.move(next, to: .consumer(consumer), barrier: .seats)
                queue.enlist(consumer, in: .seatless)
            default:
                ledger.promoteWait(consumer)
                queue.move(next, to: .places, barrier: .requests)
            }
        }
    }

    /// Admits those who wait at the ceilings, as far as the ceilings now allow.
    mutating func admitWaiting(now: Timestamp) {
        while queue.limitedCount > 0, ledger.hasFreePlace {
            let seatIsFree = ledger.hasFreeSeat
            let first = queue.first(of: .places)
            if let first, !seatIsFree, case let consumer = queue.waiter(at: first).consumer,
                !ledger.holdsSeat(consumer)
            {
                // It lost its seat while it waited for a place: now a seat is what it waits for.
                queue.move(first, to: .consumer(consumer), barrier: .seats)
                queue.enlist(consumer, in: .seatless)
                continue
            }
            let seatless = seatIsFree ? queue.first(of: .seatless) : nil
            let unseated = seatless.flatMap { queue.first(of: .consumer($0)) }
            guard let next = inTurn(seated: first, seatless: unseated) else { return }
            guard admitWaiter(next, now: now) else { return }
        }
    }

    /// Admits one request that waited at a limit; false where no instance and no room in the queue is free for it.
    private mutating func admitWaiter(_ index: Int32, now: Timestamp) -> Bool {
        let waiter = queue.waiter(at: index)
        let consumer = waiter.consumer
        guard let barrier = waiter.barrier else { return false }
        let backend = findPlace(consumer, hash: waiter.hash, now: now)
        guard backend != nil || queue.admittedCount < limits.queueLength else { return false }
        leaveSeatless(consumer, except: index)
        ledger.admitWaiting(consumer, at: barrier)
        admittedTotal += 1
        if let backend {
            bind(consumer, to: backend)
            grant(index, backend)
        } else {
            queue.move(index, to: lineForInstance(consumer), barrier: nil)
            queue.extend(index, until: now + limits.queueTimeout)
        }
        return true
    }

    /// The consumer gets a seat: its other requests that waited for one now wait for places.
    private mutating func leaveSeatless(_ consumer: Int32, except index: Int32) {
        guard queue.line(ofConsumer: consumer) == .seatless else { return }
        queue.delist(consumer)
        var rest = queue.first(of: .consumer(consumer))
        while let next = rest {
            if next == index {
                guard let following = queue.next(after: next) else { break }
                queue.move(following, to: .places, barrier: .requests)
            } else {
                queue.move(next, to: .places, barrier: .requests)
            }
            rest = queue.first(of: .consumer(consumer))
        }
    }

    /// After backends came, went or changed: every admitted request that waits is placed, or stands in line, anew, in
    /// the order of arrival. Not for the hot path.
    mutating func placeAllAnew(withDeferred: Bool, now: Timestamp) {
        if withDeferred { deferredUntil = .distantFuture }
        let waiting = queue.admittedInOrder(withDeferred: withDeferred)
        for index in waiting {
            let consumer = queue.waiter(at: index).consumer
            if queue.line(ofConsumer: consumer) == .unbound { queue.delist(consumer) }
            queue.move(index, to: .ready, barrier: nil)
        }
        for index in waiting {
            let waiter = queue.waiter(at: index)
            queue.move(index, to: lineForInstance(waiter.consumer, retried: waiter.retried), barrier: nil)
        }
        fillAll(now: now)
        admitWaiting(now: now)
    }

    private mutating func fillAll(now: Timestamp) {
        if limits.bindsSeats {
            for backend in balancer.usableSlots {
                while balancer.hasPlace(backend), let next = queue.first(of: .backend(backend.index)) {
                    grant(next, backend)
                }
            }
            while let consumer = queue.first(of: .unbound), let first = queue.first(of: .consumer(consumer)),
                let backend = balancer.pick(hash: queue.waiter(at: first).hash, needsSeat: true, now: now)
            {
                seat(consumer, at: backend)
            }
        } else {
            while let next = queue.first(of: .retried) ?? queue.first(of: .ready),
                let backend = balancer.pick(hash: queue.waiter(at: next).hash, needsSeat: false, now: now)
            {
                grant(next, backend)
            }
        }
    }
}

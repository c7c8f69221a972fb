public import CloudModel

/// The books of the automated scaling listener for one service: who has been admitted, and what the workload
/// constraints leave for others.
///
/// Two kinds of limits:
/// - the consumer's own: its rate (a token bucket) and its requests in flight;
/// - the ceilings: what the maximum number of instances takes at once, in requests
///   (`maximumInstances * concurrentRequestsPerInstance`) and in seats
///   (`maximumInstances * activeConsumersPerInstance`). A consumer holds one seat from its first admitted request
///   until `consumerHold` after the end of its last.
///
/// A limit that is lowered ends nothing that was admitted; it only admits nothing new until use has come down. A
/// request that is refused costs nothing of any limit, not even of the rate. Not thread-safe; every call is O(1),
/// amortised.
public struct AdmissionLedger: Sendable {
    public private(set) var limits: AdmissionLimits
    /// Admitted requests that have not ended.
    public private(set) var admitted = 0
    /// Consumers that hold a seat.
    public private(set) var seatsHeld = 0
    /// Consumers with requests that wait at a limit.
    public private(set) var consumersWaiting = 0
    var consumers = ActiveConsumers()
    private var latest = Timestamp.epoch

    /// Idle consumers that are remembered for their rates, or for a hold that nothing depends on; beyond it the one
    /// that has been idle longest is forgotten.
    static let maximumIdleConsumers = 65_536
    /// What a refused request is told when nobody can know when a place frees.
    static let defaultRetryAfter = TimeSpan.seconds(1)
    /// Loops read the clock at slightly different times; only a greater step back is one.
    private static let clockJitter = TimeSpan.seconds(5)

    public init(limits: AdmissionLimits) { self.limits = limits }

    /// Consumers that are remembered, idle ones included.
    public var consumersRemembered: Int { consumers.count }

    /// Replaces the limits; use stays as it is.
    public mutating func setLimits(_ limits: AdmissionLimits) { self.limits = limits }

    // MARK: Deciding

    /// The index of a consumer that is remembered, below zero for others. It stays as it is while the consumer has a
    /// request, a wait or a seat.
    public func index(of key: ConsumerKey) -> Int32 { consumers.index(of: key) }

    /// Nil where a request of the consumer with this index (below zero: none yet) may be admitted now; otherwise the
    /// first limit in its way: the rate, the consumer's own requests, the seats, the places. Changes nothing.
    public func refusal(of index: Int32, now: Timestamp) -> AdmissionRefusal? {
        if let rate = limits.rate {
            let arrival = index < 0 ? 0 : consumers[index].arrival
            let time = RateLimit.nanoseconds(now)
            if rate.arrival(after: arrival, now: time) == nil {
                let wait = rate.retryAfter(arrival, now: time)
                let limit = rate.requestsPerSecond
                return AdmissionRefusal(barrier: .rate, limit: limit, current: limit, retryAfter: wait)
            }
        }
        if let limit = limits.requestsPerConsumer {
            let current = index < 0 ? 0 : Int(consumers[index].inFlight + consumers[index].waiting)
            // Those that wait already have not asked for nothing: who comes later queues behind them.
            if current >= limit || (index >= 0 && consumers[index].held > 0) {
                return AdmissionRefusal(
                    barrier: .consumerConcurrency, limit: limit, current: current,
                    retryAfter: Self.defaultRetryAfter)
            }
        }
        return ceilingRefusal(holdsSeat: index >= 0 && consumers[index].holdsSeat, now: now)
    }

    /// Nil where the ceilings leave room for another request of a consumer.
    private func ceilingRefusal(holdsSeat: Bool, now: Timestamp) -> AdmissionRefusal? {
        if !holdsSeat && seatsHeld >= limits.seatCeiling {
            var wait = Self.defaultRetryAfter
            if consumers.holding.head >= 0 {
                wait = max(TimeSpan(microseconds: 1), consumers[consumers.holding.head].idleSince + limits.hold - now)
            }
            let worth = AdmissionLimits.instancesWorth(seatsHeld, perInstance: limits.seatsPerInstance)
            return AdmissionRefusal(barrier: .seats, limit: limits.maximumInstances, current: worth, retryAfter: wait)
        }
        if admitted >= limits.requestCeiling {
            let worth = AdmissionLimits.instancesWorth(admitted, perInstance: limits.requestsPerInstance)
            return AdmissionRefusal(
                barrier: .requests, limit: limits.maximumInstances, current: worth,
                retryAfter: Self.defaultRetryAfter)
        }
        return nil
    }

    // MARK: Admitted requests

    /// Enters a request that `refusal` has nothing against; `index` is the consumer's, as `index(of:)` told it.
    /// - Returns: the consumer's index.
    public mutating func admit(_ key: ConsumerKey, _ index: Int32, now: Timestamp) -> Int32 {
        let index = index < 0 ? consumers.insert(key) : index
        payRate(index, now)
        enter(index)
        return index
    }

    private mutating func payRate(_ index: Int32, _ now: Timestamp) {
        guard let rate = limits.rate else { return }
        if let arrival = rate.arrival(after: consumers[index].arrival, now: RateLimit.nanoseconds(now)) {
            consumers[index].arrival = arrival
        }
    }

    private mutating func enter(_ index: Int32) {
        consumers.unlink(index)
        consumers[index].inFlight += 1
        admitted += 1
        if !consumers[index].holdsSeat {
            consumers[index].holdsSeat = true
            seatsHeld += 1
        }
    }

    /// An admitted request has ended.
    /// - Returns: the binding of the seat that was freed with it; nil where the seat is kept.
    public mutating func end(_ index: Int32, now: Timestamp) -> SeatBinding? {
        precondition(consumers[index].inFlight > 0, "a request ended that was never admitted")
        consumers[index].inFlight -= 1
        admitted -= 1
        guard consumers[index].inFlight == 0 else { return nil }
        consumers[index].idleSince = now
        if limits.hold > .zero {
            consumers.append(index, to: .holding)
            forgetExcess()
            return nil
        }
        return freeSeat(index, now: now)
    }

    private mutating func freeSeat(_ index: Int32, now: Timestamp) -> SeatBinding {
        let binding = consumers[index].binding
        consumers[index].binding = .none
        consumers[index].holdsSeat = false
        seatsHeld -= 1
        cool(index, now: now)
        return binding
    }

    /// Forgets an idle consumer without a seat, or keeps it while it has a rate to work off.
    private mutating func cool(_ index: Int32, now: Timestamp) {
        let record = consumers[index]
        guard record.inFlight == 0, record.waiting == 0, record.held == 0, !record.holdsSeat else { return }
        if limits.rate != nil && record.arrival > RateLimit.nanoseconds(now) {
            consumers.append(index, to: .cooling)
            forgetExcess()
        } else {
            consumers.remove(index)
        }
    }

    /// The seats that hold nobody back are forgotten first to last; those of a ceiling are bounded by the ceiling.
    private mutating func forgetExcess() {
        if consumers.cooling.count > Self.maximumIdleConsumers {
            let oldest = consumers.cooling.head
            consumers.unlink(oldest)
            consumers.remove(oldest)
        }
        if !limits.bindsSeats && consumers.holding.count > Self.maximumIdleConsumers {
            let oldest = consumers.holding.head
            consumers.unlink(oldest)
            _ = freeSeat(oldest, now: consumers[oldest].idleSince)
        }
    }

    // MARK: Requests that wait at a limit

    /// A request that was refused waits; a consumer's requests that wait at a ceiling count as its own in flight.
    /// - Returns: the consumer's index.
    public mutating func beginWait(
        _ key: ConsumerKey, _ index: Int32, at barrier: AdmissionRefusal.Barrier, now: Timestamp
    ) -> Int32 {
        let index = index < 0 ? consumers.insert(key) : index
        payRate(index, now)
        if consumers[index].idleList == .cooling { consumers.unlink(index) }
        if consumers[index].waiting == 0 && consumers[index].held == 0 { consumersWaiting += 1 }
        if barrier == .consumerConcurrency {
            consumers[index].held += 1
        } else {
            consumers[index].waiting += 1
        }
        return index
    }

    /// A request stops waiting without being admitted.
    public mutating func endWait(_ index: Int32, at barrier: AdmissionRefusal.Barrier, now: Timestamp) {
        leave(index, barrier)
        guard consumers[index].idleList == .none else { return }
        if consumers[index].inFlight == 0 { consumers[index].idleSince = now }
        cool(index, now: now)
    }

    private mutating func leave(_ index: Int32, _ barrier: AdmissionRefusal.Barrier) {
        if barrier == .consumerConcurrency {
            precondition(consumers[index].held > 0, "a wait ended that never began")
            consumers[index].held -= 1
        } else {
            precondition(consumers[index].waiting > 0, "a wait ended that never began")
            consumers[index].waiting -= 1
        }
        if consumers[index].waiting == 0 && consumers[index].held == 0 { consumersWaiting -= 1 }
    }

    /// Whether a request that waits at the consumer's own limit has reached its turn there.
    public func hasOwnRoom(_ index: Int32) -> Bool {
        guard let limit = limits.requestsPerConsumer else { return true }
        return Int(consumers[index].inFlight + consumers[index].waiting) < limit
    }

    /// What is in the way of a request that waits at a ceiling, or nothing.
    public func ceilingRefusal(of index: Int32, now: Timestamp) -> AdmissionRefusal? {
        ceilingRefusal(holdsSeat: consumers[index].holdsSeat, now: now)
    }

    /// What a request is told that has waited at its consumer's own limit in vain.
    public func ownRefusal(of index: Int32) -> AdmissionRefusal {
        let current = Int(consumers[index].inFlight + consumers[index].waiting)
        return AdmissionRefusal(
            barrier: .consumerConcurrency, limit: limits.requestsPerConsumer ?? current, current: current,
            retryAfter: Self.defaultRetryAfter)
    }

    public var hasFreeSeat: Bool { seatsHeld < limits.seatCeiling }
    public var hasFreePlace: Bool { admitted < limits.requestCeiling }

    /// A request that waited is admitted.
    public mutating func admitWaiting(_ index: Int32, at barrier: AdmissionRefusal.Barrier) {
        leave(index, barrier)
        enter(index)
    }

    /// A request that waited at the consumer's own limit now waits at a ceiling.
    public mutating func promoteWait(_ index: Int32) {
        precondition(consumers[index].held > 0, "a wait moved on that never began")
        consumers[index].held -= 1
        consumers[index].waiting += 1
    }

    // MARK: Seats

    public func key(of index: Int32) -> ConsumerKey { consumers[index].key }
    public func holdsSeat(_ index: Int32) -> Bool { consumers[index].holdsSeat }
    public func binding(of index: Int32) -> SeatBinding { consumers[index].binding }

    public mutating func bind(_ index: Int32, to binding: SeatBinding) { consumers[index].binding = binding }

    /// Unbinds all seats.
    public mutating func unbindAll() {
        for index in consumers.sortedIndices() { consumers[index].binding = .none }
    }

    /// Consumers with requests that wait at their own limit, in order of their keys.
    public var consumersHeld: [Int32] { consumers.sortedIndices().filter { consumers[$0].held > 0 } }

    // MARK: Time

    /// When the first held seat runs out; `distantFuture` where none is held.
    public var nextHoldEnd: Timestamp {
        consumers.holding.head < 0 ? .distantFuture : consumers[consumers.holding.head].idleSince + limits.hold
    }

    /// Frees one seat whose hold is over and gives back its binding; nil where there is none. Call until nil.
    public mutating func expireHold(now: Timestamp) -> SeatBinding? {
        let head = consumers.holding.head
        guard head >= 0, consumers[head].idleSince + limits.hold <= now else { return nil }
        consumers.unlink(head)
        return freeSeat(head, now: now)
    }

    /// Forgets consumers that have worked off their rates, a few at a time so that no call takes long.
    public mutating func forgetCooled(now: Timestamp) {
        let refill = limits.rate?.refillTime ?? .zero
        for _ in 0..<4 {
            let head = consumers.cooling.head
            guard head >= 0, consumers[head].idleSince + refill <= now else { return }
            consumers.unlink(head)
            consumers.remove(head)
        }
    }

    /// Takes note of the time; where the clock was set back, moves what is remembered along with it.
    /// - Returns: whether it was set back.
    public mutating func observe(_ now: Timestamp) -> Bool {
        if now >= latest {
            latest = now
            return false
        }
        guard now + Self.clockJitter < latest else { return false }
        consumers.shiftTimes(by: now - latest)
        latest = now
        return true
    }
}

public import CloudModel

/// Spreads the requests of one service over its backends.
///
/// Keeps what it knows of a backend (requests in flight, seats, failures) across snapshots for as long as the instance
/// answers at the same endpoint. Picks allocate nothing and never choose a backend that is full.
public struct LoadBalancer: Sendable {
    /// What one backend takes at once.
    public struct Capacity: Hashable, Sendable {
        /// Requests in flight; nil: any number.
        public var requests: Int?
        /// Consumers that have a seat there; nil: seats are not bound to backends.
        public var seats: Int?

        public init(requests: Int? = nil, seats: Int? = nil) {
            self.requests = requests
            self.seats = seats
        }
    }

    /// What a snapshot changed.
    public struct Changes: Hashable, Sendable {
        /// In order of index.
        public var added: [BackendSlot] = []
        /// Gone for good, or at another endpoint now; in order of index.
        public var removed: [BackendSlot] = []
    }

    /// Plain data only: the hot path copies no references.
    struct Entry {
        var generation: UInt32 = 0
        /// In the newest snapshot.
        var isCurrent = false
        /// Current and enabled.
        var isAccepting = false
        /// Accepting and not in quarantine.
        var isUsable = false
        var inFlight: Int32 = 0
        var seats: Int32 = 0
        /// From the last refresh; in 1/`SlowStart.scale`.
        var weight: Int64 = 0
        var fullWeight = 1
        var upSince = Timestamp.epoch
        /// Smooth weighted round robin's running balance.
        var balance: Int64 = 0
        var hashSeed: UInt64 = 0
        var failuresInARow: Int32 = 0
        /// Quarantines in a row.
        var strikes: Int32 = 0
        /// In quarantine, or (the last usable one) under suspicion, until then.
        var suspectUntil = Timestamp.epoch
    }

    var entries: [Entry] = []
    private var targets: [BackendTarget?] = []
    private var slotOf: [BackendTarget: Int32] = [:]
    private var free: [Int32] = []
    /// Indices of the backends that may be given work, in the snapshot's order.
    var usable: [Int32] = []
    /// `cumulative[i]`: the weights of `usable[0...i]`; kept only where weights differ.
    var cumulative: [Int64] = []
    var weightsDiffer = false
    /// When weights are to be refreshed: a backend is in slow start.
    var nextRefresh = Timestamp.distantFuture
    /// The first end of a quarantine; `distantFuture` where there is none.
    public private(set) var nextQuarantineEnd = Timestamp.distantFuture
    var placesPerBackend = Int32.max
    var seatsPerBackend = Int32.max
    var settings = LoadBalancingSettings()
    var random: SeededGenerator
    /// Requests in flight at all backends, those that are gone included.
    public private(set) var requestsInFlight = 0

    public init(seed: UInt64) { random = SeededGenerator(seed: seed) }

    public var usableCount: Int { usable.count }

    // MARK: Snapshots

    /// Takes over a snapshot's backends. A backend with a new `upSince` was found up again by the control plane: its
    /// failures are forgotten and its quarantine ends.
    public mutating func apply(
        _ backends: [Backend], settings: LoadBalancingSettings, capacity: Capacity, now: Timestamp
    ) -> Changes {
        self.settings = settings
        placesPerBackend = Self.bounded(capacity.requests)
        seatsPerBackend = Self.bounded(capacity.seats)
        var changes = Changes()
        var listed = [Bool](repeating: false, count: entries.count)
        var order: [Int32] = []
        order.reserveCapacity(backends.count)
        for backend in backends {
            let target = BackendTarget(instance: backend.instance, endpoint: backend.endpoint)
            let index: Int32
            if let known = slotOf[target] {
                index = known
            } else {
                index = occupy(target)
                if Int(index) == listed.count { listed.append(false) }
                changes.added.append(BackendSlot(index: index, generation: entries[Int(index)].generation))
            }
            guard !listed[Int(index)] else { continue }
            listed[Int(index)] = true
            order.append(index)
            update(&entries[Int(index)], from: backend)
        }
        for index in entries.indices where entries[index].isCurrent && !listed[index] {
            changes.removed.append(BackendSlot(index: Int32(index), generation: entries[index].generation))
            retire(index)
        }
        changes.added.sort { $0.index < $1.index }
        order.removeAll { !entries[Int($0)].isAccepting }
        rebuildUsable(accepting: order, now: now)
        return changes
    }

    private static func bounded(_ limit: Int?) -> Int32 {
        guard let limit else { return .max }
        return Int32(clamping: max(0, limit))
    }

    private mutating func occupy(_ target: BackendTarget) -> Int32 {
        let index: Int32
        if let reused = free.popLast() {
            index = reused
            entries[Int(index)] = Entry(generation: entries[Int(index)].generation)
            targets[Int(index)] = target
        } else {
            index = Int32(entries.count)
            entries.append(Entry(generation: 1))
            targets.append(target)
        }
        entries[Int(index)].isCurrent = true
        entries[Int(index)].hashSeed = RendezvousHash.seed(target.instance)
        slotOf[target] = index
        return index
    }

    private func update(_ entry: inout Entry, from backend: Backend) {
        if entry.upSince != backend.upSince {
            entry.failuresInARow = 0
            entry.strikes = 0
            entry.suspectUntil = .epoch
        }
        entry.upSince = backend.upSince
        entry.fullWeight = backend.weight
        entry.isAccepting = backend.administrative == .enabled
    }

    private mutating func retire(_ index: Int) {
        if let target = targets[index] { slotOf[target] = nil }
        entries[index].isCurrent = false
        entries[index].isAccepting = false
        entries[index].isUsable = false
        if entries[index].inFlight == 0 { recycle(index) }
    }

    private mutating func recycle(_ index: Int) {
        targets[index] = nil
        entries[index].generation &+= 1
        free.append(Int32(index))
    }

    /// A panic rule: where all that accept work are in quarantine, none is.
    private mutating func rebuildUsable(accepting: [Int32], now: Timestamp) {
        usable.removeAll(keepingCapacity: true)
        nextQuarantineEnd = .distantFuture
        for index in accepting where entries[Int(index)].suspectUntil <= now { usable.append(index) }
        let panic = usable.isEmpty
        if panic { usable = accepting }
        for index in entries.indices { entries[index].isUsable = false }
        for index in usable { entries[Int(index)].isUsable = true }
        for index in accepting where !entries[Int(index)].isUsable {
            nextQuarantineEnd = min(nextQuarantineEnd, entries[Int(index)].suspectUntil)
        }
        refreshWeights(now: now)
    }

    private mutating func rebuildUsable(now: Timestamp) {
        // The snapshot's order is by instance; so is this.
        let accepting = entries.indices.filter { entries[$0].isAccepting }
            .sorted { instance(at: $0) < instance(at: $1) }
        rebuildUsable(accepting: accepting.map { Int32($0) }, now: now)
    }

    private func instance(at index: Int) -> InstanceID { targets[index]?.instance ?? "" }

    /// A hundred steps make a smooth ramp; more often than every 10 ms is not worth it.
    mutating func refreshWeights(now: Timestamp) {
        let ramp = SlowStart(window: settings.slowStart)
        var ramping = false
        var total: Int64 = 0
        weightsDiffer = false
        cumulative.removeAll(keepingCapacity: true)
        for index in usable {
            let entry = entries[Int(index)]
            let weight = ramp.effectiveWeight(entry.fullWeight, upSince: entry.upSince, at: now)
            entries[Int(index)].weight = weight
            total += weight
            cumulative.append(total)
            weightsDiffer = weightsDiffer || weight != entries[Int(usable[0])].weight
            ramping = ramping || now < entry.upSince + settings.slowStart
        }
        let step = TimeSpan(microseconds: max(10_000, settings.slowStart.microseconds / 100))
        nextRefresh = ramping ? now + step : .distantFuture
    }

    // MARK: What is known of a backend

    /// Nil where the slot is stale.
    public func target(of slot: BackendSlot) -> BackendTarget? { isValid(slot) ? targets[Int(slot.index)] : nil }

    public func isUsable(_ slot: BackendSlot) -> Bool { isValid(slot) && entries[Int(slot.index)].isUsable }

    /// Usable, and below its limit of requests.
    public func hasPlace(_ slot: BackendSlot) -> Bool {
        isUsable(slot) && entries[Int(slot.index)].inFlight < placesPerBackend
    }

    /// Usable, and below its limit of consumers.
    public func hasSeat(_ slot: BackendSlot) -> Bool {
        isUsable(slot) && entries[Int(slot.index)].seats < seatsPerBackend
    }

    public func requestsInFlight(at slot: BackendSlot) -> Int {
        isValid(slot) ? Int(entries[Int(slot.index)].inFlight) : 0
    }

    public func seats(at slot: BackendSlot) -> Int { isValid(slot) ? Int(entries[Int(slot.index)].seats) : 0 }

    /// The usable backends in order.
    public var usableSlots: [BackendSlot] {
        usable.map { BackendSlot(index: $0, generation: entries[Int($0)].generation) }
    }

    /// Requests in flight by instance, of those in the snapshot and those that still have some.
    public var requestsPerInstance: [InstanceID: Int] {
        var counts: [InstanceID: Int] = [:]
        for (index, target) in targets.enumerated() {
            guard let target else { continue }
            counts[target.instance, default: 0] += Int(entries[index].inFlight)
        }
        return counts
    }

    func isValid(_ slot: BackendSlot) -> Bool {
        slot.index >= 0 && slot.index < entries.count && entries[Int(slot.index)].generation == slot.generation
    }

    // MARK: Work that comes and goes

    /// A request goes there. The slot must be valid.
    public mutating func take(_ slot: BackendSlot) {
        precondition(isValid(slot), "a place was taken at a backend that is gone")
        entries[Int(slot.index)].inFlight += 1
        requestsInFlight += 1
    }

    /// A request that was `take`n has ended or goes elsewhere.
    public mutating func giveBack(_ slot: BackendSlot) {
        let index = Int(slot.index)
        precondition(isValid(slot) && entries[index].inFlight > 0, "a place was given back that nobody had")
        entries[index].inFlight -= 1
        requestsInFlight -= 1
        if entries[index].inFlight == 0 && !entries[index].isCurrent { recycle(index) }
    }

    /// A consumer is bound to the backend.
    public mutating func takeSeat(_ slot: BackendSlot) {
        precondition(isValid(slot), "a seat was taken at a backend that is gone")
        entries[Int(slot.index)].seats += 1
    }

    /// The consumer is bound to it no longer; nothing happens where the backend is gone.
    public mutating func freeSeat(_ slot: BackendSlot) {
        guard isValid(slot), entries[Int(slot.index)].seats > 0 else { return }
        entries[Int(slot.index)].seats -= 1
    }

    /// Forgets all bindings (seats are no longer bound, or are all bound anew).
    public mutating func freeAllSeats() {
        for index in entries.indices { entries[index].seats = 0 }
    }

    // MARK: Passive checks

    /// What a failure that traffic saw leads to.
    public enum FailureVerdict: Hashable, Sendable {
        /// Counted, or too late to count.
        case none
        /// Out of the balance until then.
        case quarantined(until: Timestamp)
        /// It would be in quarantine if it were not the last usable one: new requests still go there, those that it
        /// failed had better wait until then.
        case lastUsable(suspectUntil: Timestamp)
    }

    public mutating func recordFailure(_ slot: BackendSlot, _ failure: BackendFailure, now: Timestamp)
        -> FailureVerdict
    {
        guard isUsable(slot) else { return .none }
        let index = Int(slot.index)
        let lastUsable = usable.count == 1
        // Requests that were under way together fail together: that is one strike, not many.
        if now < entries[index].suspectUntil {
            return lastUsable ? .lastUsable(suspectUntil: entries[index].suspectUntil) : .none
        }
        entries[index].failuresInARow += 1
        guard Quarantine.isConclusive(failure) || entries[index].failuresInARow >= Quarantine.failuresInARow
        else { return .none }
        entries[index].failuresInARow = 0
        entries[index].strikes = min(entries[index].strikes + 1, 32)
        let until = now + Quarantine.duration(strike: Int(entries[index].strikes))
        entries[index].suspectUntil = until
        if lastUsable { return .lastUsable(suspectUntil: until) }
        rebuildUsable(now: now)
        return .quarantined(until: until)
    }

    /// A good answer. It does not end a quarantine: answers to earlier requests may still come in when nobody accepts
    /// new connections any more.
    /// - Returns: whether it cleared a suspicion.
    @discardableResult
    public mutating func recordSuccess(_ slot: BackendSlot) -> Bool {
        guard isUsable(slot) else { return false }
        let index = Int(slot.index)
        guard entries[index].failuresInARow > 0 || entries[index].strikes > 0 else { return false }
        entries[index].failuresInARow = 0
        entries[index].strikes = 0
        entries[index].suspectUntil = .epoch
        return true
    }

    /// The first time after `now` when a usable backend is no longer under suspicion; nil where none is.
    public func nextSuspicionEnd(after now: Timestamp) -> Timestamp? {
        usable.map { entries[Int($0)].suspectUntil }.filter { $0 > now }.min()
    }

    /// The clock was set back: times in what is now the future mean nothing.
    public mutating func forgetSuspicions(now: Timestamp) {
        for index in entries.indices { entries[index].suspectUntil = .epoch }
        rebuildUsable(now: now)
    }

    /// Ends the quarantines whose time is over.
    /// - Returns: whether one ended.
    public mutating func advance(to now: Timestamp) -> Bool {
        guard now >= nextQuarantineEnd else { return false }
        rebuildUsable(now: now)
        return true
    }
}

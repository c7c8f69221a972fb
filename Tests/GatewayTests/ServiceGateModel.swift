import CloudModel
import Gateway
import LoadBalancing
import ScalingListener

/// What a gate has said so far, and what it must say next, found by counting over all requests.
struct GateModel {
    struct Request {
        var consumer: UInt32
        var state: State
        var handle: WaitHandle?
        var retried = false
        /// In order of admission.
        var admittedAs = 0
        /// Was failed by a backend and may be kept from it for a while.
        var isExcused = false
    }

    enum State: Equatable {
        case inFlight(BackendSlot)
        case queued
        /// At a ceiling.
        case waiting
        /// At the consumer's own limit.
        case held
    }

    var constraints: WorkloadConstraints
    var requests: [UInt32: Request] = [:]
    /// With when they became idle, where they are.
    var seats: Set<UInt32> = []
    var idleSince: [UInt32: Timestamp] = [:]
    /// The backend of each consumer's last grant.
    var binding: [UInt32: BackendSlot] = [:]
    var usable: [BackendSlot] = []
    var now = GateFixture.start
    private var admissions = 0

    init(constraints: WorkloadConstraints) { self.constraints = constraints }

    var admitted: Int {
        requests.values.count { request in
            switch request.state {
            case .inFlight, .queued: true
            case .waiting, .held: false
            }
        }
    }

    var queued: Int { requests.values.count { $0.state == .queued } }
    var bindsSeats: Bool { constraints.activeConsumersPerInstance != nil }

    func inFlight(_ backend: BackendSlot) -> Int { requests.values.count { $0.state == .inFlight(backend) } }
    func seats(at backend: BackendSlot) -> Int { seats.count { binding[$0] == backend } }

    func own(_ consumer: UInt32) -> Int {
        requests.values.count { $0.consumer == consumer && $0.state != .held }
    }

    func isActive(_ consumer: UInt32) -> Bool {
        requests.values.contains { request in
            guard request.consumer == consumer else { return false }
            switch request.state {
            case .inFlight, .queued: return true
            case .waiting, .held: return false
            }
        }
    }

    var seatsAreFull: Bool {
        guard let each = constraints.activeConsumersPerInstance else { return false }
        return seats.count >= constraints.maximumInstances * each
    }

    var placesAreFull: Bool {
        guard let each = constraints.concurrentRequestsPerInstance else { return false }
        return admitted >= constraints.maximumInstances * each
    }

    func hasPlace(_ backend: BackendSlot) -> Bool {
        usable.contains(backend) && inFlight(backend) < constraints.concurrentRequestsPerInstance ?? .max
    }

    func hasSeat(_ backend: BackendSlot) -> Bool {
        usable.contains(backend) && seats(at: backend) < constraints.activeConsumersPerInstance ?? .max
    }

    func usableBinding(_ consumer: UInt32) -> BackendSlot? {
        guard bindsSeats, seats.contains(consumer), let bound = binding[consumer], usable.contains(bound) else {
            return nil
        }
        return bound
    }

    /// Whether an admitted request of the consumer could be at an instance now.
    func canBePlaced(_ consumer: UInt32) -> Bool {
        guard bindsSeats else { return usable.contains(where: hasPlace) }
        if let bound = usableBinding(consumer) { return hasPlace(bound) }
        return usable.contains { hasPlace($0) && hasSeat($0) }
    }

    // MARK: What must come

    enum Verdict: Equatable {
        case forward, queued
        case refused(AdmissionRefusal.Barrier)
    }

    func verdict(_ consumer: UInt32) -> Verdict {
        if let limit = constraints.concurrentRequestsPerConsumer,
            own(consumer) >= limit || requests.values.contains(where: { $0.consumer == consumer && $0.state == .held })
        {
            return .refused(.consumerConcurrency)
        }
        if !seats.contains(consumer) && seatsAreFull { return .refused(.seats) }
        let displaces = othersGiveWay(to: consumer)
        if placesAreFull && !displaces { return .refused(.requests) }
        if canBePlaced(consumer) && !mustStandBehind(consumer) { return .forward }
        return queued < constraints.queueLength || displaces ? .queued : .refused(.queueFull)
    }

    /// What waits of a consumer and has been at no instance yet, oldest first.
    func backlog(_ consumer: UInt32) -> [UInt32] {
        requests.filter { $0.value.consumer == consumer && $0.value.state == .queued && !$0.value.retried }
            .sorted { $0.value.admittedAs < $1.value.admittedAs }.map(\.key)
    }

    var longestBacklog: Int { Set(requests.values.map(\.consumer)).map { backlog($0).count }.max() ?? 0 }

    /// Whether a consumer has so much more in the queue that its newest makes room, and one less is room.
    func othersGiveWay(to consumer: UInt32) -> Bool {
        let ceiling = constraints.concurrentRequestsPerInstance.map { $0 * constraints.maximumInstances } ?? .max
        let waits = requests.values.contains {
            $0.consumer == consumer && ($0.state == .waiting || $0.state == .held)
        }
        return !waits && longestBacklog >= backlog(consumer).count + 2 && queued <= constraints.queueLength
            && admitted <= ceiling
    }

    /// Whether others stand in the line where the consumer's request would.
    private func mustStandBehind(_ consumer: UInt32) -> Bool {
        let line = usableBinding(consumer)
        return requests.values.contains { other in
            other.state == .queued && !other.isExcused && usableBinding(other.consumer) == line
        }
    }

    // MARK: What has happened

    mutating func enter(_ id: UInt32, _ consumer: UInt32, _ state: State, _ handle: WaitHandle?) {
        admissions += 1
        requests[id] = Request(consumer: consumer, state: state, handle: handle, admittedAs: admissions)
        if state != .waiting && state != .held { seats.insert(consumer) }
    }

    /// A request that waited at a limit is admitted.
    mutating func admit(_ id: UInt32) {
        guard let consumer = requests[id]?.consumer else { return }
        admissions += 1
        requests[id]?.admittedAs = admissions
        requests[id]?.state = .queued
        seats.insert(consumer)
    }

    mutating func grant(_ id: UInt32, _ backend: BackendSlot) {
        guard let consumer = requests[id]?.consumer else { return }
        requests[id]?.state = .inFlight(backend)
        requests[id]?.handle = nil
        requests[id]?.isExcused = false
        seats.insert(consumer)
        binding[consumer] = backend
    }

    mutating func end(_ id: UInt32) {
        guard let request = requests.removeValue(forKey: id) else { return }
        let consumer = request.consumer
        guard seats.contains(consumer), !isActive(consumer) else { return }
        if request.state != .waiting && request.state != .held { idleSince[consumer] = now }
        expire()
    }

    mutating func expire() {
        for consumer in seats where !isActive(consumer) {
            guard let since = idleSince[consumer], since + constraints.consumerHold <= now else { continue }
            seats.remove(consumer)
            binding[consumer] = nil
        }
    }

    /// What is wrong with the state as a whole; nil where nothing is.
    func fault() -> String? {
        for (id, request) in requests.sorted(by: { $0.key < $1.key }) {
            switch request.state {
            case .inFlight: continue
            case .queued:
                if !request.isExcused && canBePlaced(request.consumer) {
                    return "\(id) waits although there is a place"
                }
            case .held:
                if own(request.consumer) < constraints.concurrentRequestsPerConsumer ?? .max {
                    return "\(id) waits although its consumer has room"
                }
            case .waiting:
                let isBlocked =
                    placesAreFull || (!seats.contains(request.consumer) && seatsAreFull)
                    || queued >= constraints.queueLength
                if !isBlocked { return "\(id) waits although nothing is in its way" }
            }
        }
        return nil
    }
}

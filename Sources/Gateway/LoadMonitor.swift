import CGateway
import CloudModel
import Glibc
import Synchronization

/// The thread that looks at the gates: samples the load of every service, at once where requests wait, and lets the
/// gates' time pass (holds that run out, quarantines that end).
final class LoadMonitor: Sendable {
    /// Between two samples of a service with traffic.
    static let interval: Int64 = 250_000
    /// Between two samples of a service where requests wait.
    static let urgentInterval: Int64 = 20_000
    /// Between two samples of a service at rest. The control plane takes a sample for the load of five seconds. With
    /// none it could never scale in what is idle: that looks the same to it as a gateway that says nothing.
    static let restInterval: Int64 = 2_000_000
    private static let longestTick: Int64 = 100_000
    /// Between two looks for memory that a peak has left in the heap. The loops, which allocate nothing for a request,
    /// do not wait for it.
    private static let trimInterval: Int64 = 2_000_000

    private struct Watched {
        var gate: ServiceGate
        /// An instance is being drained: the control plane waits to hear that nothing is left there.
        var isDraining = false
        var last: LoadSample?
        var sampledAt: Int64 = .min
        var toldAt: Int64 = .min
        var tickAt: Int64 = 0
    }

    private struct State {
        var services: [Int: Watched] = [:]
        var urgent: Set<Int> = []
        var isStopped = false
    }

    private let state = Mutex(State())
    private let wake: Int32
    private let outbox: EventOutbox
    private let names: Mutex<[ConsumerID]> = Mutex([])
    private let thread = Mutex<UInt?>(nil)

    init(outbox: EventOutbox) throws(GatewayError) {
        self.outbox = outbox
        wake = cgateway_eventfd()
        guard wake >= 0 else {
            throw GatewayError(.exhausted, "no eventfd (error \(-wake)); raise the limit of open files")
        }
    }

    deinit { cgateway_close(wake) }

    func start() throws(GatewayError) {
        var id: UInt = 0
        let context = Unmanaged.passRetained(self).toOpaque()
        let failure = cgateway_start_thread(
            "gateway-load", { Unmanaged<LoadMonitor>.fromOpaque($0!).takeRetainedValue().run() }, context, &id)
        guard failure == 0 else {
            Unmanaged<LoadMonitor>.fromOpaque(context).release()
            throw GatewayError(.exhausted, "cannot start a thread (error \(failure))")
        }
        let started = id
        thread.withLock { $0 = started }
    }

    func stop() {
        state.withLock { $0.isStopped = true }
        cgateway_signal(wake)
        if let id = thread.withLock({ $0.take() }) { cgateway_join_thread(id) }
    }

    /// The gates to watch, by number of service, the names of the consumers by number, and the services of which an
    /// instance is being drained.
    func watch(_ gates: [Int: ServiceGate], consumers: [ConsumerID], draining: Set<ServiceID>) {
        names.withLock { $0 = consumers }
        state.withLock { state in
            for (number, gate) in gates {
                state.services[number, default: Watched(gate: gate)].isDraining = draining.contains(gate.service)
            }
        }
    }

    /// Called by the loops.
    func sampleSoon(service: Int) {
        let isNew = state.withLock { $0.urgent.insert(service).inserted }
        if isNew { cgateway_signal(wake) }
    }

    private func run() {
        var nextTrim = cgateway_monotonic_microseconds() + Self.trimInterval
        while true {
            let now = cgateway_monotonic_microseconds()
            if now >= nextTrim {
                cgateway_trim_heap()
                nextTrim = now + Self.trimInterval
            }
            let (due, next) = state.withLock { Self.takeDue(&$0, now: now) }
            if due.isEmpty, state.withLock({ $0.isStopped }) { return }
            for number in due { visit(number) }
            if state.withLock({ $0.isStopped }) { return }
            var descriptor = pollfd(fd: wake, events: Int16(POLLIN), revents: 0)
            let wait = max(1, (next - cgateway_monotonic_microseconds() + 999) / 1_000)
            if poll(&descriptor, 1, Int32(min(wait, 1_000))) > 0 { cgateway_drain_signal(wake) }
        }
    }

    /// Services to look at now, and when to look again; those that are urgent come early, but not without end.
    private static func takeDue(_ state: inout State, now: Int64) -> (due: [Int], next: Int64) {
        var due: [Int] = []
        var next = now + longestTick
        for (number, watched) in state.services {
            let isUrgent = state.urgent.contains(number)
            let sampleAt = watched.sampledAt &+ (isUrgent ? urgentInterval : interval)
            let at = watched.sampledAt == .min ? now : min(sampleAt, watched.tickAt)
            if at <= now { due.append(number) } else { next = min(next, at) }
        }
        return (due.sorted(), next)
    }

    private func visit(_ number: Int) {
        guard let watched = state.withLock({ $0.services[number] }) else { return }
        let monotonic = cgateway_monotonic_microseconds()
        let now = Timestamp(microseconds: cgateway_wall_microseconds())
        var tickAt = watched.tickAt
        if monotonic >= tickAt {
            let next = watched.gate.tick(now: now)
            let span = (next - now).microseconds
            tickAt = monotonic + min(max(span, 1_000), Self.longestTick)
        }
        let isUrgent = state.withLock { $0.urgent.contains(number) }
        let interval = isUrgent ? Self.urgentInterval : Self.interval
        var last = watched.last
        var (sampledAt, toldAt) = (watched.sampledAt, watched.toldAt)
        if sampledAt == .min || monotonic - sampledAt >= interval {
            sampledAt = monotonic
            state.withLock { _ = $0.urgent.remove(number) }
            let load = sample(watched, now: now)
            if toldAt == .min || monotonic - toldAt >= Self.restInterval || isWorthTelling(load, watched) {
                toldAt = monotonic
                outbox.send(.load(load))
            }
            last = load
        }
        state.withLock { state in
            state.services[number]?.last = last
            state.services[number]?.sampledAt = sampledAt
            state.services[number]?.toldAt = toldAt
            state.services[number]?.tickAt = tickAt
        }
    }

    /// Tells of refusals, and gives the load back.
    private func sample(_ watched: Watched, now: Timestamp) -> LoadSample {
        let sample = watched.gate.sample(now: now)
        let consumers = names.withLock { $0 }
        for refusal in sample.refusals {
            let number = Int(refusal.consumer.rawValue)
            guard number < consumers.count else { continue }
            outbox.send(
                .limitReached(
                    LimitReached(
                        service: watched.gate.service, consumer: consumers[number], constraint: refusal.constraint,
                        limit: refusal.limit, current: refusal.current, count: refusal.count,
                        waiting: refusal.waiting, at: now)))
        }
        return sample.load
    }

    /// At once, and not only now and then: there is load, or it has just changed.
    private func isWorthTelling(_ sample: LoadSample, _ watched: Watched) -> Bool {
        if watched.isDraining || sample.requestsInFlight > 0 || sample.requestsQueued > 0 { return true }
        if sample.consumersWaiting > 0 || sample.activeConsumers > 0 { return true }
        guard var last = watched.last else { return false }
        last.at = sample.at
        return last != sample
    }
}

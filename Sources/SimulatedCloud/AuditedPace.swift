import CloudController
import CloudModel

/// How fast things are done: nothing is scaled in on missing data, and nothing that fails is started in a hurry.
struct AuditedPace {
    private struct Coverage {
        var since: Int64
        var last: Int64
        var jumps: Int64 = 0
    }

    private struct Failure {
        var at: Int64
        var incarnation: Int
    }

    /// What it says meanwhile, if anything, is not known to be true.
    var gatewayIsSilent = false
    private var coverage: [ServiceID: Coverage] = [:]
    private var failures: [InstanceID: Failure] = [:]
    private var draining: Set<InstanceID> = []
    private var startTimes: [ServiceID: [Int64]] = [:]
    private var allowances: [Int64] = []
    private var wakes = (second: Int64(0), count: 0)

    /// Samples further apart leave a gap (they are valid for five seconds), with some slack for late ones.
    private static let longestGap: Int64 = 5_500_000
    /// What a jump of the clock may add to the controller's own time.
    private static let jumpSlack: Int64 = 15_000_000
    private static let stormWindow: Int64 = 60_000_000
    /// Deadlines in one second: each has a reason and passes, so a controller that names many turns on the spot.
    private static let mostWakes = 2_000

    mutating func restarted() {
        failures = [:]
        draining = []
    }

    mutating func jumped() {
        failures = [:]
        for service in coverage.keys { coverage[service]?.jumps += 1 }
    }

    /// Each true crash may bring starts.
    mutating func crashed(at now: Int64) { allowances.append(now) }

    mutating func commanded(_ command: ControllerCommand, at now: Int64) {
        allowances.append(now)
        // Whoever commands does not want to wait for a back-off.
        failures = [:]
    }

    // MARK: Scale in

    mutating func sampleProcessed(_ sample: LoadSample, at now: Int64) {
        guard !gatewayIsSilent else { return }
        if var known = coverage[sample.service], now - known.last <= Self.longestGap {
            known.last = now
            coverage[sample.service] = known
        } else {
            coverage[sample.service] = Coverage(since: now, last: now)
        }
    }

    mutating func recorded(_ event: PlatformEvent, _ service: CloudService?, at now: Int64) -> Finding? {
        if event.kind == "instance.draining", let instance = event.instance { draining.insert(instance) }
        if event.kind == "instance.up", let instance = event.instance { draining.remove(instance) }
        guard event.kind == "scaling.decided", let service, let from = Int(event.details["from"] ?? ""),
            let to = Int(event.details["to"] ?? ""), to < from
        else { return nil }
        let window = service.scaling.scaleInStabilisation.microseconds
        let covered = coverage[service.id].map { now - $0.since + $0.jumps * Self.jumpSlack } ?? 0
        guard covered < window - 2 * Self.longestGap else { return nil }
        return Finding(
            rule: "blind-scale-in",
            what: "\(service.id) from \(from) to \(to) after \(covered) us of samples; the window is \(window)")
    }

    // MARK: Starts

    mutating func exitTold(_ claimed: ServiceInstance?, _ incarnation: Int, at now: Int64) {
        guard let claimed, claimed.incarnation == incarnation, !draining.contains(claimed.id),
            claimed.phase == .running || claimed.phase == .starting
        else { return }
        failures[claimed.id] = Failure(at: now, incarnation: incarnation)
    }

    mutating func persisted(
        _ instance: ServiceInstance, before: ServiceInstance?, _ service: CloudService?, at now: Int64
    ) -> Finding? {
        guard instance.phase == .starting, before?.phase == .failed, let service,
            let failure = failures.removeValue(forKey: instance.id), failure.incarnation + 1 == instance.incarnation
        else { return nil }
        let least = service.restart.initialBackoff.microseconds / 2
        guard now - failure.at < least else { return nil }
        return Finding(
            rule: "back-off",
            what: "\(instance.id) is started \(now - failure.at) us after it failed; at least \(least)")
    }

    /// However much fails, starts stay few: the breaker's threshold, each instance a few times, and what was commanded.
    mutating func started(_ id: ServiceID, _ service: CloudService?, at now: Int64) -> Finding? {
        var times = startTimes[id, default: []].filter { now - $0 < Self.stormWindow }
        times.append(now)
        startTimes[id] = times
        allowances.removeAll { now - $0 > Self.stormWindow }
        let maximum = service?.constraints.maximumInstances ?? 7
        let threshold = service?.restart.breakerThreshold ?? 6
        let allowed = 2 * threshold + 6 * max(maximum, 7) + 10 * allowances.count
        guard times.count > allowed else { return nil }
        return Finding(rule: "start-storm", what: "\(times.count) starts of \(id) in a minute; allowed are \(allowed)")
    }

    // MARK: Deadlines

    mutating func woken(at now: Int64) -> Finding? {
        let second = now / 1_000_000
        wakes = wakes.second == second ? (second, wakes.count + 1) : (second, 1)
        guard wakes.count > Self.mostWakes else { return nil }
        return Finding(rule: "busy-timer", what: "\(wakes.count) deadlines came within one second")
    }
}

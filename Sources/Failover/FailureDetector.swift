public import CloudModel

/// Decides from checks and traffic whether one implementation works.
///
/// Rise and fall are HAProxy's: `fall` failed checks in a row take an instance that is up down, `rise` passed checks in
/// a row bring one that is down up. The first check after a start decides alone (Envoy): an instance that answers is
/// not kept waiting. Traffic is a witness, not a judge (HAProxy's `observe layer4` with `on-error fail-check`): a
/// refused or cut connection counts as a failed check and has a real check made at once, but traffic alone never takes
/// an instance down, however many requests fail; at least one failed check must agree. The end of a process is proof.
public struct FailureDetector: Hashable, Sendable {
    /// What a sign changed.
    public enum Change: Hashable, Sendable {
        case wentUp
        case wentDown
    }

    /// What a check showed.
    public enum CheckResult: Hashable, Sendable {
        case passed
        /// No answer within the timeout: the instance hangs, is overloaded, or the network between loses packets.
        case timedOut
        /// An answer that says no: a refused connection, a wrong status.
        case failed
    }

    public private(set) var state: OperationalState
    /// Passed checks in a row.
    public private(set) var passes = 0
    /// Failed checks in a row, without those that only traffic reported.
    public private(set) var failures = 0
    /// Failures that traffic reported since the last passed check; no more count than `fall - 1`.
    public private(set) var trafficFailures = 0
    /// Every failed check of this row timed out; only then may the cause be a load or a network that all share.
    public private(set) var onlyTimeouts = true

    public init(state: OperationalState = .checking) { self.state = state }

    /// The instance is not beyond doubt: checks are made at the fast interval.
    public var isInDoubt: Bool {
        switch state {
        case .checking: true
        case .up: failures > 0 || trafficFailures > 0
        case .down: passes > 0
        }
    }

    public mutating func checked(_ result: CheckResult, _ check: HealthCheck) -> Change? {
        switch result {
        case .passed: return passed(check)
        case .timedOut, .failed:
            if failures == 0 { onlyTimeouts = true }
            if result == .failed { onlyTimeouts = false }
            passes = 0
            failures = min(failures + 1, 1_000_000)
            return downIfDue(check)
        }
    }

    private mutating func passed(_ check: HealthCheck) -> Change? {
        failures = 0
        trafficFailures = 0
        onlyTimeouts = true
        passes = min(passes + 1, 1_000_000)
        switch state {
        case .up: return nil
        case .checking: break
        case .down: guard passes >= check.rise else { return nil }
        }
        state = .up
        return .wentUp
    }

    private mutating func downIfDue(_ check: HealthCheck) -> Change? {
        guard state != .down, failures > 0, failures + trafficFailures >= check.fall else { return nil }
        state = .down
        return .wentDown
    }

    /// A request to the instance failed. Whether a check should be made at once.
    public mutating func trafficFailed(_ failure: BackendFailure, _ check: HealthCheck) -> Bool {
        guard state == .up else { return false }
        switch failure {
        case .connectionRefused, .connectTimeout, .connectionReset:
            trafficFailures = min(trafficFailures + 1, max(0, check.fall - 1))
        case .responseTimeout, .malformedResponse, .untrusted:
            // A request can be slow or broken by itself; the check says whether the instance is.
            break
        }
        return true
    }

    /// A check has failed, and something else speaks against the instance as well: one is enough then.
    public mutating func doubted() -> Change? {
        guard state == .up, failures > 0 else { return nil }
        state = .down
        return .wentDown
    }

    /// The instance's process has ended.
    public mutating func exited() -> Change? {
        passes = 0
        failures = 0
        trafficFailures = 0
        onlyTimeouts = false
        guard state != .down else { return nil }
        let wasUp = state == .up
        state = .down
        return wasUp ? .wentDown : nil
    }

    /// How long to wait for the next check. A check that just failed or passed in doubt is repeated fast.
    public func pause(_ check: HealthCheck) -> TimeSpan { isInDoubt ? check.fastInterval : check.interval }
}

public import CloudModel

/// How a backend that joined or came back grows into its share, so that cold caches and just-in-time compilers are not
/// met with the full load at once.
///
/// Envoy's slow start with aggression 1 (its default): weight * max(10 %, elapsed / window), which is HAProxy's linear
/// `slowstart` with a floor that lets the first requests in at all.
public struct SlowStart: Hashable, Sendable {
    /// Zero: full weight at once.
    public var window: TimeSpan

    /// Envoy's `min_weight_percent`.
    public static let minimumPercent = 10
    /// Weights are in this fraction of a unit, so that a ramp has steps even at weight 1.
    public static let scale: Int64 = 1_024

    public init(window: TimeSpan) { self.window = window }

    /// The weight at `now` of a backend that has been up since `upSince`, in 1/`scale`; at least 1.
    public func effectiveWeight(_ weight: Int, upSince: Timestamp, at now: Timestamp) -> Int64 {
        let full = Int64(min(max(weight, 1), 256)) * Self.scale
        guard window > .zero else { return full }
        let elapsed = (now - upSince).microseconds
        guard elapsed < window.microseconds else { return full }
        let floor = full * Int64(Self.minimumPercent) / 100
        guard elapsed > 0 else { return max(1, floor) }
        // 256 * 1,024 * microseconds overflows only after more than a year of slow start.
        let (product, overflow) = full.multipliedReportingOverflow(by: elapsed)
        return max(1, floor, overflow ? full : product / window.microseconds)
    }
}

/// How long traffic keeps away from a backend that refused connections, until the control plane knows more.
///
/// Exponential and bounded like Linkerd's failure accrual (1 s to 1 min there), but shorter: the active checks decide
/// within seconds, and this has to bridge only that time.
public enum Quarantine {
    public static let initial = TimeSpan.milliseconds(500)
    public static let maximum = TimeSpan.seconds(15)
    /// Failures in a row, other than of connecting, that count like a refused connection (Envoy: consecutive_5xx 5;
    /// fewer here, because only failures of the transport are counted, never a status).
    public static let failuresInARow = 3

    /// The time after the `strike`th quarantine in a row, from 1.
    public static func duration(strike: Int) -> TimeSpan {
        let doublings = min(max(strike, 1) - 1, 16)
        return min(maximum, initial * (Int64(1) << Int64(doublings)))
    }

    /// Whether the failure by itself shows that nobody answers at the address.
    static func isConclusive(_ failure: BackendFailure) -> Bool {
        switch failure {
        case .connectionRefused, .connectTimeout: true
        case .connectionReset, .responseTimeout, .malformedResponse, .untrusted: false
        }
    }
}

public import CloudModel

/// What to do about an implementation that failed.
public enum RecoveryStep: Hashable, Sendable {
    /// Start it again where it was, after this time.
    case recoverInPlace(after: TimeSpan)
    /// Give it up; start another in its stead, after this time.
    case replicate(after: TimeSpan)

    /// The same once some of the time has passed.
    public func after(_ past: TimeSpan) -> RecoveryStep {
        switch self {
        case .recoverInPlace(let delay): .recoverInPlace(after: max(.zero, delay - past))
        case .replicate(let delay): .replicate(after: max(.zero, delay - past))
        }
    }

    public var delay: TimeSpan {
        switch self {
        case .recoverInPlace(let delay), .replicate(let delay): delay
        }
    }
}

/// One implementation on its way back: monitored → failed → recovering in place (`recoveryAttempts` times) →
/// replicated, and back to monitored once it has been up for a while.
public struct RecoveryTrack: Hashable, Sendable {
    /// Failures since it was last stable, those of the implementations that it stands in for included: what the
    /// back-off grows with, so that a new name does not reset it.
    public private(set) var failuresInARow = 0
    public private(set) var attemptsInPlace = 0

    /// How long an implementation must stay up before its failures are forgotten. An implementation that answers one
    /// check and dies is not recovered (systemd's default start-limit interval is 10 s too).
    public static let stableAfter = TimeSpan.seconds(10)

    public init() {}

    /// It failed, or an attempt to start it did.
    public mutating func failed(
        restart: RestartSettings, recoveryAttempts: Int, random: inout some RandomNumberGenerator
    ) -> RecoveryStep {
        failuresInARow = min(failuresInARow + 1, 1_000_000)
        let delay = Self.backoff(afterFailures: failuresInARow, restart, random: &random)
        guard attemptsInPlace < recoveryAttempts else { return .replicate(after: delay) }
        attemptsInPlace += 1
        return .recoverInPlace(after: delay)
    }

    public mutating func becameStable() { self = RecoveryTrack() }

    /// The track of the implementation that is started in this one's stead.
    public var replica: RecoveryTrack {
        var track = self
        track.attemptsInPlace = 0
        return track
    }

    /// Exponential back-off with equal jitter: between half and all of min(maximum, initial * 2^(failures - 1))
    /// (M. Brooker, "Exponential Backoff And Jitter", AWS 2015), so that many that failed at once do not come back at
    /// once, and none comes back sooner than half the announced time.
    public static func backoff(
        afterFailures failures: Int, _ settings: RestartSettings, random: inout some RandomNumberGenerator
    ) -> TimeSpan {
        let doublings = min(max(failures, 1) - 1, 40)
        let full = min(settings.maximumBackoff, settings.initialBackoff * (Int64(1) << Int64(doublings)))
        guard full > .zero else { return .zero }
        let half = full.microseconds / 2
        return TimeSpan(microseconds: half + Int64.random(in: 0...(full.microseconds - half), using: &random))
    }
}

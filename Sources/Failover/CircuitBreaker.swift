public import CloudModel

/// Keeps a service whose instances cannot start from being started over and over (Nygard, "Release It!", 2007).
///
/// closed → open after `breakerThreshold` start failures in a row → half open after `breakerPause`: one instance is
/// started on trial → closed once an instance stays up, or open again.
public struct CircuitBreaker: Hashable, Sendable {
    public enum State: Hashable, Sendable {
        case closed
        case open(until: Timestamp)
        /// Nil: the trial may begin.
        case halfOpen(trial: InstanceID?)
    }

    public enum Admission: Hashable, Sendable {
        case start
        case wait(until: Timestamp)
        /// Another instance is on trial.
        case waitForTrial
    }

    public private(set) var state = State.closed
    public private(set) var failuresInARow = 0

    public init() {}

    /// One that was open before a restart of the control plane: the restart may be the remedy, so one trial is due.
    public static var tripped: CircuitBreaker {
        var breaker = CircuitBreaker()
        breaker.state = .halfOpen(trial: nil)
        return breaker
    }

    public var isClosed: Bool { state == .closed }

    /// Whether the start of `instance` decides.
    public func isOnTrial(_ instance: InstanceID) -> Bool { state == .halfOpen(trial: instance) }

    /// Whether `instance` may be started now; takes the trial if it is free.
    public mutating func admit(_ instance: InstanceID, at now: Timestamp) -> Admission {
        if case .open(let until) = state {
            guard now >= until else { return .wait(until: until) }
            state = .halfOpen(trial: nil)
        }
        guard case .halfOpen(let trial) = state else { return .start }
        guard trial == nil || trial == instance else { return .waitForTrial }
        state = .halfOpen(trial: instance)
        return .start
    }

    /// A start failed. True where that opened the closed breaker.
    public mutating func startFailed(of instance: InstanceID, at now: Timestamp, _ settings: RestartSettings) -> Bool {
        failuresInARow = min(failuresInARow + 1, 1_000_000)
        switch state {
        case .closed:
            guard failuresInARow >= settings.breakerThreshold else { return false }
            state = .open(until: now + settings.breakerPause)
            return true
        case .halfOpen(let trial):
            if trial == instance || trial == nil { state = .open(until: now + settings.breakerPause) }
            return false
        case .open:
            return false
        }
    }

    /// An instance that was started has stayed up. True where that closed the breaker.
    public mutating func startSucceeded() -> Bool {
        failuresInARow = 0
        guard state != .closed else { return false }
        state = .closed
        return true
    }

    /// The instance is gone without an answer (it was removed): the trial, if it was on it, is free again.
    public mutating func forget(_ instance: InstanceID) {
        if case .halfOpen(trial: instance) = state { state = .halfOpen(trial: nil) }
    }

    /// What is started has changed: what failed before says nothing about it. True where that closed the breaker.
    public mutating func reset() -> Bool { startSucceeded() }
}

public import CloudModel

/// Where the two agents do not agree on an instance, or one of them is in doubt by itself: why, and what it is worth.
public struct UsageDifference: Codable, Hashable, Sendable {
    public var service: ServiceID
    /// Nil where it concerns no instance that is known.
    public var instance: InstanceID?
    public var cause: Cause
    /// From when to when the books are in doubt.
    public var window: BillingWindow
    /// Requests, records or events that it concerns.
    public var count: Int64
    /// Running time that may be missing from the books (more than zero) or too much in them (less).
    public var microseconds: Int128
    /// What the bill would be more (or less) by, in minor units of the payer's plan; zero where nothing is billed for
    /// it, nil where it cannot be told.
    public var minorUnits: Int64?

    public enum Cause: String, Codable, Hashable, Sendable, CaseIterable {
        /// No start was reported: use before the first event that was is not counted.
        case missingStart = "missing-start"
        /// No stop was reported: use is counted up to the lease after the last sign of life.
        case missingStop = "missing-stop"
        /// The same fact was reported twice with different content; the first one counts.
        case duplicate
        /// The instance answered requests while no event says that it ran.
        case outsideLifetime = "outside-lifetime"
        /// It ran and no request came through the gateway: idle, a standby, or used past the gateway.
        case bypass
        /// Requests ended before the whole response had moved; what had moved is counted.
        case abortedStream = "aborted-stream"
        /// Requests lie just beside the instance's life: the clocks differ, or the event came a moment late.
        case clockSkew = "clock-skew"
        /// What came after it had been concluded otherwise: a stop, or records after a month was closed.
        case lateRecord = "late-record"
        /// Records of requests that never came: they are not billed.
        case lostRecord = "lost-record"
        /// An event that lies outside the instance's life, as the other events tell it, and is not counted.
        case misplacedEvent = "misplaced-event"
        /// It answered requests and no resource agent watches it: it has an address that the platform neither starts
        /// nor stops. There is no time to bill, and none is missing.
        case unwatched
    }

    public init(
        service: ServiceID, instance: InstanceID?, cause: Cause, window: BillingWindow, count: Int64 = 1,
        microseconds: Int128 = 0, minorUnits: Int64? = 0
    ) {
        self.service = service
        self.instance = instance
        self.cause = cause
        self.window = window
        self.count = count
        self.microseconds = microseconds
        self.minorUnits = minorUnits
    }
}

/// One instance's figures of both agents, and what does not fit.
public struct ReconciledInstance: Codable, Hashable, Sendable {
    /// Who pays for its time; nil for the operator.
    public var owner: ConsumerID?
    public var service: ServiceID
    public var instance: InstanceID
    public var runningMicroseconds: Int128
    public var requests: Int64
    public var busyMicroseconds: Int64
    public var differences: [UsageDifference]

    public init(
        owner: ConsumerID?, service: ServiceID, instance: InstanceID, runningMicroseconds: Int128, requests: Int64,
        busyMicroseconds: Int64, differences: [UsageDifference]
    ) {
        self.owner = owner
        self.service = service
        self.instance = instance
        self.runningMicroseconds = runningMicroseconds
        self.requests = requests
        self.busyMicroseconds = busyMicroseconds
        self.differences = differences
    }
}

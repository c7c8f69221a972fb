public import CloudModel

/// A consumer as the gateway numbers it: dense, given at the consumer's first request, the same for the life of the
/// process and across snapshots.
public struct ConsumerKey: Hashable, Sendable, CustomStringConvertible {
    public let rawValue: UInt32

    @inlinable public init(_ rawValue: UInt32) { self.rawValue = rawValue }

    public var description: String { "consumer \(rawValue)" }
}

/// Where a waiting request is to be found again: the loop that owns it, its place there, and the number that tells it
/// from an earlier user of that place.
public struct AdmissionTicket: Hashable, Sendable {
    public var loop: UInt16
    public var slot: UInt32
    public var generation: UInt32

    @inlinable public init(loop: UInt16, slot: UInt32, generation: UInt32) {
        self.loop = loop
        self.slot = slot
        self.generation = generation
    }
}

/// The instance that a consumer's seat is at, as the owner of the ledger numbers it.
public struct SeatBinding: Hashable, Sendable {
    public let rawValue: UInt64

    @inlinable public init(_ rawValue: UInt64) { self.rawValue = rawValue }

    /// At none yet.
    public static let none = SeatBinding(.max)
}

/// Names one wait in an `AdmissionQueue`; becomes stale when the wait ends.
public struct WaitHandle: Hashable, Sendable {
    package var index: Int32
    package var generation: UInt32

    package init(index: Int32, generation: UInt32) {
        self.index = index
        self.generation = generation
    }
}

/// Why a request was not admitted: the limit, what is in use of it, and when asking again makes sense.
public struct AdmissionRefusal: Hashable, Sendable {
    /// What was in the way.
    public enum Barrier: UInt8, Hashable, Sendable, CaseIterable {
        /// The consumer's rate.
        case rate = 0
        /// The consumer's own requests in flight.
        case consumerConcurrency
        /// Consumers: every seat of the maximum number of instances is taken.
        case seats
        /// Requests: every place of the maximum number of instances is taken.
        case requests
        /// Admissible, but no instance has a free place and the queue is full.
        case queueFull
        /// Admitted, but no instance had a free place in time.
        case queueTimeout
    }

    public var barrier: Barrier
    /// The value of the constraint that `constraint` names; of the queue, its length.
    public var limit: Int
    /// In use, in the units of `limit`.
    public var current: Int
    /// After this time a new attempt may be admitted. Exact for a rate; for seats, when the first held seat runs out;
    /// otherwise one second, since nobody knows when a request will end.
    public var retryAfter: TimeSpan

    public init(barrier: Barrier, limit: Int, current: Int, retryAfter: TimeSpan) {
        self.barrier = barrier
        self.limit = limit
        self.current = current
        self.retryAfter = retryAfter
    }

    /// The constraint that an administrator would raise; nil where the instances that there may be are not there yet
    /// (503 instead of 429). Seats and places are the instances' worth of work: `maximumInstances` is what is named.
    public var constraint: ConstraintKind? {
        switch barrier {
        case .rate: .requestsPerSecondPerConsumer
        case .consumerConcurrency: .concurrentRequestsPerConsumer
        case .seats, .requests: .maximumInstances
        case .queueFull, .queueTimeout: nil
        }
    }

    /// Whether waiting can help: a seat or a place may free, or the limit may be raised, while the request waits.
    /// A request over the rate is told exactly when to come back instead.
    public var isWaitable: Bool {
        switch barrier {
        case .consumerConcurrency, .seats, .requests: true
        case .rate, .queueFull, .queueTimeout: false
        }
    }
}

public import CloudModel

/// A service's constraints as admission goes by them.
public struct AdmissionLimits: Hashable, Sendable {
    public var maximumInstances: Int
    public var requestsPerInstance: Int?
    public var seatsPerInstance: Int?
    /// How long a consumer keeps its seat after its last request.
    public var hold: TimeSpan
    public var requestsPerConsumer: Int?
    public var rate: RateLimit?
    public var queueLength: Int
    public var queueTimeout: TimeSpan
    public var maximumWait: TimeSpan
    /// What all instances that there may be take at once; `Int.max` for no limit.
    public let requestCeiling: Int
    public let seatCeiling: Int

    public init(_ constraints: WorkloadConstraints) {
        maximumInstances = constraints.maximumInstances
        requestsPerInstance = constraints.concurrentRequestsPerInstance
        seatsPerInstance = constraints.activeConsumersPerInstance
        hold = max(.zero, constraints.consumerHold)
        requestsPerConsumer = constraints.concurrentRequestsPerConsumer
        rate = constraints.requestsPerSecondPerConsumer.map {
            RateLimit(requestsPerSecond: $0, burst: constraints.burstPerConsumer)
        }
        queueLength = max(0, constraints.queueLength)
        queueTimeout = constraints.queueTimeout
        maximumWait = constraints.maximumWait
        requestCeiling = Self.ceiling(maximumInstances, requestsPerInstance)
        seatCeiling = Self.ceiling(maximumInstances, seatsPerInstance)
    }

    private static func ceiling(_ instances: Int, _ perInstance: Int?) -> Int {
        guard let perInstance else { return .max }
        let (product, overflow) = max(0, instances).multipliedReportingOverflow(by: max(0, perInstance))
        return overflow ? .max : product
    }

    /// Seats are bound to instances.
    public var bindsSeats: Bool { seatsPerInstance != nil }

    /// How many instances so many requests or consumers fill, the last one perhaps in part.
    static func instancesWorth(_ inUse: Int, perInstance: Int?) -> Int {
        let each = max(1, perInstance ?? 1)
        return (inUse + each - 1) / each
    }
}

/// A consumer's sustained rate with a burst: a token bucket, kept as one number by the generic cell rate algorithm
/// (ITU-T I.371, virtual scheduling; ATM Forum TM 4.1): the theoretical arrival time of the next request.
public struct RateLimit: Hashable, Sendable {
    public let requestsPerSecond: Int
    /// Between two requests at the sustained rate. Cut to whole nanoseconds, which makes the rate too high by less than
    /// one part in a million up to a thousand requests a second.
    let intervalNanoseconds: Int64
    /// What a full bucket lets through at once, as time.
    let depthNanoseconds: Int64

    /// - Parameter burst: the bucket's depth, at least 1; nil: one second's worth, the usual choice. A rate of zero
    ///   admits nothing.
    public init(requestsPerSecond: Int, burst: Int? = nil) {
        self.requestsPerSecond = requestsPerSecond
        guard requestsPerSecond > 0 else {
            intervalNanoseconds = 1_000_000_000
            depthNanoseconds = 0
            return
        }
        intervalNanoseconds = max(1, 1_000_000_000 / Int64(requestsPerSecond))
        let depth = Int64(max(1, burst ?? requestsPerSecond))
        let (product, overflow) = depth.multipliedReportingOverflow(by: intervalNanoseconds)
        depthNanoseconds = overflow ? .max / 4 : min(product, .max / 4)
    }

    /// How long an empty bucket takes to fill, rounded up: a consumer that was idle so long may be forgotten.
    public var refillTime: TimeSpan { TimeSpan(microseconds: depthNanoseconds / 1_000 + 1) }

    /// The arrival time to keep if the request is admitted; nil where it is over the rate.
    @inline(__always)
    func arrival(after previous: Int64, now: Int64) -> Int64? {
        let next = start(previous, now) + intervalNanoseconds
        return next - depthNanoseconds <= now ? next : nil
    }

    /// When a request that is over the rate would not be.
    func retryAfter(_ previous: Int64, now: Int64) -> TimeSpan {
        let wait = start(previous, now) + intervalNanoseconds - depthNanoseconds - now
        return TimeSpan(microseconds: (max(0, wait) + 999) / 1_000)
    }

    /// Never further ahead than an empty bucket: a clock that was set back cannot lock a consumer out.
    @inline(__always)
    private func start(_ previous: Int64, _ now: Int64) -> Int64 {
        max(now, min(previous, now + depthNanoseconds))
    }

    static func nanoseconds(_ time: Timestamp) -> Int64 {
        let (product, overflow) = time.microseconds.multipliedReportingOverflow(by: 1_000)
        return overflow ? .max / 2 : min(product, .max / 2)
    }
}

/// What the gateway has carried for one service, or to one of its instances, since it started (an instance: since the
/// gateway knows it), over all its loops.
public struct TrafficFigures: Hashable, Sendable {
    public var service: ServiceID
    /// Nil for the service as a whole, the gateway's own answers included.
    public var instance: InstanceID?
    /// Requests that have ended, by an answer or by an abort.
    public var requests: UInt64
    /// Answers with a status of 500 and more, the scaling listener's refusals left out.
    public var errors: UInt64
    /// Of an instance: attempts that it failed (not connected, reset, too late, malformed). Of a service: answers that
    /// the gateway gave for an instance that failed.
    public var failures: UInt64
    /// Requests that the scaling listener refused.
    public var refusals: UInt64
    /// As they crossed the consumers' connections.
    public var bytesIn: UInt64
    public var bytesOut: UInt64
    /// From the end of a request's head to the last of its answer being handed to the kernel, queues included, of the
    /// requests that an instance had; without tunnels, whose length says nothing, and without those that consumers
    /// gave up.
    public var latency: LatencyHistogram

    public init(
        service: ServiceID, instance: InstanceID? = nil, requests: UInt64 = 0, errors: UInt64 = 0,
        failures: UInt64 = 0, refusals: UInt64 = 0, bytesIn: UInt64 = 0, bytesOut: UInt64 = 0,
        latency: LatencyHistogram = .init()
    ) {
        self.service = service
        self.instance = instance
        self.requests = requests
        self.errors = errors
        self.failures = failures
        self.refusals = refusals
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.latency = latency
    }

    /// The figures of another loop, of the same service and instance.
    public mutating func merge(_ other: TrafficFigures) {
        requests &+= other.requests
        errors &+= other.errors
        failures &+= other.failures
        refusals &+= other.refusals
        bytesIn &+= other.bytesIn
        bytesOut &+= other.bytesOut
        latency.merge(other.latency)
    }
}

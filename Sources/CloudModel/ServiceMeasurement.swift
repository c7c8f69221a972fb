/// What is measured of one service for its scaling, all of it as totals: a reading that is lost then loses nothing.
public struct ServiceMeasurement: Hashable, Sendable {
    public var service: ServiceID
    /// What each instance has used since it was started. One that is not here was not measured.
    public var processor: [InstanceID: TimeSpan]
    /// What requests took since the gateway started; nil where it is not followed or not known.
    public var latency: LatencyHistogram?

    public init(
        service: ServiceID, processor: [InstanceID: TimeSpan] = [:], latency: LatencyHistogram? = nil
    ) {
        self.service = service
        self.processor = processor
        self.latency = latency
    }
}

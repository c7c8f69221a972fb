/// Use that a service has counted itself: of something that the gateway does not see.
///
/// Named by who reports it and an id of its own, as a CloudEvent is: however often it is sent, it is stored once.
public struct UsageEvent: Codable, Hashable, Sendable {
    /// Who reports it: a URI reference.
    public var source: String
    /// Unique among those of the source.
    public var id: String
    /// The CloudEvent's type.
    public var type: String
    /// Who pays.
    public var consumer: ConsumerID
    public var service: ServiceID
    /// What is counted, by the service's name for it.
    public var meter: String
    /// How much, in millionths of a unit.
    public var microUnits: Int64
    /// The bill of the month that this lies in has it.
    public var at: Timestamp

    public init(
        source: String, id: String, type: String, consumer: ConsumerID, service: ServiceID, meter: String,
        microUnits: Int64, at: Timestamp
    ) {
        self.source = source
        self.id = id
        self.type = type
        self.consumer = consumer
        self.service = service
        self.meter = meter
        self.microUnits = microUnits
        self.at = at
    }

    /// Units of one event at most: so many of them fit into a sum of 64 bits that none overflows in practice.
    public static let mostUnits: Int64 = 1_000_000_000
}

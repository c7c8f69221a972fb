public import CloudModel

/// An event that a service has reported, with its place in the books.
public struct StoredUsageEvent: Codable, Hashable, Sendable {
    public var position: Int64
    public var event: UsageEvent

    public init(position: Int64, event: UsageEvent) {
        self.position = position
        self.event = event
    }
}

/// What events add up to for one consumer, service and meter.
public struct UsageEventSum: Hashable, Sendable {
    public var consumer: ConsumerID
    public var service: ServiceID
    public var meter: String
    public var events: Int64
    public var microUnits: Int128

    public init(consumer: ConsumerID, service: ServiceID, meter: String, events: Int64, microUnits: Int128) {
        self.consumer = consumer
        self.service = service
        self.meter = meter
        self.events = events
        self.microUnits = microUnits
    }
}

/// What came of reported events.
public struct UsageEventOutcome: Hashable, Sendable {
    public var stored: Int
    /// Those that were stored before.
    public var duplicates: Int
    /// Those of a source and id that were stored with other content, or are twice in the batch with different content:
    /// where there is one, nothing of the batch is stored.
    public var conflicts: [UsageEvent]

    public init(stored: Int, duplicates: Int, conflicts: [UsageEvent]) {
        self.stored = stored
        self.duplicates = duplicates
        self.conflicts = conflicts
    }
}

/// A record's place in the order of time.
public struct UsageRecordPlace: Hashable, Sendable {
    public var completedAt: Timestamp
    public var requestID: RequestID

    public init(completedAt: Timestamp, requestID: RequestID) {
        self.completedAt = completedAt
        self.requestID = requestID
    }
}

/// What the resource agent reports: that an instance began, changed or ended its use of resources.
public struct LifecycleEvent: Codable, Hashable, Sendable {
    public var instance: InstanceID
    public var incarnation: Int
    public var service: ServiceID
    /// Who pays; nil for the operator's own services.
    public var owner: ConsumerID?
    public var kind: Kind
    public var at: Timestamp
    /// What the instance holds from now on (start, resize).
    public var resources: ResourceLimits
    /// The event was not received but concluded: a lost stop is set to min(stop, last heartbeat + lease).
    public var inferred: Bool

    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        case start, stop, resize, suspend, resume
    }

    public init(
        instance: InstanceID, incarnation: Int, service: ServiceID, owner: ConsumerID?, kind: Kind, at: Timestamp,
        resources: ResourceLimits = .init(), inferred: Bool = false
    ) {
        self.instance = instance
        self.incarnation = incarnation
        self.service = service
        self.owner = owner
        self.kind = kind
        self.at = at
        self.resources = resources
        self.inferred = inferred
    }

    /// The same for every report of the same fact. A start and a stop happen once in an incarnation; of the other
    /// kinds the time tells one from the next.
    public var id: String {
        switch kind {
        case .start, .stop: "\(service)/\(instance)/\(incarnation)/\(kind.rawValue)"
        case .resize, .suspend, .resume: "\(service)/\(instance)/\(incarnation)/\(kind.rawValue)/\(at.microseconds)"
        }
    }
}

/// What the monitoring agent stores of one intercepted request.
public struct UsageRecord: Codable, Hashable, Sendable {
    /// 128 bits, unique; given to the consumer in the response header `x-request-id`.
    public var requestID: RequestID
    public var consumer: ConsumerID
    public var service: ServiceID
    /// Who answered; nil where the request was refused or no instance could be reached.
    public var instance: InstanceID?
    public var outcome: RequestOutcome
    /// Of the response that the consumer was given; 0 where it was given none.
    public var status: UInt16
    /// Head and body, as they crossed the consumer's connection.
    public var bytesIn: UInt64
    public var bytesOut: UInt64
    /// When the monitor intercepted the request (the end of its head).
    public var receivedAt: Timestamp
    /// When it was forwarded to the instance; nil where it was not.
    public var forwardedAt: Timestamp?
    /// When the response was complete.
    public var completedAt: Timestamp

    public init(
        requestID: RequestID, consumer: ConsumerID, service: ServiceID, instance: InstanceID?,
        outcome: RequestOutcome, status: UInt16, bytesIn: UInt64, bytesOut: UInt64, receivedAt: Timestamp,
        forwardedAt: Timestamp?, completedAt: Timestamp
    ) {
        self.requestID = requestID
        self.consumer = consumer
        self.service = service
        self.instance = instance
        self.outcome = outcome
        self.status = status
        self.bytesIn = bytesIn
        self.bytesOut = bytesOut
        self.receivedAt = receivedAt
        self.forwardedAt = forwardedAt
        self.completedAt = completedAt
    }

    /// How long an instance was busy with the request; zero where it was not forwarded.
    public var busyTime: TimeSpan {
        guard let forwardedAt else { return .zero }
        return max(.zero, completedAt - forwardedAt)
    }
}

/// 128 bits that name a request; 32 lower-case hex digits as text.
public struct RequestID: Hashable, Codable, Sendable, CustomStringConvertible {
    public var high: UInt64
    public var low: UInt64

    public init(high: UInt64, low: UInt64) {
        self.high = high
        self.low = low
    }

    public init?(_ text: String) {
        guard text.utf8.count == 32, let high = UInt64(text.prefix(16), radix: 16),
            let low = UInt64(text.suffix(16), radix: 16)
        else { return nil }
        self.init(high: high, low: low)
    }

    public init(from decoder: any Decoder) throws {
        let container = try decoder.singleValueContainer()
        guard let id = RequestID(try container.decode(String.self)) else {
            throw DecodingError.dataCorruptedError(in: container, debugDescription: "a request id is 32 hex digits")
        }
        self = id
    }

    public func encode(to encoder: any Encoder) throws {
        var container = encoder.singleValueContainer()
        try container.encode(description)
    }

    public var description: String { Self.hex(high) + Self.hex(low) }

    private static func hex(_ value: UInt64) -> String {
        let text = String(value, radix: 16)
        return String(repeating: "0", count: 16 - text.utf8.count) + text
    }
}

/// How a request ended.
public enum RequestOutcome: UInt8, Codable, Hashable, Sendable, CaseIterable {
    /// The consumer was given the instance's whole response.
    case completed = 0
    /// The consumer went away first; what had moved is counted.
    case abortedByConsumer = 1
    /// The instance failed after the response had begun; what had moved is counted.
    case abortedByInstance = 2
    /// The gateway answered for the instance (502, 503, 504).
    case failed = 3
    /// The scaling listener rejected it (429, 503).
    case rejected = 4
    /// An upgraded connection that has ended.
    case tunnel = 5
    /// A further stretch of a connection that was counted with its first: bytes and time, no request.
    case tunnelContinued = 6

    /// Whether a record of it is one request more; every record has bytes and time.
    public var countsAsRequest: Bool { self != .tunnelContinued }
}

/// What the gateway saw of one instance in a stretch of time: the monitoring agent as a witness of the instance's life,
/// from the single requests that were completed in it.
public struct InstanceActivity: Codable, Hashable, Sendable {
    public var service: ServiceID
    public var instance: InstanceID
    public var requests: Int64
    public var busyMicroseconds: Int64
    /// When the first request was forwarded to it (received, where it was not).
    public var firstAt: Timestamp
    /// When the last one was completed.
    public var lastAt: Timestamp

    public init(
        service: ServiceID, instance: InstanceID, requests: Int64, busyMicroseconds: Int64, firstAt: Timestamp,
        lastAt: Timestamp
    ) {
        self.service = service
        self.instance = instance
        self.requests = requests
        self.busyMicroseconds = busyMicroseconds
        self.firstAt = firstAt
        self.lastAt = lastAt
    }
}

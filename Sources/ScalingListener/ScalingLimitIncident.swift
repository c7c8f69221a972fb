public import CloudModel

/// A workload constraint that has been reached, from the first refusal until it is over: told once to the
/// administrators and once to each consumer that was refused, and again only when it comes back after it was over.
public struct LimitIncident: Hashable, Sendable {
    /// Who has to be told of a refusal.
    public struct Tidings: Hashable, Sendable {
        public var administrators: Bool
        public var consumer: Bool
        /// The consumer's first refusal in this incident.
        public var isNewConsumer: Bool
    }

    public let constraint: ConstraintKind
    /// Refused and remembered; sorted.
    public private(set) var consumers: [ConsumerID]
    /// Refusals so far.
    public private(set) var refusals = 0
    public private(set) var lastRefusalAt: Timestamp
    private var isTold: Bool

    /// It is over when there has been no refusal for this long.
    public static let quietAfter = TimeSpan.seconds(60)
    /// Consumers beyond it are refused all the same, but not remembered nor told one by one.
    public static let maximumConsumers = 1_000

    public init(constraint: ConstraintKind, at now: Timestamp) {
        self.constraint = constraint
        consumers = []
        lastRefusalAt = now
        isTold = false
    }

    /// One that was open before a restart of the control plane: whoever was told is not told again.
    public init(restored constraint: ConstraintKind, consumers: [ConsumerID], at now: Timestamp) {
        self.constraint = constraint
        self.consumers = Array(consumers.sorted().prefix(Self.maximumConsumers))
        lastRefusalAt = now
        isTold = true
    }

    public mutating func refused(_ consumer: ConsumerID, count: Int, at now: Timestamp) -> Tidings {
        lastRefusalAt = now
        refusals += max(1, count)
        let tellsAdministrators = !isTold
        isTold = true
        let place = consumers.firstIndex { $0 >= consumer } ?? consumers.count
        let isKnown = place < consumers.count && consumers[place] == consumer
        let isRemembered = !isKnown && consumers.count < Self.maximumConsumers
        if isRemembered { consumers.insert(consumer, at: place) }
        // There is nobody to tell behind requests without a key.
        return Tidings(
            administrators: tellsAdministrators, consumer: isRemembered && consumer != .anonymous,
            isNewConsumer: isRemembered)
    }

    public var endsAt: Timestamp { lastRefusalAt + Self.quietAfter }

    /// What is offered to the administrators: to raise the limit to what the demand asks for, and by one at least.
    public func offer(
        _ event: LimitReached, sample: LoadSample?, constraints: WorkloadConstraints
    ) -> ConstraintOffer {
        var wanted = event.limit + 1
        if constraint == .maximumInstances {
            if let perInstance = constraints.activeConsumersPerInstance, perInstance > 0 {
                let demand = max(0, sample?.activeConsumers ?? event.limit * perInstance) + consumers.count
                wanted = max(wanted, (demand + perInstance - 1) / perInstance)
            }
        } else {
            wanted = max(wanted, event.current)
        }
        // An offer is one click: it never does more than double what it costs.
        wanted = min(wanted, max(event.limit + 1, event.limit * 2))
        return ConstraintOffer(service: event.service, constraint: constraint, from: event.limit, to: wanted)
    }
}

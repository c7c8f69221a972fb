public import CloudModel

/// What a closed bill was computed from: with it, and with the records of the logs up to their sizes, the bill can be
/// computed again to the same bytes.
public struct BillBasis: Codable, Hashable, Sendable {
    /// Every log that the records came from, by name.
    public var logs: [Log]
    /// How long an instance was taken to run after its last sign of life.
    public var lease: TimeSpan
    /// When instances whose stop is not in the books were last seen running. Heartbeats are in no log, so they are
    /// here.
    public var heartbeats: [Heartbeat]
    /// What the two agents did not agree on when the bill was closed: these lines are not due, and of an earlier month
    /// they are not corrected.
    public var holds: [Hold]
    /// The operator has looked at what was held, and made it due.
    public var includesHeld: Bool
    /// Ids of the closed bills that this one corrects, or could have.
    public var earlier: [String]

    public struct Log: Codable, Hashable, Sendable {
        public var name: String
        /// Records that were in it.
        public var size: Int64
        /// The signed checkpoint that says which these were.
        public var checkpoint: String

        public init(name: String, size: Int64, checkpoint: String) {
            self.name = name
            self.size = size
            self.checkpoint = checkpoint
        }
    }

    public struct Heartbeat: Codable, Hashable, Sendable {
        public var instance: InstanceID
        public var at: Timestamp

        public init(instance: InstanceID, at: Timestamp) {
            self.instance = instance
            self.at = at
        }
    }

    public struct Hold: Codable, Hashable, Sendable {
        public var month: BillingMonth
        public var service: ServiceID
        public var reason: String

        public init(month: BillingMonth, service: ServiceID, reason: String) {
            self.month = month
            self.service = service
            self.reason = reason
        }
    }

    public init(
        logs: [Log] = [], lease: TimeSpan, heartbeats: [Heartbeat], holds: [Hold], includesHeld: Bool,
        earlier: [String]
    ) {
        self.logs = logs
        self.lease = lease
        self.heartbeats = heartbeats
        self.holds = holds
        self.includesHeld = includesHeld
        self.earlier = earlier
    }

    /// The services whose lines of the month are held, and why.
    public func holds(in month: BillingMonth) -> [ServiceID: String] {
        Dictionary(
            holds.filter { $0.month == month }.map { ($0.service, $0.reason) }, uniquingKeysWith: { first, _ in first })
    }
}

extension BillRun {
    /// All lines of a month's bill: use, then credits, then corrections of the earlier bills.
    ///
    /// - Parameters:
    ///   - own: the month's lines for use.
    ///   - credits: those that are not in the plan's currency, or not of the month, are left out.
    ///   - earlier: closed bills, each with the lines for use that its plan and the books give now; in order of month.
    public func allLines(
        own: [BillLine], credits: [Credit], earlier: [(bill: Bill, recomputed: [BillLine])]
    ) -> [BillLine] {
        var all = own + lines(credits.filter { $0.amount.currency == plan.currency })
        for (bill, recomputed) in earlier {
            all += Self.corrections(
                of: bill, recomputed: recomputed,
                later: earlier.map(\.bill).filter { $0.month > bill.month })
        }
        return all
    }
}

extension [LifecycleEvent] {
    /// Every event of the incarnations that ran, or may have run, in the window: of those that were heard of before its
    /// end and are not known to have stopped before its beginning. It is what the log database is asked for by time.
    public func concerning(_ window: BillingWindow) -> [LifecycleEvent] {
        let runs = Dictionary(grouping: self, by: RunKey.init)
        return filter { event in
            let run = runs[RunKey(event)] ?? []
            return run.contains { $0.at < window.end }
                && (run.contains { $0.at >= window.start } || !run.contains { $0.kind == .stop })
        }
    }

    /// Instances of which an incarnation has no reported stop: how long it ran is told by heartbeats.
    public var instancesWithoutStop: Set<InstanceID> {
        let runs = Dictionary(grouping: self, by: RunKey.init)
        return Set(runs.filter { !$0.value.contains { $0.kind == .stop && !$0.inferred } }.keys.map(\.instance))
    }
}

extension MonitoredUsage {
    /// What one record adds to the sums.
    public init(_ record: UsageRecord) {
        let isRequest = record.outcome.countsAsRequest
        let isAnswered = isRequest && record.outcome != .rejected && record.outcome != .failed
        let isAborted = record.outcome == .abortedByConsumer || record.outcome == .abortedByInstance
        self.init(
            service: record.service, instance: record.instance, periodStart: nil, requests: isRequest ? 1 : 0,
            answered: isAnswered ? 1 : 0, aborted: isAborted ? 1 : 0, bytesIn: Int64(clamping: record.bytesIn),
            bytesOut: Int64(clamping: record.bytesOut), busyMicroseconds: record.busyTime.microseconds)
    }
}

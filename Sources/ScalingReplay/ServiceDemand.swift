public import CloudModel

/// Makes a service's demand of the requests that its books have: in instances, step by step, as the automated scaling
/// listener sees it (`ScalingObservation.demand`).
///
/// Requests in flight and active consumers are means over a step; a peak that is shorter is lower here. What was
/// refused was never in flight and is not counted.
public struct ServiceDemand: Sendable {
    /// What one instance takes; nil where that is not limited.
    public struct Capacity: Hashable, Sendable {
        public var requests: Int?
        public var consumers: Int?

        public init(requests: Int?, consumers: Int?) {
            self.requests = requests.flatMap { $0 > 0 ? $0 : nil }
            self.consumers = consumers.flatMap { $0 > 0 ? $0 : nil }
        }

        /// Whether a demand can be told at all.
        public var isKnown: Bool { requests != nil || consumers != nil }
    }

    private let startsAt: Timestamp
    private let step: TimeSpan
    private let capacity: Capacity
    private var all: Busy
    private var byConsumer: [ConsumerID: Busy] = [:]
    /// Of consumers beyond the most that are told apart: each of their requests counts as a consumer.
    private var others: Busy
    public private(set) var requests = 0

    /// Values that are kept for telling consumers apart.
    private static let maximumValues = 2_000_000

    /// - Parameters:
    ///   - steps: of this length from `startsAt` on; what comes later is left out.
    ///   - step: above zero.
    public init(startsAt: Timestamp, step: TimeSpan, steps: Int, capacity: Capacity) {
        self.startsAt = startsAt
        self.step = max(step, .microseconds(1))
        self.capacity = capacity
        all = Busy(steps: steps)
        others = all
    }

    /// A request that was with an instance from `begin` until `end`.
    public mutating func add(consumer: ConsumerID, from begin: Timestamp, until end: Timestamp) {
        requests += 1
        let (first, last) = ((begin - startsAt).microseconds, (end - startsAt).microseconds)
        all.add(from: first, until: last, step: step.microseconds)
        guard capacity.consumers != nil else { return }
        if byConsumer[consumer] == nil, (byConsumer.count + 1) * all.steps > Self.maximumValues {
            return others.add(from: first, until: last, step: step.microseconds)
        }
        byConsumer[consumer, default: Busy(steps: all.steps)]
            .add(from: first, until: last, step: step.microseconds)
    }

    /// Nil where nothing says how much an instance takes.
    public var trace: DemandTrace? {
        guard capacity.isKnown else { return nil }
        let length = Double(step.microseconds)
        var demand = [Double](repeating: 0, count: all.steps)
        if let requests = capacity.requests {
            for (place, busy) in all.values.enumerated() { demand[place] = busy / length / Double(requests) }
        }
        if let consumers = capacity.consumers {
            var active = others.values.map { $0 / length }
            for (_, busy) in byConsumer.sorted(by: { $0.key < $1.key }) {
                for (place, value) in busy.values.enumerated() { active[place] += min(1, value / length) }
            }
            for (place, count) in active.enumerated() {
                demand[place] = max(demand[place], count / Double(consumers))
            }
        }
        return DemandTrace(startsAt: startsAt, step: step, demand: demand.map(Optional.some))
    }

    /// How long requests were there in each step, in microseconds of requests. A request costs the same however many
    /// steps it lasts: what changes at a step is kept, and summed up at the end.
    private struct Busy: Hashable {
        private var partial: [Double]
        private var change: [Double]
        var steps: Int { partial.count }

        init(steps: Int) {
            partial = [Double](repeating: 0, count: max(0, steps))
            change = [Double](repeating: 0, count: max(0, steps) + 1)
        }

        mutating func add(from begin: Int64, until end: Int64, step: Int64) {
            let begin = max(0, begin)
            let end = min(end, Int64(steps) * step)
            guard begin < end else { return }
            let (first, last) = (Int(begin / step), Int(end / step))
            guard first < last else { return partial[first] += Double(end - begin) }
            partial[first] += Double(Int64(first + 1) * step - begin)
            if last < steps { partial[last] += Double(end - Int64(last) * step) }
            change[first + 1] += Double(step)
            change[last] -= Double(step)
        }

        var values: [Double] {
            var whole = 0.0
            return partial.enumerated().map { place, value in
                whole += change[place]
                return value + whole
            }
        }
    }
}

public import CloudModel

/// Makes the amounts of a service's measured metrics from readings of totals.
///
/// No data is not zero: an amount is nil where nothing tells it. Bounded by the readings of `validity`.
public struct WorkloadMeter: Sendable {
    /// Between two readings of processes and of the gateway; hypervisors are asked more seldom.
    public static let interval = TimeSpan.seconds(2)
    /// A metric is the mean, or the percentile, of this long (the metrics server of Kubernetes: 15 s).
    static let window = TimeSpan.seconds(10)
    /// A reading older than this says nothing about now.
    static let validity = TimeSpan.seconds(30)

    private var processors: [InstanceID: Readings<TimeSpan>] = [:]
    private var incarnations: [InstanceID: Int] = [:]
    private var latency = Readings<LatencyHistogram>()
    private var admitted = Readings<UInt64>()
    private var serving: Set<InstanceID> = []
    private var changedAt: Timestamp?

    /// An instance that serves.
    public struct Serving: Hashable, Sendable {
        public var instance: InstanceID
        /// How many times the size of one it has; 1 where instances do not grow.
        public var units: Int

        public init(_ instance: InstanceID, units: Int = 1) {
            self.instance = instance
            self.units = units
        }
    }

    /// Readings of one total, the oldest first.
    private struct Readings<Total: Sendable>: Sendable {
        private(set) var all: [(at: Timestamp, total: Total)] = []
        /// Readings come every `interval` at most, so those of `validity` are fewer.
        private static var limit: Int { 64 }

        mutating func add(_ total: Total, at now: Timestamp) {
            if let last = all.last, last.at >= now { return }
            all.append((now, total))
            // One that is older than all that is asked for stays, as where the span begins.
            while all.count > 2, now - all[1].at >= WorkloadMeter.validity || all.count > Self.limit {
                all.removeFirst()
            }
        }

        /// The newest reading and the one that `span` before it lies behind, none from before `start`; nil without two
        /// that are fresh.
        func ends(
            of span: TimeSpan, since start: Timestamp?, at now: Timestamp
        ) -> (first: (Timestamp, Total), last: (Timestamp, Total))? {
            guard let last = all.last, all.count > 1, now - last.at <= WorkloadMeter.validity else { return nil }
            var index = all.count - 2
            func isBefore(_ index: Int) -> Bool { start.map { all[index].at < $0 } ?? false }
            guard !isBefore(index) else { return nil }
            while index > 0, last.at - all[index].at < span, !isBefore(index - 1) { index -= 1 }
            return ((all[index].at, all[index].total), (last.at, last.total))
        }
    }

    public init() {}

    // MARK: Readings

    /// - Parameter used: since that incarnation was started.
    public mutating func note(processor used: TimeSpan, of instance: InstanceID, _ incarnation: Int, at now: Timestamp)
    {
        let last = processors[instance]?.all.last?.total ?? .zero
        // A total that went back is that of another start, or of a process that took its children's time with it.
        if incarnations[instance] != incarnation || used < last { processors[instance] = Readings() }
        incarnations[instance] = incarnation
        processors[instance, default: Readings()].add(used, at: now)
    }

    public mutating func note(latency total: LatencyHistogram, at now: Timestamp) {
        if let last = latency.all.last, total.since(last.total) == nil { latency = Readings() }
        latency.add(total, at: now)
    }

    /// One reading a second at most: samples come far oftener while requests wait.
    public mutating func note(admitted total: UInt64, at now: Timestamp) {
        if let last = admitted.all.last {
            if total < last.total { admitted = Readings() } else if now - last.at < .seconds(1) { return }
        }
        admitted.add(total, at: now)
    }

    /// Which instances serve. What each of them did when there were fewer or more says nothing of how the load is
    /// spread now, and would have the count overshoot: shares and latencies are measured anew from a change on. Where
    /// they come and go all the time, not from every one.
    public mutating func note(serving instances: Set<InstanceID>, at now: Timestamp) {
        guard instances != serving else { return }
        let isFirst = serving.isEmpty
        serving = instances
        if !isFirst, changedAt.map({ now - $0 >= Self.window }) ?? true { changedAt = now }
    }

    /// Forgets instances that are gone.
    public mutating func keep(_ instances: Set<InstanceID>) {
        processors = processors.filter { instances.contains($0.key) }
        incarnations = incarnations.filter { instances.contains($0.key) }
    }

    // MARK: Amounts

    /// The amount over all instances, in the unit of the metric's target; nil where it is not known.
    /// - Parameters:
    ///   - allotted: thousandths of a processor to one unit of an instance.
    ///   - reported: of a custom metric.
    public func amount(
        of metric: ScalingMetric, _ sample: LoadSample?, serving: [Serving], allotted: Int, reported: Int?,
        at now: Timestamp
    ) -> Int? {
        switch metric.kind {
        case .custom: return reported
        case .processor: return processorPercent(serving, allotted: allotted, target: metric.targetPerInstance, at: now)
        case .latency:
            guard let sample, let value = percentile(metric.percentile, sample, at: now) else { return nil }
            let units = serving.reduce(0) { $0 + $1.units }
            return units > 0 ? value.multipliedReportingOverflow(by: units).partialValue : nil
        case .requests: return requestsPerSecond(at: now)
        case .concurrency: return sample.map { max(0, $0.requestsInFlight) + max(0, $0.requestsQueued) }
        case .queueLength: return sample.map { max(0, $0.requestsQueued) }
        }
    }

    /// Thousandths of a processor that the instance has used on average in the last while; nil where not known.
    public func millicores(of instance: InstanceID, at now: Timestamp) -> Double? {
        guard let (first, last) = processors[instance]?.ends(of: Self.window, since: changedAt, at: now) else {
            return nil
        }
        return (last.1 - first.1).inSeconds / (last.0 - first.0).inSeconds * 1_000
    }

    /// Percent of what is allotted, summed. Where some instances are not measured (they have just come), Kubernetes
    /// HPA's rule: they count as at the target where the rest asks for fewer and as idle where it asks for more, and
    /// nothing is changed where that turns the direction.
    private func processorPercent(_ serving: [Serving], allotted: Int, target: Int, at now: Timestamp) -> Int? {
        var used = 0.0
        var measured = 0
        var unmeasured = 0
        for one in serving {
            if let millicores = millicores(of: one.instance, at: now) {
                used += millicores / Double(max(1, allotted)) * 100
                measured += one.units
            } else {
                unmeasured += one.units
            }
        }
        guard measured > 0 else { return nil }
        if unmeasured > 0 {
            let aim = Double(target)
            if used < Double(measured) * aim {
                used += Double(unmeasured) * aim
            } else {
                used = max(used, Double(measured + unmeasured) * aim)
            }
        }
        return Int((min(used, 1e12) - 1e-6).rounded(.up))
    }

    /// In microseconds. Where no request has ended lately: zero if there is none, and unknown if there is.
    private func percentile(_ percentile: Int, _ sample: LoadSample, at now: Timestamp) -> Int? {
        for span in [Self.window, Self.validity] {
            guard let (first, last) = latency.ends(of: span, since: changedAt, at: now),
                let recent = last.1.since(first.1)
            else {
                return nil
            }
            if let value = recent.quantileMicroseconds(Double(percentile) / 100) { return Int(value) }
        }
        return sample.requestsInFlight + sample.requestsQueued > 0 ? nil : 0
    }

    private func requestsPerSecond(at now: Timestamp) -> Int? {
        guard let (first, last) = admitted.ends(of: Self.window, since: nil, at: now), last.1 >= first.1 else {
            return nil
        }
        return Int((Double(last.1 - first.1) / (last.0 - first.0).inSeconds).rounded(.up))
    }
}

/// One number over all instances of a service that the scaling listener follows, beside its constraints. Several
/// combine by maximum (Kubernetes HPA).
public struct ScalingMetric: Hashable, Sendable {
    /// Where the number comes from.
    public enum Kind: String, Codable, Hashable, Sendable, CaseIterable {
        /// Reported by the service, or by who watches it (HPA's external metrics with `AverageValue`).
        case custom
        /// The processor time of the instances, as a part of what each is allotted (HPA's `Utilization`).
        case processor
        /// A percentile of what requests took, times the instances: the ratio to the target moves the count (HPA).
        case latency
        /// Requests admitted in a second.
        case requests
        /// Requests in flight and waiting for an instance.
        case concurrency
        /// Requests that wait for an instance.
        case queueLength = "queue-length"
    }

    public var kind: Kind
    /// Lower-case letters, digits and hyphens; that of the kind where the metric is measured.
    public var name: String
    /// What one instance is meant to have of it: `processor` in percent of what it is allotted, `latency` in
    /// microseconds, `requests` in a second, all others as a count.
    public var targetPerInstance: Int
    /// Of `latency`: 1 to 100.
    public var percentile: Int

    /// A reported value older than this says nothing about now. While a metric is missing nothing is scaled in; the
    /// others may still scale out (Kubernetes HPA's rule for missing metrics).
    public static let validity = TimeSpan.seconds(60)
    public static let usualPercentile = 95

    /// One that is reported.
    public init(name: String, targetPerInstance: Int) {
        self.init(.custom, name: name, target: targetPerInstance)
    }

    /// One that is measured.
    public init(_ kind: Kind, target: Int, percentile: Int = Self.usualPercentile) {
        self.init(kind, name: kind.rawValue, target: target, percentile: percentile)
    }

    private init(_ kind: Kind, name: String, target: Int, percentile: Int = Self.usualPercentile) {
        self.kind = kind
        self.name = name
        targetPerInstance = target
        self.percentile = percentile
    }
}

extension ScalingMetric: Codable {
    private enum CodingKeys: String, CodingKey {
        case kind, name, targetPerInstance, percentile
    }

    /// One that was stored by a version without kinds is reported.
    public init(from decoder: any Decoder) throws {
        let container = try decoder.container(keyedBy: CodingKeys.self)
        self.init(
            try container.decodeIfPresent(Kind.self, forKey: .kind) ?? .custom,
            name: try container.decode(String.self, forKey: .name),
            target: try container.decode(Int.self, forKey: .targetPerInstance),
            percentile: try container.decodeIfPresent(Int.self, forKey: .percentile) ?? Self.usualPercentile)
    }
}

/// When administrators are told of a service's load, apart from a limit that refuses consumers.
public struct ScalingWatch: Codable, Hashable, Sendable {
    /// Told when the load stays above this part of what the present instances take; nil: never.
    public var abovePercent: Int?
    /// Told when the load stays below this part of it, with more than the minimum of instances: too much is allocated.
    public var belowPercent: Int?
    /// How long it has to stay there, and how long it has to be over before it counts as over.
    public var lasting: TimeSpan
    /// Told when the load, going on as in the last while, will reach `maximumInstances` within this time; nil: never.
    public var limitForecast: TimeSpan?

    public init(
        abovePercent: Int? = nil, belowPercent: Int? = nil, lasting: TimeSpan = .minutes(5),
        limitForecast: TimeSpan? = nil
    ) {
        self.abovePercent = abovePercent
        self.belowPercent = belowPercent
        self.lasting = lasting
        self.limitForecast = limitForecast
    }
}

/// A metric of the operator's own that the scaling listener follows: what the service, or who watches it, reports as
/// one number over all instances (the length of a queue, processor time in percent). Several metrics, and the load that
/// the gateway sees, combine by maximum (Kubernetes HPA's external metrics with `AverageValue`).
public struct ScalingMetric: Codable, Hashable, Sendable {
    /// Lower-case letters, digits and hyphens.
    public var name: String
    /// What one instance takes of it.
    public var targetPerInstance: Int

    /// A value older than this says nothing about now. While one is missing nothing is scaled in; the others may still
    /// scale out (Kubernetes HPA's rule for missing metrics).
    public static let validity = TimeSpan.seconds(60)

    public init(name: String, targetPerInstance: Int) {
        self.name = name
        self.targetPerInstance = targetPerInstance
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

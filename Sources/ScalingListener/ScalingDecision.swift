public import CloudModel

/// What the scaling listener decides about the number of a service's instances, with the reason as data.
public enum ScalingDecision: Hashable, Sendable {
    case hold(ScalingReason)
    case scaleOut(to: Int, ScalingReason)
    case scaleIn(to: Int, ScalingReason)

    public var reason: ScalingReason {
        switch self {
        case .hold(let reason), .scaleOut(_, let reason), .scaleIn(_, let reason): reason
        }
    }
}

public enum ScalingReason: Hashable, Sendable, CustomStringConvertible {
    /// Requests wait and the instances cannot take them.
    case requestsWait(queued: Int, ScalingRecommendation.Basis)
    case loadAsksFor(Int, ScalingRecommendation.Basis)
    /// The load asks for more than there may be.
    case atCeiling(Int, wanted: Int)
    case atMinimum(Int)
    case fits(Int)
    case withinTolerance(percent: Int)
    case cooldown(until: Timestamp)
    /// The window has not been observed in full, or asked for as many as there are.
    case stabilising(highest: Int)
    case instancesStarting(Int)
    /// Fewer instances would be so close to their target that the next fluctuation brought them back.
    case wouldFlap(fewest: Int)
    /// No sample, or only old ones.
    case noData
    /// A metric has not been reported lately, so nothing says that fewer instances would do.
    case metricMissing(String)
    /// Nothing says how much an instance takes.
    case nothingToFollow
    /// A virtual server of the service should have so many millicores, which it can have nowhere.
    case sizeUnavailable(InstanceID, wanted: Int, VerticalScaling)
    /// With one fewer, the rest would use more than their largest size takes.
    case wouldOutgrow(millicores: Int)

    public var description: String {
        switch self {
        case .requestsWait(let queued, let basis):
            (queued == 1 ? "1 request waits" : "\(queued) requests wait") + "; \(basis)"
        case .loadAsksFor(let count, let basis): "\(basis), which asks for \(count)"
        case .atCeiling(let ceiling, let wanted): "the load asks for \(wanted), the maximum is \(ceiling)"
        case .atMinimum(let minimum): "the minimum is \(minimum)"
        case .fits(let count): "\(count) fit the load"
        case .withinTolerance(let percent): "the load is within \(percent) % of the target"
        case .cooldown(let until): "cooling down until \(until.rfc3339)"
        case .stabilising(let highest): "up to \(highest) were needed in the stabilisation window"
        case .instancesStarting(let count): count == 1 ? "1 instance is starting" : "\(count) instances are starting"
        case .wouldFlap(let fewest): "fewer than \(fewest) would soon be too few again"
        case .noData: "there is no recent load sample"
        case .metricMissing(let name): "the metric \(name) has not been reported lately"
        case .sizeUnavailable(let instance, let wanted, let kind):
            "\(instance) should have \(wanted) millicores by \(kind.rawValue), and no physical server has them"
        case .wouldOutgrow(let millicores): "the rest would use \(millicores) millicores each, nearly all they may have"
        case .nothingToFollow: "no constraint or target says how much an instance takes"
        }
    }
}

extension ScalingRecommendation.Basis: CustomStringConvertible {
    public var description: String {
        switch self {
        case .requests(let count, let perInstance, let percent):
            "\(count) request\(count == 1 ? "" : "s") at \(percent) % of \(perInstance) per instance"
        case .consumers(let count, let perInstance):
            "\(count) active consumer\(count == 1 ? "" : "s") at \(perInstance) per instance"
        case .metric(let name, let amount, let perInstance): "\(name) of \(amount) at \(perInstance) per instance"
        case .measured(let metric, let amount, let instances): metric.text(of: amount, over: instances)
        case .policy(let kind, let reason): "\(kind.rawValue): \(reason)"
        }
    }
}

extension ScalingMetric {
    /// The amount of it beside the target, for people.
    fileprivate func text(of amount: Int, over instances: Int) -> String {
        let each = amount / max(1, instances)
        return switch kind {
        case .custom: "\(name) of \(amount) at \(targetPerInstance) per instance"
        case .processor: "processor use of \(each) % at \(targetPerInstance) %"
        case .latency:
            "latency (\(percentile)th percentile) of \(TimeSpan.microseconds(Int64(each)).shown) at "
                + TimeSpan.microseconds(Int64(targetPerInstance)).shown
        case .requests: "\(amount) requests a second at \(targetPerInstance) per instance"
        case .concurrency: "\(amount) requests at once at \(targetPerInstance) per instance"
        case .queueLength: "\(amount) waiting requests at \(targetPerInstance) per instance"
        }
    }
}

extension TimeSpan {
    fileprivate var shown: String {
        microseconds < 10_000 ? "\(microseconds) us" : "\(microseconds / 1_000) ms"
    }
}

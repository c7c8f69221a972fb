/// By what the size of each virtual server follows, up to the flavor's `maximumCpuMillicores`.
public enum VerticalScaling: String, Codable, Hashable, Sendable, CaseIterable {
    /// The demand that also sets the number of instances, in whole sizes of the template.
    case demand
    /// The percentiles of what the instances used (Kubernetes' Vertical Pod Autoscaler).
    case histogram
    /// How often the quota holds the server back (Autothrottle's Captain).
    case throttling
}

/// Instances that are started and pass their checks without being in the balance (AWS Auto Scaling's warm pools): a
/// scale-out takes them at once, and others are started in their stead.
///
/// They are instances like others: they count against `maximumInstances` and are metered from their start on. Beside
/// the work they only get the room that it leaves, so that they never keep it from growing.
public struct WarmPool: Codable, Hashable, Sendable {
    public var instances: Int
    /// How virtual servers wait; nil: they run.
    public var parked: ParkedState?

    public init(instances: Int, parked: ParkedState? = nil) {
        self.instances = instances
        self.parked = parked
    }
}

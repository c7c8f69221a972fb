import CloudModel

/// One decision of a demand policy with all that it was shown, so that it can be repeated later from the event log.
public struct PolicyEvaluation: Hashable, Sendable {
    public var sample: DemandSample
    /// The count that came of it, within minimum and maximum.
    public var instances: Int

    public init(sample: DemandSample, instances: Int) {
        self.sample = sample
        self.instances = instances
    }

    /// `AT:DEMAND:READY:COMMITTED:INSTANCES`, the time in microseconds of the steady clock. The demand reads back to
    /// the same value.
    public var text: String {
        "\(sample.at.microseconds):\(sample.demand):\(sample.ready):\(sample.committed):\(instances)"
    }

    public init?(_ text: String) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 5, let at = Int64(parts[0]), let demand = Double(parts[1]), let ready = Int(parts[2]),
            let committed = Int(parts[3]), let instances = Int(parts[4])
        else { return nil }
        self.init(
            sample: DemandSample(at: Timestamp(microseconds: at), demand: demand, ready: ready, committed: committed),
            instances: instances)
    }
}

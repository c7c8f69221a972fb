public import CloudModel

/// A defect that is put in on purpose, to show that the auditor finds its kind.
public enum PlantedDefect: String, Sendable, CaseIterable {
    /// The controller does not count instances that are stopping against the hard cap.
    case capIgnoresStopping = "cap-ignores-stopping"
    /// The runtime acts before it has committed what it writes.
    case actsBeforeIntent = "acts-before-intent"
    /// Every tenth stop of the resource agent is not written.
    case losesStopRecords = "loses-stop-records"
    /// Every refusal is told to the administrators.
    case tellsEveryRefusal = "tells-every-refusal"
    /// The load balancer is not told when an instance has ended.
    case keepsEndedBackends = "keeps-ended-backends"
    /// Old samples look new, so that a silent gateway looks like an idle one.
    case scalesInBlind = "scales-in-blind"
}

/// A broken rule.
public struct Violation: Hashable, Sendable, CustomStringConvertible {
    /// Which rule: a stable word.
    public var rule: String
    public var what: String
    /// The controller's step, from 1, at which it was seen.
    public var step: Int
    /// Since the beginning of the simulation.
    public var at: TimeSpan

    public var description: String { "step \(step), \(at.inSeconds) s: \(rule): \(what)" }
}

/// What came of one simulated cloud.
public struct SimulationReport: Hashable, Sendable, CustomStringConvertible {
    public var seed: UInt64
    public var simulated: TimeSpan
    /// Events that the controller processed.
    public var steps = 0
    public var starts = 0
    public var crashes = 0
    public var hangs = 0
    public var restartsOfControlPlane = 0
    public var clockJumps = 0
    public var commands = 0
    public var requests = 0
    public var refusals = 0
    public var notifications = 0
    public var failovers = 0
    public var scaleOuts = 0
    public var scaleIns = 0
    /// From the end of the faults until everything was as desired.
    public var convergence: TimeSpan = .zero
    /// A hash over all effects: the same for the same seed.
    public var digest = FNV1a()
    /// The first one ends the simulation.
    public var violation: Violation?

    public init(seed: UInt64, simulated: TimeSpan) {
        self.seed = seed
        self.simulated = simulated
    }

    public var description: String {
        let outcome = violation.map { "VIOLATION \($0); run again with seed \(seed)" } ?? "no violation"
        return "seed \(seed): \(outcome); \(steps) steps, \(starts) starts, \(crashes) crashes, \(hangs) hangs, "
            + "\(restartsOfControlPlane) restarts of the control plane, \(clockJumps) clock jumps, "
            + "\(commands) commands, \(requests) requests, \(refusals) refusals, \(failovers) failovers, "
            + "\(scaleOuts) out, \(scaleIns) in"
    }
}

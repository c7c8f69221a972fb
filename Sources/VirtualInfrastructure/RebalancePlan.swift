public import CloudModel

/// What a rebalancing goes by: the hosts, and what runs on them with the load that is predicted for it.
public struct RebalanceProblem: Sendable {
    public struct Host: Sendable {
        public var id: PhysicalServerID
        public var capacity: ServerResources
        public var labels: [String: String]
        /// May be moved to and from: up, and takes new virtual servers.
        public var isUsable: Bool
        /// Live migration is possible between hosts of the same kind alone: processor, and what the hypervisor can do.
        public var kind: String

        public init(
            id: PhysicalServerID, capacity: ServerResources, labels: [String: String] = [:], isUsable: Bool = true,
            kind: String = ""
        ) {
            self.id = id
            self.capacity = capacity
            self.labels = labels
            self.isUsable = isUsable
            self.kind = kind
        }
    }

    public struct Server: Sendable {
        public var instance: InstanceID
        public var service: ServiceID
        public var host: PhysicalServerID
        /// What is reserved for it; never more than the host has.
        public var resources: ServerResources
        /// The processor time that it is predicted to use, in thousandths of a processor.
        public var loadMillicores: Int
        /// How fast it writes to its memory.
        public var dirtyBytesPerSecond: Int64
        public var rule: PlacementRule
        /// False for one that does not run, is on its way, or was moved a moment ago.
        public var isMovable: Bool

        public init(
            instance: InstanceID, service: ServiceID, host: PhysicalServerID, resources: ServerResources,
            loadMillicores: Int, dirtyBytesPerSecond: Int64 = 0, rule: PlacementRule = .init(), isMovable: Bool = true
        ) {
            self.instance = instance
            self.service = service
            self.host = host
            self.resources = resources
            self.loadMillicores = loadMillicores
            self.dirtyBytesPerSecond = dirtyBytesPerSecond
            self.rule = rule
            self.isMovable = isMovable
        }
    }

    public var hosts: [Host]
    public var servers: [Server]

    public init(hosts: [Host], servers: [Server]) {
        self.hosts = hosts
        self.servers = servers
    }
}

/// How uneven the load is: the standard deviation over the usable hosts of the part of each that is used, in percent.
public struct Imbalance: Codable, Hashable, Sendable {
    /// Of the predicted processor load.
    public var processorPercent: Double
    /// Of the reserved memory.
    public var memoryPercent: Double

    public init(processorPercent: Double, memoryPercent: Double) {
        self.processorPercent = processorPercent
        self.memoryPercent = memoryPercent
    }

    public var worstPercent: Double { max(processorPercent, memoryPercent) }
}

/// The moves that make the load even, in the order in which they are to be made.
public struct RebalancePlan: Hashable, Sendable {
    public struct Move: Hashable, Sendable {
        public var instance: InstanceID
        public var source: PhysicalServerID
        public var destination: PhysicalServerID
        /// What the migration is expected to take.
        public var duration: TimeSpan
        public var downtime: TimeSpan
        /// The imbalance once it is over, in percent.
        public var imbalancePercent: Double
    }

    public var before: Imbalance
    public var after: Imbalance
    public var moves: [Move]
}

/// Finds the moves by local search: from the fullest host the move, or else the exchange of two, that pays most.
///
/// What is made small is the sum over the hosts of the squares of their processor and memory shares, which for equal
/// hosts is least where the load is even, and which weighs one full host more than two half-full ones. A move is taken
/// only if what it saves within the cooldown is more than what it costs: the load of copying on both sides for as long
/// as it takes, and the pause.
public struct Rebalancer: Sendable {
    public struct Settings: Hashable, Sendable {
        /// The search ends once the imbalance is not above this.
        public var goalPercent: Double
        public var horizon: TimeSpan
        public var maximumMoves: Int
        public var bandwidthBytesPerSecond: Int64
        public var maximumDowntime: TimeSpan

        /// - Parameter bandwidthBytesPerSecond: a link of 1 Gbit/s by default.
        public init(
            goalPercent: Double = 10, horizon: TimeSpan = .minutes(10), maximumMoves: Int = 200,
            bandwidthBytesPerSecond: Int64 = 110 << 20, maximumDowntime: TimeSpan = .milliseconds(300)
        ) {
            self.goalPercent = goalPercent
            self.horizon = horizon
            self.maximumMoves = maximumMoves
            self.bandwidthBytesPerSecond = bandwidthBytesPerSecond
            self.maximumDowntime = maximumDowntime
        }
    }

    public static func plan(_ problem: RebalanceProblem, _ settings: Settings) -> RebalancePlan {
        var search = RebalanceSearch(problem, settings)
        search.run()
        return RebalancePlan(before: search.before, after: search.imbalance, moves: search.moves)
    }

    public static func imbalance(of problem: RebalanceProblem) -> Imbalance {
        RebalanceSearch(problem, Settings()).imbalance
    }
}

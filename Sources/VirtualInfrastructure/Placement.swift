public import CloudModel

/// Why a host is not taken, with what would have been needed.
public enum PlacementRejection: Codable, Hashable, Sendable, CustomStringConvertible {
    case inMaintenance(host: PhysicalServerID)
    /// It was drained, and nobody has activated it since.
    case closed(host: PhysicalServerID)
    case notUsable(host: PhysicalServerID, phase: HostPhase)
    case missingLabel(host: PhysicalServerID, label: String, value: String)
    case notEnoughProcessor(host: PhysicalServerID, neededMillicores: Int, freeMillicores: Int)
    case notEnoughMemory(host: PhysicalServerID, needed: ByteCount, free: ByteCount)
    /// Another instance of the service is there, and its rule is strict.
    case notApart(host: PhysicalServerID, service: ServiceID)
    /// It is where the virtual server is already.
    case isSource(host: PhysicalServerID)
    /// Guests would see another processor than the one that they were started on.
    case otherProcessor(host: PhysicalServerID, needed: String, has: String)
    case missingFeature(host: PhysicalServerID, feature: HypervisorCapabilities.Feature)
    /// It takes part in as many migrations as it may at a time.
    case busy(host: PhysicalServerID, limit: Int)

    public var description: String {
        switch self {
        case .inMaintenance(let host): "\(host) is in maintenance"
        case .closed(let host): "\(host) is drained and not activated"
        case .busy(let host, let limit): "\(host) takes part in \(limit) migrations, which is the limit"
        case .notUsable(let host, let phase): "\(host) is \(phase.rawValue)"
        case .missingLabel(let host, let label, let value): "\(host) has no label \(label): \(value)"
        case .notEnoughProcessor(let host, let needed, let free):
            "\(host) has \(free) of the needed \(needed) millicores free"
        case .notEnoughMemory(let host, let needed, let free):
            "\(host) has \(free.text) of the needed \(needed.text) memory free"
        case .notApart(let host, let service): "\(host) runs an instance of \(service), which are kept strictly apart"
        case .isSource(let host): "it is on \(host) already"
        case .otherProcessor(let host, let needed, let has): "\(host) shows guests \(has), not \(needed)"
        case .missingFeature(let host, let feature): "\(host) cannot do \(feature.rawValue)"
        }
    }
}

public struct PlacementRequest: Hashable, Sendable {
    public var service: ServiceID
    public var resources: ServerResources
    public var rule: PlacementRule
    /// Where it must not go: the host that it leaves.
    public var source: PhysicalServerID?

    public init(
        service: ServiceID, resources: ServerResources, rule: PlacementRule, source: PhysicalServerID? = nil
    ) {
        self.service = service
        self.resources = resources
        self.rule = rule
        self.source = source
    }
}

/// What every host has left. What is reserved here counts at once, so that decisions that follow each other, however
/// long their effects take, never promise the same place twice.
public struct ServerInventory: Sendable {
    /// In the order of their names, which decides between equals.
    public private(set) var hosts: [PhysicalServer]
    private var phases: [HostPhase]
    private var used: [ServerResources]
    /// The same as `hosts` and `phases` say, where the search for a place reads it without touching texts.
    private var isOpen: [Bool]
    private var capacityMillicores: [Int]
    private var capacityBytes: [Int64]
    /// The processor time that is predicted to be used, where it is measured; empty: what is reserved counts.
    private var loadMillicores: [Int] = []
    private var members: [ServiceID: [Int: Int]] = [:]

    public init(hosts: [PhysicalServer]) {
        self.hosts = hosts.sorted { $0.id < $1.id }
        phases = Array(repeating: .up, count: hosts.count)
        used = Array(repeating: .zero, count: hosts.count)
        isOpen = self.hosts.map(\.takesNew)
        capacityMillicores = self.hosts.map(\.capacity.cpuMillicores)
        capacityBytes = self.hosts.map(\.capacity.memory.bytes)
    }

    public func index(of host: PhysicalServerID) -> Int? {
        var low = 0
        var high = hosts.count
        while low < high {
            let middle = (low + high) / 2
            if hosts[middle].id < host { low = middle + 1 } else { high = middle }
        }
        return low < hosts.count && hosts[low].id == host ? low : nil
    }

    public mutating func setPhase(of host: PhysicalServerID, _ phase: HostPhase) {
        guard let index = index(of: host) else { return }
        phases[index] = phase
        isOpen[index] = phase == .up && hosts[index].takesNew
    }

    /// From here on the search for a place goes by these, in the order of `hosts`, instead of by what is reserved.
    /// Nothing is promised beyond the reservations all the same.
    public mutating func setLoads(_ millicores: [Int]) { loadMillicores = millicores }

    /// What virtual servers hold of the host.
    public func used(on host: PhysicalServerID) -> ServerResources { index(of: host).map { used[$0] } ?? .zero }

    public func count(of service: ServiceID, on host: PhysicalServerID) -> Int {
        index(of: host).flatMap { members[service]?[$0] } ?? 0
    }

    public mutating func reserve(_ resources: ServerResources, of service: ServiceID, on host: PhysicalServerID) {
        guard let index = index(of: host) else { return }
        reserve(resources, of: service, at: index)
    }

    private mutating func reserve(_ resources: ServerResources, of service: ServiceID, at index: Int) {
        used[index] = used[index] + resources
        if !loadMillicores.isEmpty { loadMillicores[index] += resources.cpuMillicores }
        members[service, default: [:]][index, default: 0] += 1
    }

    public mutating func release(_ resources: ServerResources, of service: ServiceID, on host: PhysicalServerID) {
        guard let index = index(of: host) else { return }
        used[index] = used[index] - resources
        let left = (members[service]?[index] ?? 1) - 1
        members[service]?[index] = left > 0 ? left : nil
    }

    // MARK: Placing

    /// The best host, reserved at once; or why there is none, a reason for each host.
    public mutating func place(_ request: PlacementRequest) -> Result<PhysicalServerID, PlacementFailure> {
        guard let index = best(for: request) else {
            return .failure(PlacementFailure(rejections: hosts.indices.compactMap { rejection(of: request, at: $0) }))
        }
        reserve(request.resources, of: request.service, at: index)
        return .success(hosts[index].id)
    }

    /// Why the host cannot take it; nil where it can.
    public func rejection(of request: PlacementRequest, on host: PhysicalServerID) -> PlacementRejection? {
        guard let index = index(of: host) else { return .notUsable(host: host, phase: .unknown) }
        return rejection(of: request, at: index)
    }

    private func rejection(of request: PlacementRequest, at index: Int) -> PlacementRejection? {
        let host = hosts[index]
        if request.source == host.id { return .isSource(host: host.id) }
        if host.maintenance { return .inMaintenance(host: host.id) }
        if host.closed { return .closed(host: host.id) }
        if phases[index] != .up { return .notUsable(host: host.id, phase: phases[index]) }
        for label in request.rule.hostLabels.keys.sorted() where host.labels[label] != request.rule.hostLabels[label] {
            return .missingLabel(host: host.id, label: label, value: request.rule.hostLabels[label] ?? "")
        }
        let free = host.capacity - used[index]
        if request.resources.cpuMillicores > free.cpuMillicores {
            return .notEnoughProcessor(
                host: host.id, neededMillicores: request.resources.cpuMillicores, freeMillicores: free.cpuMillicores)
        }
        if request.resources.memory > free.memory {
            return .notEnoughMemory(host: host.id, needed: request.resources.memory, free: free.memory)
        }
        if request.rule.affinity == .strictlyApart, members[request.service]?[index] != nil {
            return .notApart(host: host.id, service: request.service)
        }
        return nil
    }

    private func best(for request: PlacementRequest) -> Int? {
        // Dense, since it is asked for every host.
        var neighboursByHost: [Int] = []
        if let group = members[request.service], !group.isEmpty {
            neighboursByHost = Array(repeating: 0, count: hosts.count)
            for (index, count) in group { neighboursByHost[index] = count }
        }
        let source = request.source.flatMap(index(of:))
        let needsLabels = !request.rule.hostLabels.isEmpty
        var best: Int?
        var bestScore = (affinity: Int.max, share: Int.max)
        for index in isOpen.indices where isOpen[index] && index != source {
            let millicores = used[index].cpuMillicores + request.resources.cpuMillicores
            let bytes = used[index].memory.bytes + request.resources.memory.bytes
            guard millicores <= capacityMillicores[index], bytes <= capacityBytes[index] else { continue }
            let neighbours = neighboursByHost.isEmpty ? 0 : neighboursByHost[index]
            if request.rule.affinity == .strictlyApart, neighbours > 0 { continue }
            let load = loadMillicores.isEmpty ? millicores : loadMillicores[index] + request.resources.cpuMillicores
            let score = score(of: request.rule, neighbours, load, bytes, at: index)
            guard score < bestScore else { continue }
            if needsLabels, rejection(of: request, at: index) != nil { continue }
            best = index
            bestScore = score
        }
        return best
    }

    /// The smaller the better: first what the affinity prefers, then how full the host would be (its fuller dimension,
    /// in millionths: dominant share, Ghodsi et al., NSDI 2011).
    private func score(
        of rule: PlacementRule, _ neighbours: Int, _ millicores: Int, _ bytes: Int64, at index: Int
    ) -> (affinity: Int, share: Int) {
        let affinity =
            switch rule.affinity {
            case .none, .strictlyApart: 0
            case .apart: neighbours
            case .together: -neighbours
            }
        let processor = millicores * 1_000_000 / max(1, capacityMillicores[index])
        let memory = Int(Double(bytes) / Double(max(1, capacityBytes[index])) * 1_000_000)
        let share = max(processor, memory)
        return (affinity, rule.strategy == .spread ? share : -share)
    }
}

public struct PlacementFailure: Error, Hashable, Sendable, CustomStringConvertible {
    /// One for each host, in the order of their names.
    public var rejections: [PlacementRejection]

    public init(rejections: [PlacementRejection]) { self.rejections = rejections }

    public var description: String {
        rejections.isEmpty
            ? "no physical server is declared"
            : "no physical server can take it: " + rejections.map(\.description).joined(separator: "; ")
    }
}

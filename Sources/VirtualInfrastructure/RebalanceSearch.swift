import CloudModel

/// The search of `Rebalancer`, over numbers instead of names: it looks at some ten million moves.
struct RebalanceSearch {
    struct Host {
        var millicores: Double
        var bytes: Double
        var reservedMillicores = 0
        var reservedBytes: Int64 = 0
        /// Shares of its capacity that are used.
        var processor = 0.0
        var memory = 0.0
        var isUsable: Bool
        var kind: Int
        var hasNoMove = false

        var pressure: Double { max(processor, memory) }
    }

    struct Server {
        var host: Int
        var service: Int
        var load: Double
        var millicores: Int
        var bytes: Int64
        var affinity: PlacementRule.Affinity
        /// An index into `permitted`; nil where every host is.
        var labels: Int?
        var isMovable: Bool
        /// Seconds that its migration takes, and that it runs nowhere.
        var duration: Double
        var downtime: Double
    }

    /// The processor time that copying takes on either side.
    static let copyingMillicores = 200.0
    /// Exchanges that are looked at in all: there are many more of them than of moves.
    private static let maximumExchanges = 3_000_000
    /// Destinations that are tried before all the others are, and moves after which they are chosen anew.
    private static let destinationsTriedFirst = 128
    private static let movesBetweenChoices = 8
    /// Less than this is no gain but an error of rounding.
    private static let leastGain = 1e-9

    let settings: Rebalancer.Settings
    private let problem: RebalanceProblem
    private(set) var hosts: [Host]
    private(set) var servers: [Server]
    private var onHost: [[Int]]
    /// By service and host.
    private var members: [Int: Int] = [:]
    private var permitted: [[Bool]] = []
    private var sums = (processor: 0.0, processorSquares: 0.0, memory: 0.0, memorySquares: 0.0)
    private let usableCount: Int
    /// The hosts that are used least, which are tried first.
    private var emptiest: [Int] = []
    private var emptiestIsFrom = 0
    private var exchangesLeft = maximumExchanges
    private(set) var moves: [RebalancePlan.Move] = []
    private(set) var before = Imbalance(processorPercent: 0, memoryPercent: 0)

    init(_ problem: RebalanceProblem, _ settings: Rebalancer.Settings) {
        self.problem = problem
        self.settings = settings
        var indexOfHost: [PhysicalServerID: Int] = [:]
        var kinds: [String: Int] = [:]
        hosts = problem.hosts.enumerated().map { index, host in
            indexOfHost[host.id] = index
            let kind = kinds[host.kind] ?? kinds.count
            kinds[host.kind] = kind
            return Host(
                millicores: Double(max(1, host.capacity.cpuMillicores)),
                bytes: Double(max(1, host.capacity.memory.bytes)), isUsable: host.isUsable, kind: kind)
        }
        usableCount = hosts.count { $0.isUsable }
        onHost = Array(repeating: [], count: hosts.count)
        servers = []
        servers.reserveCapacity(problem.servers.count)
        var services: [ServiceID: Int] = [:]
        var labels: [[String: String]: Int] = [:]
        for server in problem.servers {
            let service = services[server.service] ?? services.count
            services[server.service] = service
            add(server, on: indexOfHost[server.host], service, &labels)
        }
        for host in hosts where host.isUsable { count(host, 1) }
        before = imbalance
    }

    private mutating func add(
        _ server: RebalanceProblem.Server, on host: Int?, _ service: Int, _ labels: inout [[String: String]: Int]
    ) {
        let cost = PreCopyCost(
            memory: server.resources.memory, dirtyBytesPerSecond: server.dirtyBytesPerSecond,
            bandwidthBytesPerSecond: settings.bandwidthBytesPerSecond, maximumDowntime: settings.maximumDowntime)
        // Those that are to be packed are not spread again; what would never arrive is not sent.
        let isMovable = server.isMovable && server.rule.strategy == .spread && cost.totalTime != nil && host != nil
        var rule: Int?
        if !server.rule.hostLabels.isEmpty {
            rule = labels[server.rule.hostLabels] ?? permit(server.rule.hostLabels)
            labels[server.rule.hostLabels] = rule
        }
        servers.append(
            Server(
                host: host ?? -1, service: service, load: Double(max(0, server.loadMillicores)),
                millicores: server.resources.cpuMillicores, bytes: server.resources.memory.bytes,
                affinity: server.rule.affinity, labels: rule, isMovable: isMovable,
                duration: cost.totalTime?.inSeconds ?? 0, downtime: cost.downtime?.inSeconds ?? 0))
        if let host { put(servers.count - 1, on: host, 1) }
    }

    private mutating func permit(_ labels: [String: String]) -> Int {
        permitted.append(problem.hosts.map { host in labels.allSatisfy { host.labels[$0.key] == $0.value } })
        return permitted.count - 1
    }

    // MARK: State

    private mutating func put(_ server: Int, on host: Int, _ sign: Int) {
        let moved = servers[server]
        hosts[host].reservedMillicores += sign * moved.millicores
        hosts[host].reservedBytes += Int64(sign) * moved.bytes
        hosts[host].processor += Double(sign) * moved.load / hosts[host].millicores
        hosts[host].memory = Double(hosts[host].reservedBytes) / hosts[host].bytes
        members[moved.service * hosts.count + host, default: 0] += sign
        if sign > 0 {
            onHost[host].append(server)
        } else if let place = onHost[host].firstIndex(of: server) {
            onHost[host].remove(at: place)
        }
    }

    private mutating func count(_ host: Host, _ sign: Double) {
        sums.processor += sign * host.processor
        sums.processorSquares += sign * host.processor * host.processor
        sums.memory += sign * host.memory
        sums.memorySquares += sign * host.memory * host.memory
    }

    var imbalance: Imbalance {
        let count = Double(max(1, usableCount))
        func percent(_ sum: Double, _ squares: Double) -> Double {
            max(0, squares / count - (sum / count) * (sum / count)).squareRoot() * 100
        }
        return Imbalance(
            processorPercent: percent(sums.processor, sums.processorSquares),
            memoryPercent: percent(sums.memory, sums.memorySquares))
    }

    private func neighbours(_ service: Int, on host: Int) -> Int { members[service * hosts.count + host] ?? 0 }

    // MARK: Search

    mutating func run() {
        while moves.count < settings.maximumMoves, imbalance.worstPercent > settings.goalPercent, let host = fullest() {
            if let (server, destination) = bestMove(from: host) {
                apply(server, to: destination)
            } else if moves.count + 2 <= settings.maximumMoves, let (first, second) = bestExchange(from: host) {
                let (source, other) = (servers[first].host, servers[second].host)
                if fits(first, on: other) {
                    apply(first, to: other)
                    apply(second, to: source)
                } else {
                    apply(second, to: source)
                    apply(first, to: other)
                }
            } else {
                hosts[host].hasNoMove = true
            }
        }
    }

    /// Of those above the mean in one way or the other.
    private func fullest() -> Int? {
        let count = Double(max(1, usableCount))
        let (processor, memory) = (sums.processor / count, sums.memory / count)
        var best: Int?
        for (index, host) in hosts.enumerated() where host.isUsable && !host.hasNoMove {
            guard host.processor > processor || host.memory > memory else { continue }
            if let known = best, hosts[known].pressure >= host.pressure { continue }
            best = index
        }
        return best
    }

    private mutating func bestMove(from source: Int) -> (server: Int, destination: Int)? {
        if emptiest.isEmpty || moves.count - emptiestIsFrom >= Self.movesBetweenChoices {
            let all = hosts.indices.filter { hosts[$0].isUsable }
            emptiest = all.sorted { left, right in
                hosts[left].processor + hosts[left].memory < hosts[right].processor + hosts[right].memory
            }
            emptiestIsFrom = moves.count
        }
        let first = emptiest.prefix(Self.destinationsTriedFirst)
        if let best = bestMove(from: source, to: first) { return best }
        return bestMove(from: source, to: emptiest.dropFirst(Self.destinationsTriedFirst))
    }

    private func bestMove(
        from source: Int, to destinations: ArraySlice<Int>
    ) -> (server: Int, destination: Int)? {
        var best: (server: Int, destination: Int)?
        var bestGain = Self.leastGain
        let horizon = settings.horizon.inSeconds
        for server in onHost[source] where servers[server].isMovable {
            let moved = servers[server]
            let left = square(hosts[source], less: moved)
            for destination in destinations where destination != source {
                let gain = left - growth(hosts[destination], moved)
                guard gain * horizon > bestGain else { continue }
                let net = gain * horizon - cost(moved, source, destination)
                guard net > bestGain, mayMove(server, to: destination) else { continue }
                bestGain = net
                best = (server, destination)
            }
        }
        return best
    }

    /// By how much the squares of the host's shares shrink without it.
    private func square(_ host: Host, less moved: Server) -> Double {
        let (processor, memory) = (moved.load / host.millicores, Double(moved.bytes) / host.bytes)
        return processor * (2 * host.processor - processor) + memory * (2 * host.memory - memory)
    }

    /// By how much they grow with it.
    private func growth(_ host: Host, _ moved: Server) -> Double {
        let (processor, memory) = (moved.load / host.millicores, Double(moved.bytes) / host.bytes)
        return processor * (2 * host.processor + processor) + memory * (2 * host.memory + memory)
    }

    /// In the same measure: what copying adds on both sides for as long as it takes, and a full host for the pause.
    private func cost(_ moved: Server, _ source: Int, _ destination: Int) -> Double {
        let copying = [source, destination].reduce(0.0) { sum, host in
            let share = Self.copyingMillicores / hosts[host].millicores
            return sum + share * (2 * hosts[host].processor + share)
        }
        return moved.duration * copying + moved.downtime
    }

    private func fits(_ server: Int, on host: Int) -> Bool {
        let (moved, target) = (servers[server], hosts[host])
        return Double(target.reservedMillicores + moved.millicores) <= target.millicores
            && Double(target.reservedBytes + moved.bytes) <= target.bytes
    }

    private func mayMove(_ server: Int, to destination: Int) -> Bool {
        fits(server, on: destination) && mayBe(server, on: destination, beside: 0)
    }

    /// - Parameter others: of the same service that will have left by then.
    private func mayBe(_ server: Int, on destination: Int, beside others: Int) -> Bool {
        let moved = servers[server]
        guard hosts[destination].kind == hosts[moved.host].kind else { return false }
        if let labels = moved.labels, !permitted[labels][destination] { return false }
        let there = neighbours(moved.service, on: destination) - others
        let here = neighbours(moved.service, on: moved.host) - 1
        switch moved.affinity {
        case .none: return true
        case .strictlyApart: return there == 0
        // What is only preferred is not made worse.
        case .apart: return there <= here
        case .together: return there >= here
        }
    }

    /// One of the host's against one of another's, where no single move pays (Sandpiper, NSDI 2007).
    private mutating func bestExchange(from source: Int) -> (first: Int, second: Int)? {
        var best: (first: Int, second: Int)?
        var bestGain = Self.leastGain
        let horizon = settings.horizon.inSeconds
        for first in onHost[source] where servers[first].isMovable {
            for other in hosts.indices where other != source && hosts[other].isUsable {
                exchangesLeft -= onHost[other].count
                guard exchangesLeft > 0 else { return best }
                for second in onHost[other] where servers[second].isMovable {
                    let net = exchangeGain(first, second) * horizon
                    guard net > bestGain else { continue }
                    let price = cost(servers[first], source, other) + cost(servers[second], other, source)
                    guard net - price > bestGain, mayExchange(first, second) else { continue }
                    bestGain = net - price
                    best = (first, second)
                }
            }
        }
        return best
    }

    private func exchangeGain(_ first: Int, _ second: Int) -> Double {
        let (one, two) = (servers[first], servers[second])
        let (source, other) = (hosts[one.host], hosts[two.host])
        func squares(_ host: Host, _ sign: Double) -> Double {
            let processor = host.processor + sign * (two.load - one.load) / host.millicores
            let memory = host.memory + sign * Double(two.bytes - one.bytes) / host.bytes
            return host.processor * host.processor + host.memory * host.memory - processor * processor
                - memory * memory
        }
        return squares(source, 1) + squares(other, -1)
    }

    /// One goes first, while the other is still there: there has to be room for that, and rules hold meanwhile.
    private func mayExchange(_ first: Int, _ second: Int) -> Bool {
        let (source, other) = (servers[first].host, servers[second].host)
        guard servers[first].service != servers[second].service else { return false }
        guard mayBe(first, on: other, beside: 0), mayBe(second, on: source, beside: 0) else { return false }
        if fits(first, on: other) {
            return holds(second, on: source, without: first)
        }
        return fits(second, on: source) && holds(first, on: other, without: second)
    }

    private func holds(_ server: Int, on host: Int, without gone: Int) -> Bool {
        let (moved, left, target) = (servers[server], servers[gone], hosts[host])
        return Double(target.reservedMillicores + moved.millicores - left.millicores) <= target.millicores
            && Double(target.reservedBytes + moved.bytes - left.bytes) <= target.bytes
    }

    private mutating func apply(_ server: Int, to destination: Int) {
        let source = servers[server].host
        count(hosts[source], -1)
        count(hosts[destination], -1)
        put(server, on: source, -1)
        put(server, on: destination, 1)
        count(hosts[source], 1)
        count(hosts[destination], 1)
        servers[server].host = destination
        // Once in a plan: what is moved twice was moved wrongly.
        servers[server].isMovable = false
        hosts[source].hasNoMove = false
        hosts[destination].hasNoMove = false
        moves.append(
            RebalancePlan.Move(
                instance: problem.servers[server].instance, source: problem.hosts[source].id,
                destination: problem.hosts[destination].id,
                duration: .microseconds(Int64(servers[server].duration * 1_000_000)),
                downtime: .microseconds(Int64(servers[server].downtime * 1_000_000)),
                imbalancePercent: imbalance.worstPercent))
    }
}

public import CloudModel

/// A rebalancing, while it goes on.
public struct Rebalance: Hashable, Sendable {
    public internal(set) var operation: Operation
    /// In the order of the plan.
    var pending: [RebalancePlan.Move]
    var begun: [RebalancePlan.Move] = []
    var done = 0
    /// Why moves were not made.
    var failures: [String] = []
    var dueAt: Timestamp
    /// Moves that have not begun by then are not made: the load is another one.
    let endsAt: Timestamp

    static let interval = TimeSpan.seconds(1)
    static let longest = TimeSpan.minutes(30)
}

/// Whether the load has been uneven for long enough, and not even for long enough, to do something.
struct BalanceWatch: Hashable, Sendable {
    var dueAt: Timestamp?
    /// Looks in a row that found it above the threshold.
    var looksAbove = 0
    /// From the threshold on until half of it is reached.
    var isUneven = false
    var isTold = false

    /// One that is above may be a peak that is over before a migration is (Proxmox's "hold duration").
    static let looksNeeded = 2

    mutating func look(_ percent: Double, threshold: Double) {
        if percent <= threshold / 2 {
            isUneven = false
            isTold = false
        }
        looksAbove = percent > threshold ? looksAbove + 1 : 0
        if looksAbove >= Self.looksNeeded { isUneven = true }
    }
}

/// Why no rebalancing is begun.
public enum RebalanceRefusal: Error, Hashable, Sendable, CustomStringConvertible {
    case underWay(OperationID)
    /// The load is even, or no move pays for itself.
    case nothingToMove(imbalancePercent: Double)
    case notUnderWay

    public var description: String {
        switch self {
        case .underWay(let id): "a rebalancing is under way; follow it with `operation show \(id) --wait`"
        case .nothingToMove(let percent):
            "the hosts differ by \(Int(percent.rounded())) %, and no migration would pay for itself"
        case .notUnderWay: "no rebalancing is under way"
        }
    }
}

extension InfrastructureSupervisor {
    // MARK: Load

    mutating func measure(_ index: Int) {
        hosts[index].measureDueAt = now + Self.measureInterval
        act(hosts[index].server.id, .measure)
    }

    mutating func measured(_ host: PhysicalServerID, _ used: [VirtualServerID: TimeSpan]) {
        for instance in servers.keys.sorted() {
            guard let server = servers[instance], server.placement.host == host, !server.isMigrating,
                let time = used[server.name]
            else { continue }
            servers[instance]?.load.measured(time, at: now)
        }
    }

    /// Without a measurement, all that is reserved.
    private func predictedMillicores(_ server: SupervisedServer) -> Int {
        let reserved = server.placement.flavor.resources.cpuMillicores
        return server.load.predictedMillicores ?? reserved
    }

    /// Has the search for places go by what is measured, where the settings say so.
    mutating func followLoads() {
        guard rebalancing.automation != .manual else { return inventory.setLoads([]) }
        var loads = Array(repeating: 0, count: hosts.count)
        for server in servers.values {
            let load = predictedMillicores(server)
            if let index = inventory.index(of: server.placement.host) { loads[index] += load }
            if let destination = server.placement.destination, let index = inventory.index(of: destination) {
                loads[index] += load
            }
        }
        inventory.setLoads(loads)
    }

    // MARK: Plan

    public var imbalance: Imbalance { Rebalancer.imbalance(of: rebalanceProblem) }

    /// What would make the load even, as things are now.
    public var rebalancePlan: RebalancePlan {
        var settings = Rebalancer.Settings(
            goalPercent: Double(rebalancing.imbalancePercent) / 2, horizon: rebalancing.cooldown)
        settings.maximumMoves = min(settings.maximumMoves, 20 * rebalancing.migrationsPerCluster)
        return Rebalancer.plan(rebalanceProblem, settings)
    }

    private var rebalanceProblem: RebalanceProblem {
        let all = hosts.map { host in
            let capabilities = host.capabilities
            let features = (capabilities?.features ?? []).map(\.rawValue).sorted().joined(separator: ",")
            return RebalanceProblem.Host(
                id: host.server.id, capacity: host.server.capacity, labels: host.server.labels,
                isUsable: host.server.takesNew && host.health.phase == .up && host.isConnected,
                kind: "\(capabilities?.cpuModel ?? "")/\(features)")
        }
        let known = servers.keys.sorted().compactMap { servers[$0] }
        return RebalanceProblem(hosts: all, servers: known.map(rebalanced) + known.compactMap(arriving))
    }

    private func rebalanced(_ server: SupervisedServer) -> RebalanceProblem.Server {
        let isCooling = server.movedAt.map { now - $0 < rebalancing.cooldown } ?? false
        return RebalanceProblem.Server(
            instance: server.instance, service: server.identity.service, host: server.placement.host,
            resources: server.placement.flavor.resources, loadMillicores: predictedMillicores(server),
            dirtyBytesPerSecond: server.dirtyBytesPerSecond ?? 0, rule: server.rule,
            isMovable: server.phase == .running && !server.isMigrating && !isCooling && server.operation == nil)
    }

    /// It counts on both sides for as long as it is on its way.
    private func arriving(_ server: SupervisedServer) -> RebalanceProblem.Server? {
        guard let destination = server.placement.destination else { return nil }
        var copy = rebalanced(server)
        copy.host = destination
        copy.isMovable = false
        return copy
    }

    public var refusalOfRebalancing: RebalanceRefusal? {
        if let rebalance { return .underWay(rebalance.operation.id) }
        let plan = rebalancePlan
        return plan.moves.isEmpty ? .nothingToMove(imbalancePercent: plan.before.worstPercent) : nil
    }

    // MARK: Run

    mutating func configure(_ settings: RebalancingSettings) {
        rebalancing = settings
        balance = BalanceWatch(dueAt: hosts.isEmpty ? nil : now + settings.interval)
        followLoads()
    }

    mutating func rebalance(_ id: OperationID, _ actor: String) {
        guard rebalance == nil else { return }
        begin(rebalancePlan, id, actor)
    }

    private mutating func begin(_ plan: RebalancePlan, _ id: OperationID, _ actor: String) {
        var operation = Operation(
            id: id, kind: "physical-server.rebalance", actor: actor,
            progress: OperationProgress(done: 0, total: plan.moves.count), startedAt: wallClock)
        guard !plan.moves.isEmpty else {
            operation.state = .failed
            operation.endedAt = wallClock
            operation.failure = RebalanceRefusal.nothingToMove(imbalancePercent: plan.before.worstPercent).description
            return effects.append(.operation(operation))
        }
        record("rebalancing.begun", actor: actor, summary(plan), details(plan))
        effects.append(.operation(operation))
        rebalance = Rebalance(operation: operation, pending: plan.moves, dueAt: now, endsAt: now + Rebalance.longest)
        advanceRebalance()
    }

    private func summary(_ plan: RebalancePlan) -> String {
        let count = plan.moves.count
        return "the hosts differ by \(Int(plan.before.worstPercent.rounded())) %: \(count) "
            + "migration\(count == 1 ? " makes" : "s make") it \(Int(plan.after.worstPercent.rounded())) %"
    }

    private func details(_ plan: RebalancePlan) -> [String: String] {
        let moves = plan.moves.prefix(20).map { "\($0.instance): \($0.source) to \($0.destination)" }
        return ["moves": String(plan.moves.count), "first": moves.joined(separator: ", ")]
    }

    mutating func rebalanceWhatIsDue() {
        if let due = rebalance?.dueAt, due <= now { advanceRebalance() }
        guard let due = balance.dueAt, due <= now else { return }
        balance.dueAt = now + rebalancing.interval
        guard rebalance == nil, rebalancing.automation != .partial else { return }
        balance.look(imbalance.worstPercent, threshold: Double(rebalancing.imbalancePercent))
        // One thing at a time: who empties a host makes the rest uneven on purpose.
        guard balance.isUneven, !hosts.contains(where: { $0.drain != nil }) else { return }
        let plan = rebalancePlan
        guard !plan.moves.isEmpty else { return }
        if rebalancing.automation == .full {
            begin(plan, OperationID("op-rebalance-\(wallClock.microseconds)"), "control-plane")
        } else if !balance.isTold {
            balance.isTold = true
            propose(plan)
        }
    }

    private mutating func propose(_ plan: RebalancePlan) {
        record("rebalancing.proposed", summary(plan), details(plan))
        effects.append(
            .notify(
                key: "rebalancing-proposed", severity: .info, kind: "rebalancing-proposed",
                title: "The load of the physical servers is uneven",
                body: "\(summary(plan)). To see them: cloudwright physical-server rebalance --dry-run; without "
                    + "--dry-run they are made."))
    }

    private mutating func advanceRebalance() {
        guard var current = rebalance else { return }
        current.dueAt = now + Rebalance.interval
        settle(&current)
        var waiting: [RebalancePlan.Move] = []
        for move in current.pending {
            guard current.endsAt > now else {
                current.failures.append("\(move.instance): it did not begin in time")
                continue
            }
            guard servers[move.instance]?.placement.host == move.source, servers[move.instance]?.operation == nil
            else {
                current.failures.append("\(move.instance): it is not on \(move.source) any more, or is in use")
                continue
            }
            switch refusal(ofMigrating: move.instance, to: move.destination, MigrationSettings()) {
            case nil:
                let id = OperationID("\(current.operation.id).\(move.instance)")
                migrate(move.instance, to: move.destination, MigrationSettings(), id, current.operation.actor)
                current.begun.append(move)
            case let refusal? where refusal.isPassing: waiting.append(move)
            case let refusal?: current.failures.append("\(move.instance): \(refusal)")
            }
        }
        current.pending = waiting
        rebalance = current
        report()
    }

    /// Counts those that have ended.
    private mutating func settle(_ current: inout Rebalance) {
        current.begun.removeAll { move in
            guard let server = servers[move.instance] else {
                current.failures.append("\(move.instance): it has ended")
                return true
            }
            guard !server.isMigrating, server.phase != .unconfirmed else { return false }
            if server.placement.host == move.destination {
                current.done += 1
            } else {
                current.failures.append("\(move.instance): it stayed on \(server.placement.host)")
            }
            return true
        }
    }

    private mutating func report() {
        guard var current = rebalance else { return }
        let total = current.done + current.failures.count + current.begun.count + current.pending.count
        let progress = OperationProgress(done: current.done, total: total)
        let isOver = current.begun.isEmpty && current.pending.isEmpty
        guard progress != current.operation.progress || isOver else { return }
        current.operation.progress = progress
        if isOver {
            current.operation.endedAt = wallClock
            current.operation.state = current.failures.isEmpty ? .succeeded : .failed
            if !current.failures.isEmpty { current.operation.failure = current.failures.joined(separator: "; ") }
            record(
                "rebalancing.ended", actor: current.operation.actor,
                "\(current.done) of \(total) migrations were made; the hosts differ by "
                    + "\(Int(imbalance.worstPercent.rounded())) %",
                ["failures": current.failures.joined(separator: "; ")])
        }
        effects.append(.operation(current.operation))
        rebalance = isOver ? nil : current
    }

    mutating func abortRebalancing(_ actor: String) {
        guard var current = rebalance else { return }
        for move in current.begun where servers[move.instance]?.isMigrating == true {
            abortMigration(move.instance, actor)
        }
        rebalance = nil
        current.operation.endedAt = wallClock
        current.operation.state = .failed
        current.operation.failure = "\(actor) aborted it"
        effects.append(.operation(current.operation))
        record("rebalancing.aborted", actor: actor, "\(actor) aborts the rebalancing")
    }
}

extension MigrationRefusal {
    /// It may be over in a moment.
    var isPassing: Bool {
        switch self {
        case .tooMany, .tooManyInAll: true
        case .noPlace(let rejections):
            rejections.allSatisfy { rejection in
                switch rejection {
                case .busy, .notEnoughMemory, .notEnoughProcessor: true
                default: false
                }
            }
        case .unknownInstance, .notRunning, .underWay, .sourceNotUsable, .unknownHost, .diskNotShared: false
        }
    }
}

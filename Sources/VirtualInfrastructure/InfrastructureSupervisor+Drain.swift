public import CloudModel

/// Maintenance of physical servers: their virtual servers are moved away while they run.
extension InfrastructureSupervisor {
    /// What a drain would do, each decision counting what those before it take.
    public func drainPlan(of host: PhysicalServerID, _ settings: MigrationSettings) -> DrainPlan {
        var free = inventory
        let steps = onHost(host).map { server in
            DrainPlan.Step(instance: server.instance, outcome: drainOutcome(of: server, settings, &free))
        }
        return DrainPlan(host: host, steps: steps)
    }

    private func drainOutcome(
        of server: SupervisedServer, _ settings: MigrationSettings, _ free: inout ServerInventory
    ) -> DrainPlan.Outcome {
        guard server.phase == .running || server.phase == .suspended || canBeMadeAnew(server), !server.isMigrating
        else {
            return .waits(phase: server.isMigrating ? "migrating" : server.phase.rawValue)
        }
        guard let destination = bestDestination(for: server, settings, in: free) else {
            let rejections = hosts.compactMap { rejection(of: server, on: $0.server.id, settings, in: free) }
            return .stays(.noPlace(rejections))
        }
        free.reserve(server.placement.flavor.resources, of: server.identity.service, on: destination)
        return .moves(to: destination)
    }

    /// A standby on storage has no memory that could be copied, and nothing that its successor would miss.
    private func canBeMadeAnew(_ server: SupervisedServer) -> Bool { server.phase == .saved && !server.isWaking }

    /// What the host has, the largest first.
    private func onHost(_ host: PhysicalServerID) -> [SupervisedServer] {
        servers.values.filter { $0.placement.host == host }.sorted { left, right in
            let (first, second) = (left.placement.flavor.resources, right.placement.flavor.resources)
            if first.memory != second.memory { return first.memory > second.memory }
            if first.cpuMillicores != second.cpuMillicores { return first.cpuMillicores > second.cpuMillicores }
            return left.instance < right.instance
        }
    }

    /// Why the drain would not be begun now; nil where it would.
    public func refusal(ofDraining host: PhysicalServerID, _ settings: DrainSettings) -> DrainRefusal? {
        guard let index = hostIndex(host) else { return .unknownHost(host) }
        if let drain = hosts[index].drain { return .underWay(host, drain.operation.id) }
        guard hosts[index].health.phase == .up else { return .notUsable(host, hosts[index].health.phase) }
        let obstacles = settings.partial ? [] : drainPlan(of: host, settings.migration).obstacles
        return obstacles.isEmpty ? nil : .obstacles(host, obstacles)
    }

    public func refusal(ofAbortingDrainOf host: PhysicalServerID) -> DrainRefusal? {
        guard let index = hostIndex(host) else { return .unknownHost(host) }
        return hosts[index].drain == nil ? .notDraining(host) : nil
    }

    public func refusal(ofActivating host: PhysicalServerID) -> DrainRefusal? {
        guard let index = hostIndex(host) else { return .unknownHost(host) }
        return hosts[index].server.maintenance ? .declaredInMaintenance(host) : nil
    }

    // MARK: Drain

    mutating func drain(
        _ host: PhysicalServerID, _ settings: DrainSettings, _ id: OperationID, _ actor: String
    ) {
        guard let index = hostIndex(host), hosts[index].drain == nil else { return }
        let operation = Operation(
            id: id, kind: "physical-server.drain", actor: actor, host: host, startedAt: wallClock)
        record(
            "physical-server.draining", actor: actor,
            "\(actor) drains \(host): it takes nothing new, and what it has is moved away", ["host": host.rawValue])
        effects.append(.operation(operation))
        hosts[index].drain = HostDrain(operation, settings, at: now)
    }

    /// They go on with what is left, one at a time.
    mutating func recoverDrains(_ operations: [Operation]) {
        for operation in operations {
            guard let index = operation.host.flatMap(hostIndex), hosts[index].drain == nil else { continue }
            var drain = HostDrain(operation, DrainSettings(partial: true), at: now)
            drain.dueAt = now + Self.connectionAllowance
            hosts[index].drain = drain
        }
    }

    /// Something has changed that the drain of the host may wait for.
    mutating func drainAgain(_ host: PhysicalServerID) {
        if let index = hostIndex(host) { hosts[index].drain?.dueAt = now }
    }

    mutating func drainMigrationFailed(_ server: SupervisedServer, _ reason: String) {
        guard let index = hostIndex(server.placement.host) else { return }
        hosts[index].drain?.failures[server.instance] = reason
    }

    mutating func drainDueHosts() {
        for index in hosts.indices where hosts[index].drain.map({ $0.dueAt <= now }) ?? false { advanceDrain(index) }
    }

    private mutating func advanceDrain(_ index: Int) {
        let host = hosts[index].server.id
        guard var drain = hosts[index].drain else { return }
        let left = onHost(host)
        drain.seen.formUnion(left.map(\.instance))
        drain.dueAt = now + HostDrain.interval
        var waiting: [String] = []
        for server in left where !server.isMigrating {
            guard migrations(of: host) < drain.settings.concurrentMigrations else { break }
            if let reason = moveAway(server, &drain) { waiting.append("\(server.instance): \(reason)") }
        }
        let isMoving = migrations(of: host) > 0
        drain.idleSince = isMoving ? nil : drain.idleSince ?? now
        let progress = OperationProgress(
            done: drain.seen.count - left.count, total: drain.seen.count, waiting: isMoving ? [] : waiting)
        if progress != drain.operation.progress {
            drain.operation.progress = progress
            if !left.isEmpty { effects.append(.operation(drain.operation)) }
        }
        hosts[index].drain = drain
        if left.isEmpty { return endDrain(index, failure: nil) }
        guard let idleSince = drain.idleSince else { return }
        let isHopeless = left.allSatisfy { drain.attempts[$0.instance] ?? 0 >= HostDrain.maximumAttempts }
        guard isHopeless || now - idleSince >= HostDrain.patience else { return }
        endDrain(index, failure: "\(left.count) of \(drain.seen.count) are left; " + waiting.joined(separator: "; "))
    }

    /// Why the virtual server stays for now; nil where its migration has begun.
    private mutating func moveAway(_ server: SupervisedServer, _ drain: inout HostDrain) -> String? {
        let instance = server.instance
        if server.operation != nil { return "another operation on it is under way" }
        let attempt = (drain.attempts[instance] ?? 0) + 1
        if attempt > HostDrain.maximumAttempts {
            return "\(HostDrain.maximumAttempts) attempts failed, the last with: \(drain.failures[instance] ?? "")"
        }
        let settings = drain.settings.migration
        if canBeMadeAnew(server) {
            guard bestDestination(for: server, settings, in: inventory) != nil else {
                let rejections = hosts.compactMap { rejection(of: server, on: $0.server.id, settings, in: inventory) }
                return MigrationRefusal.noPlace(rejections).description
            }
            drain.attempts[instance] = attempt
            drain.failures[instance] = "it is still saved on its host"
            effects.append(.vacate(instance, incarnation: server.identity.incarnation))
            return "it is made anew on another host"
        }
        if let refusal = refusal(ofMigrating: instance, to: nil, settings) { return refusal.description }
        drain.attempts[instance] = attempt
        let id = OperationID("\(drain.operation.id).\(instance).\(attempt)")
        migrate(instance, to: nil, settings, id, drain.operation.actor)
        return nil
    }

    private mutating func endDrain(_ index: Int, failure: String?) {
        guard var operation = hosts[index].drain?.operation else { return }
        let host = hosts[index].server.id
        hosts[index].drain = nil
        operation.endedAt = wallClock
        operation.state = failure == nil ? .succeeded : .failed
        operation.failure = failure
        effects.append(.operation(operation))
        let ending = "it takes nothing new until it is activated"
        record(
            failure == nil ? "physical-server.drained" : "physical-server.drain-failed", actor: operation.actor,
            failure.map { "\(host) is not empty: \($0); \(ending)" } ?? "\(host) is empty; \(ending)",
            ["host": host.rawValue, "operation": operation.id.rawValue])
        guard let failure else { return }
        effects.append(
            .notify(
                key: "drain-failed/\(host)", severity: .warning, kind: "drain-failed",
                title: "\(host) could not be emptied",
                body: "\(failure). It takes nothing new until: cloudwright physical-server activate \(host)"))
    }

    /// Ended by a person: nobody has to be told.
    mutating func abortDrain(_ host: PhysicalServerID, _ actor: String) {
        guard let index = hostIndex(host), var operation = hosts[index].drain?.operation else { return }
        hosts[index].drain = nil
        for instance in servers.keys.sorted() {
            guard let server = servers[instance], server.isMigrating, server.placement.host == host,
                server.operation?.id.rawValue.hasPrefix("\(operation.id).") ?? false
            else { continue }
            abortMigration(instance, actor)
        }
        operation.endedAt = wallClock
        operation.state = .failed
        operation.failure = "\(actor) aborted it"
        effects.append(.operation(operation))
        record(
            "physical-server.drain-aborted", actor: actor, "\(actor) aborts the drain of \(host)",
            ["host": host.rawValue, "operation": operation.id.rawValue])
    }
}

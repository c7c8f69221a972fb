public import CloudModel

/// Relocation of virtual servers, and what operators ask of single ones.
extension InfrastructureSupervisor {
    /// Why the migration would not be begun now; nil where it would.
    public func refusal(
        ofMigrating instance: InstanceID, to destination: PhysicalServerID?, _ settings: MigrationSettings
    ) -> MigrationRefusal? {
        guard let server = servers[instance] else { return .unknownInstance(instance) }
        if server.isMigrating { return .underWay(instance) }
        // One that stands still is moved as it is, and stands still at the destination.
        guard server.phase == .running || server.phase == .suspended else {
            return .notRunning(instance, server.phase.rawValue)
        }
        // How much it holds is open: it may be refused, and would then be less at the destination than is reserved.
        if server.resize != nil { return .notRunning(instance, "being resized") }
        guard let source = hostIndex(server.placement.host), hosts[source].isConnected,
            hosts[source].health.phase == .up
        else {
            let phase = hostIndex(server.placement.host).map { hosts[$0].health.phase } ?? .unknown
            return .sourceNotUsable(host: server.placement.host, phase: phase)
        }
        if migrations(of: server.placement.host) >= rebalancing.migrationsPerHost {
            return .tooMany(host: server.placement.host, limit: rebalancing.migrationsPerHost)
        }
        if migrationsUnderWay >= rebalancing.migrationsPerCluster {
            return .tooManyInAll(limit: rebalancing.migrationsPerCluster)
        }
        if let destination {
            guard hostIndex(destination) != nil else { return .unknownHost(destination) }
            return rejection(of: server, on: destination, settings).map { .noPlace([$0]) }
        }
        let rejections = hosts.map { rejection(of: server, on: $0.server.id, settings) }
        return rejections.contains(nil) ? nil : .noPlace(rejections.compactMap { $0 })
    }

    var migrationsUnderWay: Int { servers.values.count { $0.isMigrating } }

    func migrations(of host: PhysicalServerID) -> Int {
        servers.values.count { $0.isMigrating && $0.mayBe(on: host) }
    }

    /// Why the host cannot take it over while it runs.
    /// - Parameter plan: what would be reserved by then; nil: what is, and hosts that are busy migrating count.
    func rejection(
        of server: SupervisedServer, on host: PhysicalServerID, _ settings: MigrationSettings,
        in plan: ServerInventory? = nil
    ) -> PlacementRejection? {
        let request = PlacementRequest(
            service: server.identity.service, resources: server.resourcesAtDestination, rule: server.rule,
            source: server.placement.host)
        if let rejection = (plan ?? inventory).rejection(of: request, on: host) { return rejection }
        if plan == nil, migrations(of: host) >= rebalancing.migrationsPerHost {
            return .busy(host: host, limit: rebalancing.migrationsPerHost)
        }
        guard let from = hostIndex(server.placement.host).flatMap({ hosts[$0].capabilities }),
            let to = hostIndex(host).flatMap({ hosts[$0].capabilities })
        else { return .notUsable(host: host, phase: .unknown) }
        if from.cpuModel != to.cpuModel {
            return .otherProcessor(host: host, needed: from.cpuModel, has: to.cpuModel)
        }
        var needed: [HypervisorCapabilities.Feature] = [.liveMigration]
        if server.template?.disks.contains(where: { !$0.shared }) ?? false { needed.append(.storageMigration) }
        if settings.whenLate == .postCopy { needed.append(.postCopy) }
        if settings.autoConverge, settings.mode == .live { needed.append(.autoConverge) }
        return needed.first { !to.features.contains($0) }.map { .missingFeature(host: host, feature: $0) }
    }

    mutating func migrate(
        _ instance: InstanceID, to wanted: PhysicalServerID?, _ settings: MigrationSettings,
        _ operation: OperationID, _ actor: String, because reasons: (rise: String, decision: String)? = nil
    ) {
        var pending = Operation(
            id: operation, kind: "virtual-server.migrate", actor: actor, service: servers[instance]?.identity.service,
            instance: instance, startedAt: wallClock)
        if let refusal = refusal(ofMigrating: instance, to: wanted, settings) {
            pending.state = .failed
            pending.endedAt = wallClock
            pending.failure = refusal.description
            return effects.append(.operation(pending))
        }
        guard var server = servers[instance], let destination = wanted ?? bestDestination(for: server, settings),
            let target = hostIndex(destination)
        else { return }
        let source = server.placement.host
        server.operation = pending
        server.placement.destination = destination
        server.progress = nil
        server.relocation = "relocation/\(instance)/\(operation)"
        servers[instance] = server
        inventory.reserve(server.resourcesAtDestination, of: server.identity.service, on: destination)
        effects.append(.operation(pending))
        store(instance)
        record(
            "relocation.requested", of: server, actor: actor, step: "1",
            reasons?.rise ?? "\(actor) asks for \(instance) to leave \(source)", ["host": source.rawValue])
        record(
            "relocation.decided", of: server, step: "2",
            (reasons.map { "\($0.decision); " } ?? "")
                + "\(instance) goes from \(source) to \(destination), which has room for it",
            [
                "source": source.rawValue, "destination": destination.rawValue, "mode": settings.mode.rawValue,
            ])
        act(source, .migrate(server.name, of: instance, to: hosts[target].server, settings))
    }

    func bestDestination(
        for server: SupervisedServer, _ settings: MigrationSettings, in plan: ServerInventory? = nil
    ) -> PhysicalServerID? {
        var free = plan ?? inventory
        // Those that cannot take it over for other reasons than room are not asked for room.
        for host in hosts where rejection(of: server, on: host.server.id, settings, in: plan) != nil {
            free.setPhase(of: host.server.id, .unknown)
        }
        let request = PlacementRequest(
            service: server.identity.service, resources: server.resourcesAtDestination, rule: server.rule,
            source: server.placement.host)
        return try? free.place(request).get()
    }

    mutating func migrationEnded(_ instance: InstanceID, _ outcome: MigrationOutcome) {
        guard let server = servers[instance], let destination = server.placement.destination else { return }
        switch outcome {
        case .succeeded(let result): arrived(server, at: destination, result)
        case .failed(let error) where error.code == .unreachable || error.code == .lost:
            // On which side it is, the hosts will say.
            servers[instance]?.phase = .unconfirmed
            for index in hosts.indices where server.mayBe(on: hosts[index].server.id) {
                hosts[index].hasListed = false
                askForList(index)
            }
        case .failed(let error):
            inventory.release(server.resourcesAtDestination, of: server.identity.service, on: destination)
            servers[instance]?.placement.destination = nil
            if server.growsTo != nil { servers[instance]?.growthPausedUntil = now + Self.growthPause }
            servers[instance]?.growsTo = nil
            store(instance)
            record(
                "relocation.failed", of: server,
                "\(instance) stays on \(server.placement.host): \(error.description)",
                ["source": server.placement.host.rawValue, "destination": destination.rawValue])
            finishOperation(instance, kind: nil, failure: error.description)
            drainMigrationFailed(server, error.description)
        }
    }

    private mutating func arrived(
        _ server: SupervisedServer, at destination: PhysicalServerID, _ result: MigrationResult
    ) {
        let source = server.placement.host
        let instance = server.instance
        inventory.release(server.placement.flavor.resources, of: server.identity.service, on: source)
        servers[instance]?.placement.host = destination
        servers[instance]?.placement.destination = nil
        servers[instance]?.startedAt = now
        servers[instance]?.lastSeen = now
        servers[instance]?.movedAt = now
        servers[instance]?.load.movedToAnotherHost()
        store(instance)
        let pause = result.downtime.map { "\($0.millisecondsRoundedUp) ms" } ?? "an unknown time"
        record(
            "relocation.suspended", of: server, step: "3",
            "the hypervisor of \(source) suspends \(instance) for the last part of its state"
                + (result.isPostCopy
                    ? ", as it changes faster than it is copied: it goes on before all of it is there (post-copy)"
                    : ""),
            [
                "host": source.rawValue, "rounds": String(result.rounds),
                "postCopy": result.isPostCopy ? "true" : "false",
            ])
        record(
            "relocation.synchronised", of: server, step: "4",
            "\(instance) is instantiated on \(destination) and its state is synchronised: "
                + "\(result.transferred.bytes) bytes in \(result.totalTime.millisecondsRoundedUp) ms",
            [
                "host": destination.rawValue, "bytes": String(result.transferred.bytes),
                "milliseconds": String(result.totalTime.millisecondsRoundedUp),
            ])
        record(
            "relocation.resumed", of: server, step: "5",
            "the hypervisor of \(destination) resumes \(instance) after \(pause)",
            [
                "host": destination.rawValue,
                "downtimeMilliseconds": result.downtime.map { String($0.millisecondsRoundedUp) } ?? "unknown",
            ])
        finishOperation(instance, kind: nil, failure: nil)
        drainAgain(source)
        growAfterMigration(instance)
        // Asked to stop meanwhile.
        if server.phase == .stopping { act(destination, .destroy(server.name)) }
    }

    mutating func progressed(_ instance: InstanceID, _ progress: MigrationProgress) {
        servers[instance]?.progress = progress
        if let rate = progress.dirtyBytesPerSecond { servers[instance]?.dirtyBytesPerSecond = rate }
    }

    mutating func abortMigration(_ instance: InstanceID, _ actor: String) {
        guard let server = servers[instance], server.isMigrating else { return }
        record("relocation.aborting", of: server, actor: actor, "\(actor) aborts the migration of \(instance)")
        act(server.placement.host, .abortMigration(server.name))
    }

    // MARK: Suspension

    mutating func suspend(_ instance: InstanceID, _ operation: OperationID, _ actor: String) {
        guard begin("virtual-server.suspend", instance, operation, actor, from: .running),
            let server = servers[instance]
        else { return }
        act(server.placement.host, .suspend(server.name))
    }

    mutating func resume(_ instance: InstanceID, _ operation: OperationID, _ actor: String) {
        guard begin("virtual-server.resume", instance, operation, actor, from: .suspended),
            let server = servers[instance]
        else { return }
        act(server.placement.host, .resume(server.name))
    }

    private mutating func begin(
        _ kind: String, _ instance: InstanceID, _ operation: OperationID, _ actor: String,
        from phase: SupervisedServer.Phase
    ) -> Bool {
        var pending = Operation(
            id: operation, kind: kind, actor: actor, service: servers[instance]?.identity.service, instance: instance,
            startedAt: wallClock)
        let server = servers[instance]
        guard let server, server.phase == phase, server.operation == nil else {
            pending.state = .failed
            pending.endedAt = wallClock
            pending.failure =
                server?.operation == nil
                ? "the virtual server is \(server?.phase.rawValue ?? "gone"), not \(phase.rawValue)"
                : "another operation on the virtual server is under way"
            effects.append(.operation(pending))
            return false
        }
        servers[instance]?.operation = pending
        effects.append(.operation(pending))
        return true
    }

    mutating func finishOperation(_ instance: InstanceID, kind: String?, failure: String?) {
        guard var operation = servers[instance]?.operation, kind == nil || operation.kind == kind else { return }
        servers[instance]?.operation = nil
        servers[instance]?.relocation = nil
        operation.endedAt = wallClock
        operation.state = failure == nil ? .succeeded : .failed
        operation.failure = failure
        effects.append(.operation(operation))
    }
}

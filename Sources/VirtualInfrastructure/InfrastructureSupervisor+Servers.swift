import CloudModel

/// The life of virtual servers: placed, run, ended.
extension InfrastructureSupervisor {
    mutating func start(_ identity: VirtualServerIdentity, _ template: VirtualServerTemplate) {
        let instance = identity.instance
        if let known = servers[instance] {
            guard known.identity.incarnation < identity.incarnation else { return repeatStart(known) }
            // Its predecessor has been reported ended, or it would not be started anew.
            forget(instance)
        }
        guard let address = freeAddress(in: template.addresses) else {
            let count = template.addresses.count
            return fail(identity, "all \(count) addresses of \(identity.service) are taken; give it a longer range")
        }
        let request = PlacementRequest(
            service: identity.service, resources: template.flavor.resources, rule: template.placement)
        followLoads()
        switch inventory.place(request) {
        case .failure(let failure): fail(identity, failure.description)
        case .success(let host):
            let definition = VirtualServerDefinition(template, identity, address: address)
            let placement = VirtualServerPlacement(
                host: host, name: definition.name, uuid: definition.uuid, address: address, flavor: template.flavor,
                images: definition.disks.compactMap(\.image))
            let server = SupervisedServer(
                identity: identity, placement: placement, phase: .starting, template: template)
            servers[instance] = server
            store(instance)
            record(
                "virtual-server.placed", of: server, "\(instance) is placed on \(host)",
                ["host": host.rawValue, "name": placement.name.rawValue, "address": address])
            run(definition, on: host)
        }
    }

    /// The answer to an earlier start was lost, or has not come yet.
    mutating func repeatStart(_ known: SupervisedServer) {
        switch known.phase {
        case .running, .suspended, .saved: reportStarted(known)
        case .starting:
            guard let template = known.template, !known.isRunUnderWay else { return }
            let definition = VirtualServerDefinition(template, known.identity, address: known.placement.address)
            run(definition, on: known.placement.host)
        case .stopping, .unconfirmed: break
        }
    }

    private mutating func run(_ definition: VirtualServerDefinition, on host: PhysicalServerID) {
        let isHeard = act(host, .run(definition))
        servers[definition.identity.instance]?.isRunUnderWay = isHeard
    }

    private mutating func fail(_ identity: VirtualServerIdentity, _ reason: String) {
        record(
            "virtual-server.not-placed", "\(identity.instance) finds no place: \(reason)",
            ["service": identity.service.rawValue, "instance": identity.instance.rawValue])
        effects.append(.startFailed(identity.instance, incarnation: identity.incarnation, reason: reason))
    }

    private func freeAddress(in range: AddressRange) -> String? {
        let taken = Set(servers.values.map(\.placement.address))
        // One more than are taken has to be looked at, at most.
        for index in 0..<min(range.count, taken.count + 1) {
            if let address = range.address(index), !taken.contains(address) { return address }
        }
        return nil
    }

    mutating func reportStarted(_ server: SupervisedServer) {
        guard let port = server.template?.port else { return }
        effects.append(
            .started(
                server.instance, incarnation: server.identity.incarnation,
                Endpoint(address: server.placement.address, port: port)))
    }

    // MARK: Stop

    mutating func stop(_ instance: InstanceID, _ incarnation: Int, _ grace: TimeSpan) {
        guard let server = servers[instance], server.identity.incarnation == incarnation else {
            if servers[instance].map({ $0.identity.incarnation < incarnation }) ?? true {
                effects.append(.ended(instance, incarnation: incarnation, crashed: false, ago: nil))
            }
            return
        }
        if server.phase != .unconfirmed { servers[instance]?.phase = .stopping }
        if server.isMigrating { act(server.placement.host, .abortMigration(server.name)) }
        if grace > .zero, server.phase == .running {
            servers[instance]?.destroyAt = now + grace
            act(server.placement.host, .shutDown(server.name))
        } else {
            servers[instance]?.destroyAt = nil
            act(server.placement.host, .destroy(server.name))
        }
    }

    /// It is proven not to run: its place is free, its remains are taken away, and it is told.
    mutating func ended(_ server: SupervisedServer, crashed: Bool, inferred: Bool) {
        forget(server.instance)
        let ago = inferred ? server.lastSeen.map { now - $0 } : nil
        effects.append(
            .ended(
                server.instance, incarnation: server.identity.incarnation, crashed: crashed,
                ago: inferred ? ago ?? .zero : nil))
        if var operation = server.operation {
            operation.state = .failed
            operation.endedAt = wallClock
            operation.failure = "the virtual server ended meanwhile"
            effects.append(.operation(operation))
        }
        act(server.placement.host, .remove(server.name))
        if let destination = server.placement.destination { act(destination, .remove(server.name)) }
    }

    private mutating func forget(_ instance: InstanceID) {
        guard let server = servers.removeValue(forKey: instance) else { return }
        let resources = server.placement.flavor.resources
        inventory.release(resources, of: server.identity.service, on: server.placement.host)
        if let destination = server.placement.destination {
            inventory.release(server.resourcesAtDestination, of: server.identity.service, on: destination)
        }
    }

    // MARK: What the hypervisors report

    mutating func changed(
        _ host: PhysicalServerID, _ name: VirtualServerID, _ uuid: String, _ change: VirtualServerChange
    ) {
        guard let server = servers.values.first(where: { $0.name == name && $0.placement.uuid == uuid }),
            server.mayBe(on: host)
        else { return strayChanged(host, name, change) }
        if let index = hostIndex(host) { hosts[index].health.heard(at: now) }
        let instance = server.instance
        servers[instance]?.lastSeen = now
        switch change {
        case .started:
            wasStarted(server)
            wasRestored(server)
        case .saved: wasSaved(server)
        // One that is saved is suspended first.
        case .suspended where server.placement.parked == .saved: break
        case .suspended where !server.isMigrating && server.phase == .running: wasSuspended(server)
        case .resumed where !server.isMigrating && server.phase == .suspended: wasResumed(server)
        case .resumed where server.phase == .saved: wasRestored(server)
        case .shutOff, .destroyed, .crashed:
            // At the destination of a migration that fails, it was never this virtual server that ran.
            guard server.placement.host == host, !server.isMigrating || server.phase == .stopping else { return }
            ended(server, crashed: change == .crashed, inferred: false)
        case .suspended, .resumed, .arrived, .departed, .defined, .undefined: break
        }
    }

    /// A start that was taken for failed, or lost with its connection, may come true late. What came of it is looked
    /// for at once, so that it is gone before its successor starts.
    private mutating func strayChanged(
        _ host: PhysicalServerID, _ name: VirtualServerID, _ change: VirtualServerChange
    ) {
        guard change == .started || change == .resumed || change == .arrived, name.rawValue.hasPrefix("\(cloud)-"),
            let index = hostIndex(host), hosts[index].isConnected
        else { return }
        askForList(index)
    }

    private mutating func wasStarted(_ server: SupervisedServer) {
        guard server.phase == .starting else { return }
        servers[server.instance]?.phase = .running
        servers[server.instance]?.startedAt = now
        servers[server.instance]?.lastSeen = now
        reportStarted(server)
    }

    private mutating func wasSuspended(_ server: SupervisedServer) {
        servers[server.instance]?.phase = .suspended
        servers[server.instance]?.placement.isSuspended = true
        store(server.instance)
        effects.append(.lifecycle(server.instance, incarnation: server.identity.incarnation, .suspend))
        record(
            "virtual-server.suspended", of: server, "\(server.instance) is suspended on \(server.placement.host)",
            ["host": server.placement.host.rawValue])
        finishOperation(server.instance, kind: "virtual-server.suspend", failure: nil)
        if server.isWaking { wake(server.instance) }
    }

    private mutating func wasResumed(_ server: SupervisedServer) {
        servers[server.instance]?.phase = .running
        servers[server.instance]?.placement.isSuspended = false
        store(server.instance)
        effects.append(.lifecycle(server.instance, incarnation: server.identity.incarnation, .resume))
        record(
            "virtual-server.resumed", of: server, "\(server.instance) is resumed on \(server.placement.host)",
            ["host": server.placement.host.rawValue])
        finishOperation(server.instance, kind: "virtual-server.resume", failure: nil)
        awake(server.instance)
    }

    mutating func commandEnded(
        _ host: PhysicalServerID, _ command: HypervisorCommand, _ failure: HypervisorError?
    ) {
        switch command {
        case .run(let definition):
            guard let server = servers[definition.identity.instance], server.name == definition.name else { return }
            servers[server.instance]?.isRunUnderWay = false
            guard server.phase == .starting else { return }
            guard let failure else { return wasStarted(server) }
            // Nobody knows whether it runs: the host will say so, or be fenced.
            guard failure.code != .unreachable else { return }
            forget(server.instance)
            act(host, .remove(server.name))
            effects.append(
                .startFailed(server.instance, incarnation: server.identity.incarnation, reason: failure.description))
        case .remove(let name), .forget(let name):
            guard failure == nil || failure?.code == .notFound, let index = hostIndex(host) else { return }
            guard hosts[index].toClean.remove(name) != nil, hosts[index].toClean.isEmpty else { return }
            cleaned(index)
        case .destroy(let name):
            // Gone without an event: it had ended before it was asked to.
            guard failure?.code == .notFound, let server = servers.values.first(where: { $0.name == name }),
                server.placement.host == host, server.phase == .stopping
            else { return }
            ended(server, crashed: false, inferred: true)
        case .suspend(let name), .resume(let name):
            guard let failure, let server = servers.values.first(where: { $0.name == name }) else { return }
            parkingFailed(name, on: host, failure)
            finishOperation(server.instance, kind: nil, failure: failure.description)
        case .save(let name):
            if let failure { return parkingFailed(name, on: host, failure) }
            if let server = servers.values.first(where: { $0.name == name }) { wasSaved(server) }
        case .restore(let name):
            if let failure { return parkingFailed(name, on: host, failure) }
            if let server = servers.values.first(where: { $0.name == name }) { wasRestored(server) }
        case .resize(let name, _): resizeEnded(name, on: host, failure)
        case .list, .measure, .shutDown, .migrate, .abortMigration: break
        }
    }
}

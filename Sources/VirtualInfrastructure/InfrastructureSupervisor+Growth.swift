public import CloudModel

/// A change of size that its hypervisor has not answered yet.
struct PendingResize: Hashable, Sendable {
    var from: Int
    var to: Int
    /// The answer was lost: it is asked again when the host lists.
    var isUnanswered = false
}

/// Virtual servers that grow and shrink while they run: by the limit of their processor time, which every hypervisor
/// changes in both directions and which a migration takes along.
extension InfrastructureSupervisor {
    /// After a resize or a relocation that failed, neither is tried for this long.
    static let growthPause = TimeSpan.minutes(1)
    /// A relocation that would take longer than this brings its capacity too late.
    static let longestRelocation = TimeSpan.minutes(2)

    /// The processor time that the virtual server holds, or is about to.
    public func millicores(of instance: InstanceID) -> Int? {
        guard let server = servers[instance] else { return nil }
        return server.growsTo ?? server.placement.flavor.resources.cpuMillicores
    }

    /// How much processor time it could hold where it is.
    public func growth(of instance: InstanceID) -> Int {
        guard let server = servers[instance], mayGrow(server), let index = hostIndex(server.placement.host),
            hosts[index].capabilities?.features.contains(.cpuQuota) == true,
            let maximum = server.template?.flavor.maximumCpuMillicores
        else { return millicores(of: instance) ?? 0 }
        let held = server.placement.flavor.resources.cpuMillicores
        let free = hosts[index].server.capacity.cpuMillicores - inventory.used(on: hosts[index].server.id).cpuMillicores
        return max(held, min(maximum, held + max(0, free)))
    }

    /// How much it could hold on the best other host; 0 where it cannot be moved, or too late.
    public func growthElsewhere(of instance: InstanceID) -> Int {
        guard let server = servers[instance], mayGrow(server), server.operation == nil,
            let maximum = server.template?.flavor.maximumCpuMillicores,
            let time = relocationTime(of: server), time <= Self.longestRelocation
        else { return 0 }
        let held = server.placement.flavor.resources.cpuMillicores
        var best = 0
        for host in hosts where host.capabilities?.features.contains(.cpuQuota) == true {
            let free = host.server.capacity.cpuMillicores - inventory.used(on: host.server.id).cpuMillicores
            guard free > held, refusal(ofMigrating: instance, to: host.server.id, MigrationSettings()) == nil else {
                continue
            }
            best = max(best, min(maximum, free))
        }
        return best
    }

    /// Neither on its way to another size or place, nor refused one a moment ago.
    public func mayBeResized(_ instance: InstanceID) -> Bool { servers[instance].map(mayGrow) ?? false }

    private func mayGrow(_ server: SupervisedServer) -> Bool {
        server.phase == .running && !server.isMigrating && server.resize == nil && server.growsTo == nil
            && now >= server.growthPausedUntil ?? .epoch
    }

    private func relocationTime(of server: SupervisedServer) -> TimeSpan? {
        let settings = Rebalancer.Settings()
        return PreCopyCost(
            memory: server.placement.flavor.memory, dirtyBytesPerSecond: server.dirtyBytesPerSecond ?? 0,
            bandwidthBytesPerSecond: settings.bandwidthBytesPerSecond, maximumDowntime: settings.maximumDowntime
        ).totalTime
    }

    // MARK: In place

    mutating func resize(_ instance: InstanceID, to millicores: Int, _ reason: String) {
        guard let server = servers[instance], server.resize == nil, !server.isMigrating else { return }
        let old = server.placement.flavor.resources.cpuMillicores
        guard old != millicores, millicores > 0, millicores <= max(old, growth(of: instance)) else { return }
        hold(millicores, instance)
        servers[instance]?.resize = PendingResize(from: old, to: millicores)
        store(instance)
        record(
            "virtual-server.resizing", of: server,
            "\(instance) is given \(millicores) millicores instead of \(old) on \(server.placement.host): \(reason)",
            ["from": String(old), "to": String(millicores), "host": server.placement.host.rawValue])
        askToResize(instance)
    }

    /// Reserved from now on, where it is.
    private mutating func hold(_ millicores: Int, _ instance: InstanceID) {
        guard let server = servers[instance] else { return }
        let (service, host) = (server.identity.service, server.placement.host)
        inventory.release(server.placement.flavor.resources, of: service, on: host)
        servers[instance]?.placement.flavor.cpuMillicores = millicores
        if let grown = servers[instance] {
            inventory.reserve(grown.placement.flavor.resources, of: service, on: host)
        }
    }

    private mutating func askToResize(_ instance: InstanceID) {
        guard let server = servers[instance], let resize = server.resize else { return }
        let isHeard = act(server.placement.host, .resize(server.name, ResizeRequest(cpuMillicores: resize.to)))
        servers[instance]?.resize?.isUnanswered = !isHeard
    }

    mutating func resizeEnded(_ name: VirtualServerID, on host: PhysicalServerID, _ failure: HypervisorError?) {
        guard let server = servers.values.first(where: { $0.name == name }), let resize = server.resize,
            server.placement.host == host
        else { return }
        let instance = server.instance
        guard let failure else {
            servers[instance]?.resize = nil
            servers[instance]?.lastSeen = now
            effects.append(.lifecycle(instance, incarnation: server.identity.incarnation, .resize))
            return record(
                "virtual-server.resized", of: server, "\(instance) has \(resize.to) millicores on \(host)",
                ["from": String(resize.from), "to": String(resize.to), "host": host.rawValue])
        }
        guard failure.code != .unreachable else {
            servers[instance]?.resize?.isUnanswered = true
            return
        }
        servers[instance]?.resize = nil
        servers[instance]?.growthPausedUntil = now + Self.growthPause
        hold(resize.from, instance)
        store(instance)
        record(
            "virtual-server.resize-failed", of: server, "\(instance) keeps \(resize.from) millicores: \(failure)",
            ["host": host.rawValue])
    }

    /// The host has said what it has: what it may not have heard is said again.
    mutating func repeatResizes(on host: PhysicalServerID) {
        for instance in servers.keys.sorted() {
            guard let server = servers[instance], server.placement.host == host, server.resize?.isUnanswered == true
            else { continue }
            askToResize(instance)
        }
    }

    /// After a restart: whether the size that is stored was ever told to the hypervisor, nobody knows.
    mutating func assureSize(of instance: InstanceID) {
        guard let server = servers[instance], let template = server.template,
            template.flavor.maximumCpuMillicores != nil
        else { return }
        let (size, usual) = (server.placement.flavor.resources.cpuMillicores, template.flavor.resources.cpuMillicores)
        guard size != usual else { return }
        servers[instance]?.resize = PendingResize(from: size, to: size)
        askToResize(instance)
    }

    // MARK: Elsewhere

    mutating func relocate(
        _ instance: InstanceID, growingTo millicores: Int, _ operation: OperationID, _ reason: String
    ) {
        guard let server = servers[instance], mayGrow(server) else { return }
        let here = growth(of: instance)
        servers[instance]?.growsTo = millicores
        migrate(
            instance, to: nil, MigrationSettings(), operation, "control-plane",
            because: (
                reason,
                "it can have no more than \(here) millicores on \(server.placement.host), which others use"
            ))
        if servers[instance]?.isMigrating != true { servers[instance]?.growsTo = nil }
    }

    /// It has arrived where there is room for it.
    mutating func growAfterMigration(_ instance: InstanceID) {
        guard let server = servers[instance], let millicores = server.growsTo else { return }
        servers[instance]?.growsTo = nil
        let old = server.placement.flavor.resources.cpuMillicores
        // Its larger size is reserved there already.
        servers[instance]?.placement.flavor.cpuMillicores = millicores
        servers[instance]?.resize = PendingResize(from: old, to: millicores)
        store(instance)
        askToResize(instance)
    }
}

extension SupervisedServer {
    /// What is reserved for it where it is on its way to.
    var resourcesAtDestination: ServerResources {
        var resources = placement.flavor.resources
        if let growsTo { resources.cpuMillicores = growsTo }
        return resources
    }
}

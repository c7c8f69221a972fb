import CloudController
import CloudModel

/// What a cloud at rest looks like, from the desired state alone.
extension Auditor {
    /// What is not as desired; nil at rest.
    func unrest(
        store: SimulatedStore, processes: SimulatedProcesses, snapshot: DataPlaneSnapshot, incidents: [Incident]
    ) -> String? {
        for service in store.configuration.services {
            let group = store.configuration.failoverGroups.first { $0.service == service.id }
            let instances = store.instances.values.filter { $0.service == service.id }.sorted { $0.id < $1.id }
            let unrest =
                service.instances.isProcess
                ? unrest(of: service, group, instances, processes, snapshot) : unrest(ofFixed: service, snapshot)
            if let unrest { return unrest }
        }
        let known = Set(store.configuration.services.map(\.id))
        if let left = store.instances.values.first(where: { !known.contains($0.service) }) {
            return "\(left.id) is left of a service that was removed"
        }
        if let orphan = processes.sorted.first(where: { store.instances[$0.id]?.incarnation != $0.incarnation }) {
            return "\(orphan.id)/\(orphan.incarnation) runs, and nobody knows of it"
        }
        if let operation = store.operations.keys.sorted().first { return "operation \(operation) never ends" }
        let lasting = (incidents + store.openIncidents).first { $0.kind != .limitReached }
        return lasting.map { "incident \($0.id) is still open" }
    }

    private func unrest(
        of service: CloudService, _ group: FailoverGroup?, _ instances: [ServiceInstance],
        _ processes: SimulatedProcesses, _ snapshot: DataPlaneSnapshot
    ) -> String? {
        let constraints = service.constraints
        var standbys = 0
        if let group, group.mode == .activePassive {
            standbys = min(group.standbys, constraints.maximumInstances - max(1, constraints.minimumInstances))
        }
        let actives = instances.filter { $0.role == .active }
        guard (constraints.minimumInstances...constraints.maximumInstances - standbys).contains(actives.count) else {
            return "\(service.id) has \(actives.count) active instances"
        }
        guard instances.count - actives.count == standbys else {
            return "\(service.id) has \(instances.count - actives.count) standbys, not \(standbys)"
        }
        for instance in instances {
            let isIdle = instance.role == .standby && group?.standbyReadiness == .cold && instance.phase == .requested
            if isIdle { continue }
            guard instance.phase == .running, instance.operational == .up else {
                return "\(instance.id) is \(instance.phase) and \(instance.operational)"
            }
            let process = processes[ProcessKey(id: instance.id, incarnation: instance.incarnation)]
            guard let process, process.isReady, !process.isHung, process.endpoint == instance.endpoint else {
                return "\(instance.id) is said to be up, and is not"
            }
            if process.command != service.commandLine { return "\(instance.id) runs an old program" }
        }
        let shown = snapshot.services.first { $0.service.id == service.id }?.backends.map(\.instance) ?? []
        if shown != actives.map(\.id) { return "the load balancer has \(shown), not \(actives.map(\.id))" }
        return nil
    }

    private func unrest(ofFixed service: CloudService, _ snapshot: DataPlaneSnapshot) -> String? {
        guard case .endpoints(let endpoints) = service.instances else { return nil }
        let shown = snapshot.services.first { $0.service.id == service.id }?.backends.count ?? 0
        return shown == endpoints.count ? nil : "\(shown) of \(endpoints.count) addresses are in the balance"
    }
}

import CloudModel
import ScalingListener
import VirtualInfrastructure

/// Virtual servers whose sizes follow what they use: larger where they are, else on another host, else more of them,
/// else a person is told. What is measured by the hypervisors is what it is decided by.
extension CloudController {
    mutating func followSizes(_ event: InfrastructureEvent) {
        guard case .measured(let host, _) = event else { return }
        var services: Set<ServiceID> = []
        for (instance, server) in infrastructure.servers where server.placement.host == host {
            if let service = serviceOfInstance[instance] { services.insert(service) }
        }
        for service in services.sorted() { followSizes(of: service, on: host) }
    }

    private mutating func followSizes(of service: ServiceID, on host: PhysicalServerID) {
        guard let index = supervisorIndex(of: service), !isHeld else { return }
        let supervisor = supervisors[index]
        let scaling = supervisor.service.scaling
        guard scaling.vertical != .demand, !supervisor.isRemoved, !supervisor.isShutDown,
            let bounds = supervisor.sizeBounds
        else { return }
        if supervisors[index].sizer == nil { supervisors[index].sizer = VerticalSizer(scaling.vertical) }
        supervisors[index].sizer?.keep(Set(supervisor.members.map(\.id)))
        let workers = supervisor.workers.filter { $0.isUp && $0.instance.virtualServer?.host == host }
        for worker in workers {
            guard let used = supervisor.meter.millicores(of: worker.id, at: context.steady),
                let given = infrastructure.millicores(of: worker.id)
            else { continue }
            let wanted = supervisors[index].sizer?.size(
                of: worker.id, used: used, given: given, bounds, window: scaling.scaleInStabilisation,
                at: context.steady)
            if let wanted {
                change(worker.id, from: given, to: wanted, used: used, service)
            } else {
                supervise(service) { supervisor, _ in (supervisor.lacksSize, supervisor.toldOfMissing) = (false, false)
                }
            }
        }
    }

    private mutating func change(
        _ instance: InstanceID, from given: Int, to wanted: Int, used: Double, _ service: ServiceID
    ) {
        guard let index = supervisorIndex(of: service) else { return }
        let kind = supervisors[index].service.scaling.vertical
        let why = "\(kind.rawValue): it uses \(Int(used.rounded())) of \(given) millicores and should have \(wanted)"
        if supervisors[index].service.scaling.isDryRun {
            return supervise(service) { $0.proposeSize(instance, from: given, to: wanted, why, &$1) }
        }
        guard wanted > given else {
            return tellInfrastructure(.resize(instance, cpuMillicores: wanted, reason: why))
        }
        let here = infrastructure.growth(of: instance)
        if here >= wanted { return tellInfrastructure(.resize(instance, cpuMillicores: wanted, reason: why)) }
        let elsewhere = min(wanted, infrastructure.growthElsewhere(of: instance))
        if elsewhere > here {
            let operation = OperationID("op-relocate-\(instance)-\(context.now.microseconds)")
            return tellInfrastructure(
                .relocate(instance, cpuMillicores: elsewhere, operation: operation, reason: why))
        }
        // Under way to another size, or it was refused a moment ago: the next reading tells.
        guard infrastructure.mayBeResized(instance) else { return }
        if here > given { tellInfrastructure(.resize(instance, cpuMillicores: here, reason: why)) }
        supervise(service) { $0.sizeUnavailable(instance, wanted, &$1) }
    }
}

extension ServiceSupervisor {
    /// From the template's size to its maximum.
    var sizeBounds: VerticalSizer.Bounds? {
        guard let flavor = service.virtualServerTemplate?.flavor, let least = flavor.cpuMillicores,
            let most = flavor.maximumCpuMillicores
        else { return nil }
        return VerticalSizer.Bounds(least: least, most: most)
    }

    /// More instances, as far as there may be, one at a time: each takes a part of the work once it serves.
    mutating func sizeUnavailable(_ instance: InstanceID, _ wanted: Int, _ context: inout StepContext) {
        lacksSize = true
        let reason = ScalingReason.sizeUnavailable(instance, wanted: wanted, service.scaling.vertical)
        if target < activeCeiling {
            guard workers.allSatisfy(\.isUp), workers.count >= target else { return }
            scaledOut(from: target, to: target + 1, reason, &context)
            target += 1
            needsReconciliation = true
        } else {
            tellOfMissing(
                "\(id) lacks capacity: \(reason)", reason, ["instance": instance.rawValue, "wanted": String(wanted)],
                &context)
        }
    }

    /// The projection guard: fewer instances do not have to do more than their sizes can grow to, and while a size is
    /// missing none goes.
    func mayLose(_ count: Int, _ context: StepContext) -> Bool {
        guard service.scaling.vertical != .demand, let bounds = sizeBounds else { return true }
        guard !lacksSize else { return false }
        let up = workers.filter(\.isUp)
        let used = up.compactMap { meter.millicores(of: $0.id, at: context.steady) }
        guard used.count == up.count, up.count > count else { return false }
        return used.reduce(0, +) / Double(up.count - count) <= 0.8 * Double(bounds.most)
    }

    mutating func proposeSize(
        _ instance: InstanceID, from given: Int, to wanted: Int, _ why: String, _ context: inout StepContext
    ) {
        guard proposedSizes[instance] != wanted else { return }
        proposedSizes = proposedSizes.filter { index(of: $0.key) != nil }
        proposedSizes[instance] = wanted
        context.record(
            "scaling.decided.dry-run", service: id, instance: instance,
            "\(instance) would be given \(wanted) millicores instead of \(given): \(why)",
            ["from": String(given), "to": String(wanted), "reason": why, "policy": service.scaling.vertical.rawValue])
    }
}

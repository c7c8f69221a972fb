import CloudModel
import ScalingListener
import VirtualInfrastructure

/// What a service's scaling asks for, where its instances can grow: in units of the template's size.
struct EscalationWish: Hashable, Sendable {
    var isRise: Bool
    var units: Int
    /// That there are.
    var from: Int
    var reason: ScalingReason
}

/// Finds the capacity: larger where it is, larger elsewhere, more instances, or a person.
extension CloudController {
    /// Taken just before a sample is decided on: sizes change by what hypervisors answer.
    mutating func noteSizes(of service: ServiceID) {
        guard let index = supervisorIndex(of: service), supervisors[index].unitsOfGrowth != nil else { return }
        var sizes: [InstanceID: Int] = [:]
        for member in supervisors[index].members { sizes[member.id] = infrastructure.millicores(of: member.id) }
        supervisors[index].millicores = sizes
    }

    mutating func escalate(_ service: ServiceID) {
        guard let index = supervisorIndex(of: service), let wish = supervisors[index].escalation.take(),
            let size = supervisors[index].unitSize
        else { return }
        let members = supervisors[index].workers.map { member -> Escalation.Member in
            let units = supervisors[index].units(of: member.id)
            guard wish.isRise, member.isUp else {
                return Escalation.Member(instance: member.id, units: units, unitsHere: units)
            }
            return Escalation.Member(
                instance: member.id, units: units, unitsHere: max(units, infrastructure.growth(of: member.id) / size),
                unitsElsewhere: infrastructure.growthElsewhere(of: member.id) / size)
        }
        let steps =
            wish.isRise
            ? Escalation.up(
                by: wish.units, members: members,
                instances: supervisors[index].activeCeiling - supervisors[index].target)
            : Escalation.down(
                by: wish.units, members: members, minimum: supervisors[index].service.constraints.minimumInstances)
        supervise(service) { $0.recordEscalation(steps, wish, &$1) }
        for step in steps { carryOut(step, wish, size, service) }
        if !wish.isRise { supervise(service) { supervisor, _ in supervisor.toldOfMissing = false } }
    }

    private mutating func carryOut(_ step: Escalation.Step, _ wish: EscalationWish, _ size: Int, _ service: ServiceID) {
        let why = wish.reason.description
        switch step {
        case .scaleUp(let instance, let units), .scaleDown(let instance, let units):
            tellInfrastructure(.resize(instance, cpuMillicores: units * size, reason: why))
        case .relocate(let instance, let units):
            let operation = OperationID("op-relocate-\(instance)-\(context.now.microseconds)")
            tellInfrastructure(
                .relocate(
                    instance, cpuMillicores: units * size, operation: operation,
                    reason: "the workload of \(service) rises: \(why)"))
        case .scaleOut(let count): supervise(service) { $0.scaleOut(by: count, wish, &$1) }
        case .scaleIn(let count): supervise(service) { $0.scaleIn(by: count, wish, &$1) }
        case .notify(let missing): supervise(service) { $0.tellOfMissing(missing, wish, &$1) }
        }
    }
}

extension ServiceSupervisor {
    /// The processor time of one unit; nil where instances do not grow.
    var unitSize: Int? {
        guard service.scaling.vertical == .demand, let flavor = service.virtualServerTemplate?.flavor,
            let size = flavor.cpuMillicores,
            let maximum = flavor.maximumCpuMillicores, size > 0, maximum > size
        else { return nil }
        return size
    }

    /// The units that one instance may have at most.
    var unitsOfGrowth: Int? {
        guard let size = unitSize, let maximum = service.virtualServerTemplate?.flavor.maximumCpuMillicores else {
            return nil
        }
        return maximum / size
    }

    /// Instances that do the work or are about to, the oldest first.
    var workers: [SupervisedInstance] {
        let able = members.filter { $0.instance.role == .active && $0.counts && $0.isAble }
        return able.sorted { ordinal(of: $0.id) < ordinal(of: $1.id) }
    }

    var units: Int { workers.reduce(0) { $0 + units(of: $1.id) } }

    func units(of instance: InstanceID) -> Int {
        guard let size = unitSize, let held = millicores[instance] else { return 1 }
        return max(1, held / size)
    }

    /// Of sizes; what becomes of the number of instances is recorded with it.
    fileprivate mutating func recordEscalation(
        _ steps: [Escalation.Step], _ wish: EscalationWish, _ context: inout StepContext
    ) {
        let sizes = steps.compactMap { step -> String? in
            switch step {
            case .scaleUp(let id, let units): "\(id) grows to \(units)"
            case .relocate(let id, let units): "\(id) moves to grow to \(units)"
            case .scaleDown(let id, let units): "\(id) shrinks to \(units)"
            case .scaleOut, .scaleIn, .notify: nil
            }
        }
        guard !sizes.isEmpty else { return }
        let wanted = wish.isRise ? wish.from + wish.units : wish.from - wish.units
        context.record(
            "scaling.decided", service: id,
            "\(id) goes from \(wish.from) to \(wanted) times its template's size: \(sizes.joined(separator: ", ")); "
                + wish.reason.description,
            decided(from: wish.from, to: wanted, wish.reason))
    }

    fileprivate mutating func scaleOut(by count: Int, _ wish: EscalationWish, _ context: inout StepContext) {
        scaledOut(from: target, to: target + count, wish.reason, &context)
        target += count
        needsReconciliation = true
    }

    fileprivate mutating func scaleIn(by count: Int, _ wish: EscalationWish, _ context: inout StepContext) {
        scaledIn(from: target, to: target - count, wish.reason, &context)
        target -= count
        needsReconciliation = true
    }

    /// Once, until the load has fallen.
    fileprivate mutating func tellOfMissing(_ missing: Int, _ wish: EscalationWish, _ context: inout StepContext) {
        tellOfMissing(
            "\(id) lacks capacity for \(missing) more of \(units), which no physical server has: \(wish.reason)",
            wish.reason, ["missing": String(missing)], &context)
    }

    mutating func tellOfMissing(
        _ summary: String, _ reason: ScalingReason, _ facts: [String: String], _ context: inout StepContext
    ) {
        guard !toldOfMissing else { return }
        toldOfMissing = true
        let reason = reason.description
        context.record(
            "scaling.exhausted", service: id, summary, facts.merging(["reason": reason]) { $1 })
        context.write(
            .notify(
                Notification(
                    id: NotificationID("scaling-exhausted/\(id)/\(context.now.microseconds)"), at: context.now,
                    severity: .warning, kind: "scaling-exhausted", service: id,
                    title: "\(id) cannot be given what its load asks for",
                    body: "\(reason). No physical server has room for more, and there are as many instances as the "
                        + "constraints permit. Add a physical server, or raise maximumInstances.")))
    }
}

import CloudModel
import Failover

/// Makes the number and the roles of the instances what is wanted, never past the hard cap.
extension ServiceSupervisor {
    /// Standbys that are kept: those of the failover group, or the warm pool, as far as the work leaves room.
    private var wantedStandbys: Int {
        switch group.mode {
        case .activePassive: return failoverStandbys
        case .activeActive:
            return max(0, min(service.scaling.warmPool?.instances ?? 0, service.constraints.maximumInstances - target))
        }
    }

    /// Of the failover group, as far as the cap leaves room beside the minimum.
    private var failoverStandbys: Int {
        guard group.mode == .activePassive else { return 0 }
        let room = service.constraints.maximumInstances - max(1, service.constraints.minimumInstances)
        return max(0, min(group.standbys, room))
    }

    /// The most active instances that there may be.
    var activeCeiling: Int { max(0, service.constraints.maximumInstances - failoverStandbys) }

    private var countingActives: Int { members.count { $0.counts && $0.instance.role == .active } }
    private var countingStandbys: Int { members.count { $0.counts && $0.instance.role == .standby } }
    private var isFull: Bool {
        var count = members.count
        if plantedDefect == .capIgnoresStopping { count -= members.count { $0.instance.phase == .stopping } }
        return count >= service.constraints.maximumInstances
    }

    /// As much runs as may run: the maximum was lowered, and what has to go is still going. Nothing starts meanwhile.
    var isCrowded: Bool {
        guard plantedDefect == nil else { return false }
        let running = members.count { member in
            switch member.instance.phase {
            case .starting, .running, .stopping: true
            case .requested, .failed, .removed: false
            }
        }
        return running >= service.constraints.maximumInstances
    }

    mutating func reconcile(_ context: inout StepContext) {
        if isShutDown || isRemoved { return leaveAll(&context) }
        guard isManaged else { return reconcileEndpoints(&context) }
        leaveWhere(&context) { !$0.isManaged }
        target = min(max(target, service.constraints.minimumInstances), activeCeiling)
        promote(&context)
        retireSurplus(&context)
        retireExcess(&context)
        releaseSubstituted(&context)
        fillUp(&context)
        rollOut(&context)
        startDueMembers(&context)
        parkAndWake(&context)
    }

    // MARK: Too few

    /// Fewer active instances than wanted, and a standby that could be one.
    private mutating func promote(_ context: inout StepContext) {
        while countingActives < target {
            let candidates = members.map { GroupMember(id: $0.id, role: $0.instance.role, condition: $0.condition) }
            guard let best = Switchover.bestStandby(of: candidates), let index = index(of: best.id) else { return }
            touch(index)
            members[index].instance.role = .active
            if members[index].isUp { members[index].instance.upSince = context.now }
            if best.condition == .cold { members[index].startDueAt = context.steady }
            context.record(
                "standby.activated", service: id, instance: best.id,
                "\(nameOfStandby) \(best.id) becomes active: \(target) active instances are wanted")
        }
    }

    private mutating func fillUp(_ context: inout StepContext) {
        while countingActives < target && !isFull {
            create(role: .active, startDueAt: context.steady, &context)
        }
        let isCold = group.mode == .activePassive && group.standbyReadiness == .cold
        while countingStandbys < wantedStandbys && !isFull {
            create(role: .standby, startDueAt: isCold ? nil : context.steady, &context)
        }
        warmUp(&context)
    }

    /// A group whose readiness was changed to warm starts the standbys that are idle.
    private mutating func warmUp(_ context: inout StepContext) {
        guard group.mode == .activePassive, group.standbyReadiness == .warm else { return }
        for index in members.indices where members[index].isIdle && members[index].counts {
            touch(index)
            members[index].startDueAt = context.steady
        }
    }

    // MARK: Too many

    private mutating func retireSurplus(_ context: inout StepContext) {
        var surplus = countingActives - target
        while surplus > 0, let victim = leastMissed(where: { $0.counts && $0.instance.role == .active }) {
            surplus -= 1
            if countingStandbys < wantedStandbys, members[victim].isUp, isTakenBack(victim) {
                touch(victim)
                members[victim].instance.role = .standby
                context.record(
                    "standby.assigned", service: id, instance: members[victim].id,
                    "\(members[victim].id) becomes a \(nameOfStandby)")
            } else {
                leave(victim, "\(target) active instances are wanted", &context)
            }
        }
        var idle = countingStandbys - wantedStandbys
        while idle > 0, let victim = leastMissed(where: { $0.counts && $0.instance.role == .standby }) {
            idle -= 1
            leave(victim, "\(wantedStandbys) \(nameOfStandby)s are wanted", &context)
        }
    }

    private var nameOfStandby: String { group.mode == .activePassive ? "standby" : "warm instance" }

    /// One that is about to be parked must have ended its requests first: it is drained and replaced.
    private func isTakenBack(_ index: Int) -> Bool {
        group.mode == .activePassive || service.scaling.warmPool?.parked == nil
            || latest?.perInstance[members[index].id] ?? 0 == 0
    }

    /// The maximum was lowered below what there is: those that an administrator keeps from work go first.
    private mutating func retireExcess(_ context: inout StepContext) {
        var excess = members.count { !$0.isLeaving } - service.constraints.maximumInstances
        while excess > 0, let victim = leastMissed(where: { !$0.isLeaving }) {
            excess -= 1
            leave(victim, "the maximum is \(service.constraints.maximumInstances)", &context)
        }
    }

    /// Whose loss costs least: what does no work before what works, then the newest (its caches are the coldest), which
    /// also spares one that an administrator has just given back to the work.
    private func leastMissed(where isCandidate: (SupervisedInstance) -> Bool) -> Int? {
        func rank(_ member: SupervisedInstance) -> (Int, Int, Int) {
            let use: Int
            switch member.instance.phase {
            case .failed, .removed: use = 0
            case .requested: use = 1
            case .stopping: use = 2
            case .starting: use = 3
            case .running:
                if member.instance.administrative != .enabled {
                    use = 4
                } else if !member.isUp {
                    use = 5
                } else {
                    use = member.instance.role == .standby ? 6 : 7
                }
            }
            return (use, -ordinal(of: member.id), latest?.perInstance[member.id] ?? 0)
        }
        return members.indices.filter { isCandidate(members[$0]) }.min { rank(members[$0]) < rank(members[$1]) }
    }

    /// The number at the end of the name.
    func ordinal(of instance: InstanceID) -> Int {
        let digits = instance.rawValue.utf8.reversed().prefix { (0x30...0x39).contains($0) }
        return digits.reversed().reduce(0) { ($0 &* 10) &+ Int($1 - 0x30) }
    }

    /// Takes leave of an instance: what carries work is drained first, what runs is stopped, what does not run is
    /// removed.
    mutating func leave(_ index: Int, _ reason: String, _ context: inout StepContext) {
        guard !members[index].isLeaving else { return }
        touch(index)
        needsReconciliation = true
        breaker.forget(members[index].id)
        guard members[index].isManaged else { return remove(index, &context) }
        switch members[index].instance.phase {
        case .requested, .failed, .removed: remove(index, &context)
        case .starting: stop(index, then: .removal, grace: .zero, reason, &context)
        case .stopping: members[index].destination = .removal
        case .running: drain(index, then: .removal, reason, &context)
        }
    }

    /// Keeps new requests away, and goes on when those that are there have ended or the drain timeout has passed.
    mutating func drain(
        _ index: Int, then destination: SupervisedInstance.Destination, _ reason: String,
        _ context: inout StepContext
    ) {
        touch(index)
        members[index].waitsForSubstitute = false
        guard members[index].published != nil, members[index].heldSince == nil else {
            return stop(index, then: destination, reason, &context)
        }
        members[index].destination = destination
        if members[index].drainUntil == nil {
            members[index].drainBeganAt = context.now
            members[index].drainUntil = context.steady + service.loadBalancing.drainTimeout
        }
        context.record(
            "instance.draining", service: id, instance: members[index].id, "\(members[index].id) is drained: \(reason)")
    }

    /// Its requests have ended, or have had their time.
    mutating func drained(_ index: Int, _ context: inout StepContext) {
        members[index].drainUntil = nil
        members[index].drainBeganAt = nil
        succeedOperations(of: index, kind: .drain, &context)
        guard let destination = members[index].destination, members[index].instance.phase == .running else { return }
        stop(index, then: destination, "it is drained", &context)
    }

    private mutating func leaveAll(_ context: inout StepContext) {
        for id in members.filter({ !$0.isLeaving }).map(\.id) {
            guard let index = index(of: id), members[index].isManaged || isRemoved else { continue }
            if isShutDown, members[index].instance.phase == .running {
                stop(index, then: .removal, "the platform stops", &context)
            } else {
                leave(index, isShutDown ? "the platform stops" : "the service is removed", &context)
            }
        }
        for index in members.indices where isShutDown && members[index].drainUntil != nil {
            drained(index, &context)
        }
    }

    private mutating func leaveWhere(
        _ context: inout StepContext, _ isUnwanted: (SupervisedInstance) -> Bool
    ) {
        for id in members.filter({ isUnwanted($0) && !$0.isLeaving }).map(\.id) {
            guard let index = index(of: id) else { continue }
            leave(index, "the service's instances are of another kind now", &context)
        }
    }

    // MARK: Rolling replacement

    private func isOutdated(_ member: SupervisedInstance, _ digest: String?) -> Bool {
        guard !member.isLeaving, member.destination == nil, !member.waitsForSubstitute else { return false }
        switch member.instance.phase {
        case .starting, .running: return member.instance.templateDigest != digest
        case .requested, .stopping, .failed, .removed: return false
        }
    }

    /// Replaces instances of an earlier template one at a time: by a new one beside it where the cap leaves room, else
    /// by stopping it first. Waits while any other is not up, so that a template that does not start stops nothing
    /// more.
    private mutating func rollOut(_ context: inout StepContext) {
        let digest = service.templateDigest
        let outdated = members.indices.filter { isOutdated(members[$0], digest) }
        guard !outdated.isEmpty else { return }
        if let starting = outdated.first(where: { members[$0].instance.phase == .starting }) {
            return stop(starting, then: .restart, grace: .zero, "the service was changed", &context)
        }
        let isQuiet = members.allSatisfy {
            !$0.waitsForSubstitute && $0.destination == nil && ($0.isUp || $0.isParked || $0.isIdle || !$0.counts)
        }
        guard isQuiet, breaker.isClosed else { return }
        // Standbys first: when the active one goes, a standby of the new template takes over.
        let next = outdated.first { members[$0].instance.role == .standby } ?? outdated[0]
        if members[next].instance.role == .active, group.mode == .activePassive, swapRoles(next, &context) { return }
        if members[next].instance.role == .active, !isFull {
            touch(next)
            needsReconciliation = true
            members[next].waitsForSubstitute = true
            context.record(
                "instance.replacing", service: id, instance: members[next].id,
                "\(members[next].id) is replaced: the service was changed")
        } else {
            drain(next, then: .restart, "the service was changed", &context)
            needsReconciliation = true
        }
    }

    /// A standby that is up already takes the place of an active instance that is about to be restarted.
    private mutating func swapRoles(
        _ active: Int, because why: String = "which is replaced", _ context: inout StepContext
    ) -> Bool {
        guard
            let standby = members.indices.first(where: {
                members[$0].instance.role == .standby && members[$0].isUp && members[$0].condition == .up
            })
        else { return false }
        touch(active)
        touch(standby)
        needsReconciliation = true
        members[active].instance.role = .standby
        members[standby].instance.role = .active
        members[standby].instance.upSince = context.now
        context.record(
            "standby.activated", service: id, instance: members[standby].id,
            "standby \(members[standby].id) takes over from \(members[active].id), \(why)")
        return true
    }

    /// Lets go of those whose substitutes are up.
    private mutating func releaseSubstituted(_ context: inout StepContext) {
        for id in members.filter(\.waitsForSubstitute).map(\.id) {
            guard let index = index(of: id) else { continue }
            let isCurrent = members[index].instance.templateDigest == service.templateDigest
            if isCurrent || (isFull && countingActives < target) {
                // The change was taken back, or there is no room for a substitute any more.
                touch(index)
                needsReconciliation = true
                members[index].waitsForSubstitute = false
                continue
            }
            let up = members.count { $0.isAble && $0.isUp && $0.instance.role == .active }
            if up >= target { leave(index, "another is up in its stead", &context) }
        }
    }

    // MARK: Fixed endpoints

    /// One instance for each address, named by its place in the list.
    private mutating func reconcileEndpoints(_ context: inout StepContext) {
        leaveWhere(&context) { $0.isManaged }
        let endpoints = service.fixedEndpoints ?? []
        let names = endpoints.indices.map { InstanceID("\(id)-ep\($0 + 1)") }
        let wanted = Set(names)
        for id in members.filter({ !$0.isManaged && !wanted.contains($0.id) }).map(\.id) {
            if let index = index(of: id) { remove(index, &context) }
        }
        target =
            group.mode == .activeActive
            ? endpoints.count : max(min(1, endpoints.count), endpoints.count - group.standbys)
        for (place, name) in names.enumerated() {
            if let index = index(of: name) {
                guard members[index].instance.endpoint != endpoints[place] else { continue }
                remove(index, &context)
            }
            let role: FailoverRole =
                members.count { !$0.isManaged && $0.instance.role == .active } < target ? .active : .standby
            addEndpoint(name, endpoints[place], role, &context)
        }
        promote(&context)
        demoteEndpoints()
        passOver(&context)
    }

    /// In an active-passive group an address that was down before it could fail (when the platform or the group began)
    /// gives its place to a standby that is up.
    private mutating func passOver(_ context: inout StepContext) {
        guard group.mode == .activePassive else { return }
        for index in members.indices {
            let member = members[index].instance
            guard member.role == .active, member.operational == .down, members[index].heldSince == nil else { continue }
            guard swapRoles(index, because: "which does not pass its checks", &context) else { return }
        }
    }

    private mutating func addEndpoint(
        _ name: InstanceID, _ endpoint: Endpoint, _ role: FailoverRole, _ context: inout StepContext
    ) {
        let instance = ServiceInstance(
            id: name, service: id, phase: .starting, role: role, incarnation: 1, endpoint: endpoint,
            requestedAt: context.now)
        var member = SupervisedInstance(instance, isManaged: false)
        member.probeDueAt = context.steady
        _ = insert(member)
        context.record(
            "instance.added", service: id, instance: name, "\(name) at \(endpoint) is checked from now on")
    }

    /// The mode or the number of standbys was changed, or one came back from maintenance.
    private mutating func demoteEndpoints() {
        var surplus = countingActives - target
        for index in members.indices.reversed()
        where surplus > 0 && members[index].counts && members[index].instance.role == .active {
            touch(index)
            members[index].instance.role = .standby
            surplus -= 1
        }
    }
}

import CloudModel
import Failover

/// What the infrastructure is to do with a standby's virtual server.
struct StandbyWish: Hashable, Sendable {
    var instance: InstanceID
    /// Nil: it is needed.
    var park: ParkedState?
}

extension CloudController {
    /// - Returns: whether there were any.
    mutating func giveInfrastructureItsStandbys() -> Bool {
        guard !standbys.isEmpty else { return false }
        let wishes = standbys
        standbys = []
        for wish in wishes {
            tellInfrastructure(wish.park.map { .park(wish.instance, $0) } ?? .wake(wish.instance))
        }
        return true
    }
}

/// Standbys on virtual servers: parked once they have proven to work, and woken when they are needed.
extension ServiceSupervisor {
    /// How a standby waits; nil where it runs, or is not started at all.
    private var parkedState: ParkedState? {
        guard service.virtualServerTemplate != nil else { return nil }
        guard group.mode == .activePassive else { return service.scaling.warmPool?.parked }
        switch group.standbyReadiness {
        case .cold: return nil
        case .warm: return .saved
        case .hot: return .paused
        }
    }

    /// Called at the end of reconciliation.
    mutating func parkAndWake(_ context: inout StepContext) {
        for index in members.indices {
            let member = members[index]
            if member.isParked {
                let isNeeded = member.instance.role == .active || member.destination != nil
                if isNeeded, !member.isWaking, !member.isLeaving { wake(index, &context) }
            } else if let state = parkedState, member.instance.role == .standby, member.isUp, member.counts,
                member.destination == nil, member.stableAt == nil, !member.isWaking
            {
                park(index, state, &context)
            }
        }
    }

    private mutating func park(_ index: Int, _ state: ParkedState, _ context: inout StepContext) {
        touch(index)
        members[index].clearChecks()
        members[index].instance.operational = .checking
        // Until the infrastructure has stored the same.
        members[index].instance.virtualServer?.parked = state
        standbyWishes.append(StandbyWish(instance: members[index].id, park: state))
        context.record(
            "standby.parked", service: id, instance: members[index].id,
            "standby \(members[index].id) has proven to work and waits "
                + (state == .paused ? "in memory" : "on storage"), ["state": state.rawValue])
    }

    private mutating func wake(_ index: Int, _ context: inout StepContext) {
        touch(index)
        members[index].isWaking = true
        members[index].wokenAt = context.steady
        members[index].detector = FailureDetector()
        members[index].instance.phase = .starting
        members[index].instance.operational = .checking
        members[index].startDeadline = context.steady + service.restart.startTimeout
        standbyWishes.append(StandbyWish(instance: members[index].id, park: nil))
    }

    mutating func woken(_ id: InstanceID, _ incarnation: Int, _ context: inout StepContext) {
        guard let index = current(id, incarnation) else { return }
        members[index].isWaking = false
        guard members[index].instance.phase == .starting || members[index].instance.phase == .running else { return }
        if members[index].instance.phase == .running {
            // Somebody else let it run: it is checked as any that starts.
            members[index].detector = FailureDetector()
            members[index].instance.phase = .starting
            members[index].startDeadline = context.steady + service.restart.startTimeout
        }
        members[index].probeDueAt = context.steady
    }

    /// Its host is being emptied. Whoever needs it meanwhile keeps it.
    mutating func vacate(_ id: InstanceID, _ incarnation: Int, _ context: inout StepContext) {
        guard let index = current(id, incarnation), members[index].isParked, !members[index].isWaking,
            members[index].instance.role == .standby, members[index].destination == nil
        else { return }
        stop(index, then: .restart, grace: .zero, "its host is emptied, and it is made anew on another", &context)
    }

    mutating func takeStandbyWishes() -> [StandbyWish] {
        if standbyWishes.isEmpty { return [] }
        defer { standbyWishes.removeAll() }
        return standbyWishes
    }
}

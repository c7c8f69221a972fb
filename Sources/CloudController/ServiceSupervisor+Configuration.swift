import CloudModel
import Failover

/// The service changes, goes, or comes back.
extension ServiceSupervisor {
    mutating func change(
        to new: CloudService, _ group: FailoverGroup, actor: String, _ context: inout StepContext
    ) {
        let old = service
        service = new
        self.group = group
        if old.scaling.vertical != new.scaling.vertical { (sizer, lacksSize) = (nil, false) }
        snapshotIsStale = true
        needsReconciliation = true
        for kind in ConstraintKind.allCases where old.constraints[kind] != new.constraints[kind] {
            constraintChanged(
                kind, from: old.constraints[kind], to: new.constraints[kind], actor: actor, &context)
        }
        guard old.templateDigest != new.templateDigest else { return }
        // What failed before says nothing about the new template: it is tried at once.
        if breaker.reset() { closeBreaker(&context) }
        for index in members.indices where members[index].startDueAt != nil {
            touch(index)
            members[index].startDueAt = context.steady
        }
    }

    mutating func beRemoved(_ context: inout StepContext) {
        isRemoved = true
        target = 0
        run = nil
        snapshotIsStale = true
        needsReconciliation = true
        endIncidents(&context)
    }

    /// It was being removed and is wanted again: what drains goes on draining, and counts until it is gone.
    mutating func takeBack(_ service: CloudService, _ group: FailoverGroup?) {
        isRemoved = false
        self.service = service
        self.group = group ?? Self.defaultGroup(of: service.id)
        breaker = CircuitBreaker()
        snapshotIsStale = true
        needsReconciliation = true
    }

    private mutating func endIncidents(_ context: inout StepContext) {
        for var incident in limits.map(\.incident) + (breakerIncident.map { [$0] } ?? []) {
            incident.closedAt = context.now
            context.write(.persistIncident(incident))
        }
        limits = []
        refused = [:]
        breakerIncident = nil
        for index in members.indices { members[index].incident = nil }
        for id in failures.keys.sorted() { closeFailure(id, &context) }
    }
}

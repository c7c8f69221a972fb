import CloudModel

/// What administrators ask of instances, and the operations by which they follow it.
extension ServiceSupervisor {
    enum OperationKind: String {
        case restart = "instance.restart"
        case drain = "instance.drain"
        case enable = "instance.enable"
        case maintain = "instance.maintain"
    }

    mutating func setAdministrativeState(
        _ id: InstanceID, _ state: AdministrativeState, _ operationID: OperationID, actor: String,
        _ context: inout StepContext
    ) {
        guard let index = index(of: id) else { return }
        let kind: OperationKind =
            switch state {
            case .enabled: .enable
            case .draining: .drain
            case .maintenance: .maintain
            }
        guard let operation = begin(kind, operationID, index, actor, &context) else { return }
        let old = members[index].instance.administrative
        context.record(
            "instance.administrative-state", service: self.id, instance: id, actor: actor,
            "\(actor) sets \(id) to \(state.rawValue)", ["from": old.rawValue, "to": state.rawValue])
        members[index].instance.administrative = state
        needsReconciliation = true
        switch state {
        case .enabled, .maintenance:
            if members[index].destination == nil {
                members[index].drainUntil = nil
                members[index].drainBeganAt = nil
            }
            failOperations(of: index, "\(actor) has set the instance to \(state.rawValue)", only: .drain, &context)
            end(operation, failure: nil, &context)
            if state == .enabled { resumeRecovery(index, &context) }
        case .draining:
            guard members[index].published != nil else { return end(operation, failure: nil, &context) }
            follow(operation, index, &context)
            if members[index].drainUntil == nil {
                members[index].drainBeganAt = context.now
                members[index].drainUntil = context.steady + service.loadBalancing.drainTimeout
            }
        }
    }

    /// An instance that ended in maintenance is started again.
    private mutating func resumeRecovery(_ index: Int, _ context: inout StepContext) {
        guard members[index].instance.phase == .failed, members[index].startDueAt == nil else { return }
        members[index].startDueAt = context.steady
    }

    mutating func restart(
        _ id: InstanceID, _ operationID: OperationID, actor: String, _ context: inout StepContext
    ) {
        guard let index = index(of: id), let operation = begin(.restart, operationID, index, actor, &context) else {
            return
        }
        if members[index].isLeaving || isShutDown || !members[index].isManaged {
            let reason = members[index].isManaged ? "the instance is being removed" : "it is a fixed endpoint"
            return end(operation, failure: reason, &context)
        }
        context.record(
            "instance.restart-requested", service: self.id, instance: id, actor: actor, "\(actor) restarts \(id)")
        follow(operation, index, &context)
        restart(index, by: actor, &context)
    }

    /// Also where it waits for its back-off: whoever asks now does not want to wait.
    mutating func restart(_ index: Int, by actor: String, _ context: inout StepContext) {
        needsReconciliation = true
        touch(index)
        switch members[index].instance.phase {
        case .requested, .failed, .removed: members[index].startDueAt = context.steady
        case .starting: stop(index, then: .restart, "\(actor) restarts it", &context)
        case .stopping: members[index].destination = .restart
        case .running: drain(index, then: .restart, "\(actor) restarts it", &context)
        }
    }

    // MARK: Operations

    /// Nil where the command is a repetition of one that is being carried out.
    private mutating func begin(
        _ kind: OperationKind, _ id: OperationID, _ index: Int, _ actor: String, _ context: inout StepContext
    ) -> Operation? {
        guard !members[index].operations.contains(where: { $0.id == id }) else { return nil }
        touch(index)
        return Operation(
            id: id, kind: kind.rawValue, actor: actor, service: self.id, instance: members[index].id,
            startedAt: context.now)
    }

    private mutating func follow(_ operation: Operation, _ index: Int, _ context: inout StepContext) {
        guard members[index].operations.count < SupervisedInstance.maximumOperations else {
            let count = SupervisedInstance.maximumOperations
            return end(operation, failure: "\(count) operations wait for it already; ask again later", &context)
        }
        members[index].operations.append(operation)
        context.write(.persistOperation(operation))
    }

    func end(_ operation: Operation, failure: String?, _ context: inout StepContext) {
        var operation = operation
        operation.state = failure == nil ? .succeeded : .failed
        operation.failure = failure
        operation.endedAt = context.now
        context.write(.persistOperation(operation))
        let name = operation.instance?.rawValue ?? ""
        context.record(
            "operation.\(operation.state.rawValue)", service: id, instance: operation.instance, actor: operation.actor,
            "\(operation.kind) of \(name) " + (failure.map { "failed: \($0)" } ?? "is done"),
            ["operation": operation.id.rawValue])
    }

    mutating func succeedOperations(of index: Int, kind: OperationKind, _ context: inout StepContext) {
        endOperations(of: index, failure: nil, only: kind, &context)
    }

    mutating func failOperations(
        of index: Int, _ failure: String, only kind: OperationKind = .restart, _ context: inout StepContext
    ) {
        endOperations(of: index, failure: failure, only: kind, &context)
    }

    private mutating func endOperations(
        of index: Int, failure: String?, only kind: OperationKind, _ context: inout StepContext
    ) {
        guard !members[index].operations.isEmpty else { return }
        for operation in members[index].operations where operation.kind == kind.rawValue {
            end(operation, failure: failure, &context)
        }
        members[index].operations.removeAll { $0.kind == kind.rawValue }
    }
}

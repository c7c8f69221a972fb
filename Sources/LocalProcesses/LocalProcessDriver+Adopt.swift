import CLocalProcesses
import CloudModel
import CloudPorts
import Dispatch
import Glibc

extension LocalProcessDriver {
    private static let killRounds = 10
    /// A process that was between vfork and exec when its control plane was killed shows its marker only later.
    private static let laterSweeps: [DispatchTimeInterval] = [.milliseconds(100), .seconds(1), .seconds(10)]
    private static let killWaitMilliseconds: Int32 = 1_000

    /// On the work queue.
    func adoptNow(_ known: [ServiceInstance], services: [CloudService]) -> [InstanceID: StartedInstance] {
        let marked = directory.bootedSince ? [] : ProcessTable.marked(cloud: directory.cloud)
        var adopted: [InstanceID: StartedInstance] = [:]
        for instance in known.sorted(by: { $0.id < $1.id }) where instance.phase != .removed {
            let present = state.withLock { $0.instances[instance.id] }
            if let present, present.incarnation == instance.incarnation {
                adopted[instance.id] = present.started
            } else if present == nil, !directory.bootedSince,
                let supervised = takeOver(instance, marked: marked, services: services)
            {
                adopted[instance.id] = supervised.started
            }
        }
        killAllUnknown()
        for delay in Self.laterSweeps {
            work.asyncAfter(deadline: .now() + delay) { [weak self] in _ = self?.killUnknown() }
        }
        let groups = Set(state.withLock { $0.instances.values.map(\.group) })
        controlGroups?.removeAbandoned(except: groups)
        removeOldOutputs()
        return adopted
    }

    private func takeOver(
        _ instance: ServiceInstance, marked: [MarkedProcess], services: [CloudService]
    ) -> Supervised? {
        guard let (status, port) = leader(of: instance, marked: marked),
            let process = OpenProcess(status.processID, startTicks: status.startTicks)
        else { return nil }
        let template: ProcessTemplate? =
            if case .process(let template)? = services.first(where: { $0.id == instance.service })?.instances {
                template
            } else { nil }
        var supervised = Supervised(
            instance: instance.id, incarnation: instance.incarnation, service: instance.service,
            handle: InstanceHandle(processID: status.processID, startTicks: status.startTicks), port: port,
            pidfd: process.pidfd, isChild: status.parent == getpid(),
            output: outputs.file(
                of: instance.id, limit: template?.outputLimit ?? ProcessTemplate(command: []).outputLimit))
        supervised.controlGroup = controlGroups?.group(named: supervised.group)
        do { try supervise(supervised) } catch {
            logger.error(
                "An instance cannot be taken over and was killed",
                metadata: metadata(instance.id, instance.incarnation).merging(["error": "\(error)"]) { $1 })
            return nil
        }
        logger.info(
            "Instance taken over",
            metadata: metadata(instance.id, instance.incarnation).merging([
                "process": "\(status.processID)", "port": "\(port)",
            ]) { $1 })
        return supervised
    }

    /// The process that is the instance, by its handle or, where the control plane was killed before it was recorded,
    /// by its marker.
    private func leader(
        of instance: ServiceInstance, marked: [MarkedProcess]
    ) -> (status: ProcessStatus, port: UInt16)? {
        let own = marked.filter {
            $0.marker.instance == instance.id && $0.marker.incarnation == instance.incarnation
                && $0.status.session == $0.status.processID
        }
        if let handle = instance.handle,
            let status = ProcessTable.status(of: handle.processID), status.startTicks == handle.startTicks,
            !status.hasEnded
        {
            if let process = own.first(where: { $0.status.processID == handle.processID }) {
                return (process.status, process.marker.port)
            }
            // A program that writes over its environment (to change its title) has lost the marker, not its identity.
            if let port = instance.endpoint?.port, status.session == status.processID,
                !ProcessTable.hasReadableEnvironment(handle.processID)
            {
                return (status, port)
            }
        }
        // Of more than one (an instance that made sessions of its own) the first is the one that was started.
        return own.min { $0.status.startTicks < $1.status.startTicks }.map { ($0.status, $0.marker.port) }
    }

    /// Until none is left: one that is being killed may still make another.
    private func killAllUnknown() {
        for _ in 0..<Self.killRounds {
            let killed = killUnknown()
            if killed.isEmpty { return }
            for process in killed {
                guard let open = OpenProcess(process.status.processID, startTicks: process.status.startTicks) else {
                    continue
                }
                _ = open.hasEnded(within: Self.killWaitMilliseconds)
                open.close()
            }
        }
        logger.error("Processes of no known instance cannot be ended")
    }
}

import CLocalProcesses
import CloudModel
import CloudPorts
import Dispatch
import Glibc

extension LocalProcessDriver {
    /// On the work queue.
    func startNow(
        _ instance: InstanceID, incarnation: Int, of service: CloudService
    ) throws(InstanceDriverError) -> StartedInstance {
        guard case .process(let template) = service.instances else {
            throw InstanceDriverError(
                .unsupported, "service \(service.id) has fixed endpoints; only services with a command can be started")
        }
        // The name becomes a file name and an environment variable.
        guard instance.isValidLabel, service.id.isValidLabel else {
            throw InstanceDriverError(
                .unsupported, "\"\(instance)\" of \"\(service.id)\" is no valid name: use a-z, 0-9 and -, at most 63")
        }
        if let running = try runningAlready(instance, incarnation: incarnation) { return running.started }
        let taken = Set(state.withLock { $0.instances.values.map(\.port) })
        let port = try FreePort.find(except: taken)
        let marker = InstanceMarker(
            cloud: directory.cloud, instance: instance, incarnation: incarnation, service: service.id, port: port)
        let plan = try LaunchPlan(template, marker: marker)
        let output = outputs.file(of: instance, limit: template.outputLimit)
        let (process, controlGroup) = try spawn(plan, marker: marker, limits: template.limits, output: output)
        let supervised = Supervised(
            instance: instance, incarnation: incarnation, service: service.id,
            handle: InstanceHandle(processID: process.processID, startTicks: process.startTicks), port: port,
            pidfd: process.pidfd, isChild: true, output: output, controlGroup: controlGroup)
        try supervise(supervised)
        logger.info(
            "Instance started",
            metadata: metadata(instance, incarnation).merging([
                "service": "\(service.id)", "process": "\(process.processID)", "port": "\(port)",
            ]) { $1 })
        return supervised.started
    }

    /// Nil where the instance is not running. An earlier incarnation that is left is ended: a newer one replaces it.
    private func runningAlready(
        _ instance: InstanceID, incarnation: Int
    ) throws(InstanceDriverError) -> Supervised? {
        let (present, closed) = state.withLock { ($0.instances[instance], $0.closed) }
        if closed { throw InstanceDriverError(.unsupported, "the instance driver has been closed") }
        guard let present else { return nil }
        if present.incarnation == incarnation { return present }
        guard present.incarnation < incarnation else {
            throw InstanceDriverError(
                .unsupported, "incarnation \(incarnation) of \(instance) is over; \(present.incarnation) runs")
        }
        logger.warning("An earlier incarnation still runs and is ended", metadata: metadata(instance, incarnation))
        endNow(present)
        return nil
    }

    private func spawn(
        _ plan: LaunchPlan, marker: InstanceMarker, limits: ResourceLimits, output: OutputFile
    ) throws(InstanceDriverError) -> (SpawnedProcess, InstanceControlGroup?) {
        let outputDescriptor: Int32
        do {
            outputDescriptor = try output.openForAppending(
                header: "--- cloudwright: \(marker.instance) incarnation \(marker.incarnation) port \(marker.port)")
        } catch {
            throw InstanceDriverError(
                .exhausted, "\(error); the output of \(marker.instance) goes there: free space or mend the permissions")
        }
        defer { Glibc.close(outputDescriptor) }
        if let (controlGroup, entries) = makeControlGroup(marker, limits: limits) {
            defer { for entry in entries { Glibc.close(entry) } }
            do throws(SpawnFailure) {
                return (try permitted(plan, output: outputDescriptor, controlGroups: entries), controlGroup)
            } catch {
                _ = controlGroup.remove()
                guard error.stage == CLP_STAGE_CONTROL_GROUP else { throw error.refusal(of: plan) }
                reportLimits(marker, "the process cannot enter its group: \(SystemFailure.text(ofError: error.code))")
            }
        }
        do throws(SpawnFailure) {
            return (try permitted(plan, output: outputDescriptor, controlGroups: []), nil)
        } catch {
            throw error.refusal(of: plan)
        }
    }

    /// Nothing is left to be done but to make the process.
    private func permitted(
        _ plan: LaunchPlan, output: Int32, controlGroups: [Int32]
    ) throws(SpawnFailure) -> SpawnedProcess {
        let fence = fence.withLock { $0 }
        let process = try fence.perform { epoch throws(SpawnFailure) in
            var plan = plan
            if let epoch { plan.environment.append("\(InstanceMarker.epochName)=\(epoch)") }
            return try Spawning.spawn(plan, output: output, controlGroups: controlGroups)
        }
        guard let process else { throw SpawnFailure(stage: CLP_STAGE_EXECUTE, code: 0, isForbidden: true) }
        return process
    }

    /// Nil where no limits are asked for or they cannot be set; the latter is logged and does not keep the instance
    /// from running.
    private func makeControlGroup(
        _ marker: InstanceMarker, limits: ResourceLimits
    ) -> (group: InstanceControlGroup, entries: [Int32])? {
        guard limits.cpuMillicores != nil || limits.memory != nil else { return nil }
        guard let controlGroups else {
            reportLimits(marker, controlGroupReason)
            return nil
        }
        let missing = controlGroups.unavailable(of: limits)
        if !missing.isEmpty { reportLimits(marker, "no control group for \(missing.joined(separator: ", "))") }
        do {
            let group = try controlGroups.make("\(marker.instance).\(marker.incarnation)", limits: limits)
            guard !group.directories.isEmpty else { return nil }
            do { return (group, try group.openForEntering()) } catch {
                _ = group.remove()
                throw error
            }
        } catch {
            reportLimits(marker, "\(error)")
            return nil
        }
    }

    private func reportLimits(_ marker: InstanceMarker, _ reason: String) {
        logger.warning(
            "Limits of an instance are not enforced",
            metadata: metadata(marker.instance, marker.incarnation).merging(["reason": "\(reason)"]) { $1 })
    }

    /// From here on the process's end is seen. Where that cannot be, it is ended: nothing runs unwatched.
    func supervise(_ supervised: Supervised) throws(InstanceDriverError) {
        state.withLock { $0.instances[supervised.instance] = supervised }
        do {
            let token = try watcher.watch(supervised.pidfd) { [weak self] in
                self?.leaderEnded(supervised.instance, incarnation: supervised.incarnation)
            }
            state.withLock { $0.instances[supervised.instance]?.watch = token }
        } catch {
            state.withLock { $0.instances[supervised.instance] = nil }
            supervised.signalGroup(SIGKILL)
            reap(supervised)
            throw error
        }
    }
}

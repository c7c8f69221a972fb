import CLocalProcesses
import CloudModel
import CloudPorts
import Dispatch
import Glibc

extension LocalProcessDriver {
    /// Between looks at an instance whose leader has ended and which has other processes.
    private static let memberCheckInterval = DispatchTimeInterval.milliseconds(20)
    /// After this long a killed process is in the kernel's hands and the operator should know.
    private static let killPatience = DispatchTimeInterval.seconds(10)
    private static let longestGrace = TimeSpan.hours(24)
    private static let removalAttempts = 50

    // MARK: Asked to end

    /// On the work queue.
    func stopNow(_ instance: InstanceID, incarnation: Int, grace: TimeSpan) {
        let microseconds = Int(min(max(0, grace.microseconds), Self.longestGrace.microseconds))
        let killAt = DispatchTime.now() + .microseconds(microseconds)
        let runs = state.withLock { state -> Bool in
            guard var present = state.instances[instance], present.incarnation == incarnation else { return false }
            present.killAt = min(present.killAt ?? .distantFuture, killAt)
            state.instances[instance] = present
            return true
        }
        guard runs else {
            exitContinuation.yield(InstanceExit(instance: instance, incarnation: incarnation))
            return
        }
        // One that was stopped by a signal would not see the first without the second.
        if microseconds > 0 { signalGroup(of: instance, incarnation: incarnation, [SIGTERM, SIGCONT]) }
        work.asyncAfter(deadline: killAt) { [weak self] in self?.escalate(instance, incarnation: incarnation) }
    }

    /// The grace has run out.
    private func escalate(_ instance: InstanceID, incarnation: Int) {
        guard let supervised = present(instance, incarnation: incarnation), supervised.leaderEnd == nil else { return }
        logger.warning("Instance did not end in time and is killed", metadata: metadata(instance, incarnation))
        signalGroup(of: instance, incarnation: incarnation, [SIGKILL])
        work.asyncAfter(deadline: .now() + Self.killPatience) { [weak self] in
            guard let self, let supervised = self.present(instance, incarnation: incarnation),
                supervised.leaderEnd == nil
            else { return }
            self.logger.error(
                "Instance was killed and has not ended; it waits in the kernel, for a disk or network file system",
                metadata: self.metadata(instance, incarnation))
        }
    }

    private func present(_ instance: InstanceID, incarnation: Int) -> Supervised? {
        state.withLock { $0.instances[instance].flatMap { $0.incarnation == incarnation ? $0 : nil } }
    }

    // MARK: Ended

    /// On the watcher's thread, as soon as the kernel says so.
    func leaderEnded(_ instance: InstanceID, incarnation: Int) {
        guard let supervised = present(instance, incarnation: incarnation) else { return }
        let end = endOfLeader(supervised)
        let unasked = state.withLock { state -> Bool in
            guard state.instances[instance]?.incarnation == incarnation else { return false }
            state.instances[instance]?.leaderEnd = end
            return state.instances[instance]?.killAt == nil
        }
        guard unasked else {
            work.async { self.awaitMembers(instance, incarnation: incarnation) }
            return
        }
        // It failed: the rest of it goes at once, so that nothing of it is in its successor's way.
        signalGroup(of: instance, incarnation: incarnation, [SIGKILL])
        finish(supervised, end)
    }

    /// Other processes of an instance that was asked to end have the rest of the grace.
    private func awaitMembers(_ instance: InstanceID, incarnation: Int) {
        guard let supervised = present(instance, incarnation: incarnation), let end = supervised.leaderEnd else {
            return
        }
        let members = members(of: supervised)
        if !members.isEmpty, let killAt = supervised.killAt, killAt > .now() {
            let next = min(killAt, .now() + Self.memberCheckInterval)
            work.asyncAfter(deadline: next) { [weak self] in
                self?.awaitMembers(instance, incarnation: incarnation)
            }
            return
        }
        kill(members)
        signalGroup(of: instance, incarnation: incarnation, [SIGKILL])
        finish(supervised, end)
    }

    /// Ends the whole instance and waits for it: nothing of it is left, or what is left is in the kernel's hands.
    /// On the work queue.
    func endNow(_ supervised: Supervised) {
        state.withLock { $0.instances[supervised.instance]?.killAt = .now() }
        signalGroup(of: supervised.instance, incarnation: supervised.incarnation, [SIGKILL])
        var request = pollfd(fd: supervised.pidfd, events: Int16(POLLIN), revents: 0)
        _ = poll(&request, 1, 5_000)
        guard let present = present(supervised.instance, incarnation: supervised.incarnation) else { return }
        kill(members(of: present))
        finish(present, endOfLeader(present))
    }

    /// The leader has ended and its group was killed: nothing of the instance counts any more. Happens once.
    private func finish(_ supervised: Supervised, _ end: InstanceExit) {
        let first = state.withLock { state -> Bool in
            guard !state.closed, state.instances[supervised.instance]?.incarnation == supervised.incarnation else {
                return false
            }
            state.instances[supervised.instance] = nil
            return true
        }
        guard first else { return }
        if let watch = supervised.watch { watcher.forget(watch) }
        reap(supervised)
        exitContinuation.yield(end)
        let how = end.code.map { "code \($0)" } ?? end.signal.map { "signal \($0)" } ?? "unknown"
        logger.info(
            "Instance ended",
            metadata: metadata(supervised.instance, supervised.incarnation).merging(["status": "\(how)"]) { $1 })
        work.async { self.cleanUp(after: supervised, end) }
    }

    private func endOfLeader(_ supervised: Supervised) -> InstanceExit {
        var end = InstanceExit(instance: supervised.instance, incarnation: supervised.incarnation)
        guard supervised.isChild else { return end }
        var value: Int32 = 0
        switch clp_wait(supervised.pidfd, 0, &value) {
        case CLP_END_EXITED: end.code = value
        case CLP_END_SIGNALLED: end.signal = value
        default: break
        }
        return end
    }

    func reap(_ supervised: Supervised) {
        var value: Int32 = 0
        if supervised.isChild { _ = clp_wait(supervised.pidfd, 1, &value) }
        Glibc.close(supervised.pidfd)
    }

    // MARK: The processes of an instance

    /// Under the lock: while the instance is listed, its leader has not been reaped by us.
    private func signalGroup(of instance: InstanceID, incarnation: Int, _ signals: [Int32]) {
        state.withLock { state in
            guard let present = state.instances[instance], present.incarnation == incarnation else { return }
            for signal in signals { present.signalGroup(signal) }
        }
    }

    /// Living processes other than the leader: those of its session while its number is surely its own, otherwise those
    /// that bear its marker.
    private func members(of supervised: Supervised) -> [ProcessStatus] {
        let leader = supervised.handle.processID
        if supervised.isChild { return ProcessTable.members(ofSession: leader) }
        return ProcessTable.marked(cloud: directory.cloud).filter {
            $0.status.processID != leader && $0.marker.instance == supervised.instance
                && $0.marker.incarnation == supervised.incarnation
        }.map(\.status)
    }

    private func kill(_ processes: [ProcessStatus]) {
        for process in processes {
            guard let open = OpenProcess(process.processID, startTicks: process.startTicks) else { continue }
            open.kill()
            open.close()
        }
    }

    // MARK: Cleaning up

    private func cleanUp(after supervised: Supervised, _ end: InstanceExit) {
        if let controlGroup = supervised.controlGroup {
            if end.code == nil, controlGroup.reachedMemoryLimit {
                logger.warning(
                    "The kernel ended an instance that had reached its memory limit",
                    metadata: metadata(supervised.instance, supervised.incarnation))
            }
            remove(controlGroup, attemptsLeft: Self.removalAttempts)
        }
        removeOldOutputs()
        requestSweep()
    }

    /// A group can be removed when its last process is gone, which may take the kernel a moment.
    private func remove(_ controlGroup: InstanceControlGroup, attemptsLeft: Int) {
        if controlGroup.remove() { return }
        guard attemptsLeft > 0 else {
            logger.warning(
                "A control group cannot be removed; the next start of the control plane tries again",
                metadata: ["directories": "\(controlGroup.directories)"])
            return
        }
        work.asyncAfter(deadline: .now() + .milliseconds(20)) { [weak self] in
            self?.remove(controlGroup, attemptsLeft: attemptsLeft - 1)
        }
    }

    /// Ends the processes that left their instance's session and outlived it. One scan serves all that ended meanwhile.
    private func requestSweep() {
        let first = state.withLock { state in
            defer { state.sweepIsDue = true }
            return !state.sweepIsDue
        }
        guard first else { return }
        work.async { [weak self] in
            guard let self else { return }
            self.state.withLock { $0.sweepIsDue = false }
            _ = self.killUnknown()
        }
    }

    /// Kills every process of this cloud that belongs to no instance that we know, and gives them back. On the work
    /// queue, where no start can be under way.
    func killUnknown() -> [MarkedProcess] {
        guard !state.withLock({ $0.closed }) else { return [] }
        let known = state.withLock { state in state.instances.mapValues(\.incarnation) }
        let unknown = ProcessTable.marked(cloud: directory.cloud).filter {
            known[$0.marker.instance] != $0.marker.incarnation
        }
        for process in unknown {
            logger.warning(
                "A process of no known instance is killed",
                metadata: metadata(process.marker.instance, process.marker.incarnation).merging([
                    "process": "\(process.status.processID)"
                ]) { $1 })
        }
        kill(unknown.map(\.status))
        return unknown
    }
}

extension LocalProcessDriver.Supervised {
    func signalGroup(_ signal: Int32) {
        // A child's number stays its own until it is reaped. Another's does while it lives, which is asked here.
        if isChild || clp_pidfd_send_signal(pidfd, 0) == 0 { Glibc.kill(-handle.processID, signal) }
    }
}

import CloudController
import CloudModel

/// The machine below the control plane: an instance driver and a health prober that keep their contracts, and processes
/// that do as they like.
extension Simulation {
    // MARK: Start

    func doStart(_ key: ProcessKey, of service: CloudService, life: Int) {
        guard life == self.life else { return }
        if let present = processes[key] {
            // Starting it again gives back the one that runs.
            if present.state == .running { sendStarted(present) }
            return
        }
        if let old = processes.byID[key.id] {
            guard old.incarnation < key.incarnation else { return }
            auditor.finds("duplicate-instance", "\(key.id) was started while incarnation \(old.incarnation) ran")
            ends(old.key, signal: 9)
        }
        _ = processes.launch(key, of: service, at: now)
        auditor.lives(processes, key)
        let isBroken = service.commandLine.contains("broken")
        if (isBroken && Bool.random(using: &random)) || happens(plan.startFails) {
            return plan(.startFails(key, life: life), after: between(1_000, 200_000))
        }
        if happens(plan.startHangs) { return }
        let delay = happens(plan.startIsSlow) ? between(500_000, 12_000_000) : between(5_000, 200_000)
        plan(.started(key, life: life), after: delay)
    }

    func startFails(_ key: ProcessKey, life: Int) {
        guard processes.end(key) != nil else { return }
        auditor.died(key, wasRunning: false, at: now, wall: wall)
        guard life == self.life else { return }
        send(.instanceStartFailed(key.id, incarnation: key.incarnation, reason: "no such program"))
    }

    func didStart(_ key: ProcessKey, life: Int) {
        guard let process = launched(key), life == self.life else { return }
        sendStarted(process)
    }

    /// The process runs from here on.
    func launched(_ key: ProcessKey) -> SimulatedProcess? {
        guard let process = processes[key], process.state == .launching else { return nil }
        processes.change(key) {
            $0.state = .running
            $0.startedAt = now
        }
        lastHeartbeats[key.id] = nil
        auditor.began(key, of: process.service, port: process.port, at: now, wall: wall)
        if process.command.contains("broken") {
            plan(.ends(key, signal: 11), after: between(10_000, 2_000_000))
        } else if !happens(plan.neverReady) {
            plan(.ready(key), after: between(20_000, 1_500_000))
        }
        return processes[key]
    }

    private func sendStarted(_ process: SimulatedProcess) {
        send(
            .instanceStarted(
                process.id, incarnation: process.incarnation, endpoint: process.endpoint,
                handle: InstanceHandle(processID: Int32(process.port), startTicks: UInt64(process.port))))
    }

    // MARK: Stop and end

    func doStop(_ key: ProcessKey, grace: Int64) {
        guard let process = processes[key] else {
            return send(.instanceExited(key.id, incarnation: key.incarnation, status: .unknown, inferredAt: nil))
        }
        let kills = grace == 0 || process.isHung || process.state == .launching
        if process.isStopping && !kills { return }
        processes.change(key) { $0.isStopping = true }
        if kills {
            // Now and then the kernel takes its time with a killed process.
            let late = happens(10) ? between(1_000_000, 40_000_000) : 0
            return plan(.ends(key, signal: 9), after: (grace > 0 ? grace : 0) + between(1_000, 20_000) + late)
        }
        let delay = happens(plan.stopIsLate) ? grace : between(1_000, max(2_000, grace / 4))
        plan(.ends(key, signal: delay == grace ? 9 : 15), after: delay)
    }

    func ends(_ key: ProcessKey, signal: Int32) {
        guard let process = processes.end(key) else { return }
        auditor.died(key, wasRunning: process.state == .running, at: now, wall: wall)
        loseRequests(of: process)
        send(.instanceExited(key.id, incarnation: key.incarnation, status: .signalled(signal), inferredAt: nil))
    }

    /// After a restart of the control plane: those of the known that run. All others are ended, and nobody is told.
    func adopt(_ known: [ServiceInstance]) -> Set<InstanceID> {
        var adopted: Set<InstanceID> = []
        for process in processes.sorted {
            let isKnown = known.contains { $0.id == process.id && $0.incarnation == process.incarnation }
            if isKnown, process.state == .running {
                adopted.insert(process.id)
            } else if let ended = processes.end(process.key) {
                auditor.died(ended.key, wasRunning: ended.state == .running, at: now, wall: wall)
                loseRequests(of: ended)
            }
        }
        return adopted
    }

    // MARK: Checks

    func beginCheck(_ key: ProcessKey, _ endpoint: Endpoint, timeout: Int64) {
        let delay = between(500, 20_000)
        plan(.answerCheck(key, endpoint, timeoutMicroseconds: timeout, life: life), after: delay)
    }

    func answerCheck(_ key: ProcessKey, _ endpoint: Endpoint, timeout: Int64, life: Int) {
        guard life == self.life else { return }
        switch look(at: endpoint) {
        case .passed: send(.probeCompleted(key.id, incarnation: key.incarnation, failure: nil))
        case .refused:
            send(.probeCompleted(key.id, incarnation: key.incarnation, failure: "connection refused"))
        case .silent:
            plan(
                .deliver(
                    .probeCompleted(key.id, incarnation: key.incarnation, failure: "timed out after 1000 ms"),
                    life: life), after: timeout)
        }
    }

    private enum Look {
        case passed, refused, silent
    }

    private func look(at endpoint: Endpoint) -> Look {
        if endpoint.address != "127.0.0.1" {
            return deadAddresses.contains(endpoint.address) ? .refused : .passed
        }
        if networkIsDown { return .silent }
        guard let process = processes[endpoint.port], process.state == .running else { return .refused }
        if process.isHung { return .silent }
        if happens(plan.checkIsFlaky) { return Bool.random(using: &random) ? .silent : .refused }
        return process.isReady ? .passed : .refused
    }
}

extension CloudService {
    var commandLine: [String] {
        if case .process(let template) = instances { template.command } else { [] }
    }
}

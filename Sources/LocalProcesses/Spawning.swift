import CLocalProcesses
import CloudPorts
import Glibc

/// A child that runs, and the descriptor that shows its end.
struct SpawnedProcess: Sendable {
    var processID: Int32
    var pidfd: Int32
    var startTicks: UInt64
}

/// A spawn that failed before the program ran; nothing of it is left.
struct SpawnFailure: Error {
    var stage: clp_stage
    var code: Int32
    /// Nothing was tried.
    var isForbidden = false

    /// For people: what could not be done and how to mend it.
    func refusal(of plan: LaunchPlan) -> InstanceDriverError {
        if isForbidden {
            return InstanceDriverError(
                .notPermitted, "\(plan.executable) was not started: the platform's lease does not last long enough")
        }
        let reason = SystemFailure.text(ofError: code)
        switch stage {
        case CLP_STAGE_WORKING_DIRECTORY:
            return InstanceDriverError(
                .notExecutable,
                "cannot enter the working directory \(plan.workingDirectory ?? "."): \(reason); make it, or correct "
                    + "workingDirectory")
        case CLP_STAGE_EXECUTE where code == ENOEXEC:
            return InstanceDriverError(
                .notExecutable,
                "\(plan.executable) is no program that this machine can run; a script must begin with a line like "
                    + "#!/bin/sh, a binary must be for this architecture")
        case CLP_STAGE_EXECUTE where code == ENOENT && access(plan.executable, F_OK) == 0:
            return InstanceDriverError(
                .notExecutable,
                "\(plan.executable) names an interpreter or loader that does not exist; install it or correct the "
                    + "#! line")
        case CLP_STAGE_EXECUTE where code != EAGAIN && code != ENOMEM && code != EMFILE && code != ENFILE:
            return InstanceDriverError(
                .notExecutable, "\(plan.executable) cannot be executed: \(reason); correct the command")
        default:
            return InstanceDriverError(
                .exhausted,
                "cannot start \(plan.executable): \(reason); raise the limits on processes, memory or open files "
                    + "(ulimit -a, TasksMax), or stop something")
        }
    }
}

enum Spawning {
    /// `output` becomes the program's standard output and error; the process enters `controlGroups` (open cgroup.procs
    /// files) before the program runs.
    static func spawn(
        _ plan: LaunchPlan, output: Int32, controlGroups: [Int32]
    ) throws(SpawnFailure) -> SpawnedProcess {
        let arguments = CStringArray(plan.arguments)
        let environment = CStringArray(plan.environment)
        let strings = CStringArray([plan.executable] + (plan.workingDirectory.map { [$0] } ?? []))
        defer {
            arguments.free()
            environment.free()
            strings.free()
        }
        var spawned = clp_spawned()
        let code = controlGroups.withUnsafeBufferPointer { groups in
            var request = clp_spawn_request(
                executable: strings.pointers[0], arguments: arguments.pointers, environment: environment.pointers,
                working_directory: strings.pointers[1], output: output, control_groups: groups.baseAddress,
                control_group_count: groups.count)
            return clp_spawn(&request, &spawned)
        }
        guard code == 0 else { throw SpawnFailure(stage: spawned.stage, code: code) }
        // Unreaped, so the entry is there even where the program has ended already.
        let startTicks = ProcessTable.status(of: spawned.process_id)?.startTicks ?? 0
        return SpawnedProcess(processID: spawned.process_id, pidfd: spawned.pidfd, startTicks: startTicks)
    }
}

/// Strings as C has them: an array of pointers that ends with null. Freed by its owner.
private struct CStringArray {
    let pointers: UnsafeMutablePointer<UnsafeMutablePointer<CChar>?>
    private let count: Int

    init(_ strings: [String]) {
        count = strings.count
        pointers = .allocate(capacity: count + 1)
        for (index, string) in strings.enumerated() { pointers[index] = strdup(string) }
        pointers[count] = nil
    }

    func free() {
        for index in 0..<count { Glibc.free(pointers[index]) }
        pointers.deallocate()
    }
}

/// Ports of 127.0.0.1 that nobody listens on.
enum FreePort {
    private static let attempts = 64

    /// A port that was free a moment ago and is not among `taken`. The kernel gives bind(2) other ports of its range
    /// than connect(2), so that outgoing connections hardly ever take it before the instance does; if something does,
    /// the instance fails to start and is started again with another.
    static func find(except taken: Set<UInt16>) throws(InstanceDriverError) -> UInt16 {
        var held: [Int32] = []
        defer { for descriptor in held { close(descriptor) } }
        for _ in 0..<attempts {
            let descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
            guard descriptor >= 0 else { throw exhausted(errno) }
            // Held until one is found: the next try cannot be given the same.
            held.append(descriptor)
            var address = sockaddr_in()
            address.sin_family = sa_family_t(AF_INET)
            address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
            var length = socklen_t(MemoryLayout<sockaddr_in>.size)
            let code = withUnsafeMutablePointer(to: &address) { pointer in
                pointer.withMemoryRebound(to: sockaddr.self, capacity: 1) { generic in
                    bind(descriptor, generic, length) == 0 && getsockname(descriptor, generic, &length) == 0 ? 0 : errno
                }
            }
            guard code == 0 else { throw exhausted(code) }
            let port = UInt16(bigEndian: address.sin_port)
            if !taken.contains(port) { return port }
        }
        throw exhausted(EADDRINUSE)
    }

    private static func exhausted(_ code: Int32) -> InstanceDriverError {
        InstanceDriverError(
            .exhausted,
            "no free port on 127.0.0.1: \(SystemFailure.text(ofError: code)); widen net.ipv4.ip_local_port_range or "
                + "raise the limit on open files")
    }
}

package import CloudModel
import Glibc

/// The part of the machine's control groups (cgroups) that instances are limited by.
///
/// Version 2 (one hierarchy) and version 1 (a hierarchy for each controller) are both found, from what the kernel says
/// of its mounts and of this process. See cgroups(7) and the kernel's admin-guide/cgroup-v2.
package struct ControlGroups: Hashable, Sendable {
    package enum Version: Hashable, Sendable {
        case v1, v2
    }

    package var version: Version
    /// Our directory in the processor controller's hierarchy; nil where there is none that we may write.
    package var processor: String?
    /// The same for memory; in version 2 the same directory.
    package var memory: String?

    /// The period that `cpuMillicores` is granted in: the kernel's default.
    static let periodMicroseconds = 100_000
    /// The kernel refuses a smaller quota.
    static let smallestQuotaMicroseconds = 1_000

    package init(version: Version, processor: String?, memory: String?) {
        self.version = version
        self.processor = processor
        self.memory = memory
    }

    /// What is found, or why there is none. Makes our own directory.
    package static func detect(
        cloud: String, mounts: String? = nil, ownGroups: String? = nil, isPrivileged: Bool = geteuid() == 0
    ) -> (groups: ControlGroups?, reason: String) {
        guard let mounts = mounts ?? SystemFile.readText("/proc/self/mountinfo", limit: 1 << 20),
            let ownGroups = ownGroups ?? SystemFile.readText("/proc/self/cgroup")
        else { return (nil, "/proc is not mounted") }
        let layout = ControlGroupLayout(mounts: mounts, ownGroups: ownGroups)
        let name = "cloudwright-\(cloud)"
        var reasons: [String] = []
        if let mount = layout.unified {
            switch UnifiedHierarchy(mount: mount, own: layout.ownUnified ?? "/", isPrivileged: isPrivileged).claim(name)
            {
            case .success(let path):
                return (ControlGroups(version: .v2, processor: path, memory: path), "version 2 at \(path)")
            case .failure(let refusal): reasons.append(refusal.reason)
            }
        }
        let processor = claimVersion1(layout.processor, name, &reasons)
        let memory = claimVersion1(layout.memory, name, &reasons)
        if processor == nil, memory == nil {
            if reasons.isEmpty { reasons.append("no cgroup file system is mounted") }
            return (nil, reasons.joined(separator: "; "))
        }
        let paths = [processor, memory].compactMap { $0 }.joined(separator: ", ")
        return (ControlGroups(version: .v1, processor: processor, memory: memory), "version 1 at \(paths)")
    }

    /// Version 1 knows no rule about inner processes: the group is made below our own, so that whatever limits the
    /// control plane limits its instances too.
    private static func claimVersion1(_ own: String?, _ name: String, _ reasons: inout [String]) -> String? {
        guard let own else { return nil }
        let path = "\(own)/\(name)"
        do { try SystemFile.makeDirectory(path, mode: 0o755) } catch {
            reasons.append(error.description)
            return nil
        }
        return path
    }

    // MARK: Groups of instances

    /// Makes the group of one run of an instance and sets its limits.
    package func make(_ name: String, limits: ResourceLimits) throws(SystemFailure) -> InstanceControlGroup {
        var group = InstanceControlGroup(version: version)
        do {
            if let cpu = limits.cpuMillicores, let processor {
                group.processor = "\(processor)/\(name)"
                try SystemFile.makeDirectory(group.processor!, mode: 0o755)
                try set(cpuMillicores: cpu, of: group.processor!)
            }
            if let bytes = limits.memory, let memory {
                group.memory = "\(memory)/\(name)"
                try SystemFile.makeDirectory(group.memory!, mode: 0o755)
                try set(memory: bytes, of: group.memory!)
            }
        } catch {
            _ = group.remove()
            throw error
        }
        return group
    }

    /// The group that an earlier control plane made; nil where it made none.
    package func group(named name: String) -> InstanceControlGroup? {
        let directory: (String?) -> String? = { parent in
            parent.map { "\($0)/\(name)" }.flatMap { SystemFile.exists($0) ? $0 : nil }
        }
        let group = InstanceControlGroup(version: version, processor: directory(processor), memory: directory(memory))
        return group.directories.isEmpty ? nil : group
    }

    /// The limits that cannot be set here, for the log.
    package func unavailable(of limits: ResourceLimits) -> [String] {
        var names: [String] = []
        if limits.cpuMillicores != nil, processor == nil { names.append("cpu") }
        if limits.memory != nil, memory == nil { names.append("memory") }
        return names
    }

    private func set(cpuMillicores: Int, of path: String) throws(SystemFailure) {
        let quota = max(Self.smallestQuotaMicroseconds, cpuMillicores * Self.periodMicroseconds / 1_000)
        switch version {
        case .v2: try SystemFile.write("\(quota) \(Self.periodMicroseconds)", to: path + "/cpu.max")
        case .v1:
            try SystemFile.write("\(Self.periodMicroseconds)", to: path + "/cpu.cfs_period_us")
            try SystemFile.write("\(quota)", to: path + "/cpu.cfs_quota_us")
        }
    }

    /// Swap is counted in where the kernel does: an instance beyond its limit is ended, not made slow.
    private func set(memory: ByteCount, of path: String) throws(SystemFailure) {
        switch version {
        case .v2:
            try SystemFile.write("\(memory.bytes)", to: path + "/memory.max")
            if SystemFile.exists(path + "/memory.swap.max") {
                try SystemFile.write("0", to: path + "/memory.swap.max")
            }
            if SystemFile.exists(path + "/memory.oom.group") {
                try SystemFile.write("1", to: path + "/memory.oom.group")
            }
        case .v1:
            try SystemFile.write("\(memory.bytes)", to: path + "/memory.limit_in_bytes")
            if SystemFile.exists(path + "/memory.memsw.limit_in_bytes") {
                try SystemFile.write("\(memory.bytes)", to: path + "/memory.memsw.limit_in_bytes")
            }
        }
    }

    /// Removes the empty groups of earlier runs, except those named.
    package func removeAbandoned(except names: Set<String>) {
        for directory in Set([processor, memory].compactMap { $0 }).sorted() {
            for name in SystemFile.names(in: directory) where !names.contains(name) {
                // Files of the kernel and groups with processes refuse it.
                rmdir("\(directory)/\(name)")
            }
        }
    }

    /// Removes our own directory where nothing is in it.
    package func removeIfEmpty() {
        for directory in Set([processor, memory].compactMap { $0 }).sorted() { rmdir(directory) }
    }
}

/// The control group of one run of an instance.
package struct InstanceControlGroup: Hashable, Sendable {
    package var version: ControlGroups.Version
    package var processor: String?
    package var memory: String?

    package init(version: ControlGroups.Version, processor: String? = nil, memory: String? = nil) {
        self.version = version
        self.processor = processor
        self.memory = memory
    }

    package var directories: [String] { Set([processor, memory].compactMap { $0 }).sorted() }

    /// Files that a process enters the group by, opened; the caller closes them.
    func openForEntering() throws(SystemFailure) -> [Int32] {
        var files: [Int32] = []
        for directory in directories {
            let path = directory + "/cgroup.procs"
            let first = open(path, O_WRONLY | O_CLOEXEC)
            let file = first < 0 || first > STDERR_FILENO ? first : fcntl(first, F_DUPFD_CLOEXEC, STDERR_FILENO + 1)
            if first != file { close(first) }
            guard file >= 0 else {
                let failure = SystemFailure("open", path)
                for file in files { close(file) }
                throw failure
            }
            files.append(file)
        }
        return files
    }

    /// Whether the kernel ended a process of the group because it was beyond its memory limit.
    package var reachedMemoryLimit: Bool {
        guard let memory else { return false }
        let file = version == .v2 ? "memory.events" : "memory.oom_control"
        let lines = (SystemFile.readText("\(memory)/\(file)") ?? "").split(separator: "\n")
        return lines.contains { $0.hasPrefix("oom_kill ") && $0 != "oom_kill 0" }
    }

    /// False where it still has processes (that are being ended).
    package func remove() -> Bool {
        directories.allSatisfy { rmdir($0) == 0 || errno == ENOENT }
    }
}

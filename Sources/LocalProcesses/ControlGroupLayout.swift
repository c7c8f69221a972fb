import Glibc

/// Where this machine's cgroup hierarchies are mounted, and where in them this process is.
package struct ControlGroupLayout: Hashable, Sendable {
    /// The mount point of version 2.
    package var unified: String?
    /// Our own group in version 2, below the mount point; begins with `/`.
    package var ownUnified: String?
    /// Our own group's directory in the hierarchies of version 1.
    package var processor: String?
    package var memory: String?

    /// From /proc/self/mountinfo and /proc/self/cgroup; see proc(5) and cgroups(7).
    package init(mounts: String, ownGroups: String) {
        var own: [String: String] = [:]
        for line in ownGroups.split(separator: "\n") {
            let parts = line.split(separator: ":", maxSplits: 2, omittingEmptySubsequences: false)
            guard parts.count == 3 else { continue }
            for controller in parts[1].split(separator: ",", omittingEmptySubsequences: false) {
                own[String(controller)] = String(parts[2])
            }
        }
        ownUnified = own[""]
        for line in mounts.split(separator: "\n") {
            guard let mount = Mount(line) else { continue }
            if mount.type == "cgroup2" { unified = unified ?? mount.point }
            guard mount.type == "cgroup" else { continue }
            if mount.options.contains("cpu") { processor = processor ?? mount.directory(of: own["cpu"]) }
            if mount.options.contains("memory") { memory = memory ?? mount.directory(of: own["memory"]) }
        }
    }

    private struct Mount {
        var root: String
        var point: String
        var type: Substring
        var options: [Substring]

        init?(_ line: Substring) {
            let fields = line.split(separator: " ")
            guard let separator = fields.firstIndex(of: "-"), separator >= 6, fields.count > separator + 3 else {
                return nil
            }
            root = String(fields[3])
            point = String(fields[4])
            type = fields[separator + 1]
            options = fields[separator + 3].split(separator: ",")
        }

        /// A mount may show only a part of the hierarchy (in a container): then the group's path begins with its root.
        func directory(of group: String?) -> String? {
            guard let group else { return nil }
            var path = group
            if root != "/" {
                guard group == root || group.hasPrefix(root + "/") else { return point }
                path = String(group.dropFirst(root.count))
            }
            return path == "/" || path.isEmpty ? point : point + path
        }
    }
}

/// Version 2, where a group with processes cannot hand controllers to groups below it (except at the root).
struct UnifiedHierarchy {
    struct Refusal: Error {
        var reason: String
    }

    var mount: String
    var own: String
    var isPrivileged: Bool

    /// Makes a directory whose groups have the processor and memory controllers: as root at the top, beside systemd's
    /// slices; otherwise beside our own group where we were started in a delegated subgroup, or below it.
    func claim(_ name: String) -> Result<String, Refusal> {
        guard let controllers = SystemFile.readText(mount + "/cgroup.controllers"),
            Set(["cpu", "memory"]).isSubset(of: controllers.split(separator: " ").map(String.init))
        else { return .failure(Refusal(reason: "\(mount) has no cpu and memory controllers")) }
        var refusals: [String] = []
        var parents: [String] = []
        if isPrivileged { parents.append(mount) }
        if own != "/" {
            if let slash = own.lastIndex(of: "/"), slash != own.startIndex { parents.append(mount + own[..<slash]) }
            parents.append(mount + own)
        }
        for parent in parents {
            do {
                if parent == mount + own { try leave(parent) }
                return .success(try makeGroup(name, below: parent))
            } catch {
                refusals.append(error.description)
            }
        }
        return .failure(
            Refusal(
                reason: refusals.joined(separator: "; ")
                    + "; run as root, or as a systemd service with Delegate=yes"))
    }

    private func makeGroup(_ name: String, below parent: String) throws(SystemFailure) -> String {
        try SystemFile.write("+cpu +memory", to: parent + "/cgroup.subtree_control")
        let path = "\(parent)/\(name)"
        try SystemFile.makeDirectory(path, mode: 0o755)
        do { try SystemFile.write("+cpu +memory", to: path + "/cgroup.subtree_control") } catch {
            rmdir(path)
            throw error
        }
        return path
    }

    /// Moves this process to a leaf of its own group, which may then hand out its controllers.
    private func leave(_ group: String) throws(SystemFailure) {
        let leaf = group + "/control-plane"
        try SystemFile.makeDirectory(leaf, mode: 0o755)
        try SystemFile.write("0", to: leaf + "/cgroup.procs")
        do { try SystemFile.write("+cpu +memory", to: group + "/cgroup.subtree_control") } catch {
            // Others are in the group too: everything back to how it was.
            try SystemFile.write("0", to: group + "/cgroup.procs")
            rmdir(leaf)
            throw error
        }
    }
}

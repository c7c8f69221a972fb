import CloudModel
import Foundation
import Glibc
import LocalProcesses
import Testing

/// Whether this machine lets us make control groups; without them the driver runs instances unlimited.
private let machineHasControlGroups =
    ControlGroups.detect(cloud: "probe").groups.map { groups in
        groups.removeIfEmpty()
        return groups.processor != nil && groups.memory != nil
    } ?? false

extension DriverTests {
    @Suite struct Limits {
        @Test(.enabled(if: machineHasControlGroups, "needs writable cpu and memory control groups"))
        func putsTheInstanceIntoItsGroupBeforeItRuns() async throws {
            let fixture = try Fixture()
            let limits = ResourceLimits(cpuMillicores: 250, memory: .mebibytes(64))
            let script = "cat /proc/self/cgroup; echo end; sleep 1000"
            try await fixture.start("web-1", 4, Fixture.shell(script, limits: limits))
            let text = try await fixture.output(of: "web-1", having: "end\n")
            let directories = fixture.driver.controlGroupDirectories(of: "web-1")
            #expect(!directories.isEmpty)
            for directory in directories {
                let name = directory.split(separator: "/").suffix(2).joined(separator: "/")
                #expect(text.contains("/\(name)\n"))
                #expect(name.hasSuffix("/web-1.4"))
            }
            let quota = directories.compactMap {
                Self.content("\($0)/cpu.cfs_quota_us") ?? Self.content("\($0)/cpu.max")
            }
            #expect(quota == ["25000"] || quota == ["25000 100000"])
            let memory = directories.compactMap {
                Self.content("\($0)/memory.limit_in_bytes") ?? Self.content("\($0)/memory.max")
            }
            #expect(memory == ["\(64 << 20)"])
            await fixture.driver.stop("web-1", incarnation: 4, grace: .zero)
            _ = try await fixture.exits.first("web-1", 4)
            try await eventually("the groups are gone") {
                !directories.contains { FileManager.default.fileExists(atPath: $0) }
            }
            await fixture.tearDown()
        }

        @Test(.enabled(if: machineHasControlGroups, "needs writable cpu and memory control groups"))
        func endsAnInstanceBeyondItsMemory() async throws {
            let fixture = try Fixture()
            let service = Fixture.shell(
                "exec /usr/bin/awk 'BEGIN { s = \"x\"; while (1) s = s s }'", limits: .init(memory: .mebibytes(32)))
            try await fixture.start("web-1", 1, service)
            #expect(try await fixture.exits.first("web-1").exit.signal == SIGKILL)
            await fixture.tearDown()
        }

        @Test(.enabled(if: machineHasControlGroups, "needs writable cpu and memory control groups"))
        func removesTheGroupsOfATakenOverInstance() async throws {
            let fixture = try Fixture()
            let service = Fixture.shell(
                "echo up; sleep 1000", limits: .init(cpuMillicores: 500, memory: .mebibytes(64)))
            try await fixture.start("web-1", 1, service)
            try await fixture.output(of: "web-1", having: "up\n")
            let directories = fixture.driver.controlGroupDirectories(of: "web-1")
            await fixture.driver.close()
            let second = try Fixture(directory: fixture.directory)
            _ = await second.driver.adopt(
                [ServiceInstance(id: "web-1", service: "web", incarnation: 1, requestedAt: .epoch)], services: [service]
            )
            #expect(second.driver.controlGroupDirectories(of: "web-1") == directories)
            await second.driver.stop("web-1", incarnation: 1, grace: .zero)
            try await eventually("the groups are gone") {
                !directories.contains { FileManager.default.fileExists(atPath: $0) }
            }
            await second.tearDown()
        }

        private static func content(_ path: String) -> String? {
            (try? String(contentsOfFile: path, encoding: .utf8))?.trimmingCharacters(in: .whitespacesAndNewlines)
        }
    }
}

@Suite struct ControlGroupLayoutTests {
    @Test func findsBothVersionsWhereBothAreMounted() {
        let mounts = """
            24 1 0:22 / /sys rw,nosuid shared:7 - sysfs sysfs rw
            31 24 0:27 / /sys/fs/cgroup/unified rw shared:9 - cgroup2 cgroup2 rw
            32 24 0:28 / /sys/fs/cgroup/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct
            33 24 0:29 /docker/abc /sys/fs/cgroup/memory rw - cgroup cgroup rw,memory
            """
        let own = """
            4:memory:/docker/abc/inner
            3:cpu,cpuacct:/
            1:name=systemd:/x
            0::/system.slice/cloudwright.service
            """
        let layout = ControlGroupLayout(mounts: mounts, ownGroups: own)
        #expect(layout.unified == "/sys/fs/cgroup/unified")
        #expect(layout.ownUnified == "/system.slice/cloudwright.service")
        #expect(layout.processor == "/sys/fs/cgroup/cpu,cpuacct")
        #expect(layout.memory == "/sys/fs/cgroup/memory/inner")
    }

    @Test func saysWhyThereIsNone() {
        let (groups, reason) = ControlGroups.detect(cloud: "c", mounts: "", ownGroups: "0::/\n")
        #expect(groups == nil)
        #expect(reason == "no cgroup file system is mounted")
    }

    /// Of a tree with the kernel's file names; what the kernel would do with them is not shown by this.
    @Test(arguments: [true, false]) func writesVersion2(isPrivileged: Bool) throws {
        let mount = try Fixture.makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: mount) }
        let parent = isPrivileged ? mount : mount + "/delegated"
        try Self.file(mount + "/cgroup.controllers", "cpuset cpu io memory pids\n")
        for directory in [parent, parent + "/cloudwright-c", parent + "/own"] {
            try Self.file(directory + "/cgroup.subtree_control", "")
        }
        for name in ["cpu.max", "memory.max", "memory.swap.max", "memory.oom.group"] {
            try Self.file(parent + "/cloudwright-c/web-1.1/\(name)", "")
        }
        let found = ControlGroups.detect(
            cloud: "c", mounts: "31 24 0:27 / \(mount) rw - cgroup2 cgroup2 rw", ownGroups: "0::/delegated/own",
            isPrivileged: isPrivileged)
        let groups = try #require(found.groups, "\(found.reason)")
        #expect(groups.version == .v2)
        #expect(groups.memory == parent + "/cloudwright-c")
        let group = try groups.make("web-1.1", limits: .init(cpuMillicores: 1_500, memory: .mebibytes(1)))
        #expect(group.directories == [parent + "/cloudwright-c/web-1.1"])
        let read = { (name: String) in try String(contentsOfFile: group.directories[0] + "/" + name, encoding: .utf8) }
        #expect(try read("cpu.max") == "150000 100000")
        #expect(try read("memory.max") == "1048576")
        #expect(try read("memory.swap.max") == "0")
        #expect(try read("memory.oom.group") == "1")
        try Self.file(group.directories[0] + "/memory.events", "low 0\noom 1\noom_kill 2\n")
        #expect(group.reachedMemoryLimit)
    }

    @Test func refusesVersion2WithoutControllers() throws {
        let mount = try Fixture.makeDirectory()
        defer { try? FileManager.default.removeItem(atPath: mount) }
        try Self.file(mount + "/cgroup.controllers", "io pids\n")
        let found = ControlGroups.detect(
            cloud: "c", mounts: "31 24 0:27 / \(mount) rw - cgroup2 cgroup2 rw", ownGroups: "0::/", isPrivileged: true)
        #expect(found.groups == nil)
        #expect(found.reason == "\(mount) has no cpu and memory controllers")
    }

    private static func file(_ path: String, _ content: String) throws {
        let directory = (path as NSString).deletingLastPathComponent
        try FileManager.default.createDirectory(atPath: directory, withIntermediateDirectories: true)
        try content.write(toFile: path, atomically: false, encoding: .utf8)
    }
}

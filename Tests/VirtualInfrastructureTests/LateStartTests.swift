import CloudModel
import Testing
import VirtualInfrastructure

/// A start that takes its time comes true after it was given up. It must not run beside its successor.
@Suite struct LateStartTests {
    private static let hosts = ["a", "b"].map { name in
        PhysicalServer(
            id: PhysicalServerID(name), hypervisor: "test:///\(name)",
            capacity: ServerResources(cpuMillicores: 4_000, memory: .mebibytes(4_096)),
            fencing: .command(["/fence", "{host}"]))
    }

    @Test("one that is asked to end before its start was carried out has not ended because a list does not show it")
    func endsWhileItStarts() throws {
        var world = EmulatedHosts(Self.hosts)
        world.start("web-1", smallServer)
        let run = try #require(world.letters.first)
        world.letters.removeAll()
        world.tell(.stop("web-1", incarnation: 1, grace: .zero))
        world.effects = []
        world.tell(.listed(run.host, []))
        #expect(world.supervisor.servers["web-1"] != nil)
        world.tell(.commandEnded(run.host, run.command, failure: HypervisorError(.failed, "it does not start")))
        world.tell(.listed(run.host, []))
        #expect(world.supervisor.servers["web-1"] == nil)
    }

    @Test("what comes to life after it was given up is looked for at once and taken away")
    func lateStart() throws {
        var world = EmulatedHosts(Self.hosts)
        world.start("web-1", smallServer)
        world.settle()
        let host = try #require(world.host(of: "web-1"))
        var late = try #require(world.hosts[host]?.servers.values.first)
        late.name = "emulated-web-1-9"
        late.identity?.incarnation = 9
        world.hosts[host]?.servers[late.name] = late
        world.tell(.changed(host, late.name, uuid: "another", .started))
        world.settle()
        #expect(world.hosts[host]?.servers[late.name] == nil)
        #expect(world.believed == ["web-1": 1])
    }
}

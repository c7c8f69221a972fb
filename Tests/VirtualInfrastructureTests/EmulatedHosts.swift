import CloudModel
import VirtualInfrastructure

/// Hosts as plain state, for decisions alone: commands take effect when they are delivered, in any order between hosts,
/// and answers come back as events. Whoever is cut off neither hears nor says anything, and runs on.
struct EmulatedHosts {
    struct Host {
        var isPowered = true
        var isReachable = true
        var isConnected = false
        var servers: [VirtualServerID: ObservedVirtualServer] = [:]
    }

    struct Letter {
        var host: PhysicalServerID
        var command: HypervisorCommand
    }

    static let cloud = "emulated"
    static let capabilities = HypervisorCapabilities(
        version: "emulated", cpuModel: "qemu64", features: Set(HypervisorCapabilities.Feature.allCases))

    var supervisor = InfrastructureSupervisor(cloud: cloud)
    var hosts: [PhysicalServerID: Host] = [:]
    var declared: [PhysicalServer]
    var now = Timestamp(microseconds: 1_000_000)
    var letters: [Letter] = []
    var fences: [PhysicalServerID] = []
    /// What a resize ends with.
    var resizeFailure: HypervisorError?
    /// Processor time that the hypervisors count.
    var used: [PhysicalServerID: [VirtualServerID: TimeSpan]] = [:]
    /// All effects since it was last emptied.
    var effects: [InfrastructureEffect] = []
    var incarnations: [InstanceID: Int] = [:]
    /// What the supervisor's user believes to run.
    var believed: [InstanceID: Int] = [:]

    init(_ declared: [PhysicalServer]) {
        self.declared = declared
        for server in declared { hosts[server.id] = Host() }
        tell(.configured(declared))
        for server in declared { connect(server.id) }
        settle()
    }

    mutating func tell(_ event: InfrastructureEvent) {
        for effect in supervisor.step(event, at: now, wallClock: now) {
            effects.append(effect)
            switch effect {
            case .command(let host, let command): letters.append(Letter(host: host, command: command))
            case .fence(let host, _): fences.append(host)
            case .started(let instance, let incarnation, _): believed[instance] = incarnation
            case .ended(let instance, let incarnation, _, _):
                if believed[instance] == incarnation { believed[instance] = nil }
            default: break
            }
        }
    }

    mutating func connect(_ host: PhysicalServerID) {
        guard hosts[host]?.isPowered == true, hosts[host]?.isReachable == true, hosts[host]?.isConnected == false
        else { return }
        hosts[host]?.isConnected = true
        tell(.connected(host, Self.capabilities))
    }

    mutating func disconnect(_ host: PhysicalServerID) {
        guard hosts[host]?.isConnected == true else { return }
        hosts[host]?.isConnected = false
        tell(.disconnected(host, reason: "it is cut off"))
        // What was on its way does not arrive over a later connection.
        let lost = letters.filter { $0.host == host }
        letters.removeAll { $0.host == host }
        for letter in lost { fail(letter) }
    }

    mutating func crash(_ host: PhysicalServerID) {
        hosts[host]?.isPowered = false
        hosts[host]?.servers = [:]
        disconnect(host)
    }

    mutating func partition(_ host: PhysicalServerID) {
        hosts[host]?.isReachable = false
        disconnect(host)
    }

    mutating func comeBack(_ host: PhysicalServerID) {
        hosts[host]?.isPowered = true
        hosts[host]?.isReachable = true
        connect(host)
    }

    mutating func completeFence(_ host: PhysicalServerID) {
        hosts[host]?.isPowered = false
        hosts[host]?.servers = [:]
        disconnect(host)
        tell(.fencingEnded(host, failure: nil))
    }

    mutating func advance(_ span: TimeSpan) {
        now = now + span
        tell(.deadline)
    }

    mutating func start(_ instance: InstanceID, _ template: VirtualServerTemplate, of service: ServiceID = "web") {
        let incarnation = (incarnations[instance] ?? 0) + 1
        incarnations[instance] = incarnation
        tell(
            .start(
                VirtualServerIdentity(
                    cloud: Self.cloud, service: service, instance: instance, incarnation: incarnation), template))
    }

    /// Delivers everything that is on its way.
    mutating func settle() {
        while !letters.isEmpty { deliver(at: 0) }
    }

    mutating func deliver(at index: Int) {
        let letter = letters.remove(at: index)
        guard let host = hosts[letter.host], host.isConnected else { return fail(letter) }
        switch letter.command {
        case .list: tell(.listed(letter.host, host.servers.keys.sorted().compactMap { host.servers[$0] }))
        case .resize: tell(.commandEnded(letter.host, letter.command, failure: resizeFailure))
        case .measure: tell(.measured(letter.host, used[letter.host] ?? [:]))
        case .run(let definition):
            hosts[letter.host]?.servers[definition.name] = ObservedVirtualServer(
                name: definition.name, uuid: definition.uuid, identity: definition.identity, state: .running,
                virtualCPUs: definition.flavor.virtualCPUs, memory: definition.flavor.memory)
            tell(.commandEnded(letter.host, letter.command, failure: nil))
        case .migrate(let name, let instance, let destination, _):
            migrate(name, instance, from: letter.host, to: destination.id)
        case .shutDown(let name), .destroy(let name): end(name, letter)
        case .remove(let name), .forget(let name):
            hosts[letter.host]?.servers[name] = nil
            tell(.commandEnded(letter.host, letter.command, failure: nil))
        case .save(let name):
            // As QEMU under libvirt does.
            change(name, letter, to: .paused, .suspended)
            change(name, letter, to: .saved, .saved)
        case .restore(let name): change(name, letter, to: .running, .started)
        case .suspend(let name): change(name, letter, to: .paused, .suspended)
        case .resume(let name): change(name, letter, to: .running, .resumed)
        case .abortMigration: tell(.commandEnded(letter.host, letter.command, failure: nil))
        }
    }

    private mutating func fail(_ letter: Letter) {
        let failure = HypervisorError(.unreachable, "it is cut off")
        if case .migrate(_, let instance, _, _) = letter.command {
            tell(.migrationEnded(instance, .failed(failure)))
        } else {
            tell(.commandEnded(letter.host, letter.command, failure: failure))
        }
    }

    private mutating func end(_ name: VirtualServerID, _ letter: Letter) {
        guard var server = hosts[letter.host]?.servers[name] else {
            return tell(
                .commandEnded(letter.host, letter.command, failure: HypervisorError(.notFound, "there is none")))
        }
        server.state = .defined
        hosts[letter.host]?.servers[name] = server
        tell(.changed(letter.host, name, uuid: server.uuid, .destroyed))
        tell(.commandEnded(letter.host, letter.command, failure: nil))
    }

    private mutating func change(
        _ name: VirtualServerID, _ letter: Letter, to state: VirtualServerState, _ change: VirtualServerChange
    ) {
        guard let server = hosts[letter.host]?.servers[name] else { return }
        hosts[letter.host]?.servers[name]?.state = state
        tell(.changed(letter.host, name, uuid: server.uuid, change))
        tell(.commandEnded(letter.host, letter.command, failure: nil))
    }

    private mutating func migrate(
        _ name: VirtualServerID, _ instance: InstanceID, from source: PhysicalServerID, to destination: PhysicalServerID
    ) {
        guard let server = hosts[source]?.servers[name], let target = hosts[destination], target.isPowered,
            target.isReachable
        else {
            return tell(.migrationEnded(instance, .failed(HypervisorError(.failed, "the destination does not answer"))))
        }
        hosts[source]?.servers[name] = nil
        hosts[destination]?.servers[name] = server
        tell(
            .migrationEnded(
                instance,
                .succeeded(
                    MigrationResult(
                        transferred: .mebibytes(12), totalTime: .milliseconds(900), downtime: .milliseconds(40),
                        rounds: 3))))
    }

    /// The hosts on which an instance runs at this moment, whatever anybody believes.
    func places(of instance: InstanceID) -> [PhysicalServerID] {
        hosts.keys.sorted().filter { host in
            hosts[host]?.servers.values.contains {
                $0.identity?.instance == instance && ($0.state == .running || $0.state == .paused || $0.state == .saved)
            } ?? false
        }
    }

    func instances(on host: PhysicalServerID) -> [InstanceID] {
        supervisor.servers.values.filter { $0.placement.host == host }.map(\.instance).sorted()
    }

    var migrating: [SupervisedServer] {
        supervisor.servers.values.filter(\.isMigrating).sorted { $0.instance < $1.instance }
    }

    mutating func declare(_ hosts: [PhysicalServer]) {
        declared = hosts
        tell(.configured(hosts))
    }

    /// Kinds of notifications.
    var notices: [String] {
        effects.compactMap { if case .notify(_, _, let kind, _, _) = $0 { kind } else { nil } }
    }

    func host(of instance: InstanceID) -> PhysicalServerID? { supervisor.servers[instance]?.placement.host }

    var kinds: [String] {
        effects.compactMap { if case .record(let record) = $0 { record.kind } else { nil } }
    }

    var operations: [Operation] {
        effects.compactMap { if case .operation(let operation) = $0 { operation } else { nil } }
    }
}

let smallServer = VirtualServerTemplate(
    flavor: VirtualServerFlavor(virtualCPUs: 1, cpuMillicores: 500, memory: .mebibytes(128)),
    directBoot: DirectBoot(kernel: "/boot/vmlinuz", commandLine: "ip={address}/{prefix} port={port}"),
    addresses: AddressRange(first: 0x0A4D_010A, last: 0x0A4D_0150, prefixLength: 16), port: 8080)

func emulatedHost(_ name: String, fencing: FencingMethod = .command(["/fence", "{host}"])) -> PhysicalServer {
    PhysicalServer(
        id: PhysicalServerID(name), hypervisor: "test:///\(name)",
        capacity: ServerResources(cpuMillicores: 2_000, memory: .mebibytes(1_024)), fencing: fencing)
}

import CloudModel

/// Which faults a run has, and what kind of cloud it is: all drawn from the seed. Each run has some kinds of faults and
/// not others, since too many at once hide each other.
struct HostSimulationPlan {
    enum Fault: CaseIterable {
        case crash, partition, managementCut, daemonLoss, guestCrash, controlPlane
    }

    var configuration: CloudConfiguration
    var faults: [Fault]
    /// Mean time between two, in microseconds.
    var faultInterval: Int64
    var commandInterval: Int64
    /// Of a thousand.
    var fenceFails: Int
    var migrationFails: Int
    var startFails: Int
    /// A command is carried out and its answer is lost with the connection.
    var answerIsLost: Int

    init(_ random: inout SeededGenerator) {
        func some(_ range: ClosedRange<Int>) -> Int {
            Bool.random(using: &random) ? Int.random(in: range, using: &random) : 0
        }
        configuration = Self.configuration(&random)
        faults = Fault.allCases.filter { _ in Bool.random(using: &random) }
        if faults.isEmpty { faults = [.crash] }
        faultInterval = Int64(Int.random(in: 10...90, using: &random)) * 1_000_000
        commandInterval = Int64(Int.random(in: 5...60, using: &random)) * 1_000_000
        fenceFails = some(50...500)
        migrationFails = some(50...500)
        startFails = some(10...100)
        answerIsLost = some(5...50)
    }

    /// Some services that have no standbys get a warm pool, running or parked. Nothing else of the plan changes.
    mutating func addWarmPools(_ random: inout SeededGenerator) {
        for index in configuration.services.indices {
            let id = configuration.services[index].id
            let kinds: [ParkedState?] = [nil, .paused, .saved]
            let pool = WarmPool(
                instances: Int.random(in: 1...2, using: &random), parked: kinds.randomElement(using: &random) ?? nil)
            let hasStandbys = configuration.failoverGroups.contains { $0.service == id }
            if !hasStandbys { configuration.services[index].scaling.warmPool = pool }
        }
    }

    private static func configuration(_ random: inout SeededGenerator) -> CloudConfiguration {
        let names = ["a", "b", "c", "d", "e"].prefix(Int.random(in: 3...5, using: &random))
        let servers = names.map { name in
            PhysicalServer(
                id: PhysicalServerID(name), hypervisor: "test:///\(name)",
                capacity: ServerResources(cpuMillicores: 3_000, memory: .mebibytes(1_024)),
                fencing: Int.random(in: 0..<3, using: &random) == 0
                    ? .lease(.seconds(Int64.random(in: 8...30, using: &random))) : .command(["/fence", "{host}"]))
        }
        var services: [CloudService] = []
        var groups: [FailoverGroup] = []
        for (number, name) in ["api", "desk", "web"].prefix(Int.random(in: 1...3, using: &random)).enumerated() {
            let id = ServiceID(name)
            services.append(service(id, network: UInt32(number), &random))
            guard Bool.random(using: &random) else { continue }
            groups.append(
                FailoverGroup(
                    id: FailoverGroupID(name), service: id, mode: .activePassive, standbys: 1,
                    standbyReadiness: FailoverGroup.StandbyReadiness.allCases.randomElement(using: &random) ?? .warm))
        }
        return CloudConfiguration(services: services, failoverGroups: groups, physicalServers: servers)
    }

    private static func service(
        _ id: ServiceID, network: UInt32, _ random: inout SeededGenerator
    ) -> CloudService {
        let minimum = Int.random(in: 1...2, using: &random)
        let grows = Bool.random(using: &random)
        let first = UInt32(0x0A4D_0000) + (network << 8)
        return CloudService(
            id: id, routes: [Route(host: "\(id).example")],
            instances: .virtualServer(
                VirtualServerTemplate(
                    flavor: VirtualServerFlavor(
                        virtualCPUs: 2, cpuMillicores: 400, memory: .mebibytes(128),
                        maximumCpuMillicores: grows ? 1_200 : nil),
                    directBoot: DirectBoot(kernel: "/boot/vmlinuz", commandLine: "{address}"),
                    addresses: AddressRange(first: first + 10, last: first + 60, prefixLength: 16), port: 80)),
            constraints: WorkloadConstraints(
                minimumInstances: minimum, maximumInstances: minimum + Int.random(in: 1...2, using: &random)),
            scaling: ScalingSettings(targetConcurrency: 2, scaleInStabilisation: .seconds(60)),
            healthCheck: HealthCheck(interval: .seconds(2), fastInterval: .milliseconds(500)),
            loadBalancing: LoadBalancingSettings(drainTimeout: .seconds(5)),
            restart: RestartSettings(
                maximumBackoff: .seconds(10), startTimeout: .seconds(60), breakerPause: .seconds(20)))
    }
}

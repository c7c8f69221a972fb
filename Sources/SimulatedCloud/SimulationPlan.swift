import CloudModel

/// Which faults a run has, how often, and what kind of cloud it runs: all drawn from the seed. Each run has some kinds
/// of faults and not others (swarm testing: Groce et al., ISSTA 2012), since too many at once hide each other.
struct SimulationPlan {
    /// Of a thousand.
    var startFails = 0
    var startIsSlow = 0
    var startHangs = 0
    var neverReady = 0
    var stopIsLate = 0
    var eventIsLost = 0
    var eventIsDoubled = 0
    var eventIsLate = 0
    var checkIsFlaky = 0
    var deadlineIsLate = 0
    var actionIsDoubled = 0
    /// Mean time between them, in seconds; 0: none.
    var crashes: Int64 = 0
    var hangs: Int64 = 0
    var clockJumps: Int64 = 0
    var restarts: Int64 = 0
    var commands: Int64 = 0
    var networkFailures: Int64 = 0
    var gatewaySilences: Int64 = 0
    var configuration: CloudConfiguration
    var sampleInterval: Int64

    init(random: inout SeededGenerator) {
        configuration = Self.configuration(&random)
        sampleInterval = Int64.random(in: 1...2, using: &random) * 1_000_000
        func some(_ range: ClosedRange<Int>) -> Int {
            Bool.random(using: &random) ? Int.random(in: range, using: &random) : 0
        }
        startFails = some(10...200)
        startIsSlow = some(20...200)
        startHangs = some(5...50)
        neverReady = some(5...50)
        stopIsLate = some(50...500)
        eventIsLost = some(1...20)
        eventIsDoubled = some(1...50)
        eventIsLate = some(1...50)
        checkIsFlaky = some(1...20)
        deadlineIsLate = some(1...50)
        actionIsDoubled = some(1...50)
        crashes = Int64(some(60...600))
        hangs = Int64(some(120...900))
        clockJumps = Int64(some(300...1_800))
        restarts = Int64(some(120...1_200))
        commands = Int64(some(60...400))
        networkFailures = Int64(some(600...1_800))
        gatewaySilences = Int64(some(300...1_200))
    }

    private static func configuration(_ random: inout SeededGenerator) -> CloudConfiguration {
        var services: [CloudService] = []
        var groups: [FailoverGroup] = []
        for name in ["api", "web"].prefix(Int.random(in: 1...2, using: &random)) {
            services.append(managedService(ServiceID(name), &random))
            if Bool.random(using: &random) { groups.append(group(of: ServiceID(name), &random)) }
        }
        if Int.random(in: 0..<4, using: &random) == 0 {
            let endpoints = (1...3).map { Endpoint(address: "10.0.0.\($0)", port: 80) }
            services.append(
                CloudService(
                    id: "fixed", routes: [Route(host: "fixed.example")], instances: .endpoints(endpoints),
                    constraints: WorkloadConstraints(minimumInstances: 0, maximumInstances: 1),
                    healthCheck: HealthCheck(interval: .seconds(10))))
        }
        return CloudConfiguration(services: services, failoverGroups: groups)
    }

    private static func managedService(_ id: ServiceID, _ random: inout SeededGenerator) -> CloudService {
        let minimum = Int.random(in: 0...2, using: &random)
        let maximum = max(1, minimum + Int.random(in: 0...4, using: &random))
        let followsConsumers = Bool.random(using: &random)
        return CloudService(
            id: id, owner: "tenant", routes: [Route(host: "\(id).example")],
            instances: .process(
                ProcessTemplate(
                    command: ["/srv/\(id)", "1"], stopGrace: .seconds(Int64.random(in: 1...10, using: &random)))
            ),
            constraints: WorkloadConstraints(
                minimumInstances: minimum, maximumInstances: maximum,
                concurrentRequestsPerInstance: followsConsumers ? nil : Int.random(in: 1...3, using: &random),
                activeConsumersPerInstance: followsConsumers ? Int.random(in: 1...2, using: &random) : nil,
                queueTimeout: .seconds(15)),
            scaling: ScalingSettings(
                scaleInStabilisation: .seconds([30, 60, 120, 300].randomElement(using: &random) ?? 60)),
            healthCheck: HealthCheck(
                interval: .seconds([2, 5, 10].randomElement(using: &random) ?? 5), fastInterval: .milliseconds(500)),
            loadBalancing: LoadBalancingSettings(drainTimeout: .seconds(Int64.random(in: 2...30, using: &random))),
            restart: RestartSettings(
                maximumBackoff: .seconds(10), startTimeout: .seconds(Int64.random(in: 5...20, using: &random)),
                breakerThreshold: Int.random(in: 3...6, using: &random),
                breakerPause: .seconds(Int64.random(in: 20...60, using: &random))))
    }

    static func group(of service: ServiceID, _ random: inout SeededGenerator) -> FailoverGroup {
        FailoverGroup(
            id: FailoverGroupID(service.rawValue), service: service,
            mode: Int.random(in: 0..<3, using: &random) == 0 ? .activeActive : .activePassive,
            standbys: Int.random(in: 1...2, using: &random),
            standbyReadiness: Bool.random(using: &random) ? .warm : .cold,
            recoveryAttempts: Int.random(in: 0...3, using: &random))
    }
}

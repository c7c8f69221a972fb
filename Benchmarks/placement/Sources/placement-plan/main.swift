import CloudModel
import VirtualInfrastructure

/// Places, unsettles, plans: with sizes as in a mixed cloud.
struct Measurement {
    let hosts: [PhysicalServer]
    var random = SeededGenerator(seed: 1)
    var problem = RebalanceProblem(hosts: [], servers: [])
    var refused = 0

    init(hosts: Int) {
        self.hosts = (0..<hosts).map { index in
            PhysicalServer(
                id: PhysicalServerID("host-\(index)"), hypervisor: "",
                capacity: ServerResources(cpuMillicores: 64_000, memory: .mebibytes(256 << 10)))
        }
    }

    func requests(_ count: Int) -> [PlacementRequest] {
        var random = SeededGenerator(seed: 2)
        let affinities: [PlacementRule.Affinity] = [.none, .apart, .apart, .strictlyApart]
        return (0..<count).map { index in
            let size = 1 << Int.random(in: 0...3, using: &random)
            return PlacementRequest(
                service: ServiceID("service-\(index / 10)"),
                resources: ServerResources(cpuMillicores: size * 500, memory: .mebibytes(Int64(size) * 2_048)),
                rule: PlacementRule(affinity: affinities[index / 10 % affinities.count]))
        }
    }

    mutating func place(_ requests: [PlacementRequest]) -> Duration {
        var inventory = ServerInventory(hosts: hosts)
        var places: [PhysicalServerID?] = []
        let time = ContinuousClock().measure {
            places = requests.map { try? inventory.place($0).get() }
        }
        refused = places.count { $0 == nil }
        let servers = zip(requests, places).enumerated().compactMap { index, pair -> RebalanceProblem.Server? in
            guard let host = pair.1 else { return nil }
            // Hosts of low numbers are busy, those of high numbers idle.
            let number = inventory.index(of: host) ?? 0
            let busy = 95 - 90 * number / max(1, hosts.count)
            let load = pair.0.resources.cpuMillicores * Int.random(in: max(1, busy - 5)...busy, using: &random) / 100
            return RebalanceProblem.Server(
                instance: InstanceID("instance-\(index)"), service: pair.0.service, host: host,
                resources: pair.0.resources, loadMillicores: load, dirtyBytesPerSecond: 5 << 20, rule: pair.0.rule)
        }
        problem = RebalanceProblem(
            hosts: hosts.map { RebalanceProblem.Host(id: $0.id, capacity: $0.capacity) }, servers: servers)
        return time
    }
}

func milliseconds(_ time: Duration) -> String {
    String(time.components.seconds * 1_000 + time.components.attoseconds / 1_000_000_000_000_000) + " ms"
}

let arguments = CommandLine.arguments.dropFirst().compactMap { Int($0) }
let (hosts, servers) = (max(2, arguments.first ?? 1_000), max(1, arguments.dropFirst().first ?? 20_000))
var measurement = Measurement(hosts: hosts)
let requests = measurement.requests(servers)
let placing = measurement.place(requests)
print(
    "placed \(servers - measurement.refused) of \(servers) virtual servers on \(hosts) hosts: \(milliseconds(placing))")
var plan: RebalancePlan?
let settings = Rebalancer.Settings(goalPercent: 5, maximumMoves: servers)
let planning = ContinuousClock().measure { plan = Rebalancer.plan(measurement.problem, settings) }
if let plan {
    let (before, after) = (Int(plan.before.worstPercent.rounded()), Int(plan.after.worstPercent.rounded()))
    print(
        "planned \(plan.moves.count) migrations: \(milliseconds(planning)); the hosts differ by \(before) %, then "
            + "\(after) %")
}
print("both: \(milliseconds(placing + planning))")

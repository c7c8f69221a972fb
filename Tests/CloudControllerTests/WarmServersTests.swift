import CloudController
import CloudModel
import PayPerUse
import Testing
import VirtualInfrastructure

/// The warm pool of a service on virtual servers: what runs, what waits, and what is billed of both.
@Suite struct WarmServersTests {
    private static let capabilities = HypervisorCapabilities(
        version: "1", cpuModel: "same", features: Set(HypervisorCapabilities.Feature.allCases))

    private static func service(_ parked: ParkedState?) -> CloudService {
        CloudService(
            id: "web", routes: [Route(pathPrefix: "/")],
            instances: .virtualServer(
                VirtualServerTemplate(
                    flavor: VirtualServerFlavor(cpuMillicores: 400, memory: .mebibytes(128)),
                    directBoot: DirectBoot(kernel: "/boot/vmlinuz"),
                    addresses: AddressRange(first: 0x0A00_000A, last: 0x0A00_0013, prefixLength: 24), port: 8080)),
            constraints: WorkloadConstraints(
                minimumInstances: 1, maximumInstances: 6, concurrentRequestsPerInstance: 10),
            scaling: ScalingSettings(warmPool: WarmPool(instances: 2, parked: parked)))
    }

    /// A cloud, and what its hypervisors have done so far.
    private struct Cloud {
        var bench = Bench()
        private(set) var commands: [HypervisorCommand] = []
        private var states: [VirtualServerID: ParkedState?] = [:]
        private var since: Timestamp
        /// Counted here by what the hypervisors did, to compare the books with.
        private(set) var running: Int128 = 0
        private(set) var existing: Int128 = 0

        init(_ parked: ParkedState?) {
            since = bench.now
            let hosts = ["a", "b", "c"].map { name in
                PhysicalServer(
                    id: PhysicalServerID(name), hypervisor: "test:///\(name)",
                    capacity: ServerResources(cpuMillicores: 1_000, memory: .mebibytes(512)))
            }
            bench.command(.configure(CloudConfiguration(services: [], physicalServers: hosts)))
            for host in hosts {
                bench.send(.infrastructure(.connected(host.id, WarmServersTests.capabilities)))
                bench.send(.infrastructure(.listed(host.id, [])))
            }
            bench.command(
                .configure(
                    CloudConfiguration(services: [WarmServersTests.service(parked)], physicalServers: hosts)))
            hold(.seconds(40), inFlight: 1)
        }

        mutating func hold(_ span: TimeSpan, inFlight: Int) {
            let end = bench.now + span
            while bench.now < end {
                bench.load(inFlight: inFlight)
                answer()
                bench.pass(.seconds(1))
            }
        }

        /// Carries out what the hypervisors were asked.
        mutating func answer() {
            let asked = bench.effects.compactMap { effect -> (PhysicalServerID, HypervisorCommand)? in
                if case .hypervisor(let host, let command) = effect { (host, command) } else { nil }
            }
            bench.effects = bench.effects.filter { if case .hypervisor = $0 { false } else { true } }
            for (host, command) in asked { carryOut(command, on: host) }
        }

        private mutating func carryOut(_ command: HypervisorCommand, on host: PhysicalServerID) {
            count()
            commands.append(command)
            var change: (VirtualServerID, VirtualServerChange)?
            switch command {
            case .run(let description): states[description.name] = .some(nil)
            case .suspend(let name): (states[name], change) = (.paused, (name, .suspended))
            case .save(let name): (states[name], change) = (.saved, (name, .saved))
            case .resume(let name): (states[name], change) = (.some(nil), (name, .resumed))
            case .restore(let name): (states[name], change) = (.some(nil), (name, .started))
            case .shutDown(let name): (states[name], change) = (nil, (name, .shutOff))
            case .destroy(let name): (states[name], change) = (nil, (name, .destroyed))
            default: break
            }
            let servers = bench.controller.infrastructure.servers.values
            if let change, let uuid = servers.first(where: { $0.placement.name == change.0 })?.placement.uuid {
                bench.send(.infrastructure(.changed(host, change.0, uuid: uuid, change.1)))
            }
            bench.send(.infrastructure(.commandEnded(host, command, failure: nil)))
        }

        mutating func count() {
            let passed = Int128(bench.now.microseconds - since.microseconds)
            since = bench.now
            existing += passed * Int128(states.count)
            running += passed * Int128(states.values.count { $0 == nil })
        }

        func waiting(_ state: ParkedState?) -> Int {
            bench.controller.instances.count {
                $0.role == .standby && $0.phase == .running && $0.virtualServer?.parked == state
            }
        }

        /// What a plan with this one price bills for all of it.
        func billed(_ meter: BilledMeter, price: Int64) throws -> String {
            let seen = Dictionary(uniqueKeysWithValues: bench.controller.instances.map { ($0.id, bench.now) })
            let books = UsageReconstruction(
                bench.lifecycle, lastHeartbeats: seen, lease: .minutes(1), now: bench.now)
            #expect(books.anomalies.isEmpty)
            var use = MeteredUse()
            for sum in try ResourceUsage.sums(of: books.intervals, by: .service) { use.add(sum) }
            let window = BillingWindow(start: .epoch, end: bench.now)
            let plan = PricePlan(
                id: "p", currency: try #require(Currency("EUR")),
                prices: [Price(id: "x", meter: meter, model: .perUnit(ExactDecimal(price)))])
            return BillRun(plan: plan, window: window).lines(use: [window: use]).first?.exactAmount ?? "0"
        }
    }

    private func isWaking(_ command: HypervisorCommand, _ parked: ParkedState) -> Bool {
        switch command {
        case .resume: parked == .paused
        case .restore: parked == .saved
        default: false
        }
    }

    private func isStart(_ command: HypervisorCommand) -> Bool {
        if case .run = command { true } else { false }
    }

    @Test(
        "a scale-out wakes what waits before anything is started, and the pool is filled again; in, likewise",
        arguments: ParkedState.allCases)
    func takesTheWarmFirst(parked: ParkedState) throws {
        var cloud = Cloud(parked)
        #expect(cloud.bench.backends == ["web-1"] && cloud.waiting(parked) == 2)
        let before = cloud.commands.count
        cloud.bench.load(inFlight: 20)
        cloud.answer()
        let first = cloud.commands[before...]
        #expect(first.count { isWaking($0, parked) } == 2, "\(first)")
        cloud.bench.pass(.milliseconds(500))
        #expect(cloud.bench.backends.count == 3, "half a second later")
        cloud.hold(.seconds(30), inFlight: 20)
        #expect(cloud.bench.backends.count == 3 && cloud.waiting(parked) == 2, "two others wait in their stead")
        cloud.hold(.minutes(12), inFlight: 1)
        #expect(cloud.bench.backends.count == 1 && cloud.waiting(parked) == 2)
        #expect(cloud.bench.controller.instances.count == 3)
        #expect(cloud.bench.notifications.isEmpty)
    }

    @Test("with no state named the pool runs")
    func runs() {
        var cloud = Cloud(nil)
        #expect(cloud.waiting(nil) == 2 && cloud.bench.backends == ["web-1"])
        cloud.bench.load(inFlight: 20)
        #expect(cloud.bench.backends.count == 3, "without any time passing")
    }

    /// 3600 an instance-hour is 1 for a second of running; 28800 a GiB-hour is 1 for a second of 128 MiB.
    @Test(
        "what waits asleep costs no instance-hours, and its memory only where the plan prices memory",
        arguments: [ParkedState.paused, .saved, nil])
    func isBilled(parked: ParkedState?) throws {
        var cloud = Cloud(parked)
        cloud.hold(.minutes(2), inFlight: 20)
        cloud.hold(.minutes(12), inFlight: 1)
        cloud.count()
        #expect(try cloud.billed(.instanceHour, price: 3_600) == ResourceUsage.decimalSeconds(cloud.running))
        #expect(try cloud.billed(.gibHour, price: 28_800) == ResourceUsage.decimalSeconds(cloud.existing))
        let asleep = cloud.existing - cloud.running
        #expect(parked == nil ? asleep == 0 : asleep > 1_000_000 * 60 * 25, "two of them for most of 15 minutes")
    }
}

import CloudController
import CloudModel
import Testing
import VirtualInfrastructure

/// The sizes of virtual servers follow what they use: larger where they are, elsewhere, more of them, a person.
@Suite struct ServerSizeTests {
    private static let base = 400
    private static let capabilities = HypervisorCapabilities(
        version: "1", cpuModel: "same", features: Set(HypervisorCapabilities.Feature.allCases))

    /// A cloud whose hypervisors carry out what they are asked and count what the virtual servers use.
    private struct Cloud {
        var bench = Bench()
        private var used: [InstanceID: Int64] = [:]

        init(millicores: [Int], _ vertical: VerticalScaling, _ change: (inout CloudService) -> Void = { _ in }) {
            var service = CloudService(
                id: "web", routes: [Route(pathPrefix: "/")],
                instances: .virtualServer(
                    VirtualServerTemplate(
                        flavor: VirtualServerFlavor(
                            virtualCPUs: 2, cpuMillicores: base, memory: .mebibytes(128), maximumCpuMillicores: 1_600),
                        directBoot: DirectBoot(kernel: "/boot/vmlinuz"),
                        addresses: AddressRange(first: 0x0A00_000A, last: 0x0A00_0013, prefixLength: 24), port: 8080)),
                constraints: WorkloadConstraints(minimumInstances: 1, maximumInstances: 2),
                scaling: ScalingSettings(targetConcurrency: 10, vertical: vertical))
            change(&service)
            let hosts = zip(["a", "b"], millicores).map { name, size in
                PhysicalServer(
                    id: PhysicalServerID(name), hypervisor: "test:///\(name)",
                    capacity: ServerResources(cpuMillicores: size, memory: .mebibytes(512)),
                    fencing: .command(["/fence", "{host}"]))
            }
            bench.command(.configure(CloudConfiguration(services: [], physicalServers: hosts)))
            for host in hosts {
                bench.send(.infrastructure(.connected(host.id, capabilities)))
                bench.send(.infrastructure(.listed(host.id, [])))
            }
            // The first takes the one instance that there is at first.
            var first = hosts
            if first.count > 1 { first[1].maintenance = true }
            bench.command(.configure(CloudConfiguration(services: [service], physicalServers: first)))
            bench.answerHypervisors()
            bench.command(.configure(CloudConfiguration(services: [service], physicalServers: hosts)))
            bench.pass(.seconds(5))
            bench.answerHypervisors()
        }

        /// Those that are up share a work of so many millicores, each as far as its size goes.
        mutating func hold(_ span: TimeSpan, millicores: Int, isMeasured: Bool = true) {
            let end = bench.now + span
            while bench.now < end {
                let up = bench.controller.instances.filter { $0.operational == .up && $0.virtualServer != nil }
                for instance in up {
                    let size = instance.virtualServer?.flavor.cpuMillicores ?? 0
                    used[instance.id, default: 0] += Int64(10 * min(size, millicores / max(1, up.count)))
                }
                for host in ["a", "b"] as [PhysicalServerID] where isMeasured {
                    let there = up.filter { $0.virtualServer?.host == host }.compactMap { instance in
                        instance.virtualServer.map { ($0.name, TimeSpan.milliseconds(used[instance.id, default: 0])) }
                    }
                    bench.send(.infrastructure(.measured(host, Dictionary(uniqueKeysWithValues: there))))
                }
                for _ in 0..<5 {
                    bench.answerHypervisors()
                    bench.load(inFlight: 1)
                    bench.pass(.seconds(2))
                }
            }
        }

        func size(_ id: InstanceID = "web-1") -> Int? { bench[id]?.virtualServer?.flavor.cpuMillicores }
        var host: PhysicalServerID? { bench["web-1"]?.virtualServer?.host }
        var resizes: Int { bench.lifecycle.count { $0.kind == .resize } }
    }

    @Test("it grows where it is as the quota holds it back, is billed for that, and shrinks after the window, once")
    func inPlace() throws {
        var cloud = Cloud(millicores: [2_000, 2_000], .throttling)
        cloud.hold(.minutes(2), millicores: 900)
        let grown = try #require(cloud.size())
        #expect((900...1_600).contains(grown) && cloud.host == "a")
        #expect(cloud.bench.lifecycle.last?.resources.cpuMillicores == grown)
        let resizes = cloud.resizes
        cloud.hold(.seconds(240), millicores: 100)
        #expect(cloud.size() == grown)
        cloud.hold(.minutes(40), millicores: 100)
        #expect(cloud.size() == Self.base)
        #expect(cloud.resizes - resizes <= 5, "\(cloud.resizes)")
        #expect(cloud.bench.controller.instances.count == 1)
    }

    @Test func theHistogramGrowsAndStays() throws {
        var cloud = Cloud(millicores: [2_000, 2_000], .histogram)
        cloud.hold(.minutes(40), millicores: 390)
        let grown = try #require(cloud.size())
        #expect((440...500).contains(grown), "390 and 15 % more, to the end of a bucket: \(grown)")
        let resizes = cloud.resizes
        for _ in 0..<20 {
            cloud.hold(.minutes(1), millicores: 300)
            cloud.hold(.minutes(1), millicores: 390)
        }
        #expect(cloud.resizes == resizes, "\(cloud.resizes - resizes) resizes")
    }

    @Test("its host is used by others: it is moved live to one with room and grows there")
    func relocates() {
        var cloud = Cloud(millicores: [500, 2_000], .throttling)
        #expect(cloud.host == "a")
        cloud.hold(.minutes(3), millicores: 900)
        #expect(cloud.host == "b" && (cloud.size() ?? 0) >= 900)
        #expect(cloud.bench.controller.instances.count == 1)
    }

    @Test(
        "no host has room: there are more instances, none goes while they are needed, and then a person is told"
    )
    func outAndNotify() {
        var cloud = Cloud(millicores: [450, 450], .throttling)
        cloud.hold(.minutes(3), millicores: 700)
        #expect(cloud.bench.controller.instances.count == 2)
        let decided = cloud.bench.events.last { $0.kind == "scaling.decided" }
        #expect(decided?.summary.contains("and no physical server has them") == true, "\(decided?.summary ?? "")")
        // One request would fit one instance, but what the two use does not.
        cloud.hold(.minutes(20), millicores: 1_400)
        #expect(cloud.bench.controller.instances.count == 2)
        #expect(cloud.bench.notifications.count { $0.kind == "scaling-exhausted" } == 1)
        cloud.hold(.minutes(20), millicores: 100)
        #expect(cloud.bench.backends.count == 1)
    }

    @Test func withoutReadingsAndInADryRunNothingIsChanged() {
        var blind = Cloud(millicores: [2_000, 2_000], .throttling)
        blind.hold(.minutes(10), millicores: 900, isMeasured: false)
        #expect(blind.size() == Self.base)
        var dry = Cloud(millicores: [2_000, 2_000], .throttling) { $0.scaling.isDryRun = true }
        dry.hold(.minutes(5), millicores: 900)
        #expect(dry.size() == Self.base)
        #expect(dry.bench.events.count { $0.kind == "scaling.decided.dry-run" } == 1)
    }
}

import CloudModel
import Testing
import VirtualInfrastructure

@Suite struct PlacementTests {
    static func host(
        _ name: String, millicores: Int = 4_000, mebibytes: Int64 = 4_096, labels: [String: String] = [:],
        maintenance: Bool = false
    ) -> PhysicalServer {
        PhysicalServer(
            id: PhysicalServerID(name), hypervisor: "test:///\(name)",
            capacity: ServerResources(cpuMillicores: millicores, memory: .mebibytes(mebibytes)), labels: labels,
            maintenance: maintenance)
    }

    static func request(
        _ service: ServiceID = "web", millicores: Int = 1_000, mebibytes: Int64 = 512,
        strategy: PlacementRule.Strategy = .spread, affinity: PlacementRule.Affinity = .none,
        labels: [String: String] = [:]
    ) -> PlacementRequest {
        PlacementRequest(
            service: service,
            resources: ServerResources(cpuMillicores: millicores, memory: .mebibytes(mebibytes)),
            rule: PlacementRule(strategy: strategy, affinity: affinity, hostLabels: labels))
    }

    @Test("spreading takes the host with the most left, packing the fullest with room")
    func strategies() throws {
        var inventory = ServerInventory(hosts: [Self.host("a"), Self.host("b"), Self.host("c")])
        inventory.reserve(
            ServerResources(cpuMillicores: 2_000, memory: .mebibytes(512)), of: "other", on: "a")
        inventory.reserve(
            ServerResources(cpuMillicores: 3_500, memory: .mebibytes(512)), of: "other", on: "b")
        var spread = inventory
        let emptiest = try spread.place(Self.request()).get()
        #expect(emptiest == "c")
        var packed = inventory
        let fullest = try packed.place(Self.request(strategy: .pack)).get()
        #expect(fullest == "a")
    }

    @Test("what is promised counts at once: the next decision does not see it free")
    func reservations() throws {
        var inventory = ServerInventory(hosts: [Self.host("a", millicores: 1_500), Self.host("b", millicores: 1_500)])
        let first = try inventory.place(Self.request()).get()
        let second = try inventory.place(Self.request()).get()
        #expect(Set([first, second]) == ["a", "b"])
        let third = inventory.place(Self.request())
        #expect(throws: PlacementFailure.self) { try third.get() }
        inventory.release(Self.request().resources, of: "web", on: first)
        let fourth = try inventory.place(Self.request()).get()
        #expect(fourth == first)
    }

    @Test("a refusal says of every host why")
    func rejections() {
        var inventory = ServerInventory(hosts: [
            Self.host("apart"), Self.host("down"), Self.host("full", millicores: 500),
            Self.host("label", labels: ["zone": "b"]), Self.host("maintained", maintenance: true),
            Self.host("small", mebibytes: 256),
        ])
        inventory.setPhase(of: "down", .suspect)
        inventory.reserve(.zero, of: "web", on: "apart")
        let request = Self.request(affinity: .strictlyApart)
        #expect(inventory.rejection(of: request, on: "apart") == .notApart(host: "apart", service: "web"))
        #expect(inventory.rejection(of: request, on: "down") == .notUsable(host: "down", phase: .suspect))
        #expect(
            inventory.rejection(of: request, on: "full")
                == .notEnoughProcessor(host: "full", neededMillicores: 1_000, freeMillicores: 500))
        #expect(
            inventory.rejection(of: request, on: "small")
                == .notEnoughMemory(host: "small", needed: .mebibytes(512), free: .mebibytes(256)))
        #expect(inventory.rejection(of: request, on: "maintained") == .inMaintenance(host: "maintained"))
        #expect(
            inventory.rejection(of: Self.request(labels: ["zone": "a"]), on: "label")
                == .missingLabel(host: "label", label: "zone", value: "a"))
        #expect(inventory.rejection(of: Self.request(labels: ["zone": "b"]), on: "label") == nil)
    }

    @Test("instances of a service are kept apart as long as there are hosts")
    func apart() throws {
        var inventory = ServerInventory(hosts: [Self.host("a"), Self.host("b"), Self.host("c")])
        let request = Self.request(millicores: 100, mebibytes: 16, affinity: .apart)
        let first = try (0..<3).map { _ in try inventory.place(request).get() }
        #expect(Set(first).count == 3)
        // The fourth has to share.
        let fourth = try inventory.place(request).get()
        #expect(first.contains(fourth))
    }

    /// Whatever is asked for in whatever order, no host holds more than it has, and no two of a strict service share.
    @Test("never overcommits and never violates strict anti-affinity", arguments: 0..<50)
    func invariants(seed: UInt64) {
        var random = SeededGenerator(seed: seed)
        let hosts = (0..<Int.random(in: 1...12, using: &random)).map { index in
            Self.host(
                "h\(index)", millicores: Int.random(in: 500...8_000, using: &random),
                mebibytes: Int64.random(in: 256...8_192, using: &random),
                maintenance: Int.random(in: 0..<8, using: &random) == 0)
        }
        var inventory = ServerInventory(hosts: hosts)
        var placed: [(host: PhysicalServerID, request: PlacementRequest)] = []
        for _ in 0..<300 {
            if !placed.isEmpty, Int.random(in: 0..<3, using: &random) == 0 {
                let gone = placed.remove(at: Int.random(in: 0..<placed.count, using: &random))
                inventory.release(gone.request.resources, of: gone.request.service, on: gone.host)
                continue
            }
            let request = Self.request(
                ServiceID("s\(Int.random(in: 0..<4, using: &random))"),
                millicores: Int.random(in: 50...2_000, using: &random),
                mebibytes: Int64.random(in: 16...2_048, using: &random),
                strategy: Bool.random(using: &random) ? .pack : .spread,
                affinity: .strictlyApart)
            if case .success(let host) = inventory.place(request) { placed.append((host, request)) }
            for host in hosts {
                let own = placed.filter { $0.host == host.id }
                let sum = own.reduce(ServerResources.zero) { $0 + $1.request.resources }
                #expect(host.capacity.holds(sum))
                #expect(!host.maintenance || own.isEmpty)
                #expect(inventory.used(on: host.id) == sum)
                #expect(Set(own.map(\.request.service)).count == own.count)
            }
        }
    }

    /// The fullest host of the plan against that of the best of all plans, by trying every one.
    @Test("spreading comes near the best of all plans", arguments: 0..<30)
    func nearTheBest(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let hosts = (0..<3).map { Self.host("h\($0)", millicores: 10_000, mebibytes: 10_240) }
        let sizes = (0..<7).map { _ in Int.random(in: 200...2_000, using: &random) }.sorted(by: >)
        var inventory = ServerInventory(hosts: hosts)
        for size in sizes { _ = try inventory.place(Self.request(millicores: size, mebibytes: 16)).get() }
        let fullest = hosts.map { inventory.used(on: $0.id).cpuMillicores }.max() ?? 0
        var best = Int.max
        for plan in 0..<2_187 {
            var loads = [0, 0, 0]
            var rest = plan
            for size in sizes {
                loads[rest % 3] += size
                rest /= 3
            }
            best = min(best, loads.max() ?? 0)
        }
        // Graham's bound for the longest-first rule on three machines: 4/3 - 1/9.
        #expect(Double(fullest) <= Double(best) * 11 / 9)
        #expect(fullest >= best)
    }
}

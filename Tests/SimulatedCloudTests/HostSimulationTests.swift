import CloudModel
import Foundation
import SimulatedCloud
import Testing

/// Virtual servers under faults of their hosts. `CLOUDWRIGHT_HOST_SEEDS=1000` runs more of them.
@Suite struct HostSimulationTests {
    private static let seeds =
        ProcessInfo.processInfo.environment["CLOUDWRIGHT_HOST_SEEDS"].flatMap { UInt64($0) } ?? 100

    @Test("no virtual server runs twice, none is lost, and every book is right, whatever hosts do")
    func faultsBreakNoRule() async {
        let halves = [1...Self.seeds / 2, Self.seeds / 2 + 1...Self.seeds]
        let reports = await withTaskGroup(of: [HostSimulationReport].self) { group in
            for seeds in halves {
                group.addTask { seeds.map { simulateHosts(seed: $0) } }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        for report in reports where report.violation != nil { Issue.record("\(report)") }
        // What is not exercised is not shown.
        func sum(_ count: (HostSimulationReport) -> Int) -> Int { reports.map(count).reduce(0, +) }
        let most = Int(Self.seeds)
        #expect(sum(\.crashes) > most)
        #expect(sum(\.partitions) > most)
        #expect(sum(\.daemonLosses) > most)
        #expect(sum(\.migrations) > most * 5)
        #expect(sum(\.failedMigrations) > most)
        #expect(sum(\.fences) > most)
        #expect(sum(\.failedFences) > most / 10)
        #expect(sum(\.leasesEnded) > most / 10)
        #expect(sum(\.restartsOfControlPlane) > most)
    }

    /// At rest each pool is full, as it is configured to wait, and the books have those asleep as suspended.
    @Test("warm pools of virtual servers are filled again, whatever hosts do, and booked as they are")
    func warmPoolsAreKept() {
        let reports = (1...Self.seeds / 4).map { simulateHosts(seed: $0, warmPools: true) }
        for report in reports where report.violation != nil { Issue.record("\(report)") }
        #expect(reports.map(\.parkings).reduce(0, +) > Int(Self.seeds))
        #expect(reports.map(\.wakings).reduce(0, +) > Int(Self.seeds) / 2)
    }

    /// The first four ended without rest once: a trial of the breaker that hung before it died was waited for for ever.
    /// The fifth used a host before an earlier life's virtual servers were taken from it. The sixth left a host suspect
    /// for ever that had come back while a fence was on its way which then failed. The seventh woke a standby that was
    /// to be stopped, and took the list of before for the end of it. The last did not book one that had been put to
    /// sleep while nobody listened.
    @Test(arguments: [144, 310, 533, 638, 900, 74, 653, 868] as [UInt64]) func whatWasFoundStaysMended(seed: UInt64) {
        let report = simulateHosts(seed: seed)
        #expect(report.violation == nil, "\(report)")
    }

    /// A standby was woken where it had been before a migration whose end nobody heard of: it was taken for gone.
    @Test func whatWasFoundInWarmPoolsStaysMended() {
        let report = simulateHosts(seed: 177, warmPools: true)
        #expect(report.violation == nil, "\(report)")
    }

    @Test(arguments: PlantedHostDefect.allCases) func aPlantedDefectIsFound(defect: PlantedHostDefect) throws {
        let found = (1...60 as ClosedRange<UInt64>).lazy.compactMap { simulateHosts(seed: $0, plant: defect).violation }
            .first
        let violation = try #require(found, "\(defect) was not found in 60 seeds")
        let rules: [PlantedHostDefect: [String]] = [
            .fenceLies: ["runs-twice", "address-twice", "hard-cap"],
            .leaseIsNotKept: ["runs-twice", "address-twice", "hard-cap"],
            .cleaningLies: ["not-cleaned", "runs-twice", "address-twice", "hard-cap", "rest"],
            .actsBeforeIntent: ["intent"], .losesStopRecords: ["books"], .overstatesCapacity: ["overcommitted"],
            .hidesMigrations: ["runs-twice", "address-twice", "rest"],
        ]
        #expect(rules[defect]?.contains(violation.rule) == true, "\(violation)")
    }

    @Test(arguments: [3, 42] as [UInt64]) func theSameSeedIsTheSameRun(seed: UInt64) {
        #expect(simulateHosts(seed: seed) == simulateHosts(seed: seed))
        #expect(simulateHosts(seed: seed).digest != simulateHosts(seed: seed + 1).digest)
    }

    /// To look into one: `CLOUDWRIGHT_HOST_SEED=17 swift test --filter HostSimulationTests/oneSeed`.
    @Test(.enabled(if: ProcessInfo.processInfo.environment["CLOUDWRIGHT_HOST_SEED"] != nil, "no seed is named"))
    func oneSeed() {
        guard let seed = ProcessInfo.processInfo.environment["CLOUDWRIGHT_HOST_SEED"].flatMap({ UInt64($0) }) else {
            return
        }
        let pools = ProcessInfo.processInfo.environment["CLOUDWRIGHT_HOST_WARM_POOLS"] != nil
        let report = simulateHosts(seed: seed, warmPools: pools) { print($0) }
        print(report)
        #expect(report.violation == nil)
    }
}

import CloudModel
import SimulatedCloud
import Testing

@Suite struct SimulationTests {
    /// 1,000 seeds, an hour each, on two threads.
    @Test func aThousandHoursBreakNoRule() async {
        let halves: [ClosedRange<UInt64>] = [1...500, 501...1_000]
        let reports = await withTaskGroup(of: [SimulationReport].self) { group in
            for seeds in halves {
                group.addTask { seeds.map { simulate(seed: $0) } }
            }
            return await group.reduce(into: []) { $0 += $1 }
        }
        for report in reports where report.violation != nil { Issue.record("\(report)") }
        #expect(reports.count == 1_000)
        // What is not exercised is not shown.
        func sum(_ count: (SimulationReport) -> Int) -> Int { reports.map(count).reduce(0, +) }
        #expect(sum(\.steps) > 10_000_000)
        #expect(sum(\.crashes) > 1_000)
        #expect(sum(\.hangs) > 1_000)
        #expect(sum(\.restartsOfControlPlane) > 1_000)
        #expect(sum(\.clockJumps) > 500)
        #expect(sum(\.commands) > 1_000)
        #expect(sum(\.scaleOuts) > 1_000)
        #expect(sum(\.scaleIns) > 1_000)
        #expect(sum(\.failovers) > 1_000)
    }

    @Test(arguments: PlantedDefect.allCases) func aPlantedDefectIsFound(defect: PlantedDefect) throws {
        let found = (1...30 as ClosedRange<UInt64>).lazy.compactMap { simulate(seed: $0, plant: defect).violation }
            .first
        let violation = try #require(found, "\(defect) was not found in 30 seeds")
        let rules: [PlantedDefect: [String]] = [
            .capIgnoresStopping: ["hard-cap", "claimed-cap"], .actsBeforeIntent: ["intent"],
            .losesStopRecords: ["books"], .tellsEveryRefusal: ["told-twice"], .keepsEndedBackends: ["dead-backend"],
            .scalesInBlind: ["blind-scale-in"],
        ]
        #expect(rules[defect]?.contains(violation.rule) == true, "\(violation)")
    }

    @Test(arguments: [3, 42, 858] as [UInt64]) func theSameSeedIsTheSameRun(seed: UInt64) {
        #expect(simulate(seed: seed) == simulate(seed: seed))
        #expect(simulate(seed: seed).digest != simulate(seed: seed + 1).digest)
    }

    @Test func aViolationReplaysExactly() throws {
        let seeds = 1...30 as ClosedRange<UInt64>
        let seed = try #require(seeds.first { simulate(seed: $0, plant: .capIgnoresStopping).violation != nil })
        let first = simulate(seed: seed, plant: .capIgnoresStopping)
        var lines: [String] = []
        let second = simulate(seed: seed, plant: .capIgnoresStopping) { lines.append($0) }
        #expect(first == second)
        #expect(first.description.contains("seed \(seed)"))
        #expect(first.description.contains("step \(first.violation?.step ?? 0)"))
        #expect(lines.count > 100)
    }

    @Test func longerRunsHold() {
        let report = simulate(seed: 2_026, hours: 12)
        #expect(report.violation == nil, "\(report)")
        #expect(report.simulated == .hours(12))
    }
}

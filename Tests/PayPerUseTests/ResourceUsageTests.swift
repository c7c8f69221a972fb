import CloudModel
import PayPerUse
import Testing

private func interval(
    _ start: Int64, _ end: Int64, instance: InstanceID = "shop-1", owner: ConsumerID? = "acme", cpu: Int? = 500,
    memory: Int64? = 1_024, isSuspended: Bool = false, ending: UsageInterval.Ending = .stopped
) -> UsageInterval {
    UsageInterval(
        service: "shop", instance: instance, incarnation: 1, owner: owner,
        resources: ResourceLimits(cpuMillicores: cpu, memory: memory.map { ByteCount(bytes: $0) }),
        isSuspended: isSuspended, start: Timestamp(microseconds: start), end: Timestamp(microseconds: end),
        ending: ending)
}

@Suite struct ResourceUsageTests {
    @Test func resourcesTimesTime() throws {
        let sums = try ResourceUsage.sums(of: [
            interval(0, 1_000_001), interval(2_000_000, 3_000_000, cpu: 250, memory: nil),
            interval(3_000_000, 3_000_010, isSuspended: true),
        ])
        #expect(
            sums == [
                ResourceUsage(
                    owner: "acme", service: "shop", instance: "shop-1", periodStart: nil,
                    runningMicroseconds: 2_000_001, suspendedMicroseconds: 10,
                    millicoreMicroseconds: 500 * 1_000_001 + 250 * 1_000_000,
                    memoryByteMicroseconds: 1_024 * (1_000_001 + 10))
            ])
    }

    @Test func groupsAndOrder() throws {
        let intervals = [
            interval(0, 10, instance: "b"), interval(0, 20, instance: "a"), interval(0, 5, owner: nil),
            interval(0, 7, instance: "a", owner: "zeta"),
        ]
        let byInstance = try ResourceUsage.sums(of: intervals)
        #expect(byInstance.map(\.runningMicroseconds) == [5, 20, 10, 7])
        let byService = try ResourceUsage.sums(of: intervals, by: .service)
        #expect(byService.map(\.runningMicroseconds) == [5, 30, 7])
        #expect(byService.allSatisfy { $0.instance == nil && $0.service == "shop" })
        let byOwner = try ResourceUsage.sums(of: intervals, by: .owner)
        #expect(byOwner.map(\.owner) == [nil, "acme", "zeta"])
        #expect(byOwner.allSatisfy { $0.service == nil })
    }

    @Test func periodsAreAlignedToTheEpochAlsoBeforeIt() throws {
        let sums = try ResourceUsage.sums(of: [interval(-15, 25)], period: .microseconds(10))
        #expect(sums.map { $0.periodStart?.microseconds } == [-20, -10, 0, 10, 20])
        #expect(sums.map(\.runningMicroseconds) == [5, 10, 10, 10, 5])
    }

    @Test func whatRestsOnAConcludedStopIsMarked() throws {
        let sums = try ResourceUsage.sums(of: [
            interval(0, 10, instance: "a"), interval(0, 10, instance: "b", ending: .inferred),
        ])
        #expect(sums.map(\.isInferred) == [false, true])
    }

    /// However time is divided, nothing is lost and nothing counted twice.
    @Test(arguments: 0..<300)
    func theSumsOfAnyDivisionAddUpToTheWhole(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let scale: Int64 = [100, 1_000_000, 1_000_000_000_000_000].randomElement(using: &random)!
        let intervals = (0..<Int.random(in: 1...12, using: &random)).map { _ in
            let ends = [Int64.random(in: -scale...scale, using: &random), .random(in: -scale...scale, using: &random)]
            return interval(
                ends.min()!, ends.max()!, instance: ["a", "b", "c"].randomElement(using: &random)!,
                owner: [nil, "acme"].randomElement(using: &random)!, cpu: [nil, 1, 333].randomElement(using: &random)!,
                memory: [nil, 1 << 40, 7].randomElement(using: &random)!, isSuspended: Bool.random(using: &random))
        }
        let whole = try ResourceUsage.sums(of: intervals)
        var borders = (0..<Int.random(in: 0...20, using: &random)).map { _ in
            Timestamp(microseconds: .random(in: -scale...scale, using: &random))
        }
        borders.sort()
        let froms: [Timestamp?] = [nil] + borders
        let untils: [Timestamp?] = borders + [nil]
        var parts: [ResourceUsage] = []
        for (from, until) in zip(froms, untils) {
            parts += try ResourceUsage.sums(of: intervals, from: from, until: until)
        }
        #expect(merged(parts) == merged(whole))
        let period = TimeSpan(microseconds: max(1, scale / Int64.random(in: 1...50, using: &random)))
        let periods = try ResourceUsage.sums(of: intervals, period: period)
        #expect(merged(periods) == merged(whole))
        #expect(periods.allSatisfy { $0.periodStart!.microseconds % period.microseconds == 0 })
        for grouping in [UsageGrouping.service, .owner] {
            let grouped = try ResourceUsage.sums(of: intervals, by: grouping)
            #expect(total(grouped) == total(whole))
        }
    }

    /// An independent reckoning: every microsecond by itself.
    @Test(arguments: 0..<50)
    func sumsAgreeWithCountingMicroseconds(seed: UInt64) throws {
        var random = SeededGenerator(seed: seed)
        let intervals = (0..<5).map { _ in
            let start = Int64.random(in: 0...60, using: &random)
            return interval(
                start, start + .random(in: 0...40, using: &random), cpu: .random(in: 0...9, using: &random),
                isSuspended: Bool.random(using: &random))
        }
        let sums = try ResourceUsage.sums(
            of: intervals, from: Timestamp(microseconds: 13), until: Timestamp(microseconds: 77),
            period: .microseconds(7))
        var found: [Int64: Int128] = [:]
        for sum in sums { found[sum.periodStart!.microseconds] = sum.millicoreMicroseconds }
        for begin in stride(from: Int64(7), to: 84, by: 7) {
            var expected: Int128 = 0
            for tick in begin..<(begin + 7) where tick >= 13 && tick < 77 {
                for interval in intervals where !interval.isSuspended {
                    guard interval.start.microseconds <= tick, tick < interval.end.microseconds else { continue }
                    expected += Int128(interval.resources.cpuMillicores!)
                }
            }
            #expect(found[begin, default: 0] == expected)
        }
    }

    @Test func theExtremesDoNotOverflow() throws {
        let extreme = interval(.min, .max, cpu: .max, memory: .max)
        let length = Int128(UInt64.max)
        let one = try ResourceUsage.sums(of: [extreme])
        #expect(one[0].millicoreMicroseconds == length * Int128(Int64.max))
        #expect(one[0].runningMicroseconds == length)
        let two = try ResourceUsage.sums(of: [extreme, extreme])
        #expect(two[0].memoryByteMicroseconds == .max)
        #expect(two[0].runningMicroseconds == 2 * length)
    }

    @Test func aReportThatNobodyCanReadIsRefused() throws {
        let refusal = #expect(throws: TooManyPeriods.self) {
            try ResourceUsage.sums(of: [interval(0, .max)], period: .microseconds(1))
        }
        #expect(refusal?.limit == ResourceUsage.maximumRows)
        #expect(try ResourceUsage.sums(of: [interval(0, 10)], period: .zero).isEmpty)
    }

    @Test(arguments: [
        (Int128(0), "0"), (1, "0.000001"), (12_500_000, "12.5"), (3_000_000, "3"), (-1_500_000, "-1.5"),
        (Int128.max, "170141183460469231731687303715884.105727"),
    ])
    func secondsAsText(amount: Int128, text: String) {
        #expect(ResourceUsage.decimalSeconds(amount) == text)
    }

    private func merged(_ sums: [ResourceUsage]) -> [String: [Int128]] {
        var result: [String: [Int128]] = [:]
        for sum in sums {
            let key = "\(sum.owner?.rawValue ?? "") \(sum.instance?.rawValue ?? "")"
            let figures = figures(of: sum)
            result[key] = zip(result[key] ?? [0, 0, 0, 0], figures).map { $0 + $1 }
        }
        return result
    }

    private func total(_ sums: [ResourceUsage]) -> [Int128] {
        sums.reduce([0, 0, 0, 0]) { zip($0, figures(of: $1)).map { $0 + $1 } }
    }

    private func figures(of sum: ResourceUsage) -> [Int128] {
        [
            sum.runningMicroseconds, sum.suspendedMicroseconds, sum.millicoreMicroseconds,
            sum.memoryByteMicroseconds,
        ]
    }
}

@Suite struct UsageComparisonTests {
    @Test func bothAgentsSideBySide() {
        func held(_ instance: InstanceID, _ running: Int128, isInferred: Bool = false) -> ResourceUsage {
            ResourceUsage(
                owner: "acme", service: "shop", instance: instance, periodStart: .epoch, runningMicroseconds: running,
                isInferred: isInferred)
        }
        func monitored(_ instance: InstanceID?, _ requests: Int64) -> MonitoredUsage {
            MonitoredUsage(
                service: "shop", instance: instance, periodStart: .epoch, requests: requests,
                busyMicroseconds: requests * 5)
        }
        // Two consumers used instance c.
        let rows = UsageComparison.compare(
            held: [held("c", 100), held("b", 100), held("d", 100, isInferred: true)],
            monitored: [monitored("c", 3), monitored("c", 4), monitored("a", 1), monitored(nil, 9), monitored("d", 1)],
            unwatched: [])
        #expect(rows.map(\.instance) == ["a", "b", "c", "d"])
        #expect(rows.map(\.finding) == [.servedWithoutRunning, .unused, .consistent, .inferred])
        #expect(rows.map(\.requests) == [1, 0, 7, 1])
        #expect(rows.map(\.busyMicroseconds) == [5, 0, 35, 5])
        #expect(rows.map(\.runningMicroseconds) == [0, 100, 100, 100])
        #expect(rows.allSatisfy { $0.periodStart == .epoch })
        // Addresses that nobody here starts or stops: no start of theirs was lost.
        let unwatched = UsageComparison.compare(
            held: [held("b", 100)], monitored: [monitored("a", 1), monitored("b", 1)], unwatched: ["shop"])
        #expect(unwatched.map(\.finding) == [.unwatched, .consistent])
    }
}

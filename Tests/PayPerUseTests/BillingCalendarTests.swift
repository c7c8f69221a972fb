import CloudModel
import PayPerUse
import Testing

private func at(_ text: String) -> Timestamp {
    guard let time = Timestamp(rfc3339: text) else { preconditionFailure("'\(text)' is no time") }
    return time
}

/// Central European Time around 2026: the last Sundays of March and October at 01:00 UTC.
private let berlin = ZoneOffsets(
    name: "Europe/Berlin", firstOffsetSeconds: 3_600,
    changes: [
        .init(at: at("2026-03-29T01:00:00Z"), offsetSeconds: 7_200),
        .init(at: at("2026-10-25T01:00:00Z"), offsetSeconds: 3_600),
    ])

/// From UTC-12 to UTC+14 by quarters of an hour.
private let fixedZones = stride(from: Int64(-12 * 3_600), through: 14 * 3_600, by: 900).map {
    ZoneOffsets(name: "\($0)", firstOffsetSeconds: $0)
}

/// Zones whose clocks change on, just before and just after the first of a month, by half an hour to a whole day.
private func changingZones() -> [ZoneOffsets] {
    var random = SeededGenerator(seed: 3)
    return (0..<200).map { number in
        let first = Int64.random(in: -48...48, using: &random) * 900
        var offset = first
        let changes = (0..<24).map { month -> ZoneOffsets.Change in
            let start = BillingMonth(year: 2_024 + month / 12, month: month % 12 + 1)?.window(in: .utc).start ?? .epoch
            let jumps: [Int64] = [1_800, 3_600, -3_600, -1_800, 7_200, -7_200, 86_400, -86_400]
            let jump = jumps.filter { (-43_200...50_400).contains(offset + $0) }.randomElement(using: &random) ?? 0
            let distance = Int64.random(in: -7_200...7_200, using: &random)
            let moment = start + .seconds(distance - offset)
            offset += jump
            return ZoneOffsets.Change(at: moment, offsetSeconds: offset)
        }
        return ZoneOffsets(name: "changing-\(number)", firstOffsetSeconds: first, changes: changes)
    }
}

@Suite struct BillingCalendarTests {
    @Test func aMonthBeginsAtMidnightOfTheZone() throws {
        let march = try #require(BillingMonth("2026-03")).window(in: berlin)
        #expect(march == BillingWindow(start: at("2026-02-28T23:00:00Z"), end: at("2026-03-31T22:00:00Z")))
        // 31 days less the hour that clocks skip.
        #expect(march.microseconds == Int128(31 * 24 - 1) * 3_600_000_000)
        let october = try #require(BillingMonth("2026-10")).window(in: berlin)
        #expect(october.microseconds == Int128(31 * 24 + 1) * 3_600_000_000)
        let kiritimati = ZoneOffsets(name: "Pacific/Kiritimati", firstOffsetSeconds: 14 * 3_600)
        #expect(try #require(BillingMonth("2028-02")).window(in: kiritimati).start == at("2028-01-31T10:00:00Z"))
    }

    @Test func leapDaysBelongToTheirMonth() throws {
        func days(_ text: String) throws -> Int128 {
            try #require(BillingMonth(text)).window(in: .utc).microseconds / 86_400_000_000
        }
        #expect(try ["2024-02", "2025-02", "2100-02", "2000-02", "2026-12"].map(days) == [29, 28, 28, 29, 31])
    }

    @Test(arguments: ["2026-13", "2026-00", "1969-12", "2026-1", "202-01", "2026/01", "", "2026-01-01", "+026-01"])
    func whatIsNoMonthIsRefused(text: String) { #expect(BillingMonth(text) == nil) }

    @Test func midnightsThatAreSkippedOrShownTwiceBeginOnce() {
        // Clocks go from 23:30 to 00:30: the day begins with the change.
        let skipped = ZoneOffsets(
            name: "skip", firstOffsetSeconds: 0, changes: [.init(at: at("2026-03-31T23:30:00Z"), offsetSeconds: 3_600)])
        #expect(BillingMonth(year: 2_026, month: 4)?.window(in: skipped).start == at("2026-03-31T23:30:00Z"))
        // Clocks go from 00:30 back to 23:30: the month begins with the first midnight.
        let repeated = ZoneOffsets(
            name: "repeat", firstOffsetSeconds: 3_600,
            changes: [.init(at: at("2026-03-31T23:30:00Z"), offsetSeconds: 0)])
        #expect(BillingMonth(year: 2_026, month: 4)?.window(in: repeated).start == at("2026-03-31T23:00:00Z"))
    }

    /// No moment is in two months or in none, whatever the clocks do.
    @Test func monthsTileTime() {
        for zone in fixedZones + changingZones() + [berlin] {
            let windows = (0..<36).compactMap {
                BillingMonth(year: 2_024 + $0 / 12, month: $0 % 12 + 1)?.window(in: zone)
            }
            #expect(windows.count == 36)
            for (month, next) in zip(windows, windows.dropFirst()) {
                #expect(month.end == next.start, "\(zone.name)")
                #expect(month.start < month.end, "\(zone.name)")
            }
        }
    }

    @Test func aTimeLiesInTheMonthThatItsZoneShows() {
        for zone in fixedZones + [berlin] {
            for index in 0..<24 {
                let month = BillingMonth(year: 2_026 + index / 12, month: index % 12 + 1)
                guard let window = month?.window(in: zone) else { continue }
                #expect(BillingMonth(containing: window.start, in: zone) == month, "\(zone.name)")
                #expect(BillingMonth(containing: window.end - .microseconds(1), in: zone) == month, "\(zone.name)")
            }
        }
    }

    /// Sums of the same intervals by the months of a zone, and by a random split of each, are the sum over the whole.
    @Test func useAddsUpOverAnySplitInEveryZone() throws {
        var random = SeededGenerator(seed: 5)
        let begin = at("2024-01-01T00:00:00Z"), end = at("2026-01-01T00:00:00Z")
        for zone in fixedZones.filter({ $0.firstOffsetSeconds % 3_600 != 0 }) + changingZones().prefix(40) + [berlin] {
            let intervals = (0..<12).map { number -> UsageInterval in
                let start = begin + .microseconds(.random(in: 0...63_000_000_000_000, using: &random))
                return UsageInterval(
                    service: "shop", instance: InstanceID("shop-\(number)"), incarnation: 1, owner: "acme",
                    resources: ResourceLimits(
                        cpuMillicores: .random(in: 1...4_000, using: &random), memory: .mebibytes(300)),
                    isSuspended: number % 5 == 0, start: start,
                    end: start + .microseconds(.random(in: 1...9_000_000_000_000, using: &random)), ending: .stopped)
            }
            func use(_ from: Timestamp, _ until: Timestamp) throws -> MeteredUse {
                var use = MeteredUse()
                for sum in try ResourceUsage.sums(of: intervals, from: from, until: until, by: .service) {
                    use.add(sum)
                }
                return use
            }
            let first = BillingMonth(containing: begin, in: zone).window(in: zone).start
            var parts = MeteredUse()
            var cursor = first
            while cursor < end {
                let month = BillingMonth(containing: cursor, in: zone).window(in: zone)
                #expect(month.start <= cursor && cursor < month.end)
                let cut = Timestamp(
                    microseconds: .random(in: cursor.microseconds...month.end.microseconds, using: &random))
                parts = parts + (try use(cursor, cut)) + (try use(cut, month.end))
                cursor = month.end
            }
            #expect(parts == (try use(first, cursor)), "\(zone.name)")
        }
    }
}

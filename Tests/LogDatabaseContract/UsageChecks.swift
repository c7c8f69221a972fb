import CloudModel
import CloudPorts

extension LogDatabaseContract {
    static let usageChecks: [LogDatabaseContract] = [
        LogDatabaseContract("sums are grouped and ordered by consumer, service, instance and period") { open in
            try await session(open) { database in
                let hour = Samples.hour
                let records: [UsageRecord] = [
                    Samples.usage(1, consumer: "beta", completedAt: hour),
                    Samples.usage(2, consumer: "acme", instance: "shop-2", completedAt: hour + .hours(1)),
                    Samples.usage(3, consumer: "acme", instance: "shop-1", completedAt: hour + .hours(1)),
                    Samples.usage(4, consumer: "acme", instance: "shop-1", completedAt: hour + .minutes(59)),
                    Samples.usage(5, consumer: "acme", instance: nil, outcome: .rejected, completedAt: hour, busy: nil),
                    Samples.usage(6, consumer: "acme", instance: "shop-1", outcome: .failed, completedAt: hour),
                    Samples.usage(
                        7, consumer: "acme", instance: "shop-1", outcome: .abortedByInstance, completedAt: hour),
                    Samples.usage(
                        8, consumer: "acme", instance: "shop-1", outcome: .abortedByConsumer, completedAt: hour),
                ]
                try await database.ingest(Samples.batch(1, records.map { .usage($0) }))
                var query = UsageQuery()
                query.period = .hours(1)
                func sum(
                    _ consumer: ConsumerID, _ instance: InstanceID?, _ start: Timestamp, requests: Int64,
                    rejected: Int64 = 0, failed: Int64 = 0, aborted: Int64 = 0, busy: Int64? = nil
                ) -> RequestUsage {
                    RequestUsage(
                        consumer: consumer, service: "shop", instance: instance, periodStart: start,
                        requests: requests, rejected: rejected, failed: failed, aborted: aborted,
                        bytesIn: 10 * requests,
                        bytesOut: 20 * requests, busyMicroseconds: busy ?? 3_000 * requests)
                }
                try requireEqual(
                    try await database.requestUsage(query),
                    [
                        sum("acme", nil, hour, requests: 1, rejected: 1, busy: 0),
                        sum("acme", "shop-1", hour, requests: 4, failed: 1, aborted: 2),
                        sum("acme", "shop-1", hour + .hours(1), requests: 1),
                        sum("acme", "shop-2", hour + .hours(1), requests: 1),
                        sum("beta", "shop-1", hour, requests: 1),
                    ], "sums by the hour")
                query.period = nil
                query.instance = "shop-1"
                query.consumer = "acme"
                let whole = try await database.requestUsage(query)
                try requireEqual(whole.map(\.requests), [5], "one sum over all time")
                try require(whole.first?.periodStart == nil, "which has no period")
                query.service = "other"
                try requireEqual(try await database.requestUsage(query), [], "another service has none")
            }
        },
        LogDatabaseContract("a connection that is booked in stretches is one request, with the bytes and time of all") {
            open in
            try await session(open) { database in
                let outcomes: [RequestOutcome] = [.tunnel, .tunnelContinued, .tunnelContinued]
                let records = outcomes.enumerated().map { number, outcome in
                    Samples.usage(
                        UInt64(number + 1), outcome: outcome, completedAt: Samples.hour + .minutes(Int64(number)))
                }
                try await database.ingest(Samples.batch(1, records.map { .usage($0) }))
                let sum = try await database.requestUsage(UsageQuery())
                try requireEqual(sum.map(\.requests), [1], "requests")
                try requireEqual(sum.map(\.bytesIn), [30], "bytes")
                try requireEqual(sum.map(\.busyMicroseconds), [9_000], "time")
                let activity = try await database.requestActivity(UsageQuery())
                try requireEqual(activity.map(\.requests), [1], "requests of the instance")
            }
        },
        LogDatabaseContract("any period and any borders sum what a plain loop over the records sums") { open in
            try await session(open) { database in
                var random = SeededGenerator(seed: 42)
                var records: [UsageRecord] = []
                for number in 0..<600 {
                    let outcome = RequestOutcome.allCases[number % RequestOutcome.allCases.count]
                    // Seven hours around 1970 or today, so that times before and after zero are among them.
                    let base = number % 3 == 0 ? Timestamp(microseconds: -3 * 3_600_000_000) : Samples.hour
                    records.append(
                        Samples.usage(
                            UInt64(number), consumer: number % 2 == 0 ? "acme" : "beta",
                            instance: number % 5 == 0 ? nil : InstanceID("shop-\(number % 3)"), outcome: outcome,
                            completedAt: base + .microseconds(Int64.random(in: 0..<25_200_000_000, using: &random)),
                            busy: number % 5 == 0 ? nil : .microseconds(Int64(number) - 50),
                            bytes: UInt64(number)))
                }
                try await database.ingest(Samples.batch(1, records.map { .usage($0) }))
                let borders: [Timestamp?] = [
                    nil, Samples.hour, Samples.hour + .minutes(30), Samples.hour + .hours(2),
                    Samples.hour + .hours(2) + .microseconds(1), Samples.hour + .hours(9), .epoch,
                    Timestamp(microseconds: -1), Timestamp(microseconds: .min), .distantFuture,
                ]
                let periods: [TimeSpan?] = [nil, .hours(1), .hours(3), .minutes(7), .hours(24)]
                for from in borders {
                    for until in borders {
                        for period in periods {
                            var query = UsageQuery()
                            (query.from, query.until, query.period) = (from, until, period)
                            try requireEqual(
                                try await database.requestUsage(query), plainSums(records, query),
                                "from \(from as Any) until \(until as Any) by \(period as Any)")
                        }
                    }
                }
            }
        },
        LogDatabaseContract("usage records come newest first") { open in
            try await session(open) { database in
                var records: [UsageRecord] = []
                for number in UInt64(1)...9 {
                    let completed = Samples.start + .seconds(Int64(number * 7 % 10))
                    records.append(
                        Samples.usage(number, consumer: number % 2 == 0 ? "acme" : "beta", completedAt: completed))
                }
                try await database.ingest(Samples.batch(1, records.map { .usage($0) }))
                var query = UsageQuery()
                let all = try await database.usageRecords(query, limit: 100).map(\.record)
                try requireEqual(all, records.sorted { $0.completedAt > $1.completedAt }, "newest first")
                try requireEqual(
                    try await database.usageRecords(query, limit: 2).map(\.record), Array(all.prefix(2)), "limit")
                var parts: [UsageRecord] = []
                var place: UsageRecordPlace?
                repeat {
                    let part = try await database.usageRecords(query, before: place, limit: 2).map(\.record)
                    parts += part
                    place = part.last.map { UsageRecordPlace(completedAt: $0.completedAt, requestID: $0.requestID) }
                } while place != nil && parts.count < 100
                try requireEqual(parts, all, "each part goes on before the last one")
                query.consumer = "beta"
                query.from = Samples.start + .seconds(3)
                query.until = Samples.start + .seconds(9)
                let some = try await database.usageRecords(query, limit: 100).map(\.record)
                let expected = all.filter {
                    $0.consumer == "beta" && $0.completedAt >= Samples.start + .seconds(3)
                        && $0.completedAt < Samples.start + .seconds(9)
                }
                try requireEqual(some, expected, "filtered")
                try require(!some.isEmpty, "the sample has some")
            }
        },
    ]

    private static func plainSums(_ records: [UsageRecord], _ query: UsageQuery) -> [RequestUsage] {
        var sums: [RequestUsage] = []
        for record in records {
            if let from = query.from, record.completedAt < from { continue }
            if let until = query.until, record.completedAt >= until { continue }
            let start = query.period.map { period -> Timestamp in
                let at = record.completedAt.microseconds
                let rest = ((at % period.microseconds) + period.microseconds) % period.microseconds
                return Timestamp(microseconds: at - rest)
            }
            let place = sums.firstIndex {
                $0.consumer == record.consumer && $0.instance == record.instance && $0.periodStart == start
            }
            let index = place ?? sums.count
            if place == nil {
                sums.append(
                    RequestUsage(
                        consumer: record.consumer, service: record.service, instance: record.instance,
                        periodStart: start, requests: 0, rejected: 0, failed: 0, bytesIn: 0, bytesOut: 0,
                        busyMicroseconds: 0))
            }
            sums[index].requests += record.outcome == .tunnelContinued ? 0 : 1
            sums[index].rejected += record.outcome == .rejected ? 1 : 0
            sums[index].failed += record.outcome == .failed ? 1 : 0
            sums[index].aborted += [.abortedByConsumer, .abortedByInstance].contains(record.outcome) ? 1 : 0
            sums[index].bytesIn += Int64(record.bytesIn)
            sums[index].bytesOut += Int64(record.bytesOut)
            sums[index].busyMicroseconds += record.busyTime.microseconds
        }
        func key(_ sum: RequestUsage) -> (String, String, Timestamp) {
            (sum.consumer.rawValue, sum.instance?.rawValue ?? "", sum.periodStart ?? .epoch)
        }
        return sums.sorted { key($0) < key($1) }
    }
}

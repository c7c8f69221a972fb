import CloudModel
import CloudPorts

extension LogDatabaseContract {
    static let usageEventChecks: [LogDatabaseContract] = [
        LogDatabaseContract("a usage event is stored once, however often it is sent") { open in
            try await session(open) { database in
                let first = try await database.ingest([Samples.usageEvent("a"), Samples.usageEvent("b")])
                try requireEqual(first, UsageEventOutcome(stored: 2, duplicates: 0, conflicts: []), "new ones")
            }
            try await session(open) { database in
                let again = try await database.ingest([Samples.usageEvent("b"), Samples.usageEvent("c")])
                try requireEqual(again, UsageEventOutcome(stored: 1, duplicates: 1, conflicts: []), "one is known")
                let twice = try await database.ingest([Samples.usageEvent("d"), Samples.usageEvent("d")])
                try requireEqual(twice, UsageEventOutcome(stored: 1, duplicates: 1, conflicts: []), "in one batch")
                let other = try await database.ingest([Samples.usageEvent("a", source: "/other")])
                try requireEqual(other.stored, 1, "the id of another source is another event")
                let events = try await database.usageEvents(after: 0, limit: 9).map(\.event)
                let expected = ["a", "b", "c", "d"].map { Samples.usageEvent($0) }
                try requireEqual(events, expected + [Samples.usageEvent("a", source: "/other")], "in order of arrival")
                let position = try await database.usageEvents(after: 0, limit: 2).last?.position ?? 0
                let rest = try await database.usageEvents(after: position, limit: 1).map(\.event.id)
                try requireEqual(rest, ["c"], "from a position on, no more than asked for")
            }
        },
        LogDatabaseContract("the same source and id with other content stores nothing of the batch") { open in
            try await session(open) { database in
                _ = try await database.ingest([Samples.usageEvent("a")])
                let changed = Samples.usageEvent("a", microUnits: 7)
                let outcome = try await database.ingest([Samples.usageEvent("b"), changed])
                try requireEqual(outcome, UsageEventOutcome(stored: 0, duplicates: 0, conflicts: [changed]), "refused")
                let ids = try await database.usageEvents(after: 0, limit: 9).map(\.event.id)
                try requireEqual(ids, ["a"], "neither of the two")
                // What was refused with another is new when it is sent alone.
                let alone = try await database.ingest([Samples.usageEvent("b")])
                try requireEqual(alone.stored, 1, "it was not taken for a duplicate")
                let inside = try await database.ingest([
                    Samples.usageEvent("c"), Samples.usageEvent("c", microUnits: 1),
                ])
                try requireEqual(inside.conflicts.count, 1, "two of a batch that differ")
                try requireEqual(inside.stored, 0, "and nothing is stored")
            }
        },
        LogDatabaseContract("usage events are summed up by consumer, service and meter, without overflow") { open in
            try await session(open) { database in
                let most = UsageEvent.mostUnits * 1_000_000
                var events = (0..<12_000).map { Samples.usageEvent("\($0)", microUnits: most - 1) }
                events.append(Samples.usageEvent("late", at: Samples.start + .hours(1)))
                events.append(Samples.usageEvent("other", meter: "calls"))
                for start in stride(from: 0, to: events.count, by: 1_000) {
                    _ = try await database.ingest(Array(events[start..<min(start + 1_000, events.count)]))
                }
                var query = UsageQuery()
                query.consumer = "acme"
                query.until = Samples.start + .hours(1)
                let sums = try await database.usageEventSums(query)
                try requireEqual(sums.map(\.meter), ["calls", "storage"], "in order")
                try requireEqual(sums.last?.microUnits, Int128(12_000) * Int128(most - 1), "exactly")
                try requireEqual(sums.last?.events, 12_000, "how many there were")
                query.consumer = "globex"
                let none = try await database.usageEventSums(query)
                try requireEqual(none, [], "nobody else's")
            }
        },
        LogDatabaseContract("usage records are read by time, part after part") { open in
            try await session(open) { database in
                let records = (UInt64(1)...20).map { number in
                    SpoolRecord.usage(
                        Samples.usage(number, completedAt: Samples.hour + .seconds(Int64(20 - number) / 3)))
                }
                try await database.ingest(Samples.batch(1, records))
                var place: UsageRecordPlace?
                var seen: [UsageRecord] = []
                while true {
                    let part = try await database.usageRecords(UsageQuery(), after: place, limit: 3)
                    guard let last = part.last?.record else { break }
                    try require(part.count <= 3, "no more than asked for")
                    seen += part.map(\.record)
                    place = UsageRecordPlace(completedAt: last.completedAt, requestID: last.requestID)
                }
                try requireEqual(Set(seen.map(\.requestID)).count, 20, "each once")
                try requireEqual(seen.count, 20, "and none twice")
                try require(zip(seen, seen.dropFirst()).allSatisfy { $0.completedAt <= $1.completedAt }, "by time")
                var query = UsageQuery()
                query.from = Samples.hour + .seconds(2)
                query.until = Samples.hour + .seconds(3)
                let part = try await database.usageRecords(query, after: nil, limit: 100)
                try requireEqual(part.count, 3, "of the time alone")
            }
        },
    ]
}

import CloudModel
import CloudPorts

extension LogDatabaseContract {
    static let sealChecks: [LogDatabaseContract] = [
        LogDatabaseContract("usage records are read by source in the order of their numbers") { open in
            try await session(open) { database in
                try await database.ingest(Samples.usageBatch(1...5))
                try await database.ingest(Samples.usageBatch(11...12, source: "gateway-1/1"))
                try await database.ingest(Samples.batch(1, [.audit(Samples.audit(90))], source: "gateway-1/2"))
                let sources = try await database.usageSources()
                try requireEqual(sources, ["gateway-1/0", "gateway-1/1"], "sources that have usage records")
                var numbers: [UInt64] = []
                while true {
                    let page = try await database.usageRecords(
                        ofSource: "gateway-1/0", after: numbers.last ?? 0, limit: 2)
                    guard !page.isEmpty else { break }
                    try require(page.count <= 2, "no more than asked for")
                    numbers += page.map(\.sequence)
                }
                try requireEqual(numbers, [1, 2, 3, 4, 5], "every number once")
                let record = try await database.usageRecords(ofSource: "gateway-1/0", after: 2, limit: 1).first
                try requireEqual(record?.record, Samples.usage(3), "the record as it was ingested")
                let nobody = try await database.usageRecords(ofSource: "nobody", after: 0, limit: 9)
                try requireEqual(nobody, [], "an unknown source has none")
            }
        },
        LogDatabaseContract("a record that comes late has its place in the order of arrival") { open in
            try await session(open) { database in
                try await database.ingest(Samples.usageBatch(1...2))
                try await database.ingest(Samples.usageBatch(7...8))
                try await database.ingest(Samples.usageBatch(4...5))
                try await database.ingest(Samples.usageBatch(3...3))
                // Again, and nothing changes.
                try await database.ingest(Samples.usageBatch(4...5))
                let inOrder = try await database.usageRecords(ofSource: "gateway-1/0", after: 0, limit: 9)
                try requireEqual(inOrder.map(\.sequence), [1, 2, 7, 8], "without the late ones")
                let late = try await database.lateUsageRecords(after: 0, limit: 9)
                try requireEqual(late.map(\.stored.sequence), [4, 5, 3], "as they arrived")
                try requireEqual(late.first?.stored.record, Samples.usage(4), "the record as it was ingested")
                let rest = try await database.lateUsageRecords(after: late[0].position, limit: 1)
                try requireEqual(rest.map(\.stored.sequence), [5], "from a position on, no more than asked for")
            }
        },
        LogDatabaseContract("seals are kept in order of size, and no size is sealed twice") { open in
            func seal(_ size: Int64, log: String = "audit") -> StoredSeal {
                StoredSeal(
                    log: log, size: size, lastPosition: size * 2, peaks: [1, 0, 255], note: "note\n\u{0}—",
                    at: Samples.start)
            }
            try await session(open) { database in
                try await database.store(seal(20))
                try await database.store(seal(3))
                try await database.store(seal(4, log: "usage/gateway-1/0"))
            }
            try await session(open) { database in
                let seals = try await database.seals(ofLog: "audit")
                try requireEqual(seals, [seal(3), seal(20)], "the log's seals")
                let newest = try await database.newestSeal(ofLog: "audit")
                try requireEqual(newest, seal(20), "the seal of the largest size")
                let none = try await database.newestSeal(ofLog: "nothing")
                try requireEqual(none, nil, "a log without seals")
                let isRefused: Bool
                do throws(LogDatabaseError) {
                    try await database.store(seal(3))
                    isRefused = false
                } catch {
                    isRefused = true
                }
                try require(isRefused, "a second seal of the same size")
            }
        },
        LogDatabaseContract("of the seals of each day, the largest is found") { open in
            try await session(open) { database in
                let midnight = Timestamp(rfc3339: "2026-11-02T00:00:00Z") ?? .epoch
                for (size, offset) in [(1, -3), (2, -2), (3, 0), (4, 5), (5, 24 * 3_600)] as [(Int64, Int64)] {
                    try await database.store(
                        StoredSeal(
                            log: "audit", size: size, lastPosition: size, peaks: [UInt8(size)], note: "\(size)",
                            at: midnight + .seconds(offset)))
                }
                func sizes(_ from: Int64, _ until: Int64) async throws -> [Int64] {
                    let seals = try await database.dailySeals(
                        ofLog: "audit", from: midnight + .seconds(from), until: midnight + .seconds(until))
                    for seal in seals { try requireEqual(seal.note, "\(seal.size)", "all of the same seal") }
                    return seals.map(\.size)
                }
                let all = try await sizes(-10, 10 * 24 * 3_600)
                try requireEqual(all, [2, 4, 5], "one a day, in order of size")
                let part = try await sizes(-3, 5)
                try requireEqual(part, [2, 3], "from the beginning, until before the end")
            }
        },
        LogDatabaseContract("lifecycle events are read in the order in which they were stored") { open in
            try await session(open) { database in
                for incarnation in 1...5 {
                    var transaction = ControlTransaction()
                    transaction.lifecycle = [
                        LifecycleEvent(
                            instance: "shop-1", incarnation: incarnation, service: "shop", owner: "acme", kind: .start,
                            at: Samples.start - .seconds(Int64(incarnation)),
                            resources: ResourceLimits(cpuMillicores: 500, memory: ByteCount(bytes: 7)))
                    ]
                    try await database.commit(transaction)
                }
                let first = try await database.storedLifecycleEvents(after: 0, limit: 2)
                let rest = try await database.storedLifecycleEvents(after: first.last?.position ?? 0, limit: 9)
                try requireEqual((first + rest).map(\.event.incarnation), [1, 2, 3, 4, 5], "as they were stored")
                try requireEqual(first.count, 2, "no more than asked for")
            }
        },
    ]
}

import CloudModel
import CloudPorts

extension LogDatabaseContract {
    static let concurrencyChecks: [LogDatabaseContract] = [
        LogDatabaseContract("readers see whole batches while records are stored") { open in
            try await session(open) { database in
                let batches: UInt64 = 40
                let size: UInt64 = 100
                try await withThrowingTaskGroup(of: Void.self) { group in
                    group.addTask {
                        for batch in 0..<batches {
                            try await database.ingest(Samples.usageBatch((batch * size + 1)...((batch + 1) * size)))
                        }
                    }
                    for _ in 0..<3 { group.addTask { try await readWholeBatches(database, of: size, batches) } }
                    try await group.waitForAll()
                }
                let mark = try await database.highWaterMark(ofSource: "gateway-1/0")
                try requireEqual(mark, batches * size, "the mark is the last record's number")
            }
        },
        LogDatabaseContract("sources with the same names are stored at the same time, each record once") { open in
            try await session(open) { database in
                try await withThrowingTaskGroup(of: Void.self) { group in
                    for source in UInt64(0)..<4 { group.addTask { try await storeTwice(source, database) } }
                    try await group.waitForAll()
                }
                let sums = try await database.requestUsage(UsageQuery())
                try requireEqual(sums.count, 500, "an instance each")
                try require(sums.allSatisfy { $0.requests == 4 }, "of each source one request")
            }
        },
        LogDatabaseContract("a closed database refuses, and may be closed again") { open in
            let database = try await open()
            _ = try await database.lastEventPosition()
            for _ in 0..<2 {
                await database.close()
                try await requireUnavailable("reading") { () throws(LogDatabaseError) in
                    _ = try await database.lastEventPosition()
                }
                try await requireUnavailable("writing") { () throws(LogDatabaseError) in
                    try await database.setSetting("a", to: "b")
                }
            }
        },
    ]

    private static func readWholeBatches(
        _ database: any LogDatabase, of size: UInt64, _ batches: UInt64
    ) async throws {
        var last: Int64 = 0
        while last < Int64(batches * size) {
            let total = try await database.requestUsage(UsageQuery()).reduce(0) { $0 + $1.requests }
            try requireEqual(total % Int64(size), 0, "nothing of a batch that is half stored")
            try require(total >= last, "what was seen stays: \(last), then \(total)")
            last = total
        }
    }

    private static func storeTwice(_ source: UInt64, _ database: any LogDatabase) async throws {
        for first in stride(from: UInt64(1), to: 500, by: 50) {
            let records = (first..<(first + 50)).map { number in
                SpoolRecord.usage(Samples.usage(source << 32 | number, instance: InstanceID("shop-\(number)")))
            }
            let batch = Samples.batch(first, records, source: "gateway-1/\(source)")
            let outcome = try await database.ingest(batch)
            try requireEqual(outcome.stored, 50, "all are new")
            let again = try await database.ingest(batch)
            try requireEqual(again.duplicates, 50, "all are known")
        }
    }

    private static func requireUnavailable(
        _ what: String, _ body: () async throws(LogDatabaseError) -> Void
    ) async throws {
        do throws(LogDatabaseError) { try await body() } catch {
            return try requireEqual(error.code, .unavailable, "\(what) from a closed database")
        }
        throw ContractViolation(description: "\(what) from a closed database succeeded")
    }
}

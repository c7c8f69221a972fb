import CloudModel
import CloudPorts

extension LogDatabaseContract {
    static let ingestChecks: [LogDatabaseContract] = [
        LogDatabaseContract("records of every kind come back as they were") { open in
            var records: [SpoolRecord] = []
            for (index, text) in Samples.oddTexts.enumerated() {
                let number = UInt64(index)
                records.append(
                    .usage(
                        Samples.usage(
                            number, consumer: ConsumerID(text), service: ServiceID(text), instance: InstanceID(text))))
                records.append(.usage(Samples.usage(100 + number, consumer: "x", instance: nil, busy: nil)))
                var event = Samples.audit(number, principal: text, address: text, service: ServiceID(text))
                (event.observer, event.userAgent, event.method, event.path, event.reason) = (
                    text, text, text, text, text
                )
                event.credentialTag = text
                records.append(.audit(event))
                event.requestID.low += 1_000
                (event.consumer, event.credentialTag, event.forwardedAt) = (nil, nil, nil)
                records.append(.audit(event))
            }
            let batch = Samples.batch(1, records)
            try await session(open) { database in
                let outcome = try await database.ingest(batch)
                try requireEqual(
                    outcome, IngestOutcome(stored: batch.records.count, duplicates: 0, conflicts: 0, gap: 0), "all new")
            }
            try await session(open) { database in
                var query = AuditQuery()
                query.limit = 1_000
                let events = try await database.auditEvents(query).elements.map(\.event)
                var expected: [AuditEvent] = []
                for (index, record) in batch.records.enumerated() {
                    switch record {
                    case .usage(let usage):
                        let stored = try await database.usageRecord(usage.requestID)
                        try requireEqual(stored?.record, usage, "a usage record")
                        try requireEqual(stored?.source, batch.source, "its source")
                        try requireEqual(stored?.sequence, UInt64(index + 1), "its number")
                    case .audit(let event): expected.append(event)
                    case .lost: break
                    }
                }
                try requireEqual(events, expected, "audit events in order")
                try require(try await database.usageRecord(RequestID(high: 0, low: 0)) == nil, "unknown is nil")
            }
        },
        LogDatabaseContract("the high-water mark moves with the records") { open in
            try await session(open) { database in
                try require(try await database.highWaterMark(ofSource: "gateway-1/0") == nil, "unknown: nil")
                try await database.ingest(Samples.usageBatch(1...10))
                try await database.ingest(Samples.usageBatch(1_000...1_004, source: "gateway-1/1"))
            }
            try await session(open) { database in
                try requireEqual(try await database.highWaterMark(ofSource: "gateway-1/0"), 10, "of one source")
                try requireEqual(try await database.highWaterMark(ofSource: "gateway-1/1"), 1_004, "of the other")
            }
        },
        LogDatabaseContract("a batch that comes twice is stored once") { open in
            try await session(open) { database in
                let batch = Samples.batch(
                    1,
                    [
                        .usage(Samples.usage(1)), .audit(Samples.audit(2)),
                        .lost(count: 5, since: Samples.start, until: Samples.start),
                    ])
                try requireEqual(
                    try await database.ingest(batch),
                    IngestOutcome(stored: 3, duplicates: 0, conflicts: 0, gap: 0), "new")
                try requireEqual(
                    try await database.ingest(batch),
                    IngestOutcome(stored: 0, duplicates: 3, conflicts: 0, gap: 0), "the same again")
                try requireEqual(try await total(database), 1, "counted once")
                try requireEqual(try await database.highWaterMark(ofSource: batch.source), 3, "the mark stays")
            }
        },
        LogDatabaseContract("of an overlapping batch only what is new is stored") { open in
            try await session(open) { database in
                try await database.ingest(Samples.usageBatch(1...10))
                try requireEqual(
                    try await database.ingest(Samples.usageBatch(6...14)),
                    IngestOutcome(stored: 4, duplicates: 5, conflicts: 0, gap: 0), "four are new")
                try requireEqual(
                    try await database.ingest(Samples.usageBatch(3...5)),
                    IngestOutcome(stored: 0, duplicates: 3, conflicts: 0, gap: 0), "an old one brings nothing")
                try requireEqual(try await total(database), 14, "each once")
                try requireEqual(try await database.highWaterMark(ofSource: "gateway-1/0"), 14, "the mark")
            }
        },
        LogDatabaseContract("another content under the same number is a conflict and changes nothing") { open in
            try await session(open) { database in
                try await database.ingest(Samples.usageBatch(1...3))
                var other = Samples.usage(2)
                other.bytesIn += 1
                let batch = Samples.batch(2, [.usage(other), .audit(Samples.audit(77)), .usage(Samples.usage(4))])
                try requireEqual(
                    try await database.ingest(batch),
                    IngestOutcome(stored: 1, duplicates: 0, conflicts: 2, gap: 0), "two conflicts, one new")
                try requireEqual(
                    try await database.usageRecord(other.requestID)?.record, Samples.usage(2), "the first one stays")
                try requireEqual(
                    try await database.ingest(batch),
                    IngestOutcome(stored: 0, duplicates: 3, conflicts: 0, gap: 0), "the same conflict is kept once")
                try requireEqual(try await total(database), 4, "a conflict is not billed")
                try require(
                    try await database.auditEvents(AuditQuery()).elements.isEmpty, "nor does it make an audit event")
            }
        },
        LogDatabaseContract("a request is counted once whichever source reports it") { open in
            try await session(open) { database in
                try await database.ingest(Samples.usageBatch(1...3))
                var other = Samples.usage(2)
                other.outcome = .failed
                let batch = Samples.batch(1, [.usage(Samples.usage(1)), .usage(other)], source: "gateway-2/0")
                try requireEqual(
                    try await database.ingest(batch),
                    IngestOutcome(stored: 0, duplicates: 1, conflicts: 1, gap: 0), "one the same, one not")
                try requireEqual(try await total(database), 3, "each request once")
                try requireEqual(try await database.highWaterMark(ofSource: "gateway-2/0"), 2, "the mark moves on")
            }
        },
        LogDatabaseContract("one request twice in a batch does not keep the rest of it out") { open in
            try await session(open) { database in
                var other = Samples.usage(2)
                other.status = 404
                let batch = Samples.batch(
                    1,
                    [
                        .usage(Samples.usage(1)), .usage(Samples.usage(2)), .audit(Samples.audit(50)),
                        .usage(Samples.usage(1)), .usage(other), .usage(Samples.usage(3)),
                        .lost(count: 5, since: Samples.start, until: Samples.start),
                    ])
                try requireEqual(
                    try await database.ingest(batch),
                    IngestOutcome(stored: 5, duplicates: 1, conflicts: 1, gap: 0), "the first of each counts")
                try requireEqual(try await total(database), 3, "each request once")
                try requireEqual(
                    try await database.usageRecord(other.requestID)?.record, Samples.usage(2), "the first one stays")
                try requireEqual(
                    try await database.auditEvents(AuditQuery()).elements.count, 1, "with what else there was")
                try requireEqual(try await database.highWaterMark(ofSource: batch.source), 7, "the mark")
            }
        },
        LogDatabaseContract("a gap is recorded, and what comes late is still stored") { open in
            try await session(open) { database in
                try requireEqual(
                    try await database.ingest(Samples.usageBatch(4...5)),
                    IngestOutcome(stored: 2, duplicates: 0, conflicts: 0, gap: 3), "numbers begin at 1")
                try requireEqual(
                    try await database.ingest(Samples.usageBatch(9...9)),
                    IngestOutcome(stored: 1, duplicates: 0, conflicts: 0, gap: 3), "6 to 8 are missing")
                try requireEqual(
                    try await database.ingest(Samples.usageBatch(7...9)),
                    IngestOutcome(stored: 2, duplicates: 1, conflicts: 0, gap: 0), "7 and 8 came late")
                try requireEqual(try await total(database), 5, "each once")
                try requireEqual(try await database.highWaterMark(ofSource: "gateway-1/0"), 9, "the mark")
            }
        },
        LogDatabaseContract("an empty batch changes nothing, a number of 0 is refused") { open in
            try await session(open) { database in
                try requireEqual(
                    try await database.ingest(Samples.batch(7, [])),
                    IngestOutcome(stored: 0, duplicates: 0, conflicts: 0, gap: 0), "nothing")
                try require(try await database.highWaterMark(ofSource: "gateway-1/0") == nil, "no mark")
                do {
                    try await database.ingest(Samples.batch(0, [.usage(Samples.usage(1))]))
                } catch is LogDatabaseError {
                    return
                }
                throw ContractViolation(description: "number 0 was accepted")
            }
        },
    ]

    static func total(_ database: any LogDatabase) async throws -> Int64 {
        try await database.requestUsage(UsageQuery()).reduce(0) { $0 + $1.requests }
    }
}

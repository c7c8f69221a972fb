import CloudModel
import CloudPorts

extension LogDatabaseContract {
    static let administrationChecks: [LogDatabaseContract] = [
        LogDatabaseContract("administrators are stored, replaced and removed by name") { open in
            let root = Administrator(
                name: "root", role: .administrator, tokenDigest: "aa", createdAt: Samples.start)
            var reader = Administrator(
                name: "reader\u{0}", role: .consumer, consumer: "acme", tokenDigest: "bb", createdAt: Samples.start,
                expiresAt: .distantFuture)
            try await session(open) { database in
                try requireEqual(try await database.administrators(), [], "none at first")
                try await database.store(root)
                try await database.store(reader)
                try requireEqual(try await database.administrators(), [reader, root], "by name")
                reader.role = .auditor
                reader.expiresAt = nil
                try await database.store(reader)
                try await database.removeAdministrator(named: "root")
                try await database.removeAdministrator(named: "nobody")
                try requireEqual(try await database.administrators(), [reader], "replaced and removed")
            }
        },
        LogDatabaseContract("a token is spent once, also by many at once") { open in
            try await session(open) { database in
                let spent = await withTaskGroup(of: Bool.self) { group in
                    for _ in 0..<20 {
                        group.addTask { (try? await database.spend(token: "t", at: Samples.start)) ?? false }
                    }
                    return await group.reduce(into: 0) { $0 += $1 ? 1 : 0 }
                }
                try requireEqual(spent, 1, "one of twenty")
            }
            try await session(open) { database in
                try require(try await !database.spend(token: "t", at: Samples.start), "spent for good")
                try require(try await database.spend(token: "u", at: Samples.start), "another is not")
            }
        },
        LogDatabaseContract("settings hold any text") { open in
            for text in Samples.oddTexts {
                try await session(open) { database in
                    try await database.setSetting(text, to: "x")
                    try await database.setSetting(text, to: text)
                }
            }
            try await session(open) { database in
                for text in Samples.oddTexts {
                    try requireEqual(try await database.setting(text), text, "as it was set last")
                }
                try require(try await database.setting("unknown") == nil, "unknown: nil")
            }
        },
        LogDatabaseContract("an idempotent request is answered as the first time, for 24 hours") { open in
            func response(_ digest: String, at: Timestamp = Samples.start) -> StoredResponse {
                StoredResponse(
                    requestDigest: digest, status: 201, headers: ["location": "/x\u{0}"], body: [0, 255, 10], at: at)
            }
            try await session(open) { database in
                try require(try await database.storedResponse(idempotencyKey: "k") == nil, "new: nil")
                try await database.store(response("a"), idempotencyKey: "k")
                try await database.store(response("b"), idempotencyKey: "k")
                try requireEqual(
                    try await database.storedResponse(idempotencyKey: "k"), response("a"), "the first answer")
                let dayLater = Samples.start + .hours(24)
                try await database.store(response("c", at: dayLater), idempotencyKey: "l")
                try require(try await database.storedResponse(idempotencyKey: "k") != nil, "kept for 24 hours")
                try await database.store(response("d", at: dayLater + .microseconds(1)), idempotencyKey: "m")
                try require(try await database.storedResponse(idempotencyKey: "k") == nil, "and no longer")
                try require(try await database.storedResponse(idempotencyKey: "l") != nil, "the younger one stays")
            }
        },
    ]
}

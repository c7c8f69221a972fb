import CloudModel
import CloudPorts

extension LogDatabaseContract {
    static let lifecycleChecks: [LogDatabaseContract] = [
        LogDatabaseContract("the same lifecycle event is stored once, a concluded one beside a received one") { open in
            try await session(open) { database in
                var transaction = ControlTransaction()
                transaction.lifecycle = [
                    Samples.lifecycle(.start), Samples.lifecycle(.start),
                    Samples.lifecycle(.resize, at: Samples.start + .seconds(1)),
                    Samples.lifecycle(.stop, at: Samples.start + .seconds(9), inferred: true),
                ]
                try await database.commit(transaction)
                var late = ControlTransaction()
                late.lifecycle = [
                    Samples.lifecycle(.stop, at: Samples.start + .seconds(5)),
                    // The same fact with other content: the first stays.
                    Samples.lifecycle(.start, at: Samples.start + .seconds(3)),
                ]
                try await database.commit(late)
                let found = try await database.lifecycleEvents(UsageQuery())
                try requireEqual(
                    found,
                    [
                        transaction.lifecycle[0], transaction.lifecycle[2], late.lifecycle[0],
                        transaction.lifecycle[3],
                    ], "in order of time")
            }
        },
        LogDatabaseContract("all events of the incarnations that concern the time are given") { open in
            try await session(open) { database in
                func at(_ minutes: Int64) -> Timestamp { Samples.start + .minutes(minutes) }
                var transaction = ControlTransaction()
                transaction.lifecycle = [
                    Samples.lifecycle(.start, "ended-before", at: at(0)),
                    Samples.lifecycle(.stop, "ended-before", at: at(5)),
                    Samples.lifecycle(.start, "across", at: at(1)), Samples.lifecycle(.stop, "across", at: at(100)),
                    Samples.lifecycle(.start, "open", at: at(2), owner: nil),
                    Samples.lifecycle(.start, "open", incarnation: 2, at: at(70)),
                    Samples.lifecycle(.start, "inside", at: at(20)), Samples.lifecycle(.stop, "inside", at: at(30)),
                    Samples.lifecycle(.start, "after", at: at(61)),
                    Samples.lifecycle(.start, "corrected", at: at(3)),
                    Samples.lifecycle(.stop, "corrected", at: at(4), inferred: true),
                    Samples.lifecycle(.stop, "corrected", at: at(50)),
                ]
                try await database.commit(transaction)
                var query = UsageQuery()
                query.from = at(10)
                query.until = at(60)
                let expected = transaction.lifecycle.filter {
                    !["ended-before", "after"].contains($0.instance) && $0.incarnation == 1
                }.sorted { $0.at < $1.at }
                try requireEqual(try await database.lifecycleEvents(query), expected, "10 to 60 minutes")
                query.consumer = "acme"
                try requireEqual(
                    try await database.lifecycleEvents(query), expected.filter { $0.owner == "acme" }, "of an owner")
                query.instance = "across"
                try requireEqual(
                    try await database.lifecycleEvents(query), expected.filter { $0.instance == "across" },
                    "of an instance")
                query.service = "none"
                try requireEqual(try await database.lifecycleEvents(query), [], "of another service")
            }
        },
        LogDatabaseContract("the last heartbeat never goes back") { open in
            try await session(open) { database in
                try await database.heartbeat(["a", "b"], at: Samples.start)
                try await database.heartbeat(["a"], at: Samples.start + .seconds(10))
                try await database.heartbeat(["a", "b"], at: Samples.start + .seconds(5))
                try await database.heartbeat([], at: .distantFuture)
            }
            try await session(open) { database in
                try requireEqual(
                    try await database.lastHeartbeats(),
                    ["a": Samples.start + .seconds(10), "b": Samples.start + .seconds(5)], "the last ones")
            }
        },
    ]
}

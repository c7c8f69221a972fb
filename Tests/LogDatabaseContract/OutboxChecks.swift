import CloudModel
import CloudPorts

extension LogDatabaseContract {
    private static let channels: [NotificationChannel] = [
        .log, .webhook(url: "https://example.org/a", secretFile: "/s"), .email(address: "a@example.org"),
    ]

    static let outboxChecks: [LogDatabaseContract] = [
        LogDatabaseContract("a notification is delivered to each channel until it has ended there") { open in
            let notification = Samples.notification("n-1", title: "nul\u{0}")
            try await session(open) { database in
                var transaction = ControlTransaction()
                transaction.notifications = [AddressedNotification(notification: notification, channels: channels)]
                try await database.commit(transaction)
                try requireEqual(
                    try await database.dueDeliveries(at: Samples.start - .seconds(1), limit: 10), [], "not yet due")
            }
            let due = try await session(open) { try await $0.dueDeliveries(at: Samples.start, limit: 10) }
            try requireEqual(Set(due.map(\.channel)), Set(channels), "one delivery a channel")
            try require(due.allSatisfy { $0.attempts == 0 && $0.notification == notification }, "not tried yet")
            func delivery(_ index: Int) throws -> Delivery {
                guard let found = due.first(where: { $0.channel == channels[index] }) else {
                    throw ContractViolation(description: "no delivery to \(channels[index])")
                }
                return found
            }
            let later = Samples.start + .minutes(5)
            try await session(open) { database in
                try await database.finish(try delivery(0), state: .delivered(at: Samples.start))
                try await database.finish(try delivery(1), state: .retry(at: later, failure: "refused"))
                try await database.finish(try delivery(2), state: .givenUp(at: Samples.start, failure: "no such box"))
                // A late report of the same attempt changes nothing that has ended.
                try await database.finish(try delivery(0), state: .retry(at: Samples.start, failure: "late"))
            }
            try await session(open) { database in
                try requireEqual(
                    try await database.dueDeliveries(at: later - .microseconds(1), limit: 10), [], "waits")
                let again = try await database.dueDeliveries(at: later, limit: 10)
                try requireEqual(
                    again, [Delivery(notification: notification, channel: channels[1], attempts: 1)], "the second try")
                let stored = try await database.notifications(after: nil, limit: 10)
                try requireEqual(stored.map(\.notification), [notification], "the notification")
                try requireEqual(stored.first?.deliveries.count, 3, "a state a channel")
                let states = stored.first?.deliveries.values.sorted() ?? []
                try require(states.contains("delivered"), "delivered")
                try require(states.contains { $0.hasPrefix("given-up: no such box") }, "given up, and why")
                try require(states.contains { $0.hasPrefix("pending") }, "pending")
            }
        },
        LogDatabaseContract("a notification whose id is known is skipped") { open in
            try await session(open) { database in
                var transaction = ControlTransaction()
                transaction.notifications = [
                    AddressedNotification(notification: Samples.notification("n"), channels: [.log]),
                    AddressedNotification(notification: Samples.notification("n", title: "again"), channels: channels),
                ]
                try await database.commit(transaction)
                try await database.commit(transaction)
                let stored = try await database.notifications(after: nil, limit: 10)
                try requireEqual(stored.map(\.notification), [Samples.notification("n")], "the first one, once")
                try requireEqual(
                    try await database.dueDeliveries(at: .distantFuture, limit: 10).count, 1, "and its one delivery")
            }
        },
        LogDatabaseContract("notifications come newest first, due deliveries oldest first") { open in
            try await session(open) { database in
                var transaction = ControlTransaction()
                transaction.notifications = (0..<9).map { index in
                    AddressedNotification(
                        notification: Samples.notification(
                            NotificationID("n-\(index)"), at: Samples.start + .seconds(Int64(index * 4 % 9))),
                        channels: [.log])
                }
                try await database.commit(transaction)
                let first = try await database.notifications(after: nil, limit: 4).map(\.notification.id)
                try requireEqual(first, ["n-8", "n-7", "n-6", "n-5"], "a page")
                let rest = try await database.notifications(after: first.last, limit: 100).map(\.notification.id)
                try requireEqual(rest, ["n-4", "n-3", "n-2", "n-1", "n-0"], "the next page")
                let oldest = try await database.notifications(after: "n-3", oldestFirst: true, limit: 3)
                try requireEqual(oldest.map(\.notification.id), ["n-4", "n-5", "n-6"], "a page the other way")
                let due = try await database.dueDeliveries(at: .distantFuture, limit: 4)
                try requireEqual(
                    due.map(\.notification.at), (0..<4).map { Samples.start + .seconds($0) }, "the oldest first")
            }
        },
    ]
}

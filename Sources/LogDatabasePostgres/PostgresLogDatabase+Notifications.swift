public import CloudModel
public import CloudPorts
import LogRecords

/// The outbox: a notification is stored with the decision that caused it, one delivery a channel, and each delivery is
/// tried until it has succeeded or was given up.
extension PostgresLogDatabase {
    public func notifications(
        after: NotificationID?, oldestFirst: Bool, limit: Int
    ) async throws(LogDatabaseError) -> [StoredNotification] {
        try await read("reading notifications", snapshot: true) { connection in
            var conditions = Conditions()
            if let after {
                let order = oldestFirst ? ">" : "<"
                conditions.add("position \(order) (SELECT position FROM notification WHERE id = ?)", after)
            }
            let rows = try connection.run(
                """
                SELECT position, content FROM notification\(conditions.sql)
                ORDER BY position \(oldestFirst ? "ASC" : "DESC") LIMIT \(max(0, limit))
                """, conditions.parameters)
            return try rows.map { row in
                StoredNotification(
                    notification: try Self.notification(row),
                    deliveries: try Self.deliveries(of: try row.number("position"), on: connection))
            }
        }
    }

    public func dueDeliveries(at: Timestamp, limit: Int) async throws(LogDatabaseError) -> [Delivery] {
        try await read("reading due deliveries") { connection in
            try connection.run(
                """
                SELECT channel, attempts, content FROM delivery
                JOIN notification ON notification.position = delivery.notification
                WHERE state = 'pending' AND next_attempt_at <= $1
                ORDER BY next_attempt_at, delivery.notification, channel LIMIT $2
                """, at, max(0, limit)
            ).map { row in
                Delivery(
                    notification: try Self.notification(row), channel: try Self.channel(row),
                    attempts: try row.number("attempts"))
            }
        }
    }

    public func finish(_ delivery: Delivery, state: DeliveryState) async throws(LogDatabaseError) {
        let (word, next, ended, failure): (String, Timestamp?, Timestamp?, String?) =
            switch state {
            case .delivered(let at): ("delivered", nil, at, nil)
            case .retry(let at, let failure): ("pending", at, nil, failure)
            case .givenUp(let at, let failure): ("given-up", nil, at, failure)
            }
        try await write("finishing a delivery") { connection in
            // A delivery that has ended stays as it ended: a late report changes nothing.
            _ = try connection.run(
                """
                UPDATE delivery SET state = $1, attempts = attempts + 1,
                    next_attempt_at = coalesce($2::bigint, next_attempt_at), ended_at = $3, failure = $4
                WHERE state = 'pending' AND channel = $5
                    AND notification = (SELECT position FROM notification WHERE id = $6)
                """, word, next, ended, failure, try Document.text(delivery.channel), delivery.notification.id)
        }
    }

    static func append(_ addressed: AddressedNotification, on connection: Connection) throws {
        let notification = addressed.notification
        let inserted = try connection.run(
            "INSERT INTO notification (id, content) VALUES ($1, $2) ON CONFLICT DO NOTHING RETURNING position",
            notification.id, try Document.text(notification))
        guard let position: Int64 = try inserted.first?.number("position") else { return }
        for channel in addressed.channels {
            try connection.run(
                """
                INSERT INTO delivery (notification, channel, state, attempts, next_attempt_at)
                VALUES ($1, $2, 'pending', 0, $3) ON CONFLICT DO NOTHING
                """, position, try Document.text(channel), notification.at)
        }
    }

    private static func deliveries(of position: Int64, on connection: Connection) throws -> [String: String] {
        let rows = try connection.run(
            "SELECT channel, state, failure FROM delivery WHERE notification = $1", position)
        let states = try rows.map { row in
            let state = try row.text("state")
            return (
                name(of: try channel(row)), try row.optionalText("failure").map { "\(state): \($0)" } ?? state
            )
        }
        return Dictionary(states) { $1 }
    }

    private static func notification(_ row: Row) throws -> Notification {
        try Document.value(Notification.self, from: try row.text("content"), what: "a notification")
    }

    private static func channel(_ row: Row) throws -> NotificationChannel {
        try Document.value(
            NotificationChannel.self, from: try row.text("channel"), what: "a notification's channel")
    }

    private static func name(of channel: NotificationChannel) -> String {
        switch channel {
        case .log: "log"
        case .webhook(let url, _): "webhook \(url)"
        case .email(let address): "email \(address)"
        }
    }
}

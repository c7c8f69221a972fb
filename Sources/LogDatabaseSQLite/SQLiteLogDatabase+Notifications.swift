public import CloudModel
public import CloudPorts
import GRDB
import LogRecords

/// The outbox: a notification is stored with the decision that caused it, one delivery a channel, and each delivery is
/// tried until it has succeeded or was given up.
extension SQLiteLogDatabase {
    public func notifications(
        after: NotificationID?, oldestFirst: Bool, limit: Int
    ) async throws(LogDatabaseError) -> [StoredNotification] {
        try await read("reading notifications") { database in
            var conditions = Conditions()
            if let after {
                conditions.add(
                    "position \(oldestFirst ? ">" : "<") (SELECT position FROM notification WHERE id = ?)",
                    SQLText.encoded(after.rawValue))
            }
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT position, content FROM notification\(conditions.sql)
                    ORDER BY position \(oldestFirst ? "ASC" : "DESC") LIMIT ?
                    """,
                arguments: conditions.arguments + [max(0, limit)])
            return try rows.map { row in
                StoredNotification(
                    notification: try Document.value(
                        Notification.self, from: row["content"], what: "a notification"),
                    deliveries: try Self.deliveries(of: row["position"], in: database))
            }
        }
    }

    public func dueDeliveries(at: Timestamp, limit: Int) async throws(LogDatabaseError) -> [Delivery] {
        try await read("reading due deliveries") { database in
            let rows = try Row.fetchAll(
                database,
                sql: """
                    SELECT channel, attempts, content FROM delivery
                    JOIN notification ON notification.position = delivery.notification
                    WHERE state = 'pending' AND next_attempt_at <= ?
                    ORDER BY next_attempt_at, delivery.notification, channel LIMIT ?
                    """, arguments: [at.microseconds, max(0, limit)])
            return try rows.map { row in
                Delivery(
                    notification: try Document.value(
                        Notification.self, from: row["content"], what: "a notification"),
                    channel: try Document.value(
                        NotificationChannel.self, from: row["channel"], what: "a notification's channel"),
                    attempts: row["attempts"])
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
        try await write("finishing a delivery") { database in
            // A delivery that has ended stays as it ended: a late report changes nothing.
            try database.execute(
                sql: """
                    UPDATE delivery SET state = ?, attempts = attempts + 1,
                        next_attempt_at = coalesce(?, next_attempt_at), ended_at = ?, failure = ?
                    WHERE state = 'pending' AND channel = ?
                        AND notification = (SELECT position FROM notification WHERE id = ?)
                    """,
                arguments: [
                    word, next?.microseconds, ended?.microseconds, failure.map(SQLText.encoded),
                    try Document.text(delivery.channel), SQLText.encoded(delivery.notification.id.rawValue),
                ])
        }
    }

    static func append(_ addressed: AddressedNotification, to database: Database) throws {
        let notification = addressed.notification
        try database.execute(
            sql: "INSERT INTO notification (id, content) VALUES (?, ?) ON CONFLICT DO NOTHING",
            arguments: [SQLText.encoded(notification.id.rawValue), try Document.text(notification)])
        guard database.changesCount == 1 else { return }
        let position = database.lastInsertedRowID
        for channel in addressed.channels {
            try database.execute(
                sql: """
                    INSERT INTO delivery (notification, channel, state, attempts, next_attempt_at)
                    VALUES (?, ?, 'pending', 0, ?) ON CONFLICT DO NOTHING
                    """, arguments: [position, try Document.text(channel), notification.at.microseconds])
        }
    }

    private static func deliveries(of position: Int64, in database: Database) throws -> [String: String] {
        let rows = try Row.fetchAll(
            database, sql: "SELECT channel, state, failure FROM delivery WHERE notification = ?",
            arguments: [position])
        var states: [String: String] = [:]
        for row in rows {
            let channel = try Document.value(
                NotificationChannel.self, from: row["channel"], what: "a notification's channel")
            let state: String = row["state"]
            states[name(of: channel)] = row.optionalText("failure").map { "\(state): \($0)" } ?? state
        }
        return states
    }

    private static func name(of channel: NotificationChannel) -> String {
        switch channel {
        case .log: "log"
        case .webhook(let url, _): "webhook \(url)"
        case .email(let address): "email \(address)"
        }
    }
}

import CloudModel
import CloudPorts
import Credentials
import Foundation
import PayPerUse

/// How bills and credits are kept, and what is told of them.
extension BillingDesk {
    /// Keys sorted: equal values have equal texts.
    static func json(_ value: some Encodable) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(value), as: UTF8.self)
    }

    static func bill(_ stored: StoredBill) throws -> Bill {
        do {
            return try JSONDecoder().decode(Bill.self, from: Data(stored.json.utf8))
        } catch {
            throw LogDatabaseError(.corrupted, "bill \(stored.id) cannot be understood: \(error)")
        }
    }

    /// The event is in a sealed log: with its digests it vouches for the bill, which is in none.
    private static func digests(of bill: Bill) throws -> [String: String] {
        [
            "digest": KeyDigest(of: try json(bill)).description,
            "plan-digest": KeyDigest(of: try json(bill.plan)).description,
            "basis-digest": KeyDigest(of: try json(bill.basis)).description,
        ]
    }

    static func event(of bill: Bill, actor: String, at: Timestamp) throws -> PlatformEvent {
        var details = ["bill": bill.id, "total": bill.total.description, "held": bill.held.description]
        details.merge(try digests(of: bill)) { first, _ in first }
        if bill.basis?.includesHeld == true { details["held-included"] = "true" }
        return PlatformEvent(
            at: at, kind: "bill.closed", consumer: bill.consumer, actor: actor,
            summary: "\(actor) closes the bill \(bill.id) of \(bill.total)", details: details)
    }

    static func notifications(
        of bill: Bill, to consumer: CloudConsumer, administrators: [NotificationChannel], at: Timestamp
    ) -> [AddressedNotification] {
        var all: [AddressedNotification] = []
        if !consumer.contacts.isEmpty {
            let notification = CloudModel.Notification(
                id: NotificationID("bill-closed/\(bill.id)"), at: at, severity: .info, kind: "bill-closed",
                consumer: bill.consumer, title: "Your bill for \(bill.month): \(bill.total)",
                body: "See it with `cloudwright bill show --month \(bill.month)`.")
            all.append(AddressedNotification(notification: notification, channels: consumer.contacts))
        }
        let held = bill.lines.filter { $0.hold != nil }
        if !held.isEmpty {
            let reasons = held.map { "\($0.text): \(bill.money($0.minorUnits)) is held: \($0.hold ?? "")" }
            let notification = CloudModel.Notification(
                id: NotificationID("bill-held/\(bill.id)"), at: at, severity: .warning, kind: "bill-held",
                title: "\(bill.held) of \(bill.id) is held",
                body: reasons.joined(separator: "\n")
                    + "\nLook at it with `cloudwright reconcile --consumer \(bill.consumer) --month \(bill.month)`. "
                    + "What clears up is in a later bill as a correction.")
            all.append(AddressedNotification(notification: notification, channels: administrators))
        }
        return all
    }
}

extension Credit {
    /// What is in the event log of it: all of it, since that log is sealed and credits are not.
    var event: PlatformEvent {
        PlatformEvent(
            at: at, kind: "bill.credited", consumer: consumer, actor: actor,
            summary: "\(actor) gives \(consumer) a credit of \(amount): \(reason)",
            details: [
                "credit": id, "minor-units": "\(amount.minorUnits)", "currency": amount.currency.code, "reason": reason,
            ])
    }

    /// Nil where the event is of no credit, or was written before its content was.
    init?(_ event: PlatformEvent) {
        guard event.kind == "bill.credited", let consumer = event.consumer, let id = event.details["credit"],
            let minorUnits = event.details["minor-units"].flatMap(Int64.init),
            let currency = event.details["currency"].flatMap(Currency.init), let reason = event.details["reason"]
        else { return nil }
        self.init(
            id: id, consumer: consumer, at: event.at, amount: Money(minorUnits: minorUnits, currency: currency),
            reason: reason, actor: event.actor)
    }
}

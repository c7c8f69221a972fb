public import CloudModel
public import CloudPorts
import Foundation
public import PayPerUse

/// Makes, closes and shows bills, and reconciles the two pay-per-use agents: reads the books through the log database
/// and has them rated.
public struct BillingDesk: Sendable {
    /// A closed bill is corrected by those of so many months after it; then the books are settled.
    public static let correctableMonths = 3

    let database: any LogDatabase
    let configuration: @Sendable () async -> CloudConfiguration
    let lease: TimeSpan
    let now: @Sendable () -> Timestamp

    /// - Parameters:
    ///   - configuration: consumers, their plans, and who rents which service.
    ///   - lease: how long an instance is taken to run after its last sign of life.
    public init(
        database: any LogDatabase, configuration: @escaping @Sendable () async -> CloudConfiguration, lease: TimeSpan,
        now: @escaping @Sendable () -> Timestamp
    ) {
        self.database = database
        self.configuration = configuration
        self.lease = lease
        self.now = now
    }

    // MARK: Bills

    /// The closed bill of the month, or what it would be by what is known now. Nil for the month: the present one, by
    /// the calendar of the consumer's plan.
    public func bill(for id: ConsumerID, month: BillingMonth?) async throws -> Bill {
        if let month, let closed = try await closedBill(of: id, month) { return closed }
        let declared = await configuration()
        let (consumer, plan) = try Self.payer(id, declared)
        let month = try month ?? BillingMonth(containing: now(), in: Self.zone(plan, around: now()))
        if let closed = try await closedBill(of: id, month) { return closed }
        return try await draft(consumer, plan, month, declared)
    }

    /// Closed bills, the newest month first; nil: of every consumer.
    public func closedBills(of consumer: ConsumerID?, limit: Int) async throws -> [Bill] {
        var query = BillQuery()
        query.consumer = consumer
        query.limit = limit
        return try await database.bills(query).map(Self.bill)
    }

    /// Makes the month's bill final. Closing it again gives the same bill back.
    ///
    /// - Parameter includesHeld: what is in doubt is due as well: the operator has looked at it.
    public func close(
        _ id: ConsumerID, _ month: BillingMonth, includesHeld: Bool, actor: String
    ) async throws -> Bill {
        if let closed = try await closedBill(of: id, month) { return closed }
        let declared = await configuration()
        let (consumer, plan) = try Self.payer(id, declared)
        let window = month.window(in: try Self.zone(plan, of: month))
        guard window.end <= now() else {
            throw AdministrationRefusal(
                .conflict, ["\(month) is not over before \(window.end.rfc3339); close it then"])
        }
        if let last = try await closedBills(of: id, limit: 1).first, last.month.next != month {
            let remedy = last.month < month ? "close \(last.month.next) first" : "\(last.month) is closed already"
            throw AdministrationRefusal(.conflict, ["bills are closed month by month: \(remedy)"])
        }
        var bill = try await draft(consumer, plan, month, declared)
        bill.closedAt = now()
        if includesHeld { for index in bill.lines.indices { bill.lines[index].hold = nil } }
        var transaction = ControlTransaction()
        transaction.bills = [
            StoredBill(
                id: bill.id, consumer: id, month: month.description, periodStart: window.start, periodEnd: window.end,
                total: bill.total, closedAt: now(), json: try Self.json(bill))
        ]
        transaction.events = [Self.event(of: bill, includesHeld: includesHeld, actor: actor, at: now())]
        transaction.notifications = Self.notifications(
            of: bill, to: consumer, administrators: declared.administratorChannels, at: now())
        try await database.commit(transaction)
        // Somebody else may have closed it in the meantime: what is stored counts.
        return try await closedBill(of: id, month) ?? bill
    }

    /// Gives a consumer something back (or charges it, where the amount is negative). The same id again is the same
    /// credit; with another content it is refused.
    public func credit(
        _ id: String, to consumer: ConsumerID, amount: ExactDecimal, reason: String, actor: String
    ) async throws -> Credit {
        let (_, plan) = try Self.payer(consumer, await configuration())
        guard let money = Money(amount, plan.currency), amount != .zero else {
            throw AdministrationRefusal(
                .invalid,
                [
                    "\(amount) is no amount in \(plan.currency): give \(plan.currency.minorDigits) decimals at most, "
                        + "and not 0"
                ])
        }
        var transaction = ControlTransaction()
        transaction.credits = [
            Credit(id: id, consumer: consumer, at: now(), amount: money, reason: reason, actor: actor)
        ]
        transaction.events = [
            PlatformEvent(
                at: now(), kind: "bill.credited", consumer: consumer, actor: actor,
                summary: "\(actor) gives \(consumer) a credit of \(money): \(reason)", details: ["credit": id])
        ]
        if try await database.credit(id) == nil { try await database.commit(transaction) }
        guard let stored = try await database.credit(id) else {
            throw AdministrationRefusal(.unavailable, ["the credit was not stored; try again"])
        }
        guard stored.consumer == consumer, stored.amount == money, stored.reason == reason else {
            throw AdministrationRefusal(
                .conflict, ["credit '\(id)' was given before with another content; give this one another id"])
        }
        return stored
    }

    // MARK: Making them

    private func draft(
        _ consumer: CloudConsumer, _ plan: PricePlan, _ month: BillingMonth, _ declared: CloudConfiguration
    ) async throws -> Bill {
        let window = month.window(in: try Self.zone(plan, of: month))
        guard window.start <= now() else {
            throw AdministrationRefusal(.notFound, ["\(month) has not begun; it does on \(window.start.rfc3339)"])
        }
        var lines = try await useLines(of: consumer.id, plan, window, declared)
        let run = BillRun(plan: plan, window: window)
        let credits = try await database.credits(of: consumer.id, from: window.start, until: window.end)
        lines += run.lines(credits.filter { $0.amount.currency == plan.currency })
        let closed = try await closedBills(of: consumer.id, limit: Self.correctableMonths)
            .filter { $0.month < month && $0.plan.currency == plan.currency }
        for bill in closed.sorted(by: { $0.month < $1.month }) {
            let recomputed = try await useLines(of: consumer.id, bill.plan, bill.window, declared)
            lines += BillRun.corrections(
                of: bill, recomputed: recomputed, later: closed.filter { $0.month > bill.month })
        }
        return Bill(
            consumer: consumer.id, consumerName: consumer.displayName, month: month, window: window, plan: plan,
            cutoff: now(), lines: lines)
    }

    private func useLines(
        of consumer: ConsumerID, _ plan: PricePlan, _ window: BillingWindow, _ declared: CloudConfiguration
    ) async throws -> [BillLine] {
        let (run, use, verdict) = try await rated(consumer, plan, window, declared)
        return run.lines(use: use, holds: verdict.holds)
    }

    func rated(
        _ consumer: ConsumerID, _ plan: PricePlan, _ window: BillingWindow, _ declared: CloudConfiguration
    ) async throws -> (BillRun, [BillingWindow: MeteredUse], Reconciliation.Verdict) {
        let books = Books(database: database, lease: lease, window: window, now: now())
        let run = BillRun(plan: plan, window: window)
        let reconstruction = try await books.reconstruction(of: consumer)
        let use = try await books.use(of: consumer, in: run.windows, reconstruction)
        let owned = declared.services.filter { $0.owner == consumer }.map { ($0.id, consumer) }
        let reconciliation = try await books.reconciliation(
            reconstruction, owners: Dictionary(owned, uniquingKeysWith: { first, _ in first }))
        return (run, use, reconciliation.verdict(for: consumer, plan: plan, use: use))
    }

    private func closedBill(of consumer: ConsumerID, _ month: BillingMonth) async throws -> Bill? {
        try await database.bill(Bill.id(of: consumer, month)).map(Self.bill)
    }

    static func payer(_ id: ConsumerID, _ declared: CloudConfiguration) throws -> (CloudConsumer, PricePlan) {
        guard let consumer = declared.consumers.first(where: { $0.id == id }) else {
            throw AdministrationRefusal(.notFound, ["there is no consumer '\(id)'; see `cloudwright consumer list`"])
        }
        guard let plan = declared.pricePlans.first(where: { $0.id == consumer.pricePlan }) else {
            throw AdministrationRefusal(
                .notFound, ["'\(id)' has no price plan; declare a PricePlan and name it in spec.pricePlan of '\(id)'"])
        }
        return (consumer, plan)
    }

    static func zone(_ plan: PricePlan, around time: Timestamp) throws -> ZoneOffsets {
        guard let zone = TimeZoneData.offsets(of: plan.timeZone, around: time) else {
            throw AdministrationRefusal(
                .unavailable,
                ["the time zone '\(plan.timeZone)' of price plan '\(plan.id)' is not known on this machine"])
        }
        return zone
    }

    static func zone(_ plan: PricePlan, of month: BillingMonth) throws -> ZoneOffsets {
        try zone(plan, around: month.window(in: .utc).start)
    }

    // MARK: Keeping them

    private static func json(_ bill: Bill) throws -> String {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
        return String(decoding: try encoder.encode(bill), as: UTF8.self)
    }

    private static func bill(_ stored: StoredBill) throws -> Bill {
        do {
            return try JSONDecoder().decode(Bill.self, from: Data(stored.json.utf8))
        } catch {
            throw LogDatabaseError(.corrupted, "bill \(stored.id) cannot be understood: \(error)")
        }
    }

    private static func event(of bill: Bill, includesHeld: Bool, actor: String, at: Timestamp) -> PlatformEvent {
        var details = ["bill": bill.id, "total": bill.total.description, "held": bill.held.description]
        if includesHeld { details["held-included"] = "true" }
        return PlatformEvent(
            at: at, kind: "bill.closed", consumer: bill.consumer, actor: actor,
            summary: "\(actor) closes the bill \(bill.id) of \(bill.total)", details: details)
    }

    private static func notifications(
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

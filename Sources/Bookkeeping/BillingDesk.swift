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
    let seal: @Sendable () async throws -> [StoredSeal]
    package let now: @Sendable () -> Timestamp

    /// - Parameters:
    ///   - configuration: consumers, their plans, and who rents which service.
    ///   - lease: how long an instance is taken to run after its last sign of life.
    ///   - seal: seals the books and gives back the newest seal of each log.
    public init(
        database: any LogDatabase, configuration: @escaping @Sendable () async -> CloudConfiguration, lease: TimeSpan,
        seal: @escaping @Sendable () async throws -> [StoredSeal], now: @escaping @Sendable () -> Timestamp
    ) {
        self.seal = seal
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
        return try await draft(consumer, plan, month, declared, try await Moment(self)).bill
    }

    /// Closed bills, the newest month first; nil: of every consumer.
    public func closedBills(of consumer: ConsumerID?, limit: Int) async throws -> [Bill] {
        var query = BillQuery()
        query.consumer = consumer
        query.limit = limit
        return try await closedBills(query)
    }

    /// Closed bills, each as it was closed.
    public func closedBills(_ query: BillQuery) async throws -> [Bill] {
        try await database.bills(query).map(Self.bill)
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
        var bill = try await sealedDraft(consumer, plan, month, declared, includesHeld: includesHeld)
        let closedAt = now()
        bill.closedAt = closedAt
        var transaction = ControlTransaction()
        transaction.bills = [
            StoredBill(
                id: bill.id, consumer: id, month: month.description, periodStart: window.start, periodEnd: window.end,
                total: bill.total, closedAt: closedAt, json: try Self.json(bill))
        ]
        transaction.events = [try Self.event(of: bill, actor: actor, at: closedAt)]
        transaction.notifications = Self.notifications(
            of: bill, to: consumer, administrators: declared.administratorChannels, at: closedAt)
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
        let credit = Credit(id: id, consumer: consumer, at: now(), amount: money, reason: reason, actor: actor)
        var transaction = ControlTransaction()
        transaction.credits = [credit]
        transaction.events = [credit.event]
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

    /// What stays the same while a bill is made, however often the books are read for it.
    private struct Moment {
        var cutoff: Timestamp
        var heartbeats: [InstanceID: Timestamp]

        init(_ desk: BillingDesk) async throws {
            cutoff = desk.now()
            heartbeats = try await desk.database.lastHeartbeats()
        }
    }

    /// The bill, and what it was computed from but for the logs.
    private typealias Draft = (bill: Bill, basis: BillBasis)

    private func draft(
        _ consumer: CloudConsumer, _ plan: PricePlan, _ month: BillingMonth, _ declared: CloudConfiguration,
        _ moment: Moment
    ) async throws -> Draft {
        let window = month.window(in: try Self.zone(plan, of: month))
        guard window.start <= moment.cutoff else {
            throw AdministrationRefusal(.notFound, ["\(month) has not begun; it does on \(window.start.rfc3339)"])
        }
        var basis = BillBasis(lease: lease, heartbeats: [], holds: [], includesHeld: false, earlier: [])
        var silent: Set<InstanceID> = []
        func useLines(_ plan: PricePlan, _ month: BillingMonth, _ window: BillingWindow) async throws -> [BillLine] {
            let rated = try await rated(consumer.id, plan, window, declared, moment.cutoff, moment.heartbeats)
            silent.formUnion(rated.events.instancesWithoutStop)
            for (service, reason) in rated.verdict.holds.sorted(by: { $0.key < $1.key }) {
                basis.holds.append(BillBasis.Hold(month: month, service: service, reason: reason))
            }
            return rated.run.lines(use: rated.use, holds: rated.verdict.holds)
        }
        let own = try await useLines(plan, month, window)
        let closed = try await closedBills(of: consumer.id, limit: Self.correctableMonths)
            .filter { $0.month < month && $0.plan.currency == plan.currency }
        var earlier: [(bill: Bill, recomputed: [BillLine])] = []
        for bill in closed.sorted(by: { $0.month < $1.month }) {
            earlier.append((bill, try await useLines(bill.plan, bill.month, bill.window)))
            basis.earlier.append(bill.id)
        }
        let lines = BillRun(plan: plan, window: window).allLines(
            own: own, credits: try await database.credits(of: consumer.id, from: window.start, until: window.end),
            earlier: earlier)
        basis.heartbeats = silent.sorted().compactMap { instance in
            moment.heartbeats[instance].map { BillBasis.Heartbeat(instance: instance, at: $0) }
        }
        let bill = Bill(
            consumer: consumer.id, consumerName: consumer.displayName, month: month, window: window, plan: plan,
            cutoff: moment.cutoff, lines: lines)
        return (bill, basis)
    }

    /// Times that a bill is made anew because records came while it was made.
    private static let attempts = 3

    /// A bill with all that it was computed from. The books are read, sealed and read again: where both readings give
    /// the same, what was sealed in between gives it too, since records are only ever added.
    private func sealedDraft(
        _ consumer: CloudConsumer, _ plan: PricePlan, _ month: BillingMonth, _ declared: CloudConfiguration,
        includesHeld: Bool
    ) async throws -> Bill {
        let moment = try await Moment(self)
        var last = try await draft(consumer, plan, month, declared, moment)
        for _ in 0..<Self.attempts {
            let seals: [StoredSeal]
            do {
                seals = try await seal()
            } catch {
                throw AdministrationRefusal(
                    .unavailable, ["a bill names the sealed logs that it was computed from, and \(error); try again"])
            }
            let again = try await draft(consumer, plan, month, declared, moment)
            guard again == last else {
                last = again
                continue
            }
            var (bill, basis) = last
            basis.includesHeld = includesHeld
            basis.logs = seals.filter { $0.log != "audit" }.sorted { $0.log < $1.log }
                .map { BillBasis.Log(name: $0.log, size: $0.size, checkpoint: $0.note) }
            if includesHeld { for index in bill.lines.indices { bill.lines[index].hold = nil } }
            bill.basis = basis
            return bill
        }
        throw AdministrationRefusal(
            .conflict, ["records of \(month) are still arriving; close it again in a minute"])
    }

    /// A month rated by what is in the books, and the events that were read for it.
    struct RatedMonth {
        var run: BillRun
        var use: [BillingWindow: MeteredUse]
        var verdict: Reconciliation.Verdict
        var events: [LifecycleEvent]
    }

    private func rated(
        _ consumer: ConsumerID, _ plan: PricePlan, _ window: BillingWindow, _ declared: CloudConfiguration,
        _ cutoff: Timestamp, _ heartbeats: [InstanceID: Timestamp]
    ) async throws -> RatedMonth {
        let books = Books(database: database, lease: lease, window: window, now: cutoff, heartbeats: heartbeats)
        let run = BillRun(plan: plan, window: window)
        let events = try await books.lifecycleEvents(of: consumer)
        let reconstruction = books.reconstruction(events)
        let use = try await books.use(of: consumer, in: run.windows, reconstruction)
        let owned = declared.services.filter { $0.owner == consumer }.map { ($0.id, consumer) }
        let reconciliation = try await books.reconciliation(
            reconstruction, owners: Dictionary(owned, uniquingKeysWith: { first, _ in first }),
            unwatched: declared.unwatchedServices)
        return RatedMonth(
            run: run, use: use, verdict: reconciliation.verdict(for: consumer, plan: plan, use: use), events: events)
    }

    func closedBill(of consumer: ConsumerID, _ month: BillingMonth) async throws -> Bill? {
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
}

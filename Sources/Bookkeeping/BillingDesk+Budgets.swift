public import CloudModel
import CloudPorts
public import PayPerUse

/// What a consumer has used and spent in the present month, and what it means and may use.
public struct ConsumerStanding: Hashable, Sendable {
    public var consumer: ConsumerID
    public var month: BillingMonth
    /// The month, by the calendar of the price plan, or of UTC.
    public var window: BillingWindow
    /// Requests that instances answered.
    public var requests: Int64
    /// What the month's bill comes to by now, credits included, and nothing held back; nil without a price plan.
    public var spent: Money?
    public var budget: Budget?
    public var quota: MonthlyQuota?

    /// Nil without a budget.
    public var budgetAmount: Money? {
        guard let budget, let spent else { return nil }
        return Money(budget.amount, spent.currency)
    }

    /// Whole percent of the budget, rounded down; nil without one.
    public var percent: Int? {
        guard let spent, let amount = budgetAmount, amount.minorUnits > 0 else { return nil }
        return Int(clamping: Int128(spent.minorUnits) * 100 / Int128(amount.minorUnits))
    }

    /// Thresholds that are reached.
    public var reached: [Int] {
        guard let budget, let percent else { return [] }
        return budget.thresholds.filter { percent >= $0 }
    }

    /// Its quotas, as they are used.
    var uses: [QuotaPace.Use] {
        var all: [QuotaPace.Use] = []
        if let limit = quota?.requests {
            all.append(QuotaPace.Use(consumer: consumer, kind: .requests, used: requests, limit: limit))
        }
        if let spent, let limit = quota?.amount.flatMap({ Money($0, spent.currency) }) {
            all.append(
                QuotaPace.Use(consumer: consumer, kind: .amount, used: spent.minorUnits, limit: limit.minorUnits))
        }
        return all
    }

    /// Quotas that are used up.
    public var exhausted: [ExhaustedQuota] {
        uses.filter { $0.used >= $0.limit }.map { use in
            ExhaustedQuota(
                consumer: consumer, kind: use.kind, limit: use.limit, used: use.used,
                currency: use.kind == .amount ? spent?.currency : nil, resetsAt: window.end)
        }
    }
}

extension BillingDesk {
    /// Of every consumer that has a budget or a quota, or of one consumer; in the order of the configuration.
    public func standings(of consumer: ConsumerID?) async throws -> [ConsumerStanding] {
        let declared = await configuration()
        var all: [ConsumerStanding] = []
        for one in declared.consumers where consumer == nil || one.id == consumer {
            guard one.budget != nil || one.quota != nil else { continue }
            all.append(
                try await standing(of: one, plan: declared.pricePlans.first { $0.id == one.pricePlan }))
        }
        return all
    }

    private func standing(of consumer: CloudConsumer, plan: PricePlan?) async throws -> ConsumerStanding {
        let time = now()
        let month: BillingMonth
        let window: BillingWindow
        if let plan {
            month = BillingMonth(containing: time, in: try Self.zone(plan, around: time))
            window = month.window(in: try Self.zone(plan, of: month))
        } else {
            month = BillingMonth(containing: time, in: .utc)
            window = month.window(in: .utc)
        }
        var query = UsageQuery()
        query.consumer = consumer.id
        query.from = window.start
        query.until = window.end
        let requests = try await database.requestUsage(query)
            .reduce(Int64(0)) { $0 + max(0, $1.requests - $1.rejected - $1.failed) }
        var spent: Money?
        if let plan { spent = try await self.spent(by: consumer.id, plan, window, time) }
        return ConsumerStanding(
            consumer: consumer.id, month: month, window: window, requests: requests, spent: spent,
            budget: consumer.budget, quota: consumer.quota)
    }

    /// What bills say before corrections, and without asking whether the two agents agree: asked every few seconds.
    private func spent(
        by consumer: ConsumerID, _ plan: PricePlan, _ window: BillingWindow, _ time: Timestamp
    ) async throws -> Money {
        let books = Books(
            database: database, lease: lease, window: window, now: time,
            heartbeats: try await database.lastHeartbeats())
        let run = BillRun(plan: plan, window: window)
        let reconstruction = books.reconstruction(try await books.lifecycleEvents(of: consumer))
        let use = try await books.use(of: consumer, in: run.windows, reconstruction)
        let credits = try await database.credits(of: consumer, from: window.start, until: window.end)
        let lines = run.allLines(own: run.lines(use: use), credits: credits, earlier: [])
        let total = lines.reduce(Int64(0)) { sum, line in
            let (result, overflow) = sum.addingReportingOverflow(line.minorUnits)
            return overflow ? (line.minorUnits > 0 ? .max : .min) : result
        }
        return Money(minorUnits: total, currency: plan.currency)
    }
}

public import CloudModel
import CloudPorts
public import PayPerUse

/// Both agents' figures held against each other, for all payers or one.
public struct ReconciliationReport: Hashable, Sendable {
    public var window: BillingWindow
    /// By service and instance.
    public var instances: [Entry]
    /// Records that never came, and records that came twice with different content.
    public var records: [RecordDoubt]
    /// Instances that were seen running and of which there is no event at all.
    public var unknownInstances: [InstanceID]
    /// Services whose lines are held on the payer's bill, and why.
    public var holds: [ServiceID: String]

    public struct Entry: Hashable, Sendable {
        public var instance: ReconciledInstance
        /// What differences are in; nil where the payer has no price plan.
        public var currency: Currency?
    }

    public struct RecordDoubt: Hashable, Sendable {
        public var cause: UsageDifference.Cause
        /// The gateway's loop that numbered the records, or the request.
        public var what: String
        public var count: Int64
        public var window: BillingWindow
    }

    /// Whether there is nothing that anybody has to look at.
    public var isSettled: Bool {
        holds.isEmpty && unknownInstances.isEmpty && records.isEmpty
            && instances.allSatisfy { $0.instance.differences.allSatisfy { $0.minorUnits == 0 } }
    }
}

extension BillingDesk {
    /// Gaps and conflicts in one report at most, of each.
    static let maximumRecordDoubts = 100

    /// Reconciles a month (by the calendar of the consumer's plan, or in UTC), or any stretch of time.
    public func reconcile(
        consumer: ConsumerID?, month: BillingMonth?, window given: BillingWindow?
    ) async throws -> ReconciliationReport {
        let declared = await configuration()
        let window = try given ?? self.window(of: month, consumer, declared)
        let books = Books(
            database: database, lease: lease, window: window, now: now(),
            heartbeats: try await database.lastHeartbeats())
        let reconstruction = books.reconstruction(try await books.lifecycleEvents(of: consumer))
        let owned = declared.services.compactMap { service in service.owner.map { (service.id, $0) } }
            .filter { consumer == nil || $0.1 == consumer }
        let reconciliation = try await books.reconciliation(
            reconstruction, owners: Dictionary(owned, uniquingKeysWith: { first, _ in first }),
            unwatched: declared.unwatchedServices)
        let all = reconciliation.instances().filter { consumer == nil || $0.owner == consumer }
        var report = ReconciliationReport(
            window: window, instances: all.map { .init(instance: $0, currency: nil) }, records: [],
            unknownInstances: [], holds: [:])
        for owner in Set(all.compactMap(\.owner)).sorted() {
            guard let (_, plan) = try? Self.payer(owner, declared) else { continue }
            let run = BillRun(plan: plan, window: window)
            let use = try await books.use(of: owner, in: run.windows, reconstruction)
            let verdict = reconciliation.verdict(for: owner, plan: plan, use: use)
            report.holds.merge(verdict.holds) { first, _ in first }
            report.instances.removeAll { $0.instance.owner == owner }
            report.instances += verdict.instances.map { .init(instance: $0, currency: plan.currency) }
        }
        report.instances.sort {
            ($0.instance.service, $0.instance.instance) < ($1.instance.service, $1.instance.instance)
        }
        // Whose they are is not known: they are the operator's to look at.
        if consumer == nil {
            report.records = try await recordDoubts(window)
            report.unknownInstances = reconciliation.unknownInstances
        }
        return report
    }

    private func window(
        of month: BillingMonth?, _ consumer: ConsumerID?, _ declared: CloudConfiguration
    ) throws -> BillingWindow {
        guard let consumer, let (_, plan) = try? Self.payer(consumer, declared) else {
            return (month ?? BillingMonth(containing: now(), in: .utc)).window(in: .utc)
        }
        let month = try month ?? BillingMonth(containing: now(), in: Self.zone(plan, around: now()))
        return month.window(in: try Self.zone(plan, of: month))
    }

    private func recordDoubts(_ window: BillingWindow) async throws -> [ReconciliationReport.RecordDoubt] {
        let gaps = try await database.recordGaps(
            from: window.start, until: window.end, limit: Self.maximumRecordDoubts)
        let conflicts = try await database.conflictingRequests(
            from: window.start, until: window.end, limit: Self.maximumRecordDoubts)
        return gaps.map { gap in
            .init(
                cause: .lostRecord, what: gap.source, count: gap.missing,
                window: BillingWindow(start: gap.since, end: gap.until))
        }
            + conflicts.map { .init(cause: .duplicate, what: $0.description, count: 1, window: window) }
    }
}

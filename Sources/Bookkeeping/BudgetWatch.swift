public import CloudModel
import CloudPorts
public import Logging
import Synchronization

/// Looks after budgets and quotas: tells of each threshold once a month, and says which quotas are used up.
public actor BudgetWatch {
    private let desk: BillingDesk
    private var pace = QuotaPace()
    private var lastLook: ContinuousClock.Instant?
    private let exhausted: @Sendable ([ExhaustedQuota]) async -> Void
    private let logger: Logger
    /// Notifications that are stored: of the present months, and not looked up again.
    private var told: Set<NotificationID> = []
    private static let mostTold = 100_000
    private nonisolated let failure = Mutex<String?>(nil)

    /// `exhausted` is told, at each look, of all quotas that are used up.
    public init(
        desk: BillingDesk, exhausted: @escaping @Sendable ([ExhaustedQuota]) async -> Void, logger: Logger
    ) {
        self.desk = desk
        self.exhausted = exhausted
        self.logger = logger
    }

    /// `ok`, or why nobody looks.
    public nonisolated var health: String { failure.withLock { $0 ?? "ok" } }

    /// Until cancelled.
    public func run() async {
        while !Task.isCancelled {
            let begin = ContinuousClock.now
            var pause = QuotaPace.longest
            do {
                let standings = try await look()
                let elapsed = lastLook.map { begin - $0 } ?? .zero
                pause = pace.next(standings.flatMap(\.uses), after: .microseconds(Int64(elapsed / .microseconds(1))))
                lastLook = begin
                failure.withLock { $0 = nil }
            } catch {
                failure.withLock { $0 = "\(error)" }
                logger.error("Budgets and quotas are not looked after", metadata: ["error": "\(error)"])
            }
            let took = ContinuousClock.now - begin
            // Ten times as long as a look takes, so that looking stays cheap.
            try? await Task.sleep(for: max(.microseconds(pause.microseconds), took * 10))
        }
    }

    /// What it has found.
    @discardableResult
    public func look() async throws -> [ConsumerStanding] {
        let standings = try await desk.standings(of: nil)
        let declared = await desk.configuration()
        var transaction = ControlTransaction()
        for standing in standings {
            let contacts = declared.consumers.first { $0.id == standing.consumer }?.contacts ?? []
            for notification in Self.notifications(of: standing, at: desk.now()) {
                for (suffix, channels) in [("consumer", contacts), ("administrators", declared.administratorChannels)]
                where !channels.isEmpty {
                    var addressed = notification
                    addressed.id = NotificationID("\(notification.id)/\(suffix)")
                    if suffix == "consumer" { addressed.consumer = standing.consumer }
                    guard !told.contains(addressed.id) else { continue }
                    transaction.notifications.append(
                        AddressedNotification(notification: addressed, channels: channels))
                }
            }
        }
        // One whose id is known was told already: the log database skips it.
        if !transaction.notifications.isEmpty { try await desk.database.commit(transaction) }
        if told.count > Self.mostTold { told = [] }
        told.formUnion(transaction.notifications.map(\.notification.id))
        await exhausted(standings.flatMap(\.exhausted))
        return standings
    }

    private static func notifications(
        of standing: ConsumerStanding, at: Timestamp
    ) -> [CloudModel.Notification] {
        var all: [CloudModel.Notification] = []
        if let spent = standing.spent, let amount = standing.budgetAmount {
            for threshold in standing.reached {
                all.append(
                    CloudModel.Notification(
                        // By what was reached: another budget has thresholds of its own.
                        id: NotificationID("budget/\(standing.consumer)/\(standing.month)/\(threshold)/\(amount)"),
                        at: at, severity: threshold >= 100 ? .warning : .info, kind: "budget-reached",
                        title: "\(threshold) % of the budget of \(standing.consumer) for \(standing.month) is spent",
                        body: """
                            \(spent) of \(amount) by now. See `cloudwright budget` and `cloudwright bill show \
                            \(standing.consumer)`. A budget stops nothing; a quota does.
                            """))
            }
        }
        for quota in standing.exhausted {
            let unit = quota.currency?.code ?? "requests"
            all.append(
                CloudModel.Notification(
                    id: NotificationID(
                        "quota/\(quota.consumer)/\(quota.kind.rawValue)/\(standing.month)/\(quota.limit)"),
                    at: at, severity: .critical, kind: "quota-exhausted",
                    title: "\(quota.consumer) has used up its quota \(quota.kind.rawValue)",
                    body: """
                        \(quota.text(quota.used)) of \(quota.text(quota.limit)) \(unit). Its requests are refused \
                        until \(quota.resetsAt.rfc3339). To serve it before, raise spec.quota of the consumer.
                        """))
        }
        return all
    }
}

public import AuditMonitor
public import CloudModel
public import CloudPorts
public import Logging
import Synchronization

/// Sends another system each audit event as it comes, in order, and none of them not at all.
///
/// What the receiver has is remembered in the log database, behind the sending: after a crash, or an answer that was
/// lost, the last events come a second time, with the same id. The audit log is the queue: however long the receiver is
/// away, memory holds one batch. An outage is told to the administrators once, and its end is in the event log.
public actor AuditForwarder {
    private static let pause = Duration.milliseconds(200)
    /// Between attempts while the receiver is away; doubled up to the last.
    private static let firstRetry = Duration.milliseconds(500)
    private static let lastRetry = Duration.seconds(30)
    private static let kind = "audit.forward"
    private static let interrupted = kind + ".interrupted"
    private static let resumed = kind + ".resumed"

    private let database: any LogDatabase
    private let name: String
    private let batch: Int
    private let format: AuditExport
    private let receiver: any LogReceiver
    private let version: String
    /// How long the receiver may be away before that is told.
    private let patience: TimeSpan
    private let now: @Sendable () -> Timestamp
    private nonisolated let loop: AgentLoop
    private nonisolated let obstacle = Mutex<String?>(nil)
    private let logger: Logger

    private var position: Int64?
    private var size: Int
    private var retry = AuditForwarder.firstRetry
    private var failingSince: Timestamp?
    private var isTold = false

    public init(
        database: any LogDatabase, name: String, batch: Int, format: AuditExport, receiver: any LogReceiver,
        version: String, patience: TimeSpan = .seconds(30), now: @escaping @Sendable () -> Timestamp, logger: Logger
    ) {
        self.database = database
        self.name = name
        self.batch = max(1, batch)
        size = self.batch
        self.format = format
        self.receiver = receiver
        self.version = version
        self.patience = patience
        self.now = now
        self.logger = logger
        loop = AgentLoop(complaint: "Audit events are not forwarded to \(name)", logger: logger)
    }

    /// `ok`, or why events wait.
    public nonisolated var health: String { obstacle.withLock { $0 } ?? loop.health }

    /// Until cancelled.
    public func run() async {
        await loop.run(every: Self.pause) { @Sendable () async throws(LogDatabaseError) in try await self.forward() }
    }

    /// Sends what has come since the last time. Returns early, after a pause, where the receiver does not take it.
    package func forward() async throws(LogDatabaseError) {
        if position == nil { try await goOn() }
        while !Task.isCancelled {
            var query = AuditQuery()
            query.after = position ?? 0
            query.limit = size
            let page = try await database.auditEvents(query)
            guard let last = page.elements.last else { return }
            let lines = page.elements.map { format.line($0.event, position: $0.position, version: version) }
            do throws(DeliveryError) { try await receiver.take(lines) } catch {
                return try await failed(error)
            }
            try await database.setSetting(Self.setting(name), to: "\(last.position)")
            position = last.position
            try await succeeded()
            guard page.next != nil || lines.count == size else { return }
        }
    }

    private static func setting(_ name: String) -> String { "audit-forward/\(name)" }

    /// From where an earlier process got to.
    private func goOn() async throws(LogDatabaseError) {
        let text = try await database.setting(Self.setting(name))
        var query = EventQuery()
        query.kindPrefix = Self.kind
        query.limit = 1_000
        query.newest = true
        let last = try await database.events(query).elements.last { $0.details["receiver"] == name }
        isTold = last?.kind == Self.interrupted
        position = text.flatMap { Int64($0) } ?? 0
    }

    private func failed(_ error: DeliveryError) async throws(LogDatabaseError) {
        let since = failingSince ?? now()
        failingSince = since
        obstacle.withLock { $0 = "\(name) takes no events since \(since.rfc3339): \(error.message)" }
        logger.warning(
            "Audit events wait for their receiver", metadata: ["receiver": "\(name)", "error": "\(error.message)"])
        // Perhaps it takes fewer at once.
        size = max(1, size / 2)
        if !isTold, now() - since >= patience {
            try await tell(error, since: since)
            isTold = true
        }
        try? await Task.sleep(for: retry)
        retry = min(retry * 2, Self.lastRetry)
    }

    private func succeeded() async throws(LogDatabaseError) {
        size = min(batch, size * 2)
        retry = Self.firstRetry
        failingSince = nil
        obstacle.withLock { $0 = nil }
        guard isTold else { return }
        var transaction = ControlTransaction()
        transaction.events.append(event(Self.resumed, "Audit events are forwarded to \(name) again"))
        try await database.commit(transaction)
        isTold = false
    }

    private func event(_ kind: String, _ summary: String) -> PlatformEvent {
        PlatformEvent(at: now(), kind: kind, actor: "audit-monitor", summary: summary, details: ["receiver": name])
    }

    private func tell(_ error: DeliveryError, since: Timestamp) async throws(LogDatabaseError) {
        let channels = try await database.recoveredState().configuration?.administratorChannels ?? [.log]
        var transaction = ControlTransaction()
        transaction.events.append(
            event(Self.interrupted, "Audit events are not forwarded to \(name): \(error.message)"))
        transaction.notifications.append(
            AddressedNotification(
                notification: CloudModel.Notification(
                    id: NotificationID("audit-forward/\(name)/\(since.microseconds)"), at: now(), severity: .warning,
                    kind: "audit-forward", title: "Audit events are not forwarded to \(name)",
                    body: """
                        Since \(since.rfc3339) it has not taken what it was sent: \(error.message). \
                        Nothing is lost: events wait in the audit log and are sent once it takes them again. \
                        You are told again only after that.
                        """), channels: channels))
        try await database.commit(transaction)
    }
}

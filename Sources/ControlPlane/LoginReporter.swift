import AuditMonitor
public import CloudModel
public import CloudPorts
public import Logging

/// Sends the administrators a report of the logins of each day, week or month, once.
///
/// Which was sent last is in the event log, committed together with the notification: a restart neither sends one twice
/// nor leaves one out. After a longer pause only the last one is sent.
public actor LoginReporter {
    private static let pause = Duration.seconds(30)
    private static let kind = "audit.report-sent"
    /// Names and addresses that are told of.
    private static let mostFailures = 10
    /// Spools are read late where much is to be done; a report waits this long for them.
    private static let grace = TimeSpan.minutes(5)
    /// More incidents than these are counted as these.
    private static let mostIncidents = 10_000

    private let database: any LogDatabase
    private let period: AuditSettings.ReportPeriod?
    private let now: @Sendable () -> Timestamp
    private nonisolated let loop: AgentLoop
    private var lastSent: String?

    /// `period`: nil where no report is wanted.
    public init(
        database: any LogDatabase, period: AuditSettings.ReportPeriod?, now: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) {
        self.database = database
        self.period = period
        self.now = now
        loop = AgentLoop(complaint: "No report of logins is sent", logger: logger)
    }

    /// `ok`, or why no report is sent.
    public nonisolated var health: String { loop.health }

    /// Until cancelled.
    public func run() async {
        guard let period else { return }
        await loop.run(every: Self.pause) { @Sendable () async throws(LogDatabaseError) in try await self.report(period)
        }
    }

    /// Sends the report of the last time that is over, if it was not sent yet.
    package func report(_ period: AuditSettings.ReportPeriod) async throws(LogDatabaseError) {
        let report = LoginReport(
            period: period, time: period.lastTime(before: now() - Self.grace), rows: [], mostFailures: [], incidents: 0)
        guard lastSent != report.id, try await !wasSent(report.id) else {
            lastSent = report.id
            return
        }
        try await send(try await filled(report))
        lastSent = report.id
    }

    private func wasSent(_ id: String) async throws(LogDatabaseError) -> Bool {
        var query = EventQuery()
        query.kindPrefix = Self.kind
        query.limit = 100
        query.newest = true
        return try await database.events(query).elements.contains { $0.details["report"] == id }
    }

    private func filled(_ empty: LoginReport) async throws(LogDatabaseError) -> LoginReport {
        var report = empty
        var query = AuditQuery()
        query.from = report.time.lowerBound
        query.until = report.time.upperBound
        var rows: [ServiceID: LoginReport.Row] = [:]
        for count in try await database.loginCounts(query) {
            var row =
                rows[count.service] ?? LoginReport.Row(service: count.service, succeeded: 0, failed: 0, unknown: 0)
            switch count.outcome {
            case .success: row.succeeded += count.count
            case .failure: row.failed += count.count
            case .unknown: row.unknown += count.count
            }
            rows[count.service] = row
        }
        report.rows = rows.values.sorted { $0.service < $1.service }
        report.mostFailures = try await database.failedLogins(query, limit: Self.mostFailures).map {
            LoginReport.Failures(principal: $0.principal, address: $0.sourceAddress, count: $0.failures)
        }
        var incidents = EventQuery()
        incidents.kindPrefix = AuditWatch.opened
        incidents.from = report.time.lowerBound
        incidents.until = report.time.upperBound
        incidents.limit = Self.mostIncidents
        report.incidents = try await database.events(incidents).elements.count
        return report
    }

    private func send(_ report: LoginReport) async throws(LogDatabaseError) {
        let at = now()
        var transaction = ControlTransaction()
        transaction.events.append(
            PlatformEvent(at: at, kind: Self.kind, summary: report.title, details: ["report": report.id]))
        transaction.notifications.append(
            AddressedNotification(
                notification: CloudModel.Notification(
                    id: NotificationID(report.id), at: at, severity: .info, kind: "login-report", title: report.title,
                    body: report.body),
                channels: try await database.recoveredState().configuration?.administratorChannels ?? [.log]))
        try await database.commit(transaction)
    }
}

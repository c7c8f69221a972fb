public import AuditMonitor
public import CloudModel
public import CloudPorts
public import Logging

/// Follows the audit log and tells the administrators of guessing, once an incident.
///
/// What it finds is in the event log, together with the notification, so that a restart neither forgets an incident nor
/// tells of it again.
public actor AuditWatch {
    /// Events that are read at once.
    private static let batch = 500
    /// Incidents of the past that are looked through at the start.
    private static let history = 1_000
    private static let pause = Duration.seconds(1)

    private let database: any LogDatabase
    private let settings: BruteForceDetector.Settings
    private let now: @Sendable () -> Timestamp
    private nonisolated let loop: AgentLoop
    private var detector: BruteForceDetector?
    private var position: Int64 = 0

    public init(
        database: any LogDatabase, settings: BruteForceDetector.Settings, now: @escaping @Sendable () -> Timestamp,
        logger: Logger
    ) {
        self.database = database
        self.settings = settings
        self.now = now
        loop = AgentLoop(complaint: "The audit log is not watched", logger: logger)
    }

    /// `ok`, or why nobody watches.
    public nonisolated var health: String { loop.health }

    /// Until cancelled.
    public func run() async {
        await loop.run(every: Self.pause) { @Sendable () async throws(LogDatabaseError) in try await self.look() }
    }

    /// Takes what has come since the last time.
    public func look() async throws(LogDatabaseError) {
        var query = AuditQuery()
        query.limit = Self.batch
        // What is older than the window cannot be the beginning of anything that is not known.
        var current: BruteForceDetector
        if let detector {
            current = detector
        } else {
            query.from = now() - settings.window
            current = try await recovered()
        }
        query.after = position
        while !Task.isCancelled {
            let page = try await database.auditEvents(query)
            var changes: [BruteForceDetector.Change] = []
            for stored in page.elements { changes += current.take(stored.event) }
            if page.next == nil { changes += current.advance(to: now()) }
            try await tell(changes)
            // Not before it was told: a failure is tried again from here.
            detector = current
            position = page.elements.last?.position ?? position
            guard let next = page.next else { return }
            query.after = next
        }
    }

    private func recovered() async throws(LogDatabaseError) -> BruteForceDetector {
        var query = EventQuery()
        query.kindPrefix = Self.kind
        query.limit = Self.history
        query.newest = true
        var open: [String: BruteForceDetector.Incident] = [:]
        for event in try await database.events(query).elements {
            guard let incident = BruteForceDetector.Incident(event) else { continue }
            open[incident.id] = event.kind == Self.opened ? incident : nil
        }
        return BruteForceDetector(settings, open: open.values.sorted { $0.id < $1.id })
    }

    // MARK: Telling

    private static let kind = "audit.brute-force"
    static let opened = kind + ".began"
    private static let closed = kind + ".ended"

    private func tell(_ changes: [BruteForceDetector.Change]) async throws(LogDatabaseError) {
        guard !changes.isEmpty else { return }
        // What was declared last; incidents are rare.
        let channels = try await database.recoveredState().configuration?.administratorChannels ?? [.log]
        var transaction = ControlTransaction()
        for change in changes {
            switch change {
            case .opened(let incident):
                transaction.events.append(
                    incident.event(
                        Self.opened, at: incident.openedAt,
                        "\(incident.what): \(incident.failures) failed logins within \(settings.window.text)"))
                transaction.notifications.append(
                    AddressedNotification(notification: notification(of: incident), channels: channels))
            case .closed(let incident):
                transaction.events.append(
                    incident.event(
                        Self.closed, at: incident.lastAt, "\(incident.what): over after \(incident.failures) failures"))
            }
        }
        try await database.commit(transaction)
    }

    private func notification(of incident: BruteForceDetector.Incident) -> CloudModel.Notification {
        let principals = incident.principals.isEmpty ? "none given" : incident.principals.joined(separator: ", ")
        return CloudModel.Notification(
            id: NotificationID(incident.id), at: incident.openedAt, severity: .warning, kind: "brute-force",
            service: incident.services.count == 1 ? incident.services[0] : nil,
            title: "Somebody is guessing credentials: \(incident.what)",
            body: """
                \(incident.failures) logins failed within \(settings.window.text). \
                Services: \(incident.services.map(\.rawValue).joined(separator: ", ")). \
                Principals: \(principals). \
                From: \(incident.addresses.joined(separator: ", ")).
                See `cloudwright audit report --failed` and `--ranking`. You are told again only once it has been \
                quiet for \(settings.window.text).
                """)
    }
}

extension BruteForceDetector.Incident {
    fileprivate var what: String {
        switch subject {
        case .address(let address): "logins from \(address)"
        case .principal(let name, let service): "logins of '\(name)' at \(service) from several addresses"
        }
    }

    fileprivate func event(_ kind: String, at: Timestamp, _ summary: String) -> PlatformEvent {
        var details = [
            "incident": id, "opened-at": "\(openedAt.microseconds)", "last-at": "\(lastAt.microseconds)",
            "failures": "\(failures)",
        ]
        switch subject {
        case .address(let address): details["address"] = address
        case .principal(let name, _): details["principal"] = name
        }
        var service = services.count == 1 ? services.first : nil
        if case .principal(_, let its) = subject { service = its }
        return PlatformEvent(
            at: at, kind: kind, service: service, actor: "audit-monitor", summary: summary, details: details)
    }

    /// From what `event` wrote; who it was about besides is not needed to go on.
    fileprivate init?(_ event: PlatformEvent) {
        guard let opened = event.details["opened-at"].flatMap(Int64.init),
            let last = event.details["last-at"].flatMap(Int64.init),
            let failures = event.details["failures"].flatMap(Int.init)
        else { return nil }
        let subject: BruteForceDetector.Subject
        if let address = event.details["address"] {
            subject = .address(address)
        } else if let name = event.details["principal"], let service = event.service {
            subject = .principal(name, service)
        } else {
            return nil
        }
        self.init(
            subject: subject, openedAt: Timestamp(microseconds: opened), lastAt: Timestamp(microseconds: last),
            failures: failures, services: event.service.map { [$0] } ?? [], principals: [], addresses: [])
    }
}

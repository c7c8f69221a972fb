public import CloudModel

/// A report of all logins of a day, week or month, as text for people.
///
/// It has numbers, and of failed logins the names and addresses that failed most; single logins are left to the audit
/// log.
public struct LoginReport: Hashable, Sendable {
    /// Logins of one service by their outcome.
    public struct Row: Hashable, Sendable {
        public var service: ServiceID
        public var succeeded: Int
        public var failed: Int
        /// Answered in a way that tells neither.
        public var unknown: Int

        public init(service: ServiceID, succeeded: Int, failed: Int, unknown: Int) {
            self.service = service
            self.succeeded = succeeded
            self.failed = failed
            self.unknown = unknown
        }
    }

    /// Failures of one principal from one address.
    public struct Failures: Hashable, Sendable {
        public var principal: String
        public var address: String
        public var count: Int

        public init(principal: String, address: String, count: Int) {
            self.principal = principal
            self.address = address
            self.count = count
        }
    }

    public var period: AuditSettings.ReportPeriod
    public var time: Range<Timestamp>
    public var rows: [Row]
    /// The most first.
    public var mostFailures: [Failures]
    /// Times that guessing was found.
    public var incidents: Int

    public init(
        period: AuditSettings.ReportPeriod, time: Range<Timestamp>, rows: [Row], mostFailures: [Failures],
        incidents: Int
    ) {
        self.period = period
        self.time = time
        self.rows = rows
        self.mostFailures = mostFailures
        self.incidents = incidents
    }

    /// The same for every report of the same time.
    public var id: String { "login-report/\(period.rawValue)/\(time.lowerBound.microseconds)" }

    public var title: String {
        let day = Self.day(time.lowerBound)
        return switch period {
        case .daily: "Logins of \(day)"
        case .weekly: "Logins of the week from \(day)"
        case .monthly: "Logins of \(day.prefix(7))"
        }
    }

    public var body: String {
        guard !rows.isEmpty else {
            return "Nobody tried to log in. Where that is unlikely, see whether the services' `loginRules` fit."
        }
        var lines = ["Service: succeeded, failed, unknown"]
        lines += rows.map { "\($0.service): \($0.succeeded), \($0.failed), \($0.unknown)" }
        if !mostFailures.isEmpty {
            lines += ["", "Most failures:"]
            lines += mostFailures.map {
                "\($0.count) of \($0.principal.isEmpty ? "no name" : "'\($0.principal)'") from \($0.address)"
            }
        }
        let found = incidents == 1 ? "1 incident" : "\(incidents) incidents"
        let (from, until) = (time.lowerBound.rfc3339, time.upperBound.rfc3339)
        lines += [
            "", incidents == 0 ? "No guessing was found." : "Guessing was found: \(found).",
            "Each login: `cloudwright audit report --from \(from) --until \(until)`",
        ]
        return lines.joined(separator: "\n")
    }

    private static func day(_ time: Timestamp) -> String { String(time.rfc3339.prefix(10)) }
}

extension AuditSettings.ReportPeriod {
    /// The last whole day, week from Monday, or month of UTC that is over.
    public func lastTime(before now: Timestamp) -> Range<Timestamp> {
        let (days, rest) = now.microseconds.quotientAndRemainder(dividingBy: 86_400_000_000)
        let today = rest < 0 ? days - 1 : days
        func midnight(_ day: Int64) -> Timestamp { Timestamp(microseconds: day * 86_400_000_000) }
        switch self {
        case .daily: return midnight(today - 1)..<midnight(today)
        case .weekly:
            // The first day of the epoch was a Thursday.
            let monday = today - ((today + 3) % 7 + 7) % 7
            return midnight(monday - 7)..<midnight(monday)
        case .monthly:
            let (year, month, _) = Timestamp.civilDate(daysSinceEpoch: today)
            let end = Timestamp.daysSinceEpoch(year: year, month: month, day: 1)
            let begin = Timestamp.daysSinceEpoch(
                year: month == 1 ? year - 1 : year, month: month == 1 ? 12 : month - 1, day: 1)
            return midnight(begin)..<midnight(end)
        }
    }
}

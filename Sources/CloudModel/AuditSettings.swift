/// What is made of logins, failed ones above all.
public struct AuditSettings: Codable, Hashable, Sendable {
    /// Failures within the window, from one address or of one principal, that the administrators are told of.
    public var alarmFailures: Int
    public var alarmWindow: TimeSpan
    /// Wrong passwords in a row that lock an administrator out at the address that they came from; nil: nobody is.
    public var lockoutFailures: Int?
    public var lockoutDuration: TimeSpan
    /// How often the administrators are sent a report of the logins; nil: never.
    public var report: ReportPeriod?
    /// Who else is sent each login.
    public var forward: [AuditForwarding]

    /// What one report is about, in UTC; it is sent once the time is over.
    public enum ReportPeriod: String, Codable, Hashable, Sendable, CaseIterable {
        case daily
        /// From Monday to Sunday (ISO 8601).
        case weekly
        case monthly
    }

    /// The window and the lockout are fail2ban's usual ones (10 minutes; 5 failures, for 10 minutes).
    public init(
        alarmFailures: Int = 10, alarmWindow: TimeSpan = .minutes(10), lockoutFailures: Int? = nil,
        lockoutDuration: TimeSpan = .minutes(10), report: ReportPeriod? = nil,
        forward: [AuditForwarding] = []
    ) {
        self.alarmFailures = alarmFailures
        self.alarmWindow = alarmWindow
        self.lockoutFailures = lockoutFailures
        self.lockoutDuration = lockoutDuration
        self.report = report
        self.forward = forward
    }
}

extension AuditSettings {
    func check(_ collector: inout FaultCollector) {
        collector.check(alarmFailures, in: 2...1_000, "spec.audit.alarmFailures")
        collector.check(alarmWindow, in: .seconds(1)...(.hours(24)), "spec.audit.alarmWindow")
        // NIST SP 800-63B, section 5.2.2: no more than 100 in a row.
        collector.check(lockoutFailures, in: 2...100, "spec.audit.lockoutFailures")
        collector.check(lockoutDuration, in: .seconds(1)...(.hours(24)), "spec.audit.lockoutDuration")
        collector.require(
            forward.count <= 8, "spec.audit.forward", "\(forward.count) receivers are too many", "name at most 8")
        for (index, forwarding) in forward.enumerated() {
            forwarding.check(&collector, "spec.audit.forward[\(index)]")
            collector.require(
                !forward[..<index].contains { $0.name == forwarding.name }, "spec.audit.forward[\(index)].name",
                "two receivers are named '\(forwarding.name)'", "give each a name of its own")
        }
    }
}

/// What is made of failed logins.
public struct AuditSettings: Codable, Hashable, Sendable {
    /// Failures within the window, from one address or of one principal, that the administrators are told of.
    public var alarmFailures: Int
    public var alarmWindow: TimeSpan
    /// Wrong passwords in a row that lock an administrator out at the address that they came from; nil: nobody is.
    public var lockoutFailures: Int?
    public var lockoutDuration: TimeSpan

    /// The window and the lockout are fail2ban's usual ones (10 minutes; 5 failures, for 10 minutes).
    public init(
        alarmFailures: Int = 10, alarmWindow: TimeSpan = .minutes(10), lockoutFailures: Int? = nil,
        lockoutDuration: TimeSpan = .minutes(10)
    ) {
        self.alarmFailures = alarmFailures
        self.alarmWindow = alarmWindow
        self.lockoutFailures = lockoutFailures
        self.lockoutDuration = lockoutDuration
    }
}

extension AuditSettings {
    func check(_ collector: inout FaultCollector) {
        collector.check(alarmFailures, in: 2...1_000, "spec.audit.alarmFailures")
        collector.check(alarmWindow, in: .seconds(1)...(.hours(24)), "spec.audit.alarmWindow")
        // NIST SP 800-63B, section 5.2.2: no more than 100 in a row.
        collector.check(lockoutFailures, in: 2...100, "spec.audit.lockoutFailures")
        collector.check(lockoutDuration, in: .seconds(1)...(.hours(24)), "spec.audit.lockoutDuration")
    }
}

extension API {
    /// What an administrator may do.
    public enum Role: String, WireEnumeration {
        case administrator
        case `operator`
        case auditor
        case consumer
        case reporter
    }

    /// Whether a service asks its callers for an API key.
    public enum Access: String, WireEnumeration {
        case required
        case anonymous
    }

    /// How a service is, all in all.
    public enum ServiceCondition: String, WireEnumeration {
        case up
        case degraded
        case starting
        case down
    }

    /// What a service's instances are made of.
    public enum InstanceSource: String, WireEnumeration {
        case process
        case virtualServer = "virtual-server"
        case endpoints
    }

    /// A workload constraint that can be changed on its own.
    public enum ConstraintKind: String, WireEnumeration {
        case maximumInstances = "maximum-instances"
        case concurrentRequestsPerInstance = "concurrent-requests-per-instance"
        case activeConsumersPerInstance = "active-consumers-per-instance"
        case concurrentRequestsPerConsumer = "concurrent-requests-per-consumer"
        case requestsPerSecondPerConsumer = "requests-per-second-per-consumer"
    }

    /// Where an instance is in its life.
    public enum InstancePhase: String, WireEnumeration {
        case requested
        case starting
        case running
        case stopping
        case failed
        case removed
    }

    /// What checks and traffic say of an instance.
    public enum OperationalState: String, WireEnumeration {
        case checking
        case up
        case down
    }

    /// What an administrator says of an instance.
    public enum AdministrativeState: String, WireEnumeration {
        case enabled
        case draining
        case maintenance
    }

    /// Whether an instance serves or stands by.
    public enum FailoverRole: String, WireEnumeration {
        case active
        case standby
    }

    /// How redundant implementations stand in for each other.
    public enum FailoverMode: String, WireEnumeration {
        case activeActive = "active-active"
        case activePassive = "active-passive"
    }

    /// How soon standbys can take over.
    public enum StandbyReadiness: String, WireEnumeration {
        case cold
        case warm
        case hot
    }

    /// How far an operation is.
    public enum OperationState: String, WireEnumeration {
        case running
        case succeeded
        case failed
    }

    /// A mechanism whose runs are recorded step by step.
    public enum Mechanism: String, WireEnumeration {
        case automatedScalingListener = "automated-scaling-listener"
        case payPerUseResourceAgent = "pay-per-use-resource-agent"
        case payPerUseMonitoringAgent = "pay-per-use-monitoring-agent"
        case auditMonitor = "audit-monitor"
        case failoverActiveActive = "failover-active-active"
        case failoverActivePassive = "failover-active-passive"
        case liveMigration = "live-migration"
    }

    /// How much a notification matters.
    public enum Severity: String, WireEnumeration {
        case info
        case warning
        case critical
    }

    /// How a request ended.
    public enum RequestOutcome: String, WireEnumeration {
        case completed
        case abortedByConsumer = "aborted-by-consumer"
        case abortedByInstance = "aborted-by-instance"
        case failed
        case rejected
        case tunnel
        case tunnelContinued = "tunnel-continued"
    }

    /// How a login ended; unknown where the authentication service did not answer.
    public enum LoginOutcome: String, WireEnumeration {
        case success
        case failure
        case unknown
    }

    /// What logins are exported as.
    public enum AuditFormat: String, WireEnumeration {
        case ocsf
        case cef
        case syslog
    }

    /// What was presented at a login.
    public enum CredentialKind: String, WireEnumeration {
        case password
        case basic = "http-basic"
        case apiKey = "api-key"
        case token
        case none
        case totp
    }

    /// Whether the figures of both agents fit each other.
    public enum UsageFinding: String, WireEnumeration {
        case consistent
        case unused
        case servedWithoutRunning = "served-without-running"
        case inferred
        case unwatched
    }

    /// What does not fit in the events of an instance's life.
    public enum UsageAnomalyKind: String, WireEnumeration {
        case lostStart = "lost-start"
        case lostStop = "lost-stop"
        case corrected
        case outsideOfLife = "outside-of-life"
        case contradiction
    }

    /// What happens to a resource when a configuration is applied.
    public enum ChangeKind: String, WireEnumeration {
        case created
        case changed
        case removed
    }
}

import AuditMonitor
import CloudModel
import CloudPorts
import ControlPlane
import Logging
import Notifications

/// One agent for each system that is sent the logins.
struct AuditForwarders: Sendable {
    private let agents: [AuditForwarder]

    init(_ settings: PlatformSettings, database: any LogDatabase, clock: PlatformClock, logger: Logger) {
        agents = settings.audit.forward.compactMap { forwarding in
            let format: AuditExport
            let receiver: any LogReceiver
            switch forwarding.target {
            case .webhook(let url, let tokenFile):
                format = .ocsf
                receiver = WebhookReceiver(url: url, tokenFile: tokenFile)
            case .syslog(let server, let tls):
                format = .syslog
                // The configuration was checked.
                guard let (host, port) = AuditForwarding.server(server) else { return nil }
                receiver = SyslogReceiver(host: host, port: port, tls: tls)
            }
            return AuditForwarder(
                database: database, name: forwarding.name, batch: forwarding.batch, format: format,
                receiver: receiver, version: Cloudwright.configuration.version, now: { clock.now() }, logger: logger)
        }
    }

    /// `ok`, or what is wrong with the first one that does not forward.
    var health: String { agents.lazy.map(\.health).first { $0 != "ok" } ?? "ok" }

    func run() async {
        await withTaskGroup(of: Void.self) { group in
            for agent in agents { group.addTask { await agent.run() } }
        }
    }
}

/// What is made of the logins beside their storage: alarms, reports, and the other systems that are sent them.
struct AuditAgents: Sendable {
    private let watch: AuditWatch
    private let reporter: LoginReporter
    private let forwarders: AuditForwarders

    init(_ settings: PlatformSettings, database: any LogDatabase, clock: PlatformClock, logger: Logger) {
        watch = AuditWatch(
            database: database,
            settings: BruteForceDetector.Settings(
                failures: settings.audit.alarmFailures, window: settings.audit.alarmWindow),
            now: { clock.now() }, logger: logger)
        reporter = LoginReporter(
            database: database, period: settings.audit.report, now: { clock.now() }, logger: logger)
        forwarders = AuditForwarders(settings, database: database, clock: clock, logger: logger)
    }

    var health: [String: String] {
        ["audit-watch": watch.health, "login-reports": reporter.health, "audit-forward": forwarders.health]
    }

    func run() async {
        async let watching: Void = watch.run()
        async let reporting: Void = reporter.run()
        async let forwarding: Void = forwarders.run()
        _ = await (watching, reporting, forwarding)
    }
}

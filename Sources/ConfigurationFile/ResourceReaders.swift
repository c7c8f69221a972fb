import CloudModel
import Yams

/// Reads the `spec` of a `Cloud`.
struct CloudReader {
    let name: String
    let spec: SectionReader

    func settings() -> PlatformSettings {
        let defaults = PlatformSettings(name: name)
        let gateway = spec.subsection("gateway", ConfigurationSchema.gateway)
        let administration = spec.subsection("administration", ConfigurationSchema.administration)
        return PlatformSettings(
            name: name, dataDirectory: spec.text("dataDirectory") ?? defaults.dataDirectory,
            gateway: GatewaySettings(
                listeners: gateway.flatMap { ListenerReader(section: $0).listeners() } ?? defaults.gateway.listeners,
                loops: gateway?.integer("loops"),
                http2Streams: gateway?.integer("http2Streams") ?? defaults.gateway.http2Streams,
                accessLog: gateway.flatMap(accessLog)),
            administration: administration?.endpoint("address") ?? defaults.administration, mailRelay: mailRelay(),
            instanceLease: spec.duration("instanceLease") ?? defaults.instanceLease,
            witnessFile: spec.text("witnessFile"), audit: audit(), logDatabase: logDatabase(),
            imageDirectory: spec.text("imageDirectory"),
            traces: spec.subsection("telemetry", ConfigurationSchema.telemetry).flatMap(traces))
    }

    private func logDatabase() -> LogDatabaseSettings {
        guard let section = spec.subsection("logDatabase", ConfigurationSchema.logDatabase) else { return .sqlite }
        switch section.choice("kind", LogDatabaseSettings.Kind.self) ?? .sqlite {
        case .sqlite:
            if let stray = section.value("connectionFile") {
                section.context.fault(
                    "a file says nothing of how a server is reached that is not used", at: stray,
                    path: section.pathOf("connectionFile"), remedy: "write kind: postgres, or leave connectionFile out")
            }
            return .sqlite
        case .postgres:
            let file = section.requiredText(
                "connectionFile", remedy: "name the file with the connection string: /etc/cloudwright/postgres")
            return .postgres(
                connectionFile: file ?? "/", lease: section.duration("lease") ?? LogDatabaseSettings.usualLease)
        }
    }

    private func traces(_ telemetry: SectionReader) -> TraceSettings? {
        guard let section = telemetry.subsection("traces", ConfigurationSchema.traces),
            let endpoint = section.requiredText(
                "endpoint", remedy: "name the collector: endpoint: http://127.0.0.1:4318")
        else { return nil }
        return TraceSettings(
            endpoint: endpoint, headersFile: section.text("headersFile"),
            ratio: section.decimal("ratio") ?? TraceSettings.usualRatio)
    }

    private func audit() -> AuditSettings {
        let usual = AuditSettings()
        guard let section = spec.subsection("audit", ConfigurationSchema.audit) else { return usual }
        return AuditSettings(
            alarmFailures: section.integer("alarmFailures") ?? usual.alarmFailures,
            alarmWindow: section.duration("alarmWindow") ?? usual.alarmWindow,
            lockoutFailures: section.integer("lockoutFailures"),
            lockoutDuration: section.duration("lockoutDuration") ?? usual.lockoutDuration,
            report: section.choice("report", AuditSettings.ReportPeriod.self),
            forward: section.items("forward")?.compactMap { forwarding($0.node, path: $0.path) } ?? [])
    }

    private func forwarding(_ node: Node, path: String) -> AuditForwarding? {
        guard
            let section = SectionReader(
                node, ConfigurationSchema.auditForwarding, path: path, context: spec.context),
            let name = section.requiredText("name", remedy: "name the receiver: name: siem")
        else { return nil }
        let batch = section.integer("batch") ?? AuditForwarding.usualBatch
        let tls = section.subsection("tls", ConfigurationSchema.syslogTLS)
        if tls != nil, section.has("webhook") {
            spec.context.fault(
                "\(path).tls is for syslog", at: node, path: "\(path).tls",
                remedy: "leave it out; a webhook is posted to over TLS where its URL begins with https:")
        }
        switch (section.has("syslog"), section.has("webhook")) {
        case (true, false):
            return section.text("syslog").map {
                AuditForwarding(
                    name: name,
                    target: .syslog(server: $0, tls: tls.map(AuditForwarding.SyslogTLS.init(reading:))), batch: batch)
            }
        case (false, true):
            guard let webhook = section.subsection("webhook", ConfigurationSchema.auditWebhook),
                let url = webhook.requiredText("url", remedy: "say where to post to: url: https://example.org/ocsf")
            else { return nil }
            return AuditForwarding(
                name: name, target: .webhook(url: url, tokenFile: webhook.text("tokenFile")), batch: batch)
        default:
            spec.context.fault(
                "\(path) names not one receiver", at: node, path: path,
                remedy: "write syslog: host:port, or webhook: {url: ...}")
            return nil
        }
    }

    func channels() -> [NotificationChannel] { ChannelReader(spec: spec).channels("notifications") ?? [.log] }

    func rebalancing() -> RebalancingSettings {
        let usual = RebalancingSettings()
        guard let section = spec.subsection("rebalancing", ConfigurationSchema.rebalancing) else { return usual }
        return RebalancingSettings(
            automation: section.choice("automation", RebalancingSettings.Automation.self) ?? usual.automation,
            interval: section.duration("interval") ?? usual.interval,
            imbalancePercent: section.integer("imbalancePercent") ?? usual.imbalancePercent,
            cooldown: section.duration("cooldown") ?? usual.cooldown,
            migrationsPerHost: section.integer("migrationsPerHost") ?? usual.migrationsPerHost,
            migrationsPerCluster: section.integer("migrationsPerCluster") ?? usual.migrationsPerCluster)
    }

    private func accessLog(_ gateway: SectionReader) -> AccessLogSettings? {
        guard let section = gateway.subsection("accessLog", ConfigurationSchema.accessLog),
            let target = section.requiredText("target", remedy: "say where to write: target: stdout, or a file's path")
        else { return nil }
        return AccessLogSettings(
            target: AccessLogSettings.Target(text: target),
            format: section.choice("format", AccessLogSettings.Format.self) ?? .json)
    }

    private func mailRelay() -> MailRelay? {
        guard let section = spec.subsection("smtp", ConfigurationSchema.smtp) else { return nil }
        let defaults = MailRelay(host: "", from: "")
        let host = section.requiredText("host", remedy: "name the relay: host: mail.example.org")
        let from = section.requiredText("from", remedy: "give the sender: from: cloud@example.org")
        guard let host, let from else { return nil }
        return MailRelay(
            host: host, port: section.port("port") ?? defaults.port,
            encryption: section.choice("encryption", MailRelay.Encryption.self) ?? defaults.encryption,
            user: section.text("user"), passwordFile: section.text("passwordFile"), from: from)
    }
}

struct ChannelReader {
    let spec: SectionReader

    private static let remedy = "write - log, or - webhook: {url: ...}, or - email: address"

    func channels(_ key: String) -> [NotificationChannel]? {
        spec.items(key)?.compactMap { channel($0.node, path: $0.path) }
    }

    private func channel(_ node: Node, path: String) -> NotificationChannel? {
        if case .scalar(let scalar) = node, scalar.string == "log" { return .log }
        guard let section = SectionReader(node, ConfigurationSchema.channel, path: path, context: spec.context) else {
            return nil
        }
        switch (section.has("webhook"), section.has("email"), section.has("log")) {
        case (true, false, false):
            guard let webhook = section.subsection("webhook", ConfigurationSchema.webhook) else { return nil }
            return webhook.requiredText("url", remedy: "say where to post to: url: https://example.org/hook")
                .map { .webhook(url: $0, secretFile: webhook.text("secretFile")) }
        case (false, true, false): return section.text("email").map { .email(address: $0) }
        default:
            spec.context.fault("\(path) is not one channel", at: node, path: path, remedy: Self.remedy)
            return nil
        }
    }
}

/// Reads the `spec` of a `CloudConsumer`.
struct ConsumerReader {
    let name: ConsumerID
    let spec: SectionReader

    func read() -> CloudConsumer {
        CloudConsumer(
            id: name, displayName: spec.text("displayName") ?? "",
            contacts: ChannelReader(spec: spec).channels("contacts") ?? [],
            entitlements: spec.texts("entitlements")?.map { ServiceID($0) }, credentials: credentials(),
            pricePlan: spec.text("pricePlan").map { PricePlanID($0) }, budget: budget(), quota: quota())
    }

    private func budget() -> Budget? {
        guard let section = spec.subsection("budget", ConfigurationSchema.budget) else { return nil }
        guard let amount = section.requiredDecimal("amount", remedy: "say how much: amount: 100.00") else { return nil }
        return Budget(
            amount: amount,
            thresholds: section.texts("thresholds").map { $0.map { Int($0) ?? 0 } } ?? Budget.usualThresholds)
    }

    private func quota() -> MonthlyQuota? {
        guard let section = spec.subsection("quota", ConfigurationSchema.quota) else { return nil }
        return MonthlyQuota(
            requests: section.integer("requests").map { Int64($0) }, amount: section.decimal("amount"))
    }

    private func credentials() -> [APICredential] {
        (spec.items("credentials") ?? []).compactMap { node, path in
            SectionReader(node, ConfigurationSchema.credential, path: path, context: spec.context).flatMap(credential)
        }
    }

    private func credential(_ section: SectionReader) -> APICredential? {
        let id = section.requiredText("id", remedy: "name the credential: id: ci-2026")
        let prefix = section.requiredText("prefix", remedy: "give the key's first characters: prefix: cw_3k9d0w2m")
        let digest = section.requiredText(
            "digest", remedy: "give the key's SHA-256: printf %s \"$KEY\" | sha256sum; never the key itself")
        guard let id, let prefix, let digest else { return nil }
        return APICredential(
            id: CredentialID(id), kind: section.choice("kind", APICredential.Kind.self) ?? .apiKey, prefix: prefix,
            digest: digest.lowercased(), expiresAt: section.time("expiresAt"),
            revoked: section.boolean("revoked") ?? false)
    }
}

/// Reads the `spec` of a `FailoverGroup`.
struct FailoverGroupReader {
    let name: FailoverGroupID
    let spec: SectionReader

    func read() -> FailoverGroup? {
        let service = spec.requiredText("service", remedy: "name the service that the group keeps available")
        _ = spec.requiredValue("mode", remedy: "write active-active or active-passive")
        guard let service, let mode = spec.choice("mode", FailoverGroup.Mode.self) else { return nil }
        let defaults = FailoverGroup(id: name, service: ServiceID(service), mode: mode)
        return FailoverGroup(
            id: name, service: ServiceID(service), mode: mode, standbys: spec.integer("standbys") ?? defaults.standbys,
            standbyReadiness: spec.choice("standbyReadiness", FailoverGroup.StandbyReadiness.self)
                ?? defaults.standbyReadiness,
            recoveryAttempts: spec.integer("recoveryAttempts") ?? defaults.recoveryAttempts)
    }
}

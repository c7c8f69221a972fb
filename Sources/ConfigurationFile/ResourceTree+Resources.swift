import CloudModel

extension ResourceTree {
    static func spec(
        of settings: PlatformSettings, channels: [NotificationChannel], _ rebalancing: RebalancingSettings
    ) -> ResourceTree {
        let usual = PlatformSettings(name: settings.name)
        var spec = MappingBuilder()
        spec.add("dataDirectory", settings.dataDirectory, default: usual.dataDirectory) { .text($0) }
        spec.add("gateway") { gateway in
            gateway.add("listeners", settings.gateway.listeners, default: usual.gateway.listeners) { listeners in
                .list(listeners.map(listener))
            }
            gateway.add("loops", number: settings.gateway.loops)
            gateway.add("http2Streams", settings.gateway.http2Streams, default: usual.gateway.http2Streams)
            if let log = settings.gateway.accessLog {
                gateway.add("accessLog") { accessLog in
                    accessLog.add("target", text: log.target.description)
                    accessLog.add("format", log.format, default: .json)
                }
            }
        }
        spec.add("administration") { administration in
            administration.add("address", settings.administration, default: usual.administration) {
                .text($0.description)
            }
        }
        if let relay = settings.mailRelay { spec.add("smtp") { add(relay, to: &$0) } }
        spec.add("notifications", channels, default: [.log]) { .list($0.map(channel)) }
        spec.add("rebalancing") { add(rebalancing, to: &$0) }
        spec.add("instanceLease", settings.instanceLease, default: usual.instanceLease)
        spec.add("witnessFile", text: settings.witnessFile)
        spec.add("imageDirectory", text: settings.imageDirectory)
        if case .postgres(let connectionFile, let lease) = settings.logDatabase {
            spec.add("logDatabase") { database in
                database.add("kind", text: settings.logDatabase.kind.rawValue)
                database.add("connectionFile", text: connectionFile)
                database.add("lease", lease, default: LogDatabaseSettings.usualLease)
            }
        }
        if let traces = settings.traces {
            spec.add("telemetry") { telemetry in
                telemetry.add("traces") { section in
                    section.add("endpoint", text: traces.endpoint)
                    section.add("headersFile", text: traces.headersFile)
                    section.add("ratio", traces.ratio, default: TraceSettings.usualRatio) { .plain($0.description) }
                }
            }
        }
        spec.add("audit") { audit in
            audit.add("alarmFailures", settings.audit.alarmFailures, default: usual.audit.alarmFailures)
            audit.add("alarmWindow", settings.audit.alarmWindow, default: usual.audit.alarmWindow)
            audit.add("lockoutFailures", number: settings.audit.lockoutFailures)
            audit.add("lockoutDuration", settings.audit.lockoutDuration, default: usual.audit.lockoutDuration)
            audit.add("report", text: settings.audit.report?.rawValue)
            audit.add("forward", list: settings.audit.forward.map(forwarding))
        }
        return spec.tree
    }

    private static func forwarding(_ forwarding: AuditForwarding) -> ResourceTree {
        var builder = MappingBuilder()
        builder.add("name", text: forwarding.name)
        switch forwarding.target {
        case .syslog(let server, let tls):
            builder.add("syslog", text: server)
            // Also where nothing is in it: without the key there is no TLS.
            builder.add("tls", tls.map(syslogTLS))
        case .webhook(let url, let tokenFile):
            builder.add("webhook") { webhook in
                webhook.add("url", text: url)
                webhook.add("tokenFile", text: tokenFile)
            }
        }
        builder.add("batch", forwarding.batch, default: AuditForwarding.usualBatch)
        return builder.tree
    }

    static func listener(_ listener: GatewayListener) -> ResourceTree {
        if listener == GatewayListener(listener.endpoint) { return .text(listener.endpoint.description) }
        var builder = MappingBuilder()
        builder.add("address", text: listener.endpoint.description)
        if let tls = listener.tls { builder.add("tls") { add(tls, to: &$0) } }
        if !listener.proxyProtocolFrom.isEmpty {
            builder.add("proxyProtocolFrom", .list(listener.proxyProtocolFrom.map { .text($0) }))
        }
        return builder.tree
    }

    private static func add(_ tls: ListenerTLS, to mapping: inout MappingBuilder) {
        mapping.add("certificates", list: tls.certificates.map(certificate))
        mapping.add("minimumVersion", tls.minimumVersion, default: .v12) { .text($0.rawValue) }
        if let clients = tls.clientCertificates {
            mapping.add("clientCertificates") { mapping in
                mapping.add("authorityFile", text: clients.authorityFile)
                mapping.add("optional", clients.isOptional, default: false) { .plain($0 ? "true" : "false") }
            }
        }
    }

    private static func certificate(_ files: CertificateFiles) -> ResourceTree {
        var builder = MappingBuilder()
        builder.add("certificateFile", text: files.certificateFile)
        builder.add("keyFile", text: files.keyFile)
        return builder.tree
    }

    private static func add(_ tls: InstanceTLS, to mapping: inout MappingBuilder) {
        mapping.add("serverName", text: tls.serverName)
        mapping.add("authorityFile", text: tls.authorityFile)
        mapping.add("certificate", tls.certificate.map(certificate))
    }

    private static func syslogTLS(_ tls: AuditForwarding.SyslogTLS) -> ResourceTree {
        var builder = MappingBuilder()
        builder.add("serverName", text: tls.serverName)
        builder.add("authorityFile", text: tls.authorityFile)
        builder.add("certificate", tls.certificate.map(certificate))
        return builder.tree
    }

    private static func add(_ relay: MailRelay, to smtp: inout MappingBuilder) {
        let usual = MailRelay(host: relay.host, from: relay.from)
        smtp.add("host", text: relay.host)
        smtp.add("port", Int(relay.port), default: Int(usual.port))
        smtp.add("encryption", relay.encryption, default: usual.encryption)
        smtp.add("user", text: relay.user)
        smtp.add("passwordFile", text: relay.passwordFile)
        smtp.add("from", text: relay.from)
    }

    private static func channel(_ channel: NotificationChannel) -> ResourceTree {
        var builder = MappingBuilder()
        switch channel {
        case .log: return .plain("log")
        case .email(let address): builder.add("email", text: address)
        case .webhook(let url, let secretFile):
            builder.add("webhook") { webhook in
                webhook.add("url", text: url)
                webhook.add("secretFile", text: secretFile)
            }
        }
        return builder.tree
    }

    static func spec(of consumer: CloudConsumer) -> ResourceTree {
        var spec = MappingBuilder()
        spec.add("displayName", text: consumer.displayName.isEmpty ? nil : consumer.displayName)
        spec.add("contacts", list: consumer.contacts.map(channel))
        spec.add("entitlements", consumer.entitlements.map { .list($0.map { .text($0.rawValue) }) })
        spec.add("credentials", list: consumer.credentials.map(credential))
        spec.add("pricePlan", text: consumer.pricePlan?.rawValue)
        if let budget = consumer.budget {
            spec.add("budget") { mapping in
                mapping.add("amount", .plain(budget.amount.description))
                mapping.add("thresholds", budget.thresholds, default: Budget.usualThresholds) { thresholds in
                    .list(thresholds.map { .plain("\($0)") })
                }
            }
        }
        if let quota = consumer.quota {
            spec.add("quota") { mapping in
                mapping.add("requests", quota.requests.map { .plain("\($0)") })
                mapping.add("amount", quota.amount.map { .plain($0.description) })
            }
        }
        return spec.tree
    }

    private static func credential(_ credential: APICredential) -> ResourceTree {
        var builder = MappingBuilder()
        builder.add("id", text: credential.id.rawValue)
        if credential.kind != .apiKey { builder.add("kind", .plain(credential.kind.rawValue)) }
        builder.add("prefix", text: credential.prefix)
        builder.add("digest", text: credential.digest)
        builder.add("expiresAt", text: credential.expiresAt?.rfc3339)
        builder.add("revoked", credential.revoked, default: false) { .plain($0 ? "true" : "false") }
        return builder.tree
    }

    static func spec(of group: FailoverGroup) -> ResourceTree {
        let usual = FailoverGroup(id: group.id, service: group.service, mode: group.mode)
        var spec = MappingBuilder()
        spec.add("service", text: group.service.rawValue)
        spec.add("mode", .plain(group.mode.rawValue))
        spec.add("standbys", group.standbys, default: usual.standbys)
        spec.add("standbyReadiness", group.standbyReadiness, default: usual.standbyReadiness)
        spec.add("recoveryAttempts", group.recoveryAttempts, default: usual.recoveryAttempts)
        return spec.tree
    }
}

// MARK: Services

extension ResourceTree {
    static func spec(of service: CloudService) -> ResourceTree {
        var spec = MappingBuilder()
        spec.add("owner", text: service.owner?.rawValue)
        spec.add("routes", list: service.routes.map(route))
        if let tcp = service.tcp { spec.add("tcp") { add(tcp, to: &$0) } }
        spec.add("access", service.access, default: .required)
        var usual = WorkloadConstraints()
        switch service.instances {
        case .process(let template): spec.add("process") { add(template, to: &$0) }
        case .virtualServer(let template): spec.add("virtualServer") { add(template, to: &$0) }
        case .endpoints(let endpoints):
            spec.add("endpoints", .list(endpoints.map { .text($0.description) }))
            usual.maximumInstances = max(1, endpoints.count)
        }
        spec.add("constraints") { add(service.constraints, usual, to: &$0) }
        spec.add("scaling") { add(service.scaling, to: &$0) }
        spec.add("healthCheck") { add(service.healthCheck, to: &$0) }
        spec.add("loadBalancing") { add(service.loadBalancing, to: &$0) }
        spec.add("restart") { add(service.restart, to: &$0) }
        spec.add("loginRules", list: service.loginRules.map(loginRule))
        spec.add("requests") { add(service.gateway, to: &$0) }
        return spec.tree
    }

    private static func add(_ tcp: TCPSettings, to mapping: inout MappingBuilder) {
        mapping.add("listen", listener(tcp.listener))
        mapping.add(
            "sources",
            list: tcp.sources.map { source in
                var builder = MappingBuilder()
                builder.add("network", text: source.network)
                builder.add("consumer", text: source.consumer.rawValue)
                return builder.tree
            })
        mapping.add(
            "recordInterval", tcp.recordInterval, default: TCPSettings(listener: tcp.listener).recordInterval)
    }

    private static func route(_ route: Route) -> ResourceTree {
        var builder = MappingBuilder()
        builder.add("host", text: route.host)
        builder.add("path", text: route.pathPrefix)
        return builder.tree
    }

    private static func add(_ template: ProcessTemplate, to process: inout MappingBuilder) {
        let usual = ProcessTemplate(command: [])
        process.add("command", .list(template.command.map { .text($0) }))
        process.add("environment") { environment in
            for name in template.environment.keys.sorted() {
                environment.add(name, text: template.environment[name])
            }
        }
        process.add("workingDirectory", text: template.workingDirectory)
        process.add("outputLimit", template.outputLimit, default: usual.outputLimit) { .plain($0.text) }
        process.add("stopGrace", template.stopGrace, default: usual.stopGrace)
        process.add("limits") { limits in
            limits.add("cpuMillicores", number: template.limits.cpuMillicores)
            limits.add("memory", size: template.limits.memory)
        }
    }

    private static func add(
        _ constraints: WorkloadConstraints, _ usual: WorkloadConstraints, to mapping: inout MappingBuilder
    ) {
        mapping.add("minimumInstances", constraints.minimumInstances, default: usual.minimumInstances)
        mapping.add("maximumInstances", constraints.maximumInstances, default: usual.maximumInstances)
        mapping.add("concurrentRequestsPerInstance", number: constraints.concurrentRequestsPerInstance)
        mapping.add("activeConsumersPerInstance", number: constraints.activeConsumersPerInstance)
        mapping.add("consumerHold", constraints.consumerHold, default: usual.consumerHold)
        mapping.add("concurrentRequestsPerConsumer", number: constraints.concurrentRequestsPerConsumer)
        mapping.add("requestsPerSecondPerConsumer", number: constraints.requestsPerSecondPerConsumer)
        mapping.add("burstPerConsumer", number: constraints.burstPerConsumer)
        mapping.add("queueLength", constraints.queueLength, default: usual.queueLength)
        mapping.add("queueTimeout", constraints.queueTimeout, default: usual.queueTimeout)
        mapping.add("maximumWait", constraints.maximumWait, default: usual.maximumWait)
    }

    private static func add(_ scaling: ScalingSettings, to mapping: inout MappingBuilder) {
        let usual = ScalingSettings()
        mapping.add(
            "targetUtilisationPercent", scaling.targetUtilisationPercent, default: usual.targetUtilisationPercent)
        mapping.add("targetConcurrency", number: scaling.targetConcurrency)
        mapping.add("scaleOutCooldown", scaling.scaleOutCooldown, default: usual.scaleOutCooldown)
        mapping.add("scaleInStabilisation", scaling.scaleInStabilisation, default: usual.scaleInStabilisation)
        mapping.add("tolerancePercent", scaling.tolerancePercent, default: usual.tolerancePercent)
        if let policy = scaling.policy { mapping.add("policy") { add(policy, to: &$0) } }
        mapping.add("learning", scaling.learns, default: usual.learns) { .plain(String($0)) }
        mapping.add("metrics", list: scaling.metrics.map(tree))
        mapping.add("schedules", list: scaling.schedules.map(tree))
        if let watch = scaling.watch {
            mapping.add("watch") { section in
                section.add("abovePercent", number: watch.abovePercent)
                section.add("belowPercent", number: watch.belowPercent)
                section.add("lasting", watch.lasting, default: ScalingWatch().lasting)
                section.add("limitForecast", watch.limitForecast.map { .plain($0.text) })
            }
        }
        if let pool = scaling.warmPool {
            mapping.add("warmPool") { section in
                section.add("instances", number: pool.instances)
                section.add("parked", pool.parked.map { .plain($0.rawValue) })
            }
        }
        mapping.add("vertical", scaling.vertical, default: usual.vertical) { .plain($0.rawValue) }
        mapping.add("dryRun", scaling.isDryRun, default: usual.isDryRun) { .plain(String($0)) }
    }

    private static func add(_ policy: ScalingPolicySettings, to mapping: inout MappingBuilder) {
        let usual = ScalingPolicySettings(kind: policy.kind)
        mapping.add("kind", ResourceTree.plain(policy.kind.rawValue))
        mapping.add("decisionInterval", policy.decisionInterval, default: usual.decisionInterval)
        mapping.add("startupTime", policy.startupTime, default: usual.startupTime)
        mapping.add("missBudgetPerMille", policy.missBudgetPerMille, default: usual.missBudgetPerMille)
        mapping.add("warmUp", policy.warmUp, default: usual.warmUp)
        guard let behavior = policy.behavior else { return }
        mapping.add("behavior") { section in
            if let rules = behavior.scaleUp { section.add("scaleUp") { add(rules, to: &$0) } }
            if let rules = behavior.scaleDown { section.add("scaleDown") { add(rules, to: &$0) } }
        }
    }

    /// All of them: a direction that is given is no default, even where it says the same.
    private static func add(_ rules: ScalingRules, to mapping: inout MappingBuilder) {
        mapping.add("stabilizationWindowSeconds", number: Int(rules.window.microseconds / 1_000_000))
        mapping.add("selectPolicy", .plain(rules.selection.rawValue))
        mapping.add(
            "policies",
            list: rules.limits.map { limit in
                var builder = MappingBuilder()
                builder.add("type", .plain(limit.kind.rawValue))
                builder.add("value", number: limit.value)
                builder.add("periodSeconds", number: Int(limit.period.microseconds / 1_000_000))
                return builder.tree
            })
    }

    private static func tree(_ metric: ScalingMetric) -> ResourceTree {
        var builder = MappingBuilder()
        if metric.kind != .custom { builder.add("metric", ResourceTree.plain(metric.kind.rawValue)) }
        switch metric.kind {
        case .custom:
            builder.add("name", text: metric.name)
            builder.add("targetPerInstance", number: metric.targetPerInstance)
        case .processor: builder.add("targetPercent", number: metric.targetPerInstance)
        case .latency:
            builder.add("target", .plain(TimeSpan.microseconds(Int64(metric.targetPerInstance)).text))
            builder.add("percentile", metric.percentile, default: ScalingMetric.usualPercentile)
        case .requests, .concurrency, .queueLength:
            builder.add("targetPerInstance", number: metric.targetPerInstance)
        }
        return builder.tree
    }

    private static func tree(_ schedule: ScalingSchedule) -> ResourceTree {
        var builder = MappingBuilder()
        builder.add("days", list: schedule.days.map { .plain($0.rawValue) })
        builder.add("from", text: schedule.from.text)
        builder.add("until", text: schedule.until.text)
        builder.add("minimumInstances", number: schedule.minimumInstances)
        return builder.tree
    }

    private static func add(_ check: HealthCheck, to mapping: inout MappingBuilder) {
        let usual = HealthCheck()
        if case .http(let path, let status) = check.probe {
            mapping.add("http") { http in
                http.add("path", text: path)
                http.add("status", status, default: 200...299) { .plain(ScalarText.text($0)) }
            }
        }
        mapping.add("interval", check.interval, default: usual.interval)
        mapping.add("fastInterval", check.fastInterval, default: usual.fastInterval)
        mapping.add("timeout", check.timeout, default: usual.timeout)
        mapping.add("rise", check.rise, default: usual.rise)
        mapping.add("fall", check.fall, default: usual.fall)
    }

    private static func add(_ settings: LoadBalancingSettings, to mapping: inout MappingBuilder) {
        let usual = LoadBalancingSettings()
        mapping.add("algorithm", settings.algorithm, default: usual.algorithm)
        mapping.add("slowStart", settings.slowStart, default: usual.slowStart)
        mapping.add("drainTimeout", settings.drainTimeout, default: usual.drainTimeout)
    }

    private static func add(_ restart: RestartSettings, to mapping: inout MappingBuilder) {
        let usual = RestartSettings()
        mapping.add("initialBackoff", restart.initialBackoff, default: usual.initialBackoff)
        mapping.add("maximumBackoff", restart.maximumBackoff, default: usual.maximumBackoff)
        mapping.add("startTimeout", restart.startTimeout, default: usual.startTimeout)
        mapping.add("breakerThreshold", restart.breakerThreshold, default: usual.breakerThreshold)
        mapping.add("breakerPause", restart.breakerPause, default: usual.breakerPause)
    }

    private static func add(_ requests: RequestSettings, to mapping: inout MappingBuilder) {
        let usual = RequestSettings()
        mapping.add("connectTimeout", requests.connectTimeout, default: usual.connectTimeout)
        mapping.add("responseTimeout", requests.responseTimeout, default: usual.responseTimeout)
        mapping.add("idleTimeout", requests.idleTimeout, default: usual.idleTimeout)
        mapping.add("tunnelTimeout", requests.tunnelTimeout, default: usual.tunnelTimeout)
        mapping.add("maximumRetries", requests.maximumRetries, default: usual.maximumRetries)
        mapping.add("retryBudgetPercent", requests.retryBudgetPercent, default: usual.retryBudgetPercent)
        mapping.add("maximumBodySize", size: requests.maximumBodySize)
        mapping.add("whenUnmeterable", requests.whenUnmeterable, default: usual.whenUnmeterable)
        mapping.add("accessLogOneIn", number: requests.accessLogOneIn)
        if let tls = requests.tls { mapping.add("tls") { add(tls, to: &$0) } }
        mapping.add("proxyProtocol", requests.proxyProtocol.map { .plain($0.rawValue) })
        if let spoken = requests.instanceProtocol { mapping.add("instanceProtocol", text: spoken.rawValue) }
    }

    private static func loginRule(_ rule: LoginRule) -> ResourceTree {
        var builder = MappingBuilder()
        builder.add("method", rule.method, default: "POST") { .text($0) }
        builder.add("path", text: rule.path)
        switch rule.principal {
        case .basicAuthorization: builder.add("principal", .plain("basic"))
        case .form(let field, let secret):
            builder.add("principal") { $0.add("form") { add(field, secret, to: &$0) } }
        case .json(let field, let secret):
            builder.add("principal") { $0.add("json") { add(field, secret, to: &$0) } }
        }
        builder.add("success") { success in
            switch rule.success {
            case .status(let range):
                success.add("status", range, default: 200...399) { .plain(ScalarText.text($0)) }
            case .header(let name, let value):
                success.add("header") { header in
                    header.add("name", text: name)
                    header.add("value", text: value)
                }
            case .json(let field, let value):
                success.add("json") { json in
                    json.add("field", text: field)
                    json.add("value", text: value)
                }
            }
        }
        builder.add("whenUnauditable", rule.whenUnauditable, default: .spool)
        if let lockout = rule.lockout {
            builder.add("lockout") { section in
                section.add("failures", number: lockout.failures)
                section.add("duration", lockout.duration, default: LoginRule.Lockout.usualDuration)
            }
        }
        return builder.tree
    }

    private static func add(_ field: String, _ secret: String?, to mapping: inout MappingBuilder) {
        mapping.add("field", text: field)
        mapping.add("secret", text: secret)
    }
}

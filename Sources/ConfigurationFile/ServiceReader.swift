import CloudModel
import Yams

/// Reads the `spec` of a `CloudService`.
struct ServiceReader {
    let name: ServiceID
    let spec: SectionReader

    func read() -> CloudService {
        let instances = instanceSource()
        return CloudService(
            id: name, owner: spec.text("owner").map { ConsumerID($0) }, routes: routes(),
            access: spec.choice("access", ConsumerAccess.self) ?? .required, instances: instances,
            constraints: constraints(instances), scaling: ScalingReader(spec: spec).settings(),
            healthCheck: healthCheck(),
            loadBalancing: loadBalancing(), restart: restart(), loginRules: loginRules(), gateway: requests(),
            tcp: tcp())
    }

    private func tcp() -> TCPSettings? {
        guard let section = spec.subsection("tcp", ConfigurationSchema.tcp),
            section.requiredValue("listen", remedy: "say where consumers connect: listen: 0.0.0.0:5432") != nil,
            let listener = ListenerReader(section: section).listener("listen")
        else { return nil }
        let sources = (section.items("sources") ?? []).compactMap { node, path -> TCPSource? in
            guard
                let source = SectionReader(
                    node, ConfigurationSchema.tcpSource, path: path, context: section.context),
                let network = source.requiredText("network", remedy: "say from where: network: 10.0.0.0/8"),
                let consumer = source.requiredText("consumer", remedy: "name a CloudConsumer: consumer: acme")
            else { return nil }
            return TCPSource(network: network, consumer: ConsumerID(consumer))
        }
        let usual = TCPSettings(listener: listener)
        return TCPSettings(
            listener: listener, sources: sources,
            recordInterval: section.duration("recordInterval") ?? usual.recordInterval)
    }

    private func routes() -> [Route] {
        if spec.has("tcp"), !spec.has("routes") { return [] }
        guard spec.requiredValue("routes", remedy: "say which requests are for the service: routes: [{path: /}]") != nil
        else { return [] }
        return (spec.items("routes") ?? []).compactMap { node, path in
            guard let section = SectionReader(node, ConfigurationSchema.route, path: path, context: spec.context) else {
                return nil
            }
            // Names are case-insensitive (RFC 4343); the model has them in lower case.
            return Route(host: section.text("host")?.lowercased(), pathPrefix: section.text("path") ?? "/")
        }
    }

    private func instanceSource() -> InstanceSource {
        let given = ["process", "virtualServer", "endpoints"].filter(spec.has)
        if given.count > 1, let second = spec.value(given[1]) {
            spec.context.fault(
                "the service has both '\(given[0])' and '\(given[1])'", at: second, path: spec.pathOf(given[1]),
                remedy: "keep the one that its instances are")
        }
        if let process = spec.subsection("process", ConfigurationSchema.process) {
            return .process(processTemplate(process))
        }
        if let section = spec.subsection("virtualServer", ConfigurationSchema.virtualServer) {
            return .virtualServer(VirtualServerReader(section: section).read())
        }
        if given.isEmpty {
            spec.context.fault(
                "the service has neither 'process' nor 'virtualServer' nor 'endpoints'", at: spec.node,
                path: spec.pathOf("endpoints"),
                remedy: "say what its instances are: process: {command: [...]}, or endpoints: [...]")
        }
        return .endpoints(spec.endpoints("endpoints") ?? [])
    }

    private func processTemplate(_ section: SectionReader) -> ProcessTemplate {
        let defaults = ProcessTemplate(command: [])
        let limits = section.subsection("limits", ConfigurationSchema.limits)
        _ = section.requiredValue("command", remedy: "give program and arguments: command: [program, \"{port}\"]")
        return ProcessTemplate(
            command: section.texts("command") ?? [], environment: section.textMapping("environment") ?? [:],
            workingDirectory: section.text("workingDirectory"),
            outputLimit: section.size("outputLimit") ?? defaults.outputLimit,
            stopGrace: section.duration("stopGrace") ?? defaults.stopGrace,
            limits: ResourceLimits(cpuMillicores: limits?.integer("cpuMillicores"), memory: limits?.size("memory")))
    }

    private func constraints(_ instances: InstanceSource) -> WorkloadConstraints {
        var defaults = WorkloadConstraints()
        if case .endpoints(let endpoints) = instances { defaults.maximumInstances = max(1, endpoints.count) }
        guard let section = spec.subsection("constraints", ConfigurationSchema.constraints) else { return defaults }
        return WorkloadConstraints(
            minimumInstances: section.integer("minimumInstances") ?? defaults.minimumInstances,
            maximumInstances: section.integer("maximumInstances") ?? defaults.maximumInstances,
            concurrentRequestsPerInstance: section.integer("concurrentRequestsPerInstance"),
            activeConsumersPerInstance: section.integer("activeConsumersPerInstance"),
            consumerHold: section.duration("consumerHold") ?? defaults.consumerHold,
            concurrentRequestsPerConsumer: section.integer("concurrentRequestsPerConsumer"),
            requestsPerSecondPerConsumer: section.integer("requestsPerSecondPerConsumer"),
            burstPerConsumer: section.integer("burstPerConsumer"),
            queueLength: section.integer("queueLength") ?? defaults.queueLength,
            queueTimeout: section.duration("queueTimeout") ?? defaults.queueTimeout,
            maximumWait: section.duration("maximumWait") ?? defaults.maximumWait)
    }

    private func healthCheck() -> HealthCheck {
        let defaults = HealthCheck()
        guard let section = spec.subsection("healthCheck", ConfigurationSchema.healthCheck) else { return defaults }
        var probe = HealthCheck.Probe.tcp
        if let http = section.subsection("http", ConfigurationSchema.httpProbe) {
            probe = .http(
                path: http.requiredText("path", remedy: "say what to ask for: path: /healthz") ?? "/",
                expectedStatus: http.statusRange("status") ?? 200...299)
        }
        return HealthCheck(
            probe: probe, interval: section.duration("interval") ?? defaults.interval,
            fastInterval: section.duration("fastInterval") ?? defaults.fastInterval,
            timeout: section.duration("timeout") ?? defaults.timeout, rise: section.integer("rise") ?? defaults.rise,
            fall: section.integer("fall") ?? defaults.fall)
    }

    private func loadBalancing() -> LoadBalancingSettings {
        let defaults = LoadBalancingSettings()
        guard let section = spec.subsection("loadBalancing", ConfigurationSchema.loadBalancing) else { return defaults }
        return LoadBalancingSettings(
            algorithm: section.choice("algorithm", LoadBalancingSettings.Algorithm.self) ?? defaults.algorithm,
            slowStart: section.duration("slowStart") ?? defaults.slowStart,
            drainTimeout: section.duration("drainTimeout") ?? defaults.drainTimeout)
    }

    private func restart() -> RestartSettings {
        let defaults = RestartSettings()
        guard let section = spec.subsection("restart", ConfigurationSchema.restart) else { return defaults }
        return RestartSettings(
            initialBackoff: section.duration("initialBackoff") ?? defaults.initialBackoff,
            maximumBackoff: section.duration("maximumBackoff") ?? defaults.maximumBackoff,
            startTimeout: section.duration("startTimeout") ?? defaults.startTimeout,
            breakerThreshold: section.integer("breakerThreshold") ?? defaults.breakerThreshold,
            breakerPause: section.duration("breakerPause") ?? defaults.breakerPause)
    }

    private func requests() -> RequestSettings {
        let defaults = RequestSettings()
        guard let section = spec.subsection("requests", ConfigurationSchema.requests) else { return defaults }
        return RequestSettings(
            connectTimeout: section.duration("connectTimeout") ?? defaults.connectTimeout,
            responseTimeout: section.duration("responseTimeout") ?? defaults.responseTimeout,
            idleTimeout: section.duration("idleTimeout") ?? defaults.idleTimeout,
            tunnelTimeout: section.duration("tunnelTimeout") ?? defaults.tunnelTimeout,
            maximumRetries: section.integer("maximumRetries") ?? defaults.maximumRetries,
            retryBudgetPercent: section.integer("retryBudgetPercent") ?? defaults.retryBudgetPercent,
            maximumBodySize: section.size("maximumBodySize"),
            whenUnmeterable: section.choice("whenUnmeterable", RequestSettings.Unmeterable.self)
                ?? defaults.whenUnmeterable,
            accessLogOneIn: section.integer("accessLogOneIn"),
            tls: section.subsection("tls", ConfigurationSchema.instanceTLS).flatMap(InstanceTLS.init(reading:)),
            proxyProtocol: section.choice("proxyProtocol", ProxyProtocol.self),
            instanceProtocol: section.choice("instanceProtocol", RequestSettings.InstanceProtocol.self))
    }
}

// MARK: Login rules

extension ServiceReader {
    private func loginRules() -> [LoginRule] {
        (spec.items("loginRules") ?? []).compactMap { node, path in
            SectionReader(node, ConfigurationSchema.loginRule, path: path, context: spec.context).flatMap(loginRule)
        }
    }

    private func loginRule(_ section: SectionReader) -> LoginRule? {
        let path = section.requiredText("path", remedy: "give the path of the login: path: /login")
        let principal = principal(section)
        guard let path, let principal else { return nil }
        return LoginRule(
            method: section.text("method") ?? "POST", path: path, principal: principal, success: success(section),
            whenUnauditable: section.choice("whenUnauditable", LoginRule.Unauditable.self) ?? .spool,
            lockout: lockout(section))
    }

    private func lockout(_ rule: SectionReader) -> LoginRule.Lockout? {
        guard let section = rule.subsection("lockout", ConfigurationSchema.loginLockout),
            section.requiredValue("failures", remedy: "say how many failures in a row lock out: failures: 5") != nil,
            let failures = section.integer("failures")
        else { return nil }
        return LoginRule.Lockout(
            failures: failures, duration: section.duration("duration") ?? LoginRule.Lockout.usualDuration)
    }

    private static let principalRemedy =
        "write principal: basic, or principal: {form: {field: NAME}}, or principal: {json: {field: NAME}}"

    private func principal(_ section: SectionReader) -> LoginRule.PrincipalLocation? {
        guard let node = section.requiredValue("principal", remedy: Self.principalRemedy) else { return nil }
        if case .scalar(let scalar) = node, scalar.string == "basic" { return .basicAuthorization }
        guard let choice = section.subsection("principal", ConfigurationSchema.principal) else { return nil }
        let given = ["basic", "form", "json"].filter(choice.has)
        guard given.count == 1, given != ["basic"] else {
            section.context.fault(
                "\(choice.path) has \(given.isEmpty ? "none" : "several") of basic, form and json", at: node,
                path: choice.path, remedy: Self.principalRemedy)
            return nil
        }
        guard let fields = choice.subsection(given[0], ConfigurationSchema.credentialFields),
            let field = fields.requiredText("field", remedy: "name the field that says who logs in: field: username")
        else { return nil }
        let secret = fields.text("secret")
        return given == ["form"] ? .form(field: field, secret: secret) : .json(field: field, secret: secret)
    }

    private func success(_ section: SectionReader) -> LoginRule.SuccessSign {
        let usual = LoginRule.SuccessSign.status(200...399)
        guard let choice = section.subsection("success", ConfigurationSchema.success) else { return usual }
        let given = ["status", "header", "json"].filter(choice.has)
        guard given.count == 1 else {
            section.context.fault(
                "\(choice.path) has \(given.isEmpty ? "none" : "several") of status, header and json", at: choice.node,
                path: choice.path, remedy: "keep the one by which success shows")
            return usual
        }
        if let header = choice.subsection("header", ConfigurationSchema.headerSign) {
            let name = header.requiredText("name", remedy: "name the response's field: name: x-login")
            return name.map { .header(name: $0, value: header.text("value")) } ?? usual
        }
        if let json = choice.subsection("json", ConfigurationSchema.jsonSign) {
            let field = json.requiredText("field", remedy: "name the response's field: field: token")
            return field.map { .json(field: $0, value: json.text("value")) } ?? usual
        }
        return choice.statusRange("status").map { .status($0) } ?? usual
    }
}

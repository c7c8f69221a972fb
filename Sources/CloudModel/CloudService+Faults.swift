extension CloudService {
    func check(_ collector: inout FaultCollector) {
        collector.checkName(id)
        if let tcp { checkTCP(tcp, &collector) } else { checkRoutes(&collector) }
        switch instances {
        case .process(let template): template.check(&collector)
        case .virtualServer(let template): template.check(&collector, constraints)
        case .endpoints(let endpoints): checkEndpoints(endpoints, &collector)
        }
        constraints.check(&collector)
        scaling.check(&collector, constraints)
        scaling.warmPool?.check(&collector, self)
        checkVertical(&collector)
        healthCheck.check(&collector)
        collector.check(loadBalancing.slowStart, in: .zero...(.hours(1)), "spec.loadBalancing.slowStart")
        collector.check(loadBalancing.drainTimeout, in: .zero...(.hours(24)), "spec.loadBalancing.drainTimeout")
        restart.check(&collector)
        gateway.check(&collector)
        if case .http = healthCheck.probe {
            collector.require(
                gateway.tls == nil, "spec.healthCheck.http", "the check speaks HTTP without TLS, the instances with it",
                "leave it out: a TCP connection that is accepted passes")
        }
        collector.require(
            gateway.instanceProtocol != .http2 || (gateway.tls == nil && gateway.proxyProtocol == nil),
            "spec.requests.instanceProtocol", "http2 is spoken in clear, requests of all consumers on one connection",
            "leave out tls and proxyProtocol, or speak http1")
        checkLoginRules(&collector)
    }

    private func checkRoutes(_ collector: inout FaultCollector) {
        collector.require(
            !routes.isEmpty, "spec.routes", "the service has no route: no request can reach it",
            "give one: routes: [{path: /}]")
        for (index, route) in routes.enumerated() {
            let path = "spec.routes[\(index)]"
            collector.checkRequestPath(route.pathPrefix, "\(path).path")
            if let host = route.host { collector.checkHost(host, "\(path).host") }
        }
    }

    private func checkEndpoints(_ endpoints: [Endpoint], _ collector: inout FaultCollector) {
        collector.require(
            !endpoints.isEmpty, "spec.endpoints", "the service has no instances", "give at least one address:port")
        var seen: Set<Endpoint> = []
        for (index, endpoint) in endpoints.enumerated() {
            let path = "spec.endpoints[\(index)]"
            collector.require(
                AddressText.isAddress(endpoint.address), path, "'\(endpoint.address)' is not an IP address",
                "write the address, not a name: names are not resolved")
            collector.require(endpoint.port != 0, path, "0 is not a port", "give the port that the instance answers on")
            collector.require(seen.insert(endpoint).inserted, path, "\(endpoint) is there twice", "remove one of them")
        }
        guard !endpoints.isEmpty else { return }
        let (minimum, maximum) = (constraints.minimumInstances, constraints.maximumInstances)
        collector.require(
            endpoints.count <= maximum, "spec.endpoints",
            "the service has \(endpoints.count) endpoints, but maximumInstances is \(maximum)",
            "raise maximumInstances to \(endpoints.count), leave it out, or remove endpoints")
        collector.require(
            endpoints.count >= minimum, "spec.endpoints",
            "the service has \(endpoints.count) endpoints, but minimumInstances is \(minimum), and nobody starts "
                + "others",
            "lower minimumInstances to \(endpoints.count), or add endpoints")
    }

    private func checkLoginRules(_ collector: inout FaultCollector) {
        let prefixes = routes.compactMap(\.normalForm?.pathPrefix)
        var seen: Set<String> = []
        for (index, rule) in loginRules.enumerated() {
            let path = "spec.loginRules[\(index)]"
            rule.check(&collector, path)
            guard let normal = NormalPath.normalise(rule.path) else { continue }
            collector.require(
                seen.insert("\(rule.method) \(normal.lowercased())").inserted, path,
                "another rule has the same method and path", "keep one of them")
            let isReached = prefixes.contains { $0 == "/" || normal == $0 || normal.hasPrefix($0 + "/") }
            collector.require(
                isReached, "\(path).path", "no route of the service leads to '\(rule.path)'",
                "give the whole path as consumers send it, or add a route")
        }
    }
}

extension ProcessTemplate {
    private static let placeholder = "{port}"

    fileprivate func check(_ collector: inout FaultCollector) {
        let hasProgram = !(command.first ?? "").isEmpty
        collector.require(
            hasProgram, "spec.process.command", "there is no program to run",
            "give program and arguments: command: [program, \"{port}\"]")
        let texts = command + environment.values
        collector.require(
            !hasProgram || texts.contains { $0.contains(Self.placeholder) }, "spec.process",
            "the placeholder {port} is neither in the command nor in the environment: the process cannot know where to "
                + "listen",
            "add it, as in --port {port}, or PORT: \"{port}\" in environment")
        collector.require(
            !texts.contains { $0.utf8.contains(0) }, "spec.process.command", "a text has a NUL character", "remove it")
        for name in environment.keys.sorted() {
            collector.require(
                !name.isEmpty && !name.contains("=") && !name.utf8.contains(0), "spec.process.environment",
                "'\(name)' is not a variable's name", "use letters, digits and underscores")
        }
        collector.checkAbsolutePath(workingDirectory, "spec.process.workingDirectory")
        collector.check(outputLimit, in: .kibibytes(4)...(.kibibytes(1 << 30)), "spec.process.outputLimit")
        collector.check(stopGrace, in: .zero...(.hours(1)), "spec.process.stopGrace")
        collector.check(limits.cpuMillicores, in: 10...1_024_000, "spec.process.limits.cpuMillicores")
        collector.check(limits.memory, in: .mebibytes(1)...(.mebibytes(1 << 24)), "spec.process.limits.memory")
    }
}

extension WorkloadConstraints {
    fileprivate func check(_ collector: inout FaultCollector) {
        let path = "spec.constraints"
        collector.check(minimumInstances, in: 0...10_000, "\(path).minimumInstances")
        collector.check(maximumInstances, in: 1...10_000, "\(path).maximumInstances")
        collector.require(
            maximumInstances >= minimumInstances, "\(path).maximumInstances",
            "the maximum (\(maximumInstances)) is below the minimum (\(minimumInstances))",
            "raise it to \(minimumInstances), or lower minimumInstances")
        collector.check(concurrentRequestsPerInstance, in: 1...1_000_000, "\(path).concurrentRequestsPerInstance")
        collector.check(activeConsumersPerInstance, in: 1...1_000_000, "\(path).activeConsumersPerInstance")
        collector.check(consumerHold, in: .zero...(.hours(24)), "\(path).consumerHold")
        collector.check(concurrentRequestsPerConsumer, in: 1...1_000_000, "\(path).concurrentRequestsPerConsumer")
        collector.check(requestsPerSecondPerConsumer, in: 1...1_000_000, "\(path).requestsPerSecondPerConsumer")
        collector.check(burstPerConsumer, in: 1...1_000_000, "\(path).burstPerConsumer")
        collector.require(
            burstPerConsumer == nil || requestsPerSecondPerConsumer != nil, "\(path).burstPerConsumer",
            "a burst without a rate limits nothing", "add requestsPerSecondPerConsumer, or remove it")
        collector.check(queueLength, in: 0...1_000_000, "\(path).queueLength")
        collector.check(queueTimeout, in: .zero...(.hours(1)), "\(path).queueTimeout")
        collector.check(maximumWait, in: .zero...(.hours(24)), "\(path).maximumWait")
    }
}

extension CloudService {
    fileprivate func checkVertical(_ collector: inout FaultCollector) {
        guard scaling.vertical != .demand else { return }
        let path = "spec.scaling.vertical"
        var flavor: VirtualServerFlavor?
        if case .virtualServer(let template) = instances { flavor = template.flavor }
        collector.require(
            flavor?.cpuMillicores != nil && flavor?.maximumCpuMillicores != nil, path,
            "there is no size to follow \(scaling.vertical.rawValue)",
            "give the virtual server cpuMillicores and maximumCpuMillicores, or remove it")
        collector.require(
            !scaling.metrics.contains { $0.kind == .processor }, path,
            "processor use would set both the size and the number of the instances",
            "follow another metric, or use vertical: demand")
    }
}

extension WarmPool {
    fileprivate func check(_ collector: inout FaultCollector, _ service: CloudService) {
        let path = "spec.scaling.warmPool"
        collector.check(instances, in: 1...1_000, "\(path).instances")
        switch service.instances {
        case .endpoints:
            collector.require(false, path, "nothing is started for 'endpoints'", "remove it")
        case .process:
            collector.require(
                parked == nil, "\(path).parked", "only virtual servers are parked",
                "remove it: processes wait as they run")
        case .virtualServer: break
        }
    }
}

extension ScalingSettings {
    fileprivate func check(_ collector: inout FaultCollector, _ constraints: WorkloadConstraints) {
        let path = "spec.scaling"
        collector.check(targetUtilisationPercent, in: 1...100, "\(path).targetUtilisationPercent")
        collector.check(targetConcurrency, in: 1...1_000_000, "\(path).targetConcurrency")
        if let target = targetConcurrency, let capacity = constraints.concurrentRequestsPerInstance {
            collector.require(
                target <= capacity, "\(path).targetConcurrency",
                "an instance never has \(target) requests: concurrentRequestsPerInstance is \(capacity)",
                "lower it to \(capacity), or remove it")
        }
        collector.check(scaleOutCooldown, in: .zero...(.hours(1)), "\(path).scaleOutCooldown")
        collector.check(scaleInStabilisation, in: .zero...(.hours(24)), "\(path).scaleInStabilisation")
        collector.check(tolerancePercent, in: 0...99, "\(path).tolerancePercent")
        checkMetrics(&collector, path)
        checkSchedules(&collector, constraints, path)
        if let watch { check(watch, &collector, path) }
        let isFollowable =
            targetConcurrency != nil || constraints.concurrentRequestsPerInstance != nil
            || constraints.activeConsumersPerInstance != nil || !metrics.isEmpty
        let remedy =
            "add targetConcurrency or metrics here, or concurrentRequestsPerInstance or activeConsumersPerInstance to "
            + "constraints"
        collector.require(
            isFollowable || schedules.isEmpty, "\(path).schedules",
            "nothing says how much an instance takes, so there would be no way back to fewer", remedy)
        guard let policy else { return }
        collector.check(policy.decisionInterval, in: .seconds(1)...(.hours(1)), "\(path).policy.decisionInterval")
        collector.check(policy.startupTime, in: .zero...(.hours(1)), "\(path).policy.startupTime")
        collector.check(policy.missBudgetPerMille, in: 1...500, "\(path).policy.missBudgetPerMille")
        collector.check(policy.warmUp, in: .zero...(.hours(1)), "\(path).policy.warmUp")
        policy.behavior?.check(&collector, "\(path).policy.behavior.")
        collector.require(
            policy.behavior == nil || policy.kind == .horizontal, "\(path).policy.behavior",
            "\(policy.kind.rawValue) has no behavior", "leave it out, or take kind: horizontal")
        collector.require(
            isFollowable, "\(path).policy.kind",
            "nothing says how much an instance takes, so \(policy.kind.rawValue) has nothing to follow", remedy)
    }

    private func checkMetrics(_ collector: inout FaultCollector, _ path: String) {
        collector.require(
            metrics.count <= 16, "\(path).metrics", "there are \(metrics.count) metrics", "give 16 at most")
        for (index, metric) in metrics.enumerated() {
            let place = "\(path).metrics[\(index)]"
            collector.require(
                Identifier<ScalingMetric>(metric.name).isValidLabel, "\(place).name", "'\(metric.name)' is not a name",
                "use 1 to 63 lower-case letters, digits and hyphens, a letter or digit first and last")
            collector.require(
                !metrics[..<index].contains { $0.name == metric.name }, "\(place).name",
                "the metric '\(metric.name)' is there twice", "remove one of them")
            switch metric.kind {
            case .processor: collector.check(metric.targetPerInstance, in: 1...100, "\(place).targetPercent")
            case .latency:
                let target = TimeSpan.microseconds(Int64(metric.targetPerInstance))
                collector.check(target, in: .milliseconds(1)...(.minutes(10)), "\(place).target")
                collector.check(metric.percentile, in: 1...100, "\(place).percentile")
            case .custom, .requests, .concurrency, .queueLength:
                collector.check(metric.targetPerInstance, in: 1...1_000_000_000, "\(place).targetPerInstance")
            }
        }
    }

    private func checkSchedules(
        _ collector: inout FaultCollector, _ constraints: WorkloadConstraints, _ path: String
    ) {
        collector.require(
            schedules.count <= 64, "\(path).schedules", "there are \(schedules.count) schedules", "give 64 at most")
        for (index, schedule) in schedules.enumerated() {
            let place = "\(path).schedules[\(index)]"
            collector.require(
                schedule.from != schedule.until, "\(place).until", "it ends when it begins",
                "use 00:00 and 23:59, or set constraints.minimumInstances for all the time")
            collector.check(
                schedule.minimumInstances, in: 1...max(1, constraints.maximumInstances), "\(place).minimumInstances")
        }
    }

    private func check(_ watch: ScalingWatch, _ collector: inout FaultCollector, _ path: String) {
        collector.check(watch.abovePercent, in: 1...1_000, "\(path).watch.abovePercent")
        collector.check(watch.belowPercent, in: 1...99, "\(path).watch.belowPercent")
        if let above = watch.abovePercent, let below = watch.belowPercent {
            collector.require(
                below < above, "\(path).watch.belowPercent", "\(below) is not below abovePercent, which is \(above)",
                "lower it, or raise abovePercent")
        }
        collector.check(watch.lasting, in: .seconds(1)...(.hours(24)), "\(path).watch.lasting")
        if let forecast = watch.limitForecast {
            collector.check(forecast, in: .minutes(1)...(.hours(24)), "\(path).watch.limitForecast")
        }
        collector.require(
            watch.abovePercent != nil || watch.belowPercent != nil || watch.limitForecast != nil, "\(path).watch",
            "it watches nothing", "give abovePercent, belowPercent or limitForecast, or remove it")
    }
}

extension HealthCheck {
    fileprivate func check(_ collector: inout FaultCollector) {
        let path = "spec.healthCheck"
        collector.check(interval, in: .milliseconds(50)...(.hours(1)), "\(path).interval")
        collector.check(fastInterval, in: .milliseconds(10)...(.hours(1)), "\(path).fastInterval")
        collector.require(
            fastInterval <= interval, "\(path).fastInterval",
            "\(fastInterval.text) is longer than interval, \(interval.text)", "make it shorter than interval")
        collector.check(timeout, in: .milliseconds(10)...(.minutes(5)), "\(path).timeout")
        collector.check(rise, in: 1...100, "\(path).rise")
        collector.check(fall, in: 1...100, "\(path).fall")
        guard case .http(let target, let status) = probe else { return }
        collector.require(
            target.hasPrefix("/") && target.utf8.allSatisfy { (0x21...0x7E).contains($0) }, "\(path).http.path",
            "'\(target)' is not a path", "begin it with / and escape spaces and other special characters")
        collector.checkStatus(status, "\(path).http.status")
    }
}

extension RestartSettings {
    fileprivate func check(_ collector: inout FaultCollector) {
        let path = "spec.restart"
        collector.check(initialBackoff, in: .milliseconds(1)...(.hours(1)), "\(path).initialBackoff")
        collector.check(maximumBackoff, in: .milliseconds(1)...(.hours(24)), "\(path).maximumBackoff")
        collector.require(
            maximumBackoff >= initialBackoff, "\(path).maximumBackoff",
            "\(maximumBackoff.text) is shorter than initialBackoff, \(initialBackoff.text)",
            "raise it to \(initialBackoff.text) or more")
        collector.check(startTimeout, in: .milliseconds(100)...(.hours(1)), "\(path).startTimeout")
        collector.check(breakerThreshold, in: 1...1_000, "\(path).breakerThreshold")
        collector.check(breakerPause, in: .milliseconds(100)...(.hours(24)), "\(path).breakerPause")
    }
}

extension RequestSettings {
    fileprivate func check(_ collector: inout FaultCollector) {
        let path = "spec.requests"
        let timeouts = TimeSpan.milliseconds(1)...(.hours(24))
        collector.check(connectTimeout, in: timeouts, "\(path).connectTimeout")
        collector.check(responseTimeout, in: timeouts, "\(path).responseTimeout")
        collector.check(idleTimeout, in: timeouts, "\(path).idleTimeout")
        collector.check(tunnelTimeout, in: timeouts, "\(path).tunnelTimeout")
        collector.check(maximumRetries, in: 0...10, "\(path).maximumRetries")
        collector.check(retryBudgetPercent, in: 0...100, "\(path).retryBudgetPercent")
        collector.check(accessLogOneIn, in: 0...1_000_000, "\(path).accessLogOneIn")
        collector.check(maximumBodySize, in: ByteCount(bytes: 0)...ByteCount(bytes: .max), "\(path).maximumBodySize")
        tls?.check(&collector, "\(path).tls")
    }
}

extension LoginRule {
    fileprivate func check(_ collector: inout FaultCollector, _ path: String) {
        collector.require(
            Self.isToken(method) && method == method.uppercased(), "\(path).method", "'\(method)' is not a method",
            "write it in capitals: POST")
        collector.checkRequestPath(self.path, "\(path).path")
        switch principal {
        case .basicAuthorization: break
        case .form(let field, _): checkField(field, &collector, "\(path).principal.form.field")
        case .json(let field, _): checkField(field, &collector, "\(path).principal.json.field")
        }
        switch success {
        case .status(let range): collector.checkStatus(range, "\(path).success.status")
        case .header(let name, _):
            collector.require(
                Self.isToken(name), "\(path).success.header.name", "'\(name)' is not a field's name",
                "use the characters of RFC 9110, section 5.6.2, without colon")
        case .json(let field, _): checkField(field, &collector, "\(path).success.json.field")
        }
        // As for administrators: NIST SP 800-63B, section 5.2.2, has no more than 100 in a row.
        collector.check(lockout?.failures, in: 2...100, "\(path).lockout.failures")
        if let duration = lockout?.duration {
            collector.check(duration, in: .seconds(1)...(.hours(24)), "\(path).lockout.duration")
        }
    }

    private func checkField(_ field: String, _ collector: inout FaultCollector, _ path: String) {
        collector.require(!field.isEmpty, path, "the field has no name", "give the field's name")
    }

    /// RFC 9110, section 5.6.2.
    private static func isToken(_ text: String) -> Bool {
        !text.isEmpty
            && text.utf8.allSatisfy { byte in
                (0x30...0x39).contains(byte) || (0x41...0x5A).contains(byte) || (0x61...0x7A).contains(byte)
                    || "!#$%&'*+-.^_`|~".utf8.contains(byte)
            }
    }
}

extension FaultCollector {
    fileprivate mutating func checkStatus(_ range: ClosedRange<Int>, _ path: String) {
        require(
            range.lowerBound >= 100 && range.upperBound <= 599, path, "a status is from 100 to 599", "write 200-399")
    }

    fileprivate mutating func checkRequestPath(_ value: String, _ path: String) {
        require(
            NormalPath.normalise(value) != nil && !value.contains("?") && !value.contains("#"), path,
            "'\(value)' is a path that no request can have",
            "begin it with / and leave out query, dot segments, backslashes and control characters")
    }

    fileprivate mutating func checkHost(_ host: String, _ path: String) {
        let isBracketed = host.hasPrefix("[") && host.hasSuffix("]")
        if isBracketed || host.filter({ $0 == ":" }).count > 1 {
            require(
                AddressText.isIPv6(isBracketed ? String(host.dropFirst().dropLast()) : host), path,
                "'\(host)' is not an IPv6 address", "write it without port and zone")
            return
        }
        let name = host.hasPrefix("*.") ? String(host.dropFirst(2)) : host
        let labels = (name.hasSuffix(".") ? String(name.dropLast()) : name)
            .split(separator: ".", omittingEmptySubsequences: false)
        let isName = labels.allSatisfy { label in
            (1...63).contains(label.utf8.count)
                && label.utf8.allSatisfy {
                    (0x30...0x39).contains($0) || (0x41...0x5A).contains($0) || (0x61...0x7A).contains($0)
                        || $0 == UInt8(ascii: "-") || $0 == UInt8(ascii: "_")
                }
        }
        require(
            host == "*" || (isName && name.utf8.count <= 253), path, "'\(host)' is not a host name",
            "write it without scheme and port; a wildcard only as the first label: *.example.org")
    }
}

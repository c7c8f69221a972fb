public import CloudModel

/// Values that the checks are made with. Texts that a careless implementation cuts or changes are among them.
public enum Samples {
    /// The beginning of an hour.
    public static let hour = Timestamp(microseconds: 500_000 * 3_600_000_000)
    public static let start = hour + .minutes(20)
    public static let oddTexts = [
        "", "plain", "名前 🦉", "nul\u{0}inside", "␀", "␀0", "\u{0}", "quote ' \" ; --", "%_*?[", "e\u{301}",
        "line\nbreak",
    ]

    public static func usage(
        _ number: UInt64, consumer: ConsumerID = "acme", service: ServiceID = "shop", instance: InstanceID? = "shop-1",
        outcome: RequestOutcome = .completed, completedAt: Timestamp = start, busy: TimeSpan? = .milliseconds(3),
        bytes: UInt64 = 10
    ) -> UsageRecord {
        UsageRecord(
            requestID: RequestID(high: .max - 1, low: number), consumer: consumer, service: service,
            instance: instance, outcome: outcome, status: 200, bytesIn: bytes, bytesOut: bytes * 2,
            receivedAt: completedAt - .milliseconds(5), forwardedAt: busy.map { completedAt - $0 },
            completedAt: completedAt)
    }

    public static func audit(
        _ number: UInt64, principal: String = "ann", address: String = "192.0.2.7", service: ServiceID = "shop",
        outcome: AuditEvent.Outcome = .failure, tag: String? = "hmac-sha256:01", at: Timestamp = start
    ) -> AuditEvent {
        AuditEvent(
            requestID: RequestID(high: 5, low: number), observer: "gateway-1", service: service, consumer: "acme",
            principal: principal, credentialKind: .password, credentialTag: tag, sourceAddress: address,
            userAgent: "test/1", method: "POST", path: "/login", outcome: outcome, reason: "bad-credential",
            status: 401, receivedAt: at, forwardedAt: at + .milliseconds(1), respondedAt: at + .milliseconds(2))
    }

    public static func batch(_ first: UInt64, _ records: [SpoolRecord], source: String = "gateway-1/0") -> SpoolBatch {
        SpoolBatch(source: source, firstSequence: first, records: records)
    }

    public static func usageBatch(_ numbers: ClosedRange<UInt64>, source: String = "gateway-1/0") -> SpoolBatch {
        batch(numbers.lowerBound, numbers.map { .usage(usage($0)) }, source: source)
    }

    public static func event(
        _ kind: String, at: Timestamp = start, service: ServiceID? = "shop", instance: InstanceID? = nil,
        step: TimelineStep? = nil, summary: String = "it happened", details: [String: String] = [:]
    ) -> PlatformEvent {
        PlatformEvent(
            at: at, kind: kind, service: service, instance: instance, consumer: "acme", actor: "test", step: step,
            summary: summary, details: details)
    }

    public static func instance(_ id: InstanceID, phase: InstancePhase = .running) -> ServiceInstance {
        ServiceInstance(
            id: id, service: "shop", phase: phase, operational: .up, administrative: .draining, role: .standby,
            incarnation: 3, endpoint: Endpoint(address: "127.0.0.1", port: 4_242),
            handle: InstanceHandle(processID: 77, startTicks: .max), requestedAt: start, upSince: start)
    }

    public static func operation(
        _ id: OperationID, state: Operation.State = .running, startedAt: Timestamp = start
    ) -> Operation {
        Operation(
            id: id, kind: "instance.drain", actor: "root", service: "shop", instance: "shop-1", state: state,
            startedAt: startedAt, endedAt: state == .running ? nil : startedAt, failure: state == .failed ? "no" : nil)
    }

    public static func lifecycle(
        _ kind: LifecycleEvent.Kind, _ instance: InstanceID = "shop-1", incarnation: Int = 1, at: Timestamp = start,
        owner: ConsumerID? = "acme", inferred: Bool = false
    ) -> LifecycleEvent {
        LifecycleEvent(
            instance: instance, incarnation: incarnation, service: "shop", owner: owner, kind: kind, at: at,
            resources: ResourceLimits(cpuMillicores: 500, memory: .mebibytes(64)), inferred: inferred)
    }

    public static func notification(_ id: NotificationID, at: Timestamp = start, title: String = "Limit reached")
        -> Notification
    {
        Notification(
            id: id, at: at, severity: .warning, kind: "limit-reached", service: "shop", consumer: "acme", title: title,
            body: "Three of three.",
            offer: ConstraintOffer(service: "shop", constraint: .maximumInstances, from: 3, to: 4))
    }

    /// Every kind of instance source, login rule and channel, and none of the defaults.
    public static var configuration: CloudConfiguration {
        var constraints = WorkloadConstraints(minimumInstances: 2, maximumInstances: 9)
        for kind in ConstraintKind.allCases { constraints[kind] = 7 }
        let template = ProcessTemplate(
            command: ["/bin/serve", "{port}"], environment: ["A": "nul\u{0}"], workingDirectory: "/srv",
            limits: ResourceLimits(cpuMillicores: 250, memory: .mebibytes(128)))
        let logins = [
            LoginRule(path: "/a", principal: .basicAuthorization, success: .status(200...299)),
            LoginRule(
                path: "/b", principal: .form(field: "user", secret: "pass"), success: .header(name: "x", value: nil)),
            LoginRule(path: "/c", principal: .json(field: "u", secret: nil), success: .json(field: "ok", value: "1")),
        ]
        let shop = CloudService(
            id: "shop", owner: "acme", routes: [Route(host: "*.example.org", pathPrefix: "/shop")],
            access: .anonymous, instances: .process(template), constraints: constraints,
            healthCheck: HealthCheck(probe: .http(path: "/healthz", expectedStatus: 200...204)), loginRules: logins)
        let old = CloudService(
            id: "old", routes: [Route()], instances: .endpoints([Endpoint(address: "::1", port: 80)]))
        let acme = CloudConsumer(
            id: "acme", displayName: "名前", contacts: [.email(address: "a@example.org")], entitlements: ["shop"],
            credentials: [APICredential(id: "key-1", prefix: "cw_1", digest: "00", expiresAt: start, revoked: true)])
        return CloudConfiguration(
            services: [shop, old], consumers: [acme],
            failoverGroups: [FailoverGroup(id: "pair", service: "shop", mode: .activePassive)],
            administratorChannels: [.log, .webhook(url: "https://example.org/hook", secretFile: "/etc/s")])
    }

    public static func usageEvent(
        _ id: String, source: String = "/shop", meter: String = "storage", microUnits: Int64 = 1_500_000,
        at: Timestamp = start
    ) -> UsageEvent {
        UsageEvent(
            source: source, id: id, type: "storage.used", consumer: "acme", service: "shop", meter: meter,
            microUnits: microUnits, at: at)
    }
}

public import AdministrationAPI

/// What an instance can be told.
public enum InstanceCommand: String, CaseIterable, Sendable {
    case drain, enable, maintenance, restart
}

/// How a configuration is written.
public enum ConfigurationFormat: String, CaseIterable, Sendable {
    case json = "application/json"
    case yaml = "application/yaml"
}

/// Which events are asked for.
public struct EventFilter: Hashable, Sendable {
    public var service: String?
    public var instance: String?
    public var kindPrefix: String?
    public var mechanism: API.Mechanism?
    public var from: String?
    public var until: String?

    public init() {}

    var query: [(String, String?)] {
        [
            ("service", service), ("instance", instance), ("kind", kindPrefix), ("mechanism", mechanism?.rawValue),
            ("from", from), ("until", until),
        ]
    }
}

/// Which usage is asked for.
public struct UsageFilter: Hashable, Sendable {
    public var consumer: String?
    public var service: String?
    public var instance: String?
    public var from: String?
    public var until: String?
    public var periodSeconds: Int64?

    public init() {}

    var query: [(String, String?)] {
        [
            ("consumer", consumer), ("service", service), ("instance", instance), ("from", from), ("until", until),
        ]
    }
}

/// Which logins are asked for.
public struct AuditFilter: Hashable, Sendable {
    public var service: String?
    public var principal: String?
    public var sourceAddress: String?
    public var consumer: String?
    public var outcome: API.LoginOutcome?
    public var from: String?
    public var until: String?

    public init() {}

    var common: [(String, String?)] {
        [
            ("service", service), ("principal", principal), ("sourceAddress", sourceAddress), ("from", from),
            ("until", until),
        ]
    }
}

extension AdministrationClient {
    func path(_ segments: String...) -> String {
        API.root + segments.map { "/" + Self.encoded($0) }.joined()
    }

    // MARK: Services and instances

    public func services() async throws(ClientError) -> [API.Service] {
        try await list(API.Service.self, path("services"))
    }

    public func service(_ id: String) async throws(ClientError) -> API.Service {
        try await get(API.Service.self, path("services", id))
    }

    public func constraints(of service: String) async throws(ClientError) -> Versioned<API.Constraints> {
        let answer = try await send(request("GET", path("services", service, "constraints")))
        return Versioned(value: try value(API.Constraints.self, of: answer), tag: answer.headers["etag"] ?? "*")
    }

    /// Throws a refusal with status 412 where the constraints are no longer those of `tag`.
    public func setConstraint(
        of service: String, _ change: API.ConstraintChange, ifMatch tag: String
    ) async throws(ClientError) -> API.Constraints {
        let answer = try await send(
            request(
                "PATCH", path("services", service, "constraints"), body: Self.body(change),
                headers: ["If-Match": tag]))
        return try value(API.Constraints.self, of: answer)
    }

    /// Throws a refusal with status 404 where the service does not follow the metric.
    public func report(_ value: Int, ofMetric metric: String, of service: String) async throws(ClientError) {
        _ = try await send(
            request(
                "PUT", path("services", service, "metrics", metric), body: Self.body(API.MetricReport(value: value))))
    }

    public func failoverGroups() async throws(ClientError) -> [API.FailoverGroup] {
        try await list(API.FailoverGroup.self, path("failover-groups"))
    }

    public func instances(of service: String? = nil) async throws(ClientError) -> [API.Instance] {
        try await list(API.Instance.self, path("instances"), query: [("service", service)])
    }

    /// Totals of what the gateway carried, by service, each before its instances.
    public func traffic(of service: String? = nil) async throws(ClientError) -> [API.Traffic] {
        try await list(API.Traffic.self, path("traffic"), query: [("service", service)])
    }

    public func instance(_ id: String) async throws(ClientError) -> API.Instance {
        try await get(API.Instance.self, path("instances", id))
    }

    public func command(_ command: InstanceCommand, instance: String) async throws(ClientError) -> API.Operation {
        let answer = try await send(request("POST", path("instances", instance, command.rawValue)))
        return try value(API.Operation.self, of: answer)
    }

    // MARK: Virtual infrastructure

    public func physicalServers() async throws(ClientError) -> [API.PhysicalServer] {
        try await list(API.PhysicalServer.self, path("physical-servers"))
    }

    public func confirmOff(physicalServer: String) async throws(ClientError) {
        _ = try await send(request("POST", path("physical-servers", physicalServer, "confirm-off")))
    }

    public func drainPlan(ofPhysicalServer host: String) async throws(ClientError) -> API.DrainPlan {
        try await get(API.DrainPlan.self, path("physical-servers", host, "drain"))
    }

    public func drain(physicalServer host: String, _ drain: API.Drain) async throws(ClientError) -> API.Operation {
        let answer = try await send(
            request("POST", path("physical-servers", host, "drain"), body: Self.body(drain)))
        return try value(API.Operation.self, of: answer)
    }

    public func abortDrain(ofPhysicalServer host: String) async throws(ClientError) {
        _ = try await send(request("POST", path("physical-servers", host, "abort-drain")))
    }

    public func rebalancePlan() async throws(ClientError) -> API.RebalancePlan {
        try await get(API.RebalancePlan.self, path("rebalancing"))
    }

    public func rebalance() async throws(ClientError) -> API.Operation {
        try value(API.Operation.self, of: try await send(request("POST", path("rebalancing"))))
    }

    public func abortRebalancing() async throws(ClientError) {
        _ = try await send(request("POST", path("rebalancing", "abort")))
    }

    public func activate(physicalServer host: String) async throws(ClientError) {
        _ = try await send(request("POST", path("physical-servers", host, "activate")))
    }

    public func virtualServers() async throws(ClientError) -> [API.VirtualServer] {
        try await list(API.VirtualServer.self, path("virtual-servers"))
    }

    public func migrate(_ instance: String, _ migration: API.Migration) async throws(ClientError) -> API.Operation {
        let answer = try await send(
            request("POST", path("virtual-servers", instance, "migrate"), body: Self.body(migration)))
        return try value(API.Operation.self, of: answer)
    }

    public func abortMigration(of instance: String) async throws(ClientError) {
        _ = try await send(request("POST", path("virtual-servers", instance, "abort-migration")))
    }

    public func suspend(virtualServer instance: String) async throws(ClientError) -> API.Operation {
        try value(
            API.Operation.self, of: try await send(request("POST", path("virtual-servers", instance, "suspend"))))
    }

    public func resume(virtualServer instance: String) async throws(ClientError) -> API.Operation {
        try value(
            API.Operation.self, of: try await send(request("POST", path("virtual-servers", instance, "resume"))))
    }

    public func operations(limit: Int = 100) async throws(ClientError) -> [API.Operation] {
        try await list(API.Operation.self, path("operations"), query: [("limit", String(limit))])
    }

    public func operation(_ id: String) async throws(ClientError) -> API.Operation {
        try await get(API.Operation.self, path("operations", id))
    }

    // MARK: Configuration

    /// The whole configuration as a text, and its version.
    public func configuration(_ format: ConfigurationFormat) async throws(ClientError) -> Versioned<[UInt8]> {
        let answer = try await send(
            request("GET", path("configuration"), headers: ["Accept": format.rawValue]))
        return Versioned(value: answer.body, tag: answer.headers["etag"] ?? "*")
    }

    /// Makes the configuration true, or only says what would change.
    public func apply(
        _ document: [UInt8], mediaType: String, ifMatch tag: String, dryRun: Bool
    ) async throws(ClientError) -> API.ConfigurationOutcome {
        let answer = try await send(
            request(
                "PUT", path("configuration"), query: [("dryRun", dryRun ? "true" : nil)], body: document,
                mediaType: mediaType, headers: ["If-Match": tag]))
        return try value(API.ConfigurationOutcome.self, of: answer)
    }

    // MARK: Consumers and administrators

    public func consumers() async throws(ClientError) -> [API.Consumer] {
        try await list(API.Consumer.self, path("consumers"))
    }

    public func createCredential(
        for consumer: String, _ credential: API.CredentialRequest
    ) async throws(ClientError) -> API.CreatedCredential {
        let answer = try await send(
            request("POST", path("consumers", consumer, "credentials"), body: Self.body(credential)))
        return try value(API.CreatedCredential.self, of: answer)
    }

    public func revokeCredential(_ credential: String, of consumer: String) async throws(ClientError) {
        _ = try await send(request("DELETE", path("consumers", consumer, "credentials", credential)))
    }

    public func administrators() async throws(ClientError) -> [API.Administrator] {
        try await list(API.Administrator.self, path("administrators"))
    }

    public func createAdministrator(
        _ administrator: API.AdministratorRequest
    ) async throws(ClientError) -> API.CreatedAdministrator {
        let answer = try await send(request("POST", path("administrators"), body: Self.body(administrator)))
        return try value(API.CreatedAdministrator.self, of: answer)
    }

    public func removeAdministrator(_ name: String) async throws(ClientError) {
        _ = try await send(request("DELETE", path("administrators", name)))
    }

    /// Sets the password with which an administrator logs in to the web console.
    public func setPassword(
        of name: String, to password: String, currentPassword: String? = nil
    ) async throws(ClientError) {
        let body = Self.body(API.PasswordChange(password: password, currentPassword: currentPassword))
        _ = try await send(request("PUT", path("administrators", name, "password"), body: body))
    }

    /// Checks a token: a login to the platform, which is recorded. Not sent twice: each one is recorded.
    public func logIn(token: String) async throws(ClientError) -> API.Session {
        let body = Self.body(API.SessionRequest(token: token))
        let answer = try await send(request("POST", path("sessions"), body: body), isRepeatable: false)
        return try value(API.Session.self, of: answer)
    }

    public func whoAmI() async throws(ClientError) -> API.Session {
        try await get(API.Session.self, path("whoami"))
    }

    // MARK: What happened

    public func events(_ filter: EventFilter, newest count: Int) async throws(ClientError) -> [API.Event] {
        try await list(
            API.Event.self, path("events"), query: filter.query + [("newest", "true"), ("limit", String(count))])
    }

    public func timelines(
        mechanism: API.Mechanism?, service: String?, incident: String?, last: Int?
    ) async throws(ClientError) -> [API.Timeline] {
        try await list(
            API.Timeline.self, path("timelines"),
            query: [
                ("mechanism", mechanism?.rawValue), ("service", service), ("incident", incident),
                ("last", last.map { String($0) }),
            ])
    }

    public func incidents() async throws(ClientError) -> [API.Incident] {
        try await list(API.Incident.self, path("incidents"))
    }

    public func notifications(maximum: Int) async throws(ClientError) -> [API.Notification] {
        try await all(API.Notification.self, path("notifications"), maximum: maximum)
    }

    public func offer(ofLink token: String) async throws(ClientError) -> API.ConstraintOffer {
        try await get(API.ConstraintOffer.self, path("constraint-changes", token))
    }

    /// Makes the change that the link offers. Not sent twice: the link works once.
    public func acceptOffer(ofLink token: String) async throws(ClientError) -> API.ConstraintOffer {
        let answer = try await send(request("POST", path("constraint-changes", token)), isRepeatable: false)
        return try value(API.ConstraintOffer.self, of: answer)
    }

    // MARK: Books

    public func usage(_ filter: UsageFilter) async throws(ClientError) -> API.UsageReport {
        try await get(
            API.UsageReport.self, path("usage"),
            query: filter.query + [("periodSeconds", filter.periodSeconds.map { String($0) })])
    }

    public func usageRecords(_ filter: UsageFilter, limit: Int) async throws(ClientError) -> [API.UsageRecord] {
        try await list(
            API.UsageRecord.self, path("usage", "records"), query: filter.query + [("limit", String(limit))])
    }

    /// Some of the usage records as a batch of CloudEvents, and where the rest goes on; nil at the end.
    public func exportUsage(
        consumer: String?, service: String?, from: String?, until: String?, after cursor: String?
    ) async throws(ClientError) -> (batch: [UInt8], next: String?) {
        let answer = try await send(
            request(
                "GET", path("usage", "export"),
                query: [
                    ("consumer", consumer), ("service", service), ("from", from), ("until", until),
                    ("cursor", cursor), ("limit", String(API.maximumPageSize)),
                ]))
        let next = answer.headers[API.nextCursorHeader] ?? ""
        return (answer.body, next.isEmpty ? nil : next)
    }

    /// Reports what services have counted themselves: a CloudEvent, or a batch of them, as JSON.
    public func reportUsageEvents(_ events: [UInt8]) async throws(ClientError) -> API.UsageEventOutcome {
        let answer = try await send(
            request("POST", path("usage-events"), body: events, mediaType: API.cloudEventBatchMediaType))
        return try value(API.UsageEventOutcome.self, of: answer)
    }

    public func auditEvents(_ filter: AuditFilter, newest count: Int) async throws(ClientError) -> [API.AuditEvent] {
        try await list(
            API.AuditEvent.self, path("audit", "events"),
            query: filter.common + [
                ("consumer", filter.consumer), ("outcome", filter.outcome?.rawValue), ("newest", "true"),
                ("limit", String(count)),
            ])
    }

    /// Some of the logins as lines of a format, and where the rest goes on; nil at the end.
    public func exportAuditEvents(
        _ filter: AuditFilter, format: API.AuditFormat, after cursor: String?
    ) async throws(ClientError) -> (lines: [UInt8], next: String?) {
        let answer = try await send(
            request(
                "GET", path("audit", "export"),
                query: filter.common + [
                    ("consumer", filter.consumer), ("outcome", filter.outcome?.rawValue), ("format", format.rawValue),
                    ("cursor", cursor), ("limit", String(API.maximumPageSize)),
                ]))
        let next = answer.headers[API.nextCursorHeader] ?? ""
        return (answer.body, next.isEmpty ? nil : next)
    }

    public func failedLogins(_ filter: AuditFilter, limit: Int) async throws(ClientError) -> [API.FailedLogins] {
        try await list(
            API.FailedLogins.self, path("audit", "failed-logins"), query: filter.common + [("limit", String(limit))])
    }

    /// Takes what tells of a person out of all stored logins of a name.
    public func eraseLogins(of principal: String) async throws(ClientError) -> API.Erasure {
        let body = Self.body(API.ErasureRequest(principal: principal))
        return try value(API.Erasure.self, of: try await send(request("POST", path("audit", "erasures"), body: body)))
    }

    /// Has the server read its append-only logs anew and compare them with their seals.
    public func verifyLogs() async throws(ClientError) -> [API.LogIntegrity] {
        try await list(API.LogIntegrity.self, path("integrity"))
    }

    public func verificationKey() async throws(ClientError) -> API.VerificationKey {
        try await get(API.VerificationKey.self, path("integrity", "key"))
    }

    // MARK: Bills

    public func budgets(of consumer: String?) async throws(ClientError) -> [API.BudgetStanding] {
        try await list(API.BudgetStanding.self, path("budgets"), query: [("consumer", consumer)])
    }

    public func bills(of consumer: String?, limit: Int) async throws(ClientError) -> [API.Bill] {
        try await list(API.Bill.self, path("bills"), query: [("consumer", consumer), ("limit", String(limit))])
    }

    /// - Parameter month: as `2026-11`; nil for the present one.
    public func bill(of consumer: String, month: String?) async throws(ClientError) -> API.Bill {
        try await get(API.Bill.self, path("bills", consumer, month ?? "current"))
    }

    /// The bill as a page to print.
    public func billPage(of consumer: String, month: String?) async throws(ClientError) -> [UInt8] {
        try await send(request("GET", path("bills", consumer, month ?? "current", "page"))).body
    }

    /// A closed bill with all that it takes to check it offline; nil: the server's usual number of records.
    public func proveBill(of consumer: String, month: String, records: Int?) async throws(ClientError) -> [UInt8] {
        try await send(
            request("GET", path("bills", consumer, month, "proof"), query: [("records", records.map(String.init))])
        ).body
    }

    /// The bill as a FOCUS table.
    public func exportBill(
        of consumer: String, month: String?, version: API.FocusVersion
    ) async throws(ClientError) -> [UInt8] {
        try await send(
            request(
                "GET", path("bills", consumer, month ?? "current", "focus"), query: [("version", version.rawValue)])
        ).body
    }

    public func closeBill(
        of consumer: String, month: String, includeHeld: Bool
    ) async throws(ClientError) -> API.Bill {
        let answer = try await send(
            request(
                "POST", path("bills", consumer, month, "close"), query: [("includeHeld", includeHeld ? "true" : nil)]))
        return try value(API.Bill.self, of: answer)
    }

    public func credit(_ credit: API.CreditRequest, to consumer: String) async throws(ClientError) -> API.Credit {
        let answer = try await send(request("POST", path("consumers", consumer, "credits"), body: Self.body(credit)))
        return try value(API.Credit.self, of: answer)
    }

    public func reconciliation(
        consumer: String?, month: String?, from: String?, until: String?
    ) async throws(ClientError) -> API.Reconciliation {
        try await get(
            API.Reconciliation.self, path("reconciliation"),
            query: [("consumer", consumer), ("month", month), ("from", from), ("until", until)])
    }

    // MARK: The platform

    /// Health is told with status 200 or 503; both are answers.
    public func health() async throws(ClientError) -> API.Health {
        let answer = try await answer(to: request("GET", "/healthz"))
        guard answer.status == 200 || answer.status == 503 else { throw refusal(answer) }
        return try value(API.Health.self, of: answer)
    }

    /// The API's OpenAPI document.
    public func apiDocument() async throws(ClientError) -> [UInt8] {
        try await send(request("GET", "/openapi.json")).body
    }
}

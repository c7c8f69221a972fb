import AdministrationAPI
import AuditMonitor
import CloudModel
import CloudPorts

extension RouteTable {
    private static let auditFilters: [QueryParameter] = [
        QueryParameter("service", "Only logins to this service; 'administration' is the platform itself."),
        QueryParameter("principal", "Only logins of this principal."),
        QueryParameter("sourceAddress", "Only logins from this address."),
    ]

    /// By failures, then by the last of them, as the log database ranks them.
    static let failedLoginList = NamedList<FailedLogins>(
        by: "rank",
        name: { found in
            let (failures, last) = (Int64.max - Int64(found.failures), Int64.max - found.lastAt.microseconds)
            let place = ordered(Timestamp(microseconds: failures)) + "/" + ordered(Timestamp(microseconds: last))
            return "\(place)/\(found.principal)/\(found.sourceAddress)"
        }, words: { [$0.principal, $0.sourceAddress] },
        columns: [
            "principal": { .text($0.principal) }, "sourceAddress": { .text($0.sourceAddress) },
            "failures": { SortValue($0.failures) }, "distinctCredentials": { SortValue($0.distinctCredentials) },
            "firstAt": { SortValue($0.firstAt) }, "lastAt": { SortValue($0.lastAt) },
        ])

    static let audit: [Route] = [
        Route(
            name: "listAuditEvents", method: .get, path: "/api/v1/audit/events", right: .own,
            summary: "Lists the logins that the audit monitor intercepted; a consumer sees its own.",
            query: auditFilters + [
                QueryParameter("consumer", "Only logins whose request carried this consumer's key."),
                .oneOf("outcome", API.LoginOutcome.self, "Only logins that ended so."),
                QueryParameter("newest", .boolean, "The newest part instead of the oldest; the next part is older."),
            ] + period + page,
            answer: .json(API.Page<API.AuditEvent>.self, "Logins in the order of the audit log."), refusals: [403]
        ) { try await $0.listAuditEvents($1) },
        Route(
            name: "exportAuditEvents", method: .get, path: "/api/v1/audit/export", right: .own,
            summary: "Gives logins in a format that systems for security events read; a consumer sees its own.",
            query: auditFilters + [
                QueryParameter("consumer", "Only logins whose request carried this consumer's key."),
                .oneOf("outcome", API.LoginOutcome.self, "Only logins that ended so."),
                .oneOf("format", API.AuditFormat.self, "Which format; ocsf if not given."),
            ] + period + page,
            answer: Route.Answer(
                status: 200, meaning: "A line for each login, in the order of the audit log.",
                mediaType: "text/plain; charset=utf-8",
                headers: [API.nextCursorHeader: "Where the export goes on: give it as `cursor`; empty at the end."]),
            refusals: [403]
        ) { try await $0.exportAuditEvents($1) },
        Route(
            name: "rankFailedLogins", method: .get, path: "/api/v1/audit/failed-logins", right: .own,
            summary: "Ranks principals and addresses by their failed logins; a consumer sees its own services'.",
            query: auditFilters + period + failedLoginList.parameters,
            answer: .json(API.Page<API.FailedLogins>.self, "The most failures first if no other order is asked for."),
            refusals: [403]
        ) { try await $0.rankFailedLogins($1) },
    ]
}

extension Handlers {
    /// Those behind them have fewer failures than a thousand others.
    private static let maximumRanked = 1_000

    func listAuditEvents(_ call: Call) async throws -> Reply {
        let found = try await auditEvents(call, newest: call.query.boolean("newest"))
        return .json(API.Page(items: found.elements.map(API.AuditEvent.init), nextCursor: found.next.map(String.init)))
    }

    func exportAuditEvents(_ call: Call) async throws -> Reply {
        let format = call.query.text("format").flatMap(AuditExport.init) ?? .ocsf
        let found = try await auditEvents(call, newest: false)
        let lines = found.elements.map { stored in
            format.line(stored.event, position: stored.position, version: settings.version) + "\n"
        }
        return Reply(
            status: 200, headers: [API.nextCursorHeader: found.next.map(String.init) ?? ""],
            body: .bytes(Array(lines.joined().utf8), mediaType: "text/plain; charset=utf-8"))
    }

    private func auditEvents(_ call: Call, newest: Bool) async throws -> Page<StoredAuditEvent> {
        let page = PageRequest(call.query)
        var query = auditQuery(call)
        if newest { query.before = page.given } else { query.after = page.after }
        query.limit = page.limit
        query.newest = newest
        query.outcome = call.query.text("outcome").flatMap(AuditEvent.Outcome.init)
        let ownsService = await isOwnService(query.service, call)
        query.consumer = ownsService ? call.query.identifier("consumer") : try visibleConsumer(call)
        let found = try await database.auditEvents(query)
        // What the query should have left out must not leave here either.
        let visible = found.elements.filter { query.consumer == nil || $0.event.consumer == query.consumer }
        return Page(elements: visible, next: found.next)
    }

    func rankFailedLogins(_ call: Call) async throws -> Reply {
        let query = auditQuery(call)
        if call.identity?.role == .consumer {
            guard await isOwnService(query.service, call) else {
                throw API.Problem.forbidden("A consumer sees this of a service that it rents; name it with 'service'.")
            }
        }
        let found = try await database.failedLogins(query, limit: Self.maximumRanked)
        let (items, next) = try RouteTable.failedLoginList.part(of: found, call.query)
        return .json(API.Page(items: items.map(API.FailedLogins.init), nextCursor: next))
    }

    /// Whether the caller is the consumer that rents the service: then all logins to it are its own to see.
    private func isOwnService(_ service: ServiceID?, _ call: Call) async -> Bool {
        guard let service, call.identity?.role == .consumer, let consumer = call.identity?.consumer else {
            return false
        }
        return await administration.configuration().services.contains { $0.id == service && $0.owner == consumer }
    }

    private func auditQuery(_ call: Call) -> AuditQuery {
        var query = AuditQuery()
        query.service = call.query.identifier("service")
        query.principal = call.query.text("principal")
        query.sourceAddress = call.query.text("sourceAddress")
        query.from = call.query.time("from")
        query.until = call.query.time("until")
        return query
    }
}

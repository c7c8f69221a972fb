import AdministrationAPI
import CloudModel
import CloudPorts

extension RouteTable {
    private static let usageFilters: [QueryParameter] = [
        QueryParameter("consumer", "Only usage of this consumer."),
        QueryParameter("service", "Only usage of this service."),
        QueryParameter("instance", "Only usage of this instance."),
    ]

    static let usage: [Route] = [
        Route(
            name: "reportUsage", method: .get, path: "/api/v1/usage", right: .own,
            summary: "Sums up usage as both agents saw it; a consumer sees its own.",
            query: usageFilters + period + [
                QueryParameter(
                    "periodSeconds", .integer(60...31_622_400),
                    "One sum for each period of this length, aligned to 1970-01-01T00:00:00Z; needs `from`.")
            ],
            answer: .json(API.UsageReport.self, "The sums."), refusals: [403]
        ) { try await $0.reportUsage($1) },
        Route(
            name: "listUsageRecords", method: .get, path: "/api/v1/usage/records", right: .own,
            summary: "Lists single requests as the monitoring agent stored them; a consumer sees its own.",
            query: usageFilters + period + textPage + [oldest],
            answer: .json(
                API.Page<API.UsageRecord>.self, "Requests by completion, the newest first if not asked otherwise."),
            refusals: [403]
        ) { try await $0.listUsageRecords($1) },
        Route(
            name: "getUsageRecord", method: .get, path: "/api/v1/usage/records/{requestID}", right: .own,
            summary: "Shows one request; `x-request-id` in the response to the consumer names it.",
            answer: .json(API.UsageRecord.self, "The request.")
        ) { try await $0.getUsageRecord($1) },
    ]
}

extension Handlers {
    /// Periods in one report; more have to be asked for in parts.
    private static let maximumPeriods: Int64 = 1_000

    func listUsageRecords(_ call: Call) async throws -> Reply {
        let limit = Int(call.query.integer("limit") ?? 100)
        let (query, place) = (try usageQuery(call), try call.query.text("cursor").map(Self.place))
        let found =
            call.query.boolean("oldest")
            ? try await database.usageRecords(query, after: place, limit: limit + 1)
            : try await database.usageRecords(query, before: place, limit: limit + 1)
        let next = found.count > limit ? UsageRecordPlace(found[limit - 1].record).text : nil
        return .json(API.Page(items: found.prefix(limit).map(API.UsageRecord.init), nextCursor: next))
    }

    static func place(_ cursor: String) throws(API.Problem) -> UsageRecordPlace {
        guard let place = UsageRecordPlace(cursor) else {
            throw .invalid("'\(cursor)' is no cursor of this list; begin again without one.")
        }
        return place
    }

    func getUsageRecord(_ call: Call) async throws -> Reply {
        let text = call.placeholder("requestID")
        let own = call.identity?.role == .consumer ? try visibleConsumer(call) : nil
        guard let id = RequestID(text), let found = try await database.usageRecord(id),
            own == nil || found.record.consumer == own
        else { throw API.Problem.notFound("There is no request '\(text)'; it is 32 hex digits from x-request-id.") }
        return .json(API.UsageRecord(found))
    }

    func usageQuery(_ call: Call) throws(API.Problem) -> UsageQuery {
        var query = UsageQuery()
        query.consumer = try visibleConsumer(call)
        query.service = call.query.identifier("service")
        query.instance = call.query.identifier("instance")
        query.from = call.query.time("from")
        query.until = call.query.time("until")
        guard let seconds = call.query.integer("periodSeconds") else { return query }
        guard let from = query.from else {
            throw .invalid("'periodSeconds' needs 'from'; say where the first period begins.")
        }
        let period = TimeSpan.seconds(seconds)
        let count = ((query.until ?? now()) - from).microseconds / period.microseconds
        guard count <= Self.maximumPeriods else {
            throw .invalid(
                "That is \(count) periods, and \(Self.maximumPeriods) is the most; take longer ones, or less time.")
        }
        query.period = period
        return query
    }
}

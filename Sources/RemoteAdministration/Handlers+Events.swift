import AdministrationAPI
import CloudModel
import CloudPorts

extension RouteTable {
    static let incidentList = NamedList<IncidentSummary>(
        by: "openedAt", name: { "\(ordered($0.openedAt))/\($0.id)" },
        words: { [$0.id, $0.kind, $0.service.rawValue, $0.instance?.rawValue ?? ""] },
        columns: ["kind": { .text($0.kind) }, "service": { SortValue($0.service) }])

    static let timelineList = NamedList<API.Timeline>(
        by: "mechanism",
        name: { run in
            let place = API.Mechanism.allCases.firstIndex(of: run.mechanism) ?? 0
            let begin = run.startedAt.flatMap { Timestamp(rfc3339: $0.rfc3339) } ?? .epoch
            return "\(place)/\(ordered(begin))/\(run.incident)"
        }, words: { [$0.incident, $0.service ?? "", $0.instance ?? "", $0.consumer ?? ""] },
        columns: ["startedAt": { SortValue($0.startedAt) }, "service": { .text($0.service ?? "") }])

    /// Texts of times, in whose order they are.
    static func ordered(_ time: Timestamp) -> String {
        let digits = String(max(0, time.microseconds))
        return String(repeating: "0", count: 19 - digits.count) + digits
    }

    private static let eventFilters: [QueryParameter] = [
        QueryParameter("service", "Only events of this service."),
        QueryParameter("instance", "Only events of this instance."),
        QueryParameter("kind", "Only events whose kind begins with this."),
        .oneOf("mechanism", API.Mechanism.self, "Only steps of this mechanism."),
        QueryParameter("incident", "Only steps of this run of a mechanism."),
    ]

    static let events: [Route] = [
        Route(
            name: "listEvents", method: .get, path: "/api/v1/events", right: .read,
            summary: "Lists the platform event log.",
            query: eventFilters + period + page + [
                QueryParameter("newest", .boolean, "The newest part instead of the oldest; the next part is older.")
            ],
            answer: .json(API.Page<API.Event>.self, "Events in the order of the log.")
        ) { try await $0.listEvents($1) },
        Route(
            name: "followEvents", method: .get, path: "/api/v1/events/stream", right: .read,
            summary: "Follows the platform event log as server-sent events.",
            query: eventFilters + [
                QueryParameter(
                    "after", .integer(0...Int64.max),
                    "Begin after this position; the header Last-Event-ID goes before it. Without both, begin now.")
            ],
            answer: .text(
                "text/event-stream",
                "One server-sent event an entry: `id` is its position, `event` its kind, `data` the entry as JSON. "
                    + "A comment comes every 15 seconds while there is nothing to tell.")
        ) { try await $0.followEvents($1) },
        Route(
            name: "listTimelines", method: .get, path: "/api/v1/timelines", right: .read,
            summary: "Shows runs of the mechanisms step by step, the newest last.",
            query: [
                .oneOf("mechanism", API.Mechanism.self, "Only runs of this mechanism."),
                QueryParameter("service", "Only runs of this service."),
                QueryParameter("incident", "Only this run."),
                QueryParameter("last", .integer(1...100), "So many runs of each mechanism; 5 if not given."),
            ] + timelineList.parameters,
            answer: .json(
                API.Page<API.Timeline>.self, "Runs by mechanism and begin if no other order is asked for.")
        ) { try await $0.listTimelines($1) },
        Route(
            name: "listIncidents", method: .get, path: "/api/v1/incidents", right: .read,
            summary: "Lists what goes wrong now.",
            query: [QueryParameter("service", "Only incidents of this service.")] + incidentList.parameters,
            answer: .json(
                API.Page<API.Incident>.self, "Open incidents, the oldest first if no other order is asked for.")
        ) { try await $0.listIncidents($1) },
    ]
}

extension Handlers {
    func listEvents(_ call: Call) async throws -> Reply {
        let page = PageRequest(call.query)
        var query = eventQuery(call)
        query.newest = call.query.boolean("newest")
        if query.newest { query.before = page.given } else { query.after = page.after }
        query.limit = page.limit
        let found = try await database.events(query)
        return .json(API.Page(items: found.elements.map(API.Event.init), nextCursor: found.next.map(String.init)))
    }

    func listIncidents(_ call: Call) async throws -> Reply {
        let service: ServiceID? = call.query.identifier("service")
        let open = await administration.openIncidents().filter { service == nil || $0.service == service }
        let (items, next) = try RouteTable.incidentList.part(of: open, call.query)
        return .json(API.Page(items: items.map(API.Incident.init), nextCursor: next))
    }

    func followEvents(_ call: Call) async throws -> Reply {
        let begin = try await streamBegin(call)
        guard let slot = streams.take() else {
            throw Refusal(
                problem: .unavailable("\(settings.maximumStreams) streams are open, which is the limit; close one."),
                headers: ["retry-after": "5"])
        }
        let query = eventQuery(call)
        return Reply(
            status: 200,
            body: .stream(mediaType: "text/event-stream") { writer in
                try await stream(query, after: begin, to: writer, for: call.identity)
                withExtendedLifetime(slot) {}
            })
    }

    private func streamBegin(_ call: Call) async throws -> Int64 {
        if let text = call.headers["last-event-id"] {
            guard let position = Int64(text), position >= 0 else {
                throw API.Problem.invalid("Last-Event-ID is '\(text)'; give the position of the last event seen.")
            }
            return position
        }
        if let after = call.query.integer("after") { return after }
        return try await database.lastEventPosition()
    }

    /// Writes what is in the log, then what comes, until the client goes, its token ends, or the server stops. A piece
    /// is written when the last one has left, so that a slow client costs no memory.
    private func stream(
        _ filter: EventQuery, after begin: Int64, to writer: any PieceWriter, for identity: Identity?
    ) async throws {
        var query = filter
        query.after = begin
        query.limit = 200
        try await writer.write("retry: 2000\n\n")
        while !Task.isCancelled, await !hub.hasFinished {
            // Read before the events: what comes in between is read again, never skipped.
            let end = try await database.lastEventPosition()
            let found = try await database.events(query)
            for event in found.elements {
                let data = String(decoding: JSON.bytes(of: API.Event(event)), as: UTF8.self)
                try await writer.write("id: \(event.position)\nevent: \(event.kind)\ndata: \(data)\n\n")
            }
            if let next = found.next {
                query.after = next
                continue
            }
            query.after = max(query.after, found.elements.last?.position ?? 0, end)
            let hasGrown = await hub.waitForGrowth(beyond: query.after, for: settings.heartbeat)
            if hasGrown { continue }
            if let identity, await !authenticator.isStillValid(identity) { return }
            try await writer.write("id: \(query.after)\n: nothing new\n\n")
        }
    }

    func eventQuery(_ call: Call) -> EventQuery {
        var query = EventQuery()
        query.service = call.query.identifier("service")
        query.instance = call.query.identifier("instance")
        query.kindPrefix = call.query.text("kind")
        query.mechanism = call.query.text("mechanism").flatMap(Mechanism.init)
        query.incident = call.query.text("incident")
        query.from = call.query.time("from")
        query.until = call.query.time("until")
        return query
    }
}

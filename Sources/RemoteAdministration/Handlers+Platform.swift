import AdministrationAPI
import CloudModel
import CloudPorts

extension RouteTable {
    static let platform: [Route] = [
        Route(
            name: "getHealth", method: .get, path: "/healthz", right: .open,
            summary: "Says whether the platform works, part by part.",
            answer: .json(API.Health.self, "All parts work."), refusals: [503]
        ) { handlers, _ in
            let health = await handlers.administration.health()
            return .json(
                API.Health(healthy: health.healthy, parts: health.parts), status: health.healthy ? 200 : 503)
        },
        Route(
            name: "getMetrics", method: .get, path: "/metrics", right: .open,
            summary: "Gives the platform's figures in the Prometheus text format.",
            answer: .text(Metrics.mediaType, "The figures.")
        ) { handlers, _ in
            let text = await handlers.metricsText()
            return Reply(status: 200, body: .bytes(Array(text.utf8), mediaType: Metrics.mediaType))
        },
        Route(
            name: "getAPIDocument", method: .get, path: "/openapi.json", right: .open,
            summary: "Gives this API's OpenAPI document.",
            answer: .text(JSON.mediaType, "The document.")
        ) { _, _ in
            Reply(status: 200, body: .bytes(OpenAPIDocument.bytes, mediaType: JSON.mediaType))
        },
    ]

    static let operations: [Route] = [
        Route(
            name: "listOperations", method: .get, path: "/api/v1/operations", right: .read,
            summary: "Lists operations.",
            query: [
                QueryParameter("kind", "Only operations whose kind begins with this."),
                .oneOf("state", API.OperationState.self, "Only operations in this state."),
                QueryParameter("service", "Only operations on this service."),
                QueryParameter("instance", "Only operations on this instance."),
                QueryParameter("host", "Only operations on this physical server."), oldest,
            ] + textPage,
            answer: .json(API.Page<API.Operation>.self, "Operations, the newest first if not asked otherwise.")
        ) { try await $0.listOperations($1) },
        Route(
            name: "getOperation", method: .get, path: "/api/v1/operations/{operation}", right: .read,
            summary: "Shows how far an operation is.", answer: .json(API.Operation.self, "The operation.")
        ) { handlers, call in
            let id = OperationID(call.placeholder("operation"))
            guard let operation = try await handlers.database.operation(id) else {
                throw API.Problem.notFound("There is no operation '\(id)'; see `cloudwright operation list`.")
            }
            return .json(API.Operation(operation))
        },
    ]

    static let notifications: [Route] = [
        Route(
            name: "listNotifications", method: .get, path: "/api/v1/notifications", right: .own,
            summary: "Lists the notifications and whether they were delivered; a consumer sees its own.",
            query: [
                QueryParameter("service", "Only notifications about this service."),
                QueryParameter("kind", "Only notifications of this kind."),
                .oneOf("severity", API.Severity.self, "Only notifications of this severity."), oldest,
            ] + textPage,
            answer: .json(API.Page<API.Notification>.self, "Notifications, the newest first if not asked otherwise.")
        ) { try await $0.listNotifications($1) },
        Route(
            name: "getConstraintOffer", method: .get, path: "/api/v1/constraint-changes/{token}", right: .open,
            summary: "Shows the change that a link offers, and changes nothing, however often it is fetched.",
            answer: .json(API.ConstraintOffer.self, "The offer; as a page for people where Accept asks for HTML."),
            refusals: [410, 429, 503]
        ) { try await $0.constraintOffer($1, accept: false) },
        Route(
            name: "acceptConstraintOffer", method: .post, path: "/api/v1/constraint-changes/{token}", right: .open,
            summary: "Makes the change that a link offers; the link works once.",
            answer: .json(
                API.ConstraintOffer.self, "The change that was made; as a page for people where Accept asks for HTML."),
            refusals: [409, 410, 429, 503]
        ) { try await $0.constraintOffer($1, accept: true) },
    ]
}

extension Handlers {
    /// How many entries are looked through for one part of a list that is filtered here.
    private static let maximumScanned = 5_000

    /// One part of a list: what fits of the entries that `read` gives, those after an entry, the next ones.
    private func part<Entry, Place>(
        limit: Int, after start: Place?, place: (Entry) -> Place, isFiltered: Bool, fits: (Entry) -> Bool,
        read: (Place?, Int) async throws -> [Entry]
    ) async throws -> (entries: [Entry], next: Place?) {
        // One more than asked for tells whether there is a next part.
        let wanted = isFiltered ? API.maximumPageSize : limit + 1
        var last = start
        var entries: [Entry] = []
        var scanned = 0
        while scanned < Self.maximumScanned {
            let found = try await read(last, wanted)
            scanned += found.count
            for (index, entry) in found.enumerated() {
                last = place(entry)
                if fits(entry) { entries.append(entry) }
                guard entries.count == limit else { continue }
                return (entries, found.count < wanted && index == found.count - 1 ? nil : last)
            }
            if found.count < wanted { return (entries, nil) }
        }
        return (entries, last)
    }

    func listOperations(_ call: Call) async throws -> Reply {
        let state = call.query.text("state").flatMap(Operation.State.init)
        let kind = call.query.text("kind") ?? ""
        let service: ServiceID? = call.query.identifier("service")
        let instance: InstanceID? = call.query.identifier("instance")
        let host: PhysicalServerID? = call.query.identifier("host")
        let oldestFirst = call.query.boolean("oldest")
        let (found, next) = try await part(
            limit: PageRequest(call.query).limit, after: call.query.identifier("cursor") as OperationID?, place: \.id,
            isFiltered: !kind.isEmpty || state != nil || service != nil || instance != nil || host != nil,
            fits: { operation in
                operation.kind.hasPrefix(kind) && (state == nil || operation.state == state)
                    && (service == nil || operation.service == service)
                    && (instance == nil || operation.instance == instance) && (host == nil || operation.host == host)
            },
            read: { last, count in
                var query = OperationQuery(limit: count)
                (query.after, query.oldestFirst) = (last, oldestFirst)
                return try await database.operations(query)
            })
        return .json(API.Page(items: found.map(API.Operation.init), nextCursor: next?.rawValue))
    }

    func listNotifications(_ call: Call) async throws -> Reply {
        let own = call.identity?.role == .consumer ? try visibleConsumer(call) : nil
        let service: ServiceID? = call.query.identifier("service")
        let kind = call.query.text("kind")
        let severity = call.query.text("severity")
        let oldestFirst = call.query.boolean("oldest")
        let (found, next) = try await part(
            limit: PageRequest(call.query).limit, after: call.query.identifier("cursor") as NotificationID?,
            place: \.notification.id, isFiltered: own != nil || service != nil || kind != nil || severity != nil,
            fits: { stored in
                let told = stored.notification
                return (own == nil || told.consumer == own) && (service == nil || told.service == service)
                    && (kind == nil || told.kind == kind) && (severity == nil || told.severity.rawValue == severity)
            },
            read: { last, count in
                try await database.notifications(after: last, oldestFirst: oldestFirst, limit: count)
            })
        return .json(API.Page(items: found.map(API.Notification.init), nextCursor: next?.rawValue))
    }

    func constraintOffer(_ call: Call, accept: Bool) async throws -> Reply {
        let token = call.placeholder("token")
        do {
            let offer =
                accept
                ? try await lane.run { try await administration.acceptOffer(ofLink: token) }
                : try await administration.offer(ofLink: token)
            guard call.wantsHTML else { return .json(API.ConstraintOffer(offer)) }
            return ChangeLinkPage(call).reply(offer, isAccepted: accept)
        } catch let refusal as AdministrationRefusal {
            var problem = API.Problem(refusal)
            var headers: [String: String] = [:]
            // A link that is good but spent or run out is nobody's guess.
            if refusal.code == .notFound,
                let seconds = await authenticator.countFailure(from: call.source)
            {
                problem = .tooMany("Too many wrong links came from \(call.source); wait \(seconds) s.")
                headers["retry-after"] = String(seconds)
            }
            guard call.wantsHTML else { throw Refusal(problem: problem, headers: headers) }
            var reply = ChangeLinkPage(call).reply(problem)
            reply.headers.merge(headers) { _, new in new }
            return reply
        }
    }
}

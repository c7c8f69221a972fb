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
            summary: "Lists the newest operations.", query: [limit(100)],
            answer: .json(API.Page<API.Operation>.self, "Operations, the newest first.")
        ) { handlers, call in
            let found = try await handlers.database.operations(limit: PageRequest(call.query).limit)
            return .json(API.Page(items: found.map(API.Operation.init)))
        },
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
                QueryParameter("cursor", "Where the list goes on: `nextCursor` of the part before."), limit(100),
            ],
            answer: .json(API.Page<API.Notification>.self, "Notifications, the newest first.")
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
    /// How many notifications are looked through for one part of a consumer's list.
    private static let maximumScanned = 5_000

    func listNotifications(_ call: Call) async throws -> Reply {
        let own = call.identity?.role == .consumer ? try visibleConsumer(call) : nil
        let limit = PageRequest(call.query).limit
        var after: NotificationID? = call.query.identifier("cursor")
        var items: [API.Notification] = []
        var scanned = 0
        while items.count < limit, scanned < Self.maximumScanned {
            let wanted = own == nil ? limit : API.maximumPageSize
            let found = try await database.notifications(after: after, limit: wanted)
            scanned += found.count
            for stored in found where items.count < limit {
                after = stored.notification.id
                if own == nil || stored.notification.consumer == own { items.append(API.Notification(stored)) }
            }
            if found.count < wanted, items.count < limit || after == found.last?.notification.id {
                return .json(API.Page(items: items))
            }
        }
        return .json(API.Page(items: items, nextCursor: after?.rawValue))
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

import AdministrationAPI
import CloudModel
import CloudPorts
import Credentials

/// A service as its list sorts it.
struct ListedService {
    var service: CloudService
    var instances: [ServiceInstance]
    var load: LoadSample?

    var up: Int { instances.count { $0.phase == .running && $0.operational == .up } }

    var present: Int { instances.count { $0.phase != .removed } }

    var condition: API.ServiceCondition {
        if up == 0, service.constraints.minimumInstances > 0 { return .down }
        if instances.contains(where: { $0.phase == .failed || $0.operational == .down }) { return .degraded }
        return lacksInstances ? .starting : .up
    }

    private var lacksInstances: Bool { up < service.constraints.minimumInstances }

    /// The worst first: nothing is up, fewer than the least, something failed, all well.
    private var severity: Int {
        switch condition {
        case .down: 0
        case .starting: 1
        case .degraded: lacksInstances ? 1 : 2
        case .up: 3
        }
    }

    static let list = NamedList<ListedService>(
        name: { $0.service.id.rawValue }, words: { [$0.service.id.rawValue, $0.service.owner?.rawValue ?? ""] },
        columns: [
            "owner": { SortValue($0.service.owner) }, "condition": { SortValue($0.severity) },
            "instancesUp": { SortValue($0.up) },
            "maximumInstances": { SortValue($0.service.constraints.maximumInstances) },
            "requestsInFlight": { SortValue($0.load?.requestsInFlight ?? 0) },
            "activeConsumers": { SortValue($0.load?.activeConsumers ?? 0) },
            "consumersWaiting": { SortValue($0.load?.consumersWaiting ?? 0) },
            "rejected": { SortValue($0.load?.rejected ?? 0) },
        ])
}

extension RouteTable {
    static let failoverGroupList = NamedList<FailoverGroup>(
        name: { $0.id.rawValue }, words: { [$0.id.rawValue, $0.service.rawValue] },
        columns: ["service": { SortValue($0.service) }, "mode": { .text($0.mode.rawValue) }])

    static let instanceList = NamedList<ServiceInstance>(
        name: { $0.id.rawValue }, words: { [$0.id.rawValue, $0.service.rawValue] },
        columns: [
            "service": { SortValue($0.service) }, "phase": { .text($0.phase.rawValue) },
            "operational": { .text($0.operational.rawValue) },
            "administrative": { .text($0.administrative.rawValue) }, "role": { .text($0.role.rawValue) },
            "requestedAt": { SortValue($0.requestedAt) },
        ])

    private static let brief = QueryParameter(
        "brief", .boolean, "Without instances one by one: the counts say how many there are.")

    static let services: [Route] = [
        Route(
            name: "listServices", method: .get, path: "/api/v1/services", right: .read,
            summary: "Lists the cloud services with their constraints, instances and load.",
            query: [brief] + ListedService.list.parameters,
            answer: .json(API.Page<API.Service>.self, "Services, by name if no other order is asked for.")
        ) { try await $0.listServices($1) },
        Route(
            name: "getService", method: .get, path: "/api/v1/services/{service}", right: .read,
            summary: "Shows one cloud service.", query: [brief], answer: .json(API.Service.self, "The service.")
        ) { try await $0.getService($1) },
        Route(
            name: "getConstraints", method: .get, path: "/api/v1/services/{service}/constraints", right: .read,
            summary: "Shows the workload constraints of a service.",
            answer: .json(
                API.Constraints.self, "The constraints.", headers: ["ETag": "Their version, for If-Match."])
        ) { try await $0.getConstraints($1) },
        Route(
            name: "setConstraint", method: .patch, path: "/api/v1/services/{service}/constraints", right: .operate,
            summary: "Sets or lifts one workload constraint of a service; it takes effect at once.",
            body: .json(API.ConstraintChange.self), needsIfMatch: true,
            answer: .json(
                API.Constraints.self, "The constraints after the change.",
                headers: ["ETag": "Their version, for If-Match."])
        ) { try await $0.setConstraint($1) },
        Route(
            name: "reportMetric", method: .put, path: "/api/v1/services/{service}/metrics/{metric}", right: .operate,
            summary: "Reports a value of a metric that the scaling of a service follows.",
            body: .json(API.MetricReport.self),
            answer: .noContent("The scaling listener has it; it counts for a minute.")
        ) { handlers, call in
            let report = try JSON.read(API.MetricReport.self, from: call.body)
            try await handlers.administration.report(
                report.value, ofMetric: call.placeholder("metric"), of: ServiceID(call.placeholder("service")))
            return .noContent
        },
        Route(
            name: "listFailoverGroups", method: .get, path: "/api/v1/failover-groups", right: .read,
            summary: "Lists the failover groups with their implementations.", query: failoverGroupList.parameters,
            answer: .json(API.Page<API.FailoverGroup>.self, "Groups, by name if no other order is asked for.")
        ) { try await $0.listFailoverGroups($1) },
    ]

    static let instances: [Route] =
        [
            Route(
                name: "listInstances", method: .get, path: "/api/v1/instances", right: .read,
                summary: "Lists the service instances.",
                query: [QueryParameter("service", "Only instances of this service.")] + instanceList.parameters,
                answer: .json(API.Page<API.Instance>.self, "Instances, by name if no other order is asked for.")
            ) { try await $0.listInstances($1) },
            Route(
                name: "getInstance", method: .get, path: "/api/v1/instances/{instance}", right: .read,
                summary: "Shows one service instance.", answer: .json(API.Instance.self, "The instance.")
            ) { try await $0.getInstance($1) },
        ]
        + [
            command("drain", "Gives an instance no more requests and lets it finish what it has.", .draining),
            command("enable", "Gives an instance requests again.", .enabled),
            command("maintenance", "Gives an instance no work at all.", .maintenance),
            command("restart", "Drains an instance and starts it anew.", nil),
        ]

    private static func command(_ verb: String, _ summary: String, _ state: AdministrativeState?) -> Route {
        Route(
            name: "\(verb)Instance", method: .post, path: "/api/v1/instances/{instance}/\(verb)", right: .operate,
            summary: summary,
            answer: .json(
                API.Operation.self, "The operation that was begun.", status: 202,
                headers: ["Location": "Where to follow the operation."])
        ) { handlers, call in
            let instance = InstanceID(call.placeholder("instance"))
            let operation =
                if let state {
                    try await handlers.administration.setAdministrativeState(instance, state, actor: call.actor)
                } else {
                    try await handlers.administration.restart(instance, actor: call.actor)
                }
            return try await handlers.accepted(operation)
        }
    }
}

extension Handlers {
    func listServices(_ call: Call) async throws -> Reply {
        let configuration = await administration.configuration()
        let instances = Dictionary(grouping: await administration.instances(), by: \.service)
        let load = await administration.load()
        let all = configuration.services.map { service in
            ListedService(service: service, instances: instances[service.id] ?? [], load: load[service.id])
        }
        let (part, next) = try ListedService.list.part(of: all, call.query)
        let isBrief = call.query.boolean("brief")
        return .json(
            API.Page(
                items: part.map { listed in
                    var service = API.Service(listed, groups: configuration.failoverGroups, isBrief: isBrief)
                    if isBrief { service.load?.requestsInFlightByInstance = [:] }
                    return service
                }, nextCursor: next))
    }

    func getService(_ call: Call) async throws -> Reply {
        let service = try await service(call)
        let listed = ListedService(
            service: service, instances: await administration.instances().filter { $0.service == service.id },
            load: await administration.load()[service.id])
        return .json(
            API.Service(
                listed, groups: await administration.configuration().failoverGroups,
                isBrief: call.query.boolean("brief")))
    }

    func getConstraints(_ call: Call) async throws -> Reply { constraints(of: try await service(call)) }

    func setConstraint(_ call: Call) async throws -> Reply {
        let change = try JSON.read(API.ConstraintChange.self, from: call.body)
        guard let kind = ConstraintKind(rawValue: change.constraint.rawValue) else {
            throw API.Problem.invalid("The constraint '\(change.constraint.rawValue)' is not known.")
        }
        return try await lane.run {
            let service = try await service(call)
            try requireMatch(call, entityTag(of: API.Constraints(service.constraints)))
            try await administration.setConstraint(service.id, kind, to: change.value, actor: call.actor)
            return constraints(of: try await self.service(call))
        }
    }

    private func constraints(of service: CloudService) -> Reply {
        let constraints = API.Constraints(service.constraints)
        return .json(constraints, headers: ["etag": entityTag(of: constraints)])
    }

    func listFailoverGroups(_ call: Call) async throws -> Reply {
        let instances = await administration.instances()
        let groups = await administration.configuration().failoverGroups
        let (part, next) = try RouteTable.failoverGroupList.part(of: groups, call.query)
        return .json(API.Page(items: part.map { API.FailoverGroup($0, instances: instances) }, nextCursor: next))
    }

    func listInstances(_ call: Call) async throws -> Reply {
        let service: ServiceID? = call.query.identifier("service")
        let instances = await administration.instances().filter { service == nil || $0.service == service }
        let (items, next) = try RouteTable.instanceList.part(of: instances, call.query)
        return .json(API.Page(items: items.map(API.Instance.init), nextCursor: next))
    }

    func getInstance(_ call: Call) async throws -> Reply {
        let id = InstanceID(call.placeholder("instance"))
        guard let instance = await administration.instances().first(where: { $0.id == id }) else {
            throw API.Problem.notFound("There is no instance '\(id)'; see `cloudwright instance list`.")
        }
        return .json(API.Instance(instance))
    }

    /// The operation is in the log database before the command returns.
    func accepted(_ id: OperationID) async throws -> Reply {
        guard let operation = try await database.operation(id) else {
            throw API.Problem.failed("The operation '\(id)' was begun but is not in the log database; see the log.")
        }
        return .json(
            API.Operation(operation), status: 202, headers: ["location": "\(API.root)/operations/\(id)"])
    }

    static func entityTag(of bytes: [UInt8]) -> String {
        let digest = bytes.withUnsafeBytes { KeyDigest(of: $0) }.description
        return "\"\(digest.prefix(32))\""
    }
}

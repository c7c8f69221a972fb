import AdministrationAPI
import CloudModel
import CloudPorts

extension RouteTable {
    static let physicalServerList = NamedList<API.PhysicalServer>(
        name: \.id, words: { [$0.id, $0.hypervisor] + $0.labels.map { "\($0)=\($1)" } },
        columns: [
            "phase": { .text($0.phase.rawValue) }, "cpuMillicoresUsed": { SortValue($0.cpuMillicoresUsed) },
            "memoryBytesUsed": { SortValue($0.memoryBytesUsed) }, "virtualServers": { SortValue($0.virtualServers) },
        ])

    static let virtualServerList = NamedList<VirtualServerReport>(
        by: "instance", name: { $0.identity.instance.rawValue },
        words: { [$0.identity.instance.rawValue, $0.identity.service.rawValue, $0.placement.host.rawValue] },
        columns: [
            "service": { SortValue($0.identity.service) }, "host": { SortValue($0.placement.host) },
            "phase": { .text($0.phase) }, "memoryBytes": { SortValue($0.placement.flavor.memory.bytes) },
            "cpuMillicores": { SortValue($0.placement.flavor.cpuMillicores ?? 0) },
        ])

    private static let begun = Route.Answer.json(
        API.Operation.self, "The operation that was begun.", status: 202,
        headers: ["Location": "Where to follow the operation."])

    static let infrastructure: [Route] =
        maintenance + [
            Route(
                name: "listPhysicalServers", method: .get, path: "/api/v1/physical-servers", right: .read,
                summary: "Lists the physical servers with their state and what is left of them.",
                query: physicalServerList.parameters,
                answer: .json(
                    API.Page<API.PhysicalServer>.self, "Physical servers, by name if no other order is asked for.")
            ) { try await $0.listPhysicalServers($1) },
            Route(
                name: "renewPhysicalServerLease", method: .post, path: "/api/v1/physical-servers/{host}/lease",
                right: .operate,
                summary: "The physical server's own agent renews the lease by which its virtual servers run.",
                answer: .json(API.HostLease.self, "It is renewed, from when it was asked for.")
            ) { handlers, call in
                let host = PhysicalServerID(call.placeholder("host"))
                let lease = try await handlers.administration.renewLease(of: host)
                return .json(
                    API.HostLease(cloud: lease.cloud, leaseMilliseconds: lease.span.microseconds / 1_000))
            },
            Route(
                name: "confirmPhysicalServerOff", method: .post, path: "/api/v1/physical-servers/{host}/confirm-off",
                right: .operate,
                summary:
                    "Says that somebody has seen that a physical server is off: what ran on it is started elsewhere.",
                answer: .noContent("It counts as off.")
            ) { handlers, call in
                try await handlers.administration.confirmOff(
                    PhysicalServerID(call.placeholder("host")), actor: call.actor)
                return .noContent
            },
            Route(
                name: "listVirtualServers", method: .get, path: "/api/v1/virtual-servers", right: .read,
                summary: "Lists the virtual servers with their hosts.",
                query: [QueryParameter("host", "Only those of this physical server.")]
                    + virtualServerList.parameters,
                answer: .json(
                    API.Page<API.VirtualServer>.self, "Virtual servers, by instance if no other order is asked for.")
            ) { try await $0.listVirtualServers($1) },
            Route(
                name: "migrateVirtualServer", method: .post, path: "/api/v1/virtual-servers/{instance}/migrate",
                right: .operate, summary: "Moves the virtual server of an instance to another physical server.",
                body: .json(API.Migration.self), answer: begun
            ) { try await $0.migrate($1) },
            Route(
                name: "abortMigration", method: .post, path: "/api/v1/virtual-servers/{instance}/abort-migration",
                right: .operate, summary: "Aborts a migration: the virtual server stays where it is.",
                answer: .noContent("The migration is being aborted.")
            ) { handlers, call in
                try await handlers.administration.abortMigration(
                    InstanceID(call.placeholder("instance")), actor: call.actor)
                return .noContent
            },
            Route(
                name: "suspendVirtualServer", method: .post, path: "/api/v1/virtual-servers/{instance}/suspend",
                right: .operate, summary: "Puts an instance into maintenance and lets its virtual server stand still.",
                answer: begun
            ) { handlers, call in
                try await handlers.accepted(
                    try await handlers.administration.suspend(
                        InstanceID(call.placeholder("instance")), actor: call.actor))
            },
            Route(
                name: "resumeVirtualServer", method: .post, path: "/api/v1/virtual-servers/{instance}/resume",
                right: .operate, summary: "Lets a suspended virtual server go on, and gives its instance work again.",
                answer: begun
            ) { handlers, call in
                try await handlers.accepted(
                    try await handlers.administration.resume(
                        InstanceID(call.placeholder("instance")), actor: call.actor))
            },
        ]
}

extension RouteTable {
    private static let maintenance: [Route] = [
        Route(
            name: "planPhysicalServerDrain", method: .get, path: "/api/v1/physical-servers/{host}/drain", right: .read,
            summary: "Shows what emptying a physical server would do with each of its virtual servers.",
            answer: .json(API.DrainPlan.self, "Where each would go, or why it would stay.")
        ) { handlers, call in
            let plan = try await handlers.administration.drainPlan(
                of: PhysicalServerID(call.placeholder("host")), MigrationSettings())
            return .json(API.DrainPlan(plan))
        },
        Route(
            name: "drainPhysicalServer", method: .post, path: "/api/v1/physical-servers/{host}/drain", right: .operate,
            summary: "Closes a physical server to new virtual servers and moves those that it has away while they run.",
            body: .json(API.Drain.self), answer: begun
        ) { try await $0.drain($1) },
        Route(
            name: "abortPhysicalServerDrain", method: .post, path: "/api/v1/physical-servers/{host}/abort-drain",
            right: .operate,
            summary: "Aborts a drain: what has left stays where it is, and the physical server stays closed.",
            answer: .noContent("The drain has ended.")
        ) { handlers, call in
            try await handlers.administration.abortDrain(
                of: PhysicalServerID(call.placeholder("host")), actor: call.actor)
            return .noContent
        },
        Route(
            name: "planRebalancing", method: .get, path: "/api/v1/rebalancing", right: .read,
            summary: "Shows how uneven the load of the physical servers is, and which migrations would make it even.",
            answer: .json(API.RebalancePlan.self, "The migrations, in the order in which they would be made.")
        ) { handlers, _ in .json(API.RebalancePlan(await handlers.administration.rebalancePlan())) },
        Route(
            name: "rebalance", method: .post, path: "/api/v1/rebalancing", right: .operate,
            summary: "Makes the load of the physical servers even by live migrations.", answer: begun
        ) { handlers, call in
            try await handlers.accepted(try await handlers.administration.rebalance(actor: call.actor))
        },
        Route(
            name: "abortRebalancing", method: .post, path: "/api/v1/rebalancing/abort", right: .operate,
            summary: "Aborts a rebalancing: what was moved stays where it is.",
            answer: .noContent("The rebalancing has ended.")
        ) { handlers, call in
            try await handlers.administration.abortRebalancing(actor: call.actor)
            return .noContent
        },
        Route(
            name: "activatePhysicalServer", method: .post, path: "/api/v1/physical-servers/{host}/activate",
            right: .operate, summary: "Lets a physical server that was drained take virtual servers again.",
            answer: .noContent("It takes virtual servers.")
        ) { handlers, call in
            try await handlers.administration.activate(
                PhysicalServerID(call.placeholder("host")), actor: call.actor)
            return .noContent
        },
    ]
}

extension Handlers {
    func drain(_ call: Call) async throws -> Reply {
        let asked = try JSON.read(API.Drain.self, from: call.body)
        var settings = DrainSettings(partial: asked.partial ?? false)
        if let count = asked.concurrentMigrations {
            guard (1...2).contains(count) else {
                throw API.Problem.invalid("concurrentMigrations is \(count); give 1 or 2.")
            }
            settings.concurrentMigrations = count
        }
        settings.migration.bandwidthMebibytesPerSecond = try bandwidth(asked.bandwidthMebibytesPerSecond)
        return try await accepted(
            try await administration.drain(
                PhysicalServerID(call.placeholder("host")), settings, actor: call.actor))
    }

    private func bandwidth(_ asked: Int?) throws -> Int? {
        guard let asked else { return nil }
        guard (1...1_000_000).contains(asked) else {
            throw API.Problem.invalid("bandwidthMebibytesPerSecond is \(asked); give 1 to 1000000.")
        }
        return asked
    }

    func listPhysicalServers(_ call: Call) async throws -> Reply {
        let all = await administration.physicalServers().map(API.PhysicalServer.init)
        let (items, next) = try RouteTable.physicalServerList.part(of: all, call.query)
        return .json(API.Page(items: items, nextCursor: next))
    }

    func listVirtualServers(_ call: Call) async throws -> Reply {
        let host: PhysicalServerID? = call.query.identifier("host")
        let servers = await administration.virtualServers().filter { host == nil || $0.placement.host == host }
        let (items, next) = try RouteTable.virtualServerList.part(of: servers, call.query)
        return .json(API.Page(items: items.map(API.VirtualServer.init), nextCursor: next))
    }

    func migrate(_ call: Call) async throws -> Reply {
        let asked = try JSON.read(API.Migration.self, from: call.body)
        var settings = MigrationSettings()
        if asked.mode == .suspended { settings.mode = .suspended }
        if let downtime = asked.maximumDowntimeMilliseconds {
            guard (1...60_000).contains(downtime) else {
                throw API.Problem.invalid("maximumDowntimeMilliseconds is \(downtime); give 1 to 60000.")
            }
            settings.maximumDowntime = .milliseconds(downtime)
        }
        settings.bandwidthMebibytesPerSecond = try bandwidth(asked.bandwidthMebibytesPerSecond)
        return try await accepted(
            try await administration.migrate(
                InstanceID(call.placeholder("instance")), to: asked.host.map { PhysicalServerID($0) }, settings,
                actor: call.actor))
    }
}

extension API.PhysicalServer {
    init(_ report: PhysicalServerReport) {
        let server = report.server
        self.init(
            id: server.id.rawValue, phase: API.HostPhase(rawValue: report.phase) ?? .unknown,
            maintenance: server.maintenance, closed: server.closed, drain: report.drain?.rawValue,
            hypervisor: server.hypervisor, version: report.version,
            cpuMillicores: server.capacity.cpuMillicores, cpuMillicoresUsed: report.used.cpuMillicores,
            memoryBytes: server.capacity.memory.bytes, memoryBytesUsed: report.used.memory.bytes,
            virtualServers: report.virtualServers, labels: server.labels)
    }
}

extension API.RebalancePlan {
    init(_ report: RebalanceReport) {
        self.init(
            automation: API.RebalancingAutomation(rawValue: report.automation.rawValue) ?? .manual,
            beforePercent: Int(report.beforePercent.rounded()), afterPercent: Int(report.afterPercent.rounded()),
            moves: report.moves.map {
                API.RebalanceMove(
                    instance: $0.instance.rawValue, source: $0.source.rawValue,
                    destination: $0.destination.rawValue, durationMilliseconds: $0.duration.millisecondsRoundedUp,
                    afterPercent: Int($0.afterPercent.rounded()))
            }, operation: report.operation?.rawValue)
    }
}

extension API.DrainPlan {
    init(_ report: DrainReport) {
        self.init(
            host: report.host.rawValue,
            steps: report.steps.map {
                API.DrainStep(
                    instance: $0.instance.rawValue, destination: $0.destination?.rawValue, obstacle: $0.obstacle)
            })
    }
}

extension API.VirtualServer {
    init(_ report: VirtualServerReport) {
        let placement = report.placement
        self.init(
            instance: report.identity.instance.rawValue, service: report.identity.service.rawValue,
            name: placement.name.rawValue, uuid: placement.uuid, host: placement.host.rawValue,
            phase: API.VirtualServerPhase(rawValue: report.phase) ?? .unconfirmed, address: placement.address,
            virtualCPUs: placement.flavor.virtualCPUs, cpuMillicores: placement.flavor.resources.cpuMillicores,
            memoryBytes: placement.flavor.memory.bytes, destination: placement.destination?.rawValue,
            bytesTransferred: report.progress?.transferred.bytes, bytesRemaining: report.progress?.remaining.bytes)
    }
}

import AdministrationAPI
import CloudModel
import CloudPorts

extension RouteTable {
    private static let begun = Route.Answer.json(
        API.Operation.self, "The operation that was begun.", status: 202,
        headers: ["Location": "Where to follow the operation."])

    static let infrastructure: [Route] = [
        Route(
            name: "listPhysicalServers", method: .get, path: "/api/v1/physical-servers", right: .read,
            summary: "Lists the physical servers with their state and what is left of them.",
            answer: .json(API.Page<API.PhysicalServer>.self, "All of them, by name.")
        ) { try await $0.listPhysicalServers($1) },
        Route(
            name: "confirmPhysicalServerOff", method: .post, path: "/api/v1/physical-servers/{host}/confirm-off",
            right: .operate,
            summary: "Says that somebody has seen that a physical server is off: what ran on it is started elsewhere.",
            answer: .noContent("It counts as off.")
        ) { handlers, call in
            try await handlers.administration.confirmOff(
                PhysicalServerID(call.placeholder("host")), actor: call.actor)
            return .noContent
        },
        Route(
            name: "listVirtualServers", method: .get, path: "/api/v1/virtual-servers", right: .read,
            summary: "Lists the virtual servers with their hosts.",
            answer: .json(API.Page<API.VirtualServer>.self, "All of them, by instance.")
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

extension Handlers {
    func listPhysicalServers(_ call: Call) async throws -> Reply {
        .json(API.Page(items: await administration.physicalServers().map(API.PhysicalServer.init)))
    }

    func listVirtualServers(_ call: Call) async throws -> Reply {
        .json(API.Page(items: await administration.virtualServers().map(API.VirtualServer.init)))
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
        if let bandwidth = asked.bandwidthMebibytesPerSecond {
            guard (1...1_000_000).contains(bandwidth) else {
                throw API.Problem.invalid("bandwidthMebibytesPerSecond is \(bandwidth); give 1 to 1000000.")
            }
            settings.bandwidthMebibytesPerSecond = bandwidth
        }
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
            maintenance: server.maintenance, hypervisor: server.hypervisor, version: report.version,
            cpuMillicores: server.capacity.cpuMillicores, cpuMillicoresUsed: report.used.cpuMillicores,
            memoryBytes: server.capacity.memory.bytes, memoryBytesUsed: report.used.memory.bytes,
            virtualServers: report.virtualServers, labels: server.labels)
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

import AdministrationAPI
import AdministrationClient
import ArgumentParser

struct ServiceCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "service", abstract: "Cloud services.", subcommands: [List.self, Show.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the services with their load.")
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let services = try await options.client().services()
            try options.show(services, empty: "There are no services. Declare some: cloudwright apply -f cloud.yaml") {
                var table = Table(
                    .left("name"), .left("owner"), .right("instances"), .right("up"), .right("maximum"),
                    .right("in flight"), .right("queued"), .right("consumers"), .right("rejected"))
                for service in services {
                    let up = service.instances.count { $0.operational == .up }
                    let load = service.load
                    table.add(
                        Table.Cell(service.id), Table.Cell(service.owner), Table.Cell(service.instances.count),
                        Table.Cell(String(up), up == 0 ? .bad : .good),
                        Table.Cell(service.constraints.maximumInstances), Table.Cell(load?.requestsInFlight),
                        Table.Cell(load?.requestsQueued), Table.Cell(load?.activeConsumers),
                        Table.Cell(load?.rejected))
                }
                return table
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one service.")
        @Argument(help: "The service's name.") var service: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let found = try await options.client().service(service)
            try options.show(found) { Self.text(found, inColour: Terminal.current.hasColour) }
        }

        static func text(_ service: API.Service, inColour: Bool) -> String {
            let routes = service.routes.map { ($0.host ?? "*") + $0.pathPrefix }.joined(separator: ", ")
            var facts = Table(.left("service"), .left(service.id))
            facts.add("owner", Table.Cell(service.owner))
            facts.add("routes", Table.Cell(service.listen.map { "tcp://\($0)" } ?? routes))
            facts.add("access", Table.Cell(service.access.rawValue))
            facts.add("load balancing", Table.Cell(service.algorithm))
            facts.add("failover group", Table.Cell(service.failoverGroup))
            facts.add("in flight", Table.Cell(service.load?.requestsInFlight))
            facts.add("active consumers", Table.Cell(service.load?.activeConsumers))
            return facts.rendered(inColour: inColour) + "\n"
                + ConstraintCommand.table([service]).rendered(inColour: inColour) + "\n"
                + InstanceCommands.table(service.instances).rendered(inColour: inColour)
        }
    }
}

struct InstanceCommands: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "instance", abstract: "Service instances.",
        subcommands: [List.self, Drain.self, Enable.self, Maintenance.self, Restart.self])

    static func table(_ instances: [API.Instance]) -> Table {
        var table = Table(
            .left("instance"), .left("service"), .left("state"), .left("admin"), .left("role"), .left("endpoint"),
            .right("starts"), .left("up since"))
        for instance in instances {
            table.add(
                Table.Cell(instance.id), Table.Cell(instance.service), Formats.state(instance),
                Table.Cell(
                    instance.administrative.rawValue, instance.administrative == .enabled ? .plain : .doubtful),
                Table.Cell(instance.role.rawValue), Table.Cell(instance.endpoint), Table.Cell(instance.incarnation),
                Table.Cell(Formats.time(instance.upSince)))
        }
        return table
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the instances.")
        @Option(help: "Only instances of this service.") var service: String?
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let instances = try await options.client().instances(of: service)
            try options.show(instances, empty: "There are no instances. See: cloudwright service list") {
                InstanceCommands.table(instances)
            }
        }
    }

    struct Drain: InstanceChange {
        static let command = InstanceCommand.drain
        static let configuration = CommandConfiguration(
            abstract: "Give an instance no more requests and let it finish what it has.")
        @OptionGroup var change: InstanceChangeOptions
    }

    struct Enable: InstanceChange {
        static let command = InstanceCommand.enable
        static let configuration = CommandConfiguration(abstract: "Give an instance requests again.")
        @OptionGroup var change: InstanceChangeOptions
    }

    struct Maintenance: InstanceChange {
        static let command = InstanceCommand.maintenance
        static let configuration = CommandConfiguration(abstract: "Give an instance no work at all.")
        @OptionGroup var change: InstanceChangeOptions
    }

    struct Restart: InstanceChange {
        static let command = InstanceCommand.restart
        static let configuration = CommandConfiguration(abstract: "Drain an instance and start it anew.")
        @OptionGroup var change: InstanceChangeOptions
    }
}

struct InstanceChangeOptions: ParsableArguments {
    @Argument(help: "The instance's name.") var instance: String
    @Flag(help: "Wait until it is done; exit with 1 if it fails.") var wait = false
    @OptionGroup var options: GlobalOptions
}

/// A command to one instance, which is an operation.
protocol InstanceChange: AsyncParsableCommand {
    static var command: InstanceCommand { get }
    var change: InstanceChangeOptions { get }
}

extension InstanceChange {
    func run() async throws {
        let client = try change.options.client()
        let begun = try await client.command(Self.command, instance: change.instance)
        try await OperationCommand.report(begun, client: client, wait: change.wait, options: change.options)
    }
}

struct ConstraintCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "constraint", abstract: "Workload constraints.", subcommands: [List.self, Set.self])

    static func table(_ services: [API.Service]) -> Table {
        var table = Table(.left("service"), .left("constraint"), .right("value"))
        for service in services {
            for kind in API.ConstraintKind.allCases {
                table.add(
                    Table.Cell(service.id), Table.Cell(kind.rawValue),
                    Table.Cell(service.constraints.value(of: kind).map { String($0) } ?? "none"))
            }
        }
        return table
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the constraints of one service, or of all.")
        @Argument(help: "The service's name.") var service: String?
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let client = try options.client()
            let services: [API.Service] =
                if let service { [try await client.service(service)] } else { try await client.services() }
            let constraints = Dictionary(uniqueKeysWithValues: services.map { ($0.id, $0.constraints) })
            guard options.output == .table else { return try options.show(constraints) { "" } }
            try options.show(services, empty: "There are no services. Declare some: cloudwright apply -f cloud.yaml") {
                ConstraintCommand.table(services)
            }
        }
    }

    struct Set: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Set or lift one constraint; it takes effect at once.",
            discussion: "Example: cloudwright constraint set shop maximum-instances 5")
        @Argument(help: "The service's name.") var service: String
        @Argument(help: "The constraint: \(API.ConstraintKind.allCases.map(\.rawValue).joined(separator: ", ")).")
        var constraint: API.ConstraintKind
        @Argument(help: "The new value, or 'none' to lift the limit.") var value: String
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            guard value == "none" || Int(value) != nil else {
                throw ValidationError("'\(value)' is no whole number; give one, or 'none' to lift the limit.")
            }
        }

        func run() async throws {
            let client = try options.client()
            let present = try await client.constraints(of: service)
            let before = present.value.value(of: constraint)
            let after = try await client.setConstraint(
                of: service, API.ConstraintChange(constraint: constraint, value: Int(value)), ifMatch: present.tag)
            try options.show(after) {
                func text(_ value: Int?) -> String { value.map { String($0) } ?? "none" }
                return "\(service): \(constraint.rawValue) \(text(before)) → \(text(after.value(of: constraint)))"
            }
        }
    }
}

extension API.Constraints {
    func value(of kind: API.ConstraintKind) -> Int? {
        switch kind {
        case .maximumInstances: maximumInstances
        case .concurrentRequestsPerInstance: concurrentRequestsPerInstance
        case .activeConsumersPerInstance: activeConsumersPerInstance
        case .concurrentRequestsPerConsumer: concurrentRequestsPerConsumer
        case .requestsPerSecondPerConsumer: requestsPerSecondPerConsumer
        }
    }
}

struct FailoverCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "failover", abstract: "Failover groups.", subcommands: [List.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the failover groups and their members.")
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let groups = try await options.client().failoverGroups()
            try options.show(groups, empty: "There are no failover groups.") {
                var table = Table(
                    .left("group"), .left("service"), .left("mode"), .left("implementation"), .left("role"),
                    .left("state"))
                for group in groups {
                    for instance in group.instances {
                        table.add(
                            Table.Cell(group.id), Table.Cell(group.service), Table.Cell(group.mode.rawValue),
                            Table.Cell(instance.id), Table.Cell(instance.role.rawValue), Formats.state(instance))
                    }
                    if group.instances.isEmpty {
                        table.add(
                            Table.Cell(group.id), Table.Cell(group.service), Table.Cell(group.mode.rawValue),
                            Table.Cell(nil as String?), Table.Cell(nil as String?), Table.Cell("none yet", .doubtful))
                    }
                }
                return table
            }
        }
    }
}

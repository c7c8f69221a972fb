import AdministrationAPI
import AdministrationClient
import ArgumentParser
import Foundation

struct EventCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "event", abstract: "The platform event log.", subcommands: [List.self, Follow.self])

    struct FilterOptions: ParsableArguments {
        @Option(help: "Only events of this service.") var service: String?
        @Option(help: "Only events of this instance.") var instance: String?
        @Option(help: "Only events whose kind begins with this.") var kind: String?
        @Option(help: "Only steps of this mechanism.") var mechanism: API.Mechanism?

        var filter: EventFilter {
            var filter = EventFilter()
            filter.service = service
            filter.instance = instance
            filter.kindPrefix = kind
            filter.mechanism = mechanism
            return filter
        }
    }

    /// One line an event; times to the millisecond.
    static func line(_ event: API.Event) -> String {
        "\(Formats.time(event.at))  \(event.position)  \(event.kind)  \(Table.printable(event.summary))"
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the newest events.")
        @OptionGroup var filter: FilterOptions
        @OptionGroup var period: PeriodOptions
        @Option(help: "So many at most, the newest.") var last = 50
        @OptionGroup var options: GlobalOptions

        func validate() throws { try validateCount(last) }

        func run() async throws {
            var asked = filter.filter
            (asked.from, asked.until) = period.rfc3339
            let events = try await options.client().events(asked, newest: last)
            try options.show(events, empty: "No events match.") {
                var table = Table(.right("position"), .left("at"), .left("kind"), .left("actor"), .left("summary"))
                for event in events {
                    table.add(
                        Table.Cell(event.position), Table.Cell(Formats.time(event.at)), Table.Cell(event.kind),
                        Table.Cell(event.actor), Table.Cell(Table.printable(event.summary)))
                }
                return table
            }
        }
    }

    struct Follow: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print events as they come, until interrupted.",
            discussion: "With -o json one JSON object a line. A broken connection is made anew, without a gap.")
        @OptionGroup var filter: FilterOptions
        @Option(help: "Begin after this position; without it with the next event.") var after: Int64?
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let client = try options.client()
            Terminal.current.progress("Following the event log of \(client.server); end with Ctrl-C.")
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            for try await event in client.followEvents(filter.filter, after: after) {
                switch options.output {
                case .table: Terminal.current.output(EventCommand.line(event))
                case .json: Terminal.current.output(String(decoding: try encoder.encode(event), as: UTF8.self))
                case .yaml: try options.show([event]) { "" }
                }
            }
        }
    }
}

struct TimelineCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "timeline", abstract: "Show runs of the mechanisms step by step.",
        discussion: "Mechanisms: \(API.Mechanism.allCases.map(\.rawValue).joined(separator: ", ")).")
    @Option(help: "Only runs of this mechanism.") var mechanism: API.Mechanism?
    @Option(help: "Only runs of this service.") var service: String?
    @Option(help: "Only this run.") var incident: String?
    @Option(help: "So many runs of each mechanism, the newest.") var last = 3
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard (1...100).contains(last) else { throw ValidationError("--last must be from 1 to 100.") }
    }

    func run() async throws {
        let runs = try await options.client().timelines(
            mechanism: mechanism, service: service, incident: incident, last: last)
        guard options.output != .table || !runs.isEmpty else {
            return Terminal.current.note("No run was recorded for this. A mechanism's steps are recorded when it acts.")
        }
        try options.show(runs) {
            runs.map { Self.text($0, inColour: Terminal.current.hasColour) }.joined(separator: "\n")
        }
    }

    static func text(_ run: API.Timeline, inColour: Bool) -> String {
        let about = [run.service, run.instance, run.consumer].compactMap { $0 }.joined(separator: ", ")
        var table = Table(.left("step"), .left("at"), .right("since start"), .left("what happened"))
        for step in run.steps {
            table.add(
                Table.Cell(step.number), Table.Cell(Formats.clock(step.at)),
                Table.Cell(Formats.sinceStart(step.sinceStartMicroseconds)),
                Table.Cell(Table.printable(step.summary)))
        }
        let title = "\(run.mechanism.rawValue)  \(about)  \(Formats.time(run.startedAt))  (\(run.incident))"
        return title + "\n" + table.rendered(inColour: inColour)
    }
}

struct NotificationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "notification", abstract: "What people were told.",
        subcommands: [List.self, AcceptLink.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the newest notifications.")
        @Option(help: "So many at most.") var last = 20
        @OptionGroup var options: GlobalOptions

        func validate() throws { try validateCount(last) }

        func run() async throws {
            let notifications = try await options.client().notifications(maximum: last)
            try options.show(notifications, empty: "Nobody was told anything yet.") {
                var table = Table(
                    .left("at"), .left("severity"), .left("for"), .left("service"), .left("title"),
                    .left("delivered"))
                for notification in notifications {
                    let tone: Table.Tone =
                        switch notification.severity {
                        case .info: .plain
                        case .warning: .doubtful
                        case .critical: .bad
                        }
                    let deliveries = notification.deliveries.sorted { $0.key < $1.key }
                        .map { "\($0.key): \($0.value)" }
                    table.add(
                        Table.Cell(Formats.time(notification.at)), Table.Cell(notification.severity.rawValue, tone),
                        Table.Cell(notification.consumer ?? "administrators"), Table.Cell(notification.service),
                        Table.Cell(Table.printable(notification.title)),
                        Table.Cell(Table.printable(deliveries.joined(separator: "; "))))
                }
                return table
            }
        }
    }

    struct AcceptLink: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "accept-link", abstract: "Make the change that a notification's link offers.",
            discussion: "The link works once and needs no token of its own. With --show nothing is changed.")
        @Argument(help: "The whole link, or its last part.") var link: String
        @Flag(help: "Only show the change.") var show = false
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let named = URL(string: link).flatMap { $0.scheme == nil ? nil : $0 }
            let token = named?.lastPathComponent ?? link
            // The link says which server it is for.
            var server = options.serverAddress
            if let named, let scheme = named.scheme, let host = named.host {
                let bare = host.contains(":") ? "[\(host)]" : host
                server = "\(scheme)://\(bare)" + (named.port.map { ":\($0)" } ?? "")
            }
            let client = try AdministrationClient(server: server, token: nil, timeoutSeconds: options.timeout)
            let offer =
                show ? try await client.offer(ofLink: token) : try await client.acceptOffer(ofLink: token)
            try options.show(offer) {
                "\(offer.service): \(offer.constraint.rawValue) \(offer.from) → \(offer.to)"
                    + (show ? " (offered, not changed)" : "")
            }
        }
    }
}

struct IncidentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "incident", abstract: "What goes wrong now.", subcommands: [List.self])

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the open incidents.")
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let incidents = try await options.client().incidents()
            try options.show(incidents, empty: "No incident is open.") {
                var table = Table(
                    .left("since"), .left("kind"), .left("service"), .left("instance"), .left("constraint"),
                    .left("consumers"), .left("incident"))
                for incident in incidents {
                    table.add(
                        Table.Cell(Formats.time(incident.openedAt)), Table.Cell(incident.kind, .bad),
                        Table.Cell(incident.service), Table.Cell(incident.instance),
                        Table.Cell(incident.constraint?.rawValue),
                        Table.Cell(incident.consumers.isEmpty ? nil : incident.consumers.joined(separator: ",")),
                        Table.Cell(incident.id))
                }
                return table
            }
        }
    }
}

struct OperationCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "operation", abstract: "Asynchronous tasks.", subcommands: [List.self, Show.self])

    /// Between two looks at an operation that is waited for.
    private static let pollInterval = Duration.milliseconds(250)

    static func table(_ operations: [API.Operation]) -> Table {
        var table = Table(
            .left("operation"), .left("kind"), .left("state"), .left("service"), .left("instance"), .left("host"),
            .left("progress"), .left("actor"), .left("started"), .left("ended"), .left("failure"))
        for operation in operations {
            table.add(
                Table.Cell(operation.id), Table.Cell(operation.kind), Formats.state(operation),
                Table.Cell(operation.service), Table.Cell(operation.instance), Table.Cell(operation.host),
                Table.Cell(operation.progress.map { "\($0.done)/\($0.total)" }), Table.Cell(operation.actor),
                Table.Cell(Formats.time(operation.startedAt)), Table.Cell(Formats.time(operation.endedAt)),
                Table.Cell(operation.failure.map(Table.printable)))
        }
        return table
    }

    /// Shows the operation as it is, or as it ended; a failed one is the command's failure.
    static func report(
        _ begun: API.Operation, client: AdministrationClient, wait: Bool, options: GlobalOptions
    ) async throws {
        var operation = begun
        let deadline = ContinuousClock.now.advanced(by: .seconds(options.timeout))
        if wait, operation.state == .running { Terminal.current.progress("Waiting for \(operation.id) …") }
        while wait, operation.state == .running {
            guard ContinuousClock.now < deadline else {
                throw CommandFailure(
                    """
                    \(operation.id) still runs after \(options.timeout) s; it goes on. Follow it with:
                    cloudwright operation show \(operation.id) --wait --timeout 600
                    """)
            }
            try await Task.sleep(for: pollInterval)
            let before = operation.progress
            operation = try await client.operation(operation.id)
            if let progress = operation.progress, progress != before {
                let waiting = progress.waiting.map { "; " + Table.printable($0) }.joined()
                Terminal.current.progress("\(progress.done) of \(progress.total) done\(waiting)")
            }
        }
        try options.show(operation) { table([operation]).rendered(inColour: Terminal.current.hasColour) }
        guard operation.state != .failed else {
            throw CommandFailure("\(operation.kind) failed: \(operation.failure ?? "the reason is not known")")
        }
    }

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List the newest operations.")
        @Option(help: "So many at most.") var last = 20
        @OptionGroup var options: GlobalOptions

        func validate() throws { try validateCount(last) }

        func run() async throws {
            let operations = try await options.client().operations(limit: last)
            try options.show(operations, empty: "No operation was asked for yet.") {
                OperationCommand.table(operations)
            }
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Show one operation; exit with 1 if it failed.")
        @Argument(help: "The operation's name.") var operation: String
        @Flag(help: "Wait until it has ended, up to --timeout.") var wait = false
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let client = try options.client()
            try await OperationCommand.report(
                try await client.operation(operation), client: client, wait: wait, options: options)
        }
    }
}

struct Health: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Say whether the platform works; exit with 1 if it does not.")
    @OptionGroup var options: GlobalOptions

    func run() async throws {
        let client = try AdministrationClient(
            server: options.serverAddress, token: nil, timeoutSeconds: options.timeout)
        let health = try await client.health()
        try options.show(health) {
            var table = Table(.left("part"), .left("state"))
            for (part, state) in health.parts.sorted(by: { $0.key < $1.key }) {
                table.add(Table.Cell(part), Table.Cell(Table.printable(state), state == "ok" ? .good : .bad))
            }
            return table.rendered(inColour: Terminal.current.hasColour)
        }
        guard health.healthy else {
            let broken = health.parts.filter { $0.value != "ok" }.keys.sorted()
            throw CommandFailure("not healthy: \(broken.joined(separator: ", "))")
        }
    }
}

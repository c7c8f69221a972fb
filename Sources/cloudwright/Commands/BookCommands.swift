import AdministrationAPI
import AdministrationClient
import ArgumentParser

struct UsageCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "usage", abstract: "What was used, as the pay-per-use monitor stored it.",
        subcommands: [Report.self, Records.self, Export.self, Push.self])

    enum Agent: String, ExpressibleByArgument, CaseIterable {
        case resource, monitoring, both
    }

    struct FilterOptions: ParsableArguments {
        @Option(help: "Only usage of this consumer.") var consumer: String?
        @Option(help: "Only usage of this service.") var service: String?
        @Option(help: "Only usage of this instance.") var instance: String?
        @OptionGroup var period: PeriodOptions

        var filter: UsageFilter {
            var filter = UsageFilter()
            filter.consumer = consumer
            filter.service = service
            filter.instance = instance
            (filter.from, filter.until) = period.rfc3339
            return filter
        }
    }

    struct Report: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Report usage by consumer, service and instance.",
            discussion: """
                The resource agent saw how long instances held their resources; the monitoring agent saw every request.
                """)
        @Option(help: "Whose figures: resource, monitoring or both.") var agent = Agent.both
        @OptionGroup var filter: FilterOptions
        @Option(help: ArgumentHelp("One line for each period: 1h, 1d; needs --from.", valueName: "length"))
        var period: String?
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            guard let period else { return }
            guard TypedTime.span(period) != nil else {
                throw ValidationError("--period '\(period)' is no length of time; give 15m, 1h or 1d.")
            }
            guard filter.period.from != nil else { throw ValidationError("--period needs --from.") }
        }

        func run() async throws {
            var asked = filter.filter
            asked.periodSeconds = period.flatMap(TypedTime.span).map { $0.microseconds / 1_000_000 }
            let report = try await options.client().usage(asked)
            guard options.output == .table else {
                return try options.show(UsageTables.part(report, for: agent)) { "" }
            }
            let tables = UsageTables.tables(report, for: agent)
            guard !tables.isEmpty else {
                return Terminal.current.note("No usage was stored for this. Send some requests, or widen the period.")
            }
            let texts = tables.map { $0.title + "\n" + $0.table.rendered(inColour: Terminal.current.hasColour) }
            Terminal.current.output(texts.joined(separator: "\n"))
        }
    }

    struct Records: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "List single requests, the newest first.")
        @OptionGroup var filter: FilterOptions
        @Option(help: "So many at most.") var last = 20
        @OptionGroup var options: GlobalOptions

        func validate() throws { try validateCount(last) }

        func run() async throws {
            let records = try await options.client().usageRecords(filter.filter, limit: last)
            try options.show(records, empty: "No requests were stored for this.") {
                var table = Table(
                    .left("received"), .left("request"), .left("consumer"), .left("service"), .left("instance"),
                    .left("outcome"), .right("status"), .right("in"), .right("out"))
                for record in records {
                    table.add(
                        Table.Cell(Formats.time(record.receivedAt)), Table.Cell(record.requestID),
                        Table.Cell(record.consumer), Table.Cell(record.service), Table.Cell(record.instance),
                        Table.Cell(record.outcome.rawValue, record.outcome == .completed ? .plain : .doubtful),
                        Table.Cell(record.status), Table.Cell(Formats.bytes(record.bytesIn)),
                        Table.Cell(Formats.bytes(record.bytesOut)))
                }
                return table
            }
        }
    }
}

func validateCount(_ count: Int) throws {
    guard (1...API.maximumPageSize).contains(count) else {
        throw ValidationError("--last must be from 1 to \(API.maximumPageSize).")
    }
}

enum UsageTables {
    /// What is left of the report when only one agent is asked for.
    static func part(_ report: API.UsageReport, for agent: UsageCommand.Agent) -> API.UsageReport {
        var report = report
        if agent == .resource { (report.monitoringAgent, report.sideBySide) = ([], []) }
        if agent == .monitoring { (report.resourceAgent, report.sideBySide, report.anomalies) = ([], [], []) }
        return report
    }

    static func tables(_ report: API.UsageReport, for agent: UsageCommand.Agent) -> [(title: String, table: Table)] {
        let part = part(report, for: agent)
        var tables: [(title: String, table: Table)] = []
        if !part.resourceAgent.isEmpty { tables.append(("Resource agent: what instances held", held(part))) }
        if !part.monitoringAgent.isEmpty { tables.append(("Monitoring agent: what requests moved", moved(part))) }
        if !part.sideBySide.isEmpty { tables.append(("Side by side", sideBySide(part))) }
        if !part.anomalies.isEmpty {
            tables.append(("What does not fit in the resource agent's events", anomalies(part)))
        }
        return tables
    }

    private static func held(_ report: API.UsageReport) -> Table {
        var table = Table(
            .left("period"), .left("payer"), .left("service"), .left("instance"), .right("running"),
            .right("cpu (core h)"), .right("memory (gib h)"), .left("end"))
        for line in report.resourceAgent {
            table.add(
                Table.Cell(Formats.time(line.periodStart)), Table.Cell(line.owner), Table.Cell(line.service),
                Table.Cell(line.instance), Table.Cell(Formats.duration(microseconds: line.runningMicroseconds)),
                Table.Cell(Formats.hours(ofSeconds: line.cpuMillicoreSeconds, per: 1_000)),
                Table.Cell(Formats.hours(ofSeconds: line.memoryByteSeconds, per: 1_073_741_824)),
                line.inferred ? Table.Cell("inferred", .doubtful) : "-")
        }
        return table
    }

    private static func moved(_ report: API.UsageReport) -> Table {
        var table = Table(
            .left("period"), .left("consumer"), .left("service"), .left("instance"), .right("requests"),
            .right("rejected"), .right("failed"), .right("in"), .right("out"), .right("busy"))
        for line in report.monitoringAgent {
            table.add(
                Table.Cell(Formats.time(line.periodStart)), Table.Cell(line.consumer), Table.Cell(line.service),
                Table.Cell(line.instance), Table.Cell(line.requests), Table.Cell(line.rejected),
                Table.Cell(String(line.failed), line.failed > 0 ? .bad : .plain),
                Table.Cell(Formats.bytes(line.bytesIn)), Table.Cell(Formats.bytes(line.bytesOut)),
                Table.Cell(Formats.duration(microseconds: line.busyMicroseconds)))
        }
        return table
    }

    private static func sideBySide(_ report: API.UsageReport) -> Table {
        var table = Table(
            .left("period"), .left("service"), .left("instance"), .right("running (resource)"),
            .right("busy (monitoring)"), .right("requests"), .left("finding"))
        for line in report.sideBySide {
            table.add(
                Table.Cell(Formats.time(line.periodStart)), Table.Cell(line.service), Table.Cell(line.instance),
                Table.Cell(Formats.duration(microseconds: line.runningMicroseconds)),
                Table.Cell(Formats.duration(microseconds: line.busyMicroseconds)), Table.Cell(line.requests),
                finding(line.finding))
        }
        return table
    }

    private static func finding(_ finding: API.UsageFinding) -> Table.Cell {
        switch finding {
        case .consistent: Table.Cell(finding.rawValue, .good)
        case .unwatched: Table.Cell(finding.rawValue)
        case .unused, .inferred: Table.Cell(finding.rawValue, .doubtful)
        case .servedWithoutRunning: Table.Cell(finding.rawValue, .bad)
        }
    }

    private static func anomalies(_ report: API.UsageReport) -> Table {
        var table = Table(.left("service"), .left("instance"), .right("start"), .left("what"), .left("at"))
        for anomaly in report.anomalies {
            table.add(
                Table.Cell(anomaly.service), Table.Cell(anomaly.instance), Table.Cell(anomaly.incarnation),
                Table.Cell(anomaly.kind.rawValue, .doubtful), Table.Cell(Formats.time(anomaly.at)))
        }
        return table
    }
}

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Logins, as the audit monitor stored them, and whether the books are as sealed.",
        subcommands: [Report.self, Export.self, Erase.self, Verify.self, Key.self])

    struct Report: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Report logins, or rank the failed ones.",
            discussion: "The service 'administration' is the platform itself.")
        @Flag(help: "Only failed logins.") var failed = false
        @Flag(help: "Rank principals and addresses by their failed logins.") var ranking = false
        @Option(help: "Only logins that ended so: success, failure or unknown.") var outcome: API.LoginOutcome?
        @Option(help: "Only logins to this service.") var service: String?
        @Option(help: "Only logins of this principal.") var principal: String?
        @Option(help: "Only logins from this address.") var source: String?
        @Option(help: "Only logins whose request carried this consumer's key.") var consumer: String?
        @OptionGroup var period: PeriodOptions
        @Option(help: "So many at most, the newest.") var last = 50
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            try validateCount(last)
            guard !failed || outcome == nil || outcome == .failure else {
                throw ValidationError("--failed and --outcome \(outcome?.rawValue ?? "") exclude each other.")
            }
            guard !ranking || (outcome == nil && consumer == nil) else {
                throw ValidationError("--ranking is of failed logins; it goes with neither --outcome nor --consumer.")
            }
        }

        func run() async throws {
            var filter = AuditFilter()
            filter.service = service
            filter.principal = principal
            filter.sourceAddress = source
            filter.consumer = consumer
            filter.outcome = failed ? .failure : outcome
            (filter.from, filter.until) = period.rfc3339
            let client = try options.client()
            if ranking {
                let found = try await client.failedLogins(filter, limit: last)
                try options.show(found, empty: "No failed logins.") { Self.ranking(found) }
            } else {
                let found = try await client.auditEvents(filter, newest: last)
                try options.show(found, empty: "No logins were stored for this.") { Self.events(found) }
            }
        }

        static func events(_ events: [API.AuditEvent]) -> Table {
            var table = Table(
                .left("at"), .left("service"), .left("principal"), .left("credential"), .left("from"),
                .left("outcome"), .left("reason"), .right("status"))
            for event in events {
                let tone: Table.Tone =
                    switch event.outcome {
                    case .success: .good
                    case .failure: .bad
                    case .unknown: .doubtful
                    }
                table.add(
                    Table.Cell(Formats.time(event.receivedAt)), Table.Cell(event.service),
                    Table.Cell(Self.name(event.principal)), Table.Cell(event.credentialKind.rawValue),
                    Table.Cell(event.sourceAddress), Table.Cell(event.outcome.rawValue, tone),
                    Table.Cell(Table.printable(event.reason)), Table.Cell(event.status))
            }
            return table
        }

        static func ranking(_ logins: [API.FailedLogins]) -> Table {
            var table = Table(
                .right("failures"), .right("secrets tried"), .left("principal"), .left("from"), .left("first"),
                .left("last"))
            for login in logins {
                table.add(
                    Table.Cell(login.failures), Table.Cell(login.distinctCredentials),
                    Table.Cell(Self.name(login.principal)), Table.Cell(login.sourceAddress),
                    Table.Cell(Formats.time(login.firstAt)), Table.Cell(Formats.time(login.lastAt)))
            }
            return table
        }

        /// What a request says of itself is shown without what could steer the terminal.
        private static func name(_ principal: String) -> String {
            principal.isEmpty ? "(not given)" : Table.printable(principal)
        }
    }
}

import AdministrationAPI
import AdministrationClient
import ArgumentParser
import CloudModel
import CloudPorts
import Foundation
import RemoteAdministration
import ScalingListener
import ScalingReplay

/// `cloudwright scaling`: which policy to choose, and why the last decision was taken.
struct ScalingCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scaling", abstract: "Scaling policies: replay history through them, and explain decisions.",
        subcommands: [Replay.self, Recommend.self, RecommendSize.self, Explain.self, Report.self])

    static func kind(_ text: String) throws -> ScalingPolicySettings.Kind {
        if let kind = ScalingPolicySettings.Kind(rawValue: text) { return kind }
        let known = ScalingPolicySettings.Kind.allCases.map(\.rawValue).joined(separator: ", ")
        throw ValidationError("'\(text)' is no policy; known are: \(known).")
    }

    struct Replay: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Replay a recorded load through every scaling policy: cost, misses, actions.",
            discussion: """
                Nothing is changed and no server is asked. Costs are instance-hours over those of one who knows the \
                future. MISSED is the part of the time, and of the work, that came when there was no capacity for it.
                """)
        @OptionGroup var source: HistoryOptions
        @Option(help: "Only policies of this kind; may be repeated.", transform: ScalingCommand.kind)
        var policy: [ScalingPolicySettings.Kind] = []
        @Option(help: "So many policies at most, the cheapest that kept the budget first.") var top = 15
        @Option(help: ArgumentHelp("Write a chart of load, supply and misses: .svg or .html.", valueName: "file"))
        var chart: String?
        @Option(name: [.customShort("o"), .long], help: "How to print: table or json.")
        var output = OutputFormat.table

        func validate() throws {
            try validateCount(top)
            guard source.service == nil || source.logDatabase != nil else {
                throw ValidationError("--log-database and --service go together.")
            }
            guard output != .yaml else { throw ValidationError("-o yaml is not offered here; take table or json.") }
            if let chart, !chart.hasSuffix(".svg"), !chart.hasSuffix(".html") {
                throw ValidationError("--chart '\(chart)' must end in .svg or .html.")
            }
        }

        func run() async throws {
            let settings = try source.settings()
            let trace = try await source.trace()
            let comparison = ReplayComparison(trace, settings, kinds: policy.isEmpty ? nil : Set(policy))
            if let chart { try ReplayReport.writeChart(comparison, trace, to: chart) }
            try ReplayReport.print(comparison, trace, top: top, output)
        }
    }

    struct Recommend: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Name the policy for a recorded load, with the configuration and the expected bill.",
            discussion: """
                The bill is what the instances would cost the service's owner in a calendar month by a price plan, \
                exact and rounded as bills are. No server is asked but for a plan or a service that is named and found \
                nowhere else.
                """)
        @OptionGroup var source: HistoryOptions
        @OptionGroup var rating: RatingOptions
        @Option(help: "Instead of a price plan: what an instance costs an hour, in any currency.")
        var pricePerHour: Double?
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            guard let price = pricePerHour else { return }
            guard price >= 0 && price < 1e9 else {
                throw ValidationError("--price-per-hour must be from 0 to 1000000000.")
            }
            guard rating.pricePlan == nil, rating.configuration == nil, rating.month == nil else {
                throw ValidationError("Give --price-per-hour or a price plan, not both.")
            }
        }

        func run() async throws {
            let settings = try source.settings()
            let basis = pricePerHour == nil ? try await rating.basis(source, options) : nil
            let trace = try await source.trace()
            let comparison = ReplayComparison(trace, settings)
            var answer = Recommendation(comparison, trace, pricePerHour: pricePerHour)
            if let basis { try answer.rate(comparison.recommended, basis, month: rating.month) }
            try options.show(answer) { answer.text(comparison) }
        }
    }

    struct Report: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Report a value of a metric that a service's scaling follows; it counts for a minute.")
        @Argument(help: "The service.") var service: String
        @Argument(help: "The metric, as spec.scaling.metrics names it.") var metric: String
        @Argument(help: "Its value over all instances, from 0 on.") var value: Int
        @OptionGroup var options: GlobalOptions

        func validate() throws {
            guard value >= 0 else { throw ValidationError("The value must be a whole number from 0 on.") }
        }

        func run() async throws { try await options.client().report(value, ofMetric: metric, of: service) }
    }

    struct Explain: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say why the last scaling decisions of a service were taken, from the event log.")
        @Argument(help: "The service.") var service: String
        @Option(help: "So many decisions, the newest.") var last = 1
        @Option(
            help: ArgumentHelp(
                "Without a server, from the log database: its file, or postgres:FILE with the connection string.",
                valueName: "file"))
        var logDatabase: String?
        @OptionGroup var options: GlobalOptions

        func validate() throws { try validateCount(last) }

        func run() async throws {
            // Also what a dry run would have decided; and which policy the platform has chosen by itself, if it has.
            let kinds = [("scaling.policy.chosen", 1), ("scaling.decided", last)]
            let events: [API.Event]
            if let logDatabase {
                events = try await stored(kinds, in: logDatabase)
            } else {
                events = try await asked(kinds)
            }
            guard options.output != .table || !events.isEmpty else {
                return Terminal.current.note("No scaling decision of '\(service)' is in the event log.")
            }
            try options.show(events) { events.map(Self.text).joined(separator: "\n") }
        }

        private func asked(_ kinds: [(prefix: String, count: Int)]) async throws -> [API.Event] {
            let client = try options.client()
            var events: [API.Event] = []
            for kind in kinds {
                var filter = EventFilter()
                filter.service = service
                filter.kindPrefix = kind.prefix
                events += try await client.events(filter, newest: kind.count)
            }
            return events
        }

        private func stored(_ kinds: [(prefix: String, count: Int)], in name: String) async throws -> [API.Event] {
            let database = try await AuditorFiles.database(name)
            do {
                var events: [API.Event] = []
                for kind in kinds {
                    var query = EventQuery()
                    query.service = ServiceID(service)
                    query.kindPrefix = kind.prefix
                    query.limit = kind.count
                    query.newest = true
                    events += try await database.events(query).elements.map { API.Event($0) }
                }
                await database.close()
                return events
            } catch {
                await database.close()
                throw error
            }
        }

        static func text(_ event: API.Event) -> String {
            let names = [
                ("policy", "policy"), ("before", "policy before"), ("from", "instances before"),
                ("to", "instances after"), ("reason", "reason"),
                ("sampledAt", "sample of"), ("requestsInFlight", "requests in flight"),
                ("requestsQueued", "requests queued"), ("activeConsumers", "active consumers"),
                ("metrics", "metrics"),
            ]
            var text = "\(Formats.time(event.at))  \(Table.printable(event.summary))\n"
            for (key, title) in names {
                guard let value = event.details[key] else { continue }
                text += "  \(title): \(Table.printable(value))\n"
            }
            return text
        }
    }
}

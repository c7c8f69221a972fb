import AdministrationAPI
import AdministrationClient
import ArgumentParser
import Foundation

extension UsageCommand {
    struct Export: AsyncParsableCommand {
        enum Format: String, ExpressibleByArgument, CaseIterable { case cloudevents }

        static let configuration = CommandConfiguration(
            abstract: "Print usage records as CloudEvents 1.0, one a line, the oldest first.",
            discussion: """
                Source and id name an event for good, so whoever takes them twice can tell. Reads part by part, so \
                memory does not grow with the records.
                """)
        @Option(help: "cloudevents: JSON event format.") var format = Format.cloudevents
        @Option(help: "Only usage of this consumer.") var consumer: String?
        @Option(help: "Only usage of this service.") var service: String?
        @OptionGroup var period: PeriodOptions
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            let client = try options.client()
            let (from, until) = period.rfc3339
            var cursor: String?
            repeat {
                let part = try await client.exportUsage(
                    consumer: consumer, service: service, from: from, until: until, after: cursor)
                let events = try JSONSerialization.jsonObject(with: Data(part.batch)) as? [Any] ?? []
                let lines = try events.map { event in
                    let line = try JSONSerialization.data(
                        withJSONObject: event, options: [.sortedKeys, .withoutEscapingSlashes])
                    return String(decoding: line, as: UTF8.self) + "\n"
                }
                if !lines.isEmpty { Terminal.current.output(lines.joined()) }
                cursor = part.next
            } while cursor != nil
        }
    }

    struct Push: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Report what a service has counted itself, from a file of CloudEvents.",
            discussion: """
                The file has a JSON array of CloudEvents 1.0, or one of them: subject is the consumer, data has \
                service, meter and quantity (as text). A price of meter event:NAME bills them. Sent again, nothing \
                changes; the same source and id with other content is refused.
                """)
        @Argument(help: "The file.") var file: String
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            guard let content = FileManager.default.contents(atPath: file) else {
                throw CommandFailure("\(file) cannot be read; give a file of CloudEvents")
            }
            let outcome = try await options.client().reportUsageEvents(Array(content))
            try options.show(outcome) { "\(outcome.stored) stored, \(outcome.duplicates) known before\n" }
        }
    }
}

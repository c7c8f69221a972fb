import AdministrationAPI
import AdministrationClient
import ArgumentParser

extension AuditCommand {
    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Print logins in a format that systems for security events read, a line each.",
            discussion: """
                ocsf: Open Cybersecurity Schema Framework, class Authentication (3002), JSON lines; cef: Common Event \
                Format; syslog: RFC 5424. The order is that of the audit log. Each line has its position: --after goes \
                on behind it. Reads part by part, so memory does not grow with the log.
                """)
        @Option(help: "ocsf, cef or syslog.") var format = API.AuditFormat.ocsf
        @Option(help: "Only logins to this service.") var service: String?
        @Option(help: "Only logins of this principal.") var principal: String?
        @Option(help: "Only logins from this address.") var source: String?
        @Option(help: "Only logins whose request carried this consumer's key.") var consumer: String?
        @Option(help: "Only logins that ended so: success, failure or unknown.") var outcome: API.LoginOutcome?
        @Option(help: "Only logins after this position of the audit log.") var after: UInt64?
        @OptionGroup var period: PeriodOptions
        @OptionGroup var options: GlobalOptions

        func run() async throws {
            var filter = AuditFilter()
            filter.service = service
            filter.principal = principal
            filter.sourceAddress = source
            filter.consumer = consumer
            filter.outcome = outcome
            (filter.from, filter.until) = period.rfc3339
            let client = try options.client()
            var cursor = after.map(String.init)
            repeat {
                let part = try await client.exportAuditEvents(filter, format: format, after: cursor)
                if !part.lines.isEmpty { Terminal.current.output(String(decoding: part.lines, as: UTF8.self)) }
                cursor = part.next
            } while cursor != nil
        }
    }
}

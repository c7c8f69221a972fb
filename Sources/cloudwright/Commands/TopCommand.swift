import AdministrationAPI
import AdministrationClient
import ArgumentParser
import Foundation

struct Top: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Watch what every service and instance is doing, until interrupted.",
        discussion: """
            Each line is what happened since the one before: requests that ended, p50 and p99 of their duration, \
            answers of 500 and more, attempts that an instance failed, refusals by the scaling listener, bytes. With \
            -o json one JSON array a line.
            """)
    @Option(help: "Only this service and its instances.") var service: String?
    @Option(help: ArgumentHelp("Between two looks, in seconds.", valueName: "seconds")) var interval = 2.0
    @Flag(help: "Look twice, print what happened in between, and end.") var once = false
    @OptionGroup var options: GlobalOptions

    func validate() throws {
        guard (0.1...3_600).contains(interval) else {
            throw ValidationError("--interval must be from 0.1 to 3600 seconds.")
        }
    }

    func run() async throws {
        let client = try options.client()
        let terminal = Terminal.current
        var before = try await client.traffic(of: service)
        if before.isEmpty, let service { throw CommandFailure("there is no traffic of a service '\(service)'") }
        while true {
            try await Task.sleep(for: .seconds(interval))
            let after = try await client.traffic(of: service)
            let rates = TrafficRates.between(before, after)
            if once {
                return try options.show(rates, empty: "No service has had a request since the gateway started.") {
                    Self.table(rates)
                }
            }
            if options.output == .table, terminal.isScreen { terminal.writeOutput("\u{1B}[H\u{1B}[2J") }
            try show(rates)
            before = after
        }
    }

    private func show(_ rates: [TrafficRates]) throws {
        switch options.output {
        case .table:
            Terminal.current.output(Self.table(rates).rendered(inColour: Terminal.current.hasColour) + "\n")
        case .json:
            let encoder = JSONEncoder()
            encoder.outputFormatting = [.sortedKeys, .withoutEscapingSlashes]
            Terminal.current.output(String(decoding: try encoder.encode(rates), as: UTF8.self))
        case .yaml: try options.show(rates) { "" }
        }
    }

    static func table(_ rates: [TrafficRates]) -> Table {
        var table = Table(
            .left("service"), .left("instance"), .right("req/s"), .right("in flight"), .right("p50"), .right("p99"),
            .right("err/s"), .right("fail/s"), .right("refused/s"), .right("in/s"), .right("out/s"))
        for row in rates {
            table.add(
                Table.Cell(row.service), Table.Cell(row.instance), Table.Cell(number(row.requestsPerSecond)),
                Table.Cell(row.requestsInFlight), Table.Cell(row.p50Microseconds.map(Formats.duration)),
                Table.Cell(row.p99Microseconds.map(Formats.duration)),
                Table.Cell(number(row.errorsPerSecond), row.errorsPerSecond > 0 ? .bad : .plain),
                Table.Cell(number(row.failuresPerSecond), row.failuresPerSecond > 0 ? .bad : .plain),
                Table.Cell(number(row.refusalsPerSecond), row.refusalsPerSecond > 0 ? .doubtful : .plain),
                Table.Cell(Formats.bytes(Int64(row.bytesInPerSecond))),
                Table.Cell(Formats.bytes(Int64(row.bytesOutPerSecond))))
        }
        return table
    }

    /// One decimal below a hundred, none above; nothing that is there is shown as zero.
    private static func number(_ rate: Double) -> String {
        if rate > 0, rate < 0.05 { return "<0.1" }
        if rate >= 100 { return String(Int64(rate.rounded())) }
        let tenths = Int64((rate * 10).rounded())
        return "\(tenths / 10).\(tenths % 10)"
    }
}

import ArgumentParser
import Foundation
import ScalingReplay

extension ScalingCommand {
    struct RecommendSize: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "recommend-size",
            abstract: "Say how much processor time a virtual server should have, from its recorded use.",
            discussion: """
                Nothing is changed and no server is asked. The rules are those of Kubernetes' Vertical Pod Autoscaler; \
                all numbers are millicores.
                """)
        @Argument(help: "A CSV file: timestamp_seconds,millicores that one server used.") var file: String
        @Option(help: "What the server has at the start.") var given = 1_000
        @Option(help: "What it may have (maximumCpuMillicores).") var maximum = 1_000_000
        @Option(name: [.customShort("o"), .long], help: "How to print: table or json.")
        var output = OutputFormat.table

        func validate() throws {
            guard given > 0, maximum > 0 else { throw ValidationError("Sizes must be above 0 millicores.") }
            guard output != .yaml else { throw ValidationError("-o yaml is not offered here; take table or json.") }
        }

        struct Answer: Encodable {
            var target: Int
            var lower: Int
            var upper: Int
            var meanGiven: Double
            var shortTimePercent: Double
            var changes: Int
        }

        func run() async throws {
            let bytes: Data
            do { bytes = try Data(contentsOf: URL(fileURLWithPath: file), options: .mappedIfSafe) } catch {
                throw CommandFailure("\(file) cannot be read: \(error.localizedDescription)")
            }
            let usage: LoadHistory
            do { usage = try CSVHistory.read(bytes) } catch { throw CommandFailure("\(file): \(error)") }
            let replay = VerticalReplay(usage, given: given, atMost: maximum)
            guard let size = replay.size else { throw CommandFailure("\(file) has no use to go by") }
            guard output == .table else {
                let encoder = JSONEncoder()
                encoder.outputFormatting = [.prettyPrinted, .sortedKeys]
                let answer = Answer(
                    target: size.target, lower: size.lower, upper: size.upper, meanGiven: replay.meanGiven,
                    shortTimePercent: replay.shortTime * 100, changes: replay.changes)
                return Terminal.current.output(String(decoding: try encoder.encode(answer), as: UTF8.self))
            }
            Terminal.current.output(
                """
                Give it \(min(size.target, maximum)) millicores; from \(size.lower) to \(size.upper) nothing needs to \
                change.
                Followed from the start it would have had \(Int(replay.meanGiven.rounded())) in the mean, with \
                \(replay.changes) changes, and been short for \(String(format: "%.2f", replay.shortTime * 100)) % of \
                the time.
                """)
        }
    }
}

import ArgumentParser
import CloudModel
import Foundation
import SimulatedCloud

/// `cloudwright simulate`: the control plane's decisions under faults, in virtual time.
struct Simulate: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        abstract: "Run the control plane's decisions against a simulated cloud full of faults.",
        discussion: """
            Instances crash, hang, start slowly or not at all; events are lost, doubled and late; clocks jump; the \
            control plane is restarted; notifications fail. An independent auditor checks the rules that must always \
            hold. A violation is printed with its seed and step; the same seed replays it exactly.
            """)

    @Option(help: "The first seed.")
    var seed: UInt64 = 1

    @Option(help: "How many seeds, one after the other from the first.")
    var seeds: Int = 1

    @Option(help: "Simulated hours for each seed.")
    var hours: Int = 1

    func validate() throws {
        guard (1...1_000_000).contains(seeds) else { throw ValidationError("--seeds is \(seeds); give 1 to 1000000") }
        guard (1...10_000).contains(hours) else { throw ValidationError("--hours is \(hours); give 1 to 10000") }
    }

    func run() async throws {
        let began = ContinuousClock.now
        var steps = 0
        for number in 0..<UInt64(seeds) {
            let report = simulate(seed: seed &+ number, hours: hours)
            steps += report.steps
            if seeds == 1 { Terminal.current.output(report.description) }
            if report.violation != nil {
                if seeds > 1 { Terminal.current.output(report.description) }
                throw ExitCode(1)
            }
        }
        guard seeds > 1 else { return }
        let took = ContinuousClock.now - began
        Terminal.current.output(
            "\(seeds) seeds of \(hours) simulated hours each: \(steps) steps, no violation, in \(took)")
    }
}

import CloudModel
import Foundation
import ScalingReplay

/// What `scaling replay` prints.
enum ReplayReport {
    /// One policy in JSON.
    struct Line: Encodable {
        var policy: String
        var kind: String?
        var costRatio: Double
        var instanceHours: Double
        var missedTimePercent: Double
        var missedWorkPercent: Double
        var keepsBudget: Bool
        var scaleOuts: Int
        var scaleIns: Int
        var underProvisioningPercent: Double
        var overProvisioningPercent: Double
        var underProvisionedTimePercent: Double
        var overProvisionedTimePercent: Double
        var instabilityPercent: Double
        var elasticSpeedup: Double?

        init(_ result: ReplayResult, _ comparison: ReplayComparison) {
            policy = result.name
            kind = result.kind?.rawValue
            costRatio = result.costRatio
            instanceHours = result.instanceHours
            missedTimePercent = result.missedTime * 100
            missedWorkPercent = result.missedWork * 100
            keepsBudget = result.missedTime <= comparison.settings.missBudget
            scaleOuts = result.scaleOuts
            scaleIns = result.scaleIns
            underProvisioningPercent = result.elasticity.underProvisioning
            overProvisioningPercent = result.elasticity.overProvisioning
            underProvisionedTimePercent = result.elasticity.underProvisionedTime
            overProvisionedTimePercent = result.elasticity.overProvisionedTime
            instabilityPercent = result.elasticity.instability
            elasticSpeedup = result.elasticity.speedup(over: comparison.fixed.elasticity)
        }
    }

    struct Document: Encodable {
        var steps: Int
        var stepSeconds: Double
        var clairvoyantInstanceHours: Double
        var missBudgetPercent: Double
        var tournament: Line
        var bestInHindsight: String?
        var fixed: Line
        var policies: [Line]
    }

    static func print(
        _ comparison: ReplayComparison, _ trace: DemandTrace, top: Int, _ output: OutputFormat
    ) throws {
        let tournament = comparison.tournament
        let budget = comparison.settings.missBudget
        guard output == .table else {
            return try json(
                Document(
                    steps: tournament.steps, stepSeconds: trace.step.inSeconds,
                    clairvoyantInstanceHours: tournament.clairvoyantHours, missBudgetPercent: budget * 100,
                    tournament: Line(tournament, comparison), bestInHindsight: comparison.best?.name,
                    fixed: Line(comparison.fixed, comparison),
                    policies: comparison.policies.map { Line($0, comparison) }))
        }
        var table = Table(
            .left("policy"), .right("cost"), .right("missed time"), .right("missed work"), .right("actions"),
            .right("under"), .right("over"), .right("instability"), .right("speed-up"), .left("budget"))
        let keeping = comparison.policies.filter { $0.missedTime <= budget }
        let others = comparison.policies.filter { $0.missedTime > budget }
        for result in [tournament, comparison.fixed] + (keeping + others).prefix(top) {
            let isKept = result.missedTime <= budget
            table.add(
                Table.Cell(result.name), Table.Cell(decimal(result.costRatio)),
                Table.Cell(percent(result.missedTime * 100)), Table.Cell(percent(result.missedWork * 100)),
                Table.Cell(result.actions), Table.Cell(percent(result.elasticity.underProvisioning)),
                Table.Cell(percent(result.elasticity.overProvisioning)),
                Table.Cell(percent(result.elasticity.instability)),
                Table.Cell(result.elasticity.speedup(over: comparison.fixed.elasticity).map(decimal)),
                Table.Cell(isKept ? "kept" : "broken", isKept ? .good : .bad))
        }
        Terminal.current.output(table.rendered(inColour: Terminal.current.hasColour))
        Terminal.current.note(
            "\(tournament.steps) steps; one who knows the future needs "
                + "\(decimal(tournament.clairvoyantHours)) instance-hours.")
    }

    static func writeChart(_ comparison: ReplayComparison, _ trace: DemandTrace, to path: String) throws {
        let replay = ScalingReplay.Replay(comparison.settings)
        var entries = [ReplayComparison.tournament(comparison.settings)]
        if let best = comparison.best {
            entries += ReplayComparison.catalogue(comparison.settings).all.filter { $0.name == best.name }
        }
        let charts = entries.map { ReplayChart.svg(trace, replay.run($0, on: trace, keepSupply: true)) }
        let text = path.hasSuffix(".svg") ? charts[0] : ReplayChart.html(charts, title: "Scaling replay")
        do {
            try Data(text.utf8).write(to: URL(fileURLWithPath: path), options: .atomic)
        } catch {
            throw CommandFailure("\(path) cannot be written: \(error.localizedDescription)")
        }
    }

    private static func json(_ value: some Encodable) throws {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        Terminal.current.output(String(decoding: try encoder.encode(value), as: UTF8.self))
    }

    static func decimal(_ value: Double) -> String { String(format: "%.2f", value) }
    static func percent(_ value: Double) -> String { String(format: "%.2f %%", value) }
}

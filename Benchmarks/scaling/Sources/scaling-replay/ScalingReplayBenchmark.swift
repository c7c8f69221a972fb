import CloudModel
import Foundation
import ScalingListener
import ScalingReplay

/// Replays a folder of traces and prints the tables of docs/autoscaling.md.
@main
struct ScalingReplayBenchmark {
    private static let settings = ReplaySettings()
    private static let week = TimeSpan.hours(7 * 24)

    struct Replayed {
        var name: String
        var days: Double
        var comparison: ReplayComparison
    }

    static func main() throws {
        guard CommandLine.arguments.count == 2 else {
            FileHandle.standardError.write(Data("usage: scaling-replay FOLDER-OF-CSV-TRACES\n".utf8))
            exit(2)
        }
        let folder = URL(fileURLWithPath: CommandLine.arguments[1], isDirectory: true)
        let names = try FileManager.default.contentsOfDirectory(atPath: folder.path)
            .filter { $0.hasSuffix(".csv") && !$0.contains("_wide_") }.sorted()
        var replayed: [Replayed] = []
        for name in names {
            let history = try CSVHistory.read(Data(contentsOf: folder.appendingPathComponent(name)))
            // Hours are too coarse for decisions of a minute.
            guard history.interval < .hours(1) else {
                print("left out: \(name), its points are \(Int(history.interval.inSeconds)) s apart")
                continue
            }
            let trace = try history.demand(step: .minutes(1), capacity: .meanInstances(12))
            let days = trace.step.inSeconds * Double(trace.demand.count) / 86_400
            replayed.append(Replayed(name: name, days: days, comparison: ReplayComparison(trace, settings)))
        }
        tournamentTable(replayed)
        let long = replayed.filter { $0.days >= 7 }
        unchangedTable(long)
        flapping()
        speed()
    }

    /// The most actions on a constant load at 70 % of the target with its noise, by ten seeds, two days each, after the
    /// first hour.
    private static func flapping() {
        let replay = Replay(settings)
        let entries = ReplayComparison.catalogue(settings).all + [ReplayComparison.tournament(settings)]
        var worst = (name: "", aDay: 0.0)
        var inAnHour = 0
        for entry in entries {
            for seed in UInt64(1)...10 {
                let load = NoisyLoad.constant(seed: seed, minutes: 2_880)
                let steps = replay.run(entry, on: load, keepSupply: true).actionSteps.filter { $0 >= 60 }
                if Double(steps.count) / 2 > worst.aDay { worst = (entry.name, Double(steps.count) / 2) }
                for first in steps.indices {
                    inAnHour = max(inAnHour, steps[first...].prefix { $0 < steps[first] + 60 }.count)
                }
            }
        }
        print(
            "\nnoisy constant load, \(entries.count) policies, 10 seeds: at most \(inAnHour) action in an hour; "
                + "the most in a day is \(text(worst.aDay, 1)) (\(worst.name))")
    }

    private static func tournamentTable(_ replayed: [Replayed]) {
        print("\n| trace | days | best single in hindsight | its cost : missed | tournament | against the best |")
        print("|---|---|---|---|---|---|")
        for one in replayed {
            let tournament = one.comparison.tournament
            let best = one.comparison.best
            let against = best.map { text(100 * (tournament.costRatio / $0.costRatio - 1), 1) + " %" } ?? "-"
            print(
                "| \(one.name.dropLast(4)) | \(text(one.days, 1)) | \(best?.name ?? "none kept the budget") "
                    + "| \(best.map(cell) ?? "-") | \(cell(tournament)) | \(against) |")
        }
    }

    /// What one policy, unchanged, does on all traces of a week or more.
    private static func unchangedTable(_ replayed: [Replayed]) {
        guard let first = replayed.first else { return }
        let names = first.comparison.policies.map(\.name) + [first.comparison.tournament.name]
        var rows: [(name: String, cost: Double, worst: Double, kept: Int, actions: Double)] = []
        for name in names {
            let results = replayed.compactMap { one in
                (one.comparison.policies + [one.comparison.tournament]).first { $0.name == name }
            }
            let count = Double(max(1, results.count))
            rows.append(
                (
                    name, results.reduce(0) { $0 + $1.costRatio } / count, results.map(\.missedTime).max() ?? 0,
                    results.filter { $0.missedTime <= settings.missBudget }.count,
                    zip(results, replayed).reduce(0) { $0 + Double($1.0.actions) / $1.1.days } / count
                ))
        }
        print("\n| unchanged policy | mean cost | worst missed | budget kept | actions a day |\n|---|---|---|---|---|")
        let cheapestOfKind = Dictionary(grouping: rows) { $0.name.split(separator: " ")[0] }
            .compactMap { $0.value.min { ($1.kept, $0.cost) < ($0.kept, $1.cost) } }
        for row in cheapestOfKind.sorted(by: { ($1.kept, $0.cost) < ($0.kept, $1.cost) }) {
            print(
                "| \(row.name) | \(text(row.cost, 2)) | \(text(row.worst * 100, 2)) % "
                    + "| \(row.kept) of \(replayed.count) | \(text(row.actions, 1)) |")
        }
    }

    /// How long a week of minutes takes through everything, and what a decision of the tournament costs.
    private static func speed() {
        var demand: [Double?] = []
        for minute in 0..<10_080 {
            demand.append(12 + 6 * sin(Double(minute) / 229) + Double(minute * 7_919 % 97) / 50)
        }
        let trace = DemandTrace(startsAt: .epoch, step: .minutes(1), demand: demand)
        let clock = ContinuousClock()
        let replay = Replay(settings)
        let catalogue = ReplayComparison.catalogue(settings).all
        let all = clock.measure { for entry in catalogue { _ = replay.run(entry, on: trace) } }
        let tournament = clock.measure { _ = replay.run(ReplayComparison.tournament(settings), on: trace) }
        let perDecision = Double(tournament.components.attoseconds) / 1e18 + Double(tournament.components.seconds)
        let microseconds = perDecision / Double(demand.count) * 1e6
        print("\n\(catalogue.count) parameter sets on a week of minutes: \(all)")
        print(
            "the tournament: \(text(microseconds, 1)) us a decision; 1000 services that decide every 15 s take "
                + "\(text(microseconds * 1_000 / 15 / 1e6 * 100, 2)) % of a core")
    }

    private static func cell(_ result: ReplayResult) -> String {
        "\(text(result.costRatio, 2)) : \(text(result.missedTime * 100, 2)) %"
    }

    private static func text(_ value: Double, _ decimals: Int) -> String { String(format: "%.\(decimals)f", value) }
}
